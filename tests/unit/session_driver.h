/* A client session with a clock of its own, whose brokers are played by a test: the driver decodes
 * the frames that the session offers, and encodes answers.
 *
 * The session knows broker 0 as its first contact. The scripted cluster has up to 3 brokers; its
 * maps name two as a rule, one group `default` and the entity types `Other` and, mostly, `Counter`.
 * Peer index i is broker i, as long as the session learns the brokers in this order.
 */
#ifndef TESTS_SESSION_DRIVER_H
#define TESTS_SESSION_DRIVER_H

#include "core/message.h"
#include "libfabric_client/src/session.h"

#define SEEN_MAX 8192

typedef struct seen_message {
    message_kind_t kind;
    message_request_t request; /* KIND_REQUEST: the numbers; its views are gone */
    uint64_t hello_connection; /* KIND_HELLO */
    uint64_t query_sequence;   /* KIND_QUERY */
    uint64_t cancel_sequence;  /* KIND_CANCEL */
    uint64_t frame, settled;   /* the number of its frame to the peer, and what its head says */
} seen_message_t;

typedef struct session_driver {
    session_t *session;
    uint64_t now_ms;
    wire_writer_t out;             /* the frame to be delivered next */
    frame_head_t head;             /* of the last frame pulled */
    uint64_t frames;               /* so far */
    seen_message_t seen[SEEN_MAX]; /* the messages of the last pull */
    size_t seen_count;
    size_t map_brokers; /* that maps name: 2, or as the test says */
    bool by_way;        /* broker 1 is reached by way of broker 0: its frames are relayed */
} session_driver_t;

/* For a test whose state is its driver. */
int session_driver_setup(void **state);
int session_driver_teardown(void **state);
#define SESSION_TEST(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, session_driver_setup, session_driver_teardown)

session_driver_t *session_driver_new_with(uint32_t pending_max);
/* A session that relays as `forward` says; the driver relays for broker 1. */
session_driver_t *session_driver_new_relaying(uint32_t pending_max, session_forward_t forward);
void session_driver_destroy(session_driver_t **driver);

/* ---- what the session says ---- */

/* Takes all frames that are offered, as sent. Keeps the messages to `peer` in `seen`, and returns
 * how many they are. */
size_t script_pull(session_driver_t *d, size_t peer);
/* The same, but counts and keeps requests only. */
size_t script_pull_requests(session_driver_t *d, size_t peer);
/* The next call that ended has this sequence and this error. */
void script_expect_end(session_driver_t *d, uint64_t sequence, fabric_error_t error);

/* The same, and the text for people contains `text`. */
void script_expect_end_saying(session_driver_t *d, uint64_t sequence, fabric_error_t error,
                              const char *text);

/* ---- calls ---- */

/* Starts a call to (Counter, id); timeout 0: 30 s. Returns its sequence. */
uint64_t script_call(session_driver_t *d, const char *id, uint32_t flags, uint64_t timeout_ms);
uint64_t script_ask(session_driver_t *d, bool durable, const char *id);
/* A durable ask of (Other, id), which is in the same shard as (Counter, id). */
uint64_t script_ask_other(session_driver_t *d, const char *id);

/* ---- events ---- */

void script_advance(session_driver_t *d, uint64_t ms);
/* Connects and takes the hello. */
void script_connect(session_driver_t *d, size_t peer);
/* Connects, welcomes with all shards at home with broker `home` (-1: none), and takes the
 * actions. */
void script_join(session_driver_t *d, size_t peer, int home);
void script_welcome(session_driver_t *d, size_t peer, uint64_t connection, int home);
/* The same, but this broker answers at the peer's endpoint. */
void script_welcome_as(session_driver_t *d, size_t peer, size_t broker, uint64_t connection,
                       int home);
/* Welcomes the last hello, with a map of this version that knows the type or not. */
void script_map_welcome(session_driver_t *d, size_t peer, uint64_t term, uint64_t sequence,
                        int home, bool type);

/* ---- frames from brokers ---- */

const char *script_endpoint(size_t broker);
void script_frame(wire_writer_t *out);                 /* begins one */
void script_deliver(session_driver_t *d, size_t peer); /* delivers `out` */
void script_who(session_driver_t *d, size_t peer);
void script_bye(session_driver_t *d, size_t peer);
void script_pong(session_driver_t *d, size_t peer, uint64_t term, uint64_t sequence);
void script_map(session_driver_t *d, size_t peer, uint64_t term, uint64_t sequence, int home,
                bool type);
void script_accepted(session_driver_t *d, size_t peer, uint64_t sequence, uint64_t request_id);
void script_reply(session_driver_t *d, size_t peer, uint64_t sequence, uint64_t request_id);
void script_reject(session_driver_t *d, size_t peer, uint64_t sequence, fabric_error_t error,
                   uint64_t retry_after_ms);
/* Why an accepted call waits. */
void script_wait_reason(session_driver_t *d, size_t peer, uint64_t sequence, const char *text);
void script_redirect(session_driver_t *d, size_t peer, uint64_t sequence, const char *endpoint);

#endif
