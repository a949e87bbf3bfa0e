/* Calls that a client has settled on, and has sent again since: which messages they wait for. They
 * have no place in the client's table of calls, so that a cancel would not find their messages
 * otherwise, wherever those are.
 */
#ifndef BROKER_ROUTER_SETTLED_CALLS_H
#define BROKER_ROUTER_SETTLED_CALLS_H

#include <stddef.h>

#include "broker/message_record.h"

typedef struct router router_t;
typedef struct client client_t;

/* Zeroed: none. Those whose messages have ended are dropped when there are `many`. */
typedef struct settled_calls {
    struct settled_call *by_sequence;
    size_t many;
} settled_calls_t;

/* The client has settled on the call of this waiter, and has sent it again: its caller waits for
 * the message's end wherever the message is until then. */
void settled_call_came_again(router_t *router, client_t *client, message_t *message,
                             waiter_t *waiter);
/* The message that such a call waits for; NULL: there is none, or it has ended. */
message_t *settled_call_find(router_t *router, const client_t *client, uint64_t sequence);
void settled_calls_destroy(client_t *client);

#endif
