/* The store suite: brokers, machine slots, the coordinator's lease. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <string.h>

#include "core/limits.h"

static fabric_error_t renew(store_fixture_t *fixture, incarnation_t incarnation)
{
    return fixture->driver->broker_renew(fixture->store, incarnation);
}

static fabric_error_t commit_nothing(store_fixture_t *fixture, store_writer_t *writer,
                                     uint64_t high_id)
{
    store_batch_t batch = {.high_id = high_id};
    return commit_as(fixture, writer, &batch, NULL);
}

static void sr_07_register_twice_keeps_the_machine(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    store_broker_t again = broker_of(9, 1);
    store_writer_t writer = fixture_join(fixture, &again, 2, &join);
    assert_int_equal(join.machine, fixture->machine);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 1);
    assert_true(incarnation_equal(fixture->brokers[0].incarnation, again.incarnation));
    assert_error(FABRIC_ERROR_FENCED, renew(fixture, fixture->broker.incarnation));
    assert_error(FABRIC_ERROR_FENCED, commit_nothing(fixture, &fixture->writer, 1));
    assert_ok(renew(fixture, again.incarnation));
    assert_ok(commit_nothing(fixture, &writer, 1));
}

static void sr_07_list_shows_what_was_registered(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    store_broker_t other = broker_of(2, 2);
    memset(other.name, 'n', 255);
    fixture_join(fixture, &other, 1, &join);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 2);
    const store_broker_t *listed = &fixture->brokers[1];
    assert_true(incarnation_equal(listed->incarnation, other.incarnation));
    assert_int_equal(listed->machine, join.machine);
    assert_string_equal(listed->name, other.name);
    assert_string_equal(listed->router_endpoint, other.router_endpoint);
    assert_string_equal(listed->pub_endpoint, other.pub_endpoint);
}

static void sr_07_renewal_is_visible_and_leaving_empties_the_list(void **state)
{
    store_fixture_t *fixture = *state;
    fixture_brokers(fixture);
    uint64_t counter = fixture->brokers[0].counter;
    assert_ok(renew(fixture, fixture->broker.incarnation));
    fixture_brokers(fixture);
    assert_int_equal(fixture->brokers[0].counter, counter + 1);
    assert_ok(fixture->driver->broker_leave(fixture->store, fixture->broker.incarnation));
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 0);
    assert_error(FABRIC_ERROR_FENCED, renew(fixture, fixture->broker.incarnation));
    assert_error(FABRIC_ERROR_FENCED, commit_nothing(fixture, &fixture->writer, 1));
    assert_error(FABRIC_ERROR_FENCED, commit_nothing(fixture, &fixture->lane_1, 1));
    assert_ok(fixture->driver->broker_leave(fixture->store, fixture->broker.incarnation));
}

static void brokers_get_different_machines_and_free_ones_are_leased_again(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t second;
    store_join_t third;
    store_broker_t b = broker_of(2, 2);
    store_broker_t c = broker_of(3, 3);
    fixture_join(fixture, &b, 1, &second);
    fixture_join(fixture, &c, 1, &third);
    assert_int_not_equal(second.machine, fixture->machine);
    assert_int_not_equal(third.machine, fixture->machine);
    assert_int_not_equal(third.machine, second.machine);
    assert_true(third.machine < LIMIT_MACHINES_MAX);
    assert_ok(renew(fixture, fixture->broker.incarnation));
    assert_ok(fixture->driver->broker_leave(fixture->store, b.incarnation));
    store_join_t fourth;
    store_broker_t d = broker_of(4, 4);
    fixture_join(fixture, &d, 1, &fourth);
    assert_int_not_equal(fourth.machine, fixture->machine);
    assert_int_not_equal(fourth.machine, third.machine);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 3);
}

static void join_tells_batches_and_the_highest_id_of_all_lanes(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    assert_ok(commit_nothing(fixture, &fixture->writer, 500));
    assert_ok(commit_nothing(fixture, &fixture->writer, 501));
    assert_ok(commit_nothing(fixture, &fixture->lane_1, UINT64_MAX - 1));
    /* With one lane less: lane 1's ids were made on this machine all the same. */
    store_broker_t again = broker_of(9, 1);
    store_writer_t writer = fixture_join(fixture, &again, 1, &join);
    assert_int_equal(join.machine, fixture->machine);
    assert_int_equal(join.batches[0], fixture->writer.batch);
    assert_true(join.high_id == UINT64_MAX - 1);
    assert_ok(commit_nothing(fixture, &writer, UINT64_MAX));
    store_writer_t not_taken = {join.machine, 1, again.incarnation, fixture->lane_1.batch};
    assert_error(FABRIC_ERROR_FENCED, commit_nothing(fixture, &not_taken, 1));
    assert_error(FABRIC_ERROR_FENCED, commit_nothing(fixture, &fixture->lane_1, 1));
    store_broker_t third = broker_of(10, 1);
    fixture_join(fixture, &third, 2, &join);
    assert_int_equal(join.batches[0], writer.batch);
    assert_int_equal(join.batches[1], fixture->lane_1.batch);
    assert_true(join.high_id == UINT64_MAX);
}

