/* The store suite: who holds a lane. */
#include "tests/conformance/store_fixture.h"

static fabric_error_t assign(store_fixture_t *fixture, const store_hold_t *before,
                             incarnation_t holder)
{
    return fixture->driver->lane_assign(fixture->store, fixture->term, fixture->broker.incarnation,
                                        before, holder);
}

static void assert_holder(store_fixture_t *fixture, uint32_t lane, incarnation_t holder,
                          uint64_t epoch)
{
    store_lane_t row = lane_row(fixture, lane);
    assert_true(incarnation_equal(row.holder, holder));
    assert_int_equal(row.epoch, epoch);
}

static void each_holder_gets_a_higher_epoch(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t self = fixture->broker.incarnation;
    incarnation_t nobody = {{0}};
    store_hold_t hold = fixture->hold;
    assert_holder(fixture, 0, self, 1);
    assert_ok(assign(fixture, &hold, incarnation_of(2)));
    assert_holder(fixture, 0, incarnation_of(2), 2);
    hold = (store_hold_t){0, incarnation_of(2), 2};
    assert_ok(assign(fixture, &hold, nobody));
    assert_holder(fixture, 0, nobody, 3);
    hold = (store_hold_t){0, nobody, 3};
    assert_ok(assign(fixture, &hold, self));
    assert_holder(fixture, 0, self, 4);
    /* The same broker once more is a new holder. */
    hold = (store_hold_t){0, self, 4};
    assert_ok(assign(fixture, &hold, self));
    assert_holder(fixture, 0, self, 5);
    assert_holder(fixture, 1, self, 1);
    assert_holder(fixture, 2, nobody, 0);
}

static void assign_needs_the_holder_and_the_epoch_of_before(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t self = fixture->broker.incarnation;
    store_hold_t wrong[] = {
        {0, incarnation_of(2), 1},
        {0, {{0}}, 1},
        {0, self, 0},
        {0, self, 2},
        {2, self, 0},
        {2, {{0}}, 1},
        {3, {{0}}, 0}, /* there is no lane 3 */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_error(FABRIC_ERROR_STORE_REJECTED, assign(fixture, &wrong[i], incarnation_of(3)));
    }
    assert_holder(fixture, 0, self, 1);
    assert_holder(fixture, 2, (incarnation_t){{0}}, 0);
}

/* Its answer was lost: whoever runs it again finds another epoch, reads the row and sees its own
 * doing. */
static void test_sr_08_an_assignment_that_is_repeated_is_made_once(void **state)
{
    store_fixture_t *fixture = *state;
    assert_ok(assign(fixture, &fixture->hold, incarnation_of(2)));
    assert_error(FABRIC_ERROR_STORE_REJECTED, assign(fixture, &fixture->hold, incarnation_of(2)));
    assert_holder(fixture, 0, incarnation_of(2), 2);
}

static void giving_up_needs_the_very_hold(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t self = fixture->broker.incarnation;
    store_hold_t wrong[] = {
        {0, incarnation_of(2), 1}, {0, self, 2}, {0, self, 0}, {2, self, 0}, {3, self, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_error(FABRIC_ERROR_FENCED, fixture->driver->lane_give_up(fixture->store, &wrong[i]));
    }
    assert_holder(fixture, 0, self, 1);
    assert_ok(fixture->driver->lane_give_up(fixture->store, &fixture->hold));
    assert_holder(fixture, 0, (incarnation_t){{0}}, 1);
    assert_holder(fixture, 1, self, 1);
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->lane_give_up(fixture->store, &fixture->hold));
    store_hold_t nobody = {.lane = 0, .epoch = 1};
    assert_ok(assign(fixture, &nobody, incarnation_of(2)));
    assert_holder(fixture, 0, incarnation_of(2), 2);
}

/* Everything under a lane's lock, tried by somebody whom the row does not name. */
static void assert_holder_only(store_fixture_t *fixture, const store_hold_t *hold)
{
    const store_driver_t *driver = fixture->driver;
    store_entry_t adopt = adopt_of(hold, 4);
    store_purge_t purge = {.before = 3, .created_before_ms = 1000000, .entries_max = 100};
    store_purged_t purged = {.entries = 4711};
    store_row_key_t deleted = {7, 10};
    store_pending_t put = pending_of(20, 7);
    store_amendment_t amendment = {.key = {7, 10}, .number = 3, .attempts = 9, .crashes = 9};
    store_dead_row_t dead = dead_of(10);
    store_slice_t slices[] = {
        {.puts = &put, .put_count = 1, .begun = 3},
        {.amendments = &amendment, .amendment_count = 1, .begun = 3},
        {.deletes = &deleted, .delete_count = 1, .begun = 3},
        {.dead = &dead, .dead_count = 1, .begun = 3},
        {.begun = 3, .last = true},
    };
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
        assert_error(FABRIC_ERROR_FENCED, driver->checkpoint(fixture->store, hold, &slices[i]));
    }
    assert_error(FABRIC_ERROR_FENCED, driver->lane_take(fixture->store, hold, &adopt));
    assert_error(FABRIC_ERROR_FENCED, driver->purge(fixture->store, hold, &purge, &purged));
    assert_error(FABRIC_ERROR_FENCED, driver->lane_give_up(fixture->store, hold));
    assert_int_equal(purged.entries, 4711);
}

/* The epoch is still the same, and nobody holds the lane. */
static void who_has_given_a_lane_up_changes_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 2);
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 1));
    assert_ok(fixture->driver->lane_give_up(fixture->store, &fixture->hold));
    assert_holder_only(fixture, &fixture->hold);
    assert_holder(fixture, 0, (incarnation_t){{0}}, 1);
    load_all(fixture, 0);
    assert_positions(fixture, 10, 1);
    assert_int_equal(fixture->rows.items[0].row.attempts, 0);
}

static void who_is_fenced_changes_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t self = fixture->broker.incarnation;
    append_some(fixture, &fixture->hold, 2, 2);
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 1));
    store_hold_t now = fixture_assign(fixture, &fixture->hold, incarnation_of(2));
    store_hold_t holds[] = {
        fixture->hold, {0, incarnation_of(2), 1}, {0, incarnation_of(2), 3}, {0, self, 2},
        {0, {{0}}, 2}, {3, incarnation_of(2), 2}};
    for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++) {
        assert_holder_only(fixture, &holds[i]);
    }
    store_lane_t row = lane_row(fixture, 0);
    assert_int_equal(row.epoch, now.epoch);
    assert_int_equal(row.number, 2);
    assert_int_equal(row.begun, 2);
    assert_int_equal(row.purged_id, 0);
    read_entries(fixture, 0, 0);
    assert_numbers(fixture, 0, 1, 4);
    load_all(fixture, 0);
    assert_positions(fixture, 10, 1);
    assert_int_equal(fixture->rows.items[0].row.attempts, 0);
    store_dead_row_t dead;
    assert_false(fixture->suite->dead_letter(fixture->url, 0, (request_id_t){10}, &dead));
    /* The new holder may do all of it. */
    assert_ok(put_rows(fixture, &now, 7, 20, 1));
}

int store_suite_lanes(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(each_holder_gets_a_higher_epoch),
        FOUNDED_TEST(assign_needs_the_holder_and_the_epoch_of_before),
        FOUNDED_TEST(test_sr_08_an_assignment_that_is_repeated_is_made_once),
        FOUNDED_TEST(giving_up_needs_the_very_hold),
        FOUNDED_TEST(who_has_given_a_lane_up_changes_nothing),
        FOUNDED_TEST(who_is_fenced_changes_nothing),
    };
    return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
