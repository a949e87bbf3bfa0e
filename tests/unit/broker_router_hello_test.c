/* Handshakes with the router: which peers are welcomed, which are refused, and which connection of
 * a peer counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/limits.h"
#include "core/type_description.h"
#include "tests/unit/router_driver.h"

static message_hello_t good_hello(void)
{
    static const uint8_t incarnation[16] = {1};
    return (message_hello_t){.protocol_min = LIMIT_PROTOCOL_VERSION,
                             .protocol_max = LIMIT_PROTOCOL_VERSION,
                             .role = ROLE_CLIENT,
                             .incarnation = fabric_bytes(incarnation, 16),
                             .connection = 1,
                             .client_number = 1};
}

static fabric_error_t refused(driver_t *driver, const message_hello_t *hello)
{
    driver_send(driver, "c1", hello, hello);
    assert_int_equal(driver_count(driver, "c1", KIND_WELCOME), 0);
    return fabric_error_from_number(driver_take(driver, "c1", KIND_REFUSED)->as.refused.error);
}

static void a_client_is_welcomed_with_the_map(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client_hello(driver, "c1", 1, 5);
    const message_welcome_t *welcome = &driver_take(driver, "c1", KIND_WELCOME)->as.welcome;
    assert_int_equal(welcome->connection, 5);
    assert_int_equal(welcome->shards_per_group, DRIVER_SHARDS);
    assert_int_equal(welcome->heartbeat_ms, 1000);
    shard_map_t *map = shard_map_new();
    shard_map_set_shards_per_group(map, DRIVER_SHARDS);
    assert_int_equal(shard_map_apply(map, welcome->map, NULL), FABRIC_OK);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Counter")), 1);
    shard_map_destroy(&map);
    driver_close(&driver);
}

static void a_bad_hello_is_refused(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    message_hello_t hello = good_hello();
    hello.protocol_min = LIMIT_PROTOCOL_VERSION + 1;
    hello.protocol_max = LIMIT_PROTOCOL_VERSION + 2;
    assert_int_equal(refused(driver, &hello), FABRIC_ERROR_UNSUPPORTED_VERSION);
    hello = good_hello();
    hello.cluster_name = fabric_bytes_of("other");
    assert_int_equal(refused(driver, &hello), FABRIC_ERROR_FOREIGN_CLUSTER);
    hello = good_hello();
    hello.cluster_id = hello.incarnation;
    assert_int_equal(refused(driver, &hello), FABRIC_ERROR_FOREIGN_CLUSTER);
    hello = good_hello();
    hello.incarnation.size = 15;
    assert_int_equal(refused(driver, &hello), FABRIC_ERROR_MALFORMED_MESSAGE);
    hello = good_hello();
    hello.connection = 0;
    assert_int_equal(refused(driver, &hello), FABRIC_ERROR_MALFORMED_MESSAGE);
    hello = good_hello();
    hello.client_number = 0;
    assert_int_equal(refused(driver, &hello), FABRIC_ERROR_MALFORMED_MESSAGE);
    hello = good_hello();
    hello.role = ROLE_WORKER; /* without types and window */
    assert_int_equal(refused(driver, &hello), FABRIC_ERROR_MALFORMED_MESSAGE);
    hello = good_hello();
    hello.role = ROLE_BROKER + 1;
    assert_int_equal(refused(driver, &hello), FABRIC_ERROR_UNKNOWN_KIND);
    driver_close(&driver);
}

static void put_type(wire_writer_t *types, const char *name)
{
    type_description_t type = {.group = "default", .mailbox_capacity = 1, .concurrency = 1};
    snprintf(type.name, sizeof type.name, "%s", name);
    type_description_put(&type, types);
}

