/* Cancels of calls that their client has settled on: it gives up with the frame that cancels them,
 * or has sent them again since. Entities and schedules have windows of 4 messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/keys_driver.h"

enum { GIVE_UP = ASK | REQUEST_GIVE_UP };

static home_t *open_home(void)
{
    router_config_t config;
    home_config(&config);
    config.schedule_window = 4;
    return home_open(&config);
}

/* Client "c" asks entity "a", in a frame that settles all calls below `settled`. */
static void ask(home_t *home, uint64_t sequence, uint64_t flags, uint64_t settled, int64_t delay_ms)
{
    message_request_t request = driver_request(sequence, "a", flags);
    request.floor = flags & REQUEST_RESEND ? 0 : home->driver->heard_id;
    request.deliver_at_ms = delay_ms > 0 ? (uint64_t)(driver_unix_ms(home->driver) + delay_ms) : 0;
    driver_send_settling(home->driver, "c", settled, request, &request);
    driver_check(home->driver);
}

static void settle(home_t *home, uint64_t settled)
{
    driver_send_settling(home->driver, "c", settled, ping, &(message_ping_t){.sequence = 1});
    driver_check(home->driver);
}

static void cancel(home_t *home, uint64_t sequence, uint64_t settled)
{
    message_cancel_t message = {
        .sequence = sequence, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
    driver_send_settling(home->driver, "c", settled, cancel, &message);
    driver_check(home->driver);
}

/* The end is durable before the caller hears of it; no handler sees the message. */
static void expect_cancelled(home_t *home, uint64_t sequence)
{
    driver_pull(home->driver);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
    home_append(home);
    const message_reply_t *reply = driver_replied(home->driver, "c", sequence);
    assert_int_equal(reply->status, STATUS_FAILURE);
    assert_int_equal(reply->error, FABRIC_ERROR_CANCELLED);
    assert_int_equal(home_counters(home).cancelled, 1);
}

static void expect_nothing_left(home_t *home)
{
    assert_int_equal(home_work_off(home), 0);
    home_checkpoint(home);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    assert_int_equal(home_counters(home).pending, 0);
    assert_int_equal(home_counters(home).scheduled, 0);
    assert_int_equal(home_counters(home).stored, 0);
}

/* ---- the frame that settles on the call cancels it ---- */

static void one_in_a_batch_ends_when_it_is_stored(void **state)
{
    (void)state;
    for (int appending = 0; appending < 2; appending++) {
        home_t *home = open_home();
        home_worker(home);
        ask(home, 1, GIVE_UP, 0, 0);
        const lane_batch_t *batch =
            appending ? router_take_batch(home->driver->router, 0, home->driver->now_ms) : NULL;
        cancel(home, 1, 2);
        if (batch) {
            uint64_t entry = lane_model_append(&home->store, 0, batch);
            router_batch_done(home->driver->router, 0, FABRIC_OK, entry, 100, home->driver->now_ms);
        }
        expect_cancelled(home, 1);
        expect_nothing_left(home);
        home_close(&home);
    }
}

static void one_that_is_looked_up_ends_when_it_is_accepted(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    ask(home, 1, GIVE_UP | REQUEST_RESEND, 0, 0);
    cancel(home, 1, 2);
    assert_int_equal(keys_look_up(home), 1);
    expect_cancelled(home, 1);
    expect_nothing_left(home);
    home_close(&home);
}

static void a_scheduled_one_ends_before_its_time(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    ask(home, 1, GIVE_UP, 0, 5000);
    home_append(home);
    cancel(home, 1, 2);
    assert_int_equal(home_counters(home).scheduled, 0);
    expect_cancelled(home, 1);
    expect_nothing_left(home);
    home_close(&home);
}

/* Nobody waits for it any more when it is found. */
static void a_scheduled_one_that_only_the_store_has_is_searched_for(void **state)
{
    (void)state;
    home_t *home = open_home();
    ask(home, 1, GIVE_UP, 0, 30000);
    home->next = 2;
    for (int i = 0; i < 20; i++) {
        home_tell_later(home, "b", 15000 + i);
    }
    home_append(home);
    home_checkpoint(home);
    cancel(home, 1, 2);
    assert_true(home_search(home, 0));
    expect_cancelled(home, 1);
    assert_int_equal(home_counters(home).pending, 20);
    home_close(&home);
}

/* Both have room in the store or behind it only. */
static void one_of_an_overflowing_entity_ends(void **state)
{
    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        home_t *home = open_home();
        home_tell(home, "a", 8);
        ask(home, 9, GIVE_UP, 0, 0);
        home_append(home);
        if (stored) {
            home_checkpoint(home);
        }
        cancel(home, 9, 10);
        assert_true(home_search(home, 0) == stored);
        expect_cancelled(home, 9);
        home_worker(home);
        assert_int_equal(home_work_off(home), 8);
        expect_nothing_left(home);
        home_close(&home);
    }
}

/* Several cancels stand before what settles on their calls. */
static void all_cancels_that_begin_a_frame_count(void **state)
{
    (void)state;
    home_t *home = open_home();
    ask(home, 1, GIVE_UP, 0, 5000);
    ask(home, 2, GIVE_UP, 0, 5000);
    ask(home, 3, ASK, 0, 5000);
    home_append(home);
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, 4});
    for (uint64_t i = 1; i <= 2; i++) {
        message_cancel_t message = {
            .sequence = i, .type = fabric_bytes_of("Counter"), .id = fabric_bytes_of("a")};
        message_put_cancel(&frame, &message);
    }
    message_put_ping(&frame, &(message_ping_t){.sequence = 1});
    driver_send_bytes(home->driver, "c", wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    driver_check(home->driver);
    assert_int_equal(home_counters(home).scheduled, 1);
    home_append(home);
    assert_int_equal(home_counters(home).cancelled, 2);
    home_close(&home);
}

