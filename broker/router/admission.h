/* Requests: the checks that each has to pass, and its acceptance. */
#ifndef BROKER_ROUTER_ADMISSION_H
#define BROKER_ROUTER_ADMISSION_H

#include "broker/router/client_state.h"

void request_received(router_t *router, peer_t *peer, const message_request_t *request);
/* A request of which no more than this could be read. */
void request_malformed(router_t *router, client_t *client, uint64_t sequence, uint64_t flags);
/* A durable message goes into its lane: limits, request id, entity. Refuses it and frees it where it cannot. */
void durable_accept(router_t *router, client_t *client, message_t *message);
void request_reject(router_t *router, client_t *client, uint64_t sequence, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text);
/* The same for a message that waits, if its caller is still there. */
void message_reject(router_t *router, const message_t *message, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text);
/* What the shard's database said, where it is the cause of such an error; else empty. */
const char *store_cause(router_t *router, shard_id_t shard, fabric_error_t error);
/* Whether no more messages may be taken into memory. */
bool router_is_full(const router_t *router);
bool router_memory_is_full(const router_t *router);
/* OK, LIMIT_EXCEEDED or MALFORMED_MESSAGE, and why. */
fabric_error_t headers_check(fabric_bytes_t headers, const char **text);
/* Whether an id is above all that brokers have made, as far as is known here, and more than a second above the time for ids. */
bool id_is_too_high(const router_t *router, request_id_t id);

#endif
