/* SQLite connections: opening, closing, transactions. */
#include "sqlite/sqlite_connection.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "sqlite/sqlite_error.h"
#include "sqlite/sqlite_lock.h"
#include "sqlite/sqlite_store.h"

#define LOCK_WAIT_MS_MAX 1000u

/* Pages of the write-ahead log. A transaction of several statements that finds LOG_PAGES_GOAL moves
 * them into the file, 16 MiB or more at a time, so that many commits share the two syncs of a move.
 * A single statement moves them when it finds LOG_PAGES_MAX, because nobody else has. */
#define LOG_PAGES_GOAL 4096
#define LOG_PAGES_MAX  32768
#define LOG_PAGES_REST 512 /* are moved while the others of this process wait */
#define LOG_MOVES_MAX  4

static const char scheme[] = "sqlite:";

/* ---- opening and closing ---- */

/* The settings of every connection. The journal mode belongs to the file: sqlite_schema_unlock()
 * sets it once the file is known to be ours. Debian's library overwrites what is deleted unless it
 * is told not to, which makes the purge of entries as expensive as writing them. */
static int configure(sqlite3 *database)
{
    sqlite3_extended_result_codes(database, 1);
    return sqlite3_exec(database,
                        "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"
                        "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;"
                        "PRAGMA secure_delete = OFF;"
                        "PRAGMA journal_size_limit = 67108864;"
                        "SELECT count(*) FROM sqlite_master",
                        NULL, NULL, NULL);
}

static fabric_error_t open_file(const char *path, uint32_t lock_wait_ms, reason_t *reason,
                                sqlite3 **database)
{
    int code = sqlite3_open_v2(
        path, database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(*database, (int)lock_wait_ms);
        code = configure(*database);
    }
    if (code == SQLITE_OK) {
        return FABRIC_OK;
    }
    fabric_error_t error = (code & 0xff) == SQLITE_NOTADB ? FABRIC_ERROR_FOREIGN_DATABASE
                                                          : sqlite_error_of(code, false);
    reason_set(reason, error, "store: cannot open SQLite file '%.200s': %s", path,
               *database ? sqlite3_errmsg(*database) : sqlite3_errstr(code));
    sqlite3_close(*database);
    return error;
}

static int note_log_pages(void *context, sqlite3 *database, const char *schema, int pages)
{
    (void)database;
    (void)schema;
    ((sqlite_store_t *)context)->log_pages = pages;
    return SQLITE_OK;
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
    fabric_error_t error = options->exclusive
                               ? sqlite_lock_take(path, options->holder, reason, &lock_descriptor)
                               : FABRIC_OK;
    uint32_t lock_wait_ms =
        options->io_timeout_ms < LOCK_WAIT_MS_MAX ? options->io_timeout_ms : LOCK_WAIT_MS_MAX;
    sqlite3 *database = NULL;
    error = error ? error : open_file(path, lock_wait_ms, reason, &database);
    if (error) {
        sqlite_lock_release(&lock_descriptor);
        return error;
    }
    sqlite_store_t *opened = memory_allocate_zeroed(1, sizeof *opened);
    sql_store_init(&opened->sql, &sqlite_store_driver, &sqlite_engine);
    opened->sql.exclusive = options->exclusive;
    opened->database = database;
    (void)sqlite3_wal_hook(database, note_log_pages,
                           opened); /* instead of SQLite's own checkpoints */
    opened->lock_wait_ms = lock_wait_ms;
    opened->lock_descriptor = lock_descriptor;
    snprintf(opened->name, sizeof opened->name, "SQLite file '%.250s'", path);
    sqlite_turn_open(&opened->turn, path);
    *store = &opened->sql.base;
    return FABRIC_OK;
}

void sqlite_connection_close(store_t **store)
{
    sqlite_store_t *closing = sqlite_store_of(*store);
    if (!closing) {
        return;
    }
    for (size_t i = 0; i < SQL_STATEMENT_COUNT; i++) {
        for (size_t size = 0; size < SQL_SIZES; size++) {
            sqlite3_finalize(closing->statements[i][size]);
        }
    }
    sqlite3_close(closing->database);
    sqlite_turn_close(&closing->turn);
    /* Last, so that nobody begins while our closing still moves the log into the file. */
    sqlite_lock_release(&closing->lock_descriptor);
    sql_store_release(&closing->sql);
    free(closing);
    *store = NULL;
}

const char *sqlite_name(const sql_store_t *store)
{
    return sqlite_store_of(store)->name;
}

/* ---- transactions ---- */

fabric_error_t sqlite_result(sqlite_store_t *store, int code, bool committing)
{
    fabric_error_t error = sqlite_error_of(code, committing);
    if (error) {
        store_note_error(&store->sql.base, (unsigned)code, sqlite3_errmsg(store->database));
    }
    store->dead = store->dead || error == FABRIC_ERROR_STORE_UNKNOWN;
    return error;
}

static fabric_error_t run_text(sqlite_store_t *store, const char *text, bool committing)
{
    return sqlite_result(store, sqlite3_exec(store->database, text, NULL, NULL, NULL), committing);
}

