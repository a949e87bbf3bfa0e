/* The worker's link and the shard map: when the map is asked for, and which of its brokers are
 * connected. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/unit/link_driver.h"

static const map_broker_t brokers[3] = {
    {{{1}}, "tcp://127.0.0.1:1", "tcp://127.0.0.1:11", ""},
    {{{2}}, "tcp://127.0.0.1:2", "tcp://127.0.0.1:12", ""},
    {{{3}}, "tcp://10.0.0.1:3", "tcp://10.0.0.1:13", ""}, /* beyond this machine */
};

/* The map of a broker, in its first version, (1, 1), which is the one of the welcome. */
static shard_map_t *publisher_new(void)
{
    shard_map_t *map = shard_map_new();
    shard_map_set_shards_per_group(map, LINK_DRIVER_SHARDS);
    shard_map_set_lanes(map, 2);
    shard_map_begin_term(map, 1);
    return map;
}

static void say_snapshot(link_driver_t *d, const shard_map_t *map)
{
    wire_writer_t snapshot = {0};
    shard_map_encode_snapshot(map, &snapshot);
    talk_say(d, 0, map, .map = wire_writer_bytes(&snapshot));
    wire_writer_destroy(&snapshot);
}

/* Publishes the next version, which knows the first `count` brokers; the worker may miss it. */
static void publish(link_driver_t *d, shard_map_t *map, size_t count, bool missed)
{
    wire_writer_t delta = {0};
    shard_map_set_brokers(map, brokers, count);
    shard_map_encode_delta(map, &delta);
    if (!missed) {
        talk_say(d, 0, map, .map = wire_writer_bytes(&delta));
    }
    wire_writer_destroy(&delta);
}

/* The link asks for a map, once, and tells the version that it has. */
static void expect_wanted(link_driver_t *d, uint64_t own_term, uint64_t own_sequence)
{
    message_map_wanted_t wanted;
    talk_expect(d, 0, KIND_MAP_WANTED);
    assert_int_equal(message_get_map_wanted(&d->body, &wanted), FABRIC_OK);
    assert_int_equal(wanted.map_term, own_term);
    assert_int_equal(wanted.map_sequence, own_sequence);
    talk_expect_silence(d, 0);
}

static void a_newer_map_is_asked_for_once(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    talk_ping(d, 1, 1); /* the link's own */
    talk_ping(d, 0, 9); /* of an older term */
    talk_expect_silence(d, 0);
    talk_ping(d, 1, 9);
    expect_wanted(d, 1, 1);
    talk_ping(d, 1, 9);
    talk_expect_silence(d, 0);
    talk_ping(d, 1, 10);
    expect_wanted(d, 1, 1);
    talk_ping(d, 2, 10); /* the same number in a new term */
    expect_wanted(d, 1, 1);
    talk_ping(d, 2, 10);
    talk_expect_silence(d, 0);
}

static void a_map_that_came_is_not_asked_for(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    shard_map_t *map = publisher_new();
    talk_join(d, 0, 1);
    talk_ping(d, 1, 2);
    expect_wanted(d, 1, 1);
    publish(d, map, 1, false);
    publish(d, map, 1, false);
    talk_ping(d, 1, 2); /* of before the second one */
    talk_ping(d, 1, 3);
    talk_expect_silence(d, 0);
    talk_ping(d, 1, 4);
    expect_wanted(d, 1, 3);
    shard_map_destroy(&map);
}

/* The broker may never have received the request of a connection that broke. */
static void a_newer_map_is_asked_for_anew_after_a_welcome(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    talk_ping(d, 1, 9);
    expect_wanted(d, 1, 1);
    link_disconnected(d->link, 0, d->now_ms);
    talk_join(d, 0, 1);
    talk_ping(d, 1, 9);
    expect_wanted(d, 1, 1);
}

