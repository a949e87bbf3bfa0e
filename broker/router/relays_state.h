/* What clients of this broker exchange with other brokers, by way of this one. relays.c owns the
 * structs. */
#ifndef BROKER_ROUTER_RELAYS_STATE_H
#define BROKER_ROUTER_RELAYS_STATE_H

#include "broker/router/peer_state.h"

typedef struct router_relays {
    router_relay_t *frames; /* of the frame at hand */
    size_t first, count, capacity;
    uint64_t *gone; /* origins that are gone */
    size_t gone_count, gone_capacity;
} router_relays_t;

/* A client wants this frame to be carried to another broker. */
void relay_received(router_t *router, peer_t *peer, const message_relay_t *relay);
/* A new frame arrives: what was not pulled of the last one is dropped. */
void relays_begin_frame(router_t *router);
/* The peer is about to be removed. */
void relays_forget(router_t *router, const peer_t *peer);
void relays_destroy(router_t *router);

#endif
