/* The store suite: deleting old entries, and the mark that says so. */
#include "tests/conformance/store_fixture.h"

/* Entries 2 to 11 on lane 0, with a checkpoint at `number`. */
static void write_ten(store_fixture_t *fixture, uint64_t number)
{
    append_some(fixture, &fixture->hold, 2, 10);
    store_slice_t slice = {.begun = number, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
}

static store_purged_t purge(store_fixture_t *fixture, const store_purge_t *wanted)
{
    store_purged_t purged = {.entries = 4711};
    assert_ok(fixture->driver->purge(fixture->store, &fixture->hold, wanted, &purged));
    return purged;
}

static void assert_mark(store_fixture_t *fixture, uint64_t id, int64_t ms)
{
    store_lane_t row = lane_row(fixture, 0);
    assert_int_equal(row.purged_id, id);
    assert_int_equal(row.purged_ms, ms);
}

static void old_entries_are_deleted_and_the_mark_says_so(void **state)
{
    store_fixture_t *fixture = *state;
    write_ten(fixture, 11);
    store_purge_t wanted = {.before = 11, .created_before_ms = 5000, .entries_max = 100};
    store_purged_t purged = purge(fixture, &wanted);
    assert_int_equal(purged.entries, 3); /* 2, 3, 4: created at 2000, 3000, 4000 */
    assert_int_equal(purged.bytes, 3 * 20);
    assert_mark(fixture, 400, 4000);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 5, 1, 7);
    /* Nothing more: the mark stays. */
    purged = purge(fixture, &wanted);
    assert_int_equal(purged.entries, 0);
    assert_int_equal(purged.bytes, 0);
    assert_mark(fixture, 400, 4000);
    assert_int_equal(lane_row(fixture, 1).purged_id, 0);
}

static void entries_before_so_many_bytes_are_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    write_ten(fixture, 11);
    /* Log bytes are 20 for each number. */
    store_purge_t wanted = {.before = 11, .log_bytes_before = 100, .entries_max = 100};
    assert_int_equal(purge(fixture, &wanted).entries, 3);
    assert_mark(fixture, 400, 4000);
    wanted = (store_purge_t){
        .before = 11, .created_before_ms = 7000, .log_bytes_before = 120, .entries_max = 100};
    assert_int_equal(purge(fixture, &wanted).entries, 2); /* 5; and 6 for its time */
    assert_mark(fixture, 600, 6000);
    wanted = (store_purge_t){.before = 11, .entries_max = 100};
    assert_int_equal(purge(fixture, &wanted).entries, 0);
}

static void a_purge_deletes_at_most_so_many(void **state)
{
    store_fixture_t *fixture = *state;
    write_ten(fixture, 11);
    store_purge_t wanted = {.before = 11, .created_before_ms = INT64_MAX, .entries_max = 4};
    assert_int_equal(purge(fixture, &wanted).entries, 4);
    assert_mark(fixture, 500, 5000);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 6, 1, 6);
    assert_int_equal(purge(fixture, &wanted).entries, 4);
    assert_int_equal(purge(fixture, &wanted).entries, 1);
    assert_mark(fixture, 1000, 10000);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 11, 1, 1);
}

static void a_purge_ends_when_enough_bytes_are_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    write_ten(fixture, 11);
    store_purge_t wanted = {
        .before = 11, .created_before_ms = INT64_MAX, .entries_max = 100, .bytes_max = 40};
    assert_int_equal(purge(fixture, &wanted).entries, 3); /* log bytes 40, 60 and 80 */
    assert_mark(fixture, 400, 4000);
    wanted.bytes_max = 1;
    assert_int_equal(purge(fixture, &wanted).entries, 2); /* log bytes 100 and 120 */
    wanted.bytes_max = 1000;
    assert_int_equal(purge(fixture, &wanted).entries, 4);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 11, 1, 1);
}

static void nothing_from_the_bound_on_is_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    write_ten(fixture, 11);
    store_purge_t wanted = {.before = 6, .created_before_ms = INT64_MAX, .entries_max = 100};
    assert_int_equal(purge(fixture, &wanted).entries, 4);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 6, 1, 6);
    assert_mark(fixture, 500, 5000);
}

/* Whatever the caller asks: the newest entry says where the journal ends, and what is above the
 * checkpoint is nowhere else. */
static void the_newest_entry_and_those_above_the_checkpoint_stay(void **state)
{
    store_fixture_t *fixture = *state;
    write_ten(fixture, 7);
    store_purge_t greedy = {.before = INT64_MAX,
                            .created_before_ms = INT64_MAX,
                            .log_bytes_before = INT64_MAX,
                            .entries_max = 1000};
    assert_int_equal(purge(fixture, &greedy).entries, 5);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 7, 1, 5);
    assert_mark(fixture, 600, 6000);
    store_slice_t slice = {.begun = 11, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(purge(fixture, &greedy).entries, 4);
    assert_int_equal(newest_entry(fixture, 0), 11);
    assert_mark(fixture, 1000, 10000);
}

