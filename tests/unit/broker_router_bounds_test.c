/* What peers can make the router keep, compute and send is bounded, for each peer and for all
 * together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/limits.h"
#include "tests/unit/router_driver.h"

static driver_t *open_with(uint64_t memory_bytes_max, uint32_t peers_max)
{
    router_config_t config;
    driver_config(&config);
    config.memory_bytes_max = memory_bytes_max;
    config.peers_max = peers_max;
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    return driver;
}

static bool take_violation(driver_t *driver, fabric_error_t error)
{
    router_violation_t violation = {0};
    return router_take_violation(driver->router, &violation) && violation.error == error;
}

static void a_peer_too_many_is_told_so(void **state)
{
    (void)state;
    driver_t *driver = open_with(1 << 30, 2);
    driver_client(driver, "c1", 1);
    driver_client(driver, "c2", 2);
    assert_false(take_violation(driver, FABRIC_ERROR_BUSY));
    driver_client_hello(driver, "c3", 3, 1);
    assert_int_equal(driver_take(driver, "c3", KIND_REFUSED)->as.refused.error, FABRIC_ERROR_BUSY);
    assert_int_equal(driver_count(driver, "c3", KIND_WELCOME), 0);
    assert_int_equal(driver_counters(driver).refused, 1);
    assert_true(take_violation(driver, FABRIC_ERROR_BUSY));
    driver_ping(driver, "c1");
    driver_take(driver, "c1", KIND_PONG);
    driver_send(driver, "c1", bye, &(message_bye_t){.reason.data = NULL});
    driver_pass_alive(driver, 10100, (const char *const[]){"c2", NULL});
    driver_client(driver, "c3", 3);
    driver_close(&driver);
}

/* Sequences far from each other make the list of calls long. */
static void a_clients_calls_do_not_take_all_memory(void **state)
{
    (void)state;
    driver_t *driver = open_with(4 << 20, 100);
    for (unsigned i = 1; i <= 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%u", i);
        driver_client(driver, name, i);
        message_request_t request = driver_request(LIMIT_PENDING_CALLS_MAX, "a", REQUEST_DURABLE);
        driver_send(driver, name, request, &request);
        assert_int_equal(driver_rejected(driver, name, LIMIT_PENDING_CALLS_MAX), FABRIC_ERROR_BUSY);
    }
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE); /* a client within its bounds is served */
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_close(&driver);
}

/* Replies are kept until their calls are settled: a client that settles nothing is stopped, and no
 * other client. */
static void who_settles_nothing_is_stopped(void **state)
{
    (void)state;
    driver_t *driver = open_with(64 << 10, 100);
    driver_client(driver, "c1", 1);
    driver_client(driver, "c2", 2);
    driver_worker(driver, "w1", 101);
    uint64_t sequence = 0;
    bool stopped = false;
    while (!stopped && ++sequence < 1000) {
        driver_ask(driver, "c1", sequence, "a", REQUEST_DURABLE);
        driver_commit(driver);
        stopped = driver_count(driver, "c1", KIND_REJECTED) > 0;
        if (!stopped) {
            driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
            driver_commit(driver);
        }
    }
    assert_true(stopped);
    assert_int_equal(driver_rejected(driver, "c1", sequence), FABRIC_ERROR_BUSY);
    driver_ask(driver, "c2", 1, "b", REQUEST_DURABLE);
    driver_commit(driver);
    driver_delivery(driver, "w1");
    driver_send_settling(driver, "c1", sequence, ping, &(message_ping_t){.sequence = 1});
    driver_ask(driver, "c1", sequence, "a", REQUEST_DURABLE);
    driver_commit(driver);
    driver_delivery(driver, "w1");
    driver_close(&driver);
}

/* Each client that comes and goes leaves something behind, up to a bound. */
static void clients_that_come_and_go_are_forgotten(void **state)
{
    (void)state;
    driver_t *driver = open_with(1 << 20, 100);
    for (uint64_t number = 1; number <= 5000; number++) {
        driver_client_hello(driver, "x", number, 1);
        driver_forget(driver);
    }
    driver_client(driver, "c1", 10000);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1); /* there is memory left */
    driver_close(&driver);
}

static void only_who_is_gone_gives_its_number_away(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    message_hello_t thief = {.protocol_min = LIMIT_PROTOCOL_VERSION,
                             .protocol_max = LIMIT_PROTOCOL_VERSION,
                             .role = ROLE_CLIENT,
                             .incarnation = fabric_bytes("another process.", 16),
                             .connection = 9,
                             .client_number = 1};
    driver_send(driver, "x", hello, &thief);
    assert_int_equal(driver_take(driver, "x", KIND_REFUSED)->as.refused.error, FABRIC_ERROR_BUSY);
    driver_ping(driver, "c1");
    driver_take(driver, "c1", KIND_PONG); /* it was asked, too */
    driver_take(driver, "c1", KIND_PONG);
    driver_gone(driver, "c1");
    driver_send(driver, "x", hello, &thief); /* this finds out that it is gone */
    driver_take(driver, "x", KIND_REFUSED);
    driver_send(driver, "x", hello, &thief);
    driver_take(driver, "x", KIND_WELCOME);
    driver_close(&driver);
}

