/* The store suite: replacing entries of a lane without a holder, for repairs. */
#include "tests/conformance/store_fixture.h"

static fabric_error_t replace(store_fixture_t *fixture, const store_hold_t *hold,
                              const store_entry_t *entry)
{
    return fixture->driver->journal_replace(fixture->store, hold, entry);
}

/* Entries 2, 3 and 4 of a lane that its holder has given up. */
static store_hold_t give_up_some(store_fixture_t *fixture)
{
    append_some(fixture, &fixture->hold, 2, 3);
    assert_ok(fixture->driver->lane_give_up(fixture->store, &fixture->hold));
    return (store_hold_t){.lane = 0, .epoch = fixture->hold.epoch};
}

static void an_entry_is_replaced(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t nobody = give_up_some(fixture);
    store_entry_t entry = entry_of(&fixture->hold, 3);
    entry.last_id = 12345;
    entry.created_ms = 77777;
    entry.body = fabric_bytes_of("another");
    assert_ok(replace(fixture, &nobody, &entry));
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, 3);
    assert_same_entry(&fixture->entries.items[1], &entry);
    assert_ok(replace(fixture, &nobody, &entry)); /* a repair may be repeated */
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, 3);
}

static void a_missing_entry_is_put(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t nobody = give_up_some(fixture);
    store_entry_t entry = entry_of(&fixture->hold, 6);
    assert_ok(append_one(fixture, &fixture->hold, 7));
    assert_ok(replace(fixture, &nobody, &entry));
    read_entries(fixture, 0, 6);
    assert_numbers(fixture, 6, 1, 2);
}

static void calls_below_a_replaced_entry_are_forgotten(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t nobody = give_up_some(fixture);
    store_entry_t entry = entry_of(&fixture->hold, 3);
    entry.last_id = 12345;
    entry.created_ms = 77777;
    assert_ok(replace(fixture, &nobody, &entry));
    assert_int_equal(lane_row(fixture, 0).purged_id, 12345);
    assert_int_equal(lane_row(fixture, 0).purged_ms, 77777);
    entry.last_id = 1;
    entry.created_ms = 1;
    assert_ok(replace(fixture, &nobody, &entry));
    assert_int_equal(lane_row(fixture, 0).purged_id, 12345);
    assert_int_equal(lane_row(fixture, 0).purged_ms, 77777);
}

static void a_lane_with_a_holder_is_not_repaired(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t nobody = give_up_some(fixture);
    store_entry_t entry = entry_of(&fixture->hold, 3);
    store_hold_t earlier = {.lane = 0, .epoch = nobody.epoch - 1};
    entry.body = fabric_bytes_of("another");
    assert_error(FABRIC_ERROR_FENCED, replace(fixture, &earlier, &entry));
    fixture_assign(fixture, &nobody, incarnation_of(2));
    assert_error(FABRIC_ERROR_FENCED, replace(fixture, &nobody, &entry));
    nobody.epoch++;
    assert_error(FABRIC_ERROR_FENCED, replace(fixture, &nobody, &entry));
    assert_int_equal(lane_row(fixture, 0).purged_id, 0);
}

int store_suite_repair(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(an_entry_is_replaced),
        FOUNDED_TEST(a_missing_entry_is_put),
        FOUNDED_TEST(calls_below_a_replaced_entry_are_forgotten),
        FOUNDED_TEST(a_lane_with_a_holder_is_not_repaired),
    };
    return cmocka_run_group_tests_name("repair", tests, NULL, NULL);
}
