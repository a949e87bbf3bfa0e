/* Messages that no runner runs: the reason for people, and pauses where the owner refuses. */
#ifndef BROKER_ROUTER_UNSERVED_H
#define BROKER_ROUTER_UNSERVED_H

#include "broker/router/mailbox_state.h"

enum { UNSERVED_TEXT_SIZE = 400 };

/* The entity's owner did not take a message, which is queued again: the entity pauses, the longer
 * the more refusals come in a row. */
void entity_refused(router_t *router, entity_t *entity, fabric_error_t error);
/* The owner could not build the entity's instance, and says why: the entity backs off as after a
 * failure, and callers that wait are told. */
void entity_not_built(router_t *router, entity_t *entity, fabric_bytes_t text);
/* Tells the caller of an accepted message why it waits, if the caller asked. */
void message_tell_of_wait(router_t *router, const message_t *message, fabric_error_t error,
                          const char *text);
/* The same for all messages of an entity that wait, up to a bound. */
void entity_tell_waits(router_t *router, const entity_t *entity, fabric_error_t error,
                       const char *text);
/* The entity's owner is not its owner any more: its refusals do not count. */
void entity_owner_gone(router_t *router, entity_t *entity);
/* Whether no runner could be given entities of the type. */
bool unserved_is_missing(const router_t *router, fabric_bytes_t type);
/* Whether owners that do not come to this broker may come to the next home of its lanes: it stops,
 * and no runner joins it any more. */
bool unserved_until_moved(const router_t *router);
/* Why nothing of the type is run now where this runner is the owner (NULL: nobody is), as a text
 * for people, and for the log where a runner is missing. Returns the error that goes with it. */
fabric_error_t unserved_reason(router_t *router, const runner_t *owner, fabric_bytes_t type,
                               char text[UNSERVED_TEXT_SIZE]);
/* Nobody has the ownership: volatile messages do not wait for an owner, so their callers are told
 * at once; where the next home may have one, their clients send them again. Durable ones wait;
 * where nobody is to come, their callers hear why. */
void unserved_tell(router_t *router, ownership_t *ownership);
/* Tells the caller of an accepted message that no runner brings its type, if that is so and the
 * caller asked to be told. */
void message_tell_wait(router_t *router, const message_t *message);

#endif
