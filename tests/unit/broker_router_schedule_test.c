/* Scheduled messages: when they are delivered, in which place, and what memory keeps of them. Cases
 * td_* are those of timely delivery in their order; ip_15 is the one of persistence. Entities and
 * schedules have windows of 4 messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/lane_driver.h"

enum { DAY_MS = 86400000 };

static home_t *open_idle_home(void) /* nobody handles anything */
{
    router_config_t config;
    home_config(&config);
    config.schedule_window = 4;
    return home_open(&config);
}

static home_t *open_home(void)
{
    home_t *home = open_idle_home();
    home_worker(home);
    return home;
}

/* Delivered, or on its way: after what has to be appended for it. */
static size_t deliveries(home_t *home)
{
    home_append(home);
    return driver_count(home->driver, "w", KIND_DELIVER);
}

/* The worker answers the next delivery, which is that of the call. */
static void handle(home_t *home, uint64_t sequence)
{
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, sequence});
    const message_deliver_t *deliver = driver_delivery(home->driver, "w");
    assert_int_equal(deliver->request_id, at->message->stored.id.value);
    assert_int_equal(message_deliver_position(deliver), at->message->position);
    assert_int_equal(deliver->position != 0, at->message->stored.deliver_at_ms != 0);
    driver_result(home->driver, "w", deliver, STATUS_OK, FABRIC_OK);
    home_append(home);
}

static uint64_t ask_later(home_t *home, const char *id, int64_t delay_ms)
{
    message_request_t request = driver_request(home->next, id, REQUEST_DURABLE);
    request.floor = home->driver->heard_id;
    request.deliver_at_ms = (uint64_t)(driver_unix_ms(home->driver) + delay_ms);
    driver_send(home->driver, "c", request, &request);
    return home->next++;
}

static message_request_t request_at(home_t *home, uint64_t deliver_at_ms, uint64_t flags)
{
    message_request_t request = driver_request(home->next++, "a", flags);
    request.floor = home->driver->heard_id;
    request.deliver_at_ms = deliver_at_ms;
    return request;
}

/* ---- timely delivery ---- */

static void test_td_01_without_schedules_the_next_tick_is_a_usual_one(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell(home, "a", 1);
    assert_int_equal(deliveries(home), 1);
    router_tick(home->driver->router, home->driver->now_ms);
    assert_int_equal(router_next_deadline(home->driver->router), home->driver->now_ms + 10);
    home_close(&home);
}

static void test_td_02_the_earliest_time_decides_when_the_router_wakes(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", 7);
    home_tell_later(home, "b", 3);
    home_tell_later(home, "c", 5000);
    home_append(home);
    router_tick(home->driver->router, home->driver->now_ms);
    assert_int_equal(router_next_deadline(home->driver->router), home->driver->now_ms + 3);
    home_close(&home);
}

static void test_td_03_the_time_zero_is_at_once(void **state)
{
    (void)state;
    home_t *home = open_home();
    for (uint64_t deliver_at_ms = 0; deliver_at_ms <= 1; deliver_at_ms++) {
        message_request_t request = request_at(home, deliver_at_ms, REQUEST_DURABLE | REQUEST_TELL);
        driver_send(home->driver, "c", request, &request);
    }
    assert_int_equal(deliveries(home), 2);
    assert_int_equal(home->store.moves, 0);
    home_close(&home);
}

/* So many messages are in the store only, after those of the window. */
static void schedule_many(home_t *home, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        home_tell_later(home, "a", 1000 + i);
    }
    home_append(home);
    home_checkpoint(home);
}

static void test_td_04_what_memory_has_does_not_wait_for_a_slow_load(void **state)
{
    (void)state;
    home_t *home = open_home();
    schedule_many(home, 20);
    home_kill(home);
    home_worker(home);
    assert_true(home_load_scheduled(home, 0));
    driver_pass(home->driver, 1010); /* all four are due */
    router_scheduled_t load;
    assert_true(router_take_scheduled(home->driver->router, 0, &load));
    assert_int_equal(deliveries(home), 4);
    router_scheduled_loaded(home->driver->router, 0, FABRIC_ERROR_STORE_UNAVAILABLE, NULL, false,
                            home->driver->now_ms);
    home_close(&home);
}

