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

/* The other broker that is the shard's home by the map; NULL: there is none. */
const map_broker_t *shard_other_home(const router_t *router, shard_id_t shard);
/* Whether the shard is this broker's for all that is known, and waits for the database to confirm
 * the lease. */
bool shard_waits_for_store(router_t *router, const shard_t *shard);
/* What the shard's database said, where it is the cause of such an error; else empty. */
const char *store_cause(router_t *router, shard_id_t shard, fabric_error_t error);

#endif
