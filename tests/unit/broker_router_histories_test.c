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
    fabric_bytes_t id = read.histories[0].name.entity;
    events_collector_t collector = {0};
    for (unsigned i = first; i <= last; i++) {
        store_event_t event = {.type = fabric_bytes_of("Counter"),
                               .entity = id,
                               .sequence = i,
                               .id = {i},
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

/* So many events of so many bytes each, of all histories that are wanted. */
static void read_large_ones(bench_t *bench, unsigned count, size_t size)
{
    static uint8_t large[1 << 20];
    router_events_t read;
    router_t *router = bench->driver->router;
    while (router_take_events(router, bench->lane, &read)) {
        events_collector_t collector = {0};
        for (size_t i = 0; i < read.count; i++) {
            store_event_t event = {.type = fabric_bytes_of("Counter"),
                                   .entity = read.histories[i].name.entity,
                                   .tag = fabric_bytes_of("Paid"),
                                   .version = 1,
                                   .payload = fabric_bytes(large, size)};
            for (event.sequence = 1; event.sequence <= count; event.sequence++) {
                events_collect(&collector, &event);
            }
        }
        events_collected(&collector);
        router_events_loaded(router, bench->lane, FABRIC_OK, collector.values, collector.count,
                             read.count, bench->driver->now_ms);
        free((void *)collector.values);
    }
    driver_pull(bench->driver);
    driver_check(bench->driver);
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

/* Of events that were appended by one message each. */
static void a_history_takes_no_more_memory_than_its_events(void **state)
{
    (void)state;
    enum { EVENTS = 5000, BYTES = 2 };
    bench_t bench = open_events_usually();
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL));
    uint64_t before = bench.driver->router->state_bytes;
    read_large(&bench, 1, EVENTS, BYTES, false);
    assert_in_range(bench.driver->router->state_bytes - before, EVENTS * BYTES, 15 * EVENTS);
    read_large(&bench, EVENTS + 1, EVENTS + 1, BYTES, true);
    uint64_t next = 1;
    while (driver_count(bench.driver, "w", KIND_ENTITY_EVENTS) > 0) {
        const message_entity_events_t *part =
            &driver_take(bench.driver, "w", KIND_ENTITY_EVENTS)->as.entity_events;
        journal_events_t events;
        assert_int_equal(part->first, next);
        assert_int_equal(journal_events_read(part->events, next, &events), FABRIC_OK);
        next += events.count;
    }
    assert_int_equal(next, EVENTS + 2);
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

/* The owner is asked for the instance, and cannot make it; 0: it does not say why. */
static void refuse(bench_t *bench, fabric_error_t error)
{
    assert_int_equal(driver_count(bench->driver, "w", KIND_ALIVE), 1);
    message_alive_t answer = driver_take(bench->driver, "w", KIND_ALIVE)->as.alive;
    answer.absent = 1;
    answer.error = (uint64_t)error;
    driver_send(bench->driver, "w", alive, &answer);
    driver_check(bench->driver);
}

/* Six events, a snapshot of the first three, and a wish. The owner has no instance any more, and
 * was asked for one. */
static bench_t open_kept(void)
{
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
    return bench;
}

static void expect_snapshot(bench_t *bench)
{
    assert_int_equal(read_rows(bench, 4, 5, true), 3);
    assert_string_equal(given(bench), "snapshot 3: 4 5 6");
}

static void expect_all(bench_t *bench)
{
    assert_int_equal(read_rows(bench, 1, 5, true), 0);
    assert_string_equal(given(bench), "none: 1 2 3 4 5 6");
}

/* An owner that makes no instance may not be able to read the snapshot: so it gets all events,
 * once. */
static void an_owner_that_makes_no_instance_gets_all_events(void **state)
{
    (void)state;
    bench_t bench = open_kept();
    refuse(&bench, FABRIC_OK);
    pass(&bench, 3000);
    expect_all(&bench);
    for (int i = 0; i < 3; i++) {
        refuse(&bench, FABRIC_OK); /* it may have had no room for it, either */
        pass(&bench, 6000);
        expect_snapshot(&bench);
    }
    refuse(&bench, FABRIC_ERROR_SNAPSHOT_UNREADABLE);
    expect_all(&bench);
    driver_close(&bench.driver);
}

/* It gets all events at once, and from then on. */
static void an_owner_says_that_it_cannot_read_the_snapshot(void **state)
{
    (void)state;
    bench_t bench = open_kept();
    refuse(&bench, FABRIC_ERROR_SNAPSHOT_UNREADABLE);
    expect_all(&bench);
    for (int i = 0; i < 3; i++) {
        refuse(&bench, i == 1 ? FABRIC_ERROR_SNAPSHOT_UNREADABLE : FABRIC_OK);
        assert_int_equal(read_rows(&bench, 1, 0, true), -1); /* it is not asked at once */
        pass(&bench, 6000);
        expect_all(&bench);
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
    refuse(&bench, FABRIC_OK);
    for (int i = 0; i < 3; i++) {
        pass(&bench, 10000);
        assert_int_equal(read_rows(&bench, 1, 5, true), 0);
        assert_string_equal(given(&bench), "none: 1 2 3 4 5 6");
        refuse(&bench, FABRIC_OK);
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

/* Nothing is stored of any entity as its state. */
static void read_no_states(bench_t *bench)
{
    router_states_t states;
    router_t *router = bench->driver->router;
    assert_true(router_take_states(router, bench->lane, &states));
    router_states_loaded(router, bench->lane, FABRIC_OK, NULL, 0, states.count,
                         bench->driver->now_ms);
}

static bench_t open_spacious(void)
{
    router_config_t config;
    driver_config(&config);
    config.memory_bytes_max = config.state_bytes_free = UINT64_C(1) << 30;
    return open_events(&config);
}

/* The owner reads slowly: it is given one large history after the other, and not all at once. */
static void large_histories_wait_until_the_owner_reads(void **state)
{
    (void)state;
    enum { MIB = 1 << 20, EVENTS = 20, ENTITIES = 5 };
    char id[8];
    unsigned next = 0;
    bench_t bench = open_spacious();
    snprintf(bench.driver->full, sizeof bench.driver->full, "w");
    ask(&bench, REQUEST_DURABLE);
    assert_true(read_states(&bench, NULL)); /* which says in which lane it is */
    read_large(&bench, 1, EVENTS, MIB, true);
    for (unsigned i = 1; i < ENTITIES; i++) {
        driver_ask(bench.driver, "c", bench.next++, id_beside(id, &next), REQUEST_DURABLE);
        driver_commit(bench.driver);
        read_no_states(&bench);
        read_large(&bench, 1, EVENTS, MIB, true);
        driver_check(bench.driver);
    }
    assert_int_equal(driver_counters(bench.driver).overflowed, 0);
    assert_int_equal(driver_counters(bench.driver).delivered, 1);
    bench.driver->full[0] = '\0';
    pass(&bench, 100);
    assert_int_equal(driver_counters(bench.driver).delivered, ENTITIES);
    assert_int_equal(driver_count(bench.driver, "w", KIND_DELIVER), ENTITIES);
    driver_close(&bench.driver);
}

/* So do those of entities that are kept alive. */
static void large_histories_of_kept_entities_wait_too(void **state)
{
    (void)state;
    enum { MIB = 1 << 20, EVENTS = 20, ENTITIES = 5 };
    char id[8];
    unsigned next = 0;
    bench_t bench = open_spacious();
    ask(&bench, REQUEST_DURABLE);
    read_nothing(&bench);
    message_deliver_t delivery = *driver_delivery(bench.driver, "w");
    snprintf(bench.driver->full, sizeof bench.driver->full, "w");
    for (unsigned i = 0; i < ENTITIES; i++) {
        keep(&bench, &delivery, id_beside(id, &next), 0, 0);
        driver_pull(bench.driver);
    }
    router_states_t states;
    while (router_take_states(bench.driver->router, bench.lane, &states)) {
        router_states_loaded(bench.driver->router, bench.lane, FABRIC_OK, NULL, 0, states.count,
                             bench.driver->now_ms);
    }
    read_large_ones(&bench, EVENTS, MIB);
    assert_int_equal(driver_counters(bench.driver).overflowed, 0);
    assert_int_equal(driver_counters(bench.driver).woken, 1);
    bench.driver->full[0] = '\0';
    pass(&bench, 500);
    assert_int_equal(driver_counters(bench.driver).woken, ENTITIES);
    driver_close(&bench.driver);
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
        cmocka_unit_test(a_history_takes_no_more_memory_than_its_events),
        cmocka_unit_test(a_history_that_is_too_large_is_not_given),
        cmocka_unit_test(each_entity_of_a_slice_settles),
        cmocka_unit_test(an_owner_that_makes_no_instance_gets_all_events),
        cmocka_unit_test(an_owner_says_that_it_cannot_read_the_snapshot),
        cmocka_unit_test(large_histories_wait_until_the_owner_reads),
        cmocka_unit_test(large_histories_of_kept_entities_wait_too),
        cmocka_unit_test(an_owner_that_cannot_read_the_snapshot_gets_all_events),
        cmocka_unit_test(a_kept_entity_with_a_gap_does_not_hold_up_others),
    };
    return cmocka_run_group_tests_name("broker_router_histories", tests, NULL, NULL);
}
