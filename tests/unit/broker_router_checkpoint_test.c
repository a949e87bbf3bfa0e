/* Checkpoints: when they begin, what their slices hold, and what holds until they are settled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/address.h"
#include "tests/unit/lane_driver.h"

static home_t *open_home(void)
{
    router_config_t config;
    home_config(&config);
    return home_open(&config);
}

static const router_slice_t *try_slice(home_t *home, uint32_t lane)
{
    return router_take_slice(home->driver->router, lane, home->driver->now_ms);
}

/* The worker's next message ends. */
static void answer_next(home_t *home, reply_status_t status, fabric_error_t error)
{
    driver_result(home->driver, "w", driver_delivery(home->driver, "w"), status, error);
}

/* ---- when a checkpoint begins ---- */

static void test_ms_13_idle_lanes_cost_nothing(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_checkpoint(home); /* of the ADOPT entry */
    assert_int_equal(home_counters(home).checkpoints, 1);
    assert_int_equal(home_counters(home).journal_bytes, 0);
    driver_pass(home->driver, 10000);
    assert_null(try_slice(home, 0));
    home_tell(home, "a", 1);
    home_append(home);
    assert_null(try_slice(home, 0)); /* most messages end before a checkpoint is due */
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.put_count, 1);
    assert_true(slice->slice.last);
    assert_int_equal(slice->slice.begun, home->store.rows[0].number);
    assert_null(try_slice(home, 0)); /* it is not answered yet */
    home_settle_slice(home, 0, slice);
    assert_null(try_slice(home, 0));
    home_close(&home);
}

static void what_ended_in_between_never_becomes_a_row(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    home_ask(home, "a", 3);
    home_append(home);
    assert_int_equal(home_work_off(home), 3);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.put_count + slice->slice.delete_count, 0);
    assert_true(slice->slice.last); /* the number advances */
    home_settle_slice(home, 0, slice);
    assert_int_equal(home->store.rows[0].checkpoint, home->store.rows[0].number);
    home_close(&home);
}

static void lanes_begin_at_different_times(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.lanes = 4;
    home_t *home = home_open(&config);
    unsigned begun = 0;
    for (int i = 0; i < 100; i++) {
        driver_pass(home->driver, 10);
        unsigned together = 0;
        for (uint32_t lane = 0; lane < 4; lane++) {
            together += try_slice(home, lane) != NULL;
        }
        assert_true(together <= 1);
        begun += together;
    }
    assert_int_equal(begun, 4);
    home_close(&home);
}

static void enough_journal_begins_checkpoints_at_once_and_too_much_refuses_work(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.lanes = 2;
    config.checkpoint_bytes = 1000;
    config.checkpoint_bytes_max = 2000;
    home_t *home = home_open(&config);
    home_checkpoint(home);
    home->store.rows[0].entry_bytes = home->store.rows[1].entry_bytes = 600;
    home_tell(home, "a", 1);
    home_append(home);
    assert_null(try_slice(home, 0));
    assert_null(try_slice(home, 1));
    home_tell(home, "a", 1);
    home_append(home);
    unsigned lane = try_slice(home, 0) ? 0 : 1;
    assert_null(try_slice(home, 1 - lane)); /* it has nothing */
    home_tell(home, "a", 1);
    home_append(home);
    home_tell(home, "a", 1);
    home_append(home);
    assert_int_equal(home_counters(home).journal_bytes, 2400);
    uint64_t refused = home_tell(home, "b", 1);
    assert_int_equal(driver_rejected(home->driver, "c", refused), FABRIC_ERROR_BUSY);
    router_slice_done(home->driver->router, lane, FABRIC_OK, home->driver->now_ms);
    assert_int_equal(home_counters(home).journal_bytes, 1200);
    assert_non_null(try_slice(home, lane));
    home_tell(home, "b", 1);
    home_append(home);
    assert_int_equal(driver_count(home->driver, "c", KIND_REJECTED), 0);
    home_close(&home);
}

/* ---- what a slice holds ---- */