static uint64_t high_id(store_fixture_t *fixture)
{
    uint64_t found = 1;
    assert_ok(fixture->driver->high_id(fixture->second, &found));
    return found;
}

static void high_id_is_that_of_all_writers(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    store_broker_t other = broker_of(2, 2);
    assert_true(high_id(fixture) == 0);
    assert_ok(commit_nothing(fixture, &fixture->lane_1, 777));
    assert_ok(commit_nothing(fixture, &fixture->writer, 700));
    assert_true(high_id(fixture) == 777);
    store_writer_t writer = fixture_join(fixture, &other, 1, &join);
    assert_ok(commit_nothing(fixture, &writer, UINT64_MAX - 1));
    assert_ok(fixture->driver->broker_leave(fixture->store, other.incarnation));
    assert_true(high_id(fixture) == UINT64_MAX - 1);
}

static void high_id_stays_with_the_machine_after_leaving(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    assert_ok(commit_nothing(fixture, &fixture->writer, 777));
    assert_ok(fixture->driver->broker_leave(fixture->store, fixture->broker.incarnation));
    store_broker_t back = broker_of(2, 2);
    for (uint8_t i = 2; i < 10; i++) {
        back = broker_of(i, i);
        fixture_join(fixture, &back, 1, &join);
        if (join.machine == fixture->machine) {
            break;
        }
    }
    /* Adapters may lease another free slot first; whoever gets the slot gets its number. */
    if (join.machine == fixture->machine) {
        assert_int_equal(join.high_id, 777);
        assert_int_equal(join.batches[0], fixture->writer.batch);
    } else {
        assert_int_equal(join.high_id, 0);
    }
}

static void all_lanes_can_be_taken(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    store_broker_t wide = broker_of(5, 5);
    store_writer_t writer = fixture_join(fixture, &wide, LIMIT_LANES_MAX, &join);
    for (uint32_t lane = 0; lane < LIMIT_LANES_MAX; lane++) {
        store_writer_t one = {writer.machine, lane, wide.incarnation, join.batches[lane]};
        assert_ok(commit_nothing(fixture, &one, lane));
    }
}

static void join_tells_the_time(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    store_broker_t other = broker_of(5, 5);
    fixture_join(fixture, &other, 1, &join);
    assert_true(join.now_ms > INT64_C(1735689600000)); /* 2025, the epoch of ids */
    assert_true(join.now_ms < INT64_C(4102444800000)); /* 2100 */
}

