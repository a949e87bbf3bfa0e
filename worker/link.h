/* The worker's link: what a worker sends to its brokers, and which shards it owns under which
 * tokens.
 *
 * The link is a state machine without sockets, clocks, threads and entities. A shell (or a
 * simulator) tells it what happened: connected, disconnected, a frame, time passing, an executor's
 * output. After each call the shell pulls what is to be done: sockets to open, frames to send, work
 * for executors, events to log.
 *
 * Invariants:
 *  1. The link sends nothing but HELLO on a connection before the WELCOME has come, and behind the
 *     HELLO the standing that operators have given the worker, so that no broker gives it shards
 *     that it is not to have.
 *  2. The worker owns a type's part of a shard under one token, through one broker's connection.
 *     The link ignores a token that is not above the highest it has seen of the shard, whoever
 *     sends the token.
 *  3. The link sends RELEASED after every result under the token, and only when the shard's
 *     executor has confirmed that the entities are stopped. It sends RELEASED at once for a token
 *     under which the worker owns nothing; after a connection has broken these are all of its
 *     tokens. A home that gives up its lane is told nothing.
 *  4. Output that belongs to a broken connection is not sent: brokers would refuse its tokens.
 *     Results of orphaned ownerships are kept for their next home, all others dropped.
 *  5. No bytes from a broker can do harm: malformed messages are skipped one by one.
 *  6. What is dropped is counted (link_dropped).
 *
 * Times are monotonic milliseconds of the caller's clock. Threading: one thread; others may read a
 * lease, link_shards and link_dropped.
 */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include "core/limits.h"
#include "core/shard_map.h"
#include "core/standing.h"
#include "worker/work.h"

#define LINK_ENDPOINTS_MAX (2u * LIMIT_BROKERS_MAX)

typedef struct link link_t;

typedef struct link_config {
    incarnation_t incarnation;
    fabric_bytes_t cluster_name; /* empty: any */
    fabric_bytes_t name;
    fabric_bytes_t types; /* encoded, as in HELLO */
    uint32_t weight;
    uint64_t app_version; /* of the program; 0: it has none */
    uint32_t window;
    uint32_t grace_ms; /* for running handlers when the link leaves or a shard is lost */
    uint32_t executors;
    uint32_t stuck_ms;    /* a step of an executor that takes longer than this is stuck */
    uint32_t slow_ms;     /* the shortest time after which a handler is slow; the shell's */
    bool allow_plaintext; /* whether brokers of the map beyond this machine may be connected */
    bool supervised;      /* whether a supervisor will report how this process ended */
    runner_standing_t standing; /* of the process before this one */
} link_config_t;

/* Copies what the configuration points at. */
link_t *link_new(const link_config_t *config, uint64_t now_ms);
void link_destroy(link_t **link);

/* Adds a broker to connect to, a ZeroMQ endpoint. LIMIT_EXCEEDED past LINK_ENDPOINTS_MAX. */
FABRIC_MUST_USE fabric_error_t link_add_endpoint(link_t *link, const char *endpoint);
/* Endpoints are numbered from 0; a number may be used again after LINK_SOCKET_CLOSE. */
const char *link_endpoint_name(const link_t *link, uint32_t endpoint);

/* What has happened. An endpoint is connected when the handshake of its socket is done. */
void link_connected(link_t *link, uint32_t endpoint, uint64_t now_ms);
void link_disconnected(link_t *link, uint32_t endpoint, uint64_t now_ms);
/* `frame` is borrowed; deliveries that point into it take references. */
void link_receive(link_t *link, uint32_t endpoint, work_frame_t *frame, uint64_t now_ms);
/* A message came that is no frame, or has several parts. The shell reads nothing more before it has
 * closed the socket, which the link opens anew after a while: a delivery may have been lost with
 * the message, and the broker would wait for its result as long as the connection lasts. */