/* ---- the call came again after its client had settled on it ---- */

static void one_that_came_again_in_a_batch_ends_when_it_is_stored(void **state)
{
    (void)state;
    for (int appending = 0; appending < 2; appending++) {
        home_t *home = open_home();
        home_worker(home);
        ask(home, 1, ASK, 0, 0);
        const lane_batch_t *batch =
            appending ? router_take_batch(home->driver->router, 0, home->driver->now_ms) : NULL;
        settle(home, 2);
        ask(home, 1, AGAIN, 2, 0);
        cancel(home, 1, 2);
        if (batch) {
            uint64_t entry = lane_model_append(&home->store, 0, batch);
            router_batch_done(home->driver->router, 0, FABRIC_OK, entry, 100, home->driver->now_ms);
        }
        expect_cancelled(home, 1);
        expect_nothing_left(home);
        home_close(&home);
    }
}

/* No home had stored it: it is accepted, and ends. */
static void one_that_came_again_ends_once_it_was_looked_up(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    settle(home, 2);
    ask(home, 1, AGAIN, 2, 0);
    ask(home, 1, AGAIN, 2, 0);
    cancel(home, 1, 2);
    assert_int_equal(keys_look_up(home), 1);
    expect_cancelled(home, 1);
    expect_nothing_left(home);
    home_close(&home);
}

/* It was accepted since, and waits for its append. */
static void one_that_came_again_ends_after_its_look_up(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    settle(home, 2);
    ask(home, 1, AGAIN, 2, 0);
    assert_int_equal(keys_look_up(home), 1);
    cancel(home, 1, 2);
    expect_cancelled(home, 1);
    expect_nothing_left(home);
    home_close(&home);
}

/* The look-up finds the message where it waits: for its time, or behind others of its entity, in
 * memory or in the store. The cancel comes during the look-up, or later. */
static void one_that_came_again_ends_wherever_it_waits(void **state)
{
    (void)state;
    for (int at = 0; at < 8; at++) {
        bool scheduled = at & 1;
        bool stored = at & 2;
        bool later = at & 4;
        home_t *home = open_home();
        home->next = 2;
        if (scheduled && stored) {
            for (int i = 0; i < 20; i++) {
                home_tell_later(home, "b", 15000 + i);
            }
        } else if (!scheduled) {
            home_tell(home, "a", 8);
        }
        ask(home, 1, ASK, 0, scheduled ? 30000 : 0);
        home_append(home);
        if (stored) {
            home_checkpoint(home);
        }
        uint64_t before = home_counters(home).pending;
        settle(home, 2);
        ask(home, 1, AGAIN, 2, scheduled ? 30000 : 0);
        if (later) {
            assert_int_equal(keys_look_up(home), 1);
        }
        cancel(home, 1, 2);
        if (!later) {
            assert_int_equal(keys_look_up(home), 1);
        }
        assert_true(home_search(home, 0) == stored);
        expect_cancelled(home, 1);
        assert_int_equal(home_counters(home).pending, before - 1);
        home_close(&home);
    }
}

/* Each of them is found, however many there are and whichever have ended since. */
static void many_that_came_again_end(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    home_t *home = open_home();
    home_worker(home);
    for (uint64_t i = 1; i <= COUNT; i++) {
        ask(home, i, ASK, 0, i % 2 ? 5000 : 0);
    }
    home_append(home);
    settle(home, COUNT + 1);
    for (uint64_t i = 1; i <= COUNT; i++) {
        ask(home, i, AGAIN, COUNT + 1, i % 2 ? 5000 : 0);
        (void)keys_look_up(home);
    }
    while (home_work_off(home) > 0) {
    }
    assert_int_equal(home_counters(home).pending, COUNT / 2);
    for (uint64_t i = 1; i <= COUNT; i++) {
        cancel(home, i, COUNT + 1);
    }
    home_append(home);
    assert_int_equal(home_counters(home).cancelled, COUNT / 2);
    assert_int_equal(home_counters(home).pending, 0);
    home_close(&home);
}

/* A tell has ended for its caller with its acceptance. */
static void a_held_tell_goes_on(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    for (uint64_t settled = 0; settled <= 2; settled += 2) {
        uint64_t sequence = settled ? 1 : 2;
        ask(home, sequence, TELL | REQUEST_RESEND, settled, 0);
        cancel(home, sequence, settled);
        assert_int_equal(keys_look_up(home), 1);
        home_append(home);
        assert_int_equal(home_work_off(home), 1);
    }
    assert_int_equal(home_counters(home).cancelled, 0);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_in_a_batch_ends_when_it_is_stored),
        cmocka_unit_test(one_that_is_looked_up_ends_when_it_is_accepted),
        cmocka_unit_test(a_scheduled_one_ends_before_its_time),
        cmocka_unit_test(a_scheduled_one_that_only_the_store_has_is_searched_for),
        cmocka_unit_test(one_of_an_overflowing_entity_ends),
        cmocka_unit_test(all_cancels_that_begin_a_frame_count),
        cmocka_unit_test(one_that_came_again_in_a_batch_ends_when_it_is_stored),
        cmocka_unit_test(one_that_came_again_ends_once_it_was_looked_up),
        cmocka_unit_test(one_that_came_again_ends_after_its_look_up),
        cmocka_unit_test(one_that_came_again_ends_wherever_it_waits),
        cmocka_unit_test(many_that_came_again_end),
        cmocka_unit_test(a_held_tell_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