static void a_broker_too_many_is_told_so(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join;
    store_broker_t broker = broker_of(0, 0);
    for (uint32_t i = 0; i < LIMIT_BROKERS_MAX - 1; i++) {
        memcpy(broker.incarnation.bytes, &i, sizeof i);
        broker.incarnation.bytes[15] = 0xaa;
        snprintf(broker.router_endpoint, sizeof broker.router_endpoint, "tcp://10.0.0.1:%u",
                 1000 + i);
        assert_ok(fixture->driver->broker_join(fixture->store, &broker, 1, &join));
    }
    broker = broker_of(2, 2);
    assert_error(FABRIC_ERROR_BUSY,
                 fixture->driver->broker_join(fixture->store, &broker, 1, &join));
    assert_ok(renew(fixture, fixture->broker.incarnation));
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, LIMIT_BROKERS_MAX);
    /* Who comes back takes its own place. */
    broker = broker_of(9, 1);
    assert_ok(fixture->driver->broker_join(fixture->store, &broker, 1, &join));
    assert_int_equal(join.machine, fixture->machine);
    assert_ok(fixture->driver->broker_leave(fixture->store, broker.incarnation));
    broker = broker_of(2, 2);
    assert_ok(fixture->driver->broker_join(fixture->store, &broker, 1, &join));
    assert_int_equal(join.machine, fixture->machine);
}

/* ---- the coordinator's lease ------------------------------------------------------------------ */

static void coordinator_is_nobody_at_first(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster = {.name = "suite", .shards_per_group = FIXTURE_SHARDS};
    store_coordinator_t coordinator = {.term = 99};
    assert_ok(fixture->driver->schema_apply(fixture->store, &cluster, NULL));
    assert_ok(fixture->driver->coordinator_read(fixture->store, &coordinator));
    assert_int_equal(coordinator.term, 0);
    assert_true(incarnation_is_none(coordinator.holder));
}

static void sr_06_of_two_who_take_the_lease_one_gets_it(void **state)
{
    store_fixture_t *fixture = *state;
    store_coordinator_t before;
    store_coordinator_t after;
    uint64_t term = 0;
    uint64_t untouched = 4711;
    assert_ok(fixture->driver->coordinator_read(fixture->store, &before));
    assert_int_equal(before.term, fixture->term);
    assert_true(incarnation_equal(before.holder, fixture->broker.incarnation));
    assert_ok(fixture->driver->coordinator_take(fixture->store, &before, incarnation_of(2), &term));
    assert_int_equal(term, before.term + 1);
    assert_error(FABRIC_ERROR_FENCED, fixture->driver->coordinator_take(
                                          fixture->second, &before, incarnation_of(3), &untouched));
    assert_int_equal(untouched, 4711);
    assert_ok(fixture->driver->coordinator_read(fixture->second, &after));
    assert_int_equal(after.term, term);
    assert_true(incarnation_equal(after.holder, incarnation_of(2)));
    /* Right term, wrong holder. */
    after.holder = incarnation_of(3);
    assert_error(FABRIC_ERROR_FENCED, fixture->driver->coordinator_take(
                                          fixture->second, &after, incarnation_of(3), &untouched));
}

int store_suite_membership(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(sr_07_register_twice_keeps_the_machine),
        FOUNDED_TEST(sr_07_list_shows_what_was_registered),
        FOUNDED_TEST(sr_07_renewal_is_visible_and_leaving_empties_the_list),
        FOUNDED_TEST(brokers_get_different_machines_and_free_ones_are_leased_again),
        FOUNDED_TEST(join_tells_batches_and_the_highest_id_of_all_lanes),
        FOUNDED_TEST(high_id_is_that_of_all_writers),
        FOUNDED_TEST(high_id_stays_with_the_machine_after_leaving),
        FOUNDED_TEST(all_lanes_can_be_taken),
        FOUNDED_TEST(join_tells_the_time),
        FOUNDED_TEST(a_broker_too_many_is_told_so),
        EMPTY_TEST(coordinator_is_nobody_at_first),
        FOUNDED_TEST(sr_06_of_two_who_take_the_lease_one_gets_it),
    };
    return cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}
