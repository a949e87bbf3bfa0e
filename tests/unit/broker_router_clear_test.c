/* Clears: an operator removes what an entity has. Entities and schedules have windows of 4
 * messages, so most of what is cleared here is in the store only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/keys_driver.h"

enum { WINDOW = 4, QUERY = 77, DAY_MS = 86400000 };

static home_t *open_home(void)
{
    return keys_open_home();
}

static void send_clear(home_t *home, const char *id)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of(id));
    message_query_t query = {.sequence = QUERY,
                             .name = fabric_bytes_of("clear"),
                             .argument = wire_writer_bytes(&argument)};
    driver_send(home->driver, "c", query, &query);
    wire_writer_destroy(&argument);
}

/* What the router does between events. */
static void go_on(home_t *home)
{
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
        driver_pull(home->driver);
    }
    driver_pull(home->driver);
    driver_check(home->driver);
}

static fabric_error_t answer(home_t *home)
{
    const note_t *note = driver_take(home->driver, "c", KIND_ANSWER);
    assert_int_equal(note->as.answer.sequence, QUERY);
    return fabric_error_from_number(note->as.answer.error);
}

static void clear(home_t *home, const char *id)
{
    send_clear(home, id);
    assert_int_equal(driver_count(home->driver, "c", KIND_ANSWER), 0); /* it is not durable */
    home_append(home);
    go_on(home);
    assert_int_equal(answer(home), FABRIC_OK);
}

static void expect_cancelled(home_t *home, uint64_t sequence)
{
    const message_reply_t *reply = driver_replied(home->driver, "c", sequence);
    assert_int_equal(reply->status, STATUS_FAILURE);
    assert_int_equal(reply->error, FABRIC_ERROR_CANCELLED);
    assert_true(
        fabric_bytes_equal(reply->payload, fabric_bytes_of("an operator cleared the entity")));
}

static void expect_all_cancelled(home_t *home, uint64_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        expect_cancelled(home, first + i);
    }
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
}

/* Nothing is left, neither here nor in the store. */
static void expect_nothing(home_t *home)
{
    home_checkpoint(home);
    home_work_off(home);
    home_checkpoint(home);
    assert_int_equal(lane_model_standing(&home->store), 0);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    assert_int_equal(home_counters(home).pending, 0);
    assert_int_equal(home_counters(home).stored, 0);
    assert_int_equal(home_counters(home).scheduled, 0);
}

/* One more message is handled by the worker, and answered. */
static void expect_it_works(home_t *home, const char *id)
{
    uint64_t sequence = home_ask(home, id, 1);
    home_append(home);
    home_checkpoint(home);
    assert_int_equal(home_work_off(home), 1);
    assert_int_equal(driver_replied(home->driver, "c", sequence)->status, STATUS_OK);
}

/* ---- what ends ---- */

static void test_ms_01_messages_of_the_queue_end(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t first = home_ask(home, "a", 3);
    uint64_t other = home_ask(home, "b", 1);
    home_append(home);
    clear(home, "a");
    expect_all_cancelled(home, first, 3);
    home_worker(home);
    assert_int_equal(home_work_off(home), 1);
    assert_int_equal(driver_replied(home->driver, "c", other)->status, STATUS_OK);
    expect_nothing(home);
    home_close(&home);
}

static void nothing_happens_before_the_clear_is_durable(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    home_ask(home, "a", 2);
    home_append(home);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), 2);
    send_clear(home, "a");
    const lane_batch_t *batch = driver_take_batch(home->driver, 0);
    assert_int_equal(batch->clear_count, 1);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
    assert_int_equal(driver_count(home->driver, "w", KIND_INTERRUPT), 0);
    home_close(&home);
}