static void a_type_given_twice_is_refused(void **state)
{
    (void)state;
    static const char *const last[] = {"Order", "Counter"};
    for (size_t i = 0; i < 2; i++) {
        driver_t *driver = driver_open();
        wire_writer_t types = {0};
        message_hello_t hello = good_hello();
        hello.role = ROLE_WORKER;
        hello.window = 10;
        wire_put_array(&types, 3);
        put_type(&types, "Counter");
        put_type(&types, "Account");
        put_type(&types, last[i]);
        hello.types = wire_writer_bytes(&types);
        if (i == 0) {
            driver_send(driver, "x", hello, &hello);
            driver_take(driver, "x", KIND_WELCOME);
        } else {
            assert_int_equal(refused(driver, &hello), FABRIC_ERROR_MALFORMED_MESSAGE);
        }
        wire_writer_destroy(&types);
        driver_close(&driver);
    }
}

/* A worker's id is public, through the map and the status. A peer that knows the id does not know
 * the worker's incarnation. */
static void who_knows_a_runners_id_cannot_take_its_place(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    incarnation_t published = driver_runner(101);
    assert_true(driver_ordered(driver, ROUTER_OWNER_CHANGED, 101));
    message_hello_t hello = good_hello();
    hello.role = ROLE_WORKER;
    hello.window = 10;
    hello.types = fabric_bytes_of("\x90");
    hello.connection = 1000;
    hello.incarnation = fabric_bytes(published.bytes, sizeof published.bytes);
    driver_send(driver, "thief", hello, &hello);
    driver_take(driver, "thief", KIND_WELCOME); /* as another peer */
    assert_int_equal(driver_count(driver, "thief", KIND_ASSIGN), 0);
    driver_ask(driver, "c1", 1, "a", 0);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_replied(driver, "c1", 1);
    driver_worker_hello(driver, "w1b", 101, 2, 10); /* the worker itself may */
    assert_int_equal(driver_count(driver, "w1b", KIND_ASSIGN), DRIVER_SHARDS);
    driver_close(&driver);
}