static void test_td_05_another_lane_fires_by_itself(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.lanes = 4;
    config.schedule_window = 4;
    home_t *home = home_open(&config);
    home_worker(home);
    for (unsigned i = 0; i < 8; i++) {
        char id[] = {(char)('a' + i), 0};
        home_tell_later(home, id, 100 + 10 * (int64_t)i);
    }
    home_append(home);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(deliveries(home), i);
        driver_pass(home->driver, i == 0 ? 100 : 10);
    }
    assert_int_equal(deliveries(home), 8);
    home_close(&home);
}

static void test_td_06_what_is_due_as_its_lane_is_adopted_fires_at_once(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", 2000); /* has a row */
    home_append(home);
    home_checkpoint(home);
    home_tell_later(home, "b", 2000); /* is in the journal only */
    home->driver->config.store_now_ms = driver_unix_ms(home->driver) + 5000; /* of the next home */
    home_append(home);
    home_kill(home);
    home_worker(home);
    assert_true(home_load_scheduled(home, 0));
    driver_pass(home->driver, 10);
    assert_int_equal(deliveries(home), 2);
    home_close(&home);
}

static void test_td_07_what_was_handled_does_not_fire_again(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t call = home_tell_later(home, "a", 100);
    home_append(home);
    home_checkpoint(home); /* 1,000 ms: it is due, and has a row */
    assert_int_equal(deliveries(home), 1);
    handle(home, call);
    home_kill(home); /* the row of the schedule is still there */
    home_worker(home);
    while (home_load_scheduled(home, 0)) {
    }
    driver_pass(home->driver, DAY_MS / 1000);
    assert_int_equal(deliveries(home), 0);
    assert_int_equal(home_counters(home).pending, 0);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    home_close(&home);
}

static void test_td_08_a_lane_without_schedules_reads_none(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_scheduled_t load;
    assert_false(router_take_scheduled(home->driver->router, 0, &load));
    home_tell_later(home, "a", 5000); /* all that there is, is in memory */
    home_append(home);
    home_checkpoint(home);
    assert_false(router_take_scheduled(home->driver->router, 0, &load));
    home_close(&home);
}

static void test_td_10_a_message_is_delivered_at_its_time_and_not_before(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", 50);
    home_append(home);
    driver_take(home->driver, "c", KIND_ACCEPTED);
    for (int64_t ms = 0; ms < 49; ms++) {
        router_tick(home->driver->router, ++home->driver->now_ms);
        assert_int_equal(deliveries(home), 0);
        assert_int_equal(router_waiting(home->driver->router, 0), 0);
    }
    router_tick(home->driver->router, ++home->driver->now_ms);
    driver_pull(home->driver);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), 0); /* not durable yet */
    assert_int_equal(deliveries(home), 1);
    home_close(&home);
}

static void test_td_11_rows_that_are_due_as_they_are_read_fire(void **state)
{
    (void)state;
    home_t *home = open_home();
    schedule_many(home, 20);
    home->driver->config.store_now_ms = driver_unix_ms(home->driver) + 5000;
    home_kill(home);
    home_worker(home);
    unsigned handled = 0;
    for (int i = 0; i < 10; i++) {
        handled += home_work_off(home);
        driver_pass(home->driver, 10);
    }
    assert_int_equal(handled, 20);
    home_close(&home);
}

