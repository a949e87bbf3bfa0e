/* Queries of entities' events at their home: rows, what memory has, waiting, and the end of the
 * lane. The entity is "a", whose lane is `lane`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "core/address.h"
#include "tests/unit/router_driver.h"

enum { QUERIES_MAX = 256, PART_EVENTS = 1000, DOCUMENTS_PER_TICK = 64 };

typedef struct bench {
    driver_t *driver;
    uint32_t lane; /* of entity "a" */
    uint64_t next;
} bench_t;

typedef struct sum {
    int64_t amount;
} sum_t;
static const fabric_field_t sum_fields[] = {FABRIC_I64(sum_t, amount)};
static const fabric_schema_t sum_schema = FABRIC_SCHEMA("Sum", sum_t, sum_fields);

/* The type appends events, or none (NULL). */
static bench_t open_with(const fabric_schema_t *event)
{
    driver_told.event = (fabric_schema_t *)event;
    bench_t bench = {.driver = driver_open(), .next = 1};
    driver_told = DRIVER_TOLD_USUALLY;
    uint32_t number = address_shard_number(fabric_bytes_of("a"), DRIVER_SHARDS);
    bench.lane = number % bench.driver->config.lanes;
    driver_client(bench.driver, "c", 1);
    return bench;
}

static bench_t open(void)
{
    return open_with(&sum_schema);
}

static void close(bench_t *bench)
{
    driver_close(&bench->driver);
}

/* ---- asking ---- */

static void send_query(bench_t *bench, fabric_bytes_t argument)
{
    message_query_t query = {bench->next++, fabric_bytes_of("events"), argument};
    driver_send(bench->driver, "c", query, &query);
    driver_check(bench->driver);
}

static void ask_of(bench_t *bench, const char *type, const char *id, uint64_t after, uint64_t limit,
                   uint64_t wait_ms)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 5);
    wire_put_bin(&argument, fabric_bytes_of(type));
    wire_put_bin(&argument, fabric_bytes_of(id));
    wire_put_uint(&argument, after);
    wire_put_uint(&argument, limit);
    wire_put_uint(&argument, wait_ms);
    send_query(bench, wire_writer_bytes(&argument));
    wire_writer_destroy(&argument);
}

static void ask(bench_t *bench, uint64_t after, uint64_t limit, uint64_t wait_ms)
{
    ask_of(bench, "Counter", "a", after, limit, wait_ms);
}

static size_t answers(bench_t *bench)
{
    return driver_count(bench->driver, "c", KIND_ANSWER);
}

/* The next answer is this error. */
static void expect_error(bench_t *bench, fabric_error_t error)
{
    const message_answer_t *answer = &driver_take(bench->driver, "c", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->error, error);
    assert_true(answer->text.size > 0);
}

/* The next answer has the events of these sequences, as collect makes them. */
static void expect_events(bench_t *bench, uint64_t first, uint64_t last, bool more)
{
    const message_answer_t *answer = &driver_take(bench->driver, "c", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->error, FABRIC_OK);
    wire_reader_t reader = wire_reader(answer->document);
    assert_int_equal(wire_get_map(&reader), 2);
    assert_true(fabric_bytes_equal(wire_get_str(&reader), fabric_bytes_of("events")));
    assert_int_equal(wire_get_array(&reader), last + 1 - first);
    for (uint64_t i = first; i <= last; i++) {
        assert_int_equal(wire_get_array(&reader), 6);
        assert_int_equal(wire_get_uint(&reader), i);
        assert_true(fabric_bytes_equal(wire_get_str(&reader), fabric_bytes_of("Added")));
        assert_int_equal(wire_get_uint(&reader), 2);
        assert_int_equal(wire_get_uint(&reader), 7000 + i);
        assert_int_equal(wire_get_uint(&reader), 9000 + i);
        assert_true(wire_get_bin(&reader).size > 0);
    }
    assert_true(fabric_bytes_equal(wire_get_str(&reader), fabric_bytes_of("more")));
    assert_int_equal(wire_get_bool(&reader), more);
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
}

static void expect_none(bench_t *bench)
{
    expect_events(bench, 1, 0, false);
}

/* ---- rows ---- */

static const uint8_t payload[300 << 10];

