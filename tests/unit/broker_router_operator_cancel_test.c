/* Cancels by operators, wherever the message stands. Entities and schedules have windows of 4
 * messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "tests/unit/cancel_query.h"
#include "tests/unit/lane_driver.h"

enum { WAIT_MS = 20000 };

static home_t *open_home(void)
{
    router_config_t config;
    home_config(&config);
    config.schedule_window = 4;
    home_t *home = home_open(&config);
    driver_client(home->driver, "d", 2);
    return home;
}

static uint64_t id_of(const home_t *home, uint64_t sequence)
{
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, sequence});
    assert_non_null(at);
    return at->message->stored.id.value;
}

static void send_cancel(home_t *home, uint64_t id)
{
    cancel_query_send(home->driver, "d", 1, WAIT_MS, &id, 1);
    driver_check(home->driver);
}

/* Its caller may wait. */
static void expect_stored(home_t *home, uint64_t id)
{
    const message_t *message = message_find(home->driver->router, (request_id_t){id});
    assert_true(!message || message->state == MESSAGE_STORED);
}

static void expect_silence(home_t *home)
{
    driver_pull(home->driver);
    assert_int_equal(driver_count(home->driver, "d", KIND_ANSWER), 0);
}

static void expect_outcome(home_t *home, uint64_t id, const char *outcome, const char *error)
{
    driver_pull(home->driver);
    const message_answer_t *answer = &driver_take(home->driver, "d", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->error, FABRIC_OK);
    assert_true(cancel_query_has_lane(answer->document, 0));
    cancel_outcome_t found = cancel_query_outcome(answer->document, id);
    assert_string_equal(found.outcome, outcome);
    assert_string_equal(found.error, error);
}

/* The end is durable before the answer, and no later home handles the message. */
static void expect_ended(home_t *home, uint64_t id)
{
    expect_silence(home);
    home_append(home);
    expect_outcome(home, id, "cancelled", "");
    const lane_message_t *at = lane_model_find(&home->store, id);
    assert_true(at->ended > 0);
    assert_int_equal(at->message->reply.error, FABRIC_ERROR_CANCELLED);
}

static void expect_all_gone(home_t *home)
{
    home_checkpoint(home);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    assert_int_equal(home_counters(home).pending, 0);
    assert_int_equal(home_counters(home).stored, 0);
    assert_int_equal(home_counters(home).scheduled, 0);
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

/* ---- in memory ---- */

/* A tell, too, and whatever stands before it. */
static void a_message_in_its_queue_ends(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t first = home_tell(home, "a", 3);
    home_append(home);
    send_cancel(home, id_of(home, first + 1));
    expect_ended(home, id_of(home, first + 1));
    home_worker(home);
    assert_int_equal(home_work_off(home), 2);
    expect_all_gone(home);
    home_close(&home);
}

static void the_caller_hears_of_it(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t call = home_ask(home, "a", 1);
    home_append(home);
    send_cancel(home, id_of(home, call));
    expect_ended(home, id_of(home, call));
    const message_reply_t *reply = driver_replied(home->driver, "c", call);
    assert_int_equal(reply->error, FABRIC_ERROR_CANCELLED);
    assert_non_null(memmem(reply->payload.data, reply->payload.size, "operator", 8));
    home_close(&home);
}

/* It is told to stop. The answer comes with its end, or when the time to wait is over. */
static void a_message_that_runs_is_interrupted(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t id = 0;
    uint64_t call = home_ask(home, "a", 1);
    home_append(home);
    id = id_of(home, call);
    message_deliver_t deliver = *driver_delivery(home->driver, "w");
    send_cancel(home, id);
    assert_int_equal(driver_take(home->driver, "w", KIND_INTERRUPT)->as.interrupt.request_id, id);
    expect_silence(home);
    driver_pass(home->driver, WAIT_MS + 10);
    expect_outcome(home, id, "running", "");
    send_cancel(home, id);
    driver_result(home->driver, "w", &deliver, STATUS_OK, FABRIC_OK);
    expect_silence(home);
    home_append(home);
    expect_outcome(home, id, "ended", "OK");
    send_cancel(home, id);
    (void)home_search(home, 0);
    expect_outcome(home, id, "ended", "OK");
    home_close(&home);
}

static void a_scheduled_message_ends(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t call = home_tell_later(home, "a", 1000);
    home_append(home);
    send_cancel(home, id_of(home, call));
    expect_ended(home, id_of(home, call));
    assert_int_equal(pass(home, 1500), 0);
    expect_all_gone(home);
    home_close(&home);
}

/* Its entity has more than memory holds, and nobody handles anything: it would wait for ever. */
static void a_message_behind_a_gap_ends(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 10);
    uint64_t first = home_tell(home, "a", 3);
    home_append(home);
    uint64_t id = id_of(home, first + 1);
    assert_int_equal(message_find(home->driver->router, (request_id_t){id})->state,
                     MESSAGE_OVERFLOWED);
    driver_pass(home->driver, home->driver->config.checkpoint_ms);
    const router_slice_t *slice = home_take_slice(home, 0); /* its row is being written */
    send_cancel(home, id);
    expect_ended(home, id);
    home_settle_slice(home, 0, slice);
    assert_true(home_counters(home).stored >= 8); /* loads read past its row */
    home_worker(home);
    assert_int_equal(home_work_off(home), 12);
    expect_all_gone(home);
    home_close(&home);
}

