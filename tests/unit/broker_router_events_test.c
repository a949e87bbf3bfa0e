/* Events at their home: what an activation begins with, which results count, and what checkpoints
 * and adoptions do with events. */
#include "tests/unit/events_bench.h"

#include "core/memory.h"

/* The instance ends with a defect, so that the next message begins another activation. */
static void restart(bench_t *bench)
{
    ask(bench, REQUEST_DURABLE);
    driver_result(bench->driver, "w", driver_delivery(bench->driver, "w"), STATUS_DEFECT,
                  FABRIC_ERROR_ENTITY_DEFECT);
    driver_commit(bench->driver);
    pass(bench, 2000);
}

/* ---- what an activation begins with ---- */

static void an_activation_begins_with_the_snapshot_and_the_events_behind_it(void **state)
{
    (void)state;
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    store_state_t row = row_of(3);
    row.sequence = 3;
    assert_true(read_states(&bench, &row));
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), 0);
    assert_int_equal(read_rows(&bench, 4, 6, true), 3);
    assert_string_equal(given(&bench), "snapshot 3: 4 5 6");
    append(&bench, driver_delivery(bench.driver, "w"), 7, 1, 0);
    driver_commit(bench.driver);
    assert_int_equal(driver_counters(bench.driver).events_appended, 1);
    assert_int_equal(driver_counters(bench.driver).results_refused, 0);
    driver_close(&bench.driver);
}

static void events_are_given_once(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    for (unsigned i = 0; i < 3; i++) {
        ask(&bench, REQUEST_DURABLE);
        assert_false(is_given(&bench));
        append(&bench, driver_delivery(bench.driver, "w"), 3 + i, 1, 0);
        driver_commit(bench.driver);
    }
    assert_int_equal(read_rows(&bench, 1, 0, true), -1);
    driver_close(&bench.driver);
}

static void a_history_is_read_in_parts(void **state)
{
    (void)state;
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    assert_int_equal(read_rows(&bench, 1, 5, false), 0);
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), 0);
    assert_int_equal(read_rows(&bench, 6, 8, true), 5);
    assert_string_equal(given(&bench), "none: 1 2 3 4 5 6 7 8");
    driver_close(&bench.driver);
}

