/* One broker of the link: the phase of the connection to it, its timers, and what is to be sent.
 *
 * `index` in other files is the endpoint's place among the link's endpoints.
 */
#ifndef WORKER_LINK_ENDPOINT_STATE_H
#define WORKER_LINK_ENDPOINT_STATE_H

#include "worker/link.h"
#include "worker/link_kept_state.h"

/* How long a hello may go unanswered before it is said again, and how often it is said before the
 * socket is opened anew. */
#define LINK_HELLO_RETRY_MS 1000u
#define LINK_HELLO_TRIES    5u
/* How long a socket may take to connect before it is opened anew. After bytes that are no ZMTP
 * libzmq never connects it again. */
#define LINK_CONNECTING_MS 4000u

typedef enum link_phase {
    PHASE_CLOSED,   /* the slot is free */
    PHASE_DOWN,     /* a socket, but no connection */
    PHASE_HELLO,    /* connected, hello said */
    PHASE_WELCOMED, /* part of the cluster */
    PHASE_REFUSED,  /* connected, but refused */
    PHASE_LEFT      /* said good-bye */
} link_phase_t;

typedef struct link_endpoint {
    link_phase_t phase;
    char name[LIMIT_ENDPOINT_BYTES_MAX + 1];
    bool learned; /* from the map, not from the configuration */
    bool socket_wanted;
    link_socket_t socket_action;
    uint64_t connection; /* number of the last hello */
    uint64_t hello_ms;   /* HELLO: when it was said; REFUSED: when to say it again */
    uint32_t hello_tries;
    uint64_t reopen_ms;   /* DOWN: when to open the socket anew; 0: set by the next tick */
    incarnation_t broker; /* WELCOMED */
    uint32_t lease_ms, heartbeat_ms;
    uint64_t heard_ms;
    uint64_t ping_ms; /* when to say the next one */
    uint64_t ping_sequence;
    map_version_t map_wanted; /* the last version that was asked for */
    bool malformed;           /* whether a malformed message of this connection was reported */
    work_lease_t lease;
    work_output_t *out_first, *out_last; /* encoded messages to be sent */
    link_kept_t kept;                    /* WELCOMED: those that were sent and are not settled */
} link_endpoint_t;

/* Takes a free slot for a broker, whose socket is to be opened. */
void link_endpoint_open(link_endpoint_t *endpoint, const char *name, bool learned);
/* Frees the slot of an endpoint without connection once its socket is closed. */
void link_endpoint_close(link_endpoint_t *endpoint);
bool link_endpoint_is_free(const link_endpoint_t *endpoint);
/* Frees what the endpoint holds: the link ends. */
void link_endpoint_clear(link_endpoint_t *endpoint);
/* The connection, if there is one, is no more. What waits to be sent is dropped, and so are the
 * results that were kept. */
void link_endpoint_lose(link_endpoint_t *endpoint, uint64_t now_ms);
void link_endpoint_reopen_socket(link_endpoint_t *endpoint);
/* As reopen, but the endpoint's connecting timer opens the socket again: not at once. */
void link_endpoint_close_socket(link_endpoint_t *endpoint);
/* Takes the action that the endpoint's socket needs; false: none. */
bool link_endpoint_next_socket(link_endpoint_t *endpoint, link_socket_t *action);

/* A connection was made, or is to be greeted anew: hellos are counted from here. */
void link_endpoint_begin_greeting(link_endpoint_t *endpoint);
/* Enters HELLO; the hello that is said has this connection number. */
void link_endpoint_enter_hello(link_endpoint_t *endpoint, uint64_t connection, uint64_t now_ms);
void link_endpoint_welcome(link_endpoint_t *endpoint, const message_welcome_t *welcome,
                           uint64_t now_ms);
/* The hello was refused; `retry_ms`: when it is said again. */
void link_endpoint_refuse(link_endpoint_t *endpoint, uint64_t retry_ms);
/* The broker has let this worker go. The connection is lost already. */
void link_endpoint_leave(link_endpoint_t *endpoint);
/* The broker was heard: its lease begins anew. */
void link_endpoint_hear(link_endpoint_t *endpoint, uint64_t now_ms);
/* Whether the broker's lease is over. */
bool link_endpoint_is_silent(const link_endpoint_t *endpoint, uint64_t now_ms);
/* Notes that a version of the map is asked for; false: it was asked for already. */
bool link_endpoint_want_map(link_endpoint_t *endpoint, map_version_t version);
/* Notes a malformed message; true: it is the connection's first. */
bool link_endpoint_note_malformed(link_endpoint_t *endpoint);

/* What time asks of an endpoint. */
typedef enum endpoint_due {
    DUE_NOTHING,
    DUE_SILENT,  /* WELCOMED: the lease is over */
    DUE_PING,    /* WELCOMED: a ping is to be sent under `ping_sequence` */
    DUE_HELLO,   /* HELLO: the hello is to be said again */
    DUE_REOPEN,  /* HELLO: the broker has answered none of LINK_HELLO_TRIES hellos */
    DUE_GREETING /* REFUSED: the broker is to be greeted anew */
} endpoint_due_t;
endpoint_due_t link_endpoint_tick(link_endpoint_t *endpoint, uint64_t now_ms);
/* When link_endpoint_tick has something to do; UINT64_MAX: never. */
uint64_t link_endpoint_deadline(const link_endpoint_t *endpoint);

/* The writer to which a message for the broker is appended. */
wire_writer_t *link_endpoint_out(link_endpoint_t *endpoint);
/* Answers a delivery whose handler was certainly not started. */
void link_endpoint_put_not_taken(link_endpoint_t *endpoint, const message_deliver_t *delivery,
                                 fabric_error_t error);
/* Whether results that came through a connection can still be sent. */
bool link_endpoint_is_live(const link_endpoint_t *endpoint, uint64_t connection);
/* Adds results that are to be sent; they are the endpoint's from then on. */
void link_endpoint_add_results(link_endpoint_t *endpoint, work_output_t *results);
/* Drops what waits to be sent. */
void link_endpoint_clear_out(link_endpoint_t *endpoint);
/* Replaces `frame` by what waits, up to LIMIT_FRAME_BYTES_GOAL; false: nothing waits. `let_go`:
 * kept results were let go, for the first time on this connection. */
bool link_endpoint_next_frame(link_endpoint_t *endpoint, uint64_t high_id, wire_writer_t *frame,
                              bool *let_go);
/* So many frames are settled. false: fewer were sent. */
FABRIC_MUST_USE bool link_endpoint_settle(link_endpoint_t *endpoint, uint64_t frames);
/* Until when entities stay without this broker, their home, so that the next home may have them:
 * until the lease is over. 0: they do not, since their results are not all there. */
uint64_t link_endpoint_orphans_until_ms(const link_endpoint_t *endpoint);

#endif