/* Events of these sequences, with payloads of so many bytes; each value has one. */
static void collect(events_collector_t *collector, uint64_t first, uint64_t last, size_t size)
{
    for (uint64_t i = first; i <= last; i++) {
        store_event_t event = {.type = fabric_bytes_of("Counter"),
                               .entity = fabric_bytes_of("a"),
                               .sequence = i,
                               .number = 1,
                               .id = {9000 + i},
                               .recorded_ms = 7000 + (int64_t)i,
                               .tag = fabric_bytes_of("Added"),
                               .version = 2,
                               .payload = fabric_bytes(payload, size)};
        events_collect(collector, &event);
    }
    events_collected(collector);
}

/* Takes the read that the router wants. */
static store_history_t take_read(bench_t *bench)
{
    router_reading_t read;
    assert_true(router_take_reading(bench->driver->router, bench->lane, &read));
    assert_true(fabric_bytes_equal(read.history->name.type, fabric_bytes_of("Counter")));
    assert_true(fabric_bytes_equal(read.history->name.entity, fabric_bytes_of("a")));
    return *read.history;
}

static void expect_no_read(bench_t *bench)
{
    router_reading_t read;
    assert_false(router_take_reading(bench->driver->router, bench->lane, &read));
}

/* The rows of these sequences, with payloads of so many bytes, are read. */
static void loaded_sizes(bench_t *bench, uint64_t first, uint64_t last, size_t size, bool done)
{
    events_collector_t rows = {0};
    collect(&rows, first, last, size);
    router_reading_loaded(bench->driver->router, bench->lane, FABRIC_OK, rows.values, rows.count,
                          done, bench->driver->now_ms);
    events_values_clear(&rows.values, &rows.count);
    driver_pull(bench->driver);
    driver_check(bench->driver);
}

static void loaded(bench_t *bench, uint64_t first, uint64_t last, bool ended)
{
    loaded_sizes(bench, first, last, 1, ended);
}

static void pass(bench_t *bench, uint64_t ms)
{
    const char *const peers[] = {"c", NULL};
    driver_pass_alive(bench->driver, ms, peers);
}

/* ---- tests ---- */

static void rows_are_told_behind_the_sequence(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, 4, 10, 0);
    assert_int_equal(answers(&bench), 0);
    store_history_t read = take_read(&bench);
    assert_true(read.after == 4);
    assert_int_equal(read.limit, 11);
    loaded(&bench, 5, 7, true);
    expect_events(&bench, 5, 7, false);
    ask(&bench, 7, 10, 0);
    assert_true(take_read(&bench).after == 7);
    loaded(&bench, 1, 0, true);
    expect_none(&bench);
    close(&bench);
}

static void a_limit_ends_an_answer(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, 0, 3, 0);
    assert_int_equal(take_read(&bench).limit, 4);
    loaded(&bench, 1, 4, true);
    expect_events(&bench, 1, 3, true);
    ask(&bench, 0, 3, 0);
    (void)take_read(&bench);
    loaded(&bench, 1, 3, true); /* and there is no more */
    expect_events(&bench, 1, 3, false);
    for (int i = 0; i < 2; i++) { /* none, or one that is too large */
        ask(&bench, 0, i == 0 ? 0 : UINT64_MAX, 0);
        assert_int_equal(take_read(&bench).limit, PART_EVENTS + 1);
        loaded(&bench, 1, PART_EVENTS + 1, true);
        expect_events(&bench, 1, PART_EVENTS, true);
    }
    close(&bench);
}

static void bytes_end_an_answer(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, 0, 0, 0);
    (void)take_read(&bench);
    loaded_sizes(&bench, 1, 3, sizeof payload, true);
    expect_events(&bench, 1, 2, true);
    ask(&bench, 0, 0, 0);
    (void)take_read(&bench);
    loaded_sizes(&bench, 1, 2, sizeof payload, false); /* the store has stopped there */
    expect_events(&bench, 1, 2, true);
    close(&bench);
}

static void queries_of_a_lane_are_read_for_one_by_one(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, 4, 0, 0);
    ask(&bench, 8, 0, 0);
    assert_true(take_read(&bench).after == 4);
    expect_no_read(&bench);
    loaded(&bench, 5, 5, true);
    expect_events(&bench, 5, 5, false);
    assert_true(take_read(&bench).after == 8);
    loaded(&bench, 9, 9, true);
    expect_events(&bench, 9, 9, false);
    close(&bench);
}

