/* Too much of what is allowed: connections, hellos, queries, unread answers, calls. The broker's
 * memory and descriptors stay bounded, and a background client goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "core/limits.h"
#include "tests/harness/background_client.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/raw_fabric.h"

enum {
    CONNECTIONS = 2000,
    PEERS_MAX = 100,
    DESCRIPTORS_SPARE = 50,
    RECOVER_MS = 60000,
    KIB_PER_MIB = 1024,
    FLOOD_BYTES = 1 << 20
};

static testbed_t *bed;
static background_client_t *background;
static raw_peer_t *peers[CONNECTIONS];

static void begin(void **state, const char *const *broker_arguments)
{
    bed = *state;
    bed->broker_arguments = broker_arguments;
    testbed_start(bed, 1);
    background = background_client_start(bed);
}

static void end(void)
{
    background_client_end(&background);
    assert_true(process_runs(&bed->cluster.broker));
}

static void close_all(void)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        raw_peer_destroy(&peers[i]);
    }
}

static void wait_for_descriptors(size_t most)
{
    uint64_t deadline_ms = clock_monotonic_ms() + RECOVER_MS;
    while (process_descriptors(&bed->cluster.broker) > most) {
        testbed_poll(deadline_ms, "the broker closing its end of closed connections");
    }
}

/* ---- connections ---- */

static void many_connections(void **state)
{
    begin(state, NULL);
    size_t before = process_descriptors(&bed->cluster.broker);
    uint64_t before_kib = process_rss_kib(&bed->cluster.broker);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        peers[i] = raw_peer_connect(bed->cluster.url);
        assert_non_null(peers[i]);
        if (i % 2 == 0) {
            (void)raw_handshake(peers[i], "DEALER", fabric_bytes_of(""));
        }
    }
    background_client_check(background);
    assert_in_range(process_rss_kib(&bed->cluster.broker), 0, before_kib + 256 * KIB_PER_MIB);
    close_all();
    wait_for_descriptors(before + 5);
    end();
}

static void more_connections_than_descriptors(void **state)
{
    begin(state, NULL);
    size_t before = process_descriptors(&bed->cluster.broker);
    struct rlimit limit = {before + DESCRIPTORS_SPARE, before + DESCRIPTORS_SPARE};
    assert_int_equal(prlimit(bed->cluster.broker.pid, RLIMIT_NOFILE, &limit, NULL), 0);
    for (size_t i = 0; i < 3 * DESCRIPTORS_SPARE; i++) {
        peers[i] = raw_peer_connect(bed->cluster.url); /* the system takes them for the broker */
    }
    uint64_t deadline_ms = clock_monotonic_ms() + RECOVER_MS;
    while (process_log_count(&bed->cluster, "broker.log", "broker.descriptors_exhausted") == 0) {
        testbed_poll(deadline_ms, "a line about descriptors");
    }
    background_client_check(background);
    close_all();
    wait_for_descriptors(before + 5);
    while (process_log_count(&bed->cluster, "broker.log", "broker.descriptors_available") == 0) {
        testbed_poll(deadline_ms + RECOVER_MS, "a line about descriptors again");
    }
    raw_fabric_t late = raw_client(bed->cluster.url, 1);
    assert_true(raw_ping(&late));
    raw_fabric_close(&late);
    end();
}

static void more_peers_than_may_be(void **state)
{
    static const char *const arguments[] = {"--peers-max", "100", NULL};
    begin(state, arguments);
    size_t refused = 0;
    raw_fabric_t clients[2 * PEERS_MAX];
    for (uint64_t i = 0; i < 2 * PEERS_MAX; i++) {
        message_hello_t hello = raw_client_hello(1000 + i, 1);
        clients[i] = raw_fabric_connect(bed->cluster.url);
        fabric_error_t error = raw_hello(&clients[i], &hello);
        assert_true(error == FABRIC_OK || error == FABRIC_ERROR_BUSY);
        refused += error == FABRIC_ERROR_BUSY;
    }
    assert_in_range(refused, PEERS_MAX,
                    PEERS_MAX +
                        3); /* the worker, the background and the test's client are peers, too */
    assert_true(testbed_counter(bed->client, "refused") >= refused);
    background_client_check(background);
    for (size_t i = 0; i < 2 * PEERS_MAX; i++) {
        raw_fabric_close(&clients[i]);
    }
    uint64_t deadline_ms = clock_monotonic_ms() + RECOVER_MS;
    fabric_error_t error = FABRIC_ERROR_BUSY;
    while (error) { /* silent peers are forgotten after a while */
        message_hello_t hello = raw_client_hello(5000, 1);
        raw_fabric_t late = raw_fabric_connect(bed->cluster.url);
        error = raw_hello(&late, &hello);
        raw_fabric_close(&late);
        testbed_poll(deadline_ms, "the broker accepting another peer");
    }
    end();
}

/* ---- questions ---- */

