/* The store suite: reading journals, forwards for adoption and backwards for look-ups. */
#include "tests/conformance/store_fixture.h"

#include <pthread.h>

typedef fabric_error_t read_fn(store_t *store, uint32_t lane, uint64_t at, store_entry_part_t part,
                               uint32_t entries_max, uint64_t bytes_max,
                               store_visit_entry_fn *visit, void *context);

/* Reads over the second connection, and returns how many entries came. */
static size_t read_some(store_fixture_t *fixture, read_fn *read, uint64_t at, uint32_t entries_max,
                        uint64_t bytes_max)
{
    forget_entries(fixture);
    assert_ok(read(fixture->second, 0, at, STORE_ENTRY_ALL, entries_max, bytes_max, collect_entry,
                   fixture));
    return fixture->entries.count;
}

static void entries_are_read_from_a_number_on(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 8);
    append_some(fixture, &fixture->hold_1, 2, 2);
    read_entries(fixture, 0, 0);
    assert_numbers(fixture, 0, 1, 10);
    read_entries(fixture, 0, 4);
    assert_numbers(fixture, 4, 1, 6);
    read_entries(fixture, 0, 9);
    assert_numbers(fixture, 9, 1, 1);
    read_entries(fixture, 0, 10);
    assert_int_equal(fixture->entries.count, 0);
    read_entries(fixture, 1, 0);
    assert_numbers(fixture, 0, 1, 4);
}

static void entries_are_read_from_a_number_down(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 8);
    append_some(fixture, &fixture->hold_1, 2, 2);
    read_entries_back(fixture, 0, INT64_MAX);
    assert_numbers(fixture, 9, -1, 10);
    read_entries_back(fixture, 0, UINT64_MAX);
    assert_numbers(fixture, 9, -1, 10);
    read_entries_back(fixture, 0, 4);
    assert_numbers(fixture, 4, -1, 5);
    read_entries_back(fixture, 0, 0);
    assert_numbers(fixture, 0, -1, 1);
    read_entries_back(fixture, 1, 100);
    assert_numbers(fixture, 3, -1, 4);
    read_entries_back(fixture, FIXTURE_LANES, 100);
    assert_int_equal(fixture->entries.count, 0);
}

static void only_the_wanted_parts_are_read(void **state)
{
    store_fixture_t *fixture = *state;
    read_fn *reads[] = {fixture->driver->read_journal, fixture->driver->read_journal_back};
    append_some(fixture, &fixture->hold, 2, 1);
    store_entry_t expected = entry_of(&fixture->hold, 2);
    for (int part = STORE_ENTRY_ALL; part >= STORE_ENTRY_HEAD; part--) {
        expected.body = part == STORE_ENTRY_ALL ? expected.body : fabric_bytes(NULL, 0);
        expected.calls = part == STORE_ENTRY_HEAD ? fabric_bytes(NULL, 0) : expected.calls;
        for (size_t i = 0; i < 2; i++) {
            forget_entries(fixture);
            assert_ok(reads[i](fixture->second, 0, 2, (store_entry_part_t)part, 1, UINT64_MAX,
                               collect_entry, fixture));
            assert_int_equal(fixture->entries.count, 1);
            assert_same_entry(&fixture->entries.items[0], &expected);
        }
    }
}

static void a_read_ends_at_its_limits(void **state)
{
    store_fixture_t *fixture = *state;
    read_fn *forth = fixture->driver->read_journal;
    read_fn *back = fixture->driver->read_journal_back;
    append_some(fixture, &fixture->hold, 2, 98);
    assert_int_equal(read_some(fixture, forth, 2, 5, UINT64_MAX), 5);
    assert_numbers(fixture, 2, 1, 5);
    assert_int_equal(read_some(fixture, back, 99, 5, UINT64_MAX), 5);
    assert_numbers(fixture, 99, -1, 5);
    assert_int_equal(read_some(fixture, forth, 2, UINT32_MAX, UINT64_MAX), 98);
    /* An entry has 20 bytes. A reader gets at least one, and about as many as it asked for. */
    assert_int_equal(read_some(fixture, forth, 2, 1000, 1), 1);
    assert_int_equal(read_some(fixture, back, 99, 1000, 1), 1);
    assert_in_range(read_some(fixture, forth, 2, 1000, 200), 10, 11);
    assert_in_range(read_some(fixture, back, 99, 1000, 200), 10, 11);
}

typedef struct picky {
    size_t visited;
    size_t enough;
} picky_t;

static bool visit_until_enough(void *context, const store_entry_t *entry)
{
    picky_t *picky = context;
    (void)entry;
    return ++picky->visited < picky->enough;
}

