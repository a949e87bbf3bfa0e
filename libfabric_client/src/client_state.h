/* The inside of a client, for client*.c alone. */
#ifndef CLIENT_STATE_H
#define CLIENT_STATE_H

#include "libfabric_client/src/link.h"
#include "libfabric_client/src/request.h"

struct fabric_client {
    uint64_t number;
    uint32_t call_timeout_ms;
    client_link_t *link;
};

/* ---- client_calls.c ---- */

/* The deadline of a call that starts now; 0 means the client's default. */
uint64_t client_deadline(const fabric_client_t *client, uint32_t timeout_ms);
void client_waiter_init(call_waiter_t *waiter, size_t open);
/* Waits until all calls of the waiter have ended, and ends the waiter. */
void client_waiter_wait(call_waiter_t *waiter);

#endif
