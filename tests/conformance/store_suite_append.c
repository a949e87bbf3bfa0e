/* The store suite: appending entries, and what a taken number means. */
#include "tests/conformance/store_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static void test_ms_04_entries_come_back_as_they_were(void **state)
{
    store_fixture_t *fixture = *state;
    static uint8_t all_bytes[256];
    for (size_t i = 0; i < sizeof all_bytes; i++) {
        all_bytes[i] = (uint8_t)i;
    }
    store_entry_t entries[3] = {entry_of(&fixture->hold, 2), entry_of(&fixture->hold, 3),
                                entry_of(&fixture->hold, 4)};
    entries[1].calls = fabric_bytes(all_bytes, sizeof all_bytes);
    entries[1].body = fabric_bytes(all_bytes, sizeof all_bytes);
    entries[1].epoch = (UINT64_C(1) << 62) + 1;
    entries[1].last_id = (UINT64_C(1) << 62) + 3;
    entries[1].log_bytes = (UINT64_C(1) << 62) + 5;
    entries[1].checksum = UINT64_MAX;
    entries[1].created_ms = INT64_MAX;
    entries[2].calls = fabric_bytes(NULL, 0);
    entries[2].body = fabric_bytes(NULL, 0);
    entries[2].checksum = 0;
    assert_ok(fixture->driver->append(fixture->store, entries, 3));
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_same_entry(&fixture->entries.items[i], &entries[i]);
    }
}

static void large_entries_come_back_as_they_were(void **state)
{
    store_fixture_t *fixture = *state;
    size_t size = 4u << 20; /* a record of the largest size, with what stands around it */
    uint8_t *large = memory_allocate(size);
    for (size_t i = 0; i < size; i++) {
        large[i] = (uint8_t)(i * 7 + (i >> 11));
    }
    store_entry_t entries[2] = {entry_of(&fixture->hold, 2), entry_of(&fixture->hold_1, 2)};
    entries[0].body = fabric_bytes(large, size);
    entries[0].calls = fabric_bytes(large, 100000);
    entries[1].body = fabric_bytes(large, 2u << 20);
    fabric_error_t error = fixture->driver->append(fixture->store, entries, 2);
    read_entries(fixture, 0, 2);
    bool same = fixture->entries.count == 1 && fixture->entries.items[0].body.size == size &&
                memcmp(fixture->entries.items[0].body.data, large, size) == 0 &&
                fixture->entries.items[0].calls.size == 100000;
    free(large);
    assert_ok(error);
    assert_true(same);
    read_entries(fixture, 1, 2);
    assert_int_equal(fixture->entries.items[0].body.size, 2u << 20);
}

static void one_append_writes_to_several_lanes(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t third = {.lane = 2, .holder = incarnation_of(9), .epoch = 3};
    store_entry_t entries[STORE_APPEND_ENTRIES_MAX];
    const store_hold_t *holds[] = {&fixture->hold, &third, &fixture->hold_1};
    for (size_t i = 0; i < STORE_APPEND_ENTRIES_MAX; i++) {
        entries[i] = entry_of(holds[i % 3], 2 + i / 3);
    }
    assert_ok(fixture->driver->append(fixture->store, entries, STORE_APPEND_ENTRIES_MAX));
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, (STORE_APPEND_ENTRIES_MAX + 2) / 3);
    read_entries(fixture, 2, 2);
    assert_numbers(fixture, 2, 1, (STORE_APPEND_ENTRIES_MAX + 1) / 3);
    assert_same_entry(&fixture->entries.items[0], &entries[1]);
    read_entries(fixture, 1, 2);
    assert_numbers(fixture, 2, 1, STORE_APPEND_ENTRIES_MAX / 3);
}

