/* Persisted states at their home: when they are read, given and changed, and what checkpoints and
 * adoptions do with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "tests/unit/persisted_bench.h"

static const router_slice_t *take_slice(bench_t *bench)
{
    driver_pass_alive(bench->driver, bench->driver->config.checkpoint_ms,
                      (const char *const[]){"w", "c", NULL});
    const router_slice_t *slice =
        router_take_slice(bench->driver->router, bench->lane, bench->driver->now_ms);
    assert_non_null(slice);
    driver_check(bench->driver);
    return slice;
}

static void settle(bench_t *bench)
{
    router_slice_done(bench->driver->router, bench->lane, FABRIC_OK, bench->driver->now_ms);
    driver_check(bench->driver);
}

/* ---- reading and giving ---- */

static void nothing_is_delivered_before_the_state_is_read(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, REQUEST_DURABLE);
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), 0);
    store_state_t row = row_of(5);
    assert_true(read_states(&bench, &row));
    expect_state(&bench, bytes_of(5));
    (void)driver_delivery(bench.driver, "w");
    assert_false(read_states(&bench, &row));
    driver_close(&bench.driver);
}

/* As long as the owner is the same, and its instance goes on. */
static void a_state_is_given_once(void **state)
{
    (void)state;
    bench_t bench = open_changed(7);
    for (int i = 0; i < 3; i++) {
        ask(&bench, REQUEST_DURABLE);
        assert_false(read_states(&bench, NULL));
        assert_false(is_given(&bench));
        answer(&bench, driver_delivery(bench.driver, "w"));
        driver_commit(bench.driver);
    }
    assert_int_equal(driver_counters(bench.driver).states_given, 1);
    assert_int_equal(driver_counters(bench.driver).states_changed, 1);
    driver_close(&bench.driver);
}

static void the_next_owner_gets_the_newest_state(void **state)
{
    (void)state;
    bench_t bench = open_changed(7);
    driver_worker_hello(bench.driver, "w2", 10, 1, 64);
    driver_desire(bench.driver, 10);
    while (driver_count(bench.driver, "w", KIND_RELEASE) > 0) {
        const message_release_t *release =
            &driver_take(bench.driver, "w", KIND_RELEASE)->as.release;
        message_released_t released = {release->shard, release->home_epoch,
                                       release->owner_sequence};
        driver_send(bench.driver, "w", released, &released);
    }
    ask(&bench, REQUEST_DURABLE);
    const message_entity_state_t *given =
        &driver_take(bench.driver, "w2", KIND_ENTITY_STATE)->as.entity_state;
    assert_true(fabric_bytes_equal(given->state, bytes_of(7)));
    (void)driver_delivery(bench.driver, "w2");
    driver_close(&bench.driver);
}

static void after_a_defect_the_state_is_given_again(void **state)
{
    (void)state;
    bench_t bench = open_changed(7);
    ask(&bench, REQUEST_DURABLE);
    driver_result(bench.driver, "w", driver_delivery(bench.driver, "w"), STATUS_DEFECT,
                  FABRIC_ERROR_ENTITY_DEFECT);
    driver_commit(bench.driver);
    driver_pass_alive(bench.driver, 2000, (const char *const[]){"w", "c", NULL});
    expect_state(&bench, bytes_of(7));
    (void)driver_delivery(bench.driver, "w");
    driver_close(&bench.driver);
}