static void test_ms_01_a_running_message_is_interrupted_and_its_result_refused(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t first = home_ask(home, "a", 2);
    home_append(home);
    const message_deliver_t *running = driver_delivery(home->driver, "w");
    const message_deliver_t *next = driver_delivery(home->driver, "w");
    clear(home, "a");
    expect_all_cancelled(home, first, 2);
    assert_int_equal(driver_take(home->driver, "w", KIND_INTERRUPT)->as.interrupt.request_id,
                     running->request_id);
    assert_int_equal(driver_take(home->driver, "w", KIND_INTERRUPT)->as.interrupt.request_id,
                     next->request_id);
    const note_t *last = driver_take(home->driver, "w", KIND_INTERRUPT);
    assert_int_equal(last->as.interrupt.request_id, INTERRUPT_INSTANCE);
    assert_true(fabric_bytes_equal(last->as.interrupt.id, fabric_bytes_of("a")));
    driver_result(home->driver, "w", running, STATUS_OK, FABRIC_OK);
    driver_result(home->driver, "w", next, STATUS_NOT_TAKEN, FABRIC_ERROR_CANCELLED);
    assert_int_equal(home_counters(home).results_refused, 2);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
    expect_it_works(home, "a");
    expect_nothing(home);
    home_close(&home);
}

static void the_instance_of_an_idle_entity_ends(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    expect_it_works(home, "a");
    clear(home, "a");
    assert_int_equal(driver_take(home->driver, "w", KIND_INTERRUPT)->as.interrupt.request_id,
                     INTERRUPT_INSTANCE);
    home_close(&home);
}

static void test_ms_01_messages_that_only_the_store_has_end(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t first = home_ask(home, "a", 30);
    home_append(home);
    home_checkpoint(home);
    assert_true(home_counters(home).stored > 0);
    clear(home, "a");
    expect_all_cancelled(home, first, 30);
    home_worker(home);
    assert_false(home_load(home, 0)); /* its rows are being deleted */
    assert_int_equal(home_work_off(home), 0);
    expect_it_works(home, "a");
    expect_nothing(home);
    home_close(&home);
}

/* Memory had only the hash of its contents. */
static void a_call_that_only_the_store_had_is_answered_again(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t first = home_ask(home, "a", 30);
    home_append(home);
    home_checkpoint(home);
    clear(home, "a");
    expect_all_cancelled(home, first, 30);
    for (unsigned i = 0; i < 30; i++) {
        driver_ask(home->driver, "c", first + i, "a", REQUEST_DURABLE | REQUEST_RESEND);
    }
    expect_all_cancelled(home, first, 30);
    home_close(&home);
}

static void rows_go_slice_by_slice_also_without_a_worker(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.slice_rows_max = 7;
    home_t *home = home_open(&config);
    home_tell_rows(home, "a", 50);
    home_tell_rows(home, "b", 3);
    uint64_t slices = home->store.slices;
    clear(home, "a");
    home_checkpoint(home);
    assert_true(home->store.slices >= slices + 50 / 7);
    assert_int_equal(lane_model_row_count(&home->store), 3);
    while (home_load(home, 0)) {
    }
    assert_int_equal(home_counters(home).pending, 3);
    home_worker(home);
    assert_int_equal(home_work_off(home), 3);
    expect_nothing(home);
    home_close(&home);
}

static void test_ms_01_scheduled_messages_end(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.schedule_window = 4;
    home_t *home = home_open(&config);
    for (unsigned i = 0; i < 40; i++) {
        home_tell_later(home, i % 4 == 3 ? "b" : "a", DAY_MS + i);
    }
    home_append(home);
    home_checkpoint(home);
    assert_true(home_counters(home).stored > 0);
    clear(home, "a");
    home_checkpoint(home);
    assert_int_equal(home_counters(home).scheduled, 10);
    assert_int_equal(lane_model_row_count(&home->store), 10);
    driver_pass(home->driver, 10);
    router_clock(home->driver->router, driver_unix_ms(home->driver) + 2 * (int64_t)DAY_MS,
                 home->driver->now_ms);
    home_worker(home);
    for (unsigned i = 0, handled = 0; handled < 10; i++) {
        assert_true(i < 100);
        driver_pass(home->driver, 10);
        home_append(home);
        handled += home_work_off(home);
    }
    expect_nothing(home);
    home_close(&home);
}

