/* Results that come with a persisted state: which of the states count, and what an entry has of
 * them. */
#include <string.h>

#include "core/memory.h"
#include "tests/unit/persisted_bench.h"

enum { LARGE_BYTES = 512, SMALL_BYTES = LARGE_BYTES - 1 };

/* Two messages in flight leave states of these sizes, the second one of sixes, and a third one
 * leaves the state as it is. The broker does not know what is in states of version 2. */
static void change_twice(bench_t *bench, size_t first, size_t second)
{
    uint8_t fives[LARGE_BYTES];
    uint8_t sixes[LARGE_BYTES];
    memset(fives, 5, sizeof fives);
    memset(sixes, 6, sizeof sixes);
    for (unsigned i = 0; i < 3; i++) {
        ask(bench, REQUEST_DURABLE);
    }
    change_to(bench, driver_delivery(bench->driver, "w"), 2, fabric_bytes(fives, first));
    change_to(bench, driver_delivery(bench->driver, "w"), 2, fabric_bytes(sixes, second));
    answer(bench, driver_delivery(bench->driver, "w"));
}

static void expect_bytes(const store_state_t *state, uint8_t byte, size_t size)
{
    assert_non_null(state);
    assert_int_equal(state->state.size, size);
    assert_int_equal(state->state.data[0], byte);
    assert_int_equal(state->state.data[size - 1], byte);
}

/* The message ends, and what it has changed does not count. */
static void expect_refused(bench_t *bench, const message_deliver_t *delivery, fabric_bytes_t sent,
                           uint64_t status)
{
    message_result_state_t result = {.shard = delivery->shard,
                                     .home_epoch = delivery->home_epoch,
                                     .owner_sequence = delivery->owner_sequence,
                                     .activation = delivery->activation,
                                     .request_id = delivery->request_id,
                                     .status = status,
                                     .error = status == STATUS_FAILURE ? FABRIC_ERROR_ENTITY_FAILURE
                                                                       : FABRIC_OK,
                                     .payload = fabric_bytes("\x92\xa1x\x01", 4),
                                     .version = 1,
                                     .state = sent};
    driver_send(bench->driver, "w", result_state, &result);
    driver_commit(bench->driver);
    const message_reply_t *reply = driver_replied(bench->driver, "c", bench->next - 1);
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(reply->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    ask(bench, REQUEST_DURABLE);
    expect_state(bench, bytes_of(2));
    answer(bench, driver_delivery(bench->driver, "w"));
    driver_commit(bench->driver);
    (void)driver_replied(bench->driver, "c", bench->next - 1);
}

static void a_state_that_must_not_count_does_not(void **state)
{
    (void)state;
    bench_t bench = open_changed(2);
    (void)driver_replied(bench.driver, "c", 1);
    ask(&bench, REQUEST_DURABLE);
    expect_refused(&bench, driver_delivery(bench.driver, "w"), fabric_bytes("\x91\xc0", 2), 0);
    ask(&bench, REQUEST_DURABLE);
    expect_refused(&bench, driver_delivery(bench.driver, "w"), fabric_bytes("", 0), 0);
    ask(&bench, REQUEST_DURABLE);
    expect_refused(&bench, driver_delivery(bench.driver, "w"), bytes_of(5), STATUS_DEFECT);
    ask(&bench, REQUEST_DURABLE);
    expect_refused(&bench, driver_delivery(bench.driver, "w"), bytes_of(5), STATUS_FAILURE);
    driver_close(&bench.driver);
}

/* Nor does a state that comes with the result of a volatile message. */
static void a_volatile_message_leaves_no_state(void **state)
{
    (void)state;
    bench_t bench = open_changed(2);
    (void)driver_replied(bench.driver, "c", 1);
    ask(&bench, 0);
    change(&bench, driver_delivery(bench.driver, "w"), 5);
    const message_reply_t *reply = driver_replied(bench.driver, "c", bench.next - 1);
    assert_int_equal(reply->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_counters(bench.driver).states_changed, 1);
    ask(&bench, REQUEST_DURABLE);
    expect_state(&bench, bytes_of(2));
    answer(&bench, driver_delivery(bench.driver, "w"));
    driver_commit(bench.driver);
    driver_close(&bench.driver);
}

/* Its message does not wait for another result for ever. */
static void a_result_whose_state_cannot_be_read_ends_its_message(void **state)
{
    (void)state;
    bench_t bench = open_changed(2);
    (void)driver_replied(bench.driver, "c", 1);
    ask(&bench, REQUEST_DURABLE);
    change_to(&bench, driver_delivery(bench.driver, "w"), UINT64_C(1) << 32, bytes_of(5));
    driver_commit(bench.driver);
    const message_reply_t *reply = driver_replied(bench.driver, "c", bench.next - 1);
    assert_int_equal(reply->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    ask(&bench, REQUEST_DURABLE);
    expect_state(&bench, bytes_of(2));
    answer(&bench, driver_delivery(bench.driver, "w"));
    driver_commit(bench.driver);
    driver_close(&bench.driver);
}

/* In a rolling deployment: this broker does not hold the term, and has not learned yet that the
 * states of the type are persisted from now on. */
static void a_worker_may_know_first_that_states_are_persisted(void **state)
{
    (void)state;
    bench_t bench = {.driver = driver_open(), .next = 1};
    driver_client(bench.driver, "c", 1);
    driver_told.state = (fabric_schema_t *)&sum_schema;
    driver_worker(bench.driver, "w", 9);
    driver_told = DRIVER_TOLD_USUALLY;
    ask(&bench, REQUEST_DURABLE);
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), 0);
    assert_true(read_states(&bench, NULL));
    expect_state(&bench, (fabric_bytes_t){NULL, 0});
    change(&bench, driver_delivery(bench.driver, "w"), 3);
    const store_state_t *left = appended(&bench);
    assert_non_null(left);
    assert_true(fabric_bytes_equal(left->state, bytes_of(3)));
    driver_batch_done(bench.driver, bench.lane);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->status, STATUS_OK);
    driver_close(&bench.driver);
}