static void a_peer_stays_what_it_is(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker_hello(driver, "c1", 101, 1, 10);
    assert_int_equal(driver_take(driver, "c1", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_UNKNOWN_KIND);
    driver_worker(driver, "w1", 102);
    driver_client_hello(driver, "w1", 2, 1);
    assert_int_equal(driver_take(driver, "w1", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_UNKNOWN_KIND);
    driver_close(&driver);
}

static void unidentified_peers_are_asked_who_they_are(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_ping(driver, "c1");
    driver_take(driver, "c1", KIND_WHO);
    driver_client(driver, "c1", 1);
    driver_ping(driver, "c1");
    driver_take(driver, "c1", KIND_PONG);
    driver_pass(driver, 10100); /* silent for ten heartbeats: forgotten */
    driver_ping(driver, "c1");
    driver_take(driver, "c1", KIND_WHO);
    driver_close(&driver);
}

static void only_the_newest_connection_counts(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client_hello(driver, "c1-1", 1, 1);
    driver_client_hello(driver, "c1-3", 1, 3);
    driver_client_hello(driver, "c1-2", 1, 2); /* late */
    driver_take(driver, "c1-1", KIND_WELCOME);
    driver_take(driver, "c1-3", KIND_WELCOME);
    driver_ping(driver, "c1-1");
    driver_ping(driver, "c1-2");
    driver_ping(driver, "c1-3");
    driver_take(driver, "c1-3", KIND_PONG);
    driver_take(driver, "c1-2", KIND_REFUSED);
    assert_null(driver->notes);
    driver_client_hello(driver, "c1-3", 1, 3); /* a copy does no harm */
    driver_ping(driver, "c1-3");
    driver_take(driver, "c1-3", KIND_PONG);
    driver_close(&driver);
}

static void one_routing_id_may_serve_one_peer_after_the_other(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "x", 1);
    driver_client(driver, "x", 2);
    driver_gone(driver, "x");
    driver_ping(driver, "x"); /* the answer finds it gone */
    driver_client(driver, "y", 1 + 2);
    driver_worker(driver, "w", 101);
    driver_worker_hello(driver, "w", 102, 1, 10); /* the first is missing now */
    driver_take(driver, "w", KIND_WELCOME);
    driver_pass_alive(driver, 200, (const char *const[]){"w", NULL});
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    assert_false(driver_ordered(driver, ROUTER_RUNNER_LEFT, 102));
    driver_close(&driver);
}

static void workers_join_when_they_are_admitted(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver->admit = false;
    driver_worker_hello(driver, "w1", 101, 1, 10);
    assert_true(driver_ordered(driver, ROUTER_ADMIT, 101));
    assert_int_equal(driver_count(driver, "w1", KIND_WELCOME), 0);
    router_admitted(driver->router, driver_runner(101), FABRIC_OK, "", driver->now_ms);
    driver_pull(driver);
    driver_take(driver, "w1", KIND_WELCOME);
    assert_true(driver_ordered(driver, ROUTER_RUNNER_JOINED, 101));
    driver_worker_hello(driver, "w2", 102, 1, 10);
    router_admitted(driver->router, driver_runner(102), FABRIC_ERROR_TYPE_CONFLICT, "why",
                    driver->now_ms);
    driver_pull(driver);
    const note_t *note = driver_take(driver, "w2", KIND_REFUSED);
    assert_int_equal(note->as.refused.error, FABRIC_ERROR_TYPE_CONFLICT);
    assert_true(fabric_bytes_equal(note->as.refused.text, fabric_bytes_of("why")));
    driver_worker_hello(driver, "w3", 103, 1, 10);
    driver_send(driver, "w3", bye, &(message_bye_t){.reason.data = NULL}); /* before its answer */
    driver_take(driver, "w3", KIND_BYE);
    router_admitted(driver->router, driver_runner(103), FABRIC_OK, "", driver->now_ms);
    driver_pull(driver);
    assert_int_equal(driver_count(driver, "w3", KIND_WELCOME), 0);
    driver_close(&driver);
}

/* Its clients have all their answers when they say goodbye in turn. */
static void a_broker_that_stops_waits_for_the_goodbyes_of_its_clients(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_client(driver, "c2", 2);
    driver_worker(driver, "w1", 101);
    assert_int_equal(driver_count(driver, "c1", KIND_BYE), 0);
    router_drain(driver->router, 60000, driver->now_ms);
    router_farewell(driver->router, driver->now_ms);
    driver_pull(driver);
    driver_take(driver, "c1", KIND_BYE);
    driver_take(driver, "c2", KIND_BYE);
    assert_int_equal(driver_count(driver, "w1", KIND_BYE), 0);
    assert_false(router_is_left(driver->router));
    driver_send(driver, "c1", bye, &(message_bye_t){.reason.data = NULL});
    assert_false(router_is_left(driver->router));
    driver_client_hello(driver, "c1", 1, 2);
    assert_int_equal(driver_take(driver, "c1", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_SHUTTING_DOWN);
    driver_send(driver, "c2", bye, &(message_bye_t){.reason.data = NULL});
    assert_true(router_is_left(driver->router));
    driver_close(&driver);
}

static void a_broker_that_stops_does_not_wait_for_silent_clients(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    router_drain(driver->router, 60000, driver->now_ms);
    router_farewell(driver->router, driver->now_ms);
    driver_pass_alive(driver, 10000, (const char *const[]){"c1", NULL});
    assert_false(router_is_left(driver->router));
    driver_pass(driver, 3 * driver->config.client_heartbeat_ms + 100);
    assert_true(router_is_left(driver->router));
    driver_close(&driver);
}

/* The coordinator keeps a record of each runner that it was asked about, unless it refuses the
 * runner. */
static void the_coordinator_hears_of_workers_that_leave_before_they_join(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver->admit = false;
    driver_worker_hello(driver, "w1", 101, 1, 10);
    driver_send(driver, "w1", bye, &(message_bye_t){.reason.data = NULL});
    driver_take(driver, "w1", KIND_BYE);
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    driver_worker_hello(driver, "w2", 102, 1, 10);
    driver_crashed(driver, 102, NULL, 0, "exit status 1");
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 102));
    driver_worker_hello(driver, "w3", 103, 1, 10);
    router_admitted(driver->router, driver_runner(103), FABRIC_ERROR_LIMIT_EXCEEDED, "",
                    driver->now_ms);
    driver_pull(driver);
    assert_false(driver_ordered(driver, ROUTER_RUNNER_LEFT, 103));
    driver_close(&driver);
}

