/* The store suite: slices of checkpoints. */
#include "tests/conformance/store_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static fabric_error_t checkpoint(store_fixture_t *fixture, const store_slice_t *slice)
{
    return write_slice(fixture, &fixture->hold, slice);
}

static void assert_lane(store_fixture_t *fixture, uint64_t number, uint64_t begun)
{
    store_lane_t row = lane_row(fixture, 0);
    assert_int_equal(row.number, number);
    assert_int_equal(row.begun, begun);
}

static void rows_come_back_as_they_were(void **state)
{
    store_fixture_t *fixture = *state;
    static uint8_t long_name[255];
    memset(long_name, 0xfe, sizeof long_name);
    store_pending_t rows[3] = {pending_of(10, 7), pending_of(11, 7), pending_of(12, 7)};
    rows[1].position = (UINT64_C(1) << 62) + 1;
    rows[1].id.value = (UINT64_C(1) << 62) + 2;
    rows[1].number = (UINT64_C(1) << 62) + 3;
    rows[1].shard = shard_id_make(LIMIT_GROUPS_MAX, LIMIT_SHARDS_PER_GROUP_MAX);
    rows[1].due_ms = INT64_MAX;
    rows[1].attempts = UINT32_MAX;
    rows[1].crashes = UINT32_MAX - 1;
    rows[1].type = rows[1].entity = rows[1].tag = fabric_bytes(long_name, sizeof long_name);
    rows[2].type = rows[2].entity = fabric_bytes("a\0b", 3);
    rows[2].tag = rows[2].body = fabric_bytes(NULL, 0);
    rows[2].due_ms = 1;
    store_slice_t slice = {.puts = rows, .put_count = 3, .begun = 2, .last = true};
    assert_ok(checkpoint(fixture, &slice));
    load_range(fixture, 0, 7, 0, INT64_MAX, 100);
    assert_int_equal(fixture->rows.count, 3);
    assert_same_row(&fixture->rows.items[0].row, &rows[0]);
    assert_same_row(&fixture->rows.items[1].row, &rows[2]);
    assert_same_row(&fixture->rows.items[2].row, &rows[1]);
    load_range(fixture, 1, 7, 0, INT64_MAX, 100);
    assert_int_equal(fixture->rows.count, 0);
}

static void a_put_replaces_the_whole_row(void **state)
{
    store_fixture_t *fixture = *state;
    store_pending_t row = pending_of(10, 7);
    row.due_ms = 12345;
    row.attempts = 3;
    store_slice_t slice = {.puts = &row, .put_count = 1, .begun = 2, .last = true};
    assert_ok(checkpoint(fixture, &slice));
    row = pending_of(10, 7);
    row.id.value = 99;
    row.shard = shard_id_make(2, 1);
    row.number = 3;
    row.crashes = 2;
    row.type = bytes_of("other type");
    row.entity = bytes_of("other entity");
    row.tag = bytes_of("other tag");
    row.body = bytes_of("a longer body than before");
    assert_ok(checkpoint(fixture, &slice));
    load_all(fixture, 0);
    assert_int_equal(fixture->rows.count, 1);
    assert_same_row(&fixture->rows.items[0].row, &row);
    list_backlogs(fixture, 0);
    assert_int_equal(fixture->backlog_count, 1);
}

static void amendments_change_counts_and_number_only(void **state)
{
    store_fixture_t *fixture = *state;
    store_pending_t expected = pending_of(10, 7);
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 3));
    store_amendment_t amendments[] = {
        {.key = {7, 10}, .number = 5, .attempts = 4, .crashes = 2},
        {.key = {7, 12}, .number = 6, .attempts = 0, .crashes = UINT32_MAX},
        {.key = {7, 77}, .number = 6, .attempts = 1}, /* there is no such row, */
        {.key = {8, 11}, .number = 6, .attempts = 1}, /* nor this one */
    };
    store_slice_t slice = {
        .amendments = amendments, .amendment_count = 4, .begun = 6, .last = true};
    assert_ok(checkpoint(fixture, &slice));
    load_all(fixture, 0);
    assert_positions(fixture, 10, 3);
    expected.number = 5;
    expected.attempts = 4;
    expected.crashes = 2;
    assert_same_row(&fixture->rows.items[0].row, &expected);
    expected = pending_of(11, 7);
    assert_same_row(&fixture->rows.items[1].row, &expected);
    assert_int_equal(fixture->rows.items[2].row.crashes, UINT32_MAX);
    assert_int_equal(fixture->rows.items[2].row.number, 6);
}