/* Every number of entries in one statement. */
static void an_append_of_any_size_is_written_whole(void **state)
{
    store_fixture_t *fixture = *state;
    uint64_t next = 2;
    for (size_t count = 1; count <= STORE_APPEND_ENTRIES_MAX; count++) {
        store_entry_t entries[STORE_APPEND_ENTRIES_MAX];
        for (size_t i = 0; i < count; i++) {
            entries[i] = entry_of(&fixture->hold, next + i);
        }
        assert_ok(fixture->driver->append(fixture->store, entries, count));
        next += count;
    }
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, next - 2);
}

static void a_taken_number_refuses_the_whole_append(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold_1, 2, 1);
    store_entry_t entries[] = {entry_of(&fixture->hold, 2), entry_of(&fixture->hold_1, 2),
                               entry_of(&fixture->hold, 3)};
    for (size_t place = 0; place < 3; place++) {
        store_entry_t order[3] = {entries[place], entries[(place + 1) % 3],
                                  entries[(place + 2) % 3]};
        assert_error(FABRIC_ERROR_STORE_REJECTED,
                     fixture->driver->append(fixture->store, order, 3));
        assert_int_equal(newest_entry(fixture, 0), 1);
        assert_int_equal(newest_entry(fixture, 1), 2);
    }
    store_entry_t twice[2] = {entries[0], entries[0]};
    assert_error(FABRIC_ERROR_STORE_REJECTED, fixture->driver->append(fixture->store, twice, 2));
    assert_int_equal(newest_entry(fixture, 0), 1);
    /* The rest again. */
    store_entry_t rest[2] = {entries[0], entries[2]};
    assert_ok(fixture->driver->append(fixture->store, rest, 2));
    assert_int_equal(newest_entry(fixture, 0), 3);
}

/* Its answer was lost, and it had landed: the writer finds its own entry by incarnation, number
 * and checksum. */
static void the_identical_append_again_finds_its_own_entry(void **state)
{
    store_fixture_t *fixture = *state;
    store_entry_t entries[] = {entry_of(&fixture->hold, 2), entry_of(&fixture->hold_1, 2)};
    assert_ok(fixture->driver->append(fixture->store, entries, 2));
    fixture_reconnect(fixture);
    assert_error(FABRIC_ERROR_STORE_REJECTED, fixture->driver->append(fixture->store, entries, 2));
    for (size_t i = 0; i < 2; i++) {
        forget_entries(fixture);
        assert_ok(fixture->driver->read_journal(fixture->store, entries[i].lane, 2,
                                                STORE_ENTRY_HEAD, 1, UINT64_MAX, collect_entry,
                                                fixture));
        assert_numbers(fixture, 2, 1, 1);
        const store_entry_t *own = &fixture->entries.items[0];
        assert_true(incarnation_equal(own->incarnation, entries[i].incarnation));
        assert_int_equal(own->checksum, entries[i].checksum);
    }
}

static void a_writer_that_wakes_after_its_lane_was_taken_writes_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 2);
    store_hold_t next = fixture_take_over(fixture, &fixture->hold, incarnation_of(2), 4);
    store_entry_t late[] = {entry_of(&fixture->hold, 4), entry_of(&fixture->hold, 5),
                            entry_of(&fixture->hold_1, 2)};
    assert_error(FABRIC_ERROR_STORE_REJECTED, fixture->driver->append(fixture->store, late, 3));
    assert_int_equal(newest_entry(fixture, 0), 4);
    assert_int_equal(newest_entry(fixture, 1), 1);
    append_some(fixture, &next, 5, 2);
    assert_error(FABRIC_ERROR_STORE_REJECTED, fixture->driver->append(fixture->store, late, 3));
    read_entries(fixture, 0, 4);
    assert_numbers(fixture, 4, 1, 3);
    assert_true(fixture->entries.items[0].adopt);
    for (size_t i = 0; i < 3; i++) {
        assert_true(incarnation_equal(fixture->entries.items[i].incarnation, next.holder));
    }
    /* The lanes that are still its own go on. */
    assert_ok(append_one(fixture, &fixture->hold_1, 2));
}