/* At once, in order, and without an attempt used up. */
static void a_worker_without_the_state_is_given_it(void **state)
{
    (void)state;
    bench_t bench = open_changed(7);
    ask(&bench, REQUEST_DURABLE);
    ask(&bench, REQUEST_DURABLE);
    const message_deliver_t *first = driver_delivery(bench.driver, "w");
    const message_deliver_t *second = driver_delivery(bench.driver, "w");
    driver_result(bench.driver, "w", first, STATUS_NOT_TAKEN, FABRIC_ERROR_STATE_MISSING);
    assert_false(is_given(&bench)); /* the second one is still there */
    driver_result(bench.driver, "w", second, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    expect_state(&bench, bytes_of(7));
    const message_deliver_t *again = driver_delivery(bench.driver, "w");
    assert_int_equal(again->request_id, first->request_id);
    assert_int_equal(again->attempt, 1);
    (void)driver_delivery(bench.driver, "w");
    driver_close(&bench.driver);
}

/* What rows say is kept while there is room, and read again. */
static void settled_states_are_forgotten_when_there_are_many(void **state)
{
    (void)state;
    enum { MANY = 80, LARGE = 1 << 20 };
    bench_t bench = open();
    uint8_t *large = memory_allocate_zeroed(1, LARGE);
    char id[16];
    for (unsigned i = 0; i <= MANY; i++) {
        bool again = i == MANY; /* the first one */
        snprintf(id, sizeof id, "e%u", again ? 0 : i);
        driver_ask(bench.driver, "c", bench.next++, id, REQUEST_DURABLE);
        driver_commit(bench.driver);
        router_states_t read;
        uint32_t lane = 0;
        while (!router_take_states(bench.driver->router, lane, &read)) {
            assert_true(++lane < bench.driver->config.lanes); /* it is wanted */
        }
        store_state_t row = row_of(1);
        row.entity = fabric_bytes_of(id);
        row.state = fabric_bytes(large, LARGE);
        state_value_t *value = state_value_new(&row);
        router_states_loaded(bench.driver->router, lane, FABRIC_OK, &value, 1, 1,
                             bench.driver->now_ms);
        driver_pull(bench.driver);
        answer(&bench, driver_delivery(bench.driver, "w"));
        driver_commit(bench.driver);
        driver_forget(bench.driver);
    }
    driver_check(bench.driver);
    free(large);
    driver_close(&bench.driver);
}

/* Also where there is no room for more than one. */
static void states_that_are_read_together_are_all_used(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.lanes = 1;
    config.state_bytes_free = 0;
    bench_t bench = open_with(&config);
    const char *ids[] = {"a", "b", "c"};
    state_value_t *values[3];
    for (unsigned i = 0; i < 3; i++) {
        driver_ask(bench.driver, "c", bench.next++, ids[i], REQUEST_DURABLE);
        store_state_t row = row_of(i);
        row.entity = fabric_bytes_of(ids[i]);
        values[i] = state_value_new(&row);
    }
    driver_commit(bench.driver);
    router_states_t read;
    assert_true(router_take_states(bench.driver->router, 0, &read));
    assert_int_equal(read.count, 3);
    router_states_loaded(bench.driver->router, 0, FABRIC_OK, values, 3, 3, bench.driver->now_ms);
    driver_pull(bench.driver);
    driver_check(bench.driver);
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), 3);
    assert_int_equal(HASH_CNT(by_name, bench.driver->router->lanes[0].persisted.by_name), 1);
    for (unsigned i = 0; i < 3; i++) { /* two of the states were forgotten meanwhile */
        change(&bench, driver_delivery(bench.driver, "w"), i);
        driver_commit(bench.driver);
    }
    assert_int_equal(driver_counters(bench.driver).states_changed, 3);
    driver_close(&bench.driver);
}

/* What is stored of a state that was forgotten while its message was in flight is not known until
 * the message's change is. */
