/* Every request and every hello is answered. The router counts all other messages that it drops, by
 * reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/limits.h"
#include "tests/unit/router_driver.h"

enum { ASK = REQUEST_DURABLE, AGAIN = REQUEST_DURABLE | REQUEST_RESEND };

static void say_goodbye(driver_t *driver, const char *peer, uint64_t settled)
{
    message_bye_t goodbye = {.reason = {NULL, 0}};
    driver_send_settling(driver, peer, settled, bye, &goodbye);
}

static fabric_error_t refused(driver_t *driver, const char *peer)
{
    return fabric_error_from_number(driver_take(driver, peer, KIND_REFUSED)->as.refused.error);
}

/* A client's hello by another process than the one that driver_client_hello plays. */
static void hello_of_another_process(driver_t *driver, const char *peer, uint64_t number)
{
    message_hello_t hello = {.protocol_min = LIMIT_PROTOCOL_VERSION,
                             .protocol_max = LIMIT_PROTOCOL_VERSION,
                             .role = ROLE_CLIENT,
                             .incarnation = fabric_bytes("another process.", 16),
                             .connection = 1,
                             .client_number = number};
    driver_send(driver, peer, hello, &hello);
    driver_take(driver, peer, KIND_WELCOME);
}

/* ---- requests ---- */

/* A program that sets its own client number is run twice: in the second run its first sequence is
 * settled already. */
static void a_first_send_below_the_settled_mark_is_answered(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_worker(driver, "w1", 101);
    driver_client(driver, "first", 77);
    driver_ask(driver, "first", 1, "a", ASK);
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    uint64_t id = driver_replied(driver, "first", 1)->request_id;
    say_goodbye(driver, "first", 2);
    hello_of_another_process(driver, "second", 77);
    driver_ask(driver, "second", 1, "a", ASK);
    assert_int_equal(driver_rejected(driver, "second", 1), FABRIC_ERROR_OUTCOME_UNKNOWN);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_ask(driver, "second", 1, "a", AGAIN); /* so its outcome can be learnt */
    router_lookup_t lookup;
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    message_request_t request = driver_request(1, "a", ASK);
    store_message_t row = {.id = {id},
                           .type = request.type,
                           .entity = request.id,
                           .tag = request.tag,
                           .payload = request.payload,
                           .call = {77, 1}};
    store_reply_t reply = {.id = {id}};
    driver_lookup_found(driver, 0, &row, &reply);
    router_lookup_done(driver->router, 0, FABRIC_OK, lookup.floor, driver->now_ms);
    driver_pull(driver);
    assert_int_equal(driver_replied(driver, "second", 1)->request_id, id);
    driver_ask(driver, "second", 2, "a", ASK); /* the first one above it */
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 2);
    driver_close(&driver);
}

static void ask_within(driver_t *driver, uint64_t sequence, uint64_t deadline_ms, uint64_t flags)
{
    message_request_t request = driver_request(sequence, "a", flags);
    request.deadline_ms = deadline_ms;
    driver_send(driver, "c1", request, &request);
}

/* The message goes on; its caller is told how far the message has come. */
static void a_durable_call_is_answered_at_its_deadline(void **state)
{
    (void)state;
    static const char *const alive[] = {"c1", "w1", NULL};
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    ask_within(driver, 1, 300, ASK);
    driver_commit(driver);
    ask_within(driver, 2, 300, ASK);   /* its commit takes long */
    ask_within(driver, 3, 300, AGAIN); /* so does its look-up */
    ask_within(driver, 4, 60000, ASK); /* held behind it, with a distant deadline */
    driver_pass_alive(driver, 250, alive);
    assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    driver_pass_alive(driver, 250, alive);
    assert_int_equal(driver_take(driver, "c1", KIND_ACCEPTED)->as.accepted.sequence, 1);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_OUTCOME_UNKNOWN);
    driver_pass_alive(driver, 1000, alive); /* once */
    assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    router_lookup_t lookup;
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    router_lookup_done(driver->router, 0, FABRIC_OK, lookup.floor, driver->now_ms);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    assert_int_equal(delivery->deadline_ms, 300);
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

/* A client that sends a call again waits for it anew. */
static void a_resend_sets_the_deadline_anew(void **state)
{
    (void)state;
    static const char *const alive[] = {"c1", NULL};
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    ask_within(driver, 1, 300, ASK | REQUEST_WANT_ACCEPTED);
    driver_commit(driver);
    driver_take(driver, "c1", KIND_ACCEPTED); /* told already: nothing at the deadline */
    ask_within(driver, 2, 300, ASK);
    driver_commit(driver);
    driver_pass_alive(driver, 250, alive);
    ask_within(driver, 2, 1000, AGAIN);
    driver_pass_alive(driver, 700, alive);
    assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0);
    driver_pass_alive(driver, 500, alive);
    assert_int_equal(driver_take(driver, "c1", KIND_ACCEPTED)->as.accepted.sequence, 2);
    assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0);
    driver_close(&driver);
}