static void a_message_that_has_just_come_due_ends(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_later(home, "a", 5);
    home_append(home);
    send_clear(home, "a");
    const lane_batch_t *batch = driver_take_batch(home->driver, 0);
    uint64_t entry = lane_model_append(&home->store, 0, batch);
    driver_pass(home->driver, 10); /* its new position waits for the next append */
    router_batch_done(home->driver->router, 0, FABRIC_OK, entry, 100, home->driver->now_ms);
    go_on(home);
    assert_int_equal(answer(home), FABRIC_OK);
    home_append(home);
    assert_int_equal(home->store.moves, 0);
    home_worker(home);
    assert_int_equal(home_work_off(home), 0);
    expect_nothing(home);
    home_close(&home);
}

/* The result has come when the clear was being appended: the clear was first. */
static void a_result_that_comes_behind_the_clear_does_not_count(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t first = home_ask(home, "a", 2);
    home_append(home);
    send_clear(home, "a");
    const lane_batch_t *batch = driver_take_batch(home->driver, 0);
    uint64_t entry = lane_model_append(&home->store, 0, batch);
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK, FABRIC_OK);
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_DEFECT,
                  FABRIC_ERROR_ENTITY_DEFECT);
    router_batch_done(home->driver->router, 0, FABRIC_OK, entry, 100, home->driver->now_ms);
    go_on(home);
    expect_all_cancelled(home, first, 2);
    home_append(home);
    expect_it_works(home, "a");
    expect_nothing(home);
    home_close(&home);
}

/* Ends that a clear takes out are not counted: what stands is. */
static void what_ends_once_counts_once(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.attempts_max = 1;
    home_t *home = home_open(&config);
    home_worker(home);
    uint64_t first = home_ask(home, "a", 2);
    home_append(home);
    send_clear(home, "a");
    const lane_batch_t *batch = driver_take_batch(home->driver, 0);
    uint64_t entry = lane_model_append(&home->store, 0, batch);
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_FAILURE,
                  FABRIC_ERROR_CANCELLED);
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_DEFECT,
                  FABRIC_ERROR_ENTITY_DEFECT); /* the last attempt */
    router_batch_done(home->driver->router, 0, FABRIC_OK, entry, 100, home->driver->now_ms);
    go_on(home);
    expect_all_cancelled(home, first, 2);
    assert_int_equal(home_counters(home).cancelled, 2);
    assert_int_equal(home_counters(home).dead_letters, 0);
    home_close(&home);
}

static void a_result_of_the_same_entry_stands(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t first = home_ask(home, "a", 2);
    home_append(home);
    send_clear(home, "a");
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK, FABRIC_OK);
    home_append(home);
    go_on(home);
    assert_int_equal(driver_replied(home->driver, "c", first)->status, STATUS_OK);
    expect_all_cancelled(home, first + 1, 1);
    home_close(&home);
}

static void messages_that_are_sent_afterwards_are_not_touched(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t before = home_ask(home, "a", 1);
    send_clear(home, "a");
    uint64_t after = home_ask(home, "a", 1);
    home_append(home);
    go_on(home);
    expect_cancelled(home, before);
    assert_int_equal(home_work_off(home), 1);
    assert_int_equal(driver_replied(home->driver, "c", after)->status, STATUS_OK);
    expect_nothing(home);
    home_close(&home);
}

/* Neither one that is new nor one that waited for the result in the same entry. */
static void what_an_entry_clears_is_not_delivered_before(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t first = home_ask(home, "a", WINDOW + 1);
    home_append(home);
    home_worker(home);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), WINDOW);
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_OK, FABRIC_OK);
    size_t before = driver_count(home->driver, "w", KIND_DELIVER);
    (void)home_ask(home, "a", 1);
    send_clear(home, "a");
    home_append(home);
    go_on(home);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), before);
    assert_int_equal(driver_replied(home->driver, "c", first)->status, STATUS_OK);
    expect_all_cancelled(home, first + 1, WINDOW + 1);
    home_close(&home);
}

