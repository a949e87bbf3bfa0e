/* What the router remembers of calls, and calls that it has to look up in the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/limits.h"
#include "core/snowflake.h"
#include "tests/unit/router_driver.h"

enum { ASK = REQUEST_DURABLE, AGAIN = REQUEST_DURABLE | REQUEST_RESEND };
/* No first send is later than so many heartbeats. */
enum { LATE_HEARTBEATS = 60 };

static driver_t *open_usual(void)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    return driver;
}

static void ask_after(driver_t *driver, uint64_t sequence, uint64_t predecessor, uint64_t flags)
{
    message_request_t request = driver_request(sequence, "a", flags);
    request.predecessor = predecessor;
    driver_send(driver, "c1", request, &request);
}

/* Ends a look-up that was taken; the store knows one of its calls, where `row` is not 0. */
static void end_look_up(driver_t *driver, uint64_t sequence, uint64_t row,
                        const store_reply_t *reply, fabric_error_t error, uint64_t reached)
{
    message_request_t request = driver_request(sequence, "a", ASK);
    store_message_t message = {.id = {row},
                               .shard = shard_id_make(1, 1),
                               .type = request.type,
                               .entity = request.id,
                               .tag = request.tag,
                               .payload = request.payload,
                               .call = {1, sequence}};
    if (row) {
        driver_lookup_found(driver, 0, &message, reply);
    }
    router_lookup_done(driver->router, 0, error, (request_id_t){reached}, driver->now_ms);
    driver_pull(driver);
}

/* Takes and ends the look-up. */
static void look_up(driver_t *driver, uint64_t sequence, uint64_t row, const store_reply_t *reply,
                    fabric_error_t error)
{
    router_lookup_t lookup;
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    end_look_up(driver, sequence, row, reply, error, lookup.floor.value);
}

/* The store has lost what the call was, and that it has ended is all that is known. */
static void a_damaged_end_is_an_answer_whatever_the_contents(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    router_lookup_t lookup;
    driver_ask(driver, "c1", 1, "a", AGAIN);
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    store_message_t message = {.id = {100}, .flags = REQUEST_DURABLE, .call = {1, 1}};
    store_reply_t reply = {
        .id = {100}, .status = STATUS_DEFECT, .error = FABRIC_ERROR_ENTITY_DEFECT};
    router_found_t found = {.message = &message, .reply = &reply};
    router_lookup_found(driver->router, 0, &found);
    router_lookup_done(driver->router, 0, FABRIC_OK, lookup.floor, driver->now_ms);
    driver_pull(driver);
    const note_t *answer = driver_take(driver, "c1", KIND_REPLY);
    assert_int_equal(answer->as.reply.error, FABRIC_ERROR_ENTITY_DEFECT);
    driver_close(&driver);
}

static void resends_are_answered_from_memory(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    const uint64_t tell = ASK | REQUEST_TELL | REQUEST_WANT_ACCEPTED;
    driver_ask(driver, "c1", 1, "a", tell);
    driver_ask(driver, "c1", 1, "a", tell | REQUEST_RESEND); /* not committed: no answer yet */
    assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0);
    driver_commit(driver);
    driver_take(driver, "c1", KIND_ACCEPTED);
    driver_ask(driver, "c1", 1, "a", tell | REQUEST_RESEND);
    driver_take(driver, "c1", KIND_ACCEPTED);
    driver_ask(driver, "c1", 2, "a", ASK);
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_FAILURE,
                  FABRIC_ERROR_ENTITY_FAILURE);
    driver_ask(driver, "c1", 2, "a", AGAIN); /* its reply is not committed */
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_commit(driver);
    driver_replied(driver, "c1", 2);
    driver_ask(driver, "c1", 2, "a", AGAIN);
    assert_int_equal(driver_replied(driver, "c1", 2)->error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(driver_counters(driver).accepted, 2);
    message_request_t bad = driver_request(3, "a", ASK);
    bad.tag = fabric_bytes_of("Nothing");
    driver_send(driver, "c1", request, &bad);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_UNKNOWN_MESSAGE);
    driver_ask(driver, "c1", 3, "a", AGAIN);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_UNKNOWN_MESSAGE);
    driver_close(&driver);
}

