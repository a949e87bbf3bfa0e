/* Acceptance: a request that has passed all checks becomes a message with an id, in a batch
 * (durable) or in a mailbox (volatile). */
#ifndef BROKER_ROUTER_ACCEPTANCE_H
#define BROKER_ROUTER_ACCEPTANCE_H

#include "broker/router/client_state.h"
#include "broker/router/shard_state.h"
#include "broker/router/type_state.h"

/* Accepts the request or answers it with a rejection. The shard serves. */
void volatile_accept(router_t *router, client_t *client, const message_request_t *request,
                     shard_t *shard, const known_type_t *type);
/* Accepts the message, or answers its request with a rejection and frees the message. */
void durable_accept(router_t *router, client_t *client, message_t *message);
/* The message that the request asks for, without an id. */
message_t *durable_message(const router_t *router, const client_t *client,
                           const message_request_t *request, const shard_t *shard);

#endif