/* Rows first, then what only memory has; some are in both. */
static void rows_are_joined_with_memory(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    ask(&bench, REQUEST_DURABLE);
    ask(&bench, REQUEST_DURABLE);
    append(&bench, driver_delivery(bench.driver, "w"), 3, 2, 0); /* not durable */
    driver_result(bench.driver, "w", driver_delivery(bench.driver, "w"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_STATE_MISSING);
    assert_int_equal(read_rows(&bench, 1, 1, true), 0);
    assert_string_equal(given(&bench), "none: 1 2 3 4");
    append(&bench, driver_delivery(bench.driver, "w"), 5, 1, 0);
    assert_int_equal(driver_counters(bench.driver).results_refused, 0);
    driver_close(&bench.driver);
}

/* The slice settles while rows are read that it is not among. */
static void what_settles_during_a_read_is_not_lost(void **state)
{
    (void)state;
    bench_t bench = open_appended(3);
    restart(&bench);
    router_events_t read;
    assert_true(router_take_events(bench.driver->router, bench.lane, &read));
    assert_int_equal(take_slice(&bench)->slice.event_count, 3);
    settle(&bench);
    router_events_loaded(bench.driver->router, bench.lane, FABRIC_OK, NULL, 0, 1,
                         bench.driver->now_ms);
    driver_pull(bench.driver);
    driver_check(bench.driver);
    assert_string_equal(given(&bench), "none: 1 2 3");
    answer(&bench, driver_delivery(bench.driver, "w"));
    driver_commit(bench.driver);
    restart(&bench); /* which the second read sees */
    assert_int_equal(read_rows(&bench, 1, 3, true), 0);
    driver_close(&bench.driver);
}

/* ---- snapshots ---- */

static void a_snapshot_counts_from_its_result_on(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    ask(&bench, REQUEST_DURABLE);
    append(&bench, driver_delivery(bench.driver, "w"), 3, 2, 4);
    ask(&bench, REQUEST_DURABLE);
    append(&bench, driver_delivery(bench.driver, "w"), 5, 1, 0);
    restart(&bench);
    assert_int_equal(read_rows(&bench, 1, 0, true), 4);
    assert_string_equal(given(&bench), "snapshot 4: 5");
    driver_close(&bench.driver);
}

static void a_snapshot_may_come_alone(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    ask(&bench, REQUEST_DURABLE);
    append(&bench, driver_delivery(bench.driver, "w"), 0, 0, 2);
    driver_commit(bench.driver);
    restart(&bench);
    assert_int_equal(read_rows(&bench, 1, 0, true), 2);
    assert_string_equal(given(&bench), "snapshot 2:");
    append(&bench, driver_delivery(bench.driver, "w"), 3, 1, 0);
    assert_int_equal(driver_counters(bench.driver).results_refused, 0);
    driver_close(&bench.driver);
}

static void a_worker_that_cannot_read_the_snapshot_gets_all_events(void **state)
{
    (void)state;
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    store_state_t row = row_of(3);
    row.sequence = 3;
    assert_true(read_states(&bench, &row));
    assert_int_equal(read_rows(&bench, 4, 5, true), 3);
    assert_string_equal(given(&bench), "snapshot 3: 4 5");
    driver_result(bench.driver, "w", driver_delivery(bench.driver, "w"), STATUS_NOT_TAKEN,
                  FABRIC_ERROR_SNAPSHOT_UNREADABLE);
    assert_int_equal(read_rows(&bench, 1, 5, true), 0);
    assert_string_equal(given(&bench), "none: 1 2 3 4 5");
    const message_deliver_t *again = driver_delivery(bench.driver, "w");
    assert_int_equal(again->attempt, 1);
    append(&bench, again, 6, 1, 6); /* its own snapshot it can read */
    restart(&bench);
    assert_int_equal(read_rows(&bench, 1, 0, true), 6);
    assert_string_equal(given(&bench), "snapshot 6:");
    driver_close(&bench.driver);
}

/* Makes room: what rows have and nobody needs is forgotten. */
static void trim(bench_t *bench, shard_id_t shard)
{
    const state_value_t *value;
    router_states_t read;
    assert_false(persisted_look(bench->driver->router, shard, fabric_bytes_of("Counter"),
                                fabric_bytes_of("another"), &value));
    assert_true(router_take_states(bench->driver->router, bench->lane, &read));
    router_states_loaded(bench->driver->router, bench->lane, FABRIC_OK, NULL, 0, 1,
                         bench->driver->now_ms);
    driver_check(bench->driver);
}

/* It waits for its turn, and memory makes room meanwhile. */
static void it_gets_them_also_where_memory_is_short(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.state_bytes_free = 0;
    bench_t bench = open_events(&config);
    ask(&bench, REQUEST_DURABLE);
    store_state_t row = row_of(3);
    row.sequence = 3;
    for (unsigned i = 0; i < 2; i++) { /* the second refusal makes a pause */
        assert_true(read_states(&bench, &row));
        assert_int_equal(read_rows(&bench, 4, 5, true), 3);
        assert_string_equal(given(&bench), "snapshot 3: 4 5");
        const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
        shard_id_t shard = {(uint32_t)delivery->shard};
        driver_result(bench.driver, "w", delivery, STATUS_NOT_TAKEN,
                      i > 0 ? FABRIC_ERROR_SNAPSHOT_UNREADABLE : FABRIC_ERROR_NOT_BUILT);
        trim(&bench, shard);
        pass(&bench, 2000);
    }
    assert_int_equal(read_rows(&bench, 1, 5, true), 0);
    assert_string_equal(given(&bench), "none: 1 2 3 4 5");
    append(&bench, driver_delivery(bench.driver, "w"), 6, 1, 0);
    driver_commit(bench.driver);
    assert_int_equal(driver_counters(bench.driver).results_refused, 0);
    driver_close(&bench.driver);
}

/* ---- results that do not count ---- */

/* It comes back, and its activation is over. */
static void expect_refused(bench_t *bench, const message_deliver_t *delivery, const char *begin)
{
    uint64_t id = delivery->request_id;
    assert_int_equal(driver_counters(bench->driver).results_refused, 1);
    pass(bench, 2000);
    assert_int_equal(read_rows(bench, 1, 0, true), 0);
    assert_string_equal(given(bench), begin);
    assert_int_equal(driver_delivery(bench->driver, "w")->request_id, id);
    driver_close(&bench->driver);
}

static void events_that_are_not_the_next_ones_are_refused(void **state)
{
    (void)state;
    static const unsigned wrong[] = {1, 2, 4, 100};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bench_t bench = open_appended(2);
        ask(&bench, REQUEST_DURABLE);
        const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
        append(&bench, delivery, wrong[i], 1, 0);
        expect_refused(&bench, delivery, "none: 1 2");
    }
}