static void one_key_stands_for_one_message(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_ask(driver, "c1", 1, "b", AGAIN);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_ALREADY_PROCESSING);
    driver_commit(driver);
    driver_ask(driver, "c1", 2, "b", AGAIN);
    look_up(driver, 2, 77, NULL, FABRIC_OK); /* the store has it for "a" */
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_ALREADY_PROCESSING);
    driver_close(&driver);
}

static void a_predecessor_comes_first(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    ask_after(driver, 2, 1, ASK);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_PREDECESSOR_MISSING);
    message_request_t bad = driver_request(1, "a", ASK);
    bad.tag = fabric_bytes_of("Nothing");
    driver_send(driver, "c1", request, &bad);
    driver_rejected(driver, "c1", 1); /* for good: no other call is held up */
    ask_after(driver, 2, 1, ASK);
    ask_after(driver, 3, 2, ASK);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 2);
    driver_close(&driver);
}

static void settled_calls_are_forgotten(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    for (uint64_t i = 1; i <= 200; i++) { /* the ring grows */
        ask_after(driver, i, i - 1, ASK);
    }
    driver_commit(driver);
    for (int i = 0; i < 200; i++) {
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    }
    driver_commit(driver);
    for (uint64_t i = 1; i <= 200; i++) {
        driver_replied(driver, "c1", i);
    }
    driver_ask(driver, "c1", 7, "a", AGAIN);
    driver_replied(driver, "c1", 7);
    driver_send_settling(driver, "c1", 100, ping, &(message_ping_t){.sequence = 1});
    driver_ask(driver, "c1", 7, "a", ASK); /* a stray first send */
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    assert_int_equal(driver_rejected(driver, "c1", 7), FABRIC_ERROR_OUTCOME_UNKNOWN);
    driver_ask(driver, "c1", 100, "a", AGAIN);
    driver_replied(driver, "c1", 100);
    driver_ask(driver, "c1", UINT64_C(1) << 40, "a", ASK);
    assert_int_equal(driver_rejected(driver, "c1", UINT64_C(1) << 40), FABRIC_ERROR_BUSY);
    driver_close(&driver);
}

static void a_client_may_go_away_and_come_back(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    driver_ask(driver, "c1", 1, "a", ASK);
    driver_send(driver, "c1", bye, &(message_bye_t){.reason.data = NULL});
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_client_hello(driver, "c1b", 1, 2);
    driver_ask(driver, "c1b", 1, "a", AGAIN);
    driver_replied(driver, "c1b", 1);
    driver_send(driver, "c1b", bye, &(message_bye_t){.reason.data = NULL});
    driver_pass_alive(driver, 62000, (const char *const[]){"w1", NULL});
    driver_client_hello(driver, "c1c", 1, 3); /* forgotten: the store is asked */
    driver_ask(driver, "c1c", 1, "a", AGAIN);
    store_reply_t reply = {.id = {5}, .status = STATUS_OK};
    look_up(driver, 1, 5, &reply, FABRIC_OK);
    assert_int_equal(driver_replied(driver, "c1c", 1)->request_id, 5);
    driver_ask(driver, "c1c", 1, "a", AGAIN); /* and remembered */
    driver_replied(driver, "c1c", 1);
    driver_close(&driver);
}

static void what_the_store_does_not_know_is_accepted(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    driver_ask(driver, "c1", 1, "a", AGAIN);
    assert_null(driver_take_batch(driver, 0));
    look_up(driver, 1, 0, NULL, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_ask(driver, "c1", 2, "a", AGAIN);
    look_up(driver, 2, 0, NULL, FABRIC_ERROR_STORE_UNAVAILABLE);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_PERSISTENCE);
    ask_after(driver, 3, 2, AGAIN); /* may not overtake it */
    look_up(driver, 3, 0, NULL, FABRIC_OK);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_PREDECESSOR_MISSING);
    driver_close(&driver);
}