static void a_change_does_not_say_what_was_stored_before(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.lanes = 1;
    config.state_bytes_free = 0;
    bench_t bench = open_with(&config);
    const char *ids[] = {"a", "b"};
    state_value_t *values[2];
    for (unsigned i = 0; i < 2; i++) {
        driver_ask(bench.driver, "c", bench.next++, ids[i], REQUEST_DURABLE);
        store_state_t row = row_of(5);
        row.entity = fabric_bytes_of(ids[i]);
        values[i] = state_value_new(&row);
    }
    driver_commit(bench.driver);
    router_t *router = bench.driver->router;
    router_states_t read;
    assert_true(router_take_states(router, 0, &read));
    router_states_loaded(router, 0, FABRIC_OK, values, 2, 2, bench.driver->now_ms);
    driver_pull(bench.driver);
    for (unsigned i = 0; i < 2; i++) {
        const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
        shard_id_t shard = {(uint32_t)delivery->shard};
        fabric_bytes_t type = fabric_bytes_of("Counter");
        const state_value_t *value = NULL;
        change(&bench, delivery, 7);
        bool is_known = persisted_look(router, shard, type, fabric_bytes_of(ids[i]), &value);
        assert_int_equal(is_known, i == 1); /* the one that was used last was not forgotten */
        assert_true(!value || fabric_bytes_equal(value->row.state, bytes_of(5)));
        driver_commit(bench.driver);
        assert_true(persisted_look(router, shard, type, fabric_bytes_of(ids[i]), &value));
        assert_true(fabric_bytes_equal(value->row.state, bytes_of(7)));
    }
    driver_close(&bench.driver);
}

/* States that checkpoints have not written yet take the memory of messages. */
static void states_that_wait_for_a_checkpoint_are_bounded(void **state)
{
    (void)state;
    enum { LARGE = 1 << 20, MEMORY = 16 << 20, SETTLED = 64 };
    router_config_t config;
    driver_config(&config);
    config.lanes = 1;
    config.memory_bytes_max = MEMORY;
    config.checkpoint_bytes_max = UINT64_C(1) << 40;
    bench_t bench = open_with(&config);
    uint8_t *large = memory_allocate_zeroed(1, LARGE);
    unsigned changed = 0;
    char id[16];
    for (bool full = false; !full && changed < 2 * SETTLED;) {
        snprintf(id, sizeof id, "e%u", changed);
        driver_ask(bench.driver, "c", bench.next++, id, REQUEST_DURABLE);
        driver_commit(bench.driver);
        full = driver_count(bench.driver, "c", KIND_REJECTED) > 0;
        router_states_t read;
        if (router_take_states(bench.driver->router, 0, &read)) {
            router_states_loaded(bench.driver->router, 0, FABRIC_OK, NULL, 0, read.count,
                                 bench.driver->now_ms);
            driver_pull(bench.driver);
            change_to(&bench, driver_delivery(bench.driver, "w"), 2, fabric_bytes(large, LARGE));
            driver_commit(bench.driver);
            changed++;
        }
        driver_pass_alive(bench.driver, 0, (const char *const[]){"w", "c", NULL});
    }
    assert_in_range(changed, SETTLED, SETTLED + MEMORY / LARGE);
    assert_int_equal(driver_rejected(bench.driver, "c", bench.next - 1), FABRIC_ERROR_BUSY);
    for (unsigned left = changed; left > 0;) {
        left -= (unsigned)take_slice(&bench)->slice.state_count;
        settle(&bench);
    }
    ask(&bench, REQUEST_DURABLE);
    assert_int_equal(driver_count(bench.driver, "c", KIND_REJECTED), 0);
    free(large);
    driver_close(&bench.driver);
}

/* The owner is forgotten to have the state while a message is in flight: the next one waits, since
 * a state that is given now would lack what that message changes. */
static void no_state_is_given_while_a_message_is_in_flight(void **state)
{
    (void)state;
    bench_t bench = open_changed(7);
    ask(&bench, REQUEST_DURABLE);
    const message_deliver_t *first = driver_delivery(bench.driver, "w");
    persisted_t *kept = bench.driver->router->lanes[bench.lane].persisted.by_name;
    kept->given = false;
    ask(&bench, REQUEST_DURABLE);
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), 0);
    change(&bench, first, 8);
    expect_state(&bench, bytes_of(8));
    (void)driver_delivery(bench.driver, "w");
    driver_close(&bench.driver);
}

/* ---- changes ---- */

