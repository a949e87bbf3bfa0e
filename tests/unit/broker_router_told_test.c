/* Results whose handlers have told other entities something, at their home: which of them count,
 * and what is appended of them. */
#include "core/limits.h"
#include "tests/unit/told_bench.h"

static void what_was_told_is_appended_with_the_result(void **state)
{
    (void)state;
    bench_t bench = told_bench();
    driver_ask(bench.driver, "c", 1, "a", REQUEST_DURABLE);
    driver_commit(bench.driver);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    told_tell(&bench, delivery, (const char *const[]){"b", "c"}, 2);
    assert_true(bench.driver->router->told_bytes > 0);
    assert_int_equal(driver_count(bench.driver, "c", KIND_REPLY), 0);
    uint32_t lane = told_lane_of_a(&bench, delivery);
    const lane_batch_t *batch = driver_take_batch(bench.driver, lane);
    assert_int_equal(batch->end_count, 1);
    const batch_end_t *end = &batch->ends[0];
    assert_null(end->state);
    assert_null(end->events);
    assert_int_equal(end->outgoing->count, 2);
    assert_true(end->outgoing->id > delivery->request_id);
    assert_true(end->outgoing->id <= batch->last_id);
    assert_true(fabric_bytes_equal(end->outgoing->tag, fabric_bytes_of("Add")));
    assert_true(fabric_bytes_equal(end->outgoing->traceparent, end->message->traceparent));
    journal_outgoing_reader_t reader = journal_outgoing_open(end->outgoing);
    store_outgoing_t message;
    static const char *const ids[] = {"b", "c"};
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(journal_outgoing_next(&reader, &message));
        assert_int_equal(message.key.index, i);
        assert_true(fabric_bytes_equal(message.entity, fabric_bytes_of(ids[i])));
        assert_int_equal(message.shard.value,
                         shard_map_locate(bench.driver->router->map, 1, message.entity).value);
    }
    driver_batch_done(bench.driver, lane);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->status, STATUS_OK);
    assert_int_equal(bench.driver->router->told_bytes, 0);
    driver_close(&bench.driver);
}

/* Ids grow in the order of the results, and are larger than the last id of the entry before, which
 * the checkpoints' bound on purges relies on. */
static void ids_grow_from_entry_to_entry(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.batch_items_max = 2;
    bench_t bench = told_bench_with(&config);
    uint32_t lane = 0;
    uint64_t last_id = 0;
    for (uint64_t i = 1; i <= 5; i++) {
        driver_ask(bench.driver, "c", i, "a", REQUEST_DURABLE);
        driver_commit(bench.driver);
    }
    for (int i = 0; i < 5; i++) {
        const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
        lane = told_lane_of_a(&bench, delivery);
        if (i == 1) { /* one without any in between */
            driver_result_with(bench.driver, "w", delivery, STATUS_OK, FABRIC_OK,
                               fabric_bytes("\x92\xa1x\x01", 4));
        } else {
            told_tell(&bench, delivery, (const char *const[]){"b"}, 1);
        }
    }
    for (int i = 0; i < 3; i++) {
        const lane_batch_t *batch = driver_take_batch(bench.driver, lane);
        assert_int_equal(batch->end_count, i < 2 ? 2 : 1);
        for (size_t k = 0; k < batch->end_count; k++) {
            const journal_outgoing_t *outgoing = batch->ends[k].outgoing;
            assert_int_equal(outgoing == NULL, i == 0 && k == 1);
            if (outgoing) {
                assert_true(outgoing->id > last_id);
                last_id = outgoing->id;
            }
        }
        assert_true(batch->last_id >= last_id);
        last_id = batch->last_id;
        driver_batch_done(bench.driver, lane);
    }
    driver_commit(bench.driver);
    assert_int_equal(driver_count(bench.driver, "c", KIND_REPLY), 5);
    driver_close(&bench.driver);
}

/* Of a type with this state, and these events (NULL: it has none). */
static bench_t open_storing(fabric_schema_t *event)
{
    router_config_t config;
    driver_config(&config);
    bench_t bench = {.next = 1};
    driver_told = (driver_told_t){.mailbox_capacity = 4096,
                                  .concurrency = 1,
                                  .options = {.tells = true},
                                  .state = (fabric_schema_t *)&sum_schema,
                                  .event = event};
    bench.driver = driver_new(&config);
    driver_homes(bench.driver, NULL);
    driver_told = DRIVER_TOLD_USUALLY;
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    return bench;
}

/* Answers the delivery with what `result` has, and one message. Returns the end that is appended.
 */
