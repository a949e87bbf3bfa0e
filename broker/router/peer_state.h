/* A peer: one connection of a client or a worker, and the frames that wait for it. peers.c owns the structs. */
#ifndef BROKER_ROUTER_PEER_STATE_H
#define BROKER_ROUTER_PEER_STATE_H

#include "broker/router/router.h"

typedef struct client client_t;
typedef struct runner runner_t;

typedef struct out_frame {
    struct out_frame *next;
    wire_writer_t writer;
} out_frame_t;

typedef struct peer {
    uint8_t routing_id[256];
    size_t routing_id_size;
    uint32_t handle; /* index in router->peers */
    uint64_t heard_ms;
    client_t *client; /* at most one of these two is set: neither before hello */
    runner_t *runner;
    bool retired; /* a newer connection of the same peer took over: only a hello counts */
    unsigned
        closing; /* ticks until it is removed, as it does not read or is one too many; 0: it is not */
    bool map_due; /* it wants the map */
    bool blocked; /* EAGAIN: not offered until the next tick */
    bool offered; /* in the list of peers with frames to send */
    struct peer *next_offered;
    out_frame_t *first, *last; /* frames to send; the last one may still grow */
    size_t queued_bytes;       /* of these frames */
    size_t last_bytes;         /* of these, those of the last one */
    UT_hash_handle by_routing_id;
} peer_t;

/* Maps and documents that are made within one tick, at most: they are long, and asking for them is cheap. */
enum { DOCUMENTS_PER_TICK = 64 };

peer_t *peer_find(router_t *router, fabric_bytes_t routing_id);
/* NULL: for nobody. A peer beyond peers_max is refused, and closing. */
peer_t *peer_find_or_add(router_t *router, fabric_bytes_t routing_id);
/* Where the next message to the peer is to be put. Never NULL; for a peer that holds too much the peer is forgotten at the next
 * tick and the message goes nowhere. */
wire_writer_t *peer_writer(router_t *router, peer_t *peer);
void peer_remove(router_t *router, peer_t *peer);
/* Whoever it was is not connected by it any more. */
void peer_detach(router_t *router, peer_t *peer);
void peers_sweep(router_t *router);
void peers_destroy(router_t *router);
/* Sends the map to a peer that wants it, now or at one of the next ticks. */
void peer_send_map(router_t *router, peer_t *peer);
/* Whether one more long document may be made in this tick. */
bool document_allowed(router_t *router);

#endif