static void a_snapshot_alone_is_of_the_last_event(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    ask(&bench, REQUEST_DURABLE);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    append(&bench, delivery, 0, 0, 1);
    expect_refused(&bench, delivery, "none: 1 2");
}

/* The message ends with a defect, and the events do not count. */
static void expect_defect(bench_t *bench, uint64_t flags, void (*result)(message_result_events_t *))
{
    wire_writer_t array = {0};
    wire_put_array(&array, 1);
    journal_events_put(&array, fabric_bytes_of("Paid"), 1, bytes_of(3));
    if (flags & REQUEST_DURABLE) {
        ask(bench, flags);
    } else {
        driver_ask(bench->driver, "c", bench->next++, "a", flags);
    }
    const message_deliver_t *delivery = driver_delivery(bench->driver, "w");
    message_result_events_t with = {.shard = delivery->shard,
                                    .home_epoch = delivery->home_epoch,
                                    .owner_sequence = delivery->owner_sequence,
                                    .activation = delivery->activation,
                                    .request_id = delivery->request_id,
                                    .payload = fabric_bytes("\x92\xa1x\x01", 4),
                                    .first = 3,
                                    .events = wire_writer_bytes(&array)};
    if (result) {
        result(&with);
    }
    driver_send(bench->driver, "w", result_events, &with);
    driver_check(bench->driver);
    driver_commit(bench->driver);
    const message_reply_t *reply = &driver_take(bench->driver, "c", KIND_REPLY)->as.reply;
    while (reply->sequence != bench->next - 1) {
        reply = &driver_take(bench->driver, "c", KIND_REPLY)->as.reply;
    }
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(driver_counters(bench->driver).events_appended, 2);
    ask(bench, REQUEST_DURABLE);
    assert_int_equal(read_rows(bench, 1, 0, true), 0);
    assert_string_equal(given(bench), "none: 1 2");
    driver_close(&bench->driver);
    wire_writer_destroy(&array);
}

static void fail_with(message_result_events_t *result)
{
    result->status = STATUS_FAILURE;
    result->error = FABRIC_ERROR_ENTITY_FAILURE;
    result->payload = fabric_bytes_of("no");
}

/* An event with a string. */
static void not_by_its_schema(message_result_events_t *result)
{
    result->events = fabric_bytes("\x91\x93\xa4Paid\x01\xc4\x02\x91\xa0", 12);
}

static void snapshot_of_another(message_result_events_t *result)
{
    result->version = 1;
    result->state = bytes_of(1);
    result->sequence = 2;
}

static void snapshot_not_by_its_schema(message_result_events_t *result)
{
    result->version = 1;
    result->state = fabric_bytes("\x91\xa0", 2);
    result->sequence = 3;
}

static void without_anything(message_result_events_t *result)
{
    result->first = 0;
    result->events = fabric_bytes("\x90", 1);
}

static void that_cannot_be_read(message_result_events_t *result)
{
    result->events = fabric_bytes("\x92\x93", 2);
}

static void events_with_what_is_no_reply_make_a_defect(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    expect_defect(&bench, 0, NULL); /* a volatile message */
    bench = open_appended(2);
    expect_defect(&bench, REQUEST_DURABLE, fail_with);
}

static void events_that_break_their_rules_make_a_defect(void **state)
{
    (void)state;
    void (*const wrong[])(message_result_events_t *) = {not_by_its_schema, snapshot_of_another,
                                                        snapshot_not_by_its_schema,
                                                        without_anything, that_cannot_be_read};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bench_t bench = open_appended(2);
        expect_defect(&bench, REQUEST_DURABLE, wrong[i]);
    }
}