static const batch_end_t *tell_with(bench_t *bench, message_result_told_t *result)
{
    wire_writer_t list = {0};
    const store_outgoing_t message = told_note("b");
    journal_outgoing_put(&list, &message);
    result->count = 1;
    result->told = wire_writer_bytes(&list);
    told_send(bench, result);
    wire_writer_destroy(&list);
    const lane_batch_t *batch = driver_take_batch(bench->driver, bench->lane);
    assert_non_null(batch);
    assert_int_equal(batch->end_count, 1);
    assert_int_equal(batch->ends[0].outgoing->count, 1);
    return &batch->ends[0];
}

static void states_and_events_go_along(void **state)
{
    (void)state;
    bench_t bench = open_storing(NULL);
    message_result_told_t result = told_result(driver_delivery(bench.driver, "w"));
    result.version = 1;
    result.state = bytes_of(5);
    const batch_end_t *end = tell_with(&bench, &result);
    assert_true(fabric_bytes_equal(end->state->state, bytes_of(5)));
    driver_batch_done(bench.driver, bench.lane);
    ask(&bench, REQUEST_DURABLE);
    result = told_result(driver_delivery(bench.driver, "w"));
    assert_null(tell_with(&bench, &result)->state); /* which has not changed */
    driver_batch_done(bench.driver, bench.lane);
    driver_close(&bench.driver);

    wire_writer_t array = {0};
    wire_put_array(&array, 1);
    journal_events_put(&array, fabric_bytes_of("Paid"), 1, bytes_of(3));
    bench = open_storing((fabric_schema_t *)&sum_schema);
    assert_int_equal(read_rows(&bench, 1, 0, true), 0);
    result = told_result(driver_delivery(bench.driver, "w"));
    result.first = 1;
    result.events = wire_writer_bytes(&array);
    end = tell_with(&bench, &result);
    assert_int_equal(end->events->count, 1);
    assert_null(end->state);
    driver_batch_done(bench.driver, bench.lane);
    ask(&bench, REQUEST_DURABLE);
    result = told_result(driver_delivery(bench.driver, "w"));
    assert_null(tell_with(&bench, &result)->events); /* and none was appended */
    driver_batch_done(bench.driver, bench.lane);
    driver_close(&bench.driver);
    wire_writer_destroy(&array);
}

/* ---- results that make defects ---- */

typedef void change_fn(message_result_told_t *result, store_outgoing_t *message);

/* The message of a result that was changed so ends with this error, and tells nobody anything. */
static void expect_defect(change_fn *spoil, fabric_error_t error)
{
    bench_t bench = told_bench();
    driver_ask(bench.driver, "c", 1, "a", REQUEST_DURABLE);
    driver_commit(bench.driver);
    wire_writer_t list = {0};
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    message_result_told_t result = told_result(delivery);
    store_outgoing_t message = told_note("b");
    result.count = 1;
    spoil(&result, &message);
    journal_outgoing_put(&list, &message);
    if (!result.told.data) {
        result.told = wire_writer_bytes(&list);
    }
    told_send(&bench, &result);
    driver_commit(bench.driver);
    const message_reply_t *reply = driver_replied(bench.driver, "c", 1);
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(reply->error, error);
    assert_int_equal(driver_counters(bench.driver).dead_letters, 1);
    wire_writer_destroy(&list);
    driver_close(&bench.driver);
}

static void fail_with(message_result_told_t *result, store_outgoing_t *message)
{
    (void)message;
    result->status = STATUS_FAILURE;
    result->error = FABRIC_ERROR_ENTITY_FAILURE;
    result->payload = fabric_bytes_of("no");
}

static void volatile_message(message_result_told_t *result, store_outgoing_t *message)
{
    (void)result;
    message->tag = fabric_bytes_of("Peek");
}

static void not_durable(message_result_told_t *result, store_outgoing_t *message)
{
    (void)result;
    message->flags = REQUEST_TELL;
}

static void no_tell(message_result_told_t *result, store_outgoing_t *message)
{
    (void)result;
    message->flags = REQUEST_DURABLE;
}

static void not_by_its_schema(message_result_told_t *result, store_outgoing_t *message)
{
    (void)result;
    message->payload = fabric_bytes("\x91\x01", 2);
}

static void headers_that_are_none(message_result_told_t *result, store_outgoing_t *message)
{
    (void)result;
    message->headers = fabric_bytes("\x81\x01", 2);
}

static void before_all_time(message_result_told_t *result, store_outgoing_t *message)
{
    (void)result;
    message->deliver_at_ms = -1;
}

static void after_all_time(message_result_told_t *result, store_outgoing_t *message)
{
    (void)result;
    message->deliver_at_ms = LIMIT_DELIVER_AT_MS_MAX + 1;
}

static void a_state_of_a_type_without_one(message_result_told_t *result, store_outgoing_t *message)
{
    (void)message;
    result->version = 1;
    result->state = bytes_of(1);
}

static void fewer_than_it_says(message_result_told_t *result, store_outgoing_t *message)
{
    (void)message;
    result->count = 2;
}

