/* The mesh: this broker's links to all other brokers, and what it carries to them for clients that
 * cannot reach them.
 *
 * The mesh is a pure core: a state machine without sockets, clocks and threads. A shell
 * (mesh_zmq.c) and tests tell it what happened, each time with the present time, and pull what is
 * to be done. A link is the connection that this broker makes to one other broker; what the other
 * one says by itself comes over its own link, to this broker's router.
 *
 * Frames of clients are carried as they are. A route is one client's connection to one other
 * broker: the client's frames leave as TUNNEL with the route's number, and the frames of the other
 * broker come back under that number. The mesh never reads a carried frame.
 *
 * Invariants:
 *  1. Nothing but HELLO is sent on a link before the WELCOME has come.
 *  2. The number of a route is never used again, and a route ends with its link.
 *  3. The frames of a route leave in order, none of them twice.
 *  4. What waits is bounded for each route and each link. A route that holds more than its share
 *     ends, with an event for its client.
 *  5. No bytes from another broker can do harm: malformed messages are skipped one by one.
 *
 * Time: `now_ms` is a monotonic clock in milliseconds. Threading: one thread.
 */
#ifndef BROKER_MESH_MESH_H
#define BROKER_MESH_MESH_H

#include "core/ids.h"
#include "core/limits.h"
#include "core/message.h"
#include "core/shard_map.h"

typedef struct mesh mesh_t;

typedef struct mesh_config {
    incarnation_t incarnation;
    broker_secret_t secret; /* proves to other brokers that this one is a member */
    uint8_t cluster_id[16];
    char cluster_name[256];
    char name[256];
    uint32_t lease_ms;    /* a broker that is silent for so long is connected anew */
    bool allow_plaintext; /* whether brokers beyond this machine may be connected */
} mesh_config_t;

mesh_t *mesh_new(const mesh_config_t *config);
void mesh_destroy(mesh_t **mesh);

/* ---- the cluster ---- */

/* The members of the cluster, this broker included or not. Links to others are closed. */
void mesh_set_members(mesh_t *mesh, const map_broker_t *brokers, size_t count);
/* The broker that holds the term; none: this one does, or none is known. */
void mesh_set_holder(mesh_t *mesh, incarnation_t broker);
/* Where that broker publishes the map; NULL: nowhere. */
const char *mesh_pub_endpoint(const mesh_t *mesh);
/* The highest id that this broker has made: all others make larger ones afterwards. */
void mesh_note_id(mesh_t *mesh, uint64_t high_id);
/* The version of this broker's map. */
void mesh_note_map(mesh_t *mesh, map_version_t version);
/* A map could not be applied: the holder of the term is asked for a whole one. */
void mesh_want_map(mesh_t *mesh);
/* This broker is about to stop: all other brokers are told. */
void mesh_drain(mesh_t *mesh);
/* Sends OWNERS to a broker; what cannot be sent is dropped (see MESH_REACHED). */
void mesh_send_owners(mesh_t *mesh, incarnation_t broker, fabric_bytes_t owners);

/* Sends OUTGOING to a broker. false: it cannot be taken now, since the broker has not welcomed this
 * one, or too much waits for it. What was taken is sent before MESH_LOST, or it is lost. */
bool mesh_send_outgoing(mesh_t *mesh, incarnation_t broker, const message_outgoing_t *message);

/* ---- relays ---- */

/* A client's frame for another broker. Where it cannot be carried, an event says so. */
void mesh_relay(mesh_t *mesh, uint64_t origin, incarnation_t broker, fabric_bytes_t frame);
/* The client is gone. */
void mesh_forget(mesh_t *mesh, uint64_t origin);

/* ---- sockets ---- */

enum { MESH_LINKS_MAX = LIMIT_BROKERS_MAX }; /* links are numbered from 0 */
/* No link that was opened so far has this number or a larger one. */
uint32_t mesh_link_count(const mesh_t *mesh);

typedef enum mesh_socket {
    MESH_SOCKET_OPEN, /* close what is open, and connect */
    MESH_SOCKET_CLOSE
} mesh_socket_t;
/* Takes the next action on a link's socket; false: there is none. */
bool mesh_next_socket(mesh_t *mesh, uint32_t *link, mesh_socket_t *action);
const char *mesh_endpoint(const mesh_t *mesh, uint32_t link);

void mesh_connected(mesh_t *mesh, uint32_t link, uint64_t now_ms);
void mesh_disconnected(mesh_t *mesh, uint32_t link, uint64_t now_ms);
/* A frame has arrived, on a link or from the holder's PUB. It must stay until mesh_next_event has
 * returned false. */
void mesh_receive(mesh_t *mesh, uint32_t link, fabric_bytes_t frame, uint64_t now_ms);
void mesh_receive_published(mesh_t *mesh, fabric_bytes_t frame);
/* A message came that is no frame: the link is connected anew. */
void mesh_unreadable(mesh_t *mesh, uint32_t link, uint64_t now_ms);

/* The next frame to send, valid until it is answered by one of the next two functions. False: there
 * is none. */
bool mesh_next_frame(mesh_t *mesh, uint32_t *link, fabric_bytes_t *frame);
void mesh_frame_sent(mesh_t *mesh, uint32_t link);
/* The link takes nothing at present: nothing is offered for it until mesh_writable. */
void mesh_frame_blocked(mesh_t *mesh, uint32_t link);
void mesh_writable(mesh_t *mesh, uint32_t link);
bool mesh_is_blocked(const mesh_t *mesh, uint32_t link);

/* ---- time ---- */

void mesh_tick(mesh_t *mesh, uint64_t now_ms);
/* When mesh_tick is due at the latest. */
uint64_t mesh_next_deadline(const mesh_t *mesh);

/* ---- events ---- */

typedef enum mesh_event_kind {
    MESH_RELAYED,     /* a frame for a client: router_relayed(origin, broker, bytes) */
    MESH_RELAY_ENDED, /* router_relay_ended(origin, broker, error, text) */
    MESH_MAP,         /* a map, or the change of one, from the broker that holds the term: bytes */
    MESH_REACHED,     /* the broker has welcomed this one */
    MESH_LOST,        /* its connection broke, it was silent, or it is no member any more: text */
    MESH_REFUSED,     /* it refused this broker: error, text; every 10 s while it goes on */
    MESH_MALFORMED,   /* a message of it could not be read: error; once for each connection */
    MESH_PLAINTEXT,   /* it may not be connected without encryption */
    MESH_OUTGOING_ANSWER /* answer */
} mesh_event_kind_t;

typedef struct mesh_event {
    mesh_event_kind_t kind;
    incarnation_t broker;
    uint64_t origin;
    fabric_bytes_t bytes;             /* points into the frame that was received last */
    message_outgoing_answer_t answer; /* so does its text */
    fabric_error_t error;
    char text[256];
    char endpoint[LIMIT_ENDPOINT_BYTES_MAX + 1];
} mesh_event_t;
/* To be pulled after each call that has a time, and after mesh_relay and mesh_set_members. */
bool mesh_next_event(mesh_t *mesh, mesh_event_t *event);

#endif