static void a_request_of_a_worker_is_refused(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "w1", 9, "a", ASK);
    assert_int_equal(driver_rejected(driver, "w1", 9), FABRIC_ERROR_UNKNOWN_KIND);
    message_query_t query = {.sequence = 4, .name = fabric_bytes_of("counters")};
    driver_send(driver, "w1", query, &query); /* a peer that has said hello may ask for numbers */
    assert_int_equal(driver_take(driver, "w1", KIND_ANSWER)->as.answer.sequence, 4);
    driver_close(&driver);
}

/* A message of a client that has said goodbye is dropped if no worker has begun it. */
static void a_goodbye_takes_volatile_calls_back(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_client(driver, "c2", 2);
    driver_worker_hello(driver, "w1", 101, 1, 1); /* one delivery at a time */
    driver_desire(driver, 101);
    driver_ask(driver, "c1", 1, "a", 0);
    driver_ask(driver, "c1", 2, "a", 0);
    driver_ask(driver, "c1", 3, "a", REQUEST_TELL); /* nobody ever waited for it */
    driver_ask(driver, "c2", 1, "a", 0);
    const message_deliver_t *begun = driver_delivery(driver, "w1");
    say_goodbye(driver, "c1", 0);
    hello_of_another_process(driver, "c1b", 1);
    driver_result(driver, "w1", begun, STATUS_OK, FABRIC_OK);
    const message_deliver_t *told = driver_delivery(driver, "w1");
    assert_int_equal(told->flags, REQUEST_TELL);
    driver_result(driver, "w1", told, STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_replied(driver, "c2", 1);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    assert_int_equal(driver_counters(driver).abandoned, 1);
    /* The reply to the first process's call does not answer a call of another process with the same
     * number. */
    assert_int_equal(driver_count(driver, "c1b", KIND_REPLY), 0);
    assert_int_equal(driver_counters(driver).unsent, 1);
    driver_close(&driver);
}

/* ---- hellos ---- */

static void a_client_can_say_hello_with_a_larger_number(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client_hello(driver, "old", 1, 5);
    driver_take(driver, "old", KIND_WELCOME);
    driver_client_hello(driver, "new", 1,
                        5); /* as a peer whose connection is not the current one */
    assert_int_equal(refused(driver, "new"), FABRIC_ERROR_OUTDATED_CONNECTION);
    driver_client_hello(driver, "new", 1, 4);
    assert_int_equal(refused(driver, "new"), FABRIC_ERROR_OUTDATED_CONNECTION);
    driver_ping(driver, "old"); /* undisturbed */
    driver_take(driver, "old", KIND_PONG);
    driver_client_hello(driver, "new", 1, 6);
    driver_take(driver, "new", KIND_WELCOME);
    driver_ping(driver, "new");
    driver_take(driver, "new", KIND_PONG);
    driver_ping(driver, "old"); /* of an older connection now */
    assert_int_equal(driver_count(driver, "old", KIND_PONG), 0);
    driver_client_hello(driver, "old", 1, 7); /* a socket can always be used again */
    driver_take(driver, "old", KIND_WELCOME);
    driver_ping(driver, "old");
    driver_take(driver, "old", KIND_PONG);
    driver_close(&driver);
}

static void a_hello_said_twice_is_welcomed_twice(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_client_hello(driver, "c1", 1, 1);
    assert_int_equal(driver_take(driver, "c1", KIND_WELCOME)->as.welcome.connection, 1);
    driver_worker(driver, "w1", 101);
    driver_client(driver, "c2", 2);
    driver_ask(driver, "c2", 1, "a", 0);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    driver_worker_hello(driver, "w1", 101, 1, 1000);
    assert_int_equal(driver_take(driver, "w1", KIND_WELCOME)->as.welcome.connection, 1);
    assert_int_equal(driver_count(driver, "w1", KIND_ASSIGN), 0); /* it keeps what it has */
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    driver_replied(driver, "c2", 1);
    driver_client_hello(driver, "c1", 1, 3);
    driver_take(driver, "c1", KIND_WELCOME);
    driver_client_hello(driver, "c1", 1, 2); /* back in time, on the connection that counts */
    assert_int_equal(refused(driver, "c1"), FABRIC_ERROR_OUTDATED_CONNECTION);
    driver_ping(driver, "c1");
    driver_take(driver, "c1", KIND_PONG);
    driver_close(&driver);
}

static void a_worker_can_say_hello_with_a_larger_number(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_worker_hello(driver, "old", 101, 5, 10);
    driver_take(driver, "old", KIND_WELCOME);
    driver_desire(driver, 101);
    driver_forget(driver);
    driver_worker_hello(driver, "new", 101, 5, 10);
    assert_int_equal(refused(driver, "new"), FABRIC_ERROR_OUTDATED_CONNECTION);
    assert_int_equal(driver_count(driver, "old", KIND_ASSIGN), 0);
    driver_client(driver, "c1", 1);
    driver_ask(driver, "c1", 1, "a", 0);
    driver_result(driver, "old", driver_delivery(driver, "old"), STATUS_OK, FABRIC_OK);
    driver_replied(driver, "c1", 1);
    driver_worker_hello(driver, "new", 101, 6, 10);
    driver_take(driver, "new", KIND_WELCOME);
    assert_int_equal(driver_count(driver, "new", KIND_ASSIGN), DRIVER_SHARDS);
    driver_close(&driver);
}

static void of_many_hellos_in_one_frame_the_rest_is_refused(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, 0});
    for (uint64_t i = 1; i <= 100; i++) {
        message_hello_t hello = {.protocol_min = LIMIT_PROTOCOL_VERSION,
                                 .protocol_max = LIMIT_PROTOCOL_VERSION,
                                 .role = ROLE_CLIENT,
                                 .incarnation = fabric_bytes("another process.", 16),
                                 .connection = i,
                                 .client_number = 1};
        message_put_hello(&frame, &hello);
    }
    driver_send_bytes(driver, "c1", wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    assert_in_range(driver_count(driver, "c1", KIND_WELCOME), 1, 10);
    assert_int_equal(refused(driver, "c1"), FABRIC_ERROR_BUSY);
    assert_int_equal(driver_count(driver, "c1", KIND_REFUSED), 0);
    driver_close(&driver);
}