/* ---- in the store only ---- */

static void a_message_in_a_gap_is_searched_for_and_ends(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 20);
    uint64_t id = id_of(home, 15);
    expect_stored(home, id);
    send_cancel(home, id);
    expect_silence(home);
    assert_true(home_search(home, 0));
    expect_ended(home, id);
    home_worker(home);
    assert_int_equal(home_work_off(home), 19);
    expect_all_gone(home);
    home_close(&home);
}

static void a_message_behind_the_horizon_is_searched_for_and_ends(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t first = home->next;
    for (unsigned i = 0; i < 20; i++) {
        home_tell_later(home, "a", 500 + i);
    }
    home_append(home);
    home_checkpoint(home);
    uint64_t id = id_of(home, first + 15);
    expect_stored(home, id);
    send_cancel(home, id);
    assert_true(home_search(home, 0));
    expect_ended(home, id);
    assert_int_equal(pass(home, 1000), 19);
    expect_all_gone(home);
    home_close(&home);
}

/* The home is killed when the end is durable, and the row is still there. */
static void the_next_home_does_not_handle_it(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 20);
    uint64_t later = home_tell_later(home, "b", 400000);
    home_append(home);
    home_checkpoint(home);
    home_kill(home);
    driver_client(home->driver, "d", 2);
    uint64_t ids[] = {id_of(home, 15), id_of(home, later)};
    for (unsigned i = 0; i < 2; i++) {
        send_cancel(home, ids[i]);
        assert_true(home_search(home, 0));
        expect_ended(home, ids[i]);
    }
    home_kill(home);
    driver_client(home->driver, "d", 2);
    send_cancel(home, ids[0]);
    assert_true(home_search(home, 0));
    expect_outcome(home, ids[0], "ended", "Cancelled");
    home_worker(home);
    assert_int_equal(home_work_off(home), 19);
    assert_int_equal(home->store.moves, 0);
    expect_all_gone(home);
    home_close(&home);
}

/* The load has read its row, and brings it after the message has ended. */
static void a_load_under_way_does_not_bring_it_back(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_load_t load;
    size_t done = 0;
    home_tell_rows(home, "a", 20);
    home_kill(home);
    driver_client(home->driver, "d", 2);
    home_worker(home);
    assert_true(router_take_load(home->driver->router, 0, &load));
    message_t *rows = lane_model_load(&home->store, 0, load.ranges, load.count, SIZE_MAX, &done);
    uint64_t id = id_of(home, 2);
    send_cancel(home, id);
    assert_true(home_search(home, 0));
    expect_ended(home, id);
    home_checkpoint(home); /* its row is deleted */
    home_checkpoint(home);
    router_loaded(home->driver->router, 0, FABRIC_OK, rows, done, home->driver->now_ms);
    driver_pull(home->driver);
    assert_int_equal(home_work_off(home), 19);
    expect_all_gone(home);
    home_close(&home);
}