static void clear_beside(home_t *home, const message_deliver_t **cleared,
                         const message_deliver_t **later)
{
    home_worker(home);
    driver_ask(home->driver, "c", 1, "a", 0);
    send_clear(home, "a");
    driver_ask(home->driver, "c", 2, "a", 0);
    home_append(home);
    go_on(home);
    assert_int_equal(driver_rejected(home->driver, "c", 1), FABRIC_ERROR_CANCELLED);
    *cleared = driver_delivery(home->driver, "w");
    *later = driver_delivery(home->driver, "w");
}

/* A volatile message leaves at once, also while a clear with a smaller id is being appended. */
static void what_is_in_flight_beside_cleared_messages_is_answered(void **state)
{
    (void)state;
    home_t *home = open_home();
    const message_deliver_t *cleared, *later;
    clear_beside(home, &cleared, &later);
    driver_result(home->driver, "w", cleared, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
    driver_result(home->driver, "w", later, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_replied(home->driver, "c", 2)->status, STATUS_OK);
    expect_it_works(home, "a");
    home_close(&home);
}

static void volatile_messages_end(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    driver_ask(home->driver, "c", 1, "a", 0);
    driver_ask(home->driver, "c", 2, "a", 0);
    clear(home, "a");
    assert_int_equal(driver_rejected(home->driver, "c", 1), FABRIC_ERROR_CANCELLED);
    assert_int_equal(driver_rejected(home->driver, "c", 2), FABRIC_ERROR_CANCELLED);
    home_close(&home);
}

static void a_clear_waits_for_the_messages_before_it(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.batch_items_max = 2;
    home_t *home = home_open(&config);
    uint64_t before = home_ask(home, "a", 5);
    send_clear(home, "a");
    uint64_t after = home_ask(home, "a", 2);
    for (unsigned i = 0; i < 3; i++) {
        const lane_batch_t *batch = driver_take_batch(home->driver, 0);
        assert_int_equal(batch->message_count, 2);
        assert_int_equal(batch->clear_count, i == 2);
        uint64_t entry = lane_model_append(&home->store, 0, batch);
        router_batch_done(home->driver->router, 0, FABRIC_OK, entry, 100, home->driver->now_ms);
        driver_pull(home->driver);
    }
    go_on(home);
    expect_all_cancelled(home, before, 5);
    home_append(home);
    home_worker(home);
    assert_int_equal(home_work_off(home), 2);
    assert_int_equal(driver_replied(home->driver, "c", after)->status, STATUS_OK);
    home_close(&home);
}

/* ---- primary keys ---- */

static void test_ms_01_the_key_of_a_cleared_message_is_free(void **state)
{
    (void)state;
    home_t *home = open_home();
    uint64_t id = keys_accept_first(home);
    clear(home, "a");
    expect_cancelled(home, 1);
    home_worker(home);
    keys_ask(home, "d", 5, ASK);
    keys_look_up(home);
    home_append(home);
    assert_int_equal(home_work_off(home), 1);
    assert_true(driver_replied(home->driver, "d", 5)->request_id > id);
    home_checkpoint(home);
    home_close(&home);
}

static void test_ms_01_a_key_that_only_the_store_has_is_free(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    uint64_t id = keys_accept_first(home);
    home_work_off(home);
    home_checkpoint(home);
    assert_int_equal(keys_in_memory(home), 0);
    keys_ask(home, "d", 5, ASK);
    reading_t before;
    assert_true(keys_begin_reading(home, 0, &before));
    clear(home, "a"); /* its row is still there */
    keys_end_reading(home, 0, &before, 0);
    keys_look_up(home);
    home_append(home);
    assert_int_equal(home_work_off(home), 1);
    assert_true(driver_replied(home->driver, "d", 5)->request_id > id);
    home_checkpoint(home); /* deletes the old row, not the new one */
    assert_int_equal(keys_in_memory(home), 0);
    keys_ask(home, "d", 6, ASK);
    keys_look_up(home);
    assert_true(driver_replied(home->driver, "d", 6)->request_id > id);
    home_close(&home);
}

/* ---- reads that are under way ---- */

static void a_load_that_began_before_revives_nothing(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 12);
    home_kill(home);
    driver_client(home->driver, "d", 2);
    router_load_t load;
    assert_true(router_take_load(home->driver->router, 0, &load));
    size_t done;
    message_t *rows = lane_model_load(&home->store, 0, load.ranges, load.count, SIZE_MAX, &done);
    clear(home, "a");
    home_checkpoint(home);
    router_loaded(home->driver->router, 0, FABRIC_OK, rows, done, home->driver->now_ms);
    driver_check(home->driver);
    home_worker(home);
    assert_int_equal(home_work_off(home), 0);
    expect_nothing(home);
    home_close(&home);
}