static void more_than_there_may_be(message_result_told_t *result, store_outgoing_t *message)
{
    (void)message;
    result->count = (UINT64_C(1) << 32) + 1;
}

static void none_at_all(message_result_told_t *result, store_outgoing_t *message)
{
    (void)message;
    result->count = 0;
    result->told = fabric_bytes("", 0);
}

static void a_wrong_result_makes_a_defect(void **state)
{
    (void)state;
    change_fn *const wrong[] = {fail_with,
                                volatile_message,
                                not_durable,
                                no_tell,
                                not_by_its_schema,
                                headers_that_are_none,
                                before_all_time,
                                after_all_time,
                                a_state_of_a_type_without_one,
                                fewer_than_it_says,
                                more_than_there_may_be,
                                none_at_all};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        expect_defect(wrong[i], FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

/* Of 1,001 messages, and of more bytes than a record has. */
static void there_may_not_be_too_much(void **state)
{
    (void)state;
    enum { LARGE = LIMIT_PAYLOAD_BYTES_MAX - (16 << 10) };
    uint8_t *large = calloc(1, LARGE);
    assert_non_null(large);
    for (int bytes = 0; bytes < 2; bytes++) {
        bench_t bench = told_bench();
        driver_ask(bench.driver, "c", 1, "a", REQUEST_DURABLE);
        driver_commit(bench.driver);
        wire_writer_t list = {0};
        const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
        message_result_told_t result = told_result(delivery);
        store_outgoing_t message = told_note("b");
        result.count = bytes ? 4 : STORE_OUTGOING_MAX + 1;
        message.payload = bytes ? fabric_bytes(large, LARGE) : message.payload;
        for (uint64_t i = 0; i < result.count; i++) {
            journal_outgoing_put(&list, &message);
        }
        result.told = wire_writer_bytes(&list);
        told_send(&bench, &result);
        driver_commit(bench.driver);
        assert_int_equal(driver_replied(bench.driver, "c", 1)->error,
                         FABRIC_ERROR_MALFORMED_MESSAGE);
        wire_writer_destroy(&list);
        driver_close(&bench.driver);
    }
    free(large);
}

static void a_type_says_that_it_tells(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    bench_t bench = {.next = 1};
    bench.driver = driver_new(&config);
    driver_homes(bench.driver, NULL);
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    driver_ask(bench.driver, "c", 1, "a", REQUEST_DURABLE);
    driver_commit(bench.driver);
    told_tell(&bench, driver_delivery(bench.driver, "w"), (const char *const[]){"b"}, 1);
    driver_commit(bench.driver);
    assert_int_equal(driver_replied(bench.driver, "c", 1)->error, FABRIC_ERROR_MALFORMED_MESSAGE);
    driver_close(&bench.driver);
}

static void a_second_result_tells_nothing(void **state)
{
    (void)state;
    bench_t bench = told_bench();
    driver_ask(bench.driver, "c", 1, "a", REQUEST_DURABLE);
    driver_commit(bench.driver);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    told_tell(&bench, delivery, (const char *const[]){"b"}, 1);
    told_tell(&bench, delivery, (const char *const[]){"b", "c"}, 2);
    assert_int_equal(driver_counters(bench.driver).results_refused, 1);
    uint32_t lane = told_lane_of_a(&bench, delivery);
    const lane_batch_t *batch = driver_take_batch(bench.driver, lane);
    assert_int_equal(batch->end_count, 1);
    assert_int_equal(batch->ends[0].outgoing->count, 1);
    driver_batch_done(bench.driver, lane);
    driver_close(&bench.driver);
}

/* Nobody hears of what was told, and the next home has the message handled again. */
static void a_lane_that_is_lost_forgets_it(void **state)
{
    (void)state;
    bench_t bench = told_bench();
    driver_ask(bench.driver, "c", 1, "a", REQUEST_DURABLE);
    driver_commit(bench.driver);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    uint32_t lane = told_lane_of_a(&bench, delivery);
    told_tell(&bench, delivery, (const char *const[]){"b"}, 1);
    assert_non_null(driver_take_batch(bench.driver, lane));
    driver_batch_fenced(bench.driver, lane);
    assert_int_equal(driver_count(bench.driver, "c", KIND_REPLY), 0);
    assert_int_equal(bench.driver->router->told_bytes, 0);
    driver_close(&bench.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_is_appended_with_the_result),
        cmocka_unit_test(ids_grow_from_entry_to_entry),
        cmocka_unit_test(states_and_events_go_along),
        cmocka_unit_test(a_wrong_result_makes_a_defect),
        cmocka_unit_test(there_may_not_be_too_much),
        cmocka_unit_test(a_type_says_that_it_tells),
        cmocka_unit_test(a_second_result_tells_nothing),
        cmocka_unit_test(a_lane_that_is_lost_forgets_it),
    };
    return cmocka_run_group_tests_name("broker_router_told", tests, NULL, NULL);
}