/* A client sends its call again, and the look-up has found it before it ended: the next one finds
 * the end. */
static void a_look_up_under_way_does_not_wait_for_it(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_lookup_t lookup;
    uint64_t first = home_ask(home, "a", 20);
    home_append(home);
    home_checkpoint(home);
    home_kill(home);
    driver_client(home->driver, "d", 2);
    uint64_t call = first + 15;
    const lane_message_t *at = lane_model_find_call(&home->store, (call_key_t){1, call});
    message_request_t request = driver_request(call, "a", REQUEST_DURABLE | REQUEST_RESEND);
    driver_send(home->driver, "c", request, &request);
    assert_true(router_take_lookup(home->driver->router, 0, &lookup));
    send_cancel(home, at->message->stored.id.value);
    assert_true(home_search(home, 0));
    expect_ended(home, at->message->stored.id.value);
    home_checkpoint(home);
    home_checkpoint(home);
    driver_lookup_found_at(home->driver, 0, &at->message->stored, NULL, at->message->position);
    router_lookup_done(home->driver->router, 0, FABRIC_OK, (request_id_t){0}, home->driver->now_ms);
    driver_pull(home->driver);
    const message_rejected_t *rejected =
        &driver_take(home->driver, "c", KIND_REJECTED)->as.rejected;
    assert_int_equal(rejected->sequence, call);
    assert_int_equal(rejected->error, FABRIC_ERROR_NOT_HOME);
    assert_null(message_find(home->driver->router, at->message->stored.id));
    home_close(&home);
}

/* While a load reads a gap, all of it ends, and another gap comes behind it. */
static void a_gap_that_ends_during_a_load_does_not_come_back(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_load_t load;
    size_t done = 0;
    uint64_t ids[9];
    home_tell_rows(home, "a", 9);
    home_kill(home);
    driver_client(home->driver, "d", 2);
    home_worker(home);
    assert_true(router_take_load(home->driver->router, 0, &load));
    message_t *rows = lane_model_load(&home->store, 0, load.ranges, load.count, SIZE_MAX, &done);
    for (unsigned i = 0; i < 9; i++) {
        ids[i] = id_of(home, 1 + i);
    }
    cancel_query_send(home->driver, "d", 1, WAIT_MS, ids, 9);
    assert_true(home_search(home, 0));
    home_append(home);
    expect_outcome(home, ids[8], "cancelled", "");
    home_tell_rows(home, "a", 10);
    router_loaded(home->driver->router, 0, FABRIC_OK, rows, done, home->driver->now_ms);
    driver_check(home->driver);
    assert_int_equal(home_work_off(home), 10); /* no row of the first four is deleted yet */
    expect_all_gone(home);
    home_close(&home);
}

/* While the search reads, the message comes due and is handled, and its row is deleted. Then the
 * clock goes back, and the horizon would come nearer than the message was. */
static void a_search_does_not_bring_back_what_has_fired(void **state)
{
    (void)state;
    home_t *home = open_home();
    router_search_t search;
    home_worker(home);
    uint64_t first = home->next;
    for (unsigned i = 0; i < 20; i++) {
        home_tell_later(home, "a", 500 + i);
    }
    home_append(home);
    home_checkpoint(home);
    uint64_t id = id_of(home, first + 10);
    send_cancel(home, id);
    assert_true(router_take_search(home->driver->router, 0, &search));
    message_t *rows = lane_model_search(&home->store, 0, search.wanted, search.count);
    assert_non_null(rows);
    assert_int_equal(pass(home, 600), 20);
    for (unsigned i = 0; i < 3; i++) {
        home_checkpoint(home);
        home_tell(home, "b", 1); /* the next checkpoint has something to write */
        home_append(home);
        assert_int_equal(home_work_off(home), 1);
    }
    router_clock(home->driver->router, driver_unix_ms(home->driver) - 100000, home->driver->now_ms);
    for (unsigned i = 0; i < 40; i++) {
        home_tell_later(home, "a", (int64_t)i - 50000);
    }
    home_append(home);
    home_checkpoint(home);
    router_searched(home->driver->router, 0, FABRIC_OK, rows, home->driver->now_ms);
    expect_outcome(home, id, "moved", "");
    send_cancel(home, id);
    assert_true(home_search(home, 0));
    expect_outcome(home, id, "ended", "OK");
    router_clock(home->driver->router, driver_unix_ms(home->driver), home->driver->now_ms);
    assert_int_equal(pass(home, 100), 40);
    expect_all_gone(home);
    home_close(&home);
}