/* ---- what memory has ---- */

static shard_id_t shard_of(const bench_t *bench)
{
    const known_type_t *type = type_find(bench->driver->router, fabric_bytes_of("Counter"));
    uint32_t number = address_shard_number(fabric_bytes_of("a"), DRIVER_SHARDS);
    return shard_id_make(type->group, (uint16_t)number);
}

/* Results append events of these sequences, one each; they are not durable yet. */
static void append(bench_t *bench, uint64_t first, uint64_t last, events_value_t **values)
{
    router_t *router = bench->driver->router;
    fabric_bytes_t type = fabric_bytes_of("Counter");
    fabric_bytes_t id = fabric_bytes_of("a");
    persisted_events_hold(router, shard_of(bench), type, id);
    for (uint64_t i = first; i <= last; i++) {
        wire_writer_t list = {0};
        journal_events_put(&list, fabric_bytes_of("Added"), 2, fabric_bytes("\x90", 1));
        journal_events_t events = {.first = i,
                                   .count = 1,
                                   .recorded_ms = 7000 + (int64_t)i,
                                   .list = wire_writer_bytes(&list)};
        store_event_t event = {
            .type = type, .entity = id, .shard = shard_of(bench), .id = {9000 + i}};
        values[i - first] = persisted_append(router, &event, &events);
        wire_writer_destroy(&list);
    }
    persisted_events_release(router, shard_of(bench), type, id);
}

/* They become durable, one after the other. */
static void commit(bench_t *bench, events_value_t **values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        persisted_commit_events(bench->driver->router, &values[i], 5);
        readers_appended(bench->driver->router, shard_of(bench), fabric_bytes_of("Counter"),
                         fabric_bytes_of("a"));
    }
    driver_pull(bench->driver);
}

static void append_durable(bench_t *bench, uint64_t first, uint64_t last)
{
    events_value_t *values[16];
    append(bench, first, last, values);
    commit(bench, values, last + 1 - first);
}

static void what_memory_has_next_is_told_at_once(void **state)
{
    (void)state;
    bench_t bench = open();
    append_durable(&bench, 4, 6);
    ask(&bench, 3, 0, 0);
    expect_events(&bench, 4, 6, false);
    ask(&bench, 4, 1, 0);
    expect_events(&bench, 5, 5, true);
    expect_no_read(&bench);
    close(&bench);
}

/* From either end of what memory has. */
static void each_event_in_memory_is_found(void **state)
{
    (void)state;
    bench_t bench = open();
    events_value_t *values[2];
    append_durable(&bench, 4, 13);
    append(&bench, 14, 15, values);
    for (uint64_t after = 3; after < 13; after++) {
        ask(&bench, after, 2, 0);
        bool is_last = after == 12;
        expect_events(&bench, after + 1, is_last ? 13 : after + 2, after < 11);
    }
    expect_no_read(&bench);
    for (uint64_t after = 13; after < 18; after++) { /* not durable, or not there */
        ask(&bench, after, 2, 0);
        assert_true(take_read(&bench).after == after);
        loaded(&bench, 1, 0, true);
        expect_none(&bench);
    }
    commit(&bench, values, 2);
    close(&bench);
}

static void rows_and_memory_are_joined(void **state)
{
    (void)state;
    bench_t bench = open();
    append_durable(&bench, 4, 6);
    for (uint64_t last = 3; last <= 6; last++) { /* rows may have some of them already */
        ask(&bench, 0, 0, 0);
        (void)take_read(&bench);
        loaded(&bench, 1, last, true);
        expect_events(&bench, 1, 6, false);
    }
    ask(&bench, 0, 5, 0);
    (void)take_read(&bench);
    loaded(&bench, 1, 3, true);
    expect_events(&bench, 1, 5, true);
    ask(&bench, 0, 0, 0);
    (void)take_read(&bench);
    loaded(&bench, 1, 2, false); /* the third is a row, too */
    expect_events(&bench, 1, 2, true);
    close(&bench);
}