static void slices_hold_no_more_rows_than_a_transaction_may(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.slice_rows_max = 4;
    home_t *home = home_open(&config);
    home_tell(home, "a", 10);
    home_append(home);
    driver_pass(home->driver, 1000);
    uint64_t begun = home->store.rows[0].number;
    size_t counts[] = {4, 4, 2};
    for (int i = 0; i < 3; i++) {
        const router_slice_t *slice = home_take_slice(home, 0);
        assert_int_equal(slice->slice.put_count, counts[i]);
        assert_int_equal(slice->slice.begun, begun);
        assert_int_equal(slice->slice.last, i == 2); /* only then are the rows complete */
        assert_int_equal(slice->slice.puts[0].number, home->store.rows[0].number);
        home_tell(home, "b", 1); /* it waits for the next checkpoint */
        home_append(home);
        home_settle_slice(home, 0, slice);
        assert_int_equal(home->store.rows[0].checkpoint, i == 2 ? begun : 0);
    }
    home_close(&home);
}

/* The lane is held anew, and has these messages of 1 MiB. */
static void adopt_large(home_t *home, unsigned count)
{
    static uint8_t payload[LIMIT_PAYLOAD_BYTES_MAX];
    fabric_bytes_t id = fabric_bytes_of("a");
    uint16_t number = (uint16_t)address_shard_number(id, DRIVER_SHARDS);
    message_chain_t chain = {0};
    for (unsigned i = 0; i < count; i++) {
        store_message_t stored = {.id = {1000 + i},
                                  .shard = shard_id_make(1, number),
                                  .flags = REQUEST_DURABLE | REQUEST_TELL,
                                  .type = fabric_bytes_of("Counter"),
                                  .entity = id,
                                  .tag = fabric_bytes_of("Add"),
                                  .payload = fabric_bytes(payload, sizeof payload),
                                  .call = {7, i + 1}};
        message_chain_add(&chain, &stored, (journal_attempts_t){0, 0}, NULL);
    }
    driver_hold(home->driver, 0, ++home->epoch);
    adoption_t adoption = {.hold = {0, home->driver->config.incarnation, home->epoch},
                           .number = 10,
                           .last_id = 2000,
                           .messages = chain.first};
    router_adopted(home->driver->router, &adoption, home->driver->now_ms);
    driver_pull(home->driver);
}

static void slices_hold_no_more_bytes_than_a_transaction_may(void **state)
{
    (void)state;
    home_t *home = open_home();
    adopt_large(home, 8);
    driver_pass(home->driver, 1000);
    size_t puts = 0;
    for (int i = 0; i < 3; i++) {
        const store_slice_t *slice = &home_take_slice(home, 0)->slice;
        uint64_t bytes = 0;
        for (size_t k = 0; k < slice->put_count; k++) {
            bytes += slice->puts[k].body.size;
        }
        assert_true(bytes <= STORE_SLICE_BYTES_MAX);
        assert_int_equal(slice->last, i == 2);
        puts += slice->put_count;
        router_slice_done(home->driver->router, 0, FABRIC_OK, home->driver->now_ms);
    }
    assert_int_equal(puts, 8);
    home_close(&home);
}

static void a_row_says_only_what_is_durable(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    home_ask(home, "a", 1);
    home_append(home);
    answer_next(home, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.put_count, 1);
    assert_int_equal(slice->slice.puts[0].attempts, 0); /* the defect is not durable yet */
    home_settle_slice(home, 0, slice);
    home_append(home);
    driver_pass(home->driver, 1000);
    slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.put_count, 0);
    assert_int_equal(slice->slice.amendment_count, 1);
    assert_int_equal(slice->slice.amendments[0].attempts, 1);
    assert_int_equal(slice->slice.amendments[0].number, home->store.rows[0].number);
    home_settle_slice(home, 0, slice);
    home_close(&home);
}