static store_anchor_t anchor_at(const store_entry_t *entry)
{
    return (store_anchor_t){entry->lane, entry->number, entry->checksum};
}

/* Every number of entries in one statement, after an entry of the same lane, or of another one. */
static void an_append_needs_its_anchor(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold_1, 2, 1);
    store_entry_t other = entry_of(&fixture->hold_1, 2);
    store_anchor_t anchor = anchor_at(&other);
    uint64_t next = 2;
    for (size_t count = 1; count <= STORE_APPEND_ENTRIES_MAX; count++) {
        store_entry_t entries[STORE_APPEND_ENTRIES_MAX];
        for (size_t i = 0; i < count; i++) {
            entries[i] = entry_of(&fixture->hold, next + i);
        }
        store_anchor_t absent[3] = {anchor, anchor, anchor};
        absent[0].lane = 2;
        absent[1].number += 1000;
        absent[2].checksum++;
        for (size_t i = 0; i < 3; i++) {
            assert_error(FABRIC_ERROR_FENCED,
                         fixture->driver->append_after(fixture->store, &absent[i], entries, count));
        }
        assert_int_equal(newest_entry(fixture, 0), next - 1);
        assert_ok(fixture->driver->append_after(fixture->store, &anchor, entries, count));
        next += count;
        anchor = anchor_at(&entries[count - 1]);
    }
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, next - 2);
    for (size_t i = 0; i < fixture->entries.count; i++) {
        store_entry_t entry = entry_of(&fixture->hold, 2 + i);
        assert_same_entry(&fixture->entries.items[i], &entry);
    }
}

static void an_append_with_its_anchor_is_refused_for_a_taken_number(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 1);
    store_entry_t entries[] = {entry_of(&fixture->hold_1, 2), entry_of(&fixture->hold, 2)};
    store_anchor_t anchor = anchor_at(&entries[1]);
    assert_error(FABRIC_ERROR_STORE_REJECTED,
                 fixture->driver->append_after(fixture->store, &anchor, entries, 2));
    assert_error(FABRIC_ERROR_STORE_REJECTED,
                 fixture->driver->append_after(fixture->store, &anchor, &entries[1], 1));
    assert_int_equal(newest_entry(fixture, 1), 1);
}

/* Between two appends on one connection, and the lane's row names the writer as before. */
static void an_older_copy_that_is_put_back_takes_no_append(void **state)
{
    store_fixture_t *fixture = *state;
    store_entry_t first[] = {entry_of(&fixture->hold, 2), entry_of(&fixture->hold_1, 2)};
    store_entry_t second[] = {entry_of(&fixture->hold, 3), entry_of(&fixture->hold_1, 3)};
    store_entry_t third[] = {entry_of(&fixture->hold, 4), entry_of(&fixture->hold_1, 4)};
    store_anchor_t anchors[] = {anchor_at(&first[0]), anchor_at(&second[0])};
    assert_ok(fixture->driver->append(fixture->store, first, 2));
    assert_true(fixture->suite->copy(fixture->url));
    assert_ok(fixture->driver->append_after(fixture->store, &anchors[0], second, 2));
    assert_true(fixture->suite->put_back(fixture->url, 1));
    assert_int_equal(lane_row(fixture, 0).epoch, fixture->hold.epoch);
    assert_int_equal(newest_entry(fixture, 0), 2);
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->append_after(fixture->store, &anchors[1], third, 2));
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->append_after(fixture->store, &anchors[1], &third[1], 1));
    assert_int_equal(newest_entry(fixture, 0), 2);
    assert_int_equal(newest_entry(fixture, 1), 2);
}

static void checkpoint_and_purge_below(store_fixture_t *fixture, const store_hold_t *hold,
                                       uint64_t number)
{
    store_slice_t slice = {.begun = number, .last = true};
    store_purge_t purge = {.before = number, .created_before_ms = INT64_MAX, .entries_max = 1000};
    store_purged_t purged;
    assert_ok(write_slice(fixture, hold, &slice));
    assert_ok(fixture->driver->purge(fixture->second, hold, &purge, &purged));
}

