/* The held requests of a client by the sequences of their calls, so that a cancel of each of many
 * finds its request at once: see held_requests_t, whose list has their order. */
#ifndef BROKER_ROUTER_HELD_CALLS_H
#define BROKER_ROUTER_HELD_CALLS_H

#include "broker/message_record.h"

typedef struct held_call held_call_t;

/* Zeroed: none. */
typedef struct held_calls {
    held_call_t *by_sequence;
} held_calls_t;

/* Of each request that is held. */
size_t held_call_bytes(void);
/* The request is held, or is not any more. */
void held_calls_add(held_calls_t *calls, message_t *message);
void held_calls_remove(held_calls_t *calls, const message_t *message);
/* The held request of the call; NULL: there is none, or (*several) more than one. */
message_t *held_calls_find(const held_calls_t *calls, uint64_t sequence, bool *several);

#endif
