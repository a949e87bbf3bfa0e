/* The client session: everything that a client decides, without sockets, clocks or threads.
 *
 * Events go in as function calls, each with the time (monotonic milliseconds of any origin).
 * Effects are pulled out: frames to send (session_next_frame), calls that ended
 * (session_next_done), connections to open or close (session_next_action) and, where the shell
 * wants them, events for the log (session_next_event). After each event the shell pulls all of them
 * until they are empty. session_next_deadline tells when session_tick is due at the latest.
 *
 * A peer is one broker endpoint, named by an index that the session chooses. A relayed peer is a
 * broker that the session reaches by way of another peer, its carrier: it has no connection, and
 * its frames travel inside those of its carrier. The shell adds first
 * contacts by session_add_endpoint; the session learns others from the map and from redirects. The
 * shell keeps one connection for each peer that an ACTION_OPEN names, until ACTION_CLOSE.
 *
 * What the session promises:
 *  1. Durable calls of one shard are sent in the order of their sequences, each naming its
 *     predecessor. They are sent again (with REQUEST_RESEND) after a reconnect, a redirect, a
 *     change of home or a rejection of class RETRY, until they are settled or their deadline has
 *     come.
 *  2. A volatile call is sent once. It is sent again only after a broker said that it did not take
 *     the call.
 *  3. A call ends with an error that excludes its acceptance only if each single send of it was
 *     refused or certainly not sent. Otherwise it ends as OUTCOME_UNKNOWN.
 *  4. The bytes of a frame are validated. A malformed message is dropped; the other messages of its
 *     frame count.
 *  5. Memory is bounded by pending_max calls and one frame for each peer.
 *
 * Threading: none of its own; a session belongs to one thread at a time.
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "core/reason.h"
#include "core/shard_map.h"
#include "libfabric_client/src/call.h"

typedef struct session session_t;

#define SESSION_PEERS_MAX 128 /* first contacts and brokers of the map together */

/* Which brokers the client reaches by way of others, which forward its frames. */
typedef enum session_forward {
    SESSION_FORWARD_AUTO,   /* those that do not welcome it, or may not be connected */
    SESSION_FORWARD_ALWAYS, /* all but its first contacts */
    SESSION_FORWARD_NEVER
} session_forward_t;

typedef struct session_config {
    uint64_t client_number;    /* first half of all call keys; not 0 */
    uint64_t first_sequence;   /* of the first call; 0 means 1 */
    incarnation_t incarnation; /* random, made at start */
    const char *name;          /* for people; borrowed until session_new returns, as the next */
    const char *cluster_name;  /* NULL or empty: any */
    uint32_t pending_max;      /* calls open at once, 1..LIMIT_PENDING_CALLS_MAX */
    uint64_t seed;             /* of the jitter of retries */
    bool allow_plaintext;      /* also learnt endpoints beyond this machine are used */
    session_forward_t forward;
    bool events; /* the shell takes them by session_next_event */
} session_config_t;

session_t *session_new(const session_config_t *config);
/* The shell has taken out all done calls before (see session_close). */
void session_destroy(session_t **session);

/* ---- connections ---- */

/* Adds a first contact and asks for its connection. The endpoint is a checked one. LIMIT_EXCEEDED
 * when there are SESSION_PEERS_MAX. Adding one again gives its index. */
FABRIC_MUST_USE fabric_error_t session_add_endpoint(session_t *session, const char *endpoint,
                                                    size_t *peer);

typedef enum session_action_kind {
    ACTION_OPEN,   /* begin to connect to `endpoint`, with reconnects, under the index `peer` */
    ACTION_REOPEN, /* drop the peer's connection and connect anew */
    ACTION_CLOSE   /* drop the peer's connection; the index may be used for another one later */
} session_action_kind_t;

typedef struct session_action {
    session_action_kind_t kind;
    size_t peer;
    char endpoint[256];
} session_action_t;