static void deletes_delete_what_is_there(void **state)
{
    store_fixture_t *fixture = *state;
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 5));
    assert_ok(put_rows(fixture, &fixture->hold_1, 7, 10, 5));
    store_row_key_t deletes[] = {{7, 13}, {7, 99}, {6, 11}, {7, 10}, {8, 12}, {7, 14}};
    store_slice_t slice = {.deletes = deletes, .delete_count = 6, .begun = 3, .last = true};
    for (int times = 0; times < 2; times++) {
        assert_ok(checkpoint(fixture, &slice));
        load_all(fixture, 0);
        assert_positions(fixture, 11, 2);
    }
    load_all(fixture, 1);
    assert_positions(fixture, 10, 5);
}

static void dead_letters_are_stored_and_replaced(void **state)
{
    store_fixture_t *fixture = *state;
    store_dead_row_t rows[2] = {dead_of(10), dead_of(11)};
    store_dead_row_t found;
    static char text[2048];
    memset(text, 't', sizeof text);
    rows[1].text = fabric_bytes(text, sizeof text);
    rows[1].entity = fabric_bytes("a\0b", 3);
    rows[1].ended_ms = INT64_MAX;
    store_slice_t slice = {.dead = rows, .dead_count = 2, .begun = 3, .last = true};
    for (int times = 0; times < 2; times++) {
        assert_ok(checkpoint(fixture, &slice));
        for (size_t i = 0; i < 2; i++) {
            assert_true(fixture->suite->dead_letter(fixture->url, 0, rows[i].id, &found));
            assert_int_equal(found.id.value, rows[i].id.value);
            assert_int_equal(found.shard.value, rows[i].shard.value);
            assert_int_equal(found.number, rows[i].number);
            assert_int_equal(found.ended_ms, rows[i].ended_ms);
            assert_int_equal(found.error, rows[i].error);
            assert_int_equal(found.attempts, rows[i].attempts);
            assert_same_bytes(found.type, rows[i].type);
            assert_same_bytes(found.entity, rows[i].entity);
            assert_same_bytes(found.tag, rows[i].tag);
            assert_same_bytes(found.text, rows[i].text);
            assert_same_bytes(found.body, rows[i].body);
        }
        rows[0].attempts = 11;
        rows[0].number = 4;
        rows[0].text = bytes_of("another cause");
    }
    assert_false(fixture->suite->dead_letter(fixture->url, 1, rows[0].id, &found));
}

/* A message dies: its row and its dead letter change places in one transaction. */
static void one_slice_does_all_of_its_changes(void **state)
{
    store_fixture_t *fixture = *state;
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 3));
    store_pending_t put = pending_of(20, 8);
    store_amendment_t amendment = {.key = {7, 11}, .number = 3, .attempts = 1};
    store_row_key_t deleted = {7, 10};
    store_dead_row_t dead = dead_of(10);
    store_slice_t slice = {.puts = &put,
                           .put_count = 1,
                           .amendments = &amendment,
                           .amendment_count = 1,
                           .deletes = &deleted,
                           .delete_count = 1,
                           .dead = &dead,
                           .dead_count = 1,
                           .begun = 3,
                           .last = true};
    for (int times = 0; times < 2; times++) {
        assert_ok(checkpoint(fixture, &slice));
        load_all(fixture, 0);
        assert_int_equal(fixture->rows.count, 3);
        assert_int_equal(fixture->rows.items[0].row.position, 11);
        assert_int_equal(fixture->rows.items[0].row.attempts, 1);
        assert_int_equal(fixture->rows.items[2].row.position, 20);
        assert_true(fixture->suite->dead_letter(fixture->url, 0, dead.id, &dead));
        assert_lane(fixture, 3, 3);
        dead = dead_of(10);
    }
}

