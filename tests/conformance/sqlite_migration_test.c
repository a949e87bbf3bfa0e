/* Migration of SQLite files from schema versions 1 to 7. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/journal/entry.h"
#include "tests/conformance/sqlite_file.h"
#include "tests/harness/old_schema.h"

#define assert_error(expected, actual)                                                             \
    assert_string_equal(fabric_error_name(actual), fabric_error_name(expected))
#define assert_ok(actual) assert_error(FABRIC_OK, actual)

/* ---- a file of version 1 or 2 ---- */

/* Two pending messages (101; 104 with a key and a time), one that has ended (102), and a dead
 * letter (103); 400 more of each of the first and second kind. */
#define MESSAGE(id, deliver_at_ms, key)                                                            \
    "(" id ", 65539, 77, " id ", 1, " deliver_at_ms ", x'4f72646572', x'6f2d31', x'416464', " key  \
    ", x'', x'', x'0102')"
static const char contents[] =
    "INSERT INTO cluster VALUES (1, x'000102030405060708090a0b0c0d0e0f', 'fabric', 300);"
    "INSERT INTO broker VALUES (x'01010101010101010101010101010101', 3, 9, 'b', 'tcp://b', '');"
    "INSERT INTO writer VALUES (3, 0, x'01010101010101010101010101010101', 12, 5000),"
    " (3, 1, x'01010101010101010101010101010101', 2, 7000), (1, 0, zeroblob(16), 2, 600);"
    "INSERT INTO runner VALUES (x'02020202020202020202020202020202', 100, 'worker');"
    "INSERT INTO shard_group VALUES (1, x'64656661756c74');"
    "INSERT INTO entity_type VALUES (x'4f72646572', 1, x'00');"
    "INSERT INTO shard VALUES (65539, x'01010101010101010101010101010101', 7, 0), (65540,"
    " x'01010101010101010101010101010101', 9223372036854775807, 0);"
    "INSERT INTO mailbox VALUES " MESSAGE("101", "0", "NULL") ", " MESSAGE(
        "102", "0",
        "NULL") ", " MESSAGE("103", "0",
                             "NULL") ", " MESSAGE("104", "1800000000000",
                                                  "x'"
                                                  "000102030405060708090a0b0c0d0e0f0001020304050607"
                                                  "08090a0b0c0d0e0f'") ";"
                                                                       "INSERT INTO reply VALUES "
                                                                       "(102, 0, 65539, 0, 0, 0, "
                                                                       "x'09'), (103, 0, 65539, 2, "
                                                                       "11, 3, x'08');"
                                                                       "INSERT INTO attempt "
                                                                       "(request_id, attempts) "
                                                                       "VALUES (101, 4);"
                                                                       "INSERT INTO dead_letter "
                                                                       "VALUES (103, 65539, 77, "
                                                                       "103, 1, 0, x'4f72646572', "
                                                                       "x'6f2d31',"
                                                                       " x'416464', NULL, x'', "
                                                                       "x'', x'0102', 11, 10, "
                                                                       "x'6f6f7073');"
                                                                       "WITH RECURSIVE ids (id) AS "
                                                                       "(SELECT 200 UNION ALL "
                                                                       "SELECT id + 1 FROM ids "
                                                                       "WHERE id < 999)"
                                                                       "INSERT INTO mailbox SELECT "
                                                                       "id, 65536 + id % 300 + 1, "
                                                                       "78, id, 1, 0, "
                                                                       "x'4f72646572', x'6f2d32',"
                                                                       " x'416464', NULL, x'', "
                                                                       "x'', zeroblob(id) FROM ids;"
                                                                       "INSERT INTO reply SELECT "
                                                                       "request_id, 0, shard, 0, "
                                                                       "0, 0, x'' FROM mailbox "
                                                                       "WHERE request_id BETWEEN "
                                                                       "200 AND 999 AND request_id "
                                                                       "% 2 = 1;";

enum { PENDING = 401 };

static int make_file(const sqlite_file_t *file, uint32_t version)
{
    int code = sqlite_file_execute(file, old_schema_sqlite_1);
    code = code || version < 2 ? code : sqlite_file_execute(file, old_schema_sqlite_2);
    return code ? code : sqlite_file_execute(file, contents);
}

/* ---- what becomes of it ---- */