static wire_writer_t flood;

/* A frame of about 1 MiB, full of one message. */
static fabric_bytes_t flood_of(void (*put)(wire_writer_t *, const void *), const void *message)
{
    wire_writer_reset(&flood);
    frame_begin(&flood, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    while (flood.size < FLOOD_BYTES) {
        put(&flood, message);
    }
    return wire_writer_bytes(&flood);
}

/* Sends it again and again for a while, and reads nothing. */
static void pour(raw_fabric_t *peer, fabric_bytes_t frame, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        if (!raw_fabric_frame(peer, frame)) {
            return; /* the broker has closed the connection */
        }
    }
}

static void peers_that_never_read(void **state)
{
    begin(state, NULL);
    uint64_t before_kib = process_rss_kib(&bed->cluster.broker);
    message_query_t query = {.sequence = 1, .name = fabric_bytes_of("status")};
    message_map_wanted_t wanted = {0, 0};
    message_ping_t ping = {.sequence = 1};
    for (uint64_t i = 0; i < 3; i++) {
        raw_fabric_t peer = raw_client(bed->cluster.url, 2000 + i);
        message_hello_t hello = raw_client_hello(2000 + i, 7);
        pour(&peer, flood_of((void (*)(wire_writer_t *, const void *))message_put_query, &query),
             4);
        pour(&peer,
             flood_of((void (*)(wire_writer_t *, const void *))message_put_map_wanted, &wanted), 4);
        pour(&peer, flood_of((void (*)(wire_writer_t *, const void *))message_put_hello, &hello),
             4);
        pour(&peer, flood_of((void (*)(wire_writer_t *, const void *))message_put_ping, &ping), 30);
        background_client_check(background);
        assert_in_range(process_rss_kib(&bed->cluster.broker), 0, before_kib + 512 * KIB_PER_MIB);
        raw_fabric_close(&peer);
    }
    wire_writer_destroy(&flood);
    print_message("worst call of the background: %llu ms\n",
                  (unsigned long long)background_client_worst_ms(background));
    end();
}

static void endless_hellos(void **state)
{
    begin(state, NULL);
    uint64_t before_kib = process_rss_kib(&bed->cluster.broker);
    raw_fabric_t peer = raw_fabric_connect(bed->cluster.url);
    for (uint64_t i = 0; i < 2000; i++) { /* each another client, or a worker in between */
        message_hello_t hello = raw_client_hello(10000 + i, 1);
        assert_int_equal(raw_hello(&peer, &hello), FABRIC_OK);
    }
    for (uint64_t i = 0; i < 200; i++) {
        raw_fabric_t worker = raw_worker(bed->cluster.url, 20000 + i);
        raw_fabric_close(&worker);
    }
    background_client_check(background);
    assert_in_range(process_rss_kib(&bed->cluster.broker), 0, before_kib + 64 * KIB_PER_MIB);
    raw_fabric_close(&peer);
    end();
}

/* ---- subscriptions ---- */

static void junk_subscriptions(void **state)
{
    begin(state, NULL);
    json_t *status = testbed_status(bed->client);
    char publish[300];
    snprintf(publish, sizeof publish, "%s",
             json_string_value(
                 json_object_get(json_array_get(json_object_get(status, "brokers"), 0), "pub")));
    json_decref(status);
    uint64_t before_kib = process_rss_kib(&bed->cluster.broker);
    raw_peer_t *peer = raw_peer_connect(publish);
    assert_true(raw_handshake(peer, "SUB", fabric_bytes_of("")));
    uint8_t topic[2048];
    for (uint32_t i = 0; i < 1000; i++) {
        memset(topic, (int)i, sizeof topic);
        topic[0] = (uint8_t)(i % 3); /* cancel, subscribe, neither */
        memcpy(topic + 1, &i, sizeof i);
        assert_true(raw_send_frame(peer, 0, fabric_bytes(topic, 64)));
    }
    assert_true(raw_send_frame(peer, 0, fabric_bytes(topic, sizeof topic)));
    assert_true(raw_is_closed(peer, RECOVER_MS)); /* the topic is too long */
    raw_peer_destroy(&peer);
    background_client_check(background);
    assert_in_range(process_rss_kib(&bed->cluster.broker), 0, before_kib + 64 * KIB_PER_MIB);
    end();
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"many_connections", many_connections, TESTBED_SQLITE},
        {"more_connections_than_descriptors", more_connections_than_descriptors, TESTBED_SQLITE},
        {"more_peers_than_may_be", more_peers_than_may_be, TESTBED_SQLITE},
        {"peers_that_never_read", peers_that_never_read, TESTBED_SQLITE},
        {"endless_hellos", endless_hellos, TESTBED_SQLITE},
        {"junk_subscriptions", junk_subscriptions, TESTBED_SQLITE},
    };
    return testbed_run("flood", tests, sizeof tests / sizeof tests[0]);
}