/* Only the last slice makes the rows complete; until then an adopter sees that a checkpoint was
 * cut off. */
static void the_number_is_raised_with_the_last_slice(void **state)
{
    store_fixture_t *fixture = *state;
    store_pending_t row = pending_of(10, 7);
    store_slice_t slice = {.puts = &row, .put_count = 1, .begun = 5};
    assert_lane(fixture, 0, 0);
    assert_ok(checkpoint(fixture, &slice));
    assert_lane(fixture, 0, 5);
    row = pending_of(11, 7);
    assert_ok(checkpoint(fixture, &slice));
    assert_lane(fixture, 0, 5);
    /* Cut off, twice in a row: the successor's checkpoint reaches further. */
    slice.begun = 8;
    row = pending_of(12, 7);
    assert_ok(checkpoint(fixture, &slice));
    assert_lane(fixture, 0, 8);
    slice = (store_slice_t){.begun = 9, .last = true};
    assert_ok(checkpoint(fixture, &slice));
    assert_lane(fixture, 9, 9);
    load_all(fixture, 0);
    assert_positions(fixture, 10, 3);
    assert_int_equal(lane_row(fixture, 1).number, 0);
}

static void a_successor_replaces_rows_of_a_checkpoint_that_was_cut_off(void **state)
{
    store_fixture_t *fixture = *state;
    store_pending_t row = pending_of(10, 7);
    store_slice_t slice = {.puts = &row, .put_count = 1, .begun = 5};
    row.attempts = 1;
    assert_ok(checkpoint(fixture, &slice));
    store_hold_t next = fixture_take_over(fixture, &fixture->hold, incarnation_of(2), 6);
    assert_error(FABRIC_ERROR_FENCED, checkpoint(fixture, &slice));
    row.number = 6;
    row.attempts = 2;
    slice.begun = 6;
    slice.last = true;
    assert_ok(write_slice(fixture, &next, &slice));
    assert_error(FABRIC_ERROR_FENCED, checkpoint(fixture, &slice));
    load_all(fixture, 0);
    assert_positions(fixture, 10, 1);
    assert_int_equal(fixture->rows.items[0].row.attempts, 2);
    assert_int_equal(fixture->rows.items[0].row.number, 6);
    assert_lane(fixture, 6, 6);
}

/* ---- an older copy of the database ---- */

/* What a slice of a checkpoint of this entry answers, which would delete the row of message 10 and
 * put one of message 20. */
static fabric_error_t replace_row(store_fixture_t *fixture, uint64_t settled, uint64_t begun,
                                  bool last)
{
    store_pending_t put = pending_of(20, 7);
    store_row_key_t deleted = {7, 10};
    store_slice_t slice = {.puts = &put,
                           .put_count = 1,
                           .deletes = &deleted,
                           .delete_count = 1,
                           .settled = settled,
                           .begun = begun,
                           .last = last};
    return fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice);
}

/* The copy has message 10, which is a row, and not the entry that says that it has ended. */
static void a_slice_needs_the_entry_that_it_is_to_reach(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 1);
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 1));
    assert_true(fixture->suite->copy(fixture->url));
    append_some(fixture, &fixture->hold, 3, 1);
    assert_true(fixture->suite->put_back(fixture->url, 1));
    for (int last = 0; last < 2; last++) {
        assert_error(FABRIC_ERROR_STORE_LOST, replace_row(fixture, 2, 3, last));
        assert_lane(fixture, 2, 2);
        load_all(fixture, 0);
        assert_positions(fixture, 10, 1);
    }
    append_some(fixture, &fixture->hold, 3, 1);
    assert_ok(replace_row(fixture, 2, 3, true));
}