static void an_adopt_entry_is_never_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 3);
    store_hold_t next = fixture_take_over(fixture, &fixture->hold, incarnation_of(2), 5);
    append_some(fixture, &next, 6, 3);
    store_slice_t slice = {.begun = 8, .last = true};
    assert_ok(write_slice(fixture, &next, &slice));
    store_purge_t wanted = {.before = 8,
                            .created_before_ms = INT64_MAX,
                            .log_bytes_before = INT64_MAX,
                            .entries_max = 100};
    store_purged_t purged;
    assert_ok(fixture->driver->purge(fixture->store, &next, &wanted, &purged));
    assert_int_equal(purged.entries, 5); /* 2, 3, 4, 6, 7 */
    read_entries(fixture, 0, 0);
    assert_int_equal(fixture->entries.count, 4);
    assert_int_equal(fixture->entries.items[0].number, 0);
    assert_int_equal(fixture->entries.items[1].number, 1);
    assert_int_equal(fixture->entries.items[2].number, 5);
    assert_int_equal(fixture->entries.items[3].number, 8);
    assert_mark(fixture, 700, 7000);
    /* ADOPT entries alone: nothing to do. */
    assert_ok(fixture->driver->purge(fixture->store, &next, &wanted, &purged));
    assert_int_equal(purged.entries, 0);
}

/* Clocks of two holders differ: entries are deleted from the oldest on all the same, up to the
 * first that is to stay. */
static void entries_are_deleted_from_the_oldest_on(void **state)
{
    store_fixture_t *fixture = *state;
    static const int64_t created_ms[] = {5000, 9000, 4000, 8000, 3000};
    for (uint64_t i = 0; i < 5; i++) {
        store_entry_t entry = entry_of(&fixture->hold, 2 + i);
        entry.created_ms = created_ms[i];
        entry.last_id = 900 - 100 * i; /* nor do ids grow with numbers */
        assert_ok(fixture->driver->append(fixture->store, &entry, 1));
    }
    append_some(fixture, &fixture->hold, 7, 1);
    store_slice_t slice = {.begun = 7, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    store_purge_t wanted = {.before = 7, .created_before_ms = 6000, .entries_max = 100};
    assert_int_equal(purge(fixture, &wanted).entries, 1);
    assert_mark(fixture, 900, 5000);
    wanted.created_before_ms = 9500;
    assert_int_equal(purge(fixture, &wanted).entries, 4);
    /* The mark has the largest of each. */
    assert_mark(fixture, 900, 9000);
}

static void the_mark_never_sinks(void **state)
{
    store_fixture_t *fixture = *state;
    write_ten(fixture, 11);
    store_purge_t wanted = {.before = 11, .created_before_ms = INT64_MAX, .entries_max = 100};
    assert_int_equal(purge(fixture, &wanted).entries, 9);
    assert_mark(fixture, 1000, 10000);
    store_entry_t entry = entry_of(&fixture->hold, 12);
    entry.last_id = 5;
    entry.created_ms = 5;
    assert_ok(fixture->driver->append(fixture->store, &entry, 1));
    append_some(fixture, &fixture->hold, 13, 1);
    store_slice_t slice = {.begun = 13, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    wanted.before = 13;
    assert_int_equal(purge(fixture, &wanted).entries, 2); /* 11 and 12 */
    assert_mark(fixture, 1100, 11000);
}

/* More entries than any page of the adapter holds. */
static void many_entries_are_purged_at_once(void **state)
{
    store_fixture_t *fixture = *state;
    store_entry_t entries[STORE_APPEND_ENTRIES_MAX];
    for (uint64_t first = 2; first < 802; first += STORE_APPEND_ENTRIES_MAX) {
        for (size_t i = 0; i < STORE_APPEND_ENTRIES_MAX; i++) {
            entries[i] = entry_of(&fixture->hold, first + i);
        }
        assert_ok(fixture->driver->append(fixture->store, entries, STORE_APPEND_ENTRIES_MAX));
    }
    store_slice_t slice = {.begun = 801, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    store_purge_t wanted = {.before = 701, .created_before_ms = INT64_MAX, .entries_max = 500};
    assert_int_equal(purge(fixture, &wanted).entries, 500);
    assert_mark(fixture, 50100, 501000);
    assert_int_equal(purge(fixture, &wanted).entries, 199);
    assert_mark(fixture, 70000, 700000);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 701, 1, 101);
}

int store_suite_purge(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(old_entries_are_deleted_and_the_mark_says_so),
        FOUNDED_TEST(entries_before_so_many_bytes_are_deleted),
        FOUNDED_TEST(a_purge_deletes_at_most_so_many),
        FOUNDED_TEST(a_purge_ends_when_enough_bytes_are_deleted),
        FOUNDED_TEST(nothing_from_the_bound_on_is_deleted),
        FOUNDED_TEST(the_newest_entry_and_those_above_the_checkpoint_stay),
        FOUNDED_TEST(an_adopt_entry_is_never_deleted),
        FOUNDED_TEST(entries_are_deleted_from_the_oldest_on),
        FOUNDED_TEST(the_mark_never_sinks),
        FOUNDED_TEST(many_entries_are_purged_at_once),
    };
    return cmocka_run_group_tests_name("purge", tests, NULL, NULL);
}