/* ---- takeover ---- */

static void a_new_home_finds_the_clear(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_ask(home, "a", 20);
    home_tell_later(home, "a", DAY_MS);
    home_append(home);
    home_checkpoint(home);
    uint64_t later = home_ask(home, "a", 2);
    home_append(home);
    send_clear(home, "a");
    const lane_batch_t *batch = driver_take_batch(home->driver, 0);
    lane_model_append(&home->store, 0, batch); /* durable, and nobody was told */
    home_kill(home);
    driver_client(home->driver, "d", 2);
    home_worker(home);
    assert_int_equal(driver_take(home->driver, "w", KIND_INTERRUPT)->as.interrupt.request_id,
                     INTERRUPT_INSTANCE);
    assert_int_equal(home_work_off(home), 0);
    (void)later;
    expect_it_works(home, "a");
    expect_nothing(home);
    home_close(&home);
}

static void a_new_home_finishes_the_deletion(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.slice_rows_max = 5;
    home_t *home = home_open(&config);
    home_tell_rows(home, "a", 30);
    clear(home, "a");
    driver_pass(home->driver, home->driver->config.checkpoint_ms);
    home_settle_slice(home, 0, home_take_slice(home, 0));
    assert_true(lane_model_row_count(&home->store) > 0);
    home_kill(home);
    driver_client(home->driver, "d", 2);
    home_worker(home);
    assert_int_equal(home_work_off(home), 0);
    expect_nothing(home);
    home_close(&home);
}

static void a_clear_that_is_not_durable_leaves_all(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell_rows(home, "a", 10);
    send_clear(home, "a");
    assert_non_null(driver_take_batch(home->driver, 0));
    driver_batch_fenced(home->driver, 0);
    assert_int_equal(answer(home), FABRIC_ERROR_OUTCOME_UNKNOWN);
    home_kill(home);
    home_worker(home);
    assert_int_equal(home_work_off(home), 10);
    expect_nothing(home);
    home_close(&home);
}

/* ---- who is asked ---- */