/* Its rows are as of an entry above the one that the checkpoint is to reach. */
static void a_slice_needs_the_entries_that_its_rows_are_as_of(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 2);
    store_slice_t slice = {.begun = 2, .newest = 4};
    assert_error(FABRIC_ERROR_STORE_LOST,
                 fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice));
    assert_lane(fixture, 0, 0);
    slice.newest = 3;
    assert_ok(fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice));
    assert_lane(fixture, 0, 2);
}

/* The copy has all entries, but its rows are complete as of an earlier one than the writer's: what
 * that checkpoint wrote is only in the journal. */
static void a_slice_needs_the_checkpoint_before_it(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 3);
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 1));
    for (int last = 0; last < 2; last++) {
        assert_error(FABRIC_ERROR_STORE_LOST, replace_row(fixture, 3, 4, last));
        assert_lane(fixture, 2, 2);
        load_all(fixture, 0);
        assert_positions(fixture, 10, 1);
    }
}

static void a_slice_may_be_repeated_while_its_checkpoint_is_the_last_one(void **state)
{
    store_fixture_t *fixture = *state;
    append_some(fixture, &fixture->hold, 2, 3);
    assert_ok(replace_row(fixture, 0, 3, false));
    assert_ok(replace_row(fixture, 0, 3, false));
    for (int times = 0; times < 2; times++) {
        assert_ok(replace_row(fixture, 0, 3, true));
        assert_lane(fixture, 3, 3);
    }
    assert_ok(replace_row(fixture, 3, 4, true));
    assert_error(FABRIC_ERROR_STORE_LOST, replace_row(fixture, 0, 3, true));
    assert_lane(fixture, 4, 4);
}

/* ---- limits ---- */

static size_t count_of_entity(store_fixture_t *fixture, uint64_t entity)
{
    list_backlogs(fixture, 0);
    for (size_t i = 0; i < fixture->backlog_count; i++) {
        if (fixture->backlogs[i].entity_hash == entity) {
            return fixture->backlogs[i].count;
        }
    }
    return 0;
}

static void a_slice_may_have_as_many_rows_as_the_store_says(void **state)
{
    store_fixture_t *fixture = *state;
    size_t count = fixture->driver->slice_rows_max;
    assert_in_range(count, 100, STORE_SLICE_ROWS_MAX);
    store_amendment_t *amendments = memory_allocate_zeroed(count, sizeof *amendments);
    store_row_key_t *deletes = memory_allocate_zeroed(count, sizeof *deletes);
    store_dead_row_t *dead = memory_allocate_zeroed(count, sizeof *dead);
    for (size_t i = 0; i < count; i++) {
        amendments[i] = (store_amendment_t){.key = {7, 10 + i}, .number = 3, .attempts = 1};
        deletes[i] = (store_row_key_t){7, 10 + i};
        dead[i] = dead_of(10 + i);
    }
    store_slice_t amending = {.amendments = amendments, .amendment_count = count, .begun = 3};
    store_slice_t deleting = {.deletes = deletes, .delete_count = count, .begun = 3};
    store_slice_t burying = {.dead = dead, .dead_count = count, .begun = 3, .last = true};
    fabric_error_t put = put_rows(fixture, &fixture->hold, 7, 10, count);
    size_t rows = count_of_entity(fixture, 7);
    fabric_error_t amended = checkpoint(fixture, &amending);
    load_range(fixture, 0, 7, 0, INT64_MAX, UINT32_MAX);
    bool all_amended = fixture->rows.count == count;
    for (size_t i = 0; i < fixture->rows.count; i++) {
        all_amended = all_amended && fixture->rows.items[i].row.attempts == 1;
    }
    fabric_error_t deleted = checkpoint(fixture, &deleting);
    fabric_error_t buried = checkpoint(fixture, &burying);
    free(amendments);
    free(deletes);
    free(dead);
    assert_ok(put);
    assert_int_equal(rows, count);
    assert_ok(amended);
    assert_true(all_amended);
    assert_ok(deleted);
    assert_int_equal(count_of_entity(fixture, 7), 0);
    assert_ok(buried);
    store_dead_row_t found;
    assert_true(fixture->suite->dead_letter(fixture->url, 0, (request_id_t){10}, &found));
    assert_true(fixture->suite->dead_letter(fixture->url, 0, (request_id_t){9 + count}, &found));
}