/* What was written after it is gone as well, but for the ADOPT entry, which stands in its way. */
static void a_writer_that_wakes_after_everything_was_purged_writes_nothing(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 2);
    store_hold_t next = fixture_take_over(fixture, &fixture->hold, incarnation_of(2), 4);
    append_some(fixture, &next, 5, 3);
    checkpoint_and_purge_below(fixture, &next, 7);
    read_entries(fixture, 0, 2);
    assert_int_equal(fixture->entries.count, 2); /* 4 and 7 */
    store_entry_t late[] = {entry_of(&fixture->hold, 4), entry_of(&fixture->hold, 5)};
    assert_error(FABRIC_ERROR_STORE_REJECTED, fixture->driver->append(fixture->store, late, 2));
    assert_error(FABRIC_ERROR_STORE_REJECTED, fixture->driver->append(fixture->store, late, 1));
    read_entries(fixture, 0, 2);
    assert_int_equal(fixture->entries.count, 2);
}

/* Its answer was lost, it had landed, and the successor has folded, checkpointed and purged it:
 * to the writer it is durable, and that is true. */
static void an_append_that_landed_and_was_purged_may_be_run_again(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 2);
    store_hold_t next = fixture_take_over(fixture, &fixture->hold, incarnation_of(2), 4);
    append_some(fixture, &next, 5, 1);
    checkpoint_and_purge_below(fixture, &next, 5);
    assert_ok(append_one(fixture, &fixture->hold, 3));
    store_lane_t row = lane_row(fixture, 0);
    assert_int_equal(row.number, 5);
    assert_int_equal(row.purged_id, 300);
    assert_int_equal(row.epoch, next.epoch); /* by which the writer sees that it is fenced */
    checkpoint_and_purge_below(fixture, &next, 5);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 4, 1, 2);
}

/* Only the key decides: an append reads no other table. */
static void an_append_does_not_wait_for_the_lanes_row(void **state)
{
    store_fixture_t *fixture = *state;
    store_hold_t next = fixture_assign(fixture, &fixture->hold, incarnation_of(2));
    assert_ok(append_one(fixture, &fixture->hold, 2));
    store_entry_t adopt = adopt_of(&next, 2);
    assert_error(FABRIC_ERROR_STORE_REJECTED,
                 fixture->driver->lane_take(fixture->second, &next, &adopt));
    adopt = adopt_of(&next, 3);
    assert_ok(fixture->driver->lane_take(fixture->second, &next, &adopt));
    assert_error(FABRIC_ERROR_STORE_REJECTED, append_one(fixture, &fixture->hold, 3));
}

int store_suite_append(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(test_ms_04_entries_come_back_as_they_were),
        FOUNDED_TEST(large_entries_come_back_as_they_were),
        FOUNDED_TEST(one_append_writes_to_several_lanes),
        FOUNDED_TEST(an_append_of_any_size_is_written_whole),
        FOUNDED_TEST(a_taken_number_refuses_the_whole_append),
        FOUNDED_TEST(the_identical_append_again_finds_its_own_entry),
        FOUNDED_TEST(an_append_needs_its_anchor),
        FOUNDED_TEST(an_append_with_its_anchor_is_refused_for_a_taken_number),
        FOUNDED_TEST(an_older_copy_that_is_put_back_takes_no_append),
        FOUNDED_TEST(a_writer_that_wakes_after_its_lane_was_taken_writes_nothing),
        FOUNDED_TEST(a_writer_that_wakes_after_everything_was_purged_writes_nothing),
        FOUNDED_TEST(an_append_that_landed_and_was_purged_may_be_run_again),
        FOUNDED_TEST(an_append_does_not_wait_for_the_lanes_row),
    };
    return cmocka_run_group_tests_name("append", tests, NULL, NULL);
}
