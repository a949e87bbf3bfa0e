/* Overflow: entities with more messages than memory holds, and callers of messages that only the
 * store has. Entities have windows of 4 messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/lane_driver.h"

static home_t *open_home(void)
{
    router_config_t config;
    home_config(&config);
    return home_open(&config);
}

/* A home whose memory is scarce: it keeps nothing that nobody can handle. */
static home_t *open_small_home(void)
{
    router_config_t config;
    home_config(&config);
    config.memory_bytes_max = 16000;
    return home_open(&config);
}

/* ---- order and windows ---- */

static void messages_beyond_the_window_leave_memory_and_come_back_in_order(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell(home, "a", 20);
    home_append(home);
    assert_int_equal(home_counters(home).stored, 0);
    home_checkpoint(home);
    assert_int_equal(home_counters(home).stored, 16);
    assert_int_equal(home_counters(home).pending, 20);
    router_load_t load;
    assert_false(router_take_load(home->driver->router, 0, &load)); /* nobody handles them */
    home_worker(home);
    assert_int_equal(home_work_off(home), 20);
    assert_int_equal(home_counters(home).pending, 0);
    assert_int_equal(home_counters(home).loaded, 16);
    assert_int_equal(home_counters(home).redelivered, 0);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    home_close(&home);
}

static void memory_lets_a_message_go_only_when_its_slice_is_settled(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell(home, "a", 6);
    home_append(home);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(home_counters(home).stored, 0);
    home_tell(home, "a", 1); /* not in the slice */
    home_append(home);
    home_settle_slice(home, 0, slice);
    assert_int_equal(home_counters(home).stored, 2);
    home_close(&home);
}

static void a_new_message_does_not_pass_one_that_only_the_store_has(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 6);
    home_worker(home);
    for (int i = 0; i < 4; i++) {
        driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK, FABRIC_OK);
    }
    home_append(home);
    home_tell(home, "a", 3); /* the queue is empty, and two messages are in the store */
    home_append(home);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), 0);
    assert_int_equal(home_work_off(home), 5); /* the model watches the order */
    home_close(&home);
}

static void what_is_not_dropped_yet_needs_no_load(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    home_tell(home, "a", 12);
    home_append(home);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), 4);
    assert_int_equal(home_work_off(home), 12);
    assert_int_equal(home->store.loads, 0);
    home_close(&home);
}

static void a_message_that_was_delivered_before_says_so_when_it_comes_back(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 6);
    home_kill(home);
    home_worker(home);
    assert_true(home_load(home, 0));
    assert_int_equal(driver_delivery(home->driver, "w")->delivery, 2);
    home_close(&home);
}

static void what_the_store_has_counts_for_an_entitys_limit(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.entity_pending_max = 8;
    home_t *home = home_open(&config);
    home_tell_rows(home, "a", 8);
    uint64_t refused = home_tell(home, "a", 1);
    assert_int_equal(driver_rejected(home->driver, "c", refused), FABRIC_ERROR_MAILBOX_FULL);
    home_close(&home);
}

/* ---- memory ---- */

static void scarce_memory_keeps_nothing_that_nobody_can_handle(void **state)
{
    (void)state;
    home_t *home = open_small_home();
    while (home_counters(home).pending < 30) {
        home_tell(home, "a", 1);
        home_tell(home, "b", 1);
        driver_send_settling(home->driver, "c", home->next, ping, &(message_ping_t){.sequence = 1});
        home_append(home);
        home_checkpoint(home);
    }
    assert_int_equal(driver_count(home->driver, "c", KIND_REJECTED), 0);
    assert_true(home_counters(home).stored >= 15);
    home_worker(home);
    assert_int_equal(home_work_off(home), 30);
    home_close(&home);
}

static void rows_that_nobody_can_handle_stay_in_the_store_when_memory_is_scarce(void **state)
{
    (void)state;
    home_t *home = open_small_home();
    for (char id[] = "a"; id[0] < 'a' + 20; id[0]++) {
        home_tell(home, id, 4);
        driver_send_settling(home->driver, "c", home->next, ping, &(message_ping_t){.sequence = 1});
        home_append(home);
        home_checkpoint(home);
    }
    home_kill(home);
    assert_int_equal(home_counters(home).stored, 80);
    while (home_load(home, 0)) { /* what their shards are */
    }
    assert_true(home_counters(home).stored > 50);
    home_worker(home);
    assert_int_equal(home_work_off(home), 80);
    home_close(&home);
}

static void full_memory_still_lets_one_message_after_the_other_be_handled(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    home_t *home = home_open(&config);
    home_tell(home, "a", 20);
    home_tell_rows(home, "b", 20);
    home->driver->config.memory_bytes_max = 1000; /* less than its client takes */
    home_kill(home);
    home_worker(home);
    assert_true(home_load(home, 0));
    assert_int_equal(home_counters(home).loaded, 2);
    assert_int_equal(home_work_off(home), 40);
    home_close(&home);
}

/* ---- callers ---- */

