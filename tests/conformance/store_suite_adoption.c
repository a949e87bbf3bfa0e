/* The store suite: the ADOPT entry, by which a new holder takes a lane. */
#include "tests/conformance/store_fixture.h"

static fabric_error_t take(store_fixture_t *fixture, store_t *store, const store_hold_t *hold,
                           uint64_t number)
{
    store_entry_t adopt = adopt_of(hold, number);
    return fixture->driver->lane_take(store, hold, &adopt);
}

static void the_adopt_entry_is_stored_as_such(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t next = fixture_assign(fixture, &fixture->hold, incarnation_of(2));
    store_entry_t adopt = adopt_of(&next, 2);
    assert_ok(fixture->driver->lane_take(fixture->store, &next, &adopt));
    read_entries(fixture, 0, 1);
    assert_numbers(fixture, 1, 1, 2);
    assert_same_entry(&fixture->entries.items[1], &adopt);
    assert_int_equal(lane_row(fixture, 0).number, 0); /* taking is no checkpoint */
}

static void where_the_number_is_taken_the_taker_reads_on(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t next = fixture_assign(fixture, &fixture->hold, incarnation_of(2));
    /* The old holder is quicker, twice. */
    append_some(fixture, &fixture->hold, 2, 2);
    assert_error(FABRIC_ERROR_STORE_REJECTED, take(fixture, fixture->second, &next, 2));
    assert_error(FABRIC_ERROR_STORE_REJECTED, take(fixture, fixture->second, &next, 3));
    assert_int_equal(newest_entry(fixture, 0), 3);
    assert_ok(take(fixture, fixture->second, &next, 4));
    assert_error(FABRIC_ERROR_STORE_REJECTED, append_one(fixture, &fixture->hold, 4));
}

/* Its answer was lost: whoever runs it again finds the number taken by its own entry. */
static void a_taking_that_is_repeated_is_made_once(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t next = fixture_assign(fixture, &fixture->hold, incarnation_of(2));
    assert_ok(take(fixture, fixture->store, &next, 2));
    fixture_reconnect(fixture);
    assert_error(FABRIC_ERROR_STORE_REJECTED, take(fixture, fixture->store, &next, 2));
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, 1);
    assert_true(incarnation_equal(fixture->entries.items[0].incarnation, next.holder));
    assert_int_equal(fixture->entries.items[0].checksum, adopt_of(&next, 2).checksum);
}

/* An adopter is killed and begins again, or its successor begins: each only adds its own ADOPT
 * entry. */
static void two_adopters_in_turn_take_the_lane_one_after_the_other(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 1);
    store_hold_t first = fixture_assign(fixture, &fixture->hold, incarnation_of(2));
    assert_ok(take(fixture, fixture->store, &first, 3));
    store_hold_t second = fixture_assign(fixture, &first, incarnation_of(3));
    assert_error(FABRIC_ERROR_FENCED, take(fixture, fixture->store, &first, 4));
    assert_error(FABRIC_ERROR_STORE_REJECTED, take(fixture, fixture->store, &second, 3));
    assert_ok(take(fixture, fixture->store, &second, 4));
    assert_error(FABRIC_ERROR_STORE_REJECTED, append_one(fixture, &first, 4));
    assert_error(FABRIC_ERROR_FENCED, put_rows(fixture, &first, 7, 1, 1));
    store_hold_t third = fixture_assign(fixture, &second, incarnation_of(2));
    assert_error(FABRIC_ERROR_FENCED, take(fixture, fixture->store, &first, 5));
    assert_ok(take(fixture, fixture->store, &third, 5));
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, 4);
    for (size_t i = 1; i < 4; i++) {
        assert_true(fixture->entries.items[i].adopt);
        assert_int_equal(fixture->entries.items[i].epoch, i + 1);
    }
}

/* A holder that gave its lane up appends nothing more; if it does all the same, the next ADOPT
 * entry decides. */
static void release_followed_by_one_more_append(void **state)
{
    store_fixture_t *fixture = *state;
    assert_ok(fixture->driver->lane_give_up(fixture->store, &fixture->hold));
    store_hold_t nobody = {.lane = 0, .epoch = 1};
    store_hold_t next = fixture_take_over(fixture, &nobody, incarnation_of(2), 2);
    assert_error(FABRIC_ERROR_STORE_REJECTED, append_one(fixture, &fixture->hold, 2));
    assert_error(FABRIC_ERROR_FENCED, take(fixture, fixture->store, &fixture->hold, 3));
    assert_int_equal(newest_entry(fixture, 0), 2);
    assert_ok(append_one(fixture, &next, 3));
}

int store_suite_adoption(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(the_adopt_entry_is_stored_as_such),
        FOUNDED_TEST(where_the_number_is_taken_the_taker_reads_on),
        FOUNDED_TEST(a_taking_that_is_repeated_is_made_once),
        FOUNDED_TEST(two_adopters_in_turn_take_the_lane_one_after_the_other),
        FOUNDED_TEST(release_followed_by_one_more_append),
    };
    return cmocka_run_group_tests_name("adoption", tests, NULL, NULL);
}