/* Whatever the number of rows is: adapters write them in groups. */
static void slices_of_any_size_are_written_whole(void **state)
{
    store_fixture_t *fixture = *state;
    static const size_t counts[] = {1,  2,  3,  4,  5,  7,  8,   9,   15,  16, 17,
                                    31, 32, 33, 63, 64, 65, 127, 128, 129, 200};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint64_t first = 1000 * (i + 1);
        assert_ok(put_rows(fixture, &fixture->hold, i, first, counts[i]));
        load_range(fixture, 0, i, 0, INT64_MAX, UINT32_MAX);
        assert_positions(fixture, first, counts[i]);
        store_pending_t expected = pending_of(first + counts[i] - 1, i);
        assert_same_row(&fixture->rows.items[counts[i] - 1].row, &expected);
        store_row_key_t deletes[200];
        for (size_t j = 0; j < counts[i]; j++) {
            deletes[j] = (store_row_key_t){i, first + j};
        }
        store_slice_t slice = {.deletes = deletes, .delete_count = counts[i] - 1, .begun = 3};
        assert_ok(checkpoint(fixture, &slice));
        load_range(fixture, 0, i, 0, INT64_MAX, UINT32_MAX);
        assert_positions(fixture, first + counts[i] - 1, 1);
    }
}

static void a_slice_may_have_4_mib(void **state)
{
    store_fixture_t *fixture = *state;
    static const struct {
        size_t rows, bytes;
    } shapes[] = {{1, (4u << 20) - (64u << 10)}, {4, 1u << 20}, {100, 40000}};
    uint8_t *large = memory_allocate(4u << 20);
    memset(large, 0xa5, 4u << 20);
    for (size_t i = 0; i < 3; i++) {
        store_pending_t rows[100];
        for (size_t j = 0; j < shapes[i].rows; j++) {
            rows[j] = pending_of(1000 * (i + 1) + j, i);
            rows[j].body = fabric_bytes(large, shapes[i].bytes);
        }
        store_slice_t slice = {.puts = rows, .put_count = shapes[i].rows, .begun = 3, .last = true};
        fabric_error_t error = checkpoint(fixture, &slice);
        if (error) {
            free(large);
        }
        assert_ok(error);
        load_range(fixture, 0, i, 0, INT64_MAX, UINT32_MAX);
        assert_positions(fixture, 1000 * (i + 1), shapes[i].rows);
        assert_int_equal(fixture->rows.items[shapes[i].rows - 1].row.body.size, shapes[i].bytes);
    }
    free(large);
}

int store_suite_checkpoint(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(rows_come_back_as_they_were),
        FOUNDED_TEST(a_put_replaces_the_whole_row),
        FOUNDED_TEST(amendments_change_counts_and_number_only),
        FOUNDED_TEST(deletes_delete_what_is_there),
        FOUNDED_TEST(dead_letters_are_stored_and_replaced),
        FOUNDED_TEST(one_slice_does_all_of_its_changes),
        FOUNDED_TEST(the_number_is_raised_with_the_last_slice),
        FOUNDED_TEST(a_successor_replaces_rows_of_a_checkpoint_that_was_cut_off),
        FOUNDED_TEST(a_slice_needs_the_entry_that_it_is_to_reach),
        FOUNDED_TEST(a_slice_needs_the_entries_that_its_rows_are_as_of),
        FOUNDED_TEST(a_slice_needs_the_checkpoint_before_it),
        FOUNDED_TEST(a_slice_may_be_repeated_while_its_checkpoint_is_the_last_one),
        FOUNDED_TEST(a_slice_may_have_as_many_rows_as_the_store_says),
        FOUNDED_TEST(slices_of_any_size_are_written_whole),
        FOUNDED_TEST(a_slice_may_have_4_mib),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
