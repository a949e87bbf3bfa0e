/* Large histories at their home, those of several entities, and of entities that are kept alive. */
#include "tests/unit/events_bench.h"

#include "core/address.h"

/* ---- large ones ---- */

/* Answers what is wanted with events of these sequences and so many bytes each, behind which the
 * history ends, or goes on. */
static void read_large(bench_t *bench, unsigned first, unsigned last, size_t size, bool ends)
{
    static uint8_t large[1 << 20];
    router_events_t read;
    assert_true(router_take_events(bench->driver->router, bench->lane, &read));
    assert_int_equal(read.histories[0].after, first - 1);
    events_collector_t collector = {0};
    for (unsigned i = first; i <= last; i++) {
        store_event_t event = {.type = fabric_bytes_of("Counter"),
                               .entity = fabric_bytes_of("a"),
                               .sequence = i,
                               .tag = fabric_bytes_of("Paid"),
                               .version = 1,
                               .payload = fabric_bytes(large, size)};
        events_collect(&collector, &event);
    }
    events_collected(&collector);
    router_events_loaded(bench->driver->router, bench->lane, FABRIC_OK, collector.values,
                         collector.count, ends, bench->driver->now_ms);
    free((void *)collector.values);
    driver_pull(bench->driver);
}

static void large_histories_are_told_in_parts(void **state)
{
    (void)state;
    enum { EVENTS = 20, BYTES = 20000 };
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    read_large(&bench, 1, EVENTS, BYTES, true);
    uint64_t next = 1;
    unsigned parts = 0;
    for (bool more = true; more; parts++) {
        const message_entity_events_t *part =
            &driver_take(bench.driver, "w", KIND_ENTITY_EVENTS)->as.entity_events;
        journal_events_t events;
        assert_int_equal(part->first, next);
        assert_int_equal(journal_events_read(part->events, next, &events), FABRIC_OK);
        assert_true(events.count > 0 && part->events.size < 80000);
        next += events.count;
        more = part->more;
    }
    assert_int_equal(next, EVENTS + 1);
    assert_true(parts >= 5);
    (void)driver_delivery(bench.driver, "w");
    driver_check(bench.driver);
    driver_close(&bench.driver);
}

/* So much at once would be more than may be queued for a peer. */
static void a_history_that_is_too_large_is_not_given(void **state)
{
    (void)state;
    enum { MIB = 1 << 20, EVENTS = 32 };
    bench_t bench = open_events_usually();
    message_query_t query = {.sequence = 7, .name = fabric_bytes_of("waits")};
    driver_send(bench.driver, "c", query, &query);
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    read_large(&bench, 1, 20, MIB, false);
    uint64_t held = bench.driver->router->state_bytes;
    assert_true(held > 20 * MIB);
    read_large(&bench, 21, EVENTS, MIB, false); /* it is not read on */
    assert_int_equal(driver_count(bench.driver, "w", KIND_ENTITY_EVENTS), 0);
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), 0);
    assert_true(bench.driver->router->state_bytes < MIB);
    const message_answer_t *answer = &driver_take(bench.driver, "c", KIND_ANSWER)->as.answer;
    assert_int_equal(answer->error, FABRIC_ERROR_NOT_BUILT);
    static const char begin[] = "the entity has 33554";
    assert_memory_equal(answer->text.data, begin, sizeof begin - 1);
    assert_int_equal(driver_counters(bench.driver).histories_broken, 0);
    assert_int_equal(read_rows(&bench, 1, 0, true), -1); /* it waits */
    pass(&bench, 2000);
    read_large(&bench, 1, EVENTS - 1, MIB, true); /* somebody has made place */
    assert_int_equal(driver_count(bench.driver, "w", KIND_ENTITY_STATE), 1);
    assert_true(driver_count(bench.driver, "w", KIND_ENTITY_EVENTS) > 0);
    (void)driver_delivery(bench.driver, "w");
    driver_close(&bench.driver);
}

/* ---- several ---- */

/* Messages of the entity have appended these events, one each, which are durable. */
static void append_to(bench_t *bench, shard_id_t shard, const char *id, unsigned first,
                      unsigned last)
{
    router_t *router = bench->driver->router;
    fabric_bytes_t type = fabric_bytes_of("Counter");
    persisted_events_hold(router, shard, type, fabric_bytes_of(id));
    for (unsigned i = first; i <= last; i++) {
        wire_writer_t list = {0};
        journal_events_put(&list, fabric_bytes_of("Paid"), 1, bytes_of(i % 10));
        journal_events_t events = {
            .first = i, .count = 1, .recorded_ms = 1, .list = wire_writer_bytes(&list)};
        store_event_t event = {
            .type = type, .entity = fabric_bytes_of(id), .shard = shard, .id = {i}};
        events_value_t *value = persisted_append(router, &event, &events);
        persisted_commit_events(router, &value, bench->driver->entries[bench->lane]);
        wire_writer_destroy(&list);
    }
    persisted_events_release(router, shard, type, fabric_bytes_of(id));
}