static void test_td_12_a_message_that_comes_while_rows_are_read_is_not_forgotten(void **state)
{
    (void)state;
    home_t *home = open_home();
    schedule_many(home, 20);
    home_kill(home);
    home_worker(home);
    router_scheduled_t load;
    assert_true(router_take_scheduled(home->driver->router, 0, &load));
    bool ended = false;
    message_t *rows = lane_model_load_scheduled(&home->store, 0, load.after, load.limit, &ended);
    uint64_t call = home_tell_later(home, "b", 20);
    home_append(home);
    home_checkpoint(home); /* it has a row that the load has not seen, and is overdue */
    assert_int_equal(deliveries(home), 0);
    router_scheduled_loaded(home->driver->router, 0, FABRIC_OK, rows, ended, home->driver->now_ms);
    driver_pass(home->driver, 10);
    assert_true(deliveries(home) >= 1);
    handle(home, call);
    home_close(&home);
}

static void test_td_13_each_time_is_kept(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t third = home_tell_later(home, "a", 300);
    uint64_t first = home_tell_later(home, "a", 100);
    uint64_t second = home_tell_later(home, "a", 200);
    home_append(home);
    const uint64_t calls[] = {first, second, third};
    for (size_t i = 0; i < 3; i++) {
        driver_pass(home->driver, 90);
        assert_int_equal(deliveries(home), 0);
        driver_pass(home->driver, 10);
        assert_int_equal(deliveries(home), 1);
        handle(home, calls[i]);
    }
    home_close(&home);
}

static void test_td_14_a_time_that_has_passed_is_at_once(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", -DAY_MS);
    home_tell_later(home, "a", 0);
    assert_int_equal(deliveries(home), 2);
    assert_int_equal(home->store.moves, 0); /* they keep their positions */
    home_close(&home);
}

static void test_td_15_an_earlier_time_wakes_the_router_earlier(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", 8);
    home_append(home);
    router_tick(home->driver->router, home->driver->now_ms);
    assert_int_equal(router_next_deadline(home->driver->router), home->driver->now_ms + 8);
    home_tell_later(home, "b", 2);
    home_append(home);
    assert_int_equal(router_next_deadline(home->driver->router), home->driver->now_ms + 2);
    home_close(&home);
}

static void test_td_16_a_schedule_survives_its_home(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t with_row = home_tell_later(home, "a", 2000);
    home_append(home);
    home_checkpoint(home);
    uint64_t without = home_tell_later(home, "a", 1500); /* in the journal only */
    home_append(home);
    home->driver->config.store_now_ms = driver_unix_ms(home->driver);
    home_kill(home);
    home_worker(home);
    assert_int_equal(home_counters(home).scheduled, 2);
    assert_int_equal(home_counters(home).pending, 2);
    while (home_load_scheduled(home, 0)) {
    }
    driver_pass(home->driver, 990);
    assert_int_equal(deliveries(home), 0);
    driver_pass(home->driver, 10);
    assert_int_equal(deliveries(home), 1);
    handle(home, with_row);
    driver_pass(home->driver, 500);
    assert_int_equal(deliveries(home), 1);
    handle(home, without);
    home_close(&home);
}

static void a_load_that_failed_is_tried_again(void **state)
{
    (void)state;
    home_t *home = open_home();
    schedule_many(home, 20);
    home_kill(home);
    home_worker(home);
    router_scheduled_t load;
    assert_true(router_take_scheduled(home->driver->router, 0, &load));
    assert_false(router_take_scheduled(home->driver->router, 0, &load)); /* one at a time */
    router_scheduled_loaded(home->driver->router, 0, FABRIC_ERROR_STORE_UNAVAILABLE, NULL, false,
                            home->driver->now_ms);
    assert_true(home_load_scheduled(home, 0));
    home_close(&home);
}

/* ---- order ---- */

static void test_ip_15_a_message_takes_its_place_when_it_is_due(void **state)
{
    (void)state;
    home_t *home = open_idle_home();
    uint64_t scheduled = home_tell_later(home, "a", 100);
    uint64_t before = home_tell(home, "a", 2);
    home_append(home);
    driver_pass(home->driver, 100);
    home_append(home);
    uint64_t after = home_tell(home, "a", 1);
    home_append(home);
    home_worker(home);
    assert_int_equal(deliveries(home), 4);
    handle(home, before);
    handle(home, before + 1);
    handle(home, scheduled);
    handle(home, after);
    home_close(&home);
}

