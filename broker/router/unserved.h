/* Messages that their owner does not take: pauses, and the reason for people. */
#ifndef BROKER_ROUTER_UNSERVED_H
#define BROKER_ROUTER_UNSERVED_H

#include "broker/router/mailbox_state.h"

enum { UNSERVED_TEXT_SIZE = 800 };

/* The entity's owner did not take a message, which is queued again: the entity pauses, the longer
 * the more refusals come in a row. */
void entity_refused(router_t *router, entity_t *entity, fabric_error_t error);
/* The entity's owner is not its owner any more: its refusals do not count. */
void entity_owner_gone(router_t *router, entity_t *entity);
/* Notes for the log that the entity's owner does not bring its type. Returns unserved_reason. */
fabric_error_t unserved_note(router_t *router, const entity_t *entity,
                             char text[UNSERVED_TEXT_SIZE]);
/* Why no runner runs entities of the type in the shard now, as a text for people. Returns the error
 * that goes with the text. */
fabric_error_t unserved_reason(router_t *router, const shard_t *shard, fabric_bytes_t type,
                               char text[UNSERVED_TEXT_SIZE]);
/* Tells the caller of an accepted message why the message waits, if the caller asked to be told. */
void message_tell_wait(router_t *router, const message_t *message);

#endif
