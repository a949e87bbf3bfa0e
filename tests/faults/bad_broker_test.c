/* A fake broker sends junk: the real client library and the real worker drop the junk, stay
 * bounded, and go on with a real broker. A peer that only claims to be a broker is refused by the
 * real ones.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "core/limits.h"
#include "core/random.h"
#include "core/snowflake.h"
#include "tests/harness/background_client.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/raw_fabric.h"
#include "tests/harness/raw_peer.h"
#include "tests/harness/vectors.h"

enum {
    PARTS = 2,
    FRAMES_MAX = 2000,
    CONNECTIONS = 6,
    SERVE_MS = 60000,
    CLOSED_MS = 2500, /* less than a link waits for a welcome before it connects anew */
    READ_MS = 100,
    LIFT_MS = 900,  /* a broker takes ids of others that are less than 1 s ahead of its time */
    CALM_MS = 3000, /* in which lanes of a broker that drains would move */
    KIB_PER_MIB = 1024
};

/* The fake broker does a handshake with each peer, sends all its frames, then one of several
 * misdeeds. */
typedef struct junk_broker {
    int listening;
    char endpoint[64];
    pthread_t thread;
    atomic_bool stopping;
    atomic_uint served;
    atomic_uint closed; /* connections that the peer closed before anything else was sent */
    bool parts_only;    /* sends no frames, and always the same misdeed */
    size_t count;
    fabric_bytes_t frames[FRAMES_MAX];
} junk_broker_t;

static junk_broker_t junk;

static void keep_frame(const vector_t *vector, void *context)
{
    (void)context;
    assert_true(junk.count < FRAMES_MAX);
    uint8_t *copy = malloc(vector->bytes.size + 1);
    assert_non_null(copy);
    memcpy(copy, vector->bytes.data, vector->bytes.size);
    junk.frames[junk.count++] = fabric_bytes(copy, vector->bytes.size);
}

static void send_something_else(raw_peer_t *peer, unsigned turn)
{
    static const uint8_t noise[64] = {0xff, 0xff, 0x07, 0x40, 0x91};
    switch (turn % 4) {
    case 0:
        (void)raw_send_header(peer, 0, UINT64_C(1) << 62);
        break;
    case 1:
        (void)raw_send(peer, noise, sizeof noise);
        break;
    case PARTS:
        for (int i = 0; i < 1000 && raw_send_frame(peer, RAW_MORE, fabric_bytes_of("x")); i++) {
        }
        (void)raw_send_frame(peer, 0, junk.frames[0]);
        break;
    default: /* silence */
        break;
    }
}

static void *serve(void *argument)
{
    (void)argument;
    while (!atomic_load(&junk.stopping)) {
        raw_peer_t *peer = raw_peer_accept(junk.listening, 20);
        if (!peer) {
            continue;
        }
        unsigned turn = atomic_fetch_add(&junk.served, 1);
        if (junk.parts_only) {
            turn = PARTS;
        }
        if (turn % 5 == 4) { /* bytes that are not ZMTP */
            (void)raw_send(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
        } else if (raw_handshake(peer, "ROUTER", fabric_bytes_of(""))) {
            size_t count = junk.parts_only ? 0 : junk.count;
            for (size_t i = 0; i < count && raw_send_frame(peer, 0, junk.frames[i]); i++) {
            }
            send_something_else(peer, turn);
        }
        /* libzmq drops what was not read when the connection ends, so some get time to read */
        uint32_t stays_ms = junk.parts_only ? CLOSED_MS : turn % 2 == 0 ? READ_MS : 0;
        atomic_fetch_add(&junk.closed, raw_is_closed(peer, stays_ms));
        raw_peer_destroy(&peer);
    }
    return NULL;
}

static void junk_listen(bool parts_only)
{
    junk = (junk_broker_t){.parts_only = parts_only};
    vectors_visit("schemas/vectors/frames.txt", keep_frame, NULL);
    vectors_visit("schemas/vectors/values.txt", keep_frame, NULL);
    junk.listening = raw_listen(junk.endpoint);
}

static void junk_start(void)
{
    assert_int_equal(pthread_create(&junk.thread, NULL, serve, NULL), 0);
}

static void junk_stop(void)
{
    atomic_store(&junk.stopping, true);
    pthread_join(junk.thread, NULL);
    close(junk.listening);
    for (size_t i = 0; i < junk.count; i++) {
        free((void *)(uintptr_t)junk.frames[i].data);
    }
}

static void wait_until_served(unsigned connections, unsigned closed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + SERVE_MS;
    while (atomic_load(&junk.served) < connections || atomic_load(&junk.closed) < closed) {
        testbed_poll(deadline_ms, "connections to the broker that sends junk, and their ends");
    }
}

static void join_a_junk_broker(testbed_t *bed, bool parts_only)
{
    /* the junk contains a valid welcome of another cluster, so client and worker must know the name
     * of their own */
    static const char *const arguments[] = {"--cluster-name", "fabric", NULL};
    bed->worker_arguments = arguments;
    testbed_start(bed, 1);
    junk_listen(parts_only);
    char sound[sizeof bed->cluster.urls];
    snprintf(sound, sizeof sound, "%s", bed->cluster.urls);
    snprintf(bed->cluster.urls, sizeof bed->cluster.urls, "%s,%.290s", junk.endpoint, sound);
    testbed_add_worker(bed); /* it knows both */
    testbed_wait_ready(bed, 2);
    background_client_t *background = background_client_start(bed); /* likewise */
    background_client_check(background);
    junk_start(); /* not earlier: a peer that is refused before its first welcome gives up */
    /* A peer that reads on is aborted by libzmq when the connection ends between two parts. */
    wait_until_served(CONNECTIONS, parts_only ? CONNECTIONS / 2 : 0);
    uint64_t deadline_ms = clock_monotonic_ms() + SERVE_MS;
    while (process_log_count(&bed->cluster, "worker-1.log", " warn ") == 0) {
        testbed_poll(deadline_ms, "a connection of the worker to the broker that sends junk");
    }
    background_client_check(background);
    testbed_wait_ready(bed, 2);
    assert_true(process_runs(&bed->cluster.workers[1]));
    assert_in_range(process_rss_kib(&bed->cluster.workers[1]), 0, 200 * KIB_PER_MIB);
    assert_in_range(process_log_count(&bed->cluster, "worker-1.log", " warn "), 1,
                    4 * atomic_load(&junk.served)); /* a few lines a connection, not one a frame */
    background_client_end(&background);
    junk_stop();
}

static void client_and_worker_of_a_broker_that_sends_junk(void **state)
{
    join_a_junk_broker(*state, false);
}

static void client_and_worker_of_a_broker_that_sends_parts(void **state)
{
    join_a_junk_broker(*state, true);
}

/* ---- a peer that claims to be a broker ---- */

static incarnation_t incarnation_at(testbed_t *bed, uint32_t broker)
{
    char text[33];
    incarnation_t incarnation;
    assert_int_equal(testbed_lanes_held(bed, bed->cluster.broker_urls[broker], text),
                     TESTBED_LANES / 2);
    size_t size = 0;
    uint8_t *bytes = vectors_parse_hexadecimal(text, &size);
    assert_int_equal(size, sizeof incarnation.bytes);
    memcpy(incarnation.bytes, bytes, size);
    free(bytes);
    return incarnation;
}

/* What the peer says is not handled: it is asked who it is. */
static void say_in_its_name(raw_fabric_t *peer)
{
    wire_reader_t body;
    assert_true(raw_say(peer, broker_state, &(message_broker_state_t){1}));
    assert_true(raw_hear(peer, KIND_WHO, SERVE_MS, &body));
    wire_writer_t frame = {0};
    request_id_t ahead = snowflake_make((snowflake_parts_t){clock_wall_ms() + LIFT_MS, 0, 0});
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, ahead.value, 0});
    message_put_ping(&frame, &(message_ping_t){.sequence = 1});
    assert_true(raw_fabric_frame(peer, wire_writer_bytes(&frame)));
    wire_writer_destroy(&frame);
    assert_true(raw_hear(peer, KIND_WHO, SERVE_MS, &body));
}

