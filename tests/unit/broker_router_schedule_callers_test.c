/* Scheduled messages whose callers cancel them, and those with primary keys. Entities and schedules
 * have windows of 4 messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/keys_driver.h"

static home_t *open_home(void)
{
    router_config_t config;
    home_config(&config);
    config.schedule_window = 4;
    home_t *home = home_open(&config);
    driver_client(home->driver, "d", 2);
    return home;
}

static void send_later(home_t *home, const char *peer, uint64_t sequence, uint64_t flags,
                       const char *key, int64_t delay_ms)
{
    message_request_t request = driver_request(sequence, "a", flags);
    request.floor = home->driver->heard_id;
    request.deliver_at_ms = (uint64_t)(driver_unix_ms(home->driver) + delay_ms);
    request.primary_key = fabric_bytes_of(key);
    driver_send(home->driver, peer, request, &request);
    driver_check(home->driver);
}

/* Client "c" asks entity "a". */
static uint64_t ask_later(home_t *home, int64_t delay_ms)
{
    send_later(home, "c", home->next, ASK, "", delay_ms);
    return home->next++;
}

static void send_cancel(home_t *home, const char *peer, uint64_t sequence)
{
    message_cancel_t message = {
        .sequence = sequence, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
    driver_send(home->driver, peer, cancel, &message);
    driver_check(home->driver);
}

static void expect_cancelled(home_t *home, const char *peer, uint64_t sequence)
{
    const message_reply_t *reply = driver_replied(home->driver, peer, sequence);
    assert_int_equal(reply->status, STATUS_FAILURE);
    assert_int_equal(reply->error, FABRIC_ERROR_CANCELLED);
}

static void expect_nothing_waits(home_t *home)
{
    assert_int_equal(home_counters(home).pending, 0);
    assert_int_equal(home_counters(home).scheduled, 0);
    assert_int_equal(home_counters(home).stored, 0);
}

/* What is due within that time is handled. Returns how many messages that were. */
static unsigned pass(home_t *home, unsigned ms)
{
    unsigned handled = 0;
    for (unsigned i = 0; i < ms / 10; i++) {
        driver_pass(home->driver, 10);
        handled += home_work_off(home);
    }
    return handled;
}

/* So many tells to entity "b", due one millisecond after the other, which have rows. */
static void fill_schedule(home_t *home, unsigned count, int64_t first_ms)
{
    for (unsigned i = 0; i < count; i++) {
        home_tell_later(home, "b", first_ms + i);
    }
    home_append(home);
    home_checkpoint(home);
}

/* ---- cancels ---- */

static void a_cancelled_message_ends_before_its_time(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t call = ask_later(home, 5000);
    uint64_t age_ms = 0;
    home_append(home);
    home_checkpoint(home);
    send_cancel(home, "c", call);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0); /* not before it is durable */
    assert_int_equal(home_counters(home).scheduled, 0);
    assert_false(pending_oldest(home->driver->router, &age_ms));
    home_append(home);
    expect_cancelled(home, "c", call);
    expect_nothing_waits(home);
    assert_int_equal(home->store.moves, 0);
    assert_int_equal(pass(home, 6000), 0);
    home_close(&home);
}

/* Its row is still there. */
static void a_cancelled_message_does_not_fire_at_the_next_home(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t call = ask_later(home, 3000);
    home_append(home);
    home_checkpoint(home);
    send_cancel(home, "c", call);
    home_append(home);
    home->driver->config.store_now_ms = driver_unix_ms(home->driver);
    home_kill(home);
    home_worker(home);
    expect_nothing_waits(home);
    assert_int_equal(pass(home, 4000), 0);
    home_checkpoint(home);
    home_kill(home);
    expect_nothing_waits(home);
    home_close(&home);
}

static void one_that_waits_for_its_append_ends_when_it_is_stored(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t call = ask_later(home, 5000);
    send_cancel(home, "c", call);
    home_append(home);
    expect_cancelled(home, "c", call);
    expect_nothing_waits(home);
    home_close(&home);
}

/* Its new position is being appended. */
static void one_that_comes_due_is_not_delivered(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t call = ask_later(home, 20);
    home_append(home);
    driver_pass(home->driver, 20);
    assert_int_equal(router_waiting(home->driver->router, 0), 1);
    send_cancel(home, "c", call);
    home_append(home);
    expect_cancelled(home, "c", call);
    assert_int_equal(home->store.moves, 1);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), 0);
    expect_nothing_waits(home);
    home_close(&home);
}