static void check_pending(void *context, size_t range, const store_pending_t *row)
{
    journal_record_t record = {0};
    (void)range;
    (void)context;
    assert_int_equal(row->position, row->id.value);
    assert_int_equal(row->number, 0);
    assert_ok(journal_record_decode(row->body, &record));
    assert_int_equal(record.kind, RECORD_MESSAGE);
    assert_int_equal(record.id.value, row->id.value);
    assert_int_equal(record.position, row->position);
    assert_int_equal(record.message.call.client, 77);
    assert_int_equal(record.message.call.sequence, row->id.value);
    assert_memory_equal(record.message.payload.data, "\1\2", 2);
    assert_int_equal(row->attempts, row->id.value == 101 ? 4 : 0);
    assert_int_equal(record.attempts.attempts, row->attempts);
    assert_int_equal(row->due_ms, row->id.value == 104 ? 1800000000000 : 0);
    assert_int_equal(record.message.deliver_at_ms, row->due_ms);
    assert_int_equal(record.message.key_hash != NULL, row->id.value == 104);
}

static void check_lane(void *context, const store_lane_t *lane)
{
    unsigned *lanes = context;
    assert_int_equal(lane->lane, (*lanes)++);
    assert_true(incarnation_is_none(lane->holder));
    assert_int_equal(lane->epoch, 7);
    assert_int_equal(lane->number, 0);
    assert_int_equal(lane->purged_id, 7000);
    assert_true(lane->purged_ms > 1700000000000);
}

static void expect_rows(const sqlite_file_t *file)
{
    static const char *const questions[] = {
        "SELECT count(*) = 12 FROM schema_version JOIN lane WHERE version = 8",
        "SELECT count(*) FROM cluster WHERE id = x'000102030405060708090a0b0c0d0e0f' AND lanes = 12"
        " AND CAST(name AS TEXT) = 'fabric' AND shards_per_group = 300",
        "SELECT term = 5 FROM coordinator",
        "SELECT count(*) = 2 FROM broker WHERE incarnation = zeroblob(16)"
        " AND (slot, id_mark) IN (VALUES (3, 7000), (1, 600))",
        "SELECT count(*) FROM runner JOIN shard_group JOIN entity_type",
        "SELECT registered_ms = 1 FROM cluster", /* it has a type, and nobody knows since when */
        "SELECT count(*) = 401 FROM pending",
        ("SELECT count(*) FROM scheduled WHERE request_id = 104 AND due_ms = 1800000000000"
         " AND lane = (shard & 65535) % 12"),
        "SELECT count(*) = 0 FROM pending WHERE lane <> (shard & 65535) % 12",
        "SELECT count(*) FROM dead_letter WHERE lane = 3 AND request_id = 103 AND error = 11"
        " AND attempts = 10 AND text = x'6f6f7073'",
        "SELECT count(*) = 0 FROM sqlite_master WHERE name IN ('mailbox', 'reply', 'attempt',"
        " 'shard', 'writer') OR name LIKE 'old%'",
        "SELECT count(*) = 0 FROM primary_key WHERE lane = 0 OR until_ms IS NOT NULL",
    };
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        assert_int_equal(sqlite_file_number(file, questions[i]), 1);
    }
}

static void expect_dead_letter(const sqlite_file_t *file)
{
    uint8_t bytes[1000];
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    journal_record_t record = {0};
    assert_int_equal(sqlite3_open(file->path, &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(database, "SELECT body FROM dead_letter", -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    size_t size = (size_t)sqlite3_column_bytes(statement, 0);
    assert_in_range(size, 1, sizeof bytes);
    memcpy(bytes, sqlite3_column_blob(statement, 0), size);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    assert_ok(journal_record_decode(fabric_bytes(bytes, size), &record));
    assert_int_equal(record.kind, RECORD_DEAD);
    assert_int_equal(record.reply.code, 3);
    assert_int_equal(record.reply.status, 2);
    assert_int_equal(record.cause, 11);
}

static void expect_migrated(sqlite_file_t *file)
{
    store_range_t range = {
        .entity_hash = journal_entity_hash(fabric_bytes("Order", 5), fabric_bytes("o-1", 3)),
        .until = 150,
        .limit = 10};
    store_cluster_t wanted = {.name = "fabric", .shards_per_group = 300, .lanes = 12};
    store_cluster_t cluster;
    reason_t reason = {""};
    unsigned lanes = 0;
    size_t done = 0;
    store_t *store = file->store;
    assert_ok(store->driver->check(store, &wanted, &reason, &cluster));
    expect_rows(file);
    expect_dead_letter(file);
    assert_ok(store->driver->lane_list(store, check_lane, &lanes));
    assert_int_equal(lanes, 12);
    assert_ok(store->driver->load_rows(store, 3, &range, 1, 1 << 20, check_pending, NULL, &done));
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) = 1 FROM pending "
                                              "WHERE entity = x'6f2d31' AND lane = 3"),
                     1);
    /* Once more, as every broker does at its start. */
    assert_ok(sqlite_file_apply(store, "fabric", &reason));
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM pending"), PENDING);
}