static void an_unknown_type_is_refused(void **state)
{
    (void)state;
    home_t *home = open_home();
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Nobody"));
    wire_put_bin(&argument, fabric_bytes_of("a"));
    message_query_t query = {.sequence = QUERY,
                             .name = fabric_bytes_of("clear"),
                             .argument = wire_writer_bytes(&argument)};
    driver_send(home->driver, "c", query, &query);
    wire_writer_destroy(&argument);
    assert_int_equal(answer(home), FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    query.argument = fabric_bytes_of("x");
    driver_send(home->driver, "c", query, &query);
    assert_int_equal(answer(home), FABRIC_ERROR_MALFORMED_MESSAGE);
    home_close(&home);
}

static void clears_of_a_lane_are_bounded(void **state)
{
    (void)state;
    home_t *home = open_home();
    for (unsigned i = 0; i < CLEARS_MAX; i++) {
        send_clear(home, "a");
        driver_pass(home->driver, 10); /* a broker takes so many queries in one tick */
    }
    assert_int_equal(driver_count(home->driver, "c", KIND_ANSWER), 0);
    send_clear(home, "a");
    assert_int_equal(answer(home), FABRIC_ERROR_BUSY);
    home_append(home);
    go_on(home);
    for (unsigned i = 0; i < CLEARS_MAX; i++) {
        assert_int_equal(answer(home), FABRIC_OK);
    }
    home_close(&home);
}

static void a_type_may_keep_its_keys_for_another_time(void **state)
{
    (void)state;
    driver_told.options.key_retention_ms = 5000;
    home_t *home = open_home();
    home_worker(home);
    keys_accept_first(home);
    int64_t before_ms = driver_unix_ms(home->driver);
    home_work_off(home);
    home_checkpoint(home);
    store_key_t row;
    assert_true(lane_model_key_row(home->store.messages, &row));
    assert_true(row.ended);
    assert_in_range(row.reply.kept_until_ms, before_ms + 5000, before_ms + 5000 + 100);
    home_close(&home);
    driver_told = DRIVER_TOLD_USUALLY;
}

static void a_parked_entity_goes_on(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.attempts_max = 1;
    driver_told.options.failure = FAILURE_PARK;
    home_t *home = home_open(&config);
    home_worker(home);
    uint64_t first = home_ask(home, "a", 1);
    home_append(home);
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), STATUS_DEFECT,
                  FABRIC_ERROR_ENTITY_DEFECT);
    home_append(home);
    driver_pass(home->driver, 1000);
    assert_int_equal(home_counters(home).parked, 1);
    clear(home, "a");
    expect_cancelled(home, first);
    assert_int_equal(home_counters(home).parked, 0);
    expect_it_works(home, "a");
    expect_nothing(home);
    home_close(&home);
    driver_told = DRIVER_TOLD_USUALLY;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ms_01_messages_of_the_queue_end),
        cmocka_unit_test(nothing_happens_before_the_clear_is_durable),
        cmocka_unit_test(test_ms_01_a_running_message_is_interrupted_and_its_result_refused),
        cmocka_unit_test(the_instance_of_an_idle_entity_ends),
        cmocka_unit_test(test_ms_01_messages_that_only_the_store_has_end),
        cmocka_unit_test(a_call_that_only_the_store_had_is_answered_again),
        cmocka_unit_test(rows_go_slice_by_slice_also_without_a_worker),
        cmocka_unit_test(test_ms_01_scheduled_messages_end),
        cmocka_unit_test(a_message_that_has_just_come_due_ends),
        cmocka_unit_test(a_result_that_comes_behind_the_clear_does_not_count),
        cmocka_unit_test(what_ends_once_counts_once),
        cmocka_unit_test(a_result_of_the_same_entry_stands),
        cmocka_unit_test(messages_that_are_sent_afterwards_are_not_touched),
        cmocka_unit_test(what_an_entry_clears_is_not_delivered_before),
        cmocka_unit_test(what_is_in_flight_beside_cleared_messages_is_answered),
        cmocka_unit_test(volatile_messages_end),
        cmocka_unit_test(a_clear_waits_for_the_messages_before_it),
        cmocka_unit_test(test_ms_01_the_key_of_a_cleared_message_is_free),
        cmocka_unit_test(test_ms_01_a_key_that_only_the_store_has_is_free),
        cmocka_unit_test(a_load_that_began_before_revives_nothing),
        cmocka_unit_test(a_new_home_finds_the_clear),
        cmocka_unit_test(a_new_home_finishes_the_deletion),
        cmocka_unit_test(a_clear_that_is_not_durable_leaves_all),
        cmocka_unit_test(an_unknown_type_is_refused),
        cmocka_unit_test(clears_of_a_lane_are_bounded),
        cmocka_unit_test(a_type_may_keep_its_keys_for_another_time),
        cmocka_unit_test(a_parked_entity_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