void link_unreadable(link_t *link, uint32_t endpoint, uint64_t now_ms);
void link_tick(link_t *link, uint64_t now_ms);
/* Takes a list of an executor's outputs, in the order in which the executor made them. */
void link_output(link_t *link, work_output_t **outputs);
/* Tells what the executors do: for each of them the time at which its present step began, 0 where
 * it takes none. To be called now and then, a few times in stuck_ms. */
void link_look(link_t *link, const uint64_t *since_ms, uint64_t now_ms);
/* Asks the brokers to take the shards away: those that have welcomed the worker at once, and those
 * that have not answered its hello yet when they welcome it. */
void link_leave(link_t *link, fabric_bytes_t reason, uint64_t now_ms);
/* Whether all brokers have let the worker go, or the time for leaving is over. */
bool link_left(const link_t *link, uint64_t now_ms);

/* The latest time at which link_tick is to be called. */
uint64_t link_next_deadline(const link_t *link);

typedef enum link_socket {
    LINK_SOCKET_OPEN,   /* open a socket and connect it */
    LINK_SOCKET_REOPEN, /* close it and open a fresh one: the connection is presumed dead */
    LINK_SOCKET_CLOSE   /* close it */
} link_socket_t;
/* Takes the next action on a socket; false: none. */
bool link_next_socket(link_t *link, uint32_t *endpoint, link_socket_t *action);
/* Replaces `frame` by a frame with what waits for an endpoint, up to LIMIT_FRAME_BYTES_GOAL; false:
 * nothing waits. */
bool link_next_frame(link_t *link, uint32_t endpoint, wire_writer_t *frame);
/* Takes the next piece of work, which is the caller's; NULL: none. */
work_t *link_next_work(link_t *link);

typedef enum link_event_kind {
    LINK_EVENT_ABSENT,       /* no broker has welcomed the worker for a while; once */
    LINK_EVENT_WELCOMED,     /* a broker took the worker in */
    LINK_EVENT_DISCONNECTED, /* the connection of a welcomed worker broke */
    LINK_EVENT_SILENT,       /* a broker was not heard for a lease */
    LINK_EVENT_REFUSED,      /* a broker refused the worker: error and text */
    LINK_EVENT_MALFORMED,    /* a frame or message was skipped: error; the first of a connection */
    LINK_EVENT_STANDING,     /* an operator has given the worker another standing */
    LINK_EVENT_UNRESOLVED,   /* a broker's name is not resolved: text. Made by the shell */
    /* A broker does not say that results are durable, and the oldest of them are let go: entities
     * will not outlive this broker. The first of a connection. */
    LINK_EVENT_UNSETTLED,
    LINK_EVENT_PLAINTEXT, /* a broker of the map would be reached without encryption */
    LINK_EVENT_STUCK,     /* an executor is stuck: executor, step_ms; the shell adds a text */
    LINK_EVENT_RECOVERED, /* an executor is not stuck any more: executor */
    LINK_EVENT_SLOW       /* a handler takes long: text. Made by the shell */
} link_event_kind_t;

typedef struct link_event {
    link_event_kind_t kind;
    fabric_error_t error;
    bool final;                 /* REFUSED: the broker would refuse the worker again */
    uint32_t executor;          /* STUCK, RECOVERED */
    uint64_t step_ms;           /* STUCK: for how long its step has taken */
    runner_standing_t standing; /* STANDING */
    char endpoint[LIMIT_ENDPOINT_BYTES_MAX + 1];
    char text[256];
} link_event_t;
/* Takes the next event worth a log line; false: none. */
bool link_next_event(link_t *link, link_event_t *event);

/* Ownerships, of one type in one shard each, that the worker has now. Any thread. */
uint64_t link_shards(const link_t *link);
/* Frames and messages of brokers that could not be read or came too late, and results of
 * connections that are gone. Any thread. */
uint64_t link_dropped(const link_t *link);

#endif