/* A message that is accepted after another one has come due comes after it, also if one entry has
 * both. */
static void a_move_and_a_message_of_one_entry_keep_their_order(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t scheduled = home_tell_later(home, "a", 100);
    home_append(home);
    uint64_t before = home_tell(home, "a", 1);
    driver_pass(home->driver, 100); /* the move waits for the append, as the message does */
    uint64_t after = home_tell(home, "a", 1);
    assert_int_equal(router_waiting(home->driver->router, 0), 3);
    assert_int_equal(deliveries(home), 3);
    handle(home, before);
    handle(home, scheduled);
    handle(home, after);
    home_close(&home);
}

/* A home that dies after the move is durable, and before its message is handled. */
static void a_message_that_has_come_due_keeps_its_place_at_the_next_home(void **state)
{
    (void)state;
    home_t *home = open_idle_home();
    uint64_t scheduled = home_tell_later(home, "a", 100);
    uint64_t before = home_tell(home, "a", 1);
    home_append(home);
    home_checkpoint(home); /* both have rows; then it comes due */
    home_append(home);
    uint64_t after = home_tell(home, "a", 1);
    home_append(home);
    home_kill(home);
    home_worker(home);
    while (home_load(home, 0) || home_load_scheduled(home, 0)) {
    }
    handle(home, before);
    handle(home, scheduled);
    handle(home, after);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    home_close(&home);
}

/* ---- clocks ---- */

static void a_clock_that_jumps_ahead_fires_what_it_passes(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", DAY_MS - 1);
    home_tell_later(home, "b", DAY_MS + 1000);
    home_append(home);
    router_clock(home->driver->router, driver_unix_ms(home->driver) + DAY_MS, home->driver->now_ms);
    driver_pass(home->driver, 10);
    assert_int_equal(deliveries(home), 1);
    home_close(&home);
}

static void a_clock_that_goes_back_delays_what_waits(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", 100);
    home_append(home);
    router_clock(home->driver->router, driver_unix_ms(home->driver) - DAY_MS, home->driver->now_ms);
    driver_pass(home->driver, 1000);
    assert_int_equal(deliveries(home), 0);
    router_clock(home->driver->router, driver_unix_ms(home->driver), home->driver->now_ms);
    driver_pass(home->driver, 10);
    assert_int_equal(deliveries(home), 1);
    home_close(&home);
}

/* ---- memory ---- */

static void memory_keeps_the_next_of_many(void **state)
{
    (void)state;
    home_t *home = open_home();
    for (int i = 0; i < 100; i++) {
        home_tell_later(home, "a", 2000 + (i * 37) % 100); /* in no order */
        if (i % 10 == 9) {
            home_append(home);
            home_checkpoint(home);
            driver_pass(home->driver, 0);
            router_clock(home->driver->router, driver_unix_ms(home->driver) - 1000 * (i / 10 + 1),
                         home->driver->now_ms);
        }
    }
    assert_int_equal(home_counters(home).scheduled, 100);
    assert_int_equal(home_counters(home).pending, 100);
    assert_true(home_counters(home).stored >= 100 - 16);
    router_clock(home->driver->router, driver_unix_ms(home->driver) + DAY_MS, home->driver->now_ms);
    unsigned handled = 0;
    for (int i = 0; i < 100; i++) {
        driver_pass(home->driver, 10);
        handled += home_work_off(home);
    }
    assert_int_equal(handled, 100);
    assert_int_equal(home_counters(home).scheduled, 0);
    assert_int_equal(home_counters(home).stored, 0);
    home_close(&home);
}

