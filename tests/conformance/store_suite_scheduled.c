/* The store suite: rows of scheduled messages. */
#include "tests/conformance/store_fixture.h"

#include <stdlib.h>

#include "core/memory.h"

static store_pending_t scheduled_of(int64_t due_ms, uint64_t id)
{
    store_pending_t row = pending_of(id, 7);
    row.id.value = id;
    row.due_ms = due_ms;
    row.attempts = row.crashes = 0;
    return row;
}

static fabric_error_t put_scheduled(store_fixture_t *fixture, const store_hold_t *hold,
                                    const store_pending_t *rows, size_t count)
{
    store_slice_t slice = {.scheduled = rows, .scheduled_count = count, .begun = 2, .last = true};
    return write_slice(fixture, hold, &slice);
}

/* Fills fixture->rows. Returns whether there are no more. */
static bool load(store_fixture_t *fixture, uint32_t lane, store_due_key_t after, uint32_t limit,
                 uint64_t bytes_max)
{
    bool ended = false;
    forget_rows(fixture);
    assert_ok(fixture->driver->load_scheduled(fixture->second, lane, after, limit, bytes_max,
                                              collect_row, fixture, &ended));
    return ended;
}

static uint64_t count(store_fixture_t *fixture, uint32_t lane)
{
    uint64_t result = 99;
    assert_ok(fixture->driver->count_scheduled(fixture->second, lane, &result));
    return result;
}

static uint64_t count_type(store_fixture_t *fixture, uint32_t lane, fabric_bytes_t type)
{
    uint64_t result = 99;
    assert_ok(fixture->driver->count_scheduled_type(fixture->second, lane, type, &result));
    return result;
}

static void assert_ids(const store_fixture_t *fixture, const uint64_t *ids, size_t size)
{
    assert_int_equal(fixture->rows.count, size);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(fixture->rows.items[i].row.id.value, ids[i]);
        assert_int_equal(fixture->rows.items[i].range, 0);
    }
}

static const store_due_key_t start = {INT64_MIN, 0};

static void scheduled_rows_come_in_the_order_of_their_times(void **state)
{
    store_fixture_t *fixture = *state;
    store_pending_t rows[] = {scheduled_of(300, 10), scheduled_of(100, 14),
                              scheduled_of(200, 11), scheduled_of(200, 13),
                              scheduled_of(200, 12), scheduled_of(INT64_C(253402300799999), 15),
                              scheduled_of(1, 16)};
    static const uint64_t all[] = {16, 14, 11, 12, 13, 10, 15};
    assert_ok(put_scheduled(fixture, &fixture->hold, rows, 7));
    assert_true(load(fixture, 0, start, 100, UINT64_MAX));
    assert_ids(fixture, all, 7);
    assert_same_row(&fixture->rows.items[6].row, &rows[5]);
    assert_false(load(fixture, 0, start, 3, UINT64_MAX));
    assert_ids(fixture, all, 3);
    assert_false(load(fixture, 0, (store_due_key_t){200, 11}, 2, UINT64_MAX));
    assert_ids(fixture, all + 3, 2);
    assert_true(load(fixture, 0, (store_due_key_t){200, 13}, 100, UINT64_MAX));
    assert_ids(fixture, all + 5, 2);
    assert_true(load(fixture, 0, (store_due_key_t){INT64_C(253402300799999), 15}, 100, UINT64_MAX));
    assert_ids(fixture, all, 0);
    assert_int_equal(count(fixture, 0), 7);
}

static void scheduled_rows_are_no_backlog_and_those_of_their_lane(void **state)
{
    store_fixture_t *fixture = *state;
    store_pending_t row = scheduled_of(100, 10);
    assert_ok(put_scheduled(fixture, &fixture->hold, &row, 1));
    assert_ok(put_rows(fixture, &fixture->hold, 7, 20, 2));
    assert_true(load(fixture, 1, start, 100, UINT64_MAX));
    assert_int_equal(fixture->rows.count, 0);
    assert_int_equal(count(fixture, 1), 0);
    list_backlogs(fixture, 0);
    assert_int_equal(fixture->backlog_count, 1);
    assert_int_equal(fixture->backlogs[0].count, 2);
    load_range(fixture, 0, 7, 0, INT64_MAX, 100);
    assert_positions(fixture, 20, 2);
}

