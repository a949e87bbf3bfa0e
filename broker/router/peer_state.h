/* A peer: one connection of a client or a worker, and the frames that wait to be sent to it.
 * peers.c owns the structs. */
#ifndef BROKER_ROUTER_PEER_STATE_H
#define BROKER_ROUTER_PEER_STATE_H

#include "broker/router/router.h"

typedef struct client client_t;
typedef struct runner runner_t;

typedef enum peer_phase {
    PEER_UNIDENTIFIED, /* it has not said hello, or whoever it was is gone */
    PEER_CLIENT,
    PEER_WORKER,
    PEER_RETIRED, /* a newer connection of the process counts: of this one, only a hello counts */
    PEER_CLOSING  /* about to be removed: nothing that it sends counts, and nothing is sent to it */
} peer_phase_t;

typedef struct out_frame {
    struct out_frame *next;
    wire_writer_t writer;
} out_frame_t;

typedef struct peer {
    uint8_t routing_id[256];
    size_t routing_id_size;
    uint32_t handle; /* its index in router->peers */
    uint64_t heard_ms;
    peer_phase_t phase;
    client_t *client; /* whom it connects: at most one of these two is set */
    runner_t *runner;
    unsigned closing_ticks; /* CLOSING: until it is removed */
    bool map_due;           /* it wants the map */
    bool blocked;           /* its pipe is full: it is not offered until the next tick */
    bool offered;           /* it is in the list of peers with frames to send */
    struct peer *next_offered;
    out_frame_t *first, *last; /* frames to send; the last one may still grow */
    size_t queued_bytes;       /* of these frames */
    size_t last_bytes;         /* those of the last frame that are counted in queued_bytes */
    UT_hash_handle by_routing_id;
} peer_t;

/* NULL: there is no such peer. */
peer_t *peer_find(router_t *router, fabric_bytes_t routing_id);
/* A peer beyond peers_max is refused, and CLOSING. NULL: it is refused without an answer. */
peer_t *peer_find_or_add(router_t *router, fabric_bytes_t routing_id);
/* Removes a peer that connects nobody. */
void peer_remove(router_t *router, peer_t *peer);
void peers_destroy(router_t *router);

/* ---- whom it connects ---- */

/* The peer connects this client, or this runner; NULL: it connects none any more. */
void peer_set_client(peer_t *peer, client_t *client);
void peer_set_runner(peer_t *peer, runner_t *runner);
/* Another connection counts. */
void peer_retire(peer_t *peer);
/* The peer counts, though it was retired. */
void peer_reinstate(peer_t *peer);
/* The peer gave a sign of life. */
void peer_heard(router_t *router, peer_t *peer);

/* ---- messages to it ---- */

/* Where the next message to the peer is to be put. Never NULL. A peer that holds too many frames
 * becomes CLOSING, and the message goes nowhere. */
wire_writer_t *peer_writer(router_t *router, peer_t *peer);
/* Tells the peer that it, or what it sent, is refused. */
void peer_refuse(router_t *router, peer_t *peer, fabric_error_t error, const char *text);
/* Sends the map to a peer that wants it, now or at one of the next ticks. */
void peer_want_map(peer_t *peer);
void peer_send_map(router_t *router, peer_t *peer);
/* Whether one more long document may be made in this tick, which counts it: making a document takes
 * long, and asking for it is cheap. */
bool document_allowed(router_t *router);
void documents_tick(router_t *router);

/* ---- its end ---- */

/* The frame that was offered is sent. True: the peer was only kept for that frame, and is to be
 * removed. */
bool peer_frame_sent(router_t *router, peer_t *peer);
/* A tick has passed for the peer. True: it is to be removed, since it is silent or its time to
 * close is over. */
bool peer_tick(router_t *router, peer_t *peer);

#endif
