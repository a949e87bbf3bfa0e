/* Outgoing messages that arrive at the home of their target, from other brokers and from this one's
 * own outboxes. Each is admitted as the request of a client would be, whose number is the request
 * id of the source. Such a client has no connection: what it is told goes to the broker that has
 * sent the message last. It is forgotten as soon as no call of it waits for an answer.
 */
#ifndef BROKER_ROUTER_OUTGOING_REQUESTS_H
#define BROKER_ROUTER_OUTGOING_REQUESTS_H

#include "broker/router/client_state.h"
#include "broker/router/outgoing.h"

/* `peer`: the connection of the broker that has sent it; NULL: an outbox of this one, whose answer
 * comes from outgoing_answer_take. It may come before this function returns. */
void outgoing_request_received(router_t *router, const peer_t *peer,
                               const message_outgoing_t *message);
/* The same for what an outbox of this broker sends to a shard of this broker. */
void outgoing_request_send(router_t *router, const outgoing_send_t *send);
/* See router_next_outgoing. */
bool outgoing_request_next(router_t *router, router_outgoing_t *outgoing);

#endif
