/* One SQLite connection: its prepared statements, transactions and the translation of SQLite's
 * results.
 *
 * Numbers. SQLite's integers are signed; a uint64_t is kept as the int64_t with the same bits.
 * Equality holds as it is; order does not, so ranges of ids go through sqlite_id_ranges().
 */
#ifndef SQLITE_SQLITE_CONNECTION_H
#define SQLITE_SQLITE_CONNECTION_H

#include <sqlite3.h>

#include "core/store.h"

typedef enum sqlite_statement {
#define SQLITE_STATEMENT_ROW(name, sql) SQLITE_STATEMENT_##name,
#include "sqlite/sqlite_statements.def"
#undef SQLITE_STATEMENT_ROW
    SQLITE_STATEMENT_COUNT
} sqlite_statement_t;

typedef struct sqlite_store {
    store_t base;
    sqlite3 *database;
    bool exclusive;
    bool dead;           /* an outcome was unknown: nothing goes over this connection any more */
    int lock_descriptor; /* -1: none */
    sqlite3_stmt *statements[SQLITE_STATEMENT_COUNT];
} sqlite_store_t;

static inline sqlite_store_t *sqlite_store_of(store_t *store)
{
    return (sqlite_store_t *)store;
}

fabric_error_t sqlite_connection_open(const store_options_t *options, reason_t *reason,
                                      store_t **store);
void sqlite_connection_close(store_t **store);

/* STORE_BUSY, STORE_UNAVAILABLE, or OK, for a result of SQLite. */
fabric_error_t sqlite_error_of(int code);

/* One use of a prepared statement. The first error sticks: after it the other calls do nothing, so
 * that only sqlite_end() need be looked at. Bound memory must stay until then. */
typedef struct sqlite_query {
    sqlite_store_t *store;
    sqlite3_stmt *statement; /* NULL when it could not be prepared */
    int code;                /* SQLite's result */
} sqlite_query_t;

sqlite_query_t sqlite_query(sqlite_store_t *store, sqlite_statement_t statement);
void sqlite_bind_u64(sqlite_query_t *query, int index, uint64_t value);
void sqlite_bind_i64(sqlite_query_t *query, int index, int64_t value);
void sqlite_bind_bytes(sqlite_query_t *query, int index, fabric_bytes_t bytes);
void sqlite_bind_null(sqlite_query_t *query, int index);
void sqlite_bind_text(sqlite_query_t *query, int index, const char *text);
void sqlite_bind_incarnation(sqlite_query_t *query, int index, const incarnation_t *incarnation);
/* Steps. true: there is a row; false: the end or an error. */
bool sqlite_row(sqlite_query_t *query);
/* Ends this use; afterwards nothing bound or read is valid. */
FABRIC_MUST_USE fabric_error_t sqlite_end(sqlite_query_t *query);
/* Steps once and ends: for statements that have no rows. */
FABRIC_MUST_USE fabric_error_t sqlite_run(sqlite_query_t *query);

/* Values of the present row; index counts from 0. What was damaged by hand reads as 0, none or
 * empty. */
uint64_t sqlite_column_u64(const sqlite_query_t *query, int index);
uint32_t sqlite_column_u32(const sqlite_query_t *query, int index);
fabric_bytes_t sqlite_column_bytes(const sqlite_query_t *query, int index);
incarnation_t sqlite_column_incarnation(const sqlite_query_t *query, int index);
void sqlite_column_string(const sqlite_query_t *query, int index, char text[256]);

/* Begins a transaction with the write lock, waiting for it as long as io_timeout_ms. */
FABRIC_MUST_USE fabric_error_t sqlite_begin(sqlite_store_t *store);
/* Ends it: commits when `error` is OK, else rolls back. Returns `error`, or what the commit came
 * to. */
FABRIC_MUST_USE fabric_error_t sqlite_finish(sqlite_store_t *store, fabric_error_t error);
/* Runs SQL text without parameters. */
FABRIC_MUST_USE fabric_error_t sqlite_execute(sqlite_store_t *store, const char *sql);
/* Rows that the last statement changed. */
bool sqlite_changed(const sqlite_store_t *store);

/* The runs of signed keys, in unsigned order, that hold all ids >= from. */
typedef struct sqlite_id_ranges {
    size_t count;
    int64_t first[2];
    int64_t last[2];
} sqlite_id_ranges_t;

sqlite_id_ranges_t sqlite_id_ranges(uint64_t from);

#endif
