/* A peer: one connection of a client, a worker or another broker, and the frames that wait to be
 * sent to it. A tunnelled peer is a client that is connected to another broker, which carries its
 * frames. peers.c owns the structs. */
#ifndef BROKER_ROUTER_PEER_STATE_H
#define BROKER_ROUTER_PEER_STATE_H

#include "broker/router/router.h"

typedef struct client client_t;
typedef struct runner runner_t;
typedef struct member member_t;

typedef enum peer_phase {
    PEER_UNIDENTIFIED, /* it has not said hello, or whoever it was is gone */
    PEER_CLIENT,
    PEER_WORKER,
    PEER_BROKER,
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
    client_t *client; /* whom it connects: at most one of these three is set */
    runner_t *runner;
    member_t *member;
    unsigned closing_ticks; /* CLOSING: until it is removed */
    bool map_due;           /* it wants the map */
    bool blocked;           /* its pipe is full: it is not offered until the next tick */
    bool offered;           /* it is in the list of peers with frames to send */
    struct peer *next_offered;
    out_frame_t *first, *last; /* frames to send; the last one may still grow */
    size_t queued_bytes;       /* of these frames */
    size_t last_bytes;         /* those of the last frame that are counted in queued_bytes */
    uint64_t origin;           /* of frames that it has relayed; 0: it has relayed none */
    UT_hash_handle by_routing_id;

    struct peer *carrier;   /* of a tunnelled peer: the other broker's peer; else NULL */
    uint64_t route;         /* its number there */
    struct peer *tunnelled; /* of a broker: the peers that it carries */
    UT_hash_handle by_route;
} peer_t;

/* NULL: there is no such peer. */
peer_t *peer_find(router_t *router, fabric_bytes_t routing_id);
/* A peer beyond peers_max is refused, and CLOSING. NULL: it is refused without an answer. */
peer_t *peer_find_or_add(router_t *router, fabric_bytes_t routing_id);
/* The tunnelled peer with this number of the carrier. NULL: there is none. */
peer_t *peer_find_tunnelled(const peer_t *carrier, uint64_t route);
/* As peer_find_or_add, for a tunnelled peer. */
peer_t *peer_find_or_add_tunnelled(router_t *router, peer_t *carrier, uint64_t route);
/* Removes a peer that connects nobody and carries nobody. */
void peer_remove(router_t *router, peer_t *peer);
void peers_destroy(router_t *router);

/* ---- whom it connects ---- */

/* The peer connects this client, runner or member; NULL: it connects none any more. */
void peer_set_client(peer_t *peer, client_t *client);
void peer_set_runner(peer_t *peer, runner_t *runner);
void peer_set_member(peer_t *peer, member_t *member);
/* The peer's own number for what it relays. */
uint64_t peer_origin(router_t *router, peer_t *peer);
/* NULL: that peer is gone. */
peer_t *peer_of_origin(const router_t *router, uint64_t origin);
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
/* The same for a message of up to so many bytes, which may be nearly as long as a frame may be. */
wire_writer_t *peer_long_writer(router_t *router, peer_t *peer, size_t bytes);
/* Whether it reads so slowly that nothing large should be given to it before it has read what is
 * there: a quarter of what it may hold, so that there is room for what is given at once
 * (history.c). */
bool peer_is_filling(const router_t *router, const peer_t *peer);
/* Tells the peer that it, or what it sent, is refused. */
void peer_refuse(router_t *router, peer_t *peer, fabric_error_t error, const char *text);
/* Sends the map to a peer that wants it, now or at one of the next ticks. */
void peer_want_map(peer_t *peer);
void peer_send_map(router_t *router, peer_t *peer);
/* Whether one more long document may be made in this tick, which counts it: making a document takes
 * long, and asking for it is cheap. */
bool document_allowed(router_t *router);
void documents_tick(router_t *router);

/* ---- frames of tunnelled peers ---- */

/* Puts the peer behind all other peers that have frames to send. */
void peer_offer_later(router_t *router, peer_t *peer);
/* The first frame to the peer is of no more use. */
void peer_drop_frame(router_t *router, peer_t *peer);

/* ---- its end ---- */

/* The frame that was offered is sent. True: the peer was only kept for that frame, and is to be
 * removed. */
bool peer_frame_sent(router_t *router, peer_t *peer);
/* A tick has passed for the peer. True: it is to be removed, since it is silent or its time to
 * close is over. */
bool peer_tick(router_t *router, peer_t *peer);

#endif