static void an_id_that_nobody_has_is_unknown(void **state)
{
    (void)state;
    home_t *home = open_home();
    send_cancel(home, 12345);
    expect_silence(home);
    assert_true(home_search(home, 0));
    expect_outcome(home, 12345, "unknown", "");
    send_cancel(home, 12345);
    router_search_t search;
    assert_true(router_take_search(home->driver->router, 0, &search));
    router_searched(home->driver->router, 0, FABRIC_ERROR_STORE_UNAVAILABLE, NULL,
                    home->driver->now_ms);
    expect_outcome(home, 12345, "failed", "PersistenceError");
    home_close(&home);
}

static void the_lane_goes_meanwhile(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 20);
    uint64_t ids[] = {id_of(home, 1), id_of(home, 15)};
    cancel_query_send(home->driver, "d", 1, WAIT_MS, ids, 2);
    driver_hold(home->driver, 0, 0);
    driver_pull(home->driver);
    const message_answer_t *answer = &driver_take(home->driver, "d", KIND_ANSWER)->as.answer;
    assert_string_equal(cancel_query_outcome(answer->document, ids[0]).outcome, "moved");
    assert_string_equal(cancel_query_outcome(answer->document, ids[1]).outcome, "moved");
    home_close(&home);
}

static void a_malformed_query_is_refused(void **state)
{
    (void)state;
    home_t *home = open_home();
    static const char *const arguments[] = {"", "\x92\x01", "\x92\x01\x90", "\x92\x01\x91\xc0",
                                            "\x92\x01\x91\x01\x01"};
    uint64_t none = 0;
    for (size_t i = 0; i < sizeof arguments / sizeof arguments[0]; i++) {
        message_query_t query = {.sequence = 1,
                                 .name = fabric_bytes_of("cancel"),
                                 .argument = fabric_bytes_of(arguments[i])};
        driver_send(home->driver, "d", query, &query);
        assert_int_equal(driver_take(home->driver, "d", KIND_ANSWER)->as.answer.error,
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
    send_cancel(home, none);
    assert_int_equal(driver_take(home->driver, "d", KIND_ANSWER)->as.answer.error,
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_in_its_queue_ends),
        cmocka_unit_test(the_caller_hears_of_it),
        cmocka_unit_test(a_message_that_runs_is_interrupted),
        cmocka_unit_test(a_scheduled_message_ends),
        cmocka_unit_test(a_message_behind_a_gap_ends),
        cmocka_unit_test(a_message_in_a_gap_is_searched_for_and_ends),
        cmocka_unit_test(a_message_behind_the_horizon_is_searched_for_and_ends),
        cmocka_unit_test(the_next_home_does_not_handle_it),
        cmocka_unit_test(a_load_under_way_does_not_bring_it_back),
        cmocka_unit_test(a_look_up_under_way_does_not_wait_for_it),
        cmocka_unit_test(a_gap_that_ends_during_a_load_does_not_come_back),
        cmocka_unit_test(a_search_does_not_bring_back_what_has_fired),
        cmocka_unit_test(an_id_that_nobody_has_is_unknown),
        cmocka_unit_test(the_lane_goes_meanwhile),
        cmocka_unit_test(a_malformed_query_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