/* The call has ended, and its reply is in memory. */
static void expect_known(home_t *home, uint64_t sequence)
{
    driver_ask(home->driver, "c", sequence, "a", REQUEST_DURABLE | REQUEST_RESEND);
    driver_replied(home->driver, "c", sequence);
}

static void callers_of_messages_in_the_store_get_their_replies(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t first = home_ask(home, "a", 12);
    home_append(home);
    home_checkpoint(home);
    assert_int_equal(home_counters(home).stored, 8);
    /* A resend of such a call is known, and so is another message under its key. */
    message_request_t again =
        driver_request(first + 11, "a", REQUEST_DURABLE | REQUEST_RESEND | REQUEST_WANT_ACCEPTED);
    driver_send(home->driver, "c", request, &again);
    driver_check(home->driver);
    again.tag = fabric_bytes_of("Add");
    again.id = fabric_bytes_of("b");
    driver_send(home->driver, "c", request, &again);
    assert_int_equal(driver_rejected(home->driver, "c", first + 11),
                     FABRIC_ERROR_ALREADY_PROCESSING);
    home_worker(home);
    assert_int_equal(home_work_off(home), 12);
    for (uint64_t i = 0; i < 12; i++) {
        driver_replied(home->driver, "c", first + i);
    }
    expect_known(home, first + 11);
    home_close(&home);
}

static void callers_that_settle_leave_no_ghosts(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_ask(home, "a", 12);
    home_append(home);
    home_checkpoint(home);
    driver_send_settling(home->driver, "c", home->next, ping, &(message_ping_t){.sequence = 1});
    driver_check(home->driver);
    home_worker(home);
    assert_int_equal(home_work_off(home), 12);
    home_close(&home);
}

/* The client asks a new home for a call that is in the store. */
static void ask_again(home_t *home, uint64_t sequence)
{
    driver_ask(home->driver, "c", sequence, "a", REQUEST_DURABLE | REQUEST_RESEND);
    router_lookup_t lookup;
    assert_true(router_take_lookup(home->driver->router, 0, &lookup));
    assert_int_equal(lookup.call_count, 1);
}

static void looked_up(home_t *home, const lane_message_t *at, bool ended)
{
    driver_lookup_found(home->driver, 0, &at->message->stored, ended ? &at->message->reply : NULL);
    router_lookup_done(home->driver->router, 0, FABRIC_OK, (request_id_t){0}, home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
}

static void a_look_up_of_a_message_in_the_store_waits_for_its_reply(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t first = home_ask(home, "a", 12);
    home_append(home);
    home_checkpoint(home);
    home_kill(home);
    ask_again(home, first + 11);
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, first + 11});
    looked_up(home, at, false);
    assert_int_equal(driver_count(home->driver, "c", KIND_REJECTED), 0);
    home_worker(home);
    assert_int_equal(home_work_off(home), 12);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 12);
    driver_forget(home->driver);
    expect_known(home, first + 11);
    home_close(&home);
}

static void a_look_up_that_is_older_than_the_messages_end_is_repeated(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t first = home_ask(home, "a", 2);
    home_append(home);
    home_checkpoint(home);
    home_kill(home);
    ask_again(home, first);
    home_worker(home);
    assert_int_equal(home_work_off(home), 2); /* after the look-up has read it as pending */
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, first});
    looked_up(home, at, false);
    assert_int_equal(driver_rejected(home->driver, "c", first), FABRIC_ERROR_NOT_HOME);
    home_close(&home);
}

static void a_lane_that_is_dropped_sends_callers_of_stored_messages_away(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_ask(home, "a", 12);
    home_tell_rows(home, "a", 1);
    home_ask(home, "a", 1); /* in the tail */
    home_append(home);
    driver_hold(home->driver, 0, 0);
    driver_check(home->driver);
    assert_int_equal(driver_count(home->driver, "c", KIND_REDIRECT), 13);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_beyond_the_window_leave_memory_and_come_back_in_order),
        cmocka_unit_test(memory_lets_a_message_go_only_when_its_slice_is_settled),
        cmocka_unit_test(a_new_message_does_not_pass_one_that_only_the_store_has),
        cmocka_unit_test(what_is_not_dropped_yet_needs_no_load),
        cmocka_unit_test(a_message_that_was_delivered_before_says_so_when_it_comes_back),
        cmocka_unit_test(what_the_store_has_counts_for_an_entitys_limit),
        cmocka_unit_test(scarce_memory_keeps_nothing_that_nobody_can_handle),
        cmocka_unit_test(rows_that_nobody_can_handle_stay_in_the_store_when_memory_is_scarce),
        cmocka_unit_test(full_memory_still_lets_one_message_after_the_other_be_handled),
        cmocka_unit_test(callers_of_messages_in_the_store_get_their_replies),
        cmocka_unit_test(callers_that_settle_leave_no_ghosts),
        cmocka_unit_test(a_look_up_of_a_message_in_the_store_waits_for_its_reply),
        cmocka_unit_test(a_look_up_that_is_older_than_the_messages_end_is_repeated),
        cmocka_unit_test(a_lane_that_is_dropped_sends_callers_of_stored_messages_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