static void a_type_without_persisted_states_has_none(void **state)
{
    (void)state;
    bench_t bench = {.driver = driver_open(), .next = 1};
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    ask(&bench, REQUEST_DURABLE);
    assert_false(read_states(&bench, NULL));
    change(&bench, driver_delivery(bench.driver, "w"), 5);
    driver_commit(bench.driver);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(driver_counters(bench.driver).states_given, 0);
    driver_close(&bench.driver);
}

static void an_entry_has_only_the_last_large_state_of_an_entity(void **state)
{
    static const size_t sizes[][2] = {{LARGE_BYTES, LARGE_BYTES},
                                      {LARGE_BYTES, LARGE_BYTES}, /* it does not know the first */
                                      {SMALL_BYTES, LARGE_BYTES},
                                      {LARGE_BYTES, SMALL_BYTES},
                                      {SMALL_BYTES, SMALL_BYTES}};
    (void)state;
    bench_t bench = open_changed(4);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        change_twice(&bench, sizes[i][0], sizes[i][1]);
        const lane_batch_t *batch = driver_take_batch(bench.driver, bench.lane);
        assert_int_equal(batch->end_count, 3);
        if (sizes[i][0] == LARGE_BYTES && sizes[i][1] == LARGE_BYTES) {
            assert_null(batch->ends[0].state);
        } else {
            expect_bytes(batch->ends[0].state, 5, sizes[i][0]);
        }
        expect_bytes(batch->ends[1].state, 6, sizes[i][1]);
        assert_null(batch->ends[2].state);
        driver_batch_done(bench.driver, bench.lane);
        driver_check(bench.driver);
    }
    driver_close(&bench.driver);
}

/* Each result that waits for its append keeps the state that it has left: they all count. */
static void states_that_are_not_durable_yet_take_memory(void **state)
{
    (void)state;
    bench_t bench = open_changed(2);
    uint64_t before = bench.driver->router->state_bytes;
    change_twice(&bench, LARGE_BYTES, LARGE_BYTES);
    assert_in_range(bench.driver->router->state_bytes, before + 2 * LARGE_BYTES,
                    before + 2 * LARGE_BYTES + 512);
    driver_check(bench.driver);
    driver_commit(bench.driver);
    assert_in_range(bench.driver->router->state_bytes, before + LARGE_BYTES - 2,
                    before + LARGE_BYTES);
    driver_check(bench.driver);
    driver_close(&bench.driver);
}

/* A crash between the two entries must not lose what the first of their messages has changed. */
static void each_entry_has_the_state_of_its_own_ends(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.batch_items_max = 1;
    bench_t bench = open_with(&config);
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    change(&bench, driver_delivery(bench.driver, "w"), 4);
    driver_commit(bench.driver);
    change_twice(&bench, LARGE_BYTES, LARGE_BYTES);
    expect_bytes(appended(&bench), 5, LARGE_BYTES);
    driver_batch_done(bench.driver, bench.lane);
    expect_bytes(appended(&bench), 6, LARGE_BYTES);
    driver_batch_done(bench.driver, bench.lane);
    assert_null(appended(&bench));
    driver_close(&bench.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_that_must_not_count_does_not),
        cmocka_unit_test(a_volatile_message_leaves_no_state),
        cmocka_unit_test(a_result_whose_state_cannot_be_read_ends_its_message),
        cmocka_unit_test(a_worker_may_know_first_that_states_are_persisted),
        cmocka_unit_test(a_type_without_persisted_states_has_none),
        cmocka_unit_test(an_entry_has_only_the_last_large_state_of_an_entity),
        cmocka_unit_test(each_entry_has_the_state_of_its_own_ends),
        cmocka_unit_test(states_that_are_not_durable_yet_take_memory),
    };
    return cmocka_run_group_tests_name("broker_router_persisted_results", tests, NULL, NULL);
}
