/* The inside of a session, for the session's own files alone:
 *   session.c          making, connections, time
 *   session_calls.c    calls: opening, finding, ending, deadlines
 *   session_queue.c    durable calls: in order, held, and where there is no room for all
 *   session_route.c    which peer a call goes to, and again when routes change
 *   session_peers.c    peers: learning, breaking, welcoming
 *   session_frames.c   encoding
 *   session_receive.c  decoding frames; connection and map
 *   session_answers.c  decoding answers to calls
 */
#ifndef CLIENT_SESSION_STATE_H
#define CLIENT_SESSION_STATE_H

#include "core/limits.h"
#include "core/message.h"
#include "libfabric_client/src/list.h"
#include "libfabric_client/src/session.h"
#include "libfabric_client/src/window.h"

#define NO_PEER UINT32_MAX
#define NEVER   UINT64_MAX

enum {
    HEARTBEAT_MS = 1000,      /* until a welcome says otherwise */
    HEARTBEAT_MS_MIN = 10,    /* a broker cannot make the client spin */
    HEARTBEAT_MS_MAX = 60000, /* or go deaf */
    SILENT_HEARTBEATS = 3,    /* after which a connection counts as broken */
    CONNECTING_MS =
        4000, /* after which a socket is opened anew: after bytes that are no ZMTP libzmq never connects again */
    PROBE_MS = 100, /* how often calls without a route, or of an unknown type, look for one */
    BACKOFF_FIRST_MS = 10,      /* upper bound of the first random wait; doubles each time */
    BACKOFF_MAX_MS = 2000,      /* where it stops doubling */
    ROOM_PROBE_MS = 50,         /* before it is tried whether there is room again, at least */
    RETRY_AFTER_MS_MAX = 10000, /* a broker's hint counts up to this */
    OVERRIDE_MS = 2000,         /* how long a redirect to an unreachable broker is believed */
    REFUSED_RETRY_MS = 1000,    /* before a refusing broker is asked again */
    WHEEL_SLOTS = 1024,         /* of the deadlines */
    WHEEL_SLOT_MS = 4,
    WHEEL_SCAN_SLOTS = 128, /* looked ahead for the next deadline */
    UNLOCATED_QUEUES = 64   /* for types that the map does not know yet */
};

typedef enum peer_state {
    PEER_UNUSED,
    PEER_CONNECTING, /* no connection */
    PEER_GREETING,   /* hello said or due, no welcome yet */
    PEER_WELCOME,
    PEER_RESTING /* no connection is wanted before ping_at_ms */
} peer_state_t;

typedef struct peer {
    peer_state_t state;
    bool first_contact;
    char endpoint[256];
    incarnation_t broker; /* PEER_WELCOME */
    uint64_t connection;  /* of its last hello */
    uint64_t heard_at_ms;
    uint64_t
        reopen_at_ms; /* PEER_CONNECTING: when to give the socket up; NEVER: not known before the next tick */
    uint64_t ping_at_ms; /* PEER_WELCOME: the next; PEER_RESTING: when to open again */
    uint64_t ping_sequence;
    bool hello_due;
    bool ping_due;
    bool map_wanted_due;
    bool waits_due; /* with the next durable ask: it is to say why accepted calls wait */
    bool bye_due;
    bool blocked;
    bool action_due;
    session_action_kind_t action;
    fabric_error_t refusal; /* the last cause that the client is not welcome there */
    char refusal_text[256];
    fabric_error_t rejection; /* of a call, the last one of class RETRY */
    char rejection_text[256];
    wire_writer_t frame; /* under construction or not yet sent; empty: none */
    uint64_t frame_number;
    call_list_t ready;
    window_t window;             /* of durable calls */
    struct shard_queue *starved; /* queues that wait for room in it, in turn */
    struct shard_queue *starved_last;
} peer_t;

/* The unsettled durable calls of one shard: see session_queue.c. */
typedef struct shard_queue {
    call_list_t calls;
    call_t *waiting; /* the first that waits */
    size_t waiting_count;
    window_t window; /* of calls to this shard */
    uint32_t peer;   /* cached route, of this generation */
    uint64_t generation;
    uint32_t override; /* peer that a redirect named, or NO_PEER */
    uint64_t override_until_ms;
    bool held;         /* nothing is sent before due_ms */
    uint32_t attempts; /* how often it was held since a call was answered */
    bool timed;        /* to be looked at again at due_ms */
    uint64_t due_ms;
    struct shard_queue *timed_previous;
    struct shard_queue *timed_next;
    uint32_t starved_at; /* peer for whose room it waits; NO_PEER: none */
    struct shard_queue *starved_previous;
    struct shard_queue *starved_next;
} shard_queue_t;

struct session {
    uint64_t client_number;
    uint64_t next_sequence;
    incarnation_t incarnation;
    char name[256];
    char cluster_name[256];
    uint32_t pending_max;
    bool allow_plaintext;
    bool closed;
    uint64_t random;
    uint64_t now_ms;

    shard_map_t *map;
    uint64_t map_generation;   /* +1 with each applied change of the map */
    uint64_t map_ask_at_ms;    /* when the next sign of a newer map counts */
    uint64_t route_generation; /* +1 with each event that may change a route */
    uint64_t high_id;
    uint64_t doubted_id; /* far from high_id, heard once; 0: none */
    uint8_t cluster_id[16];
    bool cluster_known;
    uint64_t heartbeat_ms;

    peer_t peers[SESSION_PEERS_MAX];
    size_t peer_count;   /* upper bound of the indexes in use */
    size_t frame_turn;   /* the peer that may send next */
    uint64_t connection; /* number of the last hello, over all peers */