static void a_gap_asks_for_a_snapshot(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    shard_map_t *map = publisher_new();
    talk_join(d, 0, 1);
    publish(d, map, 1, false); /* the first of a term is no delta */
    publish(d, map, 1, false);
    talk_expect_silence(d, 0);
    publish(d, map, 1, true);
    publish(d, map, 2, false);
    expect_wanted(d, 1, 3);
    talk_expect_no_socket(d); /* the map is as it was */
    say_snapshot(d, map);
    talk_expect_socket(d, 1, LINK_SOCKET_OPEN);
    publish(d, map, 2, false);
    talk_ping(d, 1, 6);
    talk_expect_silence(d, 0);
    shard_map_destroy(&map);
}

static void brokers_of_the_map_are_connected(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    shard_map_t *map = publisher_new();
    talk_join(d, 0, 1);
    shard_map_begin_term(map, 2);
    shard_map_set_brokers(map, brokers, 3);
    say_snapshot(d, map);
    talk_expect_socket(d, 1, LINK_SOCKET_OPEN);
    assert_string_equal(link_endpoint_name(d->link, 1), "tcp://127.0.0.1:2");
    assert_true(talk_has_event(d, LINK_EVENT_PLAINTEXT, FABRIC_ERROR_PLAINTEXT_REFUSED));
    shard_map_begin_term(map, 3);
    shard_map_set_brokers(map, brokers, 1);
    say_snapshot(d, map);
    talk_expect_socket(d, 1, LINK_SOCKET_CLOSE);
    shard_map_destroy(&map);
}

/* A map that names as many brokers beyond this machine as there can be. */
static void put_remote_brokers(shard_map_t *map)
{
    static map_broker_t remote[LIMIT_BROKERS_MAX];
    for (unsigned i = 0; i < LIMIT_BROKERS_MAX; i++) {
        remote[i].incarnation.bytes[0] = (uint8_t)(i + 1);
        snprintf(remote[i].router_endpoint, sizeof remote[i].router_endpoint, "tcp://10.0.0.%u:1",
                 i + 1);
        snprintf(remote[i].pub_endpoint, sizeof remote[i].pub_endpoint, "tcp://10.0.0.%u:2", i + 1);
    }
    shard_map_set_brokers(map, remote, LIMIT_BROKERS_MAX);
}

/* Nor is the welcome itself, which makes the first event of the frame. */
static void no_event_of_a_welcome_is_lost(void **state)
{
    static const uint8_t id[16] = {1};
    link_driver_t *d = (link_driver_t *)*state;
    shard_map_t *map = publisher_new();
    wire_writer_t snapshot = {0};
    put_remote_brokers(map);
    shard_map_encode_snapshot(map, &snapshot);
    link_connected(d->link, 0, d->now_ms);
    talk_expect_hello(d, 0);
    talk_say(d, 0, welcome, .protocol = 1, .cluster_id = fabric_bytes(id, 16),
             .cluster_name = fabric_bytes_of("c"), .broker = fabric_bytes(id, 16),
             .connection = d->connection, .shards_per_group = LINK_DRIVER_SHARDS,
             .lease_ms = LINK_DRIVER_LEASE_MS, .heartbeat_ms = LINK_DRIVER_HEARTBEAT_MS,
             .map = wire_writer_bytes(&snapshot));
    assert_true(talk_has_event(d, LINK_EVENT_WELCOMED, FABRIC_OK));
    for (unsigned i = 1; i < LIMIT_BROKERS_MAX; i++) { /* one of them has welcomed the worker */
        assert_true(talk_has_event(d, LINK_EVENT_PLAINTEXT, FABRIC_ERROR_PLAINTEXT_REFUSED));
    }
    wire_writer_destroy(&snapshot);
    shard_map_destroy(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(no_event_of_a_welcome_is_lost),
        LINK_TEST(a_newer_map_is_asked_for_once),
        LINK_TEST(a_map_that_came_is_not_asked_for),
        LINK_TEST(a_newer_map_is_asked_for_anew_after_a_welcome),
        LINK_TEST(a_gap_asks_for_a_snapshot),
        LINK_TEST(brokers_of_the_map_are_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
