/* Admission: what can be refused is refused here, before a request costs memory or storage. */
#ifndef BROKER_ROUTER_ADMISSION_H
#define BROKER_ROUTER_ADMISSION_H

#include "broker/router/client_state.h"

void request_received(router_t *router, client_t *client, const message_request_t *request);
/* A request of which nothing but its sequence and flags could be read. */
void request_malformed(router_t *router, client_t *client, uint64_t sequence, uint64_t flags);
/* The message of a durable request that has passed the checks: known, held, looked up, refused or
 * accepted. Takes the message. */
void durable_arrived(router_t *router, client_t *client, message_t *message);

#endif
