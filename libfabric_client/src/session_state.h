/* The inside of a session, for session*.c alone. The README lists these files from bottom to top; a
 * file calls only files that stand before it there. Each part of the struct is written by the file
 * that its comment names. All files count in `stats`, and draw from `random`.
 */
#ifndef CLIENT_SESSION_STATE_H
#define CLIENT_SESSION_STATE_H

#include "core/log.h"
#include "core/message.h"
#include "core/random.h"
#include "libfabric_client/src/call_table_state.h"
#include "libfabric_client/src/jitter.h"
#include "libfabric_client/src/peers_state.h"
#include "libfabric_client/src/shard_queues_state.h"
#include "libfabric_client/src/times.h"

enum { PROBE_MS = 100 }; /* how often calls without a route, or of an unknown type, look for one */

/* The frame to a peer that is under construction or not sent yet. */
typedef struct peer_frame {
    wire_writer_t writer; /* empty: none */
    uint64_t number;
    size_t turn;  /* the peer that it is for: the one of the connection, or one that it carries */
    bool blocked; /* the connection takes nothing at present */
    uint64_t settled; /* as the last frame has said */
    /* session_cancels.c: CANCEL messages that go behind what was sent; and how many of their bytes
     * have gone. */
    wire_writer_t cancels;
    size_t cancels_sent;
} peer_frame_t;

/* What is worth a log line. */
typedef enum event_kind {
    EVENT_WELCOMED,
    EVENT_DISCONNECTED,
    EVENT_DEFERRED,
    EVENT_REFUSED,
    EVENT_UNRESOLVED,
    EVENT_MALFORMED,
    EVENT_KINDS
} event_kind_t;

enum {
    EVENTS_PER_S = 10, /* of each kind */
    EVENTS_MAX = EVENT_KINDS * EVENTS_PER_S
};

typedef struct session_events {
    bool wanted;
    session_event_t list[EVENTS_MAX];
    size_t first;
    size_t count;
    log_limiter_t limiters[EVENT_KINDS];
} session_events_t;

struct session {
    /* --- session.c --- */
    uint64_t client_number;
    uint64_t next_sequence;
    incarnation_t incarnation;
    char name[256];
    char cluster_name[256];
    uint32_t pending_max;
    bool closed;
    uint64_t random; /* state of a generator of core/random.h */
    uint64_t now_ms; /* of the event at hand; set by each function of session.h that has a time */

    /* --- session_answers.c --- */
    uint64_t high_id;
    uint64_t doubted_low;   /* far below high_id, heard once since one near it; 0: none */
    uint64_t doubted_high;  /* far above it, heard once; 0: none */
    uint64_t map_ask_at_ms; /* when the next sign of a newer map counts */

    /* --- session_connection.c --- */
    shard_map_t *map;
    uint8_t cluster_id[16];
    bool cluster_known;

    /* --- session_frames.c --- */
    peer_frame_t frames[SESSION_PEERS_MAX];
    size_t frame_turn; /* the peer that may send next */

    /* --- session_calls.c --- */
    call_list_t ready[SESSION_PEERS_MAX]; /* calls to be sent, by peer */
    size_t sent[SESSION_PEERS_MAX];       /* how many were sent and wait for answers, by peer */

    /* --- session_route.c --- */
    uint32_t probes;           /* for routes, since a map or a welcome came */
    uint64_t route_generation; /* +1 with each event that may change a route */
    uint64_t probe_at_ms;      /* NEVER: no call waits for a route */

    /* --- session_events.c --- */
    session_events_t events;

    /* --- the files of their own headers --- */
    peers_t peers;
    call_table_t calls;
    shard_queues_t queues;

    session_stats_t stats;
};

/* ---- session_answers.c ---- */

/* Each of these decodes a body and acts on it, or returns why it is malformed. */
FABRIC_MUST_USE fabric_error_t session_take_accepted(session_t *session, uint32_t peer,
                                                     wire_reader_t *body);
FABRIC_MUST_USE fabric_error_t session_take_reply(session_t *session, uint32_t peer,
                                                  wire_reader_t *body);
FABRIC_MUST_USE fabric_error_t session_take_rejected(session_t *session, uint32_t peer,
                                                     wire_reader_t *body);
FABRIC_MUST_USE fabric_error_t session_take_redirect(session_t *session, uint32_t peer,
                                                     wire_reader_t *body);
FABRIC_MUST_USE fabric_error_t session_take_answer(session_t *session, uint32_t peer,
                                                   wire_reader_t *body);
/* Raises the highest request id known. */
void session_note_id(session_t *session, uint64_t id);

/* ---- session_connection.c ---- */

/* A connection to a peer stands: a hello becomes due. */
void session_greet(session_t *session, uint32_t peer);
void session_welcomed(session_t *session, uint32_t peer, const message_welcome_t *welcome);
void session_refused(session_t *session, uint32_t peer, fabric_error_t error, fabric_bytes_t text);
/* The peer's connection is gone: durable calls wait to be sent again, volatile ones end. */
void session_lose_connection(session_t *session, uint32_t peer, const char *why);
/* Loses the connection, and asks the shell to connect anew. */
void session_renew_connection(session_t *session, uint32_t peer, const char *why);
/* The broker has said goodbye: it is sent nothing new, neither itself nor what it carries. */
void session_leave(session_t *session, uint32_t peer);
/* Says goodbye to brokers that wait for it and owe no answers any more. */
void session_finish_leaving(session_t *session);
/* Loses the connection; no other one is wanted for a while. */
void session_rest(session_t *session, uint32_t peer);
/* A carrier does not reach this broker any more. */
void session_relay_ended(session_t *session, uint32_t carrier, const message_relay_ended_t *ended);
void session_take_map(session_t *session, uint32_t peer, fabric_bytes_t map);
/* Pings, silence and reopening. */
void session_tick_peers(session_t *session);