/* A type either persists its state as it is, or appends events. */
static void a_type_keeps_to_its_word(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    ask(&bench, REQUEST_DURABLE);
    change(&bench, driver_delivery(bench.driver, "w"), 5);
    driver_commit(bench.driver);
    assert_int_equal(driver_counters(bench.driver).states_changed, 0);
    assert_int_equal(driver_counters(bench.driver).dead_letters, 1);
    driver_close(&bench.driver);
    bench = open_changed(5);
    ask(&bench, REQUEST_DURABLE);
    append(&bench, driver_delivery(bench.driver, "w"), 1, 1, 0);
    driver_commit(bench.driver);
    assert_int_equal(driver_counters(bench.driver).events_appended, 0);
    assert_int_equal(driver_counters(bench.driver).dead_letters, 1);
    driver_close(&bench.driver);
}

/* ---- gaps ---- */

static void an_entity_with_a_gap_is_not_built(void **state)
{
    (void)state;
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    assert_int_equal(read_rows(&bench, 2, 4, true), 0);
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), 0);
    assert_int_equal(driver_counters(bench.driver).histories_broken, 1);
    assert_int_equal(read_rows(&bench, 1, 0, true), -1); /* it waits */
    pass(&bench, 2000);
    assert_int_equal(read_rows(&bench, 1, 4, true), 0); /* somebody has repaired it */
    assert_string_equal(given(&bench), "none: 1 2 3 4");
    driver_close(&bench.driver);
}

/* ---- checkpoints, clears and adoptions ---- */

static void a_checkpoint_writes_events_before_their_snapshot(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    const router_slice_t *slice = take_slice(&bench);
    assert_int_equal(slice->slice.event_count, 2);
    const store_event_t *row = &slice->slice.events[1];
    assert_true(row->sequence == 2 && row->number == bench.driver->entries[bench.lane]);
    assert_true(fabric_bytes_equal(row->type, fabric_bytes_of("Counter")));
    assert_true(fabric_bytes_equal(row->entity, fabric_bytes_of("a")));
    assert_true(fabric_bytes_equal(row->tag, fabric_bytes_of("Paid")));
    assert_true(fabric_bytes_equal(row->payload, bytes_of(2)));
    assert_true(row->version == 1 && row->id.value > 0 && row->recorded_ms > 0);
    ask(&bench, REQUEST_DURABLE); /* while the slice is written */
    append(&bench, driver_delivery(bench.driver, "w"), 3, 2, 4);
    driver_commit(bench.driver);
    settle(&bench);
    slice = take_slice(&bench);
    assert_int_equal(slice->slice.event_count, 2);
    assert_int_equal(slice->slice.events[0].sequence, 3);
    assert_int_equal(slice->slice.state_count, 1);
    assert_int_equal(slice->slice.states[0].sequence, 4);
    settle(&bench);
    assert_null(persisted_events(bench.driver->router, (shard_id_t){row->shard.value},
                                 fabric_bytes_of("Counter"), fabric_bytes_of("a")));
    driver_close(&bench.driver);
}

/* Slices of two rows each take so many events and their snapshot. While each of the first ones is
 * written, another event comes, with a snapshot. Each snapshot is written behind all events that it
 * contains, also those that came after the checkpoint began. */
static void write_in_order(unsigned count)
{
    router_config_t config;
    driver_config(&config);
    config.slice_rows_max = 2;
    bench_t bench = open_events(&config);
    ask(&bench, REQUEST_DURABLE);
    read_nothing(&bench);
    append(&bench, driver_delivery(bench.driver, "w"), 1, count, count);
    driver_commit(bench.driver);
    uint64_t next = 1;
    unsigned more = 3;
    size_t states = 0;
    for (bool last = false; !last;) {
        const router_slice_t *slice = take_slice(&bench);
        last = slice->slice.last;
        for (size_t i = 0; i < slice->slice.event_count; i++) {
            assert_int_equal(slice->slice.events[i].sequence, next++);
        }
        if (slice->slice.state_count > 0) {
            assert_int_equal(slice->slice.states[0].sequence, next - 1);
            states++;
        }
        if (!last && more > 0) {
            more--;
            count++;
            ask(&bench, REQUEST_DURABLE);
            append(&bench, driver_delivery(bench.driver, "w"), count, 1, count);
            driver_commit(bench.driver);
        }
        settle(&bench);
    }
    assert_int_equal(next, count + 1);
    assert_int_equal(states, 1);
    driver_close(&bench.driver);
}