static void a_read_ends_when_its_visitor_has_enough(void **state)
{
    store_fixture_t *fixture = *state;
    read_fn *reads[] = {fixture->driver->read_journal, fixture->driver->read_journal_back};
    append_some(fixture, &fixture->hold, 2, 50);
    for (size_t i = 0; i < 2; i++) {
        for (size_t enough = 1; enough < 4; enough++) {
            picky_t picky = {.enough = enough};
            assert_ok(reads[i](fixture->second, 0, 40, STORE_ENTRY_ALL, 1000, UINT64_MAX,
                               visit_until_enough, &picky));
            assert_int_equal(picky.visited, enough);
        }
        /* The connection is of use afterwards. */
        assert_int_equal(read_some(fixture, reads[i], 40, 3, UINT64_MAX), 3);
    }
}

/* Missing numbers are not read over in silence: the reader sees both sides of the gap. */
static void a_gap_is_seen(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 2);
    append_some(fixture, &fixture->hold, 7, 2);
    read_entries(fixture, 0, 2);
    assert_int_equal(fixture->entries.count, 4);
    assert_int_equal(fixture->entries.items[1].number, 3);
    assert_int_equal(fixture->entries.items[2].number, 7);
    read_entries_back(fixture, 0, 6);
    assert_numbers(fixture, 3, -1, 4);
}

/* ---- while the lane goes on ---- */

typedef struct going_on {
    store_fixture_t *fixture;
    uint64_t upto;
    bool ended; /* atomic; then also: */
    fabric_error_t error;
} going_on_t;

/* Appends, checkpoints and purges. */
static void *go_on(void *context)
{
    going_on_t *going = context;
    store_fixture_t *fixture = going->fixture;
    const store_driver_t *driver = fixture->driver;
    uint64_t checkpoint = 0;
    for (uint64_t number = 2; number < going->upto && !going->error; number++) {
        store_entry_t entry = entry_of(&fixture->hold, number);
        going->error = driver->append(fixture->store, &entry, 1);
        if (!going->error && number % 10 == 0) {
            store_slice_t slice = {.settled = checkpoint, .begun = number, .last = true};
            store_purge_t purge = {.before = number > 20 ? number - 20 : 0,
                                   .created_before_ms = INT64_MAX,
                                   .entries_max = 1000};
            store_purged_t purged;
            going->error = driver->checkpoint(fixture->store, &fixture->hold, &slice);
            checkpoint = number;
            going->error = going->error
                               ? going->error
                               : driver->purge(fixture->store, &fixture->hold, &purge, &purged);
        }
    }
    __atomic_store_n(&going->ended, true, __ATOMIC_RELEASE);
    return NULL;
}

/* A look-up reads the purged mark after the entries: what it did not find is at most as old as
 * the mark. */
static bool no_entry_missed(store_fixture_t *fixture)
{
    read_entries_back(fixture, 0, INT64_MAX);
    uint64_t purged_id = lane_row(fixture, 0).purged_id;
    const found_entries_t *found = &fixture->entries;
    for (size_t i = 1; i < found->count; i++) {
        uint64_t newer = found->items[i - 1].number;
        uint64_t older = found->items[i].number;
        if (older >= newer || (older + 1 < newer && 100 * (newer - 1) > purged_id)) {
            return false;
        }
    }
    return found->count > 0 && found->items[found->count - 1].number == 0;
}

static void a_look_up_overlaps_with_appends_checkpoints_and_purges(void **state)
{
    store_fixture_t *fixture = *state;
    going_on_t going = {.fixture = fixture, .upto = 300};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, go_on, &going), 0);
    uint64_t newest = 0;
    bool sound = true;
    while (!__atomic_load_n(&going.ended, __ATOMIC_ACQUIRE) && sound) {
        sound = no_entry_missed(fixture) && fixture->entries.items[0].number >= newest;
        newest = fixture->entries.items[0].number;
    }
    pthread_join(thread, NULL);
    assert_ok(going.error);
    assert_true(sound);
    assert_true(no_entry_missed(fixture));
    assert_int_equal(fixture->entries.items[0].number, going.upto - 1);
}

int store_suite_lookup(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(entries_are_read_from_a_number_on),
        FOUNDED_TEST(entries_are_read_from_a_number_down),
        FOUNDED_TEST(only_the_wanted_parts_are_read),
        FOUNDED_TEST(a_read_ends_at_its_limits),
        FOUNDED_TEST(a_read_ends_when_its_visitor_has_enough),
        FOUNDED_TEST(a_gap_is_seen),
        FOUNDED_TEST(a_look_up_overlaps_with_appends_checkpoints_and_purges),
    };
    return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
