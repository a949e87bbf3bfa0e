/* Cancels: callers that want their calls to end (decision 27).
 *
 * A message that waits ends at once, and no handler sees it. One in flight is marked, and its
 * worker is told; it ends by its result, or when it comes back. One that is not in its entity's
 * queue yet is marked, and ends when it gets there. A result that is there stands.
 */
#ifndef BROKER_ROUTER_CANCELS_H
#define BROKER_ROUTER_CANCELS_H

#include "broker/router/client_state.h"

/* A client has sent CANCEL. An error: it names no entity. */
FABRIC_MUST_USE fabric_error_t cancel_received(router_t *router, client_t *client,
                                               const message_cancel_t *cancel);
/* The caller of this call wants it to end. */
void call_cancel(router_t *router, client_t *client, const call_t *call);
/* A caller of the message wants it to end. A tell goes on: its call ends with its acceptance. */
void message_cancel(router_t *router, message_t *message);

#endif