static void slices_take_events_in_order(void **state)
{
    (void)state;
    for (unsigned count = 2; count < 6; count++) {
        write_in_order(count);
    }
}

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

static void a_clear_ends_events_that_are_not_durable(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    ask(&bench, REQUEST_DURABLE);
    send_clear(&bench);
    assert_non_null(driver_take_batch(bench.driver, bench.lane));
    append(&bench, driver_delivery(bench.driver, "w"), 3, 2, 4);
    driver_batch_done(bench.driver, bench.lane);
    driver_check(bench.driver);
    driver_commit(bench.driver);
    ask(&bench, REQUEST_DURABLE);
    assert_int_equal(read_rows(&bench, 1, 0, true), 0);
    assert_string_equal(given(&bench), "none: 1 2");
    append(&bench, driver_delivery(bench.driver, "w"), 3, 1, 0);
    assert_int_equal(driver_counters(bench.driver).results_refused, 0);
    driver_commit(bench.driver);
    driver_close(&bench.driver);
}

static void adopted_events_are_given_and_written(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    uint64_t epoch = DRIVER_EPOCH + 1;
    driver_hold(bench.driver, bench.lane, 0);
    while (router_go_on(bench.driver->router, bench.driver->now_ms)) {
    }
    driver_hold(bench.driver, bench.lane, epoch);
    adoption_t adoption = {.hold = {bench.lane, bench.driver->config.incarnation, epoch},
                           .number = ++bench.driver->entries[bench.lane],
                           .events = memory_allocate(8 * sizeof(events_value_t *))};
    adoption.event_count = make_rows(adoption.events, 4, 5);
    router_adopted(bench.driver->router, &adoption, bench.driver->now_ms);
    driver_pull(bench.driver);
    driver_desire(bench.driver, 9);
    driver_forget(bench.driver);
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    assert_int_equal(read_rows(&bench, 1, 3, true), 0);
    assert_string_equal(given(&bench), "none: 1 2 3 4 5");
    const router_slice_t *slice = take_slice(&bench);
    assert_int_equal(slice->slice.event_count, 2);
    settle(&bench);
    driver_close(&bench.driver);
}

/* Nobody asks for the entity: its record goes with its rows. */
static void what_was_adopted_is_forgotten_with_its_rows(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    uint64_t epoch = DRIVER_EPOCH + 1;
    driver_hold(bench.driver, bench.lane, 0);
    while (router_go_on(bench.driver->router, bench.driver->now_ms)) {
    }
    driver_check(bench.driver);
    driver_hold(bench.driver, bench.lane, epoch);
    adoption_t adoption = {.hold = {bench.lane, bench.driver->config.incarnation, epoch},
                           .number = ++bench.driver->entries[bench.lane],
                           .tail_bytes = 100,
                           .events = memory_allocate(8 * sizeof(events_value_t *))};
    adoption.event_count = make_rows(adoption.events, 4, 5);
    router_adopted(bench.driver->router, &adoption, bench.driver->now_ms);
    driver_pull(bench.driver);
    assert_true(bench.driver->router->state_bytes > 0);
    assert_int_equal(take_slice(&bench)->slice.event_count, 2);
    settle(&bench);
    assert_int_equal(bench.driver->router->state_bytes, 0);
    driver_close(&bench.driver);
}

/* The lane is dropped while events are appended, written and read. */
static void a_dropped_lane_takes_its_events_along(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    restart(&bench);
    router_events_t read;
    assert_true(router_take_events(bench.driver->router, bench.lane, &read));
    const router_slice_t *slice = take_slice(&bench);
    assert_int_equal(slice->slice.event_count, 2);
    driver_hold(bench.driver, bench.lane, 0);
    while (router_go_on(bench.driver->router, bench.driver->now_ms)) {
    }
    driver_check(bench.driver);
    assert_int_equal(bench.driver->router->state_bytes, 0);
    assert_true(fabric_bytes_equal(slice->slice.events[0].payload, bytes_of(1)));
    assert_true(fabric_bytes_equal(read.histories[0].name.entity, fabric_bytes_of("a")));
    settle(&bench);
    events_value_t *values[8];
    size_t count = make_rows(values, 1, 2);
    router_events_loaded(bench.driver->router, bench.lane, FABRIC_OK, values, count, 1,
                         bench.driver->now_ms);
    driver_check(bench.driver);
    driver_close(&bench.driver);
}