static void a_change_is_part_of_its_messages_end(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    change(&bench, driver_delivery(bench.driver, "w"), 3);
    assert_int_equal(driver_count(bench.driver, "c", KIND_REPLY), 0);
    const store_state_t *left = appended(&bench);
    assert_non_null(left);
    assert_int_equal(left->version, 1);
    assert_true(fabric_bytes_equal(left->state, bytes_of(3)));
    driver_batch_done(bench.driver, bench.lane);
    assert_int_equal(driver_count(bench.driver, "c", KIND_REPLY), 1);
    ask(&bench, REQUEST_DURABLE);
    answer(&bench, driver_delivery(bench.driver, "w"));
    assert_null(appended(&bench)); /* it has changed nothing */
    driver_batch_done(bench.driver, bench.lane);
    driver_close(&bench.driver);
}

/* What counts, and is not durable yet, is what a new activation begins with. */
static void a_new_activation_begins_with_changes_that_count(void **state)
{
    (void)state;
    bench_t bench = open_changed(2);
    ask(&bench, REQUEST_DURABLE);
    ask(&bench, REQUEST_DURABLE);
    change(&bench, driver_delivery(bench.driver, "w"), 3);
    driver_result(bench.driver, "w", driver_delivery(bench.driver, "w"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_STATE_MISSING);
    driver_pass_alive(bench.driver, 200, (const char *const[]){"w", "c", NULL});
    expect_state(&bench, bytes_of(3));
    (void)driver_delivery(bench.driver, "w");
    driver_close(&bench.driver);
}

/* ---- checkpoints and adoption ---- */

/* Of many changes the last one that is durable is written, once. */
static void a_checkpoint_writes_what_is_durable(void **state)
{
    (void)state;
    bench_t bench = open_changed(2);
    ask(&bench, REQUEST_DURABLE);
    change(&bench, driver_delivery(bench.driver, "w"), 3);
    driver_commit(bench.driver);
    ask(&bench, REQUEST_DURABLE);
    change(&bench, driver_delivery(bench.driver, "w"), 4); /* is not durable yet */
    const router_slice_t *slice = take_slice(&bench);
    assert_int_equal(slice->slice.state_count, 1);
    const store_state_t *row = &slice->slice.states[0];
    assert_true(fabric_bytes_equal(row->state, bytes_of(3)));
    assert_true(fabric_bytes_equal(row->type, fabric_bytes_of("Counter")));
    assert_true(fabric_bytes_equal(row->entity, fabric_bytes_of("a")));
    assert_int_equal(row->number, bench.driver->entries[bench.lane]);
    assert_true(slice->slice.last);
    driver_commit(bench.driver); /* while the slice is written */
    assert_true(fabric_bytes_equal(row->state, bytes_of(3)));
    settle(&bench);
    slice = take_slice(&bench);
    assert_int_equal(slice->slice.state_count, 1);
    assert_true(fabric_bytes_equal(slice->slice.states[0].state, bytes_of(4)));
    settle(&bench);
    ask(&bench, REQUEST_DURABLE);
    assert_false(read_states(&bench, NULL)); /* it stays in memory */
    answer(&bench, driver_delivery(bench.driver, "w"));
    driver_commit(bench.driver);
    assert_int_equal(take_slice(&bench)->slice.state_count, 0); /* reads do not write */
    settle(&bench);
    driver_close(&bench.driver);
}

/* The lane is dropped while a result is appended, a slice written and a state read. */
static void a_dropped_lane_takes_its_states_along(void **state)
{
    (void)state;
    bench_t bench = open_changed(2);
    ask(&bench, REQUEST_DURABLE);
    change(&bench, driver_delivery(bench.driver, "w"), 3);
    const router_slice_t *slice = take_slice(&bench);
    assert_non_null(driver_take_batch(bench.driver, bench.lane));
    driver_hold(bench.driver, bench.lane, 0);
    while (router_go_on(bench.driver->router, bench.driver->now_ms)) {
    }
    assert_true(fabric_bytes_equal(slice->slice.states[0].state, bytes_of(2)));
    settle(&bench);
    driver_check(bench.driver);
    driver_close(&bench.driver);
}

static void an_adopted_state_is_given_and_written(void **state)
{
    (void)state;
    bench_t bench = open_changed(2);
    uint64_t epoch = DRIVER_EPOCH + 1;
    driver_hold(bench.driver, bench.lane, 0);
    while (router_go_on(bench.driver->router, bench.driver->now_ms)) {
    }
    driver_hold(bench.driver, bench.lane, epoch);
    store_state_t row = row_of(6);
    adoption_t adoption = {.hold = {bench.lane, bench.driver->config.incarnation, epoch},
                           .number = ++bench.driver->entries[bench.lane],
                           .states = memory_allocate(sizeof(state_value_t *)),
                           .state_count = 1};
    adoption.states[0] = state_value_new(&row);
    router_adopted(bench.driver->router, &adoption, bench.driver->now_ms);
    driver_pull(bench.driver);
    driver_desire(bench.driver, 9);
    driver_forget(bench.driver);
    ask(&bench, REQUEST_DURABLE);
    assert_false(read_states(&bench, NULL));
    expect_state(&bench, bytes_of(6));
    const router_slice_t *slice = take_slice(&bench);
    assert_int_equal(slice->slice.state_count, 1);
    assert_true(fabric_bytes_equal(slice->slice.states[0].state, bytes_of(6)));
    settle(&bench);
    driver_close(&bench.driver);
}

/* ---- clears ---- */

static void send_clear(bench_t *bench)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of("a"));
    message_query_t query = {
        .sequence = 77, .name = fabric_bytes_of("clear"), .argument = wire_writer_bytes(&argument)};
    driver_send(bench->driver, "c", query, &query);
    wire_writer_destroy(&argument);
}