static void no_more_peers_than_may_be_are_kept(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.peers_max = 2;
    driver_t *driver = driver_new(&config);
    driver_client(driver, "c1", 1);
    driver_client(driver, "c2", 2);
    driver_client_hello(driver, "c3", 3, 1);
    assert_int_equal(driver_count(driver, "c3", KIND_WELCOME), 0);
    driver_send(driver, "c1", bye, &(message_bye_t){.reason.data = NULL});
    driver_pass(driver, 10100);
    driver_client(driver, "c3", 3);
    driver_close(&driver);
}

/* ---- what cannot be read ---- */

static void what_cannot_be_read_harms_nothing_else(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_send_bytes(driver, "s", fabric_bytes_of("rubbish"));
    driver_take(driver, "s", KIND_REFUSED);
    driver_client(driver, "c1", 1);
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, 0});
    size_t mark = wire_bin_begin(&frame); /* a request whose type is no string */
    wire_put_array(&frame, 14);
    wire_put_uint(&frame, KIND_REQUEST);
    wire_put_uint(&frame, 7);
    wire_put_uint(&frame, REQUEST_DURABLE);
    for (int i = 0; i < 11; i++) {
        wire_put_nil(&frame);
    }
    wire_bin_end(&frame, mark);
    wire_put_bin(&frame, fabric_bytes_of("junk"));
    message_put_ping(&frame, &(message_ping_t){.sequence = 9});
    driver_send_bytes(driver, "c1", wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    assert_int_equal(driver_rejected(driver, "c1", 7), FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_take(driver, "c1", KIND_PONG)->as.pong.sequence, 9);
    assert_int_equal(driver_count(driver, "c1", KIND_REFUSED), 0);
    assert_int_equal(driver_counters(driver).malformed, 3);
    driver_close(&driver);
}

static void a_result_that_cannot_be_read_ends_only_its_message(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", 0);
    driver_commit(driver);
    const message_deliver_t *peek = driver_delivery(driver, "w1");
    const message_deliver_t *add = driver_delivery(driver, "w1");
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, 0});
    size_t mark = wire_bin_begin(&frame);
    wire_put_array(&frame, 10);
    const uint64_t head[] = {KIND_RESULT,         add->shard,      add->home_epoch,
                             add->owner_sequence, add->activation, add->request_id};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        wire_put_uint(&frame, head[i]);
    }
    for (int i = 0; i < 4; i++) {
        wire_put_nil(&frame);
    }
    wire_bin_end(&frame, mark);
    driver_result(driver, "w1", peek, (reply_status_t)77, FABRIC_OK); /* no such status */
    driver_send_bytes(driver, "w1", wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 2)->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_replied(driver, "c1", 1)->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_welcomed_with_the_map),
        cmocka_unit_test(a_bad_hello_is_refused),
        cmocka_unit_test(a_type_given_twice_is_refused),
        cmocka_unit_test(who_knows_a_runners_id_cannot_take_its_place),
        cmocka_unit_test(a_peer_stays_what_it_is),
        cmocka_unit_test(unidentified_peers_are_asked_who_they_are),
        cmocka_unit_test(only_the_newest_connection_counts),
        cmocka_unit_test(one_routing_id_may_serve_one_peer_after_the_other),
        cmocka_unit_test(workers_join_when_they_are_admitted),
        cmocka_unit_test(the_coordinator_hears_of_workers_that_leave_before_they_join),
        cmocka_unit_test(a_broker_that_stops_waits_for_the_goodbyes_of_its_clients),
        cmocka_unit_test(a_broker_that_stops_does_not_wait_for_silent_clients),
        cmocka_unit_test(no_more_peers_than_may_be_are_kept),
        cmocka_unit_test(what_cannot_be_read_harms_nothing_else),
        cmocka_unit_test(a_result_that_cannot_be_read_ends_only_its_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
