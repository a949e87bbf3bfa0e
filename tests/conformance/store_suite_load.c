/* The store suite: reading rows by entity. */
#include "tests/conformance/store_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* Positions 10 to 19 of entity 7, 100 to 104 of entity UINT64_MAX, 15000 of entity 9. */
static void write_rows(store_fixture_t *fixture)
{
    assert_ok(put_rows(fixture, &fixture->hold, UINT64_MAX, 100, 5));
    assert_ok(put_rows(fixture, &fixture->hold, 7, 10, 10));
    assert_ok(put_rows(fixture, &fixture->hold, 9, 15000, 1));
    assert_ok(put_rows(fixture, &fixture->hold_1, 7, 1, 30));
}

static void a_range_is_read_in_order(void **state)
{
    store_fixture_t *fixture = *state;
    write_rows(fixture);
    load_range(fixture, 0, 7, 0, INT64_MAX, 100);
    assert_positions(fixture, 10, 10);
    load_range(fixture, 0, 7, 12, 17, 100);
    assert_positions(fixture, 13, 5);
    load_range(fixture, 0, 7, 12, 17, 2);
    assert_positions(fixture, 13, 2);
    load_range(fixture, 0, 7, 19, INT64_MAX, 100);
    assert_positions(fixture, 0, 0);
    load_range(fixture, 0, 7, 17, 12, 100);
    assert_positions(fixture, 0, 0);
    load_range(fixture, 0, UINT64_MAX, 0, INT64_MAX, 100);
    assert_positions(fixture, 100, 5);
    load_range(fixture, 0, 8, 0, INT64_MAX, 100);
    assert_positions(fixture, 0, 0);
    load_range(fixture, 1, 7, 0, INT64_MAX, 100);
    assert_positions(fixture, 1, 30);
}

static void test_ms_07_sm_09_ranges_are_read_one_after_the_other(void **state)
{
    store_fixture_t *fixture = *state;
    store_range_t ranges[] = {{UINT64_MAX, 101, INT64_MAX, 2},
                              {8, 0, INT64_MAX, 10},
                              {7, 0, INT64_MAX, 3},
                              {7, 14, 16, 10}};
    static const struct {
        size_t range;
        uint64_t position;
    } expected[] = {{0, 102}, {0, 103}, {2, 10}, {2, 11}, {2, 12}, {3, 15}, {3, 16}};
    size_t done = 0;
    write_rows(fixture);
    assert_ok(fixture->driver->load_rows(fixture->second, 0, ranges, 4, UINT64_MAX, collect_row,
                                         fixture, &done));
    assert_int_equal(done, 4);
    assert_int_equal(fixture->rows.count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(fixture->rows.items[i].range, expected[i].range);
        assert_int_equal(fixture->rows.items[i].row.position, expected[i].position);
    }
}

/* A body has 8 bytes. The caller goes on behind the last row that it got. */
static void a_load_ends_when_it_has_enough_bytes(void **state)
{
    store_fixture_t *fixture = *state;
    store_range_t ranges[] = {{7, 0, INT64_MAX, 100}, {UINT64_MAX, 0, INT64_MAX, 100}};
    size_t done = 99;
    write_rows(fixture);
    assert_ok(
        fixture->driver->load_rows(fixture->second, 0, ranges, 2, 1, collect_row, fixture, &done));
    assert_int_equal(done, 0);
    assert_positions(fixture, 10, 1);
    forget_rows(fixture);
    assert_ok(
        fixture->driver->load_rows(fixture->second, 0, ranges, 2, 32, collect_row, fixture, &done));
    assert_int_equal(done, 0);
    assert_positions(fixture, 10, 4);
    forget_rows(fixture);
    assert_ok(
        fixture->driver->load_rows(fixture->second, 0, ranges, 2, 96, collect_row, fixture, &done));
    assert_int_equal(done, 1);
    assert_int_equal(fixture->rows.count, 12);
    assert_int_equal(fixture->rows.items[11].row.position, 101);
    assert_int_equal(fixture->rows.items[11].range, 1);
}

static void more_rows_than_a_page_are_loaded(void **state)
{
    store_fixture_t *fixture = *state;
    size_t each = fixture->driver->slice_rows_max;
    size_t slices = 6000 / each + 1;
    for (size_t i = 0; i < slices; i++) {
        assert_ok(put_rows(fixture, &fixture->hold, 7, 1 + i * each, each));
    }
    load_range(fixture, 0, 7, 0, INT64_MAX, UINT32_MAX);
    assert_positions(fixture, 1, slices * each);
    load_range(fixture, 0, 7, 100, INT64_MAX, 5500);
    assert_positions(fixture, 101, 5500);
}