static void memory_keeps_what_a_read_may_miss(void **state)
{
    (void)state;
    bench_t bench = open();
    router_t *router = bench.driver->router;
    fabric_bytes_t type = fabric_bytes_of("Counter");
    ask(&bench, 0, 0, 0);
    (void)take_read(&bench);
    const history_t *history =
        persisted_history(router, shard_of(&bench), type, fabric_bytes_of("a"));
    assert_int_equal(history->readers, 1);
    append_durable(&bench, 1, 2);
    loaded(&bench, 1, 0, true);
    expect_events(&bench, 1, 2, false);
    assert_int_equal(history->readers, 0);
    close(&bench);
}

static void a_query_waits_until_an_event_is_durable(void **state)
{
    (void)state;
    bench_t bench = open();
    events_value_t *values[2];
    ask(&bench, 3, 0, 500);
    (void)take_read(&bench);
    append(&bench, 4, 5, values);
    loaded(&bench, 1, 0, true);
    assert_int_equal(answers(&bench), 0);
    commit(&bench, values, 1);
    expect_events(&bench, 4, 4, false);
    ask(&bench, 4, 0, 500);
    (void)take_read(&bench);
    loaded(&bench, 1, 0, true);
    commit(&bench, values + 1, 1);
    expect_events(&bench, 5, 5, false);
    close(&bench);
}

/* The record with the events between cannot be read. */
static void a_gap_is_passed_over(void **state)
{
    (void)state;
    bench_t bench = open();
    append_durable(&bench, 5, 6);
    ask(&bench, 2, 0, 0);
    (void)take_read(&bench);
    loaded(&bench, 1, 0, true);
    expect_events(&bench, 5, 6, false);
    close(&bench);
}

static void what_cannot_be_asked(void **state)
{
    (void)state;
    bench_t bench = open();
    send_query(&bench, fabric_bytes("\x92\xc4\x01x\xc4\x01y", 7));
    expect_error(&bench, FABRIC_ERROR_MALFORMED_MESSAGE);
    ask_of(&bench, "Counter", "", 0, 0, 0);
    expect_error(&bench, FABRIC_ERROR_MALFORMED_MESSAGE);
    ask_of(&bench, "Unheard", "a", 0, 0, 0); /* nobody has registered any */
    expect_error(&bench, FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_worker(bench.driver, "w", 9);
    pass(&bench, bench.driver->config.registration_ms + 100);
    ask_of(&bench, "Unheard", "a", 0, 0, 0);
    expect_error(&bench, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    ask(&bench, UINT64_MAX, 0, 1000); /* no event has a larger sequence, ever */
    expect_none(&bench);
    expect_no_read(&bench);
    close(&bench);
}

/* Nothing is read, or kept in memory. */
static void a_type_that_appends_no_events_has_none(void **state)
{
    (void)state;
    bench_t bench = open_with(NULL);
    ask(&bench, 0, 0, 0);
    expect_none(&bench);
    expect_no_read(&bench);
    ask(&bench, 0, 0, 500); /* it may append some meanwhile */
    expect_no_read(&bench);
    assert_int_equal(answers(&bench), 0);
    pass(&bench, 510);
    expect_none(&bench);
    assert_int_equal(bench.driver->router->state_bytes, 0);
    close(&bench);
}

static void a_query_waits_until_its_time_is_over(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, 3, 0, 500);
    (void)take_read(&bench);
    loaded(&bench, 1, 0, true);
    pass(&bench, 480);
    assert_int_equal(answers(&bench), 0);
    expect_no_read(&bench);
    pass(&bench, 30);
    expect_none(&bench);
    close(&bench);
}

static void a_read_that_takes_too_long_is_an_error(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, 3, 0, 500);
    ask(&bench, 4, 0, 500);
    (void)take_read(&bench);
    pass(&bench, 11000);
    expect_error(&bench, FABRIC_ERROR_PERSISTENCE);
    expect_error(&bench, FABRIC_ERROR_PERSISTENCE);
    loaded(&bench, 4, 5, true); /* for nobody */
    assert_int_equal(answers(&bench), 0);
    ask(&bench, 3, 0, 0);
    (void)take_read(&bench);
    loaded(&bench, 4, 5, true);
    expect_events(&bench, 4, 5, false);
    close(&bench);
}

static void a_read_that_fails_is_an_error(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, 3, 0, 500);
    (void)take_read(&bench);
    router_reading_loaded(bench.driver->router, bench.lane, FABRIC_ERROR_SHUTTING_DOWN, NULL, 0,
                          false, bench.driver->now_ms);
    driver_pull(bench.driver);
    expect_error(&bench, FABRIC_ERROR_PERSISTENCE);
    close(&bench);
}