static void a_scheduled_row_is_replaced_found_and_deleted(void **state)
{
    store_fixture_t *fixture = *state;
    bool found[5] = {false, true, false, true, true};
    store_pending_t rows[] = {scheduled_of(100, 10), scheduled_of(100, 11), scheduled_of(200, 10)};
    const store_due_key_t keys[] = {{100, 10}, {100, 12}, {100, 11}, {200, 11}, {300, 10}};
    assert_ok(put_scheduled(fixture, &fixture->hold, rows, 3));
    rows[0].number = 5;
    rows[0].shard = shard_id_make(2, 1);
    rows[0].entity_hash = 99;
    rows[0].type = bytes_of("other type");
    rows[0].entity = bytes_of("other entity");
    rows[0].tag = bytes_of("other tag");
    rows[0].body = bytes_of("a longer body than before");
    assert_ok(put_scheduled(fixture, &fixture->hold, rows, 1));
    assert_true(load(fixture, 0, start, 100, UINT64_MAX));
    assert_int_equal(fixture->rows.count, 3);
    assert_same_row(&fixture->rows.items[0].row, &rows[0]);
    assert_int_equal(count_type(fixture, 0, rows[0].type), 1);
    assert_int_equal(count_type(fixture, 0, rows[1].type), 2);
    assert_int_equal(count_type(fixture, 1, rows[1].type), 0);
    assert_int_equal(count_type(fixture, 0, bytes_of("OTHER TYPE")), 0);
    assert_ok(fixture->driver->find_scheduled(fixture->second, 0, keys, 5, found));
    assert_true(found[0] && !found[1] && found[2] && !found[3] && !found[4]);
    store_slice_t slice = {.unscheduled = keys, .unscheduled_count = 4, .begun = 3, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_true(load(fixture, 0, start, 100, UINT64_MAX));
    assert_int_equal(fixture->rows.count, 1);
    assert_same_row(&fixture->rows.items[0].row, &rows[2]);
}

/* A body has 8 bytes. The caller goes on behind the last row that it got. */
static void a_load_of_scheduled_rows_ends_when_it_has_enough_bytes(void **state)
{
    store_fixture_t *fixture = *state;
    enum { ROWS = 5 };
    store_pending_t rows[ROWS];
    for (unsigned i = 0; i < ROWS; i++) {
        rows[i] = scheduled_of(100 + i / 3, 10 + i);
    }
    assert_ok(put_scheduled(fixture, &fixture->hold, rows, ROWS));
    store_due_key_t after = start;
    for (unsigned i = 0; i < ROWS; i++) {
        (void)load(fixture, 0, after, 100, 1);
        assert_int_equal(fixture->rows.count, 1);
        assert_same_row(&fixture->rows.items[0].row, &rows[i]);
        after = (store_due_key_t){rows[i].due_ms, rows[i].id.value};
    }
    assert_true(load(fixture, 0, after, 100, 1));
    assert_int_equal(fixture->rows.count, 0);
    assert_false(load(fixture, 0, start, 100, 32));
    assert_int_equal(fixture->rows.count, 4);
}

/* More than pages hold, most of them in one millisecond. */
static void many_scheduled_rows_of_one_time_are_read(void **state)
{
    store_fixture_t *fixture = *state;
    enum { ROWS = 1000 };
    store_pending_t *rows = memory_allocate(ROWS * sizeof *rows);
    for (unsigned i = 0; i < ROWS; i++) {
        rows[i] = scheduled_of(i < 900 ? 100 : 100 + i, 10 + i);
    }
    assert_ok(put_scheduled(fixture, &fixture->hold, rows, ROWS));
    assert_true(load(fixture, 0, start, 5000, UINT64_MAX));
    assert_int_equal(fixture->rows.count, ROWS);
    for (unsigned i = 0; i < ROWS; i++) {
        assert_same_row(&fixture->rows.items[i].row, &rows[i]);
    }
    assert_false(load(fixture, 0, (store_due_key_t){100, 500}, 300, UINT64_MAX));
    assert_int_equal(fixture->rows.count, 300);
    assert_int_equal(fixture->rows.items[0].row.id.value, 501);
    free(rows);
}

static void a_slice_under_an_old_hold_changes_no_scheduled_row(void **state)
{
    store_fixture_t *fixture = *state;
    store_pending_t row = scheduled_of(100, 10);
    (void)fixture_take_over(fixture, &fixture->hold, incarnation_of(9), 2);
    assert_error(FABRIC_ERROR_FENCED, put_scheduled(fixture, &fixture->hold, &row, 1));
    assert_int_equal(count(fixture, 0), 0);
}

typedef struct places {
    store_place_t items[8];
    size_t count;
} places_t;

static void collect_place(void *context, const store_place_t *place)
{
    places_t *places = context;
    assert_true(places->count < 8);
    places->items[places->count++] = *place;
}

/* Neither table has an index by id, and other lanes do not count. */
static void rows_are_found_by_the_ids_of_their_messages(void **state)
{
    store_fixture_t *fixture = *state;
    enum { ASKED = 70 };
    store_pending_t rows[] = {scheduled_of(100, 10), scheduled_of(INT64_C(253402300799999), 11)};
    request_id_t ids[ASKED] = {{10}, {11}, {12}, {20}, {22}};
    for (unsigned i = 5; i < ASKED; i++) {
        ids[i].value = 1000 + i;
    }
    assert_ok(put_scheduled(fixture, &fixture->hold, rows, 2));
    assert_ok(put_rows(fixture, &fixture->hold, 7, 20, 2));
    places_t places = {.count = 0};
    assert_ok(fixture->driver->find_places(fixture->second, 1, ids, ASKED, collect_place, &places));
    assert_int_equal(places.count, 0);
    load_range(fixture, 0, 7, 20, 21, 1);
    ids[3] = fixture->rows.items[0].row.id;
    assert_ok(fixture->driver->find_places(fixture->second, 0, ids, ASKED, collect_place, &places));
    assert_int_equal(places.count, 3);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(places.items[i].id.value, 10 + i);
        assert_int_equal(places.items[i].due_ms, rows[i].due_ms);
    }
    assert_int_equal(places.items[2].id.value, ids[3].value);
    assert_int_equal(places.items[2].due_ms, 0);
    assert_int_equal(places.items[2].entity_hash, 7);
    assert_int_equal(places.items[2].position, 21);
}

int store_suite_scheduled(void)
{
    const struct CMUnitTest tests[] = {
        FOUNDED_TEST(scheduled_rows_come_in_the_order_of_their_times),
        FOUNDED_TEST(scheduled_rows_are_no_backlog_and_those_of_their_lane),
        FOUNDED_TEST(a_scheduled_row_is_replaced_found_and_deleted),
        FOUNDED_TEST(a_load_of_scheduled_rows_ends_when_it_has_enough_bytes),
        FOUNDED_TEST(many_scheduled_rows_of_one_time_are_read),
        FOUNDED_TEST(a_slice_under_an_old_hold_changes_no_scheduled_row),
        FOUNDED_TEST(rows_are_found_by_the_ids_of_their_messages),
    };
    return cmocka_run_group_tests_name("scheduled", tests, NULL, NULL);
}