static void test_sm_18_a_pending_row_answers_the_call(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    message_request_t request = driver_request(1, "a", ASK);
    shard_map_t *map = shard_map_new();
    shard_map_set_shards_per_group(map, DRIVER_SHARDS);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    message_t *row = message_new(&(store_message_t){.id = {900},
                                                    .shard = shard_map_locate(map, 1, request.id),
                                                    .flags = REQUEST_DURABLE,
                                                    .type = request.type,
                                                    .entity = request.id,
                                                    .tag = request.tag,
                                                    .payload = request.payload,
                                                    .call = {1, 1}});
    shard_map_destroy(&map);
    driver_homes(driver, row);
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", AGAIN);
    look_up(driver, 1, 900, NULL, FABRIC_OK);
    driver_result(driver, "w1", driver_delivered(driver, "w1", 900, 2), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c1", 1)->request_id, 900);
    driver_ask(driver, "c1", 2, "a", AGAIN);
    look_up(driver, 2, 901, NULL, FABRIC_OK); /* pending, but not here (any more) */
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_NOT_HOME);
    driver_close(&driver);
}

static void what_is_held_keeps_its_order(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    ask_after(driver, 1, 0, AGAIN);
    ask_after(driver, 2, 1, ASK);
    ask_after(driver, 3, 2, ASK);
    driver_ask(driver, "c1", 4, "b", ASK);
    assert_int_equal(driver_counters(driver).pending, 0);
    look_up(driver, 1, 0, NULL, FABRIC_OK);
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->message_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(batch->messages[i]->call.sequence, i + 1);
    }
    driver_batch_done(driver, 0);
    ask_after(driver, 5, 3, AGAIN); /* a refused look-up refuses what was held behind it, too */
    ask_after(driver, 6, 5, ASK);
    look_up(driver, 5, 0, NULL, FABRIC_ERROR_STORE_UNAVAILABLE);
    assert_int_equal(driver_rejected(driver, "c1", 5), FABRIC_ERROR_PERSISTENCE);
    assert_int_equal(driver_rejected(driver, "c1", 6), FABRIC_ERROR_PREDECESSOR_MISSING);
    ask_after(driver, 6, 5, ASK); /* held behind 7, and 5 comes after it */
    driver_rejected(driver, "c1", 6);
    driver_ask(driver, "c1", 7, "b", AGAIN);
    ask_after(driver, 6, 5, ASK);
    ask_after(driver, 5, 3, AGAIN);
    look_up(driver, 7, 0, NULL, FABRIC_OK);
    assert_int_equal(driver_rejected(driver, "c1", 6), FABRIC_ERROR_PREDECESSOR_MISSING);
    driver_close(&driver);
}

/* Else the calls behind it would overtake those before it. */
static void a_call_that_is_refused_does_not_stand_for_its_predecessor(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    ask_after(driver, 1, 0, AGAIN);
    look_up(driver, 1, 0, NULL, FABRIC_ERROR_STORE_UNAVAILABLE);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_PERSISTENCE);
    ask_after(driver, 2, 1, AGAIN);
    router_lookup_t lookup;
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    end_look_up(driver, 2, 0, NULL, FABRIC_OK, lookup.floor.value + 1);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_OUTCOME_UNKNOWN);
    ask_after(driver, 3, 2, ASK);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_PREDECESSOR_MISSING);
    message_request_t bad = driver_request(3, "a", ASK);
    bad.tag = fabric_bytes_of("Nothing");
    bad.predecessor = 2;
    driver_send(driver, "c1", request, &bad);
    driver_rejected(driver, "c1", 3);
    ask_after(driver, 4, 3, ASK);
    assert_int_equal(driver_rejected(driver, "c1", 4), FABRIC_ERROR_PREDECESSOR_MISSING);
    ask_after(driver, 1, 0, AGAIN);
    look_up(driver, 1, 0, NULL, FABRIC_OK);
    ask_after(driver, 4, 3, ASK);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 2);
    driver_close(&driver);
}

static void one_late_call_is_accepted_once(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    driver_send_settling(driver, "c1", 10, ping, &(message_ping_t){.sequence = 1});
    driver_ask(driver, "c1", 3, "a", AGAIN); /* settled, sent all the same, twice */
    driver_ask(driver, "c1", 3, "a", AGAIN);
    look_up(driver, 3, 0, NULL, FABRIC_OK);
    driver_ask(driver, "c1", 3, "a", AGAIN);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_close(&driver);
}

