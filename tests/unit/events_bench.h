/* What the tests of events at their home share: the bench of persisted states, whose type appends
 * events with one small number, and makes snapshots. */
#ifndef TESTS_UNIT_EVENTS_BENCH_H
#define TESTS_UNIT_EVENTS_BENCH_H

#include "tests/unit/persisted_bench.h"

#include <stdio.h>
#include <string.h>

static inline bench_t open_events(const router_config_t *config)
{
    bench_t bench = {.next = 1};
    driver_told = (driver_told_t){.mailbox_capacity = 4096,
                                  .concurrency = 1,
                                  .state = (fabric_schema_t *)&sum_schema,
                                  .event = (fabric_schema_t *)&sum_schema};
    bench.driver = driver_new(config);
    driver_homes(bench.driver, NULL);
    driver_told = DRIVER_TOLD_USUALLY;
    driver_client(bench.driver, "c", 1);
    driver_worker(bench.driver, "w", 9);
    return bench;
}

static inline bench_t open_events_usually(void)
{
    router_config_t config;
    driver_config(&config);
    return open_events(&config);
}

static inline const router_slice_t *take_slice(bench_t *bench)
{
    driver_pass_alive(bench->driver, bench->driver->config.checkpoint_ms,
                      (const char *const[]){"w", "c", NULL});
    const router_slice_t *slice =
        router_take_slice(bench->driver->router, bench->lane, bench->driver->now_ms);
    assert_non_null(slice);
    driver_check(bench->driver);
    return slice;
}

static inline void settle(bench_t *bench)
{
    router_slice_done(bench->driver->router, bench->lane, FABRIC_OK, bench->driver->now_ms);
    driver_check(bench->driver);
}

static inline void pass(bench_t *bench, uint64_t ms)
{
    driver_pass_alive(bench->driver, ms, (const char *const[]){"w", "c", NULL});
}

/* Values of the entity, each with one event: `first` to `last` are the numbers that they say, and
 * their sequences. */
static inline size_t make_rows(events_value_t **values, unsigned first, unsigned last)
{
    events_collector_t collector = {0};
    for (unsigned i = first; i <= last; i++) {
        store_event_t event = {.type = fabric_bytes_of("Counter"),
                               .entity = fabric_bytes_of("a"),
                               .sequence = i,
                               .number = 1,
                               .id = {i},
                               .tag = fabric_bytes_of("Paid"),
                               .version = 1,
                               .payload = bytes_of(i % 10)};
        events_collect(&collector, &event);
    }
    events_collected(&collector);
    memcpy((void *)values, (const void *)collector.values,
           collector.count * sizeof(events_value_t *));
    free((void *)collector.values);
    return collector.count;
}

/* Answers what the router wants to read of events: rows from `first` to `last` (none: 1, 0), behind
 * which the history ends, or goes on. Returns the sequence behind which it reads; -1: nothing. */
static inline int64_t read_rows(bench_t *bench, unsigned first, unsigned last, bool ends)
{
    router_events_t read;
    events_value_t *values[64];
    for (uint32_t i = 0; i < bench->driver->config.lanes; i++) {
        if (router_take_events(bench->driver->router, i, &read)) {
            assert_int_equal(read.count, 1);
            assert_true(
                fabric_bytes_equal(read.histories[0].name.type, fabric_bytes_of("Counter")));
            assert_true(fabric_bytes_equal(read.histories[0].name.entity, fabric_bytes_of("a")));
            int64_t after = (int64_t)read.histories[0].after;
            size_t count = first <= last ? make_rows(values, first, last) : 0;
            bench->lane = i;
            router_events_loaded(bench->driver->router, i, FABRIC_OK, values, count, ends,
                                 bench->driver->now_ms);
            driver_pull(bench->driver);
            driver_check(bench->driver);
            return after;
        }
    }
    return -1;
}

/* Nothing is stored of the entity. */
static inline void read_nothing(bench_t *bench)
{
    assert_true(read_states(bench, NULL));
    assert_int_equal(read_rows(bench, 1, 0, true), 0);
}

/* What a worker was told before a delivery: "snapshot 3: 4 5 6", or "none: 1 2". */
static inline const char *given_to(bench_t *bench, const char *worker)
{
    static char text[400];
    assert_int_equal(driver_count(bench->driver, worker, KIND_ENTITY_STATE), 1);
    const message_entity_state_t *given =
        &driver_take(bench->driver, worker, KIND_ENTITY_STATE)->as.entity_state;
    uint64_t activation = given->activation;
    uint64_t next = given->sequence + 1;
    int size = given->state.size > 0
                   ? snprintf(text, sizeof text, "snapshot %u:", (unsigned)given->sequence)
                   : snprintf(text, sizeof text, "none:");
    bool more = true;
    while (more) {
        assert_true(driver_count(bench->driver, worker, KIND_ENTITY_EVENTS) > 0);
        const message_entity_events_t *part =
            &driver_take(bench->driver, worker, KIND_ENTITY_EVENTS)->as.entity_events;
        journal_events_t events;
        assert_int_equal(part->activation, activation);
        assert_int_equal(part->first, next);
        assert_int_equal(journal_events_read(part->events, part->first, &events), FABRIC_OK);
        store_event_t event;
        journal_events_reader_t reader = journal_events_open(&events);
        while (journal_events_next(&reader, &event)) {
            assert_true(fabric_bytes_equal(event.payload, bytes_of((unsigned)event.sequence % 10)));
            assert_true(fabric_bytes_equal(event.tag, fabric_bytes_of("Paid")));
            size +=
                snprintf(text + size, sizeof text - (size_t)size, " %u", (unsigned)event.sequence);
            next++;
        }
        more = part->more;
    }
    assert_int_equal(driver_count(bench->driver, worker, KIND_ENTITY_EVENTS), 0);
    return text;
}

static inline const char *given(bench_t *bench)
{
    return given_to(bench, "w");
}

/* The worker answers a delivery: it has appended so many events from `first` on, and may bring a
 * snapshot with those up to `snapshot` (0: none). */
static inline void append(bench_t *bench, const message_deliver_t *delivery, unsigned first,
                          unsigned count, unsigned snapshot)
{
    wire_writer_t array = {0};
    wire_put_array(&array, count);
    for (unsigned i = 0; i < count; i++) {
        journal_events_put(&array, fabric_bytes_of("Paid"), 1, bytes_of((first + i) % 10));
    }
    message_result_events_t result = {.shard = delivery->shard,
                                      .home_epoch = delivery->home_epoch,
                                      .owner_sequence = delivery->owner_sequence,
                                      .activation = delivery->activation,
                                      .request_id = delivery->request_id,
                                      .payload = fabric_bytes("\x92\xa1x\x01", 4),
                                      .first = count > 0 ? first : 0,
                                      .events = wire_writer_bytes(&array),
                                      .version = snapshot > 0,
                                      .state = snapshot > 0 ? bytes_of(snapshot % 10)
                                                            : (fabric_bytes_t){NULL, 0},
                                      .sequence = snapshot};
    driver_send(bench->driver, "w", result_events, &result);
    driver_check(bench->driver);
    wire_writer_destroy(&array);
}

/* Begins without anything, and appends so many. They are durable. */
static inline bench_t open_appended(unsigned count)
{
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    read_nothing(&bench);
    assert_string_equal(given(&bench), "none:");
    append(&bench, driver_delivery(bench.driver, "w"), 1, count, 0);
    driver_commit(bench.driver);
    return bench;
}

#endif