static void what_ends_while_a_slice_puts_it_is_deleted_by_a_later_slice(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_worker(home);
    home_ask(home, "a", 1);
    home_append(home);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    uint64_t digest = lane_model_digest(&slice->slice);
    store_row_key_t key = {slice->slice.puts[0].entity_hash, slice->slice.puts[0].position};
    assert_int_equal(home_work_off(home), 1);
    driver_send_settling(home->driver, "c", home->next, ping, &(message_ping_t){.sequence = 1});
    assert_true(digest == lane_model_digest(&slice->slice)); /* though the message is freed */
    home_settle_slice(home, 0, slice);
    driver_pass(home->driver, 1000);
    slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.delete_count, 1);
    assert_memory_equal(&slice->slice.deletes[0], &key, sizeof key);
    home_settle_slice(home, 0, slice);
    assert_int_equal(lane_model_row_count(&home->store), 0);
    home_close(&home);
}

static void a_dead_letter_and_the_end_of_its_row_lie_in_one_slice(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.slice_rows_max = 4;
    home_t *home = home_open(&config);
    home_ask(home, "a", 1);
    home_tell_rows(home, "b", 1);
    home_worker(home);
    answer_next(home, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    answer_next(home, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    home_tell(home, "c", 3); /* three puts leave no room for a dead letter with its delete */
    home_append(home);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.put_count, 3);
    assert_int_equal(slice->slice.dead_count, 0);
    home_settle_slice(home, 0, slice);
    slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.dead_count, 2);
    assert_int_equal(slice->slice.delete_count, 2);
    const store_dead_row_t *dead = &slice->slice.dead[0];
    assert_int_equal(dead->id.value, slice->slice.deletes[0].position);
    assert_int_equal(slice->slice.deletes[0].entity_hash,
                     journal_entity_hash(dead->type, dead->entity));
    assert_int_equal(dead->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_true(dead->ended_ms >= home->driver->config.store_now_ms);
    home_settle_slice(home, 0, slice);
    home_close(&home);
}

/* ---- homes ---- */

/* The checkpoint covers the entry with the counts: its home may be the last one that reads it. */
static void a_row_that_is_loaded_during_a_checkpoint_is_corrected_by_it(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.slice_rows_max = 2;
    home_t *home = home_open(&config);
    home_ask(home, "b", 1);
    home_ask(home, "d", 1);
    home_ask(home, "e", 1);
    home_append(home);
    home_checkpoint(home);
    home_worker(home);
    for (unsigned i = 0; i < 3; i++) {
        answer_next(home, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    }
    home_append(home);
    home_kill(home);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.amendment_count, 2); /* there is no room for the third */
    home_worker(home);
    assert_true(home_load(home, 0));
    home_settle_slice(home, 0, slice);
    slice = home_take_slice(home, 0);
    assert_int_equal(slice->slice.amendment_count, 1);
    assert_int_equal(slice->slice.amendments[0].attempts, 1);
    home_settle_slice(home, 0, slice);
    home_close(&home);
}

static void a_new_home_corrects_rows_that_the_journal_has_overruled(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    home_t *home = home_open(&config);
    home_ask(home, "a", 1);
    home_ask(home, "b", 1);
    home_ask(home, "d", 1);
    home_append(home);
    home_checkpoint(home);
    home_worker(home);
    answer_next(home, STATUS_OK, FABRIC_OK);
    answer_next(home, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    answer_next(home, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    home_append(home);
    home_kill(home);
    assert_int_equal(home_counters(home).pending, 1);
    home_checkpoint(home);
    assert_int_equal(lane_model_row_count(&home->store), 1);
    assert_int_equal(home->store.amendments, 1);
    assert_int_equal(home->store.dead, 1);
    home_worker(home);
    assert_true(home_load(home, 0));
    const message_deliver_t *deliver = driver_delivery(home->driver, "w");
    assert_int_equal(deliver->attempt, 2);
    assert_int_equal(deliver->delivery, 2);
    home_close(&home);
}

static uint32_t parked(const home_t *home)
{
    return (uint32_t)home_counters(home).parked;
}

static void resume(home_t *home, const char *id)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of(id));
    message_query_t query = {
        .sequence = 5, .name = fabric_bytes_of("resume"), .argument = wire_writer_bytes(&argument)};
    driver_send(home->driver, "c", query, &query);
    wire_writer_destroy(&argument);
    assert_int_equal(driver_take(home->driver, "c", KIND_ANSWER)->as.answer.error, FABRIC_OK);
}

/* Counts of zero in the journal overrule a row, too; and the next checkpoint corrects it. */
static void a_resumed_entity_stays_resumed_at_the_next_homes(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.attempts_max = 1;
    driver_told.options.failure = FAILURE_PARK;
    home_t *home = home_open(&config);
    home_ask(home, "a", 1);
    home_append(home);
    home_worker(home);
    answer_next(home, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    home_append(home);
    assert_int_equal(parked(home), 1);
    home_checkpoint(home);
    home_kill(home);
    home_worker(home);
    assert_true(home_load(home, 0));
    assert_int_equal(parked(home), 1);
    resume(home, "a");
    home_append(home);
    assert_int_equal(driver_delivery(home->driver, "w")->attempt, 1);
    for (int homes = 0; homes < 2; homes++) {
        home_kill(home);
        home_worker(home);
        assert_true(home_load(home, 0));
        assert_int_equal(parked(home), 0);
        assert_int_equal(driver_delivery(home->driver, "w")->attempt, 1);
        home_checkpoint(home);
    }
    home_close(&home);
    driver_told = DRIVER_TOLD_USUALLY;
}

static void a_slice_of_a_dropped_lane_stays_valid_and_its_answer_does_not_count(void **state)
{
    (void)state;
    home_t *home = open_home();
    home_tell(home, "a", 1);
    home_append(home);
    driver_pass(home->driver, 1000);
    const router_slice_t *slice = home_take_slice(home, 0);
    uint64_t digest = lane_model_digest(&slice->slice);
    driver_hold(home->driver, 0, 0);
    driver_check(home->driver);
    assert_int_equal(home_counters(home).journal_bytes, 0);
    assert_true(digest == lane_model_digest(&slice->slice));
    home_adopt(home, 0);
    driver_pass(home->driver, 1000);
    assert_null(try_slice(home, 0)); /* the old slice is not answered yet */
    router_slice_done(home->driver->router, 0, FABRIC_ERROR_FENCED, home->driver->now_ms);
    slice = home_take_slice(home, 0);
    assert_int_equal(slice->hold.epoch, home->epoch);
    assert_int_equal(slice->slice.put_count, 1);
    home_settle_slice(home, 0, slice);
    home_close(&home);
}

static void after_a_slice_that_was_fenced_the_lane_has_no_other(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.slice_rows_max = 2;
    home_t *home = home_open(&config);
    home_tell(home, "a", 3);
    home_append(home);
    driver_pass(home->driver, 1000);
    home_take_slice(home, 0);
    router_slice_done(home->driver->router, 0, FABRIC_ERROR_FENCED, home->driver->now_ms);
    driver_pass(home->driver, 1000);
    assert_null(try_slice(home, 0)); /* it would raise the number without the first slice's rows */
    router_lane_fenced(home->driver->router, 0, home->epoch, home->driver->now_ms);
    driver_check(home->driver);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ms_13_idle_lanes_cost_nothing),
        cmocka_unit_test(what_ended_in_between_never_becomes_a_row),
        cmocka_unit_test(lanes_begin_at_different_times),
        cmocka_unit_test(enough_journal_begins_checkpoints_at_once_and_too_much_refuses_work),
        cmocka_unit_test(slices_hold_no_more_rows_than_a_transaction_may),
        cmocka_unit_test(slices_hold_no_more_bytes_than_a_transaction_may),
        cmocka_unit_test(a_row_says_only_what_is_durable),
        cmocka_unit_test(what_ends_while_a_slice_puts_it_is_deleted_by_a_later_slice),
        cmocka_unit_test(a_dead_letter_and_the_end_of_its_row_lie_in_one_slice),
        cmocka_unit_test(a_row_that_is_loaded_during_a_checkpoint_is_corrected_by_it),
        cmocka_unit_test(a_new_home_corrects_rows_that_the_journal_has_overruled),
        cmocka_unit_test(a_resumed_entity_stays_resumed_at_the_next_homes),
        cmocka_unit_test(a_slice_of_a_dropped_lane_stays_valid_and_its_answer_does_not_count),
        cmocka_unit_test(after_a_slice_that_was_fenced_the_lane_has_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