/* It does not wait for what its entity has: 8 messages, of which 4 are in the queue. */
static void one_of_a_busy_entity_ends_at_once(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell(home, "a", 8);
    uint64_t call = ask_later(home, 5000);
    home_append(home);
    send_cancel(home, "c", call);
    driver_check(home->driver);
    home_append(home);
    expect_cancelled(home, "c", call);
    home_worker(home);
    assert_int_equal(home_work_off(home), 8);
    expect_nothing_waits(home);
    home_close(&home);
}

/* A search brings it. Its mark stays with its caller where the search fails. */
static void one_that_only_the_store_has_ends_when_it_was_found(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t call = ask_later(home, 3000);
    fill_schedule(home, 20, 1500);
    uint64_t stored = home_counters(home).stored;
    send_cancel(home, "c", call);
    assert_true(home_search(home, 0));
    assert_false(home_search(home, 0));
    assert_int_equal(home_counters(home).stored, stored - 1);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0); /* not before it is durable */
    home_append(home);
    expect_cancelled(home, "c", call);
    assert_int_equal(pass(home, 3500), 20);
    expect_nothing_waits(home);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    home_close(&home);
}

static void one_whose_search_fails_ends_when_it_is_loaded(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_search_t search;
    home_worker(home);
    uint64_t call = ask_later(home, 3000);
    fill_schedule(home, 20, 1500);
    send_cancel(home, "c", call);
    assert_true(router_take_search(home->driver->router, 0, &search));
    router_searched(home->driver->router, 0, FABRIC_ERROR_STORE_UNAVAILABLE, NULL,
                    home->driver->now_ms);
    home_append(home);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
    assert_int_equal(pass(home, 2000), 20);
    expect_cancelled(home, "c", call);
    expect_nothing_waits(home);
    assert_int_equal(pass(home, 1500), 0);
    home_close(&home);
}

/* It is behind the horizon, and its row is only being written: a load meets the row after the
 * message has ended, and before the next checkpoint has deleted it. */
static void one_behind_the_horizon_ends_at_once(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    fill_schedule(home, 20, 1500);
    uint64_t call = ask_later(home, 3000);
    home_append(home);
    driver_pass(home->driver, home->driver->config.checkpoint_ms);
    const router_slice_t *slice = home_take_slice(home, 0);
    send_cancel(home, "c", call);
    home_append(home);
    expect_cancelled(home, "c", call);
    home_settle_slice(home, 0, slice);
    assert_int_equal(pass(home, 3500), 20);
    expect_nothing_waits(home);
    home_checkpoint(home);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    home_close(&home);
}

/* Its row is in the store until the next checkpoint; meanwhile the horizon must not come nearer. */
static void the_row_of_a_cancelled_message_is_not_loaded(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t call = ask_later(home, 3000);
    home_append(home);
    home_checkpoint(home);
    send_cancel(home, "c", call);
    home_append(home);
    expect_cancelled(home, "c", call);
    for (unsigned i = 0; i < 20; i++) { /* more than the window ever has */
        home_tell_later(home, "b", 100 + i);
    }
    home_append(home);
    assert_int_equal(pass(home, 200), 20);
    assert_int_equal(pass(home, 3000), 0);
    expect_nothing_waits(home);
    home_close(&home);
}

/* Also where none of the messages that stay in memory is due as late as that. */
static void the_horizon_stays_behind_a_cancelled_message(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t call = ask_later(home, 3000);
    home_append(home);
    home_checkpoint(home);
    send_cancel(home, "c", call);
    home_append(home);
    expect_cancelled(home, "c", call);
    for (unsigned i = 0; i < 24; i++) { /* more than the window ever has */
        home_tell_later(home, "b", i < 4 ? 100 + i : 4000 + i);
    }
    home_append(home);
    assert_int_equal(pass(home, 200), 4);
    assert_int_equal(pass(home, 3000), 0);
    assert_int_equal(pass(home, 1500), 20);
    expect_nothing_waits(home);
    home_close(&home);
}

static void a_lane_is_dropped_while_the_end_is_appended(void **state)
{
    (void)state;
    home_t *home = open_home();
    for (int appending = 0; appending <= 1; appending++) {
        uint64_t call = ask_later(home, 5000);
        home_append(home);
        send_cancel(home, "c", call);
        if (appending) {
            assert_non_null(driver_take_batch(home->driver, 0));
        }
        driver_hold(home->driver, 0, 0);
        while (router_go_on(home->driver->router, home->driver->now_ms)) {
        }
        driver_pull(home->driver);
        driver_check(home->driver);
        expect_nothing_waits(home);
        if (appending) {
            driver_batch_fenced(home->driver, 0);
        }
        home_adopt(home, 0);
        assert_int_equal(home_counters(home).scheduled, 1 + (unsigned)appending);
    }
    home_close(&home);
}

