/* The store suite on SQLite. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sqlite/sqlite_store.h"
#include "tests/conformance/sql_signal.h"
#include "tests/conformance/store_fixture.h"

static const char *path_of(const char *url)
{
    return url + strlen("sqlite:");
}

static bool create(char url[512])
{
    const char *parent = getenv("TMPDIR");
    char directory[400];
    snprintf(directory, sizeof directory, "%s/fabric-sqlite-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(directory)) {
        return false;
    }
    snprintf(url, 512, "sqlite:%s/fabric.db", directory);
    return true;
}

static void destroy(const char *url)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
    char path[600];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(path, sizeof path, "%s%s", path_of(url), suffixes[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s", path_of(url));
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static bool execute(const char *url, const char *statements)
{
    sqlite3 *database = NULL;
    bool done = sqlite3_open(path_of(url), &database) == SQLITE_OK &&
                sqlite3_busy_timeout(database, 5000) == SQLITE_OK &&
                sqlite3_exec(database, statements, NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_close(database);
    return done;
}

static bool damage(const char *url, store_suite_damage_t kind)
{
    static const char *const statements[] = {
        [STORE_SUITE_NEWER_VERSION] =
            ("INSERT INTO schema_version (version, applied_at)"
             " SELECT max(version) + 1, max(applied_at) FROM schema_version"),
        [STORE_SUITE_FOREIGN_TABLES] = "CREATE TABLE journal (page TEXT)",
        [STORE_SUITE_NO_CLUSTER] = "DELETE FROM cluster",
        [STORE_SUITE_NO_ENTRY] = ("DELETE FROM journal WHERE lane = 0 AND number ="
                                  " (SELECT number FROM checkpoint WHERE lane = 0)"),
    };
    return execute(url, statements[kind]);
}

static bool copy(const char *url)
{
    return execute(url, "CREATE TABLE journal_copy AS SELECT * FROM journal");
}

static bool put_back(const char *url, unsigned appends)
{
    (void)appends;
    return execute(url, "BEGIN IMMEDIATE; DELETE FROM journal;"
                        "INSERT INTO journal SELECT * FROM journal_copy; COMMIT;"
                        "DROP TABLE journal_copy");
}

/* A column's bytes, kept until the next call for the same slot. */
static fabric_bytes_t keep(sqlite3_stmt *statement, int column, size_t slot)
{
    static uint8_t kept[5][4096];
    size_t size = (size_t)sqlite3_column_bytes(statement, column);
    assert_true(size <= sizeof kept[slot]);
    if (size > 0) {
        memcpy(kept[slot], sqlite3_column_blob(statement, column), size);
    }
    return fabric_bytes(kept[slot], size);
}

static bool dead_letter(const char *url, uint32_t lane, request_id_t id, store_dead_row_t *row)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path_of(url), &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(database,
                           "SELECT shard, number, ended_ms, error, attempts, type, entity, tag,"
                           " text, body FROM dead_letter WHERE lane = ?1 AND request_id = ?2",
                           -1, &statement, NULL),
        SQLITE_OK);
    sqlite3_bind_int64(statement, 1, lane);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)id.value);
    bool found = sqlite3_step(statement) == SQLITE_ROW;
    if (found) {
        *row = (store_dead_row_t){.id = id,
                                  .shard = {(uint32_t)sqlite3_column_int64(statement, 0)},
                                  .number = (uint64_t)sqlite3_column_int64(statement, 1),
                                  .ended_ms = sqlite3_column_int64(statement, 2),
                                  .error = (uint32_t)sqlite3_column_int64(statement, 3),
                                  .attempts = (uint32_t)sqlite3_column_int64(statement, 4),
                                  .type = keep(statement, 5, 0),
                                  .entity = keep(statement, 6, 1),
                                  .tag = keep(statement, 7, 2),
                                  .text = keep(statement, 8, 3),
                                  .body = keep(statement, 9, 4)};
    }
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return found;
}

int main(void)
{
    static const store_suite_t suite = {.name = "sqlite",
                                        .driver = &sqlite_store_driver,
                                        .exclusive = true,
                                        .create = create,
                                        .destroy = destroy,
                                        .damage = damage,
                                        .copy = copy,
                                        .put_back = put_back,
                                        .dead_letter = dead_letter,
                                        .signal_before = sql_signal_before};
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return store_suite_run(&suite);
}