/* Its entity is cleared, while somebody reads the entity's events: the state is read again. */
static void a_clear_does_not_say_what_was_stored_before(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.lanes = 1;
    config.state_bytes_free = 0;
    bench_t bench = open_with(&config);
    state_value_t *values[2];
    for (unsigned i = 0; i < 2; i++) {
        const char *id = i == 0 ? "a" : "b";
        driver_ask(bench.driver, "c", bench.next++, id, REQUEST_DURABLE);
        store_state_t row = row_of(5);
        row.entity = fabric_bytes_of(id);
        values[i] = state_value_new(&row);
    }
    driver_commit(bench.driver);
    router_t *router = bench.driver->router;
    router_states_t read;
    assert_true(router_take_states(router, 0, &read));
    router_states_loaded(router, 0, FABRIC_OK, values, 2, 2, bench.driver->now_ms);
    driver_pull(bench.driver);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    shard_id_t shard = {(uint32_t)delivery->shard};
    fabric_bytes_t type = fabric_bytes_of("Counter");
    (void)driver_delivery(bench.driver, "w");
    persisted_events_hold(router, shard, type, fabric_bytes_of("a"));
    send_clear(&bench);
    assert_non_null(driver_take_batch(bench.driver, 0));
    change(&bench, delivery, 7);
    driver_batch_done(bench.driver, 0);
    driver_check(bench.driver);
    driver_commit(bench.driver);
    const state_value_t *value = NULL;
    assert_false(persisted_look(router, shard, type, fabric_bytes_of("a"), &value));
    persisted_events_release(router, shard, type, fabric_bytes_of("a"));
    driver_forget(bench.driver);
    ask(&bench, REQUEST_DURABLE);
    store_state_t row = row_of(5);
    assert_true(read_states(&bench, &row));
    expect_state(&bench, bytes_of(5));
    driver_close(&bench.driver);
}

/* What was given in flight may rest on what has not been stored: it is lost, nobody is to blame,
 * and what comes next begins with what is stored. */