/* A look-up under way holds up only its own client. */
static void others_go_on_beside_a_look_up(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    driver_client(driver, "c2", 2);
    driver_ask(driver, "c2", 1, "a", ASK);
    assert_non_null(driver_take_batch(driver, 0));
    driver_ask(driver, "c1", 1, "b", AGAIN);
    router_lookup_t lookup;
    assert_true(router_take_lookup(driver->router, 0, &lookup)); /* beside the batch */
    driver_batch_done(driver, 0);
    driver_ask(driver, "c2", 2, "a", ASK);
    driver_commit(driver);
    for (uint64_t i = 1; i <= 2; i++) {
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
        driver_commit(driver);
        driver_replied(driver, "c2", i);
    }
    driver_ask(driver, "c2", 3, "a", AGAIN); /* waits for the next look-up */
    assert_false(router_take_lookup(driver->router, 0, &lookup));
    end_look_up(driver, 1, 0, NULL, FABRIC_OK, 0);
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 3);
    driver_close(&driver);
}

/* Requests that fill more than a look-up may hold: none is left out or looked up twice. */
static void a_look_up_takes_so_much_at_a_time(void **state)
{
    (void)state;
    enum { CALLS = 5000, HEADER_BYTES = 8000 };
    driver_t *driver = open_usual();
    uint8_t headers[6 + HEADER_BYTES] = {
        0x81, 0xa1, 'h', 0xc5, HEADER_BYTES >> 8, HEADER_BYTES & 0xff};
    for (uint64_t i = 1; i <= CALLS; i++) {
        message_request_t request = driver_request(i, "a", AGAIN);
        request.headers = fabric_bytes(headers, sizeof headers);
        driver_send(driver, "c1", request, &request);
    }
    router_lookup_t lookup;
    uint64_t taken = 0;
    while (router_take_lookup(driver->router, 0, &lookup)) {
        assert_in_range(lookup.call_count, 1, 2100); /* 16 MiB */
        for (size_t i = 0; i < lookup.call_count; i++) {
            assert_int_equal(lookup.calls[i].sequence, ++taken);
        }
        router_lookup_done(driver->router, 0, FABRIC_OK, lookup.floor, driver->now_ms);
    }
    assert_int_equal(taken, CALLS);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, CALLS);
    driver_close(&driver);
}

/* A call that may lie below the range of a look-up is never taken for a new one. */
static void what_was_not_looked_at_is_unknown(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    const uint64_t floors[] = {0, 1000, 1001, 1000};
    router_lookup_t lookup;
    for (uint64_t i = 1; i <= 4; i++) {
        message_request_t request = driver_request(i, "a", AGAIN);
        request.predecessor = i - 1;
        request.floor = floors[i - 1];
        driver_send(driver, "c1", request, &request);
    }
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    assert_int_equal(lookup.floor.value, 0);
    end_look_up(driver, 4, 1500, NULL, FABRIC_OK, 1001); /* the fourth is found, and is not here */
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(driver_rejected(driver, "c1", 4), FABRIC_ERROR_NOT_HOME);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted,
                     1); /* the third: all above its floor was looked at */
    ask_after(driver, 1, 0, AGAIN);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_OUTCOME_UNKNOWN);
    driver_close(&driver);
}

/* A look-up that ends before the commit of a call would not see the call, so the router remembers
 * the client until the commit. */
static void a_settled_call_in_a_lane_is_not_looked_up(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    driver_ask(driver, "c1", 1, "a", ASK);
    assert_non_null(driver_take_batch(driver, 0));
    driver_send_settling(driver, "c1", 2, ping, &(message_ping_t){.sequence = 1});
    message_bye_t goodbye = {.reason = {NULL, 0}};
    driver_send(driver, "c1", bye, &goodbye);
    driver_pass_alive(driver, driver->config.client_memory_ms + 2000,
                      (const char *const[]){"w1", NULL});
    driver_client_hello(driver, "c1-again", 1, 2);
    driver_ask(driver, "c1-again", 1, "a", AGAIN);
    router_lookup_t lookup;
    assert_false(router_take_lookup(driver->router, 0, &lookup));
    driver_batch_done(driver, 0);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_ask(driver, "c1-again", 1, "a", AGAIN); /* now it can be found */
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    driver_close(&driver);
}

/* ---- first sends that arrive late ---- */

/* This broker adopts the lane again, whose highest id is one of the present time. Returns that
 * id. Call it before time passes. */
