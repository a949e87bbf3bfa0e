/* A reader of an entity's events hears of what results append, when that is durable and not
 * before. */
#include "tests/unit/events_bench.h"

static void query_behind(bench_t *bench, uint64_t after)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 5);
    wire_put_bin(&argument, fabric_bytes_of("Counter"));
    wire_put_bin(&argument, fabric_bytes_of("a"));
    wire_put_uint(&argument, after);
    wire_put_uint(&argument, 0);
    wire_put_uint(&argument, 60000);
    message_query_t query = {100 + after, fabric_bytes_of("events"), wire_writer_bytes(&argument)};
    driver_send(bench->driver, "c", query, &query);
    wire_writer_destroy(&argument);
}

/* Asks for events behind the sequence, of which there is none in rows. */
static void follow(bench_t *bench, uint64_t after)
{
    router_reading_t read;
    query_behind(bench, after);
    assert_true(router_take_reading(bench->driver->router, bench->lane, &read));
    router_reading_loaded(bench->driver->router, bench->lane, FABRIC_OK, NULL, 0, true,
                          bench->driver->now_ms);
    driver_pull(bench->driver);
    driver_check(bench->driver);
}

/* The answer to the query behind `after` has so many events. */
static void expect_told(bench_t *bench, uint64_t after, uint32_t count)
{
    const message_answer_t *answer = &driver_take(bench->driver, "c", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->error, FABRIC_OK);
    assert_int_equal(answer->sequence, 100 + after);
    wire_reader_t reader = wire_reader(answer->document);
    assert_int_equal(wire_get_map(&reader), 2);
    (void)wire_get_str(&reader);
    assert_int_equal(wire_get_array(&reader), count);
    for (uint32_t i = 1; i <= count; i++) {
        assert_int_equal(wire_get_array(&reader), 6);
        assert_int_equal(wire_get_uint(&reader), after + i);
        assert_true(fabric_bytes_equal(wire_get_str(&reader), fabric_bytes_of("Paid")));
        assert_int_equal(wire_get_uint(&reader), 1);
        assert_true(wire_get_uint(&reader) > 0); /* a time */
        assert_true(wire_get_uint(&reader) > 0); /* the message's id */
        assert_true(
            fabric_bytes_equal(wire_get_bin(&reader), bytes_of((unsigned)(after + i) % 10)));
    }
}

static void a_reader_hears_of_events_that_are_durable(void **state)
{
    (void)state;
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    read_nothing(&bench);
    (void)given(&bench);
    follow(&bench, 0);
    append(&bench, driver_delivery(bench.driver, "w"), 1, 2, 0);
    assert_int_equal(driver_count(bench.driver, "c", KIND_ANSWER), 0);
    driver_commit(bench.driver);
    expect_told(&bench, 0, 2);
    query_behind(&bench, 1); /* within what one result has appended */
    expect_told(&bench, 1, 1);
    follow(&bench, 2);
    ask(&bench, REQUEST_DURABLE);
    append(&bench, driver_delivery(bench.driver, "w"), 3, 1, 0);
    driver_commit(bench.driver);
    expect_told(&bench, 2, 1);
    driver_close(&bench.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_hears_of_events_that_are_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