/* ---- primary keys ---- */

static void a_duplicate_joins_the_scheduled_message(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    send_later(home, "c", 1, ASK_ACCEPTED, "k", 1000);
    keys_look_up(home);
    home_append(home);
    uint64_t id = driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
    keys_ask(home, "d", 5, ASK_ACCEPTED); /* without a time: it is the same message */
    keys_look_up(home);
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    home_append(home);
    assert_int_equal(home_counters(home).scheduled, 1);
    assert_int_equal(pass(home, 900), 0);
    assert_int_equal(pass(home, 200), 1);
    keys_expect_reply(home, "c", 1, id);
    keys_expect_reply(home, "d", 5, id);
    expect_nothing_waits(home);
    home_close(&home);
}

static void a_message_with_a_key_ends_once_all_its_callers_cancel_it(void **state)
{
    (void)state;
    home_t *home = open_home();
    send_later(home, "c", 1, ASK, "k", 1000);
    keys_look_up(home);
    home_append(home);
    keys_ask(home, "d", 5, ASK);
    keys_look_up(home);
    send_cancel(home, "c", 1);
    home_append(home);
    assert_int_equal(home_counters(home).scheduled, 1);
    send_cancel(home, "d", 5);
    home_append(home);
    expect_cancelled(home, "c", 1);
    expect_cancelled(home, "d", 5);
    expect_nothing_waits(home);
    keys_ask(home, "d", 6, ASK);
    keys_look_up(home);
    expect_cancelled(home, "d", 6); /* the key stands */
    home_close(&home);
}

/* At the next home, which knows the key from its row, and no message. */
static void a_duplicate_waits_for_a_scheduled_message_in_the_store(void **state)
{
    (void)state;
    home_t *home = open_home();
    send_later(home, "c", 1, ASK_ACCEPTED, "k", 3000);
    keys_look_up(home);
    home->next = 2;
    fill_schedule(home, 20, 1500);
    uint64_t id = driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
    assert_int_equal(keys_in_memory(home), 0);
    home->driver->config.store_now_ms = driver_unix_ms(home->driver);
    keys_take_over(home);
    home_worker(home);
    keys_ask(home, "d", 5, ASK_ACCEPTED);
    assert_int_equal(keys_look_up(home), 1);
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    assert_int_equal(pass(home, 3500), 21);
    keys_expect_reply(home, "d", 5, id);
    expect_nothing_waits(home);
    home_close(&home);
}

/* It has come due behind what its entity had: its position is not its id. */
static void a_duplicate_waits_for_a_message_in_the_store_that_has_come_due(void **state)
{
    (void)state;
    home_t *home = open_home();
    send_later(home, "c", 1, ASK_ACCEPTED, "k", 20);
    keys_look_up(home);
    home_append(home);
    uint64_t id = driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
    home->next = 2;
    home_tell(home, "a", 8);
    home_append(home);
    driver_pass(home->driver, 30);
    home_append(home);
    assert_int_equal(home->store.moves, 1);
    home_checkpoint(home);
    home_checkpoint(home);
    assert_int_equal(keys_in_memory(home), 0);
    keys_take_over(home);
    keys_ask(home, "d", 5, ASK_ACCEPTED);
    assert_int_equal(keys_look_up(home), 1);
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    home_worker(home);
    assert_int_equal(home_work_off(home), 9);
    keys_expect_reply(home, "d", 5, id);
    expect_nothing_waits(home);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancelled_message_ends_before_its_time),
        cmocka_unit_test(a_cancelled_message_does_not_fire_at_the_next_home),
        cmocka_unit_test(one_that_waits_for_its_append_ends_when_it_is_stored),
        cmocka_unit_test(one_that_comes_due_is_not_delivered),
        cmocka_unit_test(one_of_a_busy_entity_ends_at_once),
        cmocka_unit_test(one_that_only_the_store_has_ends_when_it_was_found),
        cmocka_unit_test(one_whose_search_fails_ends_when_it_is_loaded),
        cmocka_unit_test(one_behind_the_horizon_ends_at_once),
        cmocka_unit_test(the_row_of_a_cancelled_message_is_not_loaded),
        cmocka_unit_test(the_horizon_stays_behind_a_cancelled_message),
        cmocka_unit_test(a_lane_is_dropped_while_the_end_is_appended),
        cmocka_unit_test(a_duplicate_joins_the_scheduled_message),
        cmocka_unit_test(a_message_with_a_key_ends_once_all_its_callers_cancel_it),
        cmocka_unit_test(a_duplicate_waits_for_a_scheduled_message_in_the_store),
        cmocka_unit_test(a_duplicate_waits_for_a_message_in_the_store_that_has_come_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