/* ---- session_expire.c ---- */

/* Ends the calls whose deadline has come. */
void session_expire(session_t *session);

/* ---- session_queries.c ---- */

/* Answers or sends a waiting query if that is possible, or notes what it waits for. */
void session_dispatch_query(session_t *session, call_t *query);
/* A query to an entity's home, which the peer is not, or which cannot answer now: it is asked
 * again, until its deadline. */
void session_query_refused(session_t *session, uint32_t peer, call_t *query, fabric_error_t error,
                           fabric_bytes_t text);
/* Ends a query at its deadline: the broker that it is for has not answered it. */
void session_end_unanswered(session_t *session, call_t *query);

/* ---- session_dispatch.c ---- */

/* Sends a waiting call if it may be sent, or notes what it waits for. */
void session_dispatch(session_t *session, call_t *call);
/* Sends what may be sent of a queue, from the oldest call that waits on. */
void session_dispatch_queue(session_t *session, shard_queue_t *queue);
/* Sends what may be sent since calls have ended. */
void session_dispatch_released(session_t *session);
/* Sends what may be sent now that time has passed. */
void session_dispatch_due(session_t *session);
/* Routes may have changed: moves calls to their new peers and sends what waits. */
void session_reroute(session_t *session);
/* Lets a queue's calls wait until a time. */
void session_hold(session_t *session, shard_queue_t *queue, uint64_t until_ms);
/* A sent call was refused by a peer with Busy or MailboxFull: it waits until there may be
 * capacity. */
void session_wait_for_capacity(session_t *session, uint32_t peer, call_t *call,
                               fabric_error_t error, uint64_t hint_ms);
/* Ends a call for which there was no capacity; the text says whether it was refused or never
 * sent. */
void session_end_without_capacity(session_t *session, call_t *call, fabric_error_t error,
                                  const char *until);
/* When time may let something be sent. */
uint64_t session_dispatch_deadline(const session_t *session);

/* ---- session_cancels.c ---- */

/* Encodes the cancel of a call. */
void session_put_cancel(const call_t *call, wire_writer_t *frame);
/* Tells the broker that has the call, if there is one, that its caller does not want it. */
void session_tell_cancelled(session_t *session, const call_t *call);
/* Ends a call that its caller does not want, and that no broker has taken; false: it is not so. */
bool session_end_if_cancelled(session_t *session, call_t *call);
/* Whether all cancels that wait for this peer go with its next frame. */
bool session_cancels_fit(const session_t *session, size_t peer);
/* Puts cancels that wait for this peer into its frame. */
void session_put_cancels(session_t *session, size_t peer, wire_writer_t *frame);
/* Those that wait for this peer are of no use any more. */
void session_drop_cancels(session_t *session, size_t peer);

/* ---- session_frames.c ---- */

/* The connection of a frame is gone, and the frame with it. */
void session_drop_frame(session_t *session, uint32_t peer);
/* Whether a sent call is in a frame that has not left. */
bool session_is_in_frame(const session_t *session, const call_t *call);
/* The next frame to send. */
bool session_build_next_frame(session_t *session, size_t *peer, fabric_bytes_t *frame);

/* ---- session_calls.c ---- */

/* Takes a new call in: it waits. */
void session_open_call(session_t *session, call_t *call);
/* A waiting call is to be sent to a peer. */
void session_make_ready(session_t *session, call_t *call, uint32_t peer);
/* A ready call is in its peer's frame. */
void session_make_sent(session_t *session, call_t *call);
/* Takes a sent or ready call back: it waits. */
void session_take_back(session_t *session, call_t *call);
/* Takes back a sent or ready call that its peer would refuse, as an earlier call still waits. */
void session_fall_behind(session_t *session, call_t *call);
/* Whether an earlier call of a durable call's shard waits. */
bool session_is_behind(session_t *session, const call_t *call);
/* The map may have learnt the shard of a call that is in none yet. */
void session_relocate(session_t *session, call_t *call);
/* Ends a call. `answer` may be empty. */
void session_end(session_t *session, call_t *call, fabric_error_t error, fabric_bytes_t answer);
void session_end_text(session_t *session, call_t *call, fabric_error_t error, const char *text);
shard_queue_t *session_queue_of(session_t *session, const call_t *call);

/* ---- session_route.c ---- */

/* The shard of a call by the present map, or a queue of group 0. */
shard_id_t session_locate(const session_t *session, const call_t *call);
/* The peer for a call, connected or not; NO_PEER where no home is known. */
uint32_t session_route(session_t *session, const call_t *call);
/* The peer by which a broker of the map is reached, on a connection of its own or by way of another
 * one, connected or not; NO_PEER where there is no way. */
uint32_t session_reach(session_t *session, const map_broker_t *broker);
/* A redirect has named a peer for a shard; NO_PEER: it named none that may be used. */
void session_override_route(session_t *session, shard_queue_t *queue, uint32_t peer);
/* Redirects came from the map before the present one. */
void session_drop_overrides(session_t *session);
/* All routes are to be found anew. */
void session_forget_routes(session_t *session);
/* A call has no peer to go to: one is looked for. */
void session_look_for_route(session_t *session);
/* Whether it is time to look. */
bool session_take_probe(session_t *session);

/* ---- session_events.c ---- */

/* Keeps an event about a peer for the shell: `what`, and what the peer or others said of it, maybe
 * empty. */
void session_tell(session_t *session, event_kind_t kind, uint32_t peer, const char *what,
                  fabric_bytes_t words);
/* Counts what a peer sent and could not be read, and tells of it. */
void session_note_malformed(session_t *session, uint32_t peer, fabric_error_t error);

#endif