static void a_message_without_a_row_stays_in_memory(void **state)
{
    (void)state;
    home_t *home = open_home();
    for (int i = 0; i < 100; i++) {
        home_tell_later(home, "a", 5000 + i);
    }
    home_append(home);
    assert_int_equal(home_counters(home).stored, 0);
    home_checkpoint(home);
    assert_int_equal(home_counters(home).stored, 100 - 4);
    home_close(&home);
}

static void what_waits_for_its_time_is_not_an_old_message(void **state)
{
    (void)state;
    home_t *home = open_idle_home();
    uint64_t age_ms = 0;
    home_tell_later(home, "a", 5000);
    home_append(home);
    driver_pass(home->driver, 4000);
    assert_false(pending_oldest(home->driver->router, &age_ms));
    driver_pass(home->driver, 1000);
    home_append(home);
    driver_pass(home->driver, 500);
    assert_true(pending_oldest(home->driver->router, &age_ms));
    assert_true(age_ms >= 400 && age_ms < 1000); /* since it came due */
    home_close(&home);
}

/* ---- callers ---- */

static void an_ask_waits_for_its_reply(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t call = ask_later(home, "a", 2000);
    for (int i = 0; i < 30; i++) { /* so that memory does not keep it */
        home_tell_later(home, "b", 1500 + i);
    }
    home_append(home);
    home_checkpoint(home);
    assert_true(home_counters(home).stored > 0);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
    for (int i = 0; i < 110; i++) {
        driver_pass(home->driver, 10);
        (void)home_work_off(home);
    }
    assert_int_equal(driver_replied(home->driver, "c", call)->status, STATUS_OK);
    home_close(&home);
}

/* The client sends the call again, to a home that knows of it from the store only. */
static void a_call_that_is_sent_again_is_found(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t call = ask_later(home, "a", 2000);
    uint64_t deliver_at_ms = (uint64_t)driver_unix_ms(home->driver) + 2000;
    for (int i = 0; i < 30; i++) {
        home_tell_later(home, "b", 1500 + i);
    }
    home_append(home);
    home_checkpoint(home);
    home->driver->config.store_now_ms = driver_unix_ms(home->driver);
    home_kill(home);
    home_worker(home);
    message_request_t again = driver_request(call, "a", REQUEST_DURABLE | REQUEST_RESEND);
    again.deliver_at_ms = deliver_at_ms;
    driver_send(home->driver, "c", request, &again);
    router_lookup_t lookup;
    assert_true(router_take_lookup(home->driver->router, 0, &lookup));
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, call});
    driver_lookup_found(home->driver, 0, &at->message->stored, NULL);
    router_lookup_done(home->driver->router, 0, FABRIC_OK, (request_id_t){0}, home->driver->now_ms);
    assert_int_equal(driver_count(home->driver, "c", KIND_REJECTED), 0);
    unsigned handled = 0;
    for (int i = 0; i < 110; i++) {
        driver_pass(home->driver, 10);
        handled += home_work_off(home);
    }
    assert_int_equal(handled, 31); /* once */
    assert_int_equal(driver_replied(home->driver, "c", call)->status, STATUS_OK);
    home_close(&home);
}