static bool has_events(bench_t *bench, shard_id_t shard, const char *id)
{
    return persisted_events(bench->driver->router, shard, fabric_bytes_of("Counter"),
                            fabric_bytes_of(id));
}

/* Slices of four rows: what a settled slice has of an entity leaves memory, and nothing else. */
static void each_entity_of_a_slice_settles(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.slice_rows_max = 4;
    bench_t bench = open_events(&config);
    ask(&bench, REQUEST_DURABLE);
    read_nothing(&bench);
    const message_deliver_t *delivery = driver_delivery(bench.driver, "w");
    shard_id_t shard = {(uint32_t)delivery->shard};
    append(&bench, delivery, 1, 1, 0);
    driver_commit(bench.driver);
    append_to(&bench, shard, "b", 1, 2);
    append_to(&bench, shard, "d", 1, 3);
    assert_int_equal(take_slice(&bench)->slice.event_count, 4);
    append_to(&bench, shard, "b", 3, 3); /* for the next checkpoint */
    settle(&bench);
    assert_false(has_events(&bench, shard, "a"));
    const events_value_t *value = persisted_events(
        bench.driver->router, shard, fabric_bytes_of("Counter"), fabric_bytes_of("b"));
    assert_true(value && value->events.first == 3 && !value->next);
    value = persisted_events(bench.driver->router, shard, fabric_bytes_of("Counter"),
                             fabric_bytes_of("d"));
    assert_true(value && value->events.first == 2);
    const router_slice_t *slice = take_slice(&bench);
    assert_int_equal(slice->slice.event_count, 2);
    assert_true(slice->slice.last);
    settle(&bench);
    assert_false(has_events(&bench, shard, "d"));
    assert_true(has_events(&bench, shard, "b"));
    driver_close(&bench.driver);
}

/* ---- entities that are kept alive ---- */

/* The worker says that the entity is kept alive, whose token is that of the delivery. */
static void keep(bench_t *bench, const message_deliver_t *delivery, const char *id, uint64_t absent,
                 uint64_t activation)
{
    message_alive_t alive = {.shard = delivery->shard,
                             .home_epoch = delivery->home_epoch,
                             .owner_sequence = delivery->owner_sequence,
                             .activation = activation,
                             .causes = ALIVE_BY_HANDLER,
                             .absent = absent,
                             .type = fabric_bytes_of("Counter"),
                             .id = fabric_bytes_of(id)};
    driver_send(bench->driver, "w", alive, &alive);
    driver_check(bench->driver);
}

/* The owner is asked for the instance, and cannot make it. */
static void refuse(bench_t *bench, const message_deliver_t *delivery)
{
    assert_int_equal(driver_count(bench->driver, "w", KIND_ALIVE), 1);
    const message_alive_t *wish = &driver_take(bench->driver, "w", KIND_ALIVE)->as.alive;
    keep(bench, delivery, "a", 1, wish->activation);
}

/* An owner that makes no instance may not be able to read the snapshot. */
static void an_owner_that_makes_no_instance_gets_all_events(void **state)
{
    (void)state;
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    store_state_t row = row_of(3);
    row.sequence = 3;
    assert_true(read_states(&bench, &row));
    assert_int_equal(read_rows(&bench, 4, 5, true), 3);
    assert_string_equal(given(&bench), "snapshot 3: 4 5");
    message_deliver_t delivery = *driver_delivery(bench.driver, "w");
    keep(&bench, &delivery, "a", 0, 0);
    append(&bench, &delivery, 6, 1, 0);
    driver_commit(bench.driver);
    keep(&bench, &delivery, "a", 1, 0); /* it made place for another one */
    pass(&bench, 1000);
    refuse(&bench, &delivery);
    for (int i = 0; i < 2; i++) {
        pass(&bench, 3000);
        assert_int_equal(read_rows(&bench, 1, 5, true), 0);
        assert_string_equal(given(&bench), "none: 1 2 3 4 5 6");
        refuse(&bench, &delivery);
        pass(&bench, 6000); /* which it may have had no room for */
        assert_int_equal(read_rows(&bench, 4, 5, true), 3);
        assert_string_equal(given(&bench), "snapshot 3: 4 5 6");
        refuse(&bench, &delivery);
    }
    driver_close(&bench.driver);
}