/* Without room everything is forgotten that may be, and nothing else. */
static void what_is_in_flight_is_not_forgotten(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.state_bytes_free = 0;
    bench_t bench = open_events(&config);
    ask(&bench, REQUEST_DURABLE);
    read_nothing(&bench);
    assert_string_equal(given(&bench), "none:");
    append(&bench, driver_delivery(bench.driver, "w"), 1, 1, 0);
    driver_commit(bench.driver);
    ask(&bench, REQUEST_DURABLE);
    const router_slice_t *slice = take_slice(&bench);
    shard_id_t shard = slice->slice.events[0].shard;
    settle(&bench);
    const state_value_t *value;
    router_states_t read;
    assert_false(persisted_look(bench.driver->router, shard, fabric_bytes_of("Counter"),
                                fabric_bytes_of("another"), &value));
    assert_true(router_take_states(bench.driver->router, bench.lane, &read));
    router_states_loaded(bench.driver->router, bench.lane, FABRIC_OK, NULL, 0, 1,
                         bench.driver->now_ms);
    driver_check(bench.driver);
    append(&bench, driver_delivery(bench.driver, "w"), 2, 1, 0);
    driver_commit(bench.driver);
    assert_int_equal(driver_counters(bench.driver).results_refused, 0);
    driver_close(&bench.driver);
}

/* For those who read histories. */
static void events_that_somebody_reads_stay_in_memory(void **state)
{
    (void)state;
    bench_t bench = open_appended(2);
    router_t *router = bench.driver->router;
    fabric_bytes_t type = fabric_bytes_of("Counter");
    fabric_bytes_t id = fabric_bytes_of("a");
    const router_slice_t *slice = take_slice(&bench);
    shard_id_t shard = slice->slice.events[0].shard;
    persisted_events_hold(router, shard, type, id);
    settle(&bench);
    ask(&bench, REQUEST_DURABLE);
    append(&bench, driver_delivery(bench.driver, "w"), 3, 1, 0);
    const events_value_t *value = persisted_events(router, shard, type, id);
    assert_true(value->events.first == 1 && value->number > 0);
    assert_true(value->next->events.first == 3 && value->next->number == 0);
    persisted_events_release(router, shard, type, id);
    value = persisted_events(router, shard, type, id);
    assert_true(value->events.first == 3 && !value->next);
    driver_check(bench.driver);
    driver_close(&bench.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_activation_begins_with_the_snapshot_and_the_events_behind_it),
        cmocka_unit_test(events_are_given_once),
        cmocka_unit_test(a_history_is_read_in_parts),
        cmocka_unit_test(rows_are_joined_with_memory),
        cmocka_unit_test(what_settles_during_a_read_is_not_lost),
        cmocka_unit_test(a_snapshot_counts_from_its_result_on),
        cmocka_unit_test(a_snapshot_may_come_alone),
        cmocka_unit_test(a_worker_that_cannot_read_the_snapshot_gets_all_events),
        cmocka_unit_test(it_gets_them_also_where_memory_is_short),
        cmocka_unit_test(events_that_are_not_the_next_ones_are_refused),
        cmocka_unit_test(a_snapshot_alone_is_of_the_last_event),
        cmocka_unit_test(events_with_what_is_no_reply_make_a_defect),
        cmocka_unit_test(events_that_break_their_rules_make_a_defect),
        cmocka_unit_test(a_type_keeps_to_its_word),
        cmocka_unit_test(an_entity_with_a_gap_is_not_built),
        cmocka_unit_test(a_checkpoint_writes_events_before_their_snapshot),
        cmocka_unit_test(slices_take_events_in_order),
        cmocka_unit_test(a_clear_ends_events_that_are_not_durable),
        cmocka_unit_test(adopted_events_are_given_and_written),
        cmocka_unit_test(what_was_adopted_is_forgotten_with_its_rows),
        cmocka_unit_test(a_dropped_lane_takes_its_events_along),
        cmocka_unit_test(what_is_in_flight_is_not_forgotten),
        cmocka_unit_test(events_that_somebody_reads_stay_in_memory),
    };
    return cmocka_run_group_tests_name("broker_router_events", tests, NULL, NULL);
}
