/* Outcomes of messages: results that wait for their commits, dead letters, and losses. */
#ifndef BROKER_ROUTER_OUTCOME_H
#define BROKER_ROUTER_OUTCOME_H

#include "broker/router/mailbox_state.h"

/* The message has its result, which waits in the queue until all earlier results are durable. */
void message_finish(router_t *router, message_t *message, const message_result_t *result);
/* A message that its caller does not want any more, and nobody handles, ends. A volatile one is
 * gone. */
void message_finish_as_cancelled(router_t *router, message_t *message);
/* The durable message has its result, and is also kept as a dead letter, with this cause. */
void message_finish_as_dead_letter(router_t *router, message_t *message,
                                   const message_result_t *result, fabric_error_t cause);
/* A message becomes a dead letter: its last attempt has ended with this defect. */
void message_exhausted(router_t *router, message_t *message, const message_result_t *last);
/* A message that waits becomes a dead letter: it has crashed too many worker processes, or an
 * earlier home has used up its attempts. */
void message_give_up(router_t *router, message_t *message);
/* Ends a volatile message in flight that may or may not have been handled. */
void message_lose(router_t *router, message_t *message, const char *text);
/* Ends the entity's volatile messages that wait: their callers get the error. */
void entity_refuse_volatile(router_t *router, entity_t *entity, fabric_error_t error,
                            const char *text);
/* Sends the volatile results that wait for no commit any more. */
void entity_flush(router_t *router, entity_t *entity);

#endif