/* ---- what is sent ---- */

static void a_frame_gets_the_map_once(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    message_map_wanted_t wanted = {0, 0};
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, 0});
    for (int i = 0; i < 1000; i++) {
        message_put_map_wanted(&frame, &wanted);
    }
    driver_send_bytes(driver, "c1", wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    assert_int_equal(driver_count(driver, "c1", KIND_MAP), 1);
    for (int i = 0; i < 1000; i++) { /* in one tick */
        driver_send(driver, "c1", map_wanted, &wanted);
    }
    assert_true(driver_count(driver, "c1", KIND_MAP) < 100);
    driver_forget(driver);
    driver_pass(driver, 20);
    assert_int_equal(driver_count(driver, "c1", KIND_MAP), 1); /* the last one was not forgotten */
    driver_close(&driver);
}

static void queries_have_their_turn(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    message_query_t query = {.sequence = 1, .name = fabric_bytes_of("counters")};
    for (int i = 0; i < 1000; i++) {
        driver_send(driver, "c1", query, &query);
    }
    unsigned busy = 0;
    for (int i = 0; i < 1000; i++) {
        busy += driver_take(driver, "c1", KIND_ANSWER)->as.answer.error == FABRIC_ERROR_BUSY;
    }
    assert_in_range(busy, 900, 990);
    driver_pass(driver, 20);
    driver_send(driver, "c1", query, &query);
    assert_int_equal(driver_take(driver, "c1", KIND_ANSWER)->as.answer.error, FABRIC_OK);
    driver_close(&driver);
}

static void unidentified_peers_are_answered_once_a_frame(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, 0});
    for (int i = 0; i < 1000; i++) {
        wire_put_bin(&frame, fabric_bytes_of("junk"));
    }
    driver_send_bytes(driver, "s", wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    assert_int_equal(driver_count(driver, "s", KIND_REFUSED), 1);
    driver_close(&driver);
}

static void another_version_is_refused_whoever_speaks_it(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_send_bytes(driver, "c1", fabric_bytes("\x93\x01\x00\x00", 4));
    assert_int_equal(driver_take(driver, "c1", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_UNSUPPORTED_VERSION);
    driver_close(&driver);
}

/* Pulls no frames: the peer's pipe is full. */
static void who_does_not_read_is_dropped(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_client(driver, "c2", 2);
    snprintf(driver->full, sizeof driver->full, "c1");
    message_query_t query = {.sequence = 1, .name = fabric_bytes_of("status")};
    for (int i = 0; i < 1000000 && driver_counters(driver).overflowed == 0; i++) {
        driver_send(driver, "c1", query, &query);
        if (i % 64 == 63) {
            driver_pass(driver, 10);
        }
    }
    assert_int_equal(driver_counters(driver).overflowed, 1);
    assert_true(take_violation(driver, FABRIC_ERROR_BUSY));
    driver_pass(driver, 20);
    driver->full[0] = '\0';
    driver_ping(driver, "c1");
    driver_take(driver, "c1", KIND_WHO); /* it has to begin anew */
    driver_ping(driver, "c2");
    driver_take(driver, "c2", KIND_PONG);
    driver_close(&driver);
}

/* Messages that wait for the peer are cut into frames all the same, and stay within the bound for
 * one peer. */
static void frames_for_who_does_not_read_have_a_bound(void **state)
{
    (void)state;
    enum { COUNT = 1000, PAYLOAD = 64 << 10 };
    static uint8_t payload[PAYLOAD];
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver->frame_bytes_max = 0;
    snprintf(driver->full, sizeof driver->full, "w1");
    for (uint64_t i = 1; i <= COUNT; i++) {
        char id[16];
        snprintf(id, sizeof id, "e%d", (int)i);
        message_request_t request = driver_request(i, id, 0);
        request.payload = fabric_bytes(payload, sizeof payload);
        driver_send(driver, "c1", request, &request);
    }
    driver_check(driver);
    assert_int_equal(driver_counters(driver).delivered, COUNT);
    assert_int_equal(driver_counters(driver).overflowed, 0);
    driver->full[0] = '\0';
    driver_pass_alive(driver, 20, (const char *const[]){"c1", "w1", NULL});
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), COUNT);
    assert_in_range(driver->frame_bytes_max, PAYLOAD, LIMIT_FRAME_BYTES_GOAL + PAYLOAD + 1024);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_too_many_is_told_so),
        cmocka_unit_test(a_clients_calls_do_not_take_all_memory),
        cmocka_unit_test(who_settles_nothing_is_stopped),
        cmocka_unit_test(clients_that_come_and_go_are_forgotten),
        cmocka_unit_test(only_who_is_gone_gives_its_number_away),
        cmocka_unit_test(a_frame_gets_the_map_once),
        cmocka_unit_test(queries_have_their_turn),
        cmocka_unit_test(unidentified_peers_are_answered_once_a_frame),
        cmocka_unit_test(another_version_is_refused_whoever_speaks_it),
        cmocka_unit_test(who_does_not_read_is_dropped),
        cmocka_unit_test(frames_for_who_does_not_read_have_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