static void backlogs_count_the_rows_of_each_entity(void **state)
{
    store_fixture_t *fixture = *state;
    list_backlogs(fixture, 0);
    assert_int_equal(fixture->backlog_count, 0);
    write_rows(fixture);
    store_row_key_t deletes[] = {{7, 10}, {7, 15}, {7, 19}, {9, 15000}};
    store_slice_t slice = {.deletes = deletes, .delete_count = 4, .begun = 3, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    list_backlogs(fixture, 0);
    assert_int_equal(fixture->backlog_count, 2);
    assert_int_equal(fixture->backlogs[0].entity_hash, 7);
    assert_int_equal(fixture->backlogs[0].count, 7);
    assert_int_equal(fixture->backlogs[0].first, 11);
    assert_int_equal(fixture->backlogs[0].last, 18);
    assert_true(fixture->backlogs[1].entity_hash == UINT64_MAX);
    assert_int_equal(fixture->backlogs[1].count, 5);
    assert_int_equal(fixture->backlogs[1].first, 100);
    assert_int_equal(fixture->backlogs[1].last, 104);
    list_backlogs(fixture, 1);
    assert_int_equal(fixture->backlog_count, 1);
    assert_int_equal(fixture->backlogs[0].count, 30);
}

static void test_ms_08_sm_10_rows_are_found_by_entity_and_position(void **state)
{
    store_fixture_t *fixture = *state;
    store_row_key_t keys[700];
    bool found[700];
    write_rows(fixture);
    for (size_t i = 0; i < 700; i++) {
        keys[i] = (store_row_key_t){i % 3 ? 7 : UINT64_MAX, 699 - i};
        found[i] = i % 2;
    }
    keys[650] = (store_row_key_t){9, 15000};
    for (size_t count = 1; count <= 700; count += count < 140 ? 1 : 560) {
        assert_ok(fixture->driver->find_rows(fixture->second, 0, keys + 700 - count, count,
                                             found + 700 - count));
        for (size_t i = 700 - count; i < 700; i++) {
            uint64_t position = keys[i].position;
            bool of_7 = keys[i].entity_hash == 7 && position >= 10 && position < 20;
            bool of_last = keys[i].entity_hash == UINT64_MAX && position >= 100 && position < 105;
            assert_int_equal(found[i], of_7 || of_last || position == 15000);
        }
    }
    assert_false(has_row(fixture, 2, 7, 10));
    assert_true(has_row(fixture, 1, 7, 30));
}

/* ---- while checkpoints go on ---- */

typedef struct going_on {
    store_fixture_t *fixture;
    bool stop; /* atomic */
    fabric_error_t error;
} going_on_t;

/* Puts and deletes the odd positions again and again. */
static void *go_on(void *context)
{
    going_on_t *going = context;
    store_fixture_t *fixture = going->fixture;
    store_pending_t puts[50];
    store_row_key_t deletes[50];
    for (size_t i = 0; i < 50; i++) {
        puts[i] = pending_of(2 * i + 1, 7);
        deletes[i] = (store_row_key_t){7, 2 * i + 1};
    }
    store_slice_t putting = {.puts = puts, .put_count = 50, .settled = 2, .begun = 2, .last = true};
    store_slice_t deleting = {
        .deletes = deletes, .delete_count = 50, .settled = 2, .begun = 2, .last = true};
    for (int turn = 0; !__atomic_load_n(&going->stop, __ATOMIC_RELAXED) && !going->error; turn++) {
        going->error = fixture->driver->checkpoint(fixture->store, &fixture->hold,
                                                   turn % 2 ? &deleting : &putting);
    }
    return NULL;
}

/* What stands all the time is loaded, once each and in order. */
static void a_load_overlaps_with_checkpoints(void **state)
{
    store_fixture_t *fixture = *state;
    going_on_t going = {.fixture = fixture};
    pthread_t thread;
    store_pending_t puts[50];
    for (size_t i = 0; i < 50; i++) {
        puts[i] = pending_of(2 * i, 7);
    }
    store_slice_t slice = {.puts = puts + 1, .put_count = 49, .begun = 2, .last = true};
    assert_ok(write_slice(fixture, &fixture->hold, &slice));
    assert_int_equal(pthread_create(&thread, NULL, go_on, &going), 0);
    size_t wrong = 0;
    for (int times = 0; times < 100; times++) {
        size_t even = 0;
        load_range(fixture, 0, 7, 0, INT64_MAX, 1000);
        for (size_t i = 0; i < fixture->rows.count; i++) {
            uint64_t position = fixture->rows.items[i].row.position;
            even += position % 2 == 0;
            wrong += i > 0 && position <= fixture->rows.items[i - 1].row.position;
        }
        wrong += even != 49;
    }
    __atomic_store_n(&going.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_ok(going.error);
    assert_int_equal(wrong, 0);
}

int store_suite_load(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(a_range_is_read_in_order),
        FOUNDED_TEST(test_ms_07_sm_09_ranges_are_read_one_after_the_other),
        FOUNDED_TEST(a_load_ends_when_it_has_enough_bytes),
        FOUNDED_TEST(more_rows_than_a_page_are_loaded),
        FOUNDED_TEST(backlogs_count_the_rows_of_each_entity),
        FOUNDED_TEST(test_ms_08_sm_10_rows_are_found_by_entity_and_position),
        FOUNDED_TEST(a_load_overlaps_with_checkpoints),
    };
    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
