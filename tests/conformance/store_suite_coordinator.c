/* The store suite: the coordinator's lease, and that a stale term changes nothing. */
#include "tests/conformance/store_fixture.h"

static void coordinator_is_nobody_at_first(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster = {
        .name = "suite", .shards_per_group = FIXTURE_SHARDS, .lanes = FIXTURE_LANES};
    store_coordinator_t coordinator = {.term = 99};
    assert_ok(fixture->driver->schema_apply(fixture->store, &cluster, NULL));
    assert_ok(fixture->driver->coordinator_read(fixture->store, &coordinator));
    assert_int_equal(coordinator.term, 0);
    assert_true(incarnation_is_none(coordinator.holder));
}

static void test_sr_06_of_two_who_take_the_lease_one_gets_it(void **state)
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

/* Every changing call of the coordinator, under the given term and holder. */
static void assert_all_fenced(store_fixture_t *fixture, uint64_t term, incarnation_t holder)
{
    const store_driver_t *driver = fixture->driver;
    uint16_t number = 4711;
    store_type_t type = {.name = bytes_of("Stale"), .group = fixture->group};
    store_runner_t runner = {.incarnation = incarnation_of(50), .weight = 1};
    store_hold_t nobody = {.lane = 2};
    assert_error(FABRIC_ERROR_FENCED,
                 driver->group_put(fixture->store, term, holder, bytes_of("stale"), &number));
    assert_error(FABRIC_ERROR_FENCED,
                 driver->group_put(fixture->store, term, holder, bytes_of("default"), &number));
    assert_error(FABRIC_ERROR_FENCED, driver->type_put(fixture->store, term, holder, &type));
    assert_error(FABRIC_ERROR_FENCED, driver->runner_put(fixture->store, term, holder, &runner));
    assert_error(FABRIC_ERROR_FENCED,
                 driver->runner_remove(fixture->store, term, holder, incarnation_of(51)));
    assert_error(FABRIC_ERROR_FENCED,
                 driver->broker_remove(fixture->store, term, holder, fixture->broker.incarnation));
    assert_error(FABRIC_ERROR_FENCED,
                 driver->lane_assign(fixture->store, term, holder, &fixture->hold, holder));
    assert_error(FABRIC_ERROR_FENCED,
                 driver->lane_assign(fixture->store, term, holder, &nobody, holder));
    assert_int_equal(number, 4711);
}

typedef struct counted {
    size_t groups, types, runners;
    incarnation_t runner;
} counted_t;

static void count_group(void *context, uint16_t number, fabric_bytes_t name)
{
    (void)number, (void)name;
    ((counted_t *)context)->groups++;
}

static void count_type(void *context, const store_type_t *type)
{
    (void)type;
    ((counted_t *)context)->types++;
}

static void count_runner(void *context, const store_runner_t *runner)
{
    ((counted_t *)context)->runners++;
    ((counted_t *)context)->runner = runner->incarnation;
}

static void a_stale_term_changes_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    const store_driver_t *driver = fixture->driver;
    incarnation_t self = fixture->broker.incarnation;
    store_runner_t runner = {.incarnation = incarnation_of(51), .weight = 1};
    assert_ok(driver->runner_put(fixture->store, fixture->term, self, &runner));
    store_broker_t b = broker_of(2, 2);
    store_coordinator_t before = {fixture->term, self};
    uint64_t term = 0;
    fixture_join(fixture, &b);
    assert_ok(driver->coordinator_take(fixture->store, &before, b.incarnation, &term));

    assert_all_fenced(fixture, fixture->term, self);     /* the deposed one */
    assert_all_fenced(fixture, term, self);              /* right term, wrong holder */
    assert_all_fenced(fixture, term + 1, b.incarnation); /* a term to come */
    assert_all_fenced(fixture, fixture->term, b.incarnation);

    counted_t counted = {0};
    assert_ok(driver->group_list(fixture->second, count_group, &counted));
    assert_ok(driver->type_list(fixture->second, count_type, &counted));
    assert_ok(driver->runner_list(fixture->second, count_runner, &counted));
    assert_int_equal(counted.groups, 1);
    assert_int_equal(counted.types, 0);
    assert_int_equal(counted.runners, 1);
    assert_true(incarnation_equal(counted.runner, runner.incarnation));
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 2);
    assert_true(incarnation_equal(lane_row(fixture, 0).holder, self));
    assert_int_equal(lane_row(fixture, 0).epoch, 1);
    assert_int_equal(lane_row(fixture, 2).epoch, 0);
    /* The lanes stay with their holder, who goes on. */
    assert_ok(append_one(fixture, &fixture->hold, 2));
    assert_ok(put_rows(fixture, &fixture->hold, 7, 1, 1));
}

int store_suite_coordinator(void)
{
    static const struct CMUnitTest tests[] = {
        EMPTY_TEST(coordinator_is_nobody_at_first),
        FOUNDED_TEST(test_sr_06_of_two_who_take_the_lease_one_gets_it),
        FOUNDED_TEST(a_stale_term_changes_nothing),
    };
    return cmocka_run_group_tests_name("coordinator", tests, NULL, NULL);
}
