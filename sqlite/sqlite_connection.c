/* SQLite connections: opening, statements, transactions, results. */
#include "sqlite/sqlite_connection.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite/sqlite_lock.h"
#include "sqlite/sqlite_store.h"

static const char scheme[] = "sqlite:";

static const char *const statement_texts[SQLITE_STATEMENT_COUNT] = {
#define SQLITE_STATEMENT_ROW(name, sql) [SQLITE_STATEMENT_##name] = (sql),
#include "sqlite/sqlite_statements.def"
#undef SQLITE_STATEMENT_ROW
};

fabric_error_t sqlite_error_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return FABRIC_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FABRIC_ERROR_STORE_BUSY;
    default:
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
}

/* The settings of every connection. The journal mode belongs to the file: sqlite_schema_apply()
 * sets it once it knows that the file is ours. The cache holds the tail of the hot tables;
 * checkpoints move about 16 MiB at a time, so that their two syncs are shared by many commits. */
static int configure(sqlite3 *database, uint32_t io_timeout_ms)
{
    sqlite3_extended_result_codes(database, 1);
    sqlite3_busy_timeout(database, io_timeout_ms > INT_MAX ? INT_MAX : (int)io_timeout_ms);
    return sqlite3_exec(database,
                        "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"
                        "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;"
                        "PRAGMA wal_autocheckpoint = 4096; PRAGMA journal_size_limit = 67108864;"
                        "SELECT count(*) FROM sqlite_master",
                        NULL, NULL, NULL);
}

fabric_error_t sqlite_connection_open(const store_options_t *options, reason_t *reason,
                                      store_t **store)
{
    const char *url = options->url ? options->url : "";
    bool ours = strncmp(url, scheme, sizeof scheme - 1) == 0;
    const char *path = ours ? url + sizeof scheme - 1 : "";
    if (path[0] == '\0' || path[0] == ':' || path[strlen(path) - 1] == '/') {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "store: '%.200s' is not like sqlite:/path/to/file", url);
    }
    int lock_descriptor = -1;
    if (options->exclusive) {
        fabric_error_t error = sqlite_lock_take(path, options->holder, reason, &lock_descriptor);
        if (error) {
            return error;
        }
    }
    sqlite3 *database = NULL;
    int code = sqlite3_open_v2(
        path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        code = configure(database, options->io_timeout_ms);
    }
    if (code != SQLITE_OK) {
        fabric_error_t error =
            (code & 0xff) == SQLITE_NOTADB ? FABRIC_ERROR_FOREIGN_DATABASE : sqlite_error_of(code);
        reason_set(reason, error, "store: cannot open SQLite file '%.200s': %s", path,
                   database ? sqlite3_errmsg(database) : sqlite3_errstr(code));
        sqlite3_close(database);
        sqlite_lock_release(&lock_descriptor);
        return error;
    }
    sqlite_store_t *opened = calloc(1, sizeof *opened);
    if (!opened) {
        abort();
    }
    opened->base.driver = &sqlite_store_driver;
    opened->database = database;
    opened->exclusive = options->exclusive;
    opened->lock_descriptor = lock_descriptor;
    *store = &opened->base;
    return FABRIC_OK;
}

void sqlite_connection_close(store_t **store)
{
    sqlite_store_t *closing = sqlite_store_of(*store);
    if (!closing) {
        return;
    }
    for (size_t i = 0; i < SQLITE_STATEMENT_COUNT; i++) {
        sqlite3_finalize(closing->statements[i]);
    }
    sqlite3_close(closing->database);
    /* Last, so that nobody begins while our closing still checkpoints. */
    sqlite_lock_release(&closing->lock_descriptor);
    free(closing);
    *store = NULL;
}

/* ---- queries ----------------------------------------------------------------------------------
 */

sqlite_query_t sqlite_query(sqlite_store_t *store, sqlite_statement_t statement)
{
    sqlite_query_t query = {store, store->statements[statement], SQLITE_OK};
    if (store->dead) {
        return (sqlite_query_t){store, NULL, SQLITE_IOERR};
    }
    if (!query.statement) {
        query.code = sqlite3_prepare_v3(store->database, statement_texts[statement], -1,
                                        SQLITE_PREPARE_PERSISTENT, &query.statement, NULL);
        store->statements[statement] = query.statement;
    }
    return query;
}

void sqlite_bind_u64(sqlite_query_t *query, int index, uint64_t value)
{
    sqlite_bind_i64(query, index, (int64_t)value);
}

void sqlite_bind_i64(sqlite_query_t *query, int index, int64_t value)
{
    if (query->code == SQLITE_OK) {
        query->code = sqlite3_bind_int64(query->statement, index, value);
    }
}

void sqlite_bind_bytes(sqlite_query_t *query, int index, fabric_bytes_t bytes)
{
    if (query->code == SQLITE_OK) {
        /* A NULL pointer would bind NULL, not an empty value. */
        query->code =
            sqlite3_bind_blob64(query->statement, index, bytes.size ? bytes.data : (const void *)"",
                                bytes.size, SQLITE_STATIC);
    }
}