static void migrate_from(sqlite_file_t *file, uint32_t version)
{
    reason_t reason = {""};
    uint32_t found = 0;
    assert_int_equal(make_file(file, version), SQLITE_OK);
    file->store = sqlite_file_open(file, 5000, NULL);
    assert_non_null(file->store);
    assert_ok(file->store->driver->schema_status(file->store, &reason, &found));
    assert_int_equal(found, version);
    fabric_error_t error = sqlite_file_apply(file->store, "fabric", &reason);
    assert_string_equal(reason.text, "");
    assert_ok(error);
    expect_migrated(file);
}

static void version_2_is_migrated(void **state)
{
    migrate_from(*state, 2);
}

static void version_1_is_migrated(void **state)
{
    migrate_from(*state, 1);
}

/* Brokers of version 3 stay members, without a secret. */
static void version_3_is_migrated(void **state)
{
    sqlite_file_t *file = *state;
    reason_t reason = {""};
    uint32_t version = 0;
    migrate_from(file, 2);
    assert_int_equal(sqlite_file_execute(file, old_schema_3), SQLITE_OK);
    assert_int_equal(sqlite_file_execute(
                         file, "INSERT INTO broker VALUES (5, x'01010101010101010101010101010101',"
                               " 7, 8000, x'62', x'', x'');"),
                     SQLITE_OK);
    assert_ok(file->store->driver->schema_status(file->store, &reason, &version));
    assert_int_equal(version, 3);
    assert_ok(sqlite_file_apply(file->store, "fabric", &reason));
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM broker WHERE slot = 5 AND"
                                              " id_mark = 8000 AND secret = zeroblob(16)"),
                     1);
    expect_migrated(file);
}

/* Version 4 had no primary keys. */
static void version_4_is_migrated(void **state)
{
    sqlite_file_t *file = *state;
    reason_t reason = {""};
    uint32_t version = 0;
    migrate_from(file, 2);
    assert_int_equal(sqlite_file_execute(file, old_schema_4), SQLITE_OK);
    assert_ok(file->store->driver->schema_status(file->store, &reason, &version));
    assert_int_equal(version, 4);
    assert_ok(sqlite_file_apply(file->store, "fabric", &reason));
    expect_migrated(file);
}

static int64_t schema_says(const sqlite_file_t *file, const char *name, const char *like)
{
    char question[300];
    snprintf(question, sizeof question,
             "SELECT count(*) FROM sqlite_master WHERE name = '%s' AND tbl_name = 'primary_key'"
             " AND sql LIKE '%s'",
             name, like);
    return sqlite_file_number(file, question);
}

/* In version 5 scheduled messages lay among the others, and keys were in the order of hashes. */
static void version_5_is_migrated(void **state)
{
    sqlite_file_t *file = *state;
    reason_t reason = {""};
    uint32_t version = 0;
    migrate_from(file, 2);
    assert_int_equal(sqlite_file_execute(file, old_schema_sqlite_5), SQLITE_OK);
    assert_int_equal(sqlite_file_execute(
                         file,
                         "INSERT INTO primary_key VALUES"
                         " (3, zeroblob(32), -7, 900, 65539, 4, NULL, 0, 0, 0, x''),"
                         " (3, x'01' || zeroblob(31), -7, 901, 65540, 5, 9000, 2, 11, 3, x'0102'),"
                         " (4, zeroblob(32), 8, 902, 65541, 6, 8000, 0, 0, 0, x'03');"),
                     SQLITE_OK);
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM pending"), PENDING + 1);
    assert_ok(file->store->driver->schema_status(file->store, &reason, &version));
    assert_int_equal(version, 5);
    assert_ok(sqlite_file_apply(file->store, "fabric", &reason));
    assert_int_equal(schema_says(file, "primary_key", "%PRIMARY KEY (lane, entity_hash, hash)%"),
                     1);
    assert_int_equal(schema_says(file, "primary_key_until", "%(lane, until_ms)%"), 1);
    assert_int_equal(
        sqlite_file_number(
            file,
            "SELECT count(*) FROM primary_key WHERE (lane = 3 AND hash = zeroblob(32) AND"
            " entity_hash = -7 AND request_id = 900 AND shard = 65539 AND number = 4 AND until_ms"
            " IS NULL AND status = 0 AND error = 0 AND code = 0 AND payload = x'') OR (lane = 3"
            " AND hash = x'01' || zeroblob(31) AND entity_hash = -7 AND request_id = 901 AND"
            " shard = 65540 AND number = 5 AND until_ms = 9000 AND status = 2 AND error = 11 AND"
            " code = 3 AND payload = x'0102') OR (lane = 4 AND hash = zeroblob(32) AND"
            " entity_hash = 8 AND request_id = 902 AND shard = 65541 AND number = 6 AND until_ms ="
            " 8000 AND status = 0 AND error = 0 AND code = 0 AND payload = x'03')"),
        3);
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM primary_key"), 3);
    assert_int_equal(sqlite_file_execute(file, "DELETE FROM primary_key"), SQLITE_OK);
    expect_migrated(file);
}