static void expect_stored_state(bench_t *bench, unsigned amount)
{
    router_violation_t violation;
    assert_false(router_take_violation(bench->driver->router, &violation));
    driver_commit(bench->driver);
    ask(bench, REQUEST_DURABLE);
    expect_state(bench, bytes_of(amount));
    answer(bench, driver_delivery(bench->driver, "w"));
    assert_false(router_take_violation(bench->driver->router, &violation));
    driver_commit(bench->driver);
    driver_check(bench->driver);
}

/* Of two volatile messages, the first one accepted before the clear, both handled on what the clear
 * ends. */
static void a_clear_ends_answers_that_rest_on_what_it_ends(void **state)
{
    (void)state;
    bench_t bench = open_changed(7);
    ask(&bench, REQUEST_DURABLE);
    driver_ask(bench.driver, "c", 11, "a", 0);
    send_clear(&bench);
    driver_ask(bench.driver, "c", 12, "a", 0);
    assert_non_null(driver_take_batch(bench.driver, bench.lane));
    change(&bench, driver_delivery(bench.driver, "w"), 8);
    driver_result(bench.driver, "w", driver_delivery(bench.driver, "w"), STATUS_OK, FABRIC_OK);
    driver_result(bench.driver, "w", driver_delivery(bench.driver, "w"), STATUS_OK, FABRIC_OK);
    driver_batch_done(bench.driver, bench.lane);
    assert_int_equal(driver_rejected(bench.driver, "c", 11), FABRIC_ERROR_CANCELLED);
    assert_int_equal(driver_rejected(bench.driver, "c", 12), FABRIC_ERROR_OUTCOME_UNKNOWN);
    bench.next = 13;
    expect_stored_state(&bench, 7);
    driver_close(&bench.driver);
}

static void a_worker_is_not_to_blame_for_what_was_in_flight_at_a_clear(void **state)
{
    (void)state;
    bench_t bench = open_changed(7);
    ask(&bench, REQUEST_DURABLE);
    send_clear(&bench);
    driver_ask(bench.driver, "c", 11, "a", 0);
    driver_commit(bench.driver);
    change(&bench, driver_delivery(bench.driver, "w"), 8);
    driver_result(bench.driver, "w", driver_delivery(bench.driver, "w"), STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_rejected(bench.driver, "c", 11), FABRIC_ERROR_OUTCOME_UNKNOWN);
    bench.next = 12;
    expect_stored_state(&bench, 7);
    driver_close(&bench.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_delivered_before_the_state_is_read),
        cmocka_unit_test(a_state_is_given_once),
        cmocka_unit_test(the_next_owner_gets_the_newest_state),
        cmocka_unit_test(after_a_defect_the_state_is_given_again),
        cmocka_unit_test(a_worker_without_the_state_is_given_it),
        cmocka_unit_test(settled_states_are_forgotten_when_there_are_many),
        cmocka_unit_test(states_that_are_read_together_are_all_used),
        cmocka_unit_test(a_change_does_not_say_what_was_stored_before),
        cmocka_unit_test(a_clear_does_not_say_what_was_stored_before),
        cmocka_unit_test(states_that_wait_for_a_checkpoint_are_bounded),
        cmocka_unit_test(no_state_is_given_while_a_message_is_in_flight),
        cmocka_unit_test(a_change_is_part_of_its_messages_end),
        cmocka_unit_test(a_new_activation_begins_with_changes_that_count),
        cmocka_unit_test(a_checkpoint_writes_what_is_durable),
        cmocka_unit_test(a_dropped_lane_takes_its_states_along),
        cmocka_unit_test(an_adopted_state_is_given_and_written),
        cmocka_unit_test(a_clear_ends_answers_that_rest_on_what_it_ends),
        cmocka_unit_test(a_worker_is_not_to_blame_for_what_was_in_flight_at_a_clear),
    };
    return cmocka_run_group_tests_name("broker_router_persisted", tests, NULL, NULL);
}
