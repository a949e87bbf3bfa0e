/* A SQLite file in a folder of its own, for tests of the SQLite adapter alone.
 *
 * Threading: the test's own thread.
 */
#ifndef TESTS_CONFORMANCE_SQLITE_FILE_H
#define TESTS_CONFORMANCE_SQLITE_FILE_H

#include "sqlite/sqlite_connection.h"
#include "sqlite/sqlite_store.h"

typedef struct sqlite_file {
    char folder[400];
    char path[420];
    char url[440];
    store_t *store; /* connections; NULL: none */
    store_t *second;
} sqlite_file_t;

/* cmocka's set-up and teardown: an empty file, without connections; the same with the schema of a
 * cluster "fabric", lane 3 held by sqlite_file_hold, and two connections. */
int sqlite_file_empty(void **state);
int sqlite_file_founded(void **state);
int sqlite_file_remove(void **state);

#define SQLITE_EMPTY_TEST(function)                                                                \
    cmocka_unit_test_setup_teardown(function, sqlite_file_empty, sqlite_file_remove)
#define SQLITE_FOUNDED_TEST(function)                                                              \
    cmocka_unit_test_setup_teardown(function, sqlite_file_founded, sqlite_file_remove)

extern const store_hold_t sqlite_file_hold;

/* NULL where it cannot be opened. */
store_t *sqlite_file_open(const sqlite_file_t *file, uint32_t io_timeout_ms, reason_t *reason);
/* Applies the schema for a cluster of that name. */
fabric_error_t sqlite_file_apply(store_t *store, const char *cluster, reason_t *reason);
/* Entry `number` of the lane that is held, with a body of that many bytes. */
store_entry_t sqlite_file_entry(uint64_t number, size_t body_bytes);
fabric_error_t sqlite_file_append(store_t *store, uint64_t number, size_t body_bytes);
/* Writes up to 500 rows of messages, with these positions and a thousand entities in turn. */
fabric_error_t sqlite_file_put_rows(store_t *store, uint64_t first, size_t count);
/* The numbers of the entries of the lane that is held, from 1 on: how many, without a gap; else -1.
 */
int sqlite_file_count_entries(store_t *store);

/* Runs SQL on a connection that is none of the adapter's; the result of SQLite. */
int sqlite_file_execute(const sqlite_file_t *file, const char *sql);
/* The number that a query gives, on a connection that is none of the adapter's; -1: it fails. */
int64_t sqlite_file_number(const sqlite_file_t *file, const char *sql);

#endif