static fabric_error_t begin_writing(sqlite_store_t *store, bool transaction)
{
    uint64_t deadline_ms = clock_monotonic_ms() + store->lock_wait_ms;
    if (!sqlite_turn_take(&store->turn, deadline_ms)) {
        store_note_error(&store->sql.base, SQLITE_BUSY,
                         "another connection of this process writes");
        return FABRIC_ERROR_STORE_BUSY;
    }
    /* What is left of the time is for other processes. */
    uint64_t now_ms = clock_monotonic_ms();
    sqlite3_busy_timeout(store->database, now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 1);
    fabric_error_t error = transaction ? run_text(store, "BEGIN IMMEDIATE", false) : FABRIC_OK;
    if (error) {
        sqlite_turn_give(&store->turn);
    }
    return error;
}

/* Rolls back what is open, and ends the turn. */
static void end_writing(sqlite_store_t *store)
{
    /* Some errors roll back by themselves; then there is nothing left to do. */
    if (!sqlite3_get_autocommit(store->database) &&
        sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK) {
        store->dead = true;
    }
    sqlite_turn_give(&store->turn);
}

fabric_error_t sqlite_begin(sql_store_t *base, sql_transaction_t kind)
{
    sqlite_store_t *store = sqlite_store_of(base);
    if (store->dead) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    if (store->migrating) {
        return FABRIC_OK;
    }
    if (kind == SQL_SINGLE || kind == SQL_WRITE) {
        return begin_writing(store, kind == SQL_WRITE);
    }
    sqlite3_busy_timeout(store->database, (int)store->lock_wait_ms);
    return FABRIC_OK;
}

/* Another file, or none, is at the path by now: what was committed to the open one is lost with its
 * last connection. */
static fabric_error_t check_place(sqlite_store_t *store)
{
    int has_moved = 0;
    (void)sqlite3_file_control(store->database, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    if (!has_moved) {
        return FABRIC_OK;
    }
    store_note_error(&store->sql.base, SQLITE_READONLY_DBMOVED, "the file was replaced or removed");
    store->dead = true;
    return FABRIC_ERROR_STORE_UNKNOWN;
}

/* Moves into the file what the write-ahead log has when the move begins. Returns how many pages
 * those are, with those moved before; negative: not all of them could be moved. */
static int move_log_pages(sqlite_store_t *store)
{
    int pages = 0;
    int moved = 0;
    int code = sqlite3_wal_checkpoint_v2(store->database, "main", SQLITE_CHECKPOINT_PASSIVE, &pages,
                                         &moved);
    return code == SQLITE_OK && moved == pages ? pages : -1;
}

/* The others go on writing during a move, so that a move leaves what came meanwhile. The log begins
 * anew only when nothing is left: they wait for the last move, which has little to do. A move that
 * fails does no harm: the next one repeats it, and a disk that is full makes commits fail. */
static void move_log(sqlite_store_t *store)
{
    int before = 0;
    int pages = move_log_pages(store);
    for (int i = 1; i < LOG_MOVES_MAX && pages - before > LOG_PAGES_REST; i++) {
        before = pages;
        pages = move_log_pages(store);
    }
    if (pages > 0 && sqlite_turn_take(&store->turn, clock_monotonic_ms() + store->lock_wait_ms)) {
        (void)move_log_pages(store);
        sqlite_turn_give(&store->turn);
    }
    store->log_pages = 0; /* until the next commit */
}

fabric_error_t sqlite_commit(sql_store_t *base)
{
    sqlite_store_t *store = sqlite_store_of(base);
    if (store->migrating) {
        return FABRIC_OK;
    }
    fabric_error_t error =
        sqlite3_get_autocommit(store->database) ? FABRIC_OK : run_text(store, "COMMIT", true);
    end_writing(store);
    error = error || base->transaction == SQL_READ ? error : check_place(store);
    if (!error &&
        store->log_pages >= (base->transaction == SQL_WRITE ? LOG_PAGES_GOAL : LOG_PAGES_MAX)) {
        move_log(store);
    }
    return error;
}

void sqlite_roll_back(sql_store_t *base)
{
    sqlite_store_t *store = sqlite_store_of(base);
    if (!store->migrating) {
        end_writing(store);
    }
}

/* ---- migrations ---- */

fabric_error_t sqlite_execute(sql_store_t *store, const char *text)
{
    return run_text(sqlite_store_of(store), text, false);
}

fabric_error_t sqlite_schema_lock(sql_store_t *base)
{
    sqlite_store_t *store = sqlite_store_of(base);
    fabric_error_t error = sqlite_begin(base, SQL_WRITE);
    store->migrating = !error;
    return error;
}

fabric_error_t sqlite_schema_unlock(sql_store_t *base, fabric_error_t error)
{
    sqlite_store_t *store = sqlite_store_of(base);
    store->migrating = false;
    if (error) {
        end_writing(store);
        return error;
    }
    error = sqlite_commit(base);
    return error ? error : run_text(store, "PRAGMA journal_mode = WAL", false);
}