void sqlite_bind_null(sqlite_query_t *query, int index)
{
    if (query->code == SQLITE_OK) {
        query->code = sqlite3_bind_null(query->statement, index);
    }
}

void sqlite_bind_text(sqlite_query_t *query, int index, const char *text)
{
    if (query->code == SQLITE_OK) {
        query->code = sqlite3_bind_text(query->statement, index, text, -1, SQLITE_STATIC);
    }
}

void sqlite_bind_incarnation(sqlite_query_t *query, int index, const incarnation_t *incarnation)
{
    sqlite_bind_bytes(query, index, fabric_bytes(incarnation->bytes, sizeof incarnation->bytes));
}

bool sqlite_row(sqlite_query_t *query)
{
    if (query->code == SQLITE_OK || query->code == SQLITE_ROW) {
        query->code = sqlite3_step(query->statement);
    }
    return query->code == SQLITE_ROW;
}

/* A dead connection is asked nothing: what it said last is why it is dead. */
static fabric_error_t note_result(sqlite_store_t *store, int code)
{
    fabric_error_t error = sqlite_error_of(code);
    if (error && !store->dead) {
        store_note_error(&store->base, (unsigned)code, sqlite3_errmsg(store->database));
    }
    return error;
}

fabric_error_t sqlite_end(sqlite_query_t *query)
{
    fabric_error_t error = note_result(query->store, query->code);
    if (query->statement) {
        sqlite3_reset(query->statement);
    }
    return error;
}

fabric_error_t sqlite_run(sqlite_query_t *query)
{
    sqlite_row(query);
    return sqlite_end(query);
}

uint64_t sqlite_column_u64(const sqlite_query_t *query, int index)
{
    return (uint64_t)sqlite3_column_int64(query->statement, index);
}

uint32_t sqlite_column_u32(const sqlite_query_t *query, int index)
{
    uint64_t value = sqlite_column_u64(query, index);
    return value <= UINT32_MAX ? (uint32_t)value : 0;
}

fabric_bytes_t sqlite_column_bytes(const sqlite_query_t *query, int index)
{
    const void *data = sqlite3_column_blob(query->statement, index);
    return fabric_bytes(data, data ? (size_t)sqlite3_column_bytes(query->statement, index) : 0);
}

incarnation_t sqlite_column_incarnation(const sqlite_query_t *query, int index)
{
    incarnation_t incarnation = {{0}};
    fabric_bytes_t bytes = sqlite_column_bytes(query, index);
    if (bytes.size == sizeof incarnation.bytes) {
        memcpy(incarnation.bytes, bytes.data, sizeof incarnation.bytes);
    }
    return incarnation;
}

void sqlite_column_string(const sqlite_query_t *query, int index, char text[256])
{
    fabric_bytes_t bytes = sqlite_column_bytes(query, index);
    size_t size = bytes.size < 255 ? bytes.size : 255;
    if (size > 0) {
        memcpy(text, bytes.data, size);
    }
    text[size] = '\0';
}

/* ---- transactions -----------------------------------------------------------------------------
 */

fabric_error_t sqlite_begin(sqlite_store_t *store)
{
    sqlite_query_t begin = sqlite_query(store, SQLITE_STATEMENT_BEGIN);
    return sqlite_run(&begin);
}

static void roll_back(sqlite_store_t *store)
{
    /* Some errors roll back by themselves; then there is nothing left to do. */
    if (!sqlite3_get_autocommit(store->database)) {
        sqlite_query_t rollback = sqlite_query(store, SQLITE_STATEMENT_ROLLBACK);
        if (sqlite_run(&rollback)) {
            store->dead = true;
        }
    }
}

fabric_error_t sqlite_finish(sqlite_store_t *store, fabric_error_t error)
{
    if (error) {
        roll_back(store);
        return error;
    }
    sqlite_query_t commit = sqlite_query(store, SQLITE_STATEMENT_COMMIT);
    error = sqlite_run(&commit);
    if (!error) {
        return FABRIC_OK;
    }
    roll_back(store);
    if ((commit.code & 0xff) == SQLITE_IOERR) {
        /* The log's last page may have reached the disk although its sync failed: a later recovery
         * could find the transaction whole. */
        store->dead = true;
        return FABRIC_ERROR_STORE_UNKNOWN;
    }
    return error;
}

fabric_error_t sqlite_execute(sqlite_store_t *store, const char *sql)
{
    if (store->dead) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    return note_result(store, sqlite3_exec(store->database, sql, NULL, NULL, NULL));
}

bool sqlite_changed(const sqlite_store_t *store)
{
    return sqlite3_changes(store->database) > 0;
}

sqlite_id_ranges_t sqlite_id_ranges(uint64_t from)
{
    if (from > INT64_MAX) {
        return (sqlite_id_ranges_t){1, {(int64_t)from}, {-1}};
    }
    return (sqlite_id_ranges_t){2, {(int64_t)from, INT64_MIN}, {INT64_MAX, -1}};
}
