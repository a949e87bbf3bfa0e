/* Messages that their owner does not take: pauses, and the reason for people. */
#ifndef BROKER_ROUTER_UNSERVED_H
#define BROKER_ROUTER_UNSERVED_H

#include "broker/router/mailbox_state.h"

enum { UNSERVED_TEXT_SIZE = 800 };
/* The entity's owner did not take a message, which is queued again: the entity pauses, the longer the more often in a row. */
void entity_refused(router_t *router, entity_t *entity, fabric_error_t error);
/* The owner took a message, or is the owner no more: what it refused does not count any more. */
void entity_taken(entity_t *entity);
void entity_owner_gone(router_t *router, entity_t *entity);
/* unserved_reason of an entity whose owner does not bring its type, which is noted for the log. */
fabric_error_t unserved_note(router_t *router, const entity_t *entity,
                             char text[UNSERVED_TEXT_SIZE]);
/* Why no runner runs entities of the type in the shard now, for people; returns the error that goes with it. */
fabric_error_t unserved_reason(router_t *router, const shard_t *shard, fabric_bytes_t type,
                               char text[UNSERVED_TEXT_SIZE]);
/* Tells the caller of an accepted message why it waits, if it is known that it will. */
void message_tell_wait(router_t *router, const message_t *message);
/* Whether the shard has no owner, and the coordinator knows none that it could have. */
bool shard_is_deserted(const shard_t *shard);

#endif
