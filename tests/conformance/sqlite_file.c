/* A SQLite file in a folder of its own: see sqlite_file.h. */
#include "tests/conformance/sqlite_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

enum { IO_TIMEOUT_MS = 5000 };

const store_hold_t sqlite_file_hold = {.lane = 3, .holder = {{1, 2, 3}}, .epoch = 1};

int sqlite_file_empty(void **state)
{
    const char *parent = getenv("TMPDIR");
    sqlite_file_t *file = memory_allocate_zeroed(1, sizeof *file);
    *state = file;
    snprintf(file->folder, sizeof file->folder, "%s/fabric-sqlite-XXXXXX",
             parent ? parent : "/tmp");
    if (!mkdtemp(file->folder) || chmod(file->folder, 0755) != 0) {
        return -1;
    }
    snprintf(file->path, sizeof file->path, "%s/fabric.db", file->folder);
    snprintf(file->url, sizeof file->url, "sqlite:%s", file->path);
    return 0;
}

static fabric_error_t hold_lane(store_t *store)
{
    const store_driver_t *driver = store->driver;
    const store_hold_t *hold = &sqlite_file_hold;
    store_coordinator_t before = {0};
    store_hold_t free_lane = {.lane = hold->lane};
    uint64_t term = 0;
    fabric_error_t error = driver->coordinator_take(store, &before, hold->holder, &term);
    return error ? error : driver->lane_assign(store, term, hold->holder, &free_lane, hold->holder);
}

int sqlite_file_founded(void **state)
{
    if (sqlite_file_empty(state)) {
        return -1;
    }
    sqlite_file_t *file = *state;
    file->store = sqlite_file_open(file, IO_TIMEOUT_MS, NULL);
    if (!file->store || sqlite_file_apply(file->store, "fabric", NULL) || hold_lane(file->store)) {
        return -1;
    }
    file->second = sqlite_file_open(file, IO_TIMEOUT_MS, NULL);
    return file->second ? 0 : -1;
}

int sqlite_file_remove(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    sqlite_file_t *file = *state;
    store_close(&file->second);
    store_close(&file->store);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[440];
        snprintf(path, sizeof path, "%s%s", file->path, suffixes[i]);
        unlink(path);
    }
    rmdir(file->folder);
    free(file);
    return 0;
}

store_t *sqlite_file_open(const sqlite_file_t *file, uint32_t io_timeout_ms, reason_t *reason)
{
    store_options_t options = {.url = file->url, .io_timeout_ms = io_timeout_ms};
    store_t *store = NULL;
    return sqlite_store_driver.open(&options, reason, &store) ? NULL : store;
}

fabric_error_t sqlite_file_apply(store_t *store, const char *cluster, reason_t *reason)
{
    store_cluster_t wanted = {.shards_per_group = 300, .lanes = 12};
    snprintf(wanted.name, sizeof wanted.name, "%s", cluster);
    return store->driver->schema_apply(store, &wanted, reason);
}

store_entry_t sqlite_file_entry(uint64_t number, size_t body_bytes)
{
    static uint8_t body[2 << 20];
    return (store_entry_t){.lane = sqlite_file_hold.lane,
                           .number = number,
                           .epoch = sqlite_file_hold.epoch,
                           .incarnation = sqlite_file_hold.holder,
                           .last_id = number,
                           .created_ms = (int64_t)number,
                           .log_bytes = number * body_bytes,
                           .checksum = ~number,
                           .body = fabric_bytes(body, body_bytes)};
}

fabric_error_t sqlite_file_append(store_t *store, uint64_t number, size_t body_bytes)
{
    store_entry_t entry = sqlite_file_entry(number, body_bytes);
    return store->driver->append(store, &entry, 1);
}

static bool count_entry(void *context, const store_entry_t *entry)
{
    int *count = context;
    *count = *count >= 0 && entry->number == (uint64_t)*count + 1 ? *count + 1 : -1;
    return *count >= 0;
}

int sqlite_file_count_entries(store_t *store)
{
    int count = 0;
    fabric_error_t error =
        store->driver->read_journal(store, sqlite_file_hold.lane, 1, STORE_ENTRY_HEAD, UINT32_MAX,
                                    UINT64_MAX, count_entry, &count);
    return error ? -1 : count;
}

/* ---- behind the adapter's back ---- */

static int open_raw(const sqlite_file_t *file, sqlite3 **database)
{
    int code = sqlite3_open(file->path, database);
    sqlite3_busy_timeout(*database, IO_TIMEOUT_MS);
    return code;
}

int sqlite_file_execute(const sqlite_file_t *file, const char *sql)
{
    sqlite3 *database = NULL;
    int code = open_raw(file, &database);
    code = code ? code : sqlite3_exec(database, sql, NULL, NULL, NULL);
    sqlite3_close(database);
    return code;
}

int64_t sqlite_file_number(const sqlite_file_t *file, const char *sql)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;
    if (open_raw(file, &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        number = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

fabric_error_t sqlite_file_put_rows(store_t *store, uint64_t first, size_t count)
{
    static store_pending_t rows[500];
    for (size_t i = 0; i < count; i++) {
        uint64_t position = first + i;
        rows[i] = (store_pending_t){.position = position,
                                    .entity_hash = position % 1000,
                                    .id = {position},
                                    .body = fabric_bytes("record", 6)};
    }
    store_slice_t slice = {.puts = rows, .put_count = count};
    return sqlite_store_driver.checkpoint(store, &sqlite_file_hold, &slice);
}