/* Version 6 had neither events nor outgoing messages; its states stay, and contain none. */
static void version_6_is_migrated(void **state)
{
    sqlite_file_t *file = *state;
    reason_t reason = {""};
    uint32_t version = 0;
    migrate_from(file, 2);
    assert_int_equal(sqlite_file_execute(file, old_schema_6), SQLITE_OK);
    assert_int_equal(sqlite_file_execute(file,
                                         "INSERT INTO entity_state VALUES"
                                         " (3, x'4f72646572', x'6f2d31', 65539, 7, 2, x'0102'),"
                                         " (4, x'4f72646572', x'6f2d32', 65540, 8, 1, x'03');"),
                     SQLITE_OK);
    assert_ok(file->store->driver->schema_status(file->store, &reason, &version));
    assert_int_equal(version, 6);
    assert_ok(sqlite_file_apply(file->store, "fabric", &reason));
    assert_int_equal(
        sqlite_file_number(file, "SELECT count(*) FROM fabric_states WHERE sequence = 0 AND"
                                 " type = 'Order' AND (lane, id, version, bytes, as_of_entry) IN"
                                 " (VALUES (3, 'o-1', 2, 2, 7), (4, 'o-2', 1, 1, 8))"),
        2);
    assert_int_equal(sqlite_file_execute(file, "INSERT INTO event VALUES"
                                               " (3, x'4f72646572', x'6f2d31', 1, 65539, 7,"
                                               " 900, 1800000000000, x'416464', 2, x'0102');"),
                     SQLITE_OK);
    assert_int_equal(
        sqlite_file_number(file, "SELECT count(*) FROM fabric_events WHERE lane = 3 AND"
                                 " shard = 'default:3' AND type = 'Order' AND id = 'o-1' AND"
                                 " sequence = 1 AND tag = 'Add' AND version = 2 AND request_id ="
                                 " 900 AND recorded_at = '2027-01-15 08:00:00.000' AND bytes = 2"
                                 " AND as_of_entry = 7"),
        1);
    assert_int_equal(
        sqlite_file_execute(file, "INSERT INTO outbox VALUES (3, 269737367961600000, 2, 7, 900,"
                                  " 65539, x'4f72646572', x'6f2d31', x'416464', 4, 65540,"
                                  " x'41', x'42', x'43', 3, 0, x'0102', x'', x'', x'');"),
        SQLITE_OK);
    assert_int_equal(
        sqlite_file_number(file, "SELECT count(*) FROM fabric_outbox WHERE lane = 3 AND outgoing_id"
                                 " = 269737367961600000 AND ordinal = 2 AND target_lane = 4 AND"
                                 " shard = 'default:4' AND type = 'A' AND id = 'B' AND tag = 'C'"
                                 " AND source_request_id = 900 AND source_type = 'Order' AND"
                                 " source_id = 'o-1' AND source_tag = 'Add' AND told_at ="
                                 " '2027-01-15 08:00:00.000' AND due_at IS NULL AND bytes = 2"
                                 " AND as_of_entry = 7"),
        1);
    expect_migrated(file);
}

/* ---- what hinders it ---- */

/* Everything that the old file says, as one number. */
/* Version 7 had no transactions of handlers. */
static void version_7_is_migrated(void **state)
{
    sqlite_file_t *file = *state;
    reason_t reason = {""};
    uint32_t version = 0;
    migrate_from(file, 2);
    assert_int_equal(sqlite_file_execute(file, old_schema_7), SQLITE_OK);
    assert_ok(file->store->driver->schema_status(file->store, &reason, &version));
    assert_int_equal(version, 7);
    assert_ok(sqlite_file_apply(file->store, "fabric", &reason));
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM direct_result, shard_owner"),
                     0);
    expect_migrated(file);
}

