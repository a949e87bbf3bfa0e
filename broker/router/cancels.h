/* Cancels: callers that want their calls to end (decision 27).
 *
 * A message that waits ends at once, also before its time of delivery, and no handler sees it. One
 * in flight is marked, and its worker is told; it ends by its result, or when it comes back. One
 * that is being appended is marked, and ends when it is durable. One that only the store has is
 * searched for, and ends when it was found (decision 34). A result that is there stands. Where
 * several callers wait for a message, as they have its primary key, each of them has to want its
 * end.
 *
 * The cancels that begin a frame count before the frame settles on calls. Calls that came again
 * after that are in settled_calls.h. What else is not in the client's table is looked for in the
 * queue of the entity that the cancel names.
 */
#ifndef BROKER_ROUTER_CANCELS_H
#define BROKER_ROUTER_CANCELS_H

#include "broker/router/client_state.h"

/* A client has sent CANCEL. An error: it names no entity. */
FABRIC_MUST_USE fabric_error_t cancel_received(router_t *router, client_t *client,
                                               const message_cancel_t *cancel);
/* The caller of this call wants it to end. */
void call_cancel(router_t *router, client_t *client, const call_t *call);
/* The caller of this call wants the message to end, which does so once all its callers do. A tell
 * goes on: its call ends with its acceptance. */
void message_cancel(router_t *router, message_t *message, call_key_t call);
/* The worker of a message in flight hears that nobody waits for it any more. */
void message_put_interrupted(router_t *router, const message_t *message);
/* The same, whatever its callers want; it must not be cancelled already. */
void message_end_or_mark(router_t *router, message_t *message);
/* Whether a durable message is not to be begun after its deadline: its caller wants that, and no
 * other caller waits for it. */
static inline bool message_gives_up(const message_t *message)
{
    uint32_t flags = message->stored.flags;
    return flags & REQUEST_DURABLE && message_expires(flags) && !message->waiter.next;
}

#endif
