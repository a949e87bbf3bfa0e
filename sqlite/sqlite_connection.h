/* One SQLite connection: opening, closing, and its transactions.
 *
 * Transactions that write wait for the turn of this connection (sqlite_turn.h) first, then for the
 * locks of other processes; both together for at most io_timeout_ms, and no longer than 1 s.
 */
#ifndef SQLITE_SQLITE_CONNECTION_H
#define SQLITE_SQLITE_CONNECTION_H

#include <sqlite3.h>

#include "core/sql/sql.h"
#include "sqlite/sqlite_turn.h"

typedef struct sqlite_store {
    sql_store_t sql;
    sqlite3 *database;
    char name[300]; /* "SQLite file '/path'" */
    uint32_t lock_wait_ms;
    int lock_descriptor; /* of the broker's lock on the file; -1: none */
    bool dead;           /* an outcome was unknown: nothing goes over this connection any more */
    bool migrating;      /* all that is done now is one transaction */
    int log_pages;       /* of the write-ahead log, as of this connection's last commit */
    sqlite_turn_t turn;
    sqlite3_stmt *statements[SQL_STATEMENT_COUNT][SQL_SIZES]; /* prepared at their first use */
    sqlite3_stmt *reading;                                    /* the query whose rows are open */
} sqlite_store_t;

static inline sqlite_store_t *sqlite_store_of(const void *store)
{
    return (sqlite_store_t *)(uintptr_t)store;
}

/* What this adapter brings to core/sql/. */
extern const sql_engine_t sqlite_engine;

/* The store port's open and close. */
fabric_error_t sqlite_connection_open(const store_options_t *options, reason_t *reason,
                                      store_t **store);
void sqlite_connection_close(store_t **store);

/* What SQLite's answer means; notes its words where it is an error. */
FABRIC_MUST_USE fabric_error_t sqlite_result(sqlite_store_t *store, int code, bool committing);

/* Members of sql_engine_t. */
fabric_error_t sqlite_begin(sql_store_t *store, sql_transaction_t kind);
fabric_error_t sqlite_commit(sql_store_t *store);
void sqlite_roll_back(sql_store_t *store);
fabric_error_t sqlite_execute(sql_store_t *store, const char *text);
fabric_error_t sqlite_schema_lock(sql_store_t *store);
fabric_error_t sqlite_schema_unlock(sql_store_t *store, fabric_error_t error);
const char *sqlite_name(const sql_store_t *store);

#endif
