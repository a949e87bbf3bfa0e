/* What statements cost on SQLite: the steps of its machine do not grow with the rows there are. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "tests/conformance/sqlite_file.h"

#define assert_ok(actual)                                                                          \
    assert_string_equal(fabric_error_name(actual), fabric_error_name(FABRIC_OK))

static void count_row(void *context, size_t range, const store_pending_t *row)
{
    size_t *count = context;
    *count += range == 0 && row->entity_hash == 7;
}

static void count_key(void *context, const store_key_t *key)
{
    (void)key;
    *(size_t *)context += 1;
}

/* The steps of SQLite's machine that a statement for so many rows has taken. */
static int steps_of(store_t *store, sql_statement_t statement, size_t rows)
{
    sqlite_store_t *opened = sqlite_store_of(store);
    return sqlite3_stmt_status(opened->statements[statement][sql_size_index(rows)],
                               SQLITE_STMTSTATUS_VM_STEP, 1);
}

/* Finds, amends and deletes so many rows, each of another entity. */
static void change_some(store_t *store, uint64_t first, size_t count)
{
    store_row_key_t keys[128];
    bool found[128];
    for (size_t i = 0; i < count; i++) {
        keys[i] = (store_row_key_t){(first + i) % 1000, first + i};
    }
    store_amendment_t amendment = {.key = keys[0], .attempts = 1};
    store_slice_t slice = {
        .amendments = &amendment, .amendment_count = 1, .deletes = keys, .delete_count = count};
    assert_ok(sqlite_store_driver.find_rows(store, 3, keys, count, found));
    assert_ok(sqlite_store_driver.checkpoint(store, &sqlite_file_hold, &slice));
    assert_in_range(steps_of(store, SQL_PENDING_FIND, count), 1, 60 * count + 100);
    assert_in_range(steps_of(store, SQL_PENDING_AMEND, 1), 1, 200);
    assert_in_range(steps_of(store, SQL_PENDING_DELETE, count), 1, 60 * count + 100);
    for (size_t i = 0; i < count; i++) {
        assert_true(found[i]);
    }
    assert_ok(sqlite_store_driver.find_rows(store, 3, keys, count, found));
    for (size_t i = 0; i < count; i++) {
        assert_false(found[i]);
    }
    (void)steps_of(store, SQL_PENDING_FIND, count);
}

static void rows_are_found_by_their_key(void **state)
{
    enum { ROWS = 4000 };
    sqlite_file_t *file = *state;
    store_range_t range = {.entity_hash = 7, .until = ROWS, .limit = 100};
    size_t count = 0;
    size_t done = 0;
    for (uint64_t first = 1; first < ROWS; first += 500) {
        assert_ok(sqlite_file_put_rows(file->store, first, 500));
    }
    assert_ok(sqlite_store_driver.load_rows(file->store, 3, &range, 1, 1 << 20, count_row, &count,
                                            &done));
    assert_int_equal(count, ROWS / 1000);
    assert_int_equal(done, 1);
    assert_in_range(steps_of(file->store, SQL_PENDING_RANGE, 1), 1, 1000);
    change_some(file->store, 101, 1);
    change_some(file->store, 201, 2);
    change_some(file->store, 301, 32);
    change_some(file->store, 401, 128);
}

/* Finds so many keys of one entity that has many. */
static void find_some(store_t *store, const store_key_t *keys, size_t count)
{
    store_key_name_t names[128];
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        names[i].entity_hash = keys[i].entity_hash;
        memcpy(names[i].hash, keys[i].hash, sizeof names[i].hash);
    }
    assert_ok(sqlite_store_driver.find_keys(store, 3, names, count, count_key, &seen));
    assert_int_equal(seen, count);
    assert_in_range(steps_of(store, SQL_KEY_FIND, count), 1, 60 * count + 100);
}

static void count_name(void *context, const store_key_name_t *name)
{
    (void)name;
    ++*(size_t *)context;
}

/* Lists a page of keys of one entity that has many, behind this one. */
static void list_some(store_t *store, const store_key_t *key)
{
    store_key_name_t after = {.entity_hash = key->entity_hash};
    memcpy(after.hash, key->hash, sizeof after.hash);
    size_t seen = 0;
    bool ended = true;
    assert_ok(sqlite_store_driver.list_keys(store, 3, &after, 20, count_name, &seen, &ended));
    assert_int_equal(seen, 20);
    assert_false(ended);
    assert_in_range(steps_of(store, SQL_KEY_LIST_AFTER, 1), 1, 20 * 20);
}

static void keys_are_found_and_purged_by_their_keys(void **state)
{
    enum { KEYS = 2000 };
    sqlite_file_t *file = *state;
    static store_key_t keys[KEYS];
    for (uint32_t i = 0; i < KEYS; i++) {
        keys[i] = (store_key_t){.entity_hash = 7, .number = 1, .ended = true};
        keys[i].reply.kept_until_ms = 1 + i / 5;
        memcpy(keys[i].hash, &i, sizeof i);
    }
    store_slice_t slice = {.keys = keys, .key_count = KEYS};
    assert_ok(sqlite_store_driver.checkpoint(file->store, &sqlite_file_hold, &slice));
    find_some(file->store, keys + 100, 1);
    find_some(file->store, keys + 200, 32);
    find_some(file->store, keys + 300, 128);
    list_some(file->store, keys + 1000);
    store_purge_t wanted = {.keys_before_ms = 1000, .keys_max = 10};
    store_purged_t purged = {0};
    assert_ok(sqlite_store_driver.purge(file->store, &sqlite_file_hold, &wanted, &purged));
    assert_int_equal(purged.keys, 10);
    assert_in_range(steps_of(file->store, SQL_KEY_PURGE, 1), 1, 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SQLITE_FOUNDED_TEST(rows_are_found_by_their_key),
        SQLITE_FOUNDED_TEST(keys_are_found_and_purged_by_their_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
