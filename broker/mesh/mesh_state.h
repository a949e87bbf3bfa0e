/* The inside of the mesh, for its own files alone. Each struct is written by the file that its
 * comment names; a file calls only files that stand before it in the README's table.
 */
#ifndef BROKER_MESH_MESH_STATE_H
#define BROKER_MESH_MESH_STATE_H

#include "broker/mesh/mesh.h"
#include "broker/mesh/queue.h"
#include "core/hash.h"

/* ---- routes.c ---- */

typedef struct route_client {
    uint64_t origin;
    uint64_t link;
} route_client_t;

/* One client's connection to one other broker. */
typedef struct route {
    uint64_t number;
    route_client_t client;
    bool over;  /* it is found no more; what waits still leaves, and then it is freed */
    bool ready; /* in its link's list of routes with messages that wait */
    mesh_queue_t queue;
    struct route *prev, *next; /* of that list */
    UT_hash_handle by_number, by_client;
} route_t;

typedef struct mesh_routes {
    uint64_t last_number;
    route_t *by_number; /* all */
    route_t *by_client; /* those that are not over */
} mesh_routes_t;

/* ---- links.c ---- */

typedef enum link_phase {
    LINK_FREE,
    LINK_DOWN,     /* no connection */
    LINK_GREETING, /* connected, and hello is said */
    LINK_WELCOMED,
    LINK_REFUSED /* connected; hello is said again later */
} link_phase_t;

typedef struct mesh_link {
    link_phase_t phase;
    map_broker_t broker;
    bool socket_wanted;
    mesh_socket_t socket_action;
    bool blocked;        /* the socket takes nothing */
    uint64_t blocked_ms; /* since when, while blocked */
    bool malformed;      /* a malformed message of this connection was reported */
    uint32_t refusals;   /* since the last welcome */
    uint32_t hellos;     /* said on this connection */
    uint64_t connection; /* number of the last one */
    uint64_t heard_ms;
    /* DOWN: when the socket is opened anew; 0: the next tick decides. GREETING, REFUSED: when hello
     * is said again. WELCOMED: when the next ping is due. */
    uint64_t due_ms;
    uint32_t heartbeat_ms;
    uint64_t ping_sequence;
    uint64_t map_ask_ms;  /* when the map may be asked for again */
    mesh_queue_t control; /* messages of no route, but for the next ones */
    mesh_queue_t outgoing;
    bool routes_first;   /* those of routes come before these in the next frame */
    wire_writer_t frame; /* offered, and not sent yet; empty: none */

    /* --- routes.c --- */
    route_t *ready;
    size_t routes; /* that are not over */
    size_t bytes;  /* of messages that wait in them */
} mesh_link_t;

typedef struct event_item event_item_t;

struct mesh {
    /* --- mesh.c --- */
    mesh_config_t config;
    uint64_t now_ms;
    uint64_t high_id;
    map_version_t map_version;
    incarnation_t holder;
    bool draining;
    bool reading;          /* `reader` may have more messages */
    uint32_t reading_link; /* MESH_LINKS_MAX: they were published */
    wire_reader_t reader;

    /* --- events.c --- */
    event_item_t *events, *events_last;

    /* --- links.c --- */
    uint64_t connection; /* number of the last hello, over all links */
    uint32_t link_count; /* upper bound of the links in use */
    mesh_link_t links[MESH_LINKS_MAX];
    uint32_t link_turn; /* the link that may send next */

    mesh_routes_t routes;
};

/* ---- events.c ---- */

/* Adds an event about a broker; `text` may be empty. The pointer is valid until the next call. */
mesh_event_t *mesh_add_event(mesh_t *mesh, mesh_event_kind_t kind, const map_broker_t *broker,
                             fabric_error_t error, fabric_bytes_t text);
bool mesh_take_event(mesh_t *mesh, mesh_event_t *event);
void mesh_events_destroy(mesh_t *mesh);

/* ---- routes.c ---- */

/* Puts a client's frame into its route, which is made if need be. */
void mesh_route_put(mesh_t *mesh, uint32_t link, uint64_t origin, fabric_bytes_t frame);
/* NULL: there is none, or it is over. */
const route_t *mesh_route_find(const mesh_t *mesh, uint32_t link, uint64_t number);
/* The other broker has ended the route: its client is told. */
void mesh_route_ended(mesh_t *mesh, uint32_t link, uint64_t number);
/* The client is gone: the other broker is told. */
void mesh_route_forget(mesh_t *mesh, uint32_t link, uint64_t origin);
/* Moves what waits into the frame, up to its size. */
void mesh_routes_move(mesh_t *mesh, uint32_t link, wire_writer_t *frame);
/* The link is lost, and so are its routes: their clients are told. */
void mesh_routes_lose(mesh_t *mesh, uint32_t link);
void mesh_routes_destroy(mesh_t *mesh);

/* ---- links.c ---- */

/* The link to a broker; MESH_LINKS_MAX: there is none. */
uint32_t mesh_link_find(const mesh_t *mesh, incarnation_t broker);
void mesh_link_open(mesh_t *mesh, const map_broker_t *broker);
void mesh_link_close(mesh_t *mesh, uint32_t link);
/* Says hello on a connection that has just been made, or again. */
void mesh_link_greet(mesh_t *mesh, uint32_t link);
void mesh_link_welcome(mesh_t *mesh, uint32_t link, uint32_t heartbeat_ms);
/* The broker refused this one: hello is said again after a while. */
void mesh_link_refuse(mesh_t *mesh, uint32_t link, fabric_error_t error, fabric_bytes_t text);
/* The connection is no more, and nothing that waits is sent. */
void mesh_link_lose(mesh_t *mesh, uint32_t link, const char *why);
/* Loses it, and wants another one. */
void mesh_link_renew(mesh_t *mesh, uint32_t link, const char *why);
void mesh_link_heard(mesh_t *mesh, uint32_t link);
void mesh_link_note_malformed(mesh_t *mesh, uint32_t link, fabric_error_t error);
/* Asks the broker for a whole map, unless that was done a moment ago. */
void mesh_link_want_map(mesh_t *mesh, uint32_t link);
/* Tells the broker whether this one is draining. */
void mesh_link_tell_state(mesh_t *mesh, uint32_t link);
void mesh_link_put_owners(mesh_t *mesh, uint32_t link, fabric_bytes_t owners);
/* false: too much waits. */
bool mesh_link_put_outgoing(mesh_t *mesh, uint32_t link, const message_outgoing_t *message);
void mesh_link_tick(mesh_t *mesh, uint32_t link);
/* When mesh_link_tick has something to do; UINT64_MAX: never. */
uint64_t mesh_link_deadline(const mesh_t *mesh, uint32_t link);
void mesh_links_destroy(mesh_t *mesh);

#endif