    call_t **buckets;
    size_t bucket_count; /* a power of two */
    call_list_t open;
    call_list_t waiting; /* volatile calls and queries that wait for a route or a retry */
    uint64_t waiting_due_ms;
    call_list_t done;

    call_list_t wheel[WHEEL_SLOTS];
    uint64_t wheel_due_ms;  /* no deadline is earlier */
    uint64_t wheel_done_ms; /* up to here all slots were looked at */

    shard_queue_t *queues[LIMIT_GROUPS_MAX + 1]; /* by group; 0: unlocated */
    shard_queue_t *timed;
    uint64_t timed_due_ms; /* no timed queue is due earlier */
    uint64_t room_due_ms;  /* when those that are starved may get room; NEVER: there are none */
    uint64_t probe_at_ms;  /* NEVER: no call waits for a route */
    bool actions_due;

    session_stats_t stats;
};

/* ---- session.c ---- */
void *session_allocate(size_t count, size_t size);
/* Uniform in 0..bound inclusive. */
uint64_t session_random(session_t *session, uint64_t bound);
/* A random wait for the n-th attempt (0, 1, ...): full jitter under a doubling bound. */
uint64_t session_backoff(session_t *session, uint32_t attempt);
uint64_t session_earlier(uint64_t a, uint64_t b);

/* ---- session_calls.c ---- */
call_t *session_find(const session_t *session, uint64_t sequence);
/* Ends a call: takes it out of all lists but done. `answer` may be empty. */
void session_end(session_t *session, call_t *call, fabric_error_t error, fabric_bytes_t answer);
void session_end_text(session_t *session, call_t *call, fabric_error_t error, const char *text);
/* Ends a call for which there was no room, and says whether the broker did not take it or we did not send it. */
void session_end_for_room(session_t *session, call_t *call, fabric_error_t error,
                          const char *until);
void session_expire(session_t *session);

/* ---- session_queue.c ---- */
/* Puts a durable call, waiting or sent, into its shard's queue; takes it out. */
void session_queue_enter(session_t *session, call_t *call);
void session_queue_leave(session_t *session, call_t *call);
/* Whether an earlier call of a durable call's shard waits. */
bool session_is_behind(session_t *session, const call_t *call);
/* Takes such a call back, which the peer did not take or would not. */
void session_fall_behind(session_t *session, call_t *call);
/* A call in its queue waits again. */
void session_queue_waits(session_t *session, call_t *call);
/* Sends what may be sent of a queue, from the oldest that waits on. */
void session_send_queue(session_t *session, shard_queue_t *queue);
/* Lets a queue's calls wait for a time. */
void session_hold(session_t *session, shard_queue_t *queue, uint64_t retry_at_ms);
/* A durable call is under way no longer; `answered`: since it was done. */
void session_leave_windows(session_t *session, const call_t *call, bool answered);
/* A sent call was refused by a peer with Busy or MailboxFull: it waits until there may be room. */
void session_refused_for_room(session_t *session, uint32_t peer, call_t *call, fabric_error_t error,
                              uint64_t hint_ms);
/* Why a durable call waits for room, or FABRIC_OK. */
fabric_error_t session_no_room(session_t *session, const call_t *call);
/* The peer's connection is gone, and what is known of its room with it. */
void session_forget_room(session_t *session, uint32_t peer);
void session_retry_queues(session_t *session);

/* ---- session_route.c ---- */
shard_queue_t *session_queue(session_t *session, shard_id_t shard);
/* The shard of a call by the present map, or a queue of group 0. */
shard_id_t session_locate(const session_t *session, const call_t *call);
/* The peer for a shard, connected or not; NO_PEER where no home is known. */
uint32_t session_route(session_t *session, shard_id_t shard);
bool session_peer_is_welcome(const session_t *session, uint32_t peer);
/* A call has no peer to go to: it is looked for. */
void session_look_for_route(session_t *session);
void session_make_ready(session_t *session, call_t *call, uint32_t peer);
/* Takes a call that is in no send list to where it can be sent, or lets it wait. */
void session_dispatch(session_t *session, call_t *call);
/* Takes a sent or ready call back to waiting; it is not dispatched. */
void session_take_back(session_t *session, call_t *call);
/* Lets a volatile call wait. */
void session_park(session_t *session, call_t *call, uint64_t retry_at_ms);
/* Routes may have changed: dispatches what waits. */
void session_reroute(session_t *session);
void session_retry_due(session_t *session);

/* ---- session_peers.c ---- */
/* The peer with an endpoint, learnt now if need be; NO_PEER where it may not be used. */
uint32_t session_learn(session_t *session, const char *endpoint);
uint32_t session_find_broker(const session_t *session, incarnation_t broker);
void session_act(session_t *session, peer_t *peer, session_action_kind_t action);
/* Forgets a peer's connection: durable calls wait to be sent again, volatile ones end. */
void session_break(session_t *session, uint32_t peer, peer_state_t next);
void session_greet(session_t *session, uint32_t peer);
void session_welcomed(session_t *session, uint32_t peer, const message_welcome_t *welcome);
void session_refused(session_t *session, uint32_t peer, fabric_error_t error, fabric_bytes_t text);
/* Notes that a peer did not take a call that it may be sent again, and why. */
void session_rejected(session_t *session, uint32_t peer, call_t *call, fabric_error_t error,
                      fabric_bytes_t text);
/* Takes a map over. */
void session_take_map(session_t *session, uint32_t peer, fabric_bytes_t map);
/* Pings, silence and reopening. */
void session_tick_peers(session_t *session);

/* ---- session_answers.c: each decodes a body and acts on it, or returns why it is no such message
 * ---- */
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
void session_seen_id(session_t *session, uint64_t id);

#endif