/* One that has said that it cannot read the snapshot may also have no room for the instance. */
static void an_owner_that_cannot_read_the_snapshot_gets_all_events(void **state)
{
    (void)state;
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    store_state_t row = row_of(3);
    row.sequence = 3;
    assert_true(read_states(&bench, &row));
    assert_int_equal(read_rows(&bench, 4, 5, true), 3);
    assert_string_equal(given(&bench), "snapshot 3: 4 5");
    message_deliver_t delivery = *driver_delivery(bench.driver, "w");
    driver_result(bench.driver, "w", &delivery, STATUS_NOT_TAKEN, FABRIC_ERROR_SNAPSHOT_UNREADABLE);
    assert_int_equal(read_rows(&bench, 1, 5, true), 0);
    assert_string_equal(given(&bench), "none: 1 2 3 4 5");
    delivery = *driver_delivery(bench.driver, "w");
    keep(&bench, &delivery, "a", 0, 0);
    append(&bench, &delivery, 6, 1, 0);
    driver_commit(bench.driver);
    keep(&bench, &delivery, "a", 1, 0); /* it made place for another one */
    pass(&bench, 1000);
    refuse(&bench, &delivery);
    for (int i = 0; i < 3; i++) {
        pass(&bench, 10000);
        assert_int_equal(read_rows(&bench, 1, 5, true), 0);
        assert_string_equal(given(&bench), "none: 1 2 3 4 5 6");
        refuse(&bench, &delivery);
    }
    driver_close(&bench.driver);
}

/* An entity in the shard of "a". */
static const char *id_beside(char id[8], unsigned *next)
{
    uint32_t shard = address_shard_number(fabric_bytes_of("a"), DRIVER_SHARDS);
    do {
        snprintf(id, 8, "n%u", (*next)++ % 10000);
    } while (address_shard_number(fabric_bytes_of(id), DRIVER_SHARDS) != shard);
    return id;
}

/* Answers what is read: nothing is stored, but for one event of `broken`, the second one. Returns
 * how often that was read. */
static unsigned answer_reads(bench_t *bench, const char *broken)
{
    unsigned count = 0;
    router_t *router = bench->driver->router;
    router_states_t states;
    router_events_t read;
    if (router_take_states(router, bench->lane, &states)) {
        router_states_loaded(router, bench->lane, FABRIC_OK, NULL, 0, states.count,
                             bench->driver->now_ms);
    }
    if (router_take_events(router, bench->lane, &read)) {
        events_collector_t collector = {0};
        for (size_t i = 0; i < read.count; i++) {
            store_event_t event = {.type = fabric_bytes_of("Counter"),
                                   .entity = fabric_bytes_of(broken),
                                   .sequence = 2,
                                   .tag = fabric_bytes_of("Paid"),
                                   .version = 1,
                                   .payload = bytes_of(2)};
            if (fabric_bytes_equal(read.histories[i].name.entity, event.entity)) {
                events_collect(&collector, &event);
                count++;
            }
        }
        events_collected(&collector);
        router_events_loaded(router, bench->lane, FABRIC_OK, collector.values, collector.count,
                             read.count, bench->driver->now_ms);
        free((void *)collector.values);
    }
    driver_pull(bench->driver);
    driver_check(bench->driver);
    return count;
}

/* The first one in the list has a gap: it is asked for less and less, and the others go on. */
static void a_kept_entity_with_a_gap_does_not_hold_up_others(void **state)
{
    (void)state;
    char ids[2][8];
    unsigned next = 0;
    bench_t bench = open_appended(1);
    ask(&bench, REQUEST_DURABLE);
    message_deliver_t delivery = *driver_delivery(bench.driver, "w");
    const char *broken = id_beside(ids[0], &next);
    const char *other = id_beside(ids[1], &next);
    keep(&bench, &delivery, broken, 0, 0);
    keep(&bench, &delivery, other, 0, 0);
    unsigned reads = 0;
    for (int i = 0; i < 40; i++) {
        reads += answer_reads(&bench, broken);
        pass(&bench, 50);
    }
    assert_in_range(reads, 1, 5);
    assert_int_equal(driver_counters(bench.driver).histories_broken, reads);
    assert_int_equal(driver_count(bench.driver, "w", KIND_ALIVE), 1);
    const message_alive_t *wish = &driver_take(bench.driver, "w", KIND_ALIVE)->as.alive;
    assert_true(fabric_bytes_equal(wish->id, fabric_bytes_of(other)));
    keep(&bench, &delivery, other, 0, wish->activation);
    driver_close(&bench.driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_histories_are_told_in_parts),
        cmocka_unit_test(a_history_that_is_too_large_is_not_given),
        cmocka_unit_test(each_entity_of_a_slice_settles),
        cmocka_unit_test(an_owner_that_makes_no_instance_gets_all_events),
        cmocka_unit_test(an_owner_that_cannot_read_the_snapshot_gets_all_events),
        cmocka_unit_test(a_kept_entity_with_a_gap_does_not_hold_up_others),
    };
    return cmocka_run_group_tests_name("broker_router_histories", tests, NULL, NULL);
}
