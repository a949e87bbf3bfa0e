/* Cancels by operators, who name messages by their ids (decision 34). Each broker is asked, ends
 * what its lanes have, and answers when the ends are durable, or when the time to wait is over.
 *
 * The end is that of a caller's cancel (cancels.h), whatever the message's callers want; those of a
 * tell included. Volatile messages have no place in the store, and are not found.
 */
#ifndef BROKER_ROUTER_OPERATOR_CANCELS_H
#define BROKER_ROUTER_OPERATOR_CANCELS_H

#include "broker/router/router.h"
#include "broker/router/peer_state.h"

typedef struct operator_cancel operator_cancel_t;

typedef struct router_operator_cancels {
    operator_cancel_t *first; /* those that are not answered yet */
    unsigned count;
} router_operator_cancels_t;

/* The peer has sent the query "cancel". */
void operator_cancel_received(router_t *router, peer_t *peer, const message_query_t *query);
/* The message, which an operator wants to end, has ended, and its reply is durable. */
void operator_cancel_ended(router_t *router, const message_t *message);
/* The lane is dropped: what becomes of its messages is another home's to say. */
void operator_cancels_drop(router_t *router, uint32_t lane);
/* Answers those whose time to wait is over. */
void operator_cancels_tick(router_t *router);
void operator_cancels_destroy(router_t *router);

#endif