static uint64_t adopt_again(driver_t *driver)
{
    snowflake_parts_t now = {.timestamp_ms = driver->config.store_now_ms};
    uint64_t last_id = snowflake_make(now).value;
    driver_hold(driver, 0, 0);
    driver_hold(driver, 0, DRIVER_EPOCH + 1);
    driver_adopt(driver, 0, NULL, last_id);
    driver_forget(driver);
    return last_id;
}

static void send_first(driver_t *driver, uint64_t sequence, uint64_t predecessor, uint64_t floor)
{
    message_request_t request = driver_request(sequence, "a", ASK);
    request.predecessor = predecessor;
    request.floor = floor;
    driver_send(driver, "c1", request, &request);
}

/* The client has sent the call again to an earlier home of the lane, which stored it, before its
 * first send arrives here. */
static void a_late_first_send_is_not_a_new_call(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    uint64_t last_id = adopt_again(driver);
    store_reply_t reply = {.id = {last_id}, .status = STATUS_OK};
    send_first(driver, 1, 0, last_id - 1);
    assert_null(driver_take_batch(driver, 0));
    look_up(driver, 1, last_id, &reply, FABRIC_OK);
    assert_int_equal(driver_replied(driver, "c1", 1)->request_id, last_id);
    assert_int_equal(driver_counters(driver).accepted, 0);
    driver_close(&driver);
}

static void a_first_send_that_no_home_has_stored_is_accepted_in_its_turn(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    uint64_t last_id = adopt_again(driver);
    send_first(driver, 1, 0, last_id - 1);
    send_first(driver, 2, 1, last_id); /* sent later: waits behind the look-up */
    look_up(driver, 1, 0, NULL, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 2);
    driver_close(&driver);
}

/* The client knew the highest id of the lane, so none of the lane's messages is its call. */
static void a_first_send_after_the_adoption_is_not_looked_up(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    send_first(driver, 1, 0, adopt_again(driver));
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_close(&driver);
}

/* A client that has heard of no id for long: only the messages that a late first send may have left
 * behind are looked through, whatever of the lane is purged. */
static void an_idle_client_is_served_after_an_adoption(void **state)
{
    (void)state;
    driver_t *driver = open_usual();
    uint64_t last_id = adopt_again(driver);
    uint64_t late_ms = LATE_HEARTBEATS * driver->config.client_heartbeat_ms;
    router_lookup_t lookup;
    send_first(driver, 1, 0, 0);
    assert_true(router_take_lookup(driver->router, 0, &lookup));
    assert_int_equal(snowflake_timestamp_ms((request_id_t){last_id}) -
                         snowflake_timestamp_ms(lookup.floor),
                     late_ms);
    end_look_up(driver, 1, 0, NULL, FABRIC_OK, lookup.floor.value);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 1);
    driver_pass_alive(driver, late_ms + 10, (const char *const[]){"c1", "w1", NULL});
    send_first(driver, 2, 0, 0);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 2);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_end_is_an_answer_whatever_the_contents),
        cmocka_unit_test(resends_are_answered_from_memory),
        cmocka_unit_test(one_key_stands_for_one_message),
        cmocka_unit_test(a_predecessor_comes_first),
        cmocka_unit_test(settled_calls_are_forgotten),
        cmocka_unit_test(a_client_may_go_away_and_come_back),
        cmocka_unit_test(what_the_store_does_not_know_is_accepted),
        cmocka_unit_test(test_sm_18_a_pending_row_answers_the_call),
        cmocka_unit_test(what_is_held_keeps_its_order),
        cmocka_unit_test(a_call_that_is_refused_does_not_stand_for_its_predecessor),
        cmocka_unit_test(one_late_call_is_accepted_once),
        cmocka_unit_test(others_go_on_beside_a_look_up),
        cmocka_unit_test(what_was_not_looked_at_is_unknown),
        cmocka_unit_test(a_look_up_takes_so_much_at_a_time),
        cmocka_unit_test(a_settled_call_in_a_lane_is_not_looked_up),
        cmocka_unit_test(a_late_first_send_is_not_a_new_call),
        cmocka_unit_test(a_first_send_that_no_home_has_stored_is_accepted_in_its_turn),
        cmocka_unit_test(a_first_send_after_the_adoption_is_not_looked_up),
        cmocka_unit_test(an_idle_client_is_served_after_an_adoption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