/* The map tells brokers' incarnations to everybody. */
static void claim(testbed_t *bed, uint32_t receiver, uint32_t sender)
{
    incarnation_t incarnation = incarnation_at(bed, sender);
    uint8_t proof[32];
    raw_fabric_t peer = raw_fabric_connect(bed->cluster.broker_urls[receiver]);
    message_hello_t hello = raw_client_hello(0, UINT32_MAX);
    hello.role = ROLE_BROKER;
    hello.incarnation = fabric_bytes(incarnation.bytes, sizeof incarnation.bytes);
    assert_int_equal(raw_hello(&peer, &hello), FABRIC_ERROR_NOT_CONNECTED);
    random_bytes(proof, sizeof proof);
    hello.proof = fabric_bytes(proof, sizeof proof);
    assert_int_equal(raw_hello(&peer, &hello), FABRIC_ERROR_NOT_CONNECTED);
    say_in_its_name(&peer);
    raw_fabric_close(&peer);
}

#define NOW_MS "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)"

/* No lane moves, and no id is ahead of the database's time. */
static void check_that_nothing_follows(testbed_t *bed, background_client_t *background)
{
    uint64_t until_ms = clock_monotonic_ms() + CALM_MS;
    while (clock_monotonic_ms() < until_ms) {
        int64_t made_ms = testbed_query_number(bed, "SELECT MAX(last_id) FROM journal");
        int64_t now_ms = testbed_query_number(bed, NOW_MS);
        assert_in_range(snowflake_timestamp_ms((request_id_t){(uint64_t)made_ms}), 1,
                        now_ms + LIFT_MS / 2);
        (void)incarnation_at(bed, 0);
        (void)incarnation_at(bed, 1);
        background_client_check(background);
    }
}

static void a_peer_that_claims_to_be_a_broker(void **state)
{
    testbed_t *bed = *state;
    testbed_start_brokers(bed, 2, 1);
    background_client_t *background = background_client_start(bed);
    background_client_check(background);
    claim(bed, 0, 1);
    claim(bed, 1, 0);
    check_that_nothing_follows(bed, background);
    background_client_end(&background);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"client_and_worker_of_a_broker_that_sends_junk",
         client_and_worker_of_a_broker_that_sends_junk, TESTBED_SQLITE},
        {"client_and_worker_of_a_broker_that_sends_parts",
         client_and_worker_of_a_broker_that_sends_parts, TESTBED_SQLITE},
        {"a_peer_that_claims_to_be_a_broker", a_peer_that_claims_to_be_a_broker, TESTBED_MYSQL},
    };
    return testbed_run("bad_broker", tests, sizeof tests / sizeof tests[0]);
}