/* Takes the next action; false when there is none. */
bool session_next_action(session_t *session, session_action_t *action);
/* The connection to a peer stands: the session says hello. */
void session_connected(session_t *session, size_t peer, uint64_t now_ms);
/* The connection to a peer broke. After a REOPEN or CLOSE the shell need not say so. */
void session_disconnected(session_t *session, size_t peer, uint64_t now_ms);
/* The shell cannot connect to the peer at present; `text` says why, for people, such as an unknown
 * host. */
void session_cannot_connect(session_t *session, size_t peer, const char *text);
/* A frame has arrived from a peer. */
void session_receive(session_t *session, size_t peer, fabric_bytes_t frame, uint64_t now_ms);

/* A peer has sent what no broker sends: its connection is to be closed before anything more is read
 * from it, and is made anew after a while. */
void session_unreadable(session_t *session, size_t peer, uint64_t now_ms);

/* An event for the program's log. */
enum { SESSION_EVENT_TEXT_SIZE = 512 };
typedef struct session_event {
    fabric_log_level_t level;
    const char *code; /* static */
    char text[SESSION_EVENT_TEXT_SIZE];
} session_event_t;

/* Takes the next event; false when there is none. */
bool session_next_event(session_t *session, session_event_t *event);

/* ---- frames ---- */

/* The next frame to send; valid until the next call with this session. The frame stays the next one
 * of its peer until the shell says what became of it, by one of the two functions below. False:
 * there is nothing to send. */
bool session_next_frame(session_t *session, uint64_t now_ms, size_t *peer, fabric_bytes_t *frame);
void session_frame_sent(session_t *session, size_t peer);
/* The peer's connection takes nothing at present; the frame is offered again after
 * session_writable. */
void session_frame_blocked(session_t *session, size_t peer);
void session_writable(session_t *session, size_t peer);
bool session_is_blocked(const session_t *session, size_t peer);

/* ---- time ---- */

void session_tick(session_t *session, uint64_t now_ms);
/* When session_tick is due, in the same milliseconds; UINT64_MAX: never. */
uint64_t session_next_deadline(const session_t *session);

/* ---- calls ---- */

/* Takes a call over; it ends by session_next_done, sooner or later. A call whose sequence is given
 * and not `keyed` must have a larger one than all before. */
void session_submit(session_t *session, call_t *call, uint64_t now_ms);
/* The caller of an open call wants it to end: it ends as CANCELLED, or as it would have ended. A
 * tell that may have been sent goes on. Nothing happens if no such call is open. */
void session_cancel(session_t *session, uint64_t sequence, uint64_t now_ms);
/* The next call that has ended, the caller's again; NULL when there is none. */
call_t *session_next_done(session_t *session);
/* Ends all calls and says goodbye to the brokers: pull the frames and the done calls afterwards. */
void session_close(session_t *session);

/* ---- state for the shell ---- */

typedef struct session_stats {
    uint64_t started;
    uint64_t completed;
    uint64_t accepted;
    uint64_t resent;
    uint64_t connections;
    uint64_t malformed; /* frames and messages dropped, as they could not be read */
    /* Messages dropped that no open call and no hello waits for: late ones, or of an older
     * connection. */
    uint64_t unexpected;
} session_stats_t;

session_stats_t session_stats(const session_t *session);
/* Whether any broker has welcomed the client and is connected. */
bool session_is_welcome(const session_t *session);
/* Why no broker will welcome the client: an error of class REJECTED or FATAL when all first
 * contacts have given one, with its text (valid until the next call with this session); else
 * FABRIC_OK. */
fabric_error_t session_refusal(const session_t *session, const char **text);
/* Why no broker has welcomed the client so far: the error of a first contact that refused it, else
 * NOT_CONNECTED. `text` gets the last cause of each first contact, with its number; it is empty
 * where no first contact has said anything. */
fabric_error_t session_cause(const session_t *session, reason_t *text);
/* How many calls are open, and the sequence below which all are settled. */
size_t session_open_calls(const session_t *session);
uint64_t session_settled(const session_t *session);

#endif