static void there_are_so_many_queries_at_most(void **state)
{
    (void)state;
    bench_t bench = open();
    for (int i = 0; i < QUERIES_MAX; i++) {
        ask(&bench, 3, 0, 500);
    }
    ask(&bench, 3, 0, 500);
    expect_error(&bench, FABRIC_ERROR_BUSY);
    (void)take_read(&bench);
    loaded(&bench, 4, 4, true);
    expect_events(&bench, 4, 4, false);
    ask(&bench, 3, 0, 500);
    assert_int_equal(answers(&bench), 0);
    close(&bench);
}

/* What memory has is told at once, to so many of one turn. */
static void answers_of_one_turn_are_bounded(void **state)
{
    (void)state;
    bench_t bench = open();
    append_durable(&bench, 1, 2);
    pass(&bench, 100);
    for (int i = 0; i < DOCUMENTS_PER_TICK; i++) {
        ask(&bench, 0, 0, 0);
    }
    for (int i = 0; i < DOCUMENTS_PER_TICK; i++) {
        expect_events(&bench, 1, 2, false);
    }
    ask(&bench, 0, 0, 0);
    expect_error(&bench, FABRIC_ERROR_BUSY);
    assert_int_equal(bench.driver->router->reader_count, 0);
    pass(&bench, 100);
    ask(&bench, 0, 0, 0);
    expect_events(&bench, 1, 2, false);
    close(&bench);
}

static void the_queries_of_a_client_that_is_gone_end(void **state)
{
    (void)state;
    bench_t bench = open();
    for (int i = 0; i < QUERIES_MAX; i++) {
        ask(&bench, 3, 0, 60000);
    }
    uint64_t silent_ms = 10 * (uint64_t)bench.driver->config.client_heartbeat_ms + 100;
    assert_in_range(silent_ms, 0, 50000); /* the queries are not over yet */
    driver_pass(bench.driver, silent_ms);
    assert_int_equal(bench.driver->router->reader_count, 0);
    close(&bench);
}

static void the_queries_of_a_lane_that_is_lost_go_elsewhere(void **state)
{
    (void)state;
    bench_t bench = open();
    ask(&bench, 3, 0, 60000);
    (void)take_read(&bench);
    loaded(&bench, 1, 0, true); /* the first one waits, */
    ask(&bench, 3, 0, 0);
    (void)take_read(&bench); /* the second one reads, */
    ask(&bench, 3, 0, 0);    /* and the third one wants to */
    driver_hold(bench.driver, bench.lane, 0);
    for (int i = 0; i < 3; i++) {
        expect_error(&bench, FABRIC_ERROR_NOT_HOME);
    }
    loaded(&bench, 4, 4, true); /* for nobody */
    assert_int_equal(answers(&bench), 0);
    ask(&bench, 3, 0, 0);
    expect_error(&bench, FABRIC_ERROR_NOT_HOME);
    close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_told_behind_the_sequence),
        cmocka_unit_test(a_limit_ends_an_answer),
        cmocka_unit_test(bytes_end_an_answer),
        cmocka_unit_test(queries_of_a_lane_are_read_for_one_by_one),
        cmocka_unit_test(what_memory_has_next_is_told_at_once),
        cmocka_unit_test(each_event_in_memory_is_found),
        cmocka_unit_test(rows_and_memory_are_joined),
        cmocka_unit_test(memory_keeps_what_a_read_may_miss),
        cmocka_unit_test(a_query_waits_until_an_event_is_durable),
        cmocka_unit_test(a_gap_is_passed_over),
        cmocka_unit_test(what_cannot_be_asked),
        cmocka_unit_test(a_type_that_appends_no_events_has_none),
        cmocka_unit_test(a_query_waits_until_its_time_is_over),
        cmocka_unit_test(a_read_that_takes_too_long_is_an_error),
        cmocka_unit_test(a_read_that_fails_is_an_error),
        cmocka_unit_test(there_are_so_many_queries_at_most),
        cmocka_unit_test(answers_of_one_turn_are_bounded),
        cmocka_unit_test(the_queries_of_a_client_that_is_gone_end),
        cmocka_unit_test(the_queries_of_a_lane_that_is_lost_go_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