static int64_t fingerprint(const sqlite_file_t *file)
{
    return sqlite_file_number(
        file,
        "SELECT (SELECT count(*) FROM mailbox) * 1000000 + (SELECT count(*) FROM reply) * 1000"
        " + (SELECT count(*) FROM sqlite_master) * 10 + (SELECT version FROM schema_version)"
        " + (SELECT count(*) FROM broker) + (SELECT count(*) FROM dead_letter)"
        " + (SELECT sum(high_id) FROM writer WHERE incarnation <> zeroblob(16))");
}

static void a_file_of_another_cluster_stays_as_it_is(void **state)
{
    sqlite_file_t *file = *state;
    reason_t reason = {""};
    assert_int_equal(make_file(file, 2), SQLITE_OK);
    int64_t before = fingerprint(file);
    file->store = sqlite_file_open(file, 5000, NULL);
    assert_non_null(file->store);
    assert_error(FABRIC_ERROR_FOREIGN_DATABASE, sqlite_file_apply(file->store, "other", &reason));
    assert_non_null(strstr(reason.text, "cluster 'fabric', not to 'other'"));
    assert_true(before > 0);
    assert_int_equal(fingerprint(file), before);
    assert_ok(sqlite_file_apply(file->store, "fabric", &reason));
    expect_migrated(file);
}

static void a_full_disk_leaves_the_file_as_it_was(void **state)
{
    sqlite_file_t *file = *state;
    reason_t reason = {""};
    char pragma[64];
    assert_int_equal(make_file(file, 2), SQLITE_OK);
    int64_t before = fingerprint(file);
    file->store = sqlite_file_open(file, 5000, NULL);
    assert_non_null(file->store);
    sql_store_t *store = sql_store_of(file->store);
    snprintf(pragma, sizeof pragma, "PRAGMA max_page_count = %lld",
             (long long)sqlite_file_number(file, "PRAGMA page_count") + 20);
    assert_ok(sqlite_execute(store, pragma));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, sqlite_file_apply(file->store, "fabric", &reason));
    assert_non_null(strstr(reason.text, "full"));
    assert_int_equal(fingerprint(file), before);
    assert_ok(sqlite_execute(store, "PRAGMA max_page_count = 1000000"));
    assert_ok(sqlite_file_apply(file->store, "fabric", &reason));
    expect_migrated(file);
}

typedef struct bomb {
    unsigned left; /* calls until it goes off */
} bomb_t;

static int pass(void *context)
{
    bomb_t *bomb = context;
    if (bomb->left-- == 0) {
        kill(getpid(), SIGKILL);
    }
    return 0;
}

/* A child that migrates, and is killed after so many thousand steps of SQLite's machine. True: it
 * was not killed, and has migrated. */
static bool migrate_until(const sqlite_file_t *file, unsigned thousands)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        bomb_t bomb = {.left = thousands};
        store_t *store = sqlite_file_open(file, 5000, NULL);
        if (!store) {
            _exit(1);
        }
        sqlite3_progress_handler(sqlite_store_of(store)->database, 1000, pass, &bomb);
        _exit(sqlite_file_apply(store, "fabric", NULL) ? 2 : 0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    return status == 0;
}

static void a_killed_migration_leaves_the_file_as_it_was(void **state)
{
    sqlite_file_t *file = *state;
    unsigned thousands = 0;
    assert_int_equal(make_file(file, 2), SQLITE_OK);
    int64_t before = fingerprint(file);
    while (!migrate_until(file, thousands)) {
        assert_int_equal(fingerprint(file), before);
        thousands++;
    }
    assert_true(thousands > 10);
    file->store = sqlite_file_open(file, 5000, NULL);
    assert_non_null(file->store);
    expect_migrated(file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        SQLITE_EMPTY_TEST(version_2_is_migrated),
        SQLITE_EMPTY_TEST(version_1_is_migrated),
        SQLITE_EMPTY_TEST(version_3_is_migrated),
        SQLITE_EMPTY_TEST(version_4_is_migrated),
        SQLITE_EMPTY_TEST(version_5_is_migrated),
        SQLITE_EMPTY_TEST(version_6_is_migrated),
        SQLITE_EMPTY_TEST(version_7_is_migrated),
        SQLITE_EMPTY_TEST(a_file_of_another_cluster_stays_as_it_is),
        SQLITE_EMPTY_TEST(a_full_disk_leaves_the_file_as_it_was),
        SQLITE_EMPTY_TEST(a_killed_migration_leaves_the_file_as_it_was),
    };
    return cmocka_run_group_tests_name("sqlite_migration", tests, NULL, NULL);
}