/* Also where it comes from a peer that has said hello. */
static void a_hello_that_cannot_be_read_is_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x93, 0x02, 0x00, 0x00, 0xc4, 0x03, 0x92, 0x01, 0x01};
    driver_t *driver = driver_open();
    driver_send_bytes(driver, "s", fabric_bytes(bytes, sizeof bytes));
    assert_int_equal(refused(driver, "s"), FABRIC_ERROR_MALFORMED_MESSAGE);
    driver_client(driver, "c1", 1);
    driver_send_bytes(driver, "c1", fabric_bytes(bytes, sizeof bytes));
    assert_int_equal(refused(driver, "c1"), FABRIC_ERROR_MALFORMED_MESSAGE);
    driver_close(&driver);
}

/* ---- what is dropped ---- */

static void what_is_dropped_is_counted(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_ping(driver, "unidentified");
    driver_ask(driver, "unidentified", 1, "a", ASK);
    assert_int_equal(driver_counters(driver).unidentified, 2);
    driver_client_hello(driver, "c1-1", 1, 1);
    driver_client_hello(driver, "c1-2", 1, 2);
    driver_ping(driver, "c1-1");
    driver_ask(driver, "c1-1", 1, "a", ASK);
    assert_int_equal(driver_counters(driver).outdated, 2);
    driver_worker(driver, "w1", 101);
    message_pong_t pong = {.sequence = 1};
    driver_send(driver, "c1-2", pong, &pong);
    driver_send(driver, "w1", pong, &pong);
    message_released_t released = {shard_id_make(1, 1).value, 3, 77};
    driver_send(driver, "w1", released, &released);
    assert_int_equal(driver_counters(driver).unexpected, 3);
    driver_ask(driver, "c1-2", 1, "a", 0);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    driver_gone(driver, "c1-2");
    driver_ping(driver, "c1-2"); /* the pong finds the peer gone */
    driver_result(driver, "w1", delivery, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).unsent, 2); /* the pong, and the reply */
    driver_close(&driver);
}

/* What the status document says of these counters. */
static void the_status_tells_what_was_dropped(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    message_pong_t pong = {.sequence = 1};
    driver_send(driver, "c1", pong, &pong);
    message_query_t query = {.sequence = 1, .name = fabric_bytes_of("counters")};
    driver_send(driver, "c1", query, &query);
    fabric_bytes_t document = driver_take(driver, "c1", KIND_ANSWER)->as.answer.document;
    static const uint8_t unexpected[] = "\xaaunexpected\x01";
    assert_non_null(memmem(document.data, document.size, unexpected, sizeof unexpected - 1));
    static const char *const names[] = {"outdated", "unidentified", "unsent", "abandoned"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_non_null(memmem(document.data, document.size, names[i], strlen(names[i])));
    }
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_send_below_the_settled_mark_is_answered),
        cmocka_unit_test(a_durable_call_is_answered_at_its_deadline),
        cmocka_unit_test(a_resend_sets_the_deadline_anew),
        cmocka_unit_test(a_request_of_a_worker_is_refused),
        cmocka_unit_test(a_goodbye_takes_volatile_calls_back),
        cmocka_unit_test(a_client_can_say_hello_with_a_larger_number),
        cmocka_unit_test(a_hello_said_twice_is_welcomed_twice),
        cmocka_unit_test(a_worker_can_say_hello_with_a_larger_number),
        cmocka_unit_test(of_many_hellos_in_one_frame_the_rest_is_refused),
        cmocka_unit_test(a_hello_that_cannot_be_read_is_refused),
        cmocka_unit_test(what_is_dropped_is_counted),
        cmocka_unit_test(the_status_tells_what_was_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