static void times_out_of_bounds_are_refused(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t last = (uint64_t)LIMIT_DELIVER_AT_MS_MAX;
    message_request_t request = request_at(home, last, REQUEST_DURABLE | REQUEST_TELL);
    driver_send(home->driver, "c", request, &request);
    home_append(home);
    assert_int_equal(home_counters(home).scheduled, 1);
    request = request_at(home, last + 1, REQUEST_DURABLE | REQUEST_TELL);
    driver_send(home->driver, "c", request, &request);
    assert_int_equal(driver_rejected(home->driver, "c", request.sequence),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    request = request_at(home, UINT64_MAX, REQUEST_DURABLE | REQUEST_TELL);
    driver_send(home->driver, "c", request, &request);
    assert_int_equal(driver_rejected(home->driver, "c", request.sequence),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    request = request_at(home, last, 0);
    driver_send(home->driver, "c", request, &request);
    assert_int_equal(driver_rejected(home->driver, "c", request.sequence),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    home_close(&home);
}

/* ---- lanes ---- */

static void a_home_without_a_lease_fires_nothing(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", 100);
    home_append(home);
    router_lease(home->driver->router, home->driver->now_ms, UINT64_MAX);
    driver_pass(home->driver, 200);
    assert_int_equal(router_waiting(home->driver->router, 0), 0);
    router_lease(home->driver->router, UINT64_MAX, UINT64_MAX);
    driver_pass(home->driver, 10);
    assert_int_equal(deliveries(home), 1);
    home_close(&home);
}

static void a_lane_that_is_lost_takes_its_schedule_along(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", 20);
    home_tell_later(home, "b", 2000);
    uint64_t asked = ask_later(home, "b", 3000);
    home_append(home);
    driver_pass(home->driver, 20);
    assert_int_equal(router_waiting(home->driver->router, 0), 1); /* the move of the first one */
    driver_hold(home->driver, 0, 0);
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
    }
    driver_pull(home->driver);
    driver_check(home->driver);
    assert_int_equal(home_counters(home).scheduled, 0);
    assert_int_equal(home_counters(home).pending, 0);
    assert_int_equal(driver_take(home->driver, "c", KIND_REDIRECT)->as.redirect.sequence, asked);
    home_adopt(home, 0);
    assert_int_equal(home_counters(home).scheduled, 3); /* the move did not become durable */
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_td_01_without_schedules_the_next_tick_is_a_usual_one),
        cmocka_unit_test(test_td_02_the_earliest_time_decides_when_the_router_wakes),
        cmocka_unit_test(test_td_03_the_time_zero_is_at_once),
        cmocka_unit_test(test_td_04_what_memory_has_does_not_wait_for_a_slow_load),
        cmocka_unit_test(test_td_05_another_lane_fires_by_itself),
        cmocka_unit_test(test_td_06_what_is_due_as_its_lane_is_adopted_fires_at_once),
        cmocka_unit_test(test_td_07_what_was_handled_does_not_fire_again),
        cmocka_unit_test(test_td_08_a_lane_without_schedules_reads_none),
        cmocka_unit_test(test_td_10_a_message_is_delivered_at_its_time_and_not_before),
        cmocka_unit_test(test_td_11_rows_that_are_due_as_they_are_read_fire),
        cmocka_unit_test(test_td_12_a_message_that_comes_while_rows_are_read_is_not_forgotten),
        cmocka_unit_test(test_td_13_each_time_is_kept),
        cmocka_unit_test(test_td_14_a_time_that_has_passed_is_at_once),
        cmocka_unit_test(test_td_15_an_earlier_time_wakes_the_router_earlier),
        cmocka_unit_test(test_td_16_a_schedule_survives_its_home),
        cmocka_unit_test(a_load_that_failed_is_tried_again),
        cmocka_unit_test(test_ip_15_a_message_takes_its_place_when_it_is_due),
        cmocka_unit_test(a_move_and_a_message_of_one_entry_keep_their_order),
        cmocka_unit_test(a_message_that_has_come_due_keeps_its_place_at_the_next_home),
        cmocka_unit_test(a_clock_that_jumps_ahead_fires_what_it_passes),
        cmocka_unit_test(a_clock_that_goes_back_delays_what_waits),
        cmocka_unit_test(memory_keeps_the_next_of_many),
        cmocka_unit_test(a_message_without_a_row_stays_in_memory),
        cmocka_unit_test(what_waits_for_its_time_is_not_an_old_message),
        cmocka_unit_test(an_ask_waits_for_its_reply),
        cmocka_unit_test(a_call_that_is_sent_again_is_found),
        cmocka_unit_test(times_out_of_bounds_are_refused),
        cmocka_unit_test(a_home_without_a_lease_fires_nothing),
        cmocka_unit_test(a_lane_that_is_lost_takes_its_schedule_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
