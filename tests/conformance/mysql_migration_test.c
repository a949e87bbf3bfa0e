/* What becomes of databases of schema versions 1 to 7 on MySQL and MariaDB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/journal/entry.h"
#include "mysql/mysql_connection.h"
#include "mysql/mysql_store.h"
#include "tests/harness/mariadb.h"
#include "tests/harness/old_schema.h"

/* ---- the old versions ---- */

/* Messages 1001 to 1899: every third is pending, and those that end in 00 are dead letters. */
enum { FIRST_ID = 1001, LAST_ID = 1899, HIGH_ID = 5000, EPOCH = 41, DEAD_COUNT = 8 };

static const char contents[] =
    "INSERT INTO broker VALUES (REPEAT('a', 16), 3, 55, 'b', 'tcp://a', 'tcp://p');"
    "INSERT INTO writer VALUES (3, 0, REPEAT('a', 16), 9, 5000), (3, 1, REPEAT('a', 16), 9, 400),"
    " (4, 0, REPEAT(CHAR(0), 16), 9, 700);"
    "INSERT INTO runner VALUES (REPEAT('r', 16), 1, 'w');"
    "INSERT INTO shard_group VALUES (1, 'default');"
    "INSERT INTO entity_type VALUES ('Order', 1, 'd');"
    "INSERT INTO shard VALUES (65537, REPEAT('a', 16), 41, 3),"
    " (65538, REPEAT('a', 16), 18446744073709551615, 3);"
    "INSERT INTO mailbox"
    " WITH RECURSIVE ids (id) AS (SELECT 1001 UNION ALL SELECT id + 1 FROM ids WHERE id < 1899)"
    " SELECT id, 65537 + id % 300, id % 8, 'Order', CONCAT('order-', id % 5), 'Place',"
    " REPEAT('p', id), 'trace', IF(id % 2 = 0, 'headers', NULL), 9, id * 7,"
    " IF(id % 5 = 0, REPEAT('k', 32), NULL), IF(id % 7 = 0, 1764320000000, 0) FROM ids;"
    "INSERT INTO reply SELECT request_id, 0, shard, 0, 0, 0, 'ok' FROM mailbox"
    " WHERE request_id % 3 <> 0 OR request_id % 100 = 0;"
    "INSERT INTO attempt (request_id, attempts) SELECT request_id, 2 FROM mailbox"
    " WHERE request_id % 9 = 0;"
    "INSERT INTO dead_letter SELECT m.*, 9, 10, 'it broke' FROM mailbox m"
    " WHERE request_id % 100 = 0;"
    "INSERT INTO primary_key VALUES (REPEAT('k', 32), 1005);";

static bool is_dead(uint64_t id)
{
    return id % 100 == 0;
}

static bool is_pending(uint64_t id)
{
    return id % 3 == 0 && !is_dead(id);
}

/* ---- a database for each test ---- */

typedef struct fixture {
    char url[512];
    store_t *store;
} fixture_t;

static const store_driver_t *const drivers[] = {&mysql_store_driver, NULL};

static store_t *open_store(const char *url)
{
    store_options_t options = {.url = url,
                               .password = mariadb_password(),
                               .connect_timeout_ms = 20000,
                               .io_timeout_ms = 20000};
    reason_t reason = {{0}};
    store_t *store = NULL;
    if (store_open(drivers, &options, &reason, &store)) {
        fail_msg("%s", reason.text);
    }
    return store;
}

static int setup(void **state)
{
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_true(mariadb_fresh_database(fixture->url));
    assert_true(mariadb_execute(fixture->url, old_schema_mysql_1));
    assert_true(mariadb_execute(fixture->url, contents));
    fixture->store = open_store(fixture->url);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *fixture = *state;
    store_close(&fixture->store);
    mariadb_drop_database(fixture->url);
    free(fixture);
    return 0;
}

static void note_number(void *context, char **row)
{
    *(long long *)context = row[0] ? strtoll(row[0], NULL, 10) : -1;
}

/* The number that a query gives; -1: none. */
static long long number(store_t *store, const char *query)
{
    long long result = -1;
    mysql_store_t *mysql = mysql_store_of(sql_store_of(store));
    if (mysql_query_text(mysql, query, note_number, &result)) {
        fail_msg("%s: %s", query, store->last_error.text);
    }
    return result;
}

static const store_cluster_t wanted = {.name = "old", .shards_per_group = 300, .lanes = 5};

static fabric_error_t apply(store_t *store, reason_t *reason)
{
    return store->driver->schema_apply(store, &wanted, reason);
}

/* ---- what is there afterwards ---- */

typedef struct row_check {
    const fixture_t *fixture;
    uint32_t lane;
    size_t count;
    bool counts_crashes;
    size_t scheduled;
} row_check_t;

static void check_record(fabric_bytes_t body, uint64_t id, journal_record_t *record)
{
    assert_int_equal(journal_record_decode(body, record), FABRIC_OK);
    const store_message_t *message = &record->message;
    assert_int_equal(message->id.value, id);
    assert_int_equal(message->shard.value, 65537 + id % 300);
    assert_int_equal(message->flags, id % 8);
    assert_true(fabric_bytes_equal(message->type, fabric_bytes_of("Order")));
    assert_int_equal(message->payload.size, id);
    assert_true(fabric_bytes_equal(message->traceparent, fabric_bytes_of("trace")));
    assert_int_equal(message->headers.size, id % 2 == 0 ? 7 : 0);
    assert_int_equal(message->call.client, 9);
    assert_int_equal(message->call.sequence, id * 7);
    assert_int_equal(message->key_hash != NULL, id % 5 == 0);
    assert_int_equal(message->deliver_at_ms, id % 7 == 0 ? 1764320000000 : 0);
}

static void check_row(void *context, size_t range, const store_pending_t *row)
{
    (void)range;
    row_check_t *check = context;
    uint64_t id = row->id.value;
    journal_record_t record;
    check->count++;
    assert_true(is_pending(id));
    check_record(row->body, id, &record);
    assert_int_equal(record.kind, RECORD_MESSAGE);
    assert_int_equal(record.position, id);
    assert_int_equal(row->position, id);
    assert_int_equal(row->number, 0);
    assert_int_equal(shard_id_number(row->shard) % wanted.lanes, check->lane);
    assert_int_equal(row->due_ms, record.message.deliver_at_ms);
    check->scheduled += row->due_ms != 0;
    bool counts = id % 9 == 0 && row->due_ms == 0; /* a scheduled row has no counts */
    assert_int_equal(row->attempts, counts ? 2 : 0);
    assert_int_equal(row->crashes, check->counts_crashes && counts ? 1 : 0);
    assert_true(fabric_bytes_equal(row->type, record.message.type) &&
                fabric_bytes_equal(row->entity, record.message.entity) &&
                fabric_bytes_equal(row->tag, record.message.tag) &&
                row->entity_hash ==
                    journal_entity_hash(record.message.type, record.message.entity));
}

static void load_entity(void *context, const store_backlog_t *backlog)
{
    row_check_t *check = context;
    store_range_t range = {backlog->entity_hash, 0, UINT64_MAX, UINT32_MAX};
    store_t *other = open_store(check->fixture->url);
    size_t before = check->count;
    size_t done = 0;
    assert_int_equal(other->driver->load_rows(other, check->lane, &range, 1, UINT64_MAX, check_row,
                                              check, &done),
                     FABRIC_OK);
    assert_int_equal(check->count - before, backlog->count);
    store_close(&other);
}

static void check_lane(void *context, const store_lane_t *lane)
{
    (*(size_t *)context)++;
    assert_true(incarnation_is_none(lane->holder));
    assert_int_equal(lane->epoch, EPOCH);
    assert_int_equal(lane->number, 0);
    assert_int_equal(lane->begun, 0);
    assert_int_equal(lane->purged_id, HIGH_ID);
    assert_true(lane->purged_ms > 1700000000000);
}

static bool check_entry(void *context, const store_entry_t *entry)
{
    (*(size_t *)context)++;
    assert_true(journal_entry_is_sound(entry));
    assert_true(entry->adopt && entry->number == 0 && entry->last_id == HIGH_ID &&
                entry->epoch == EPOCH && entry->body.size == 0);
    return true;
}

static void check_dead_letters(store_t *store)
{
    assert_int_equal(number(store, "SELECT COUNT(*) FROM dead_letter"), DEAD_COUNT);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM dead_letter WHERE request_id % 100 = 0"
                                   " AND lane = (shard & 65535) % 5 AND error = 9 AND"
                                   " attempts = 10 AND text = 'it broke' AND type = 'Order' AND"
                                   " number = 0 AND LENGTH(body) > request_id"),
                     DEAD_COUNT);
}

static void check_views(store_t *store, long long pending)
{
    assert_int_equal(number(store, "SELECT COUNT(*) FROM fabric_pending WHERE type = 'Order' AND id"
                                   " LIKE 'order-_' AND shard LIKE 'default:%' AND tag = 'Place'"),
                     pending);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM fabric_scheduled WHERE due_at ="
                                   " FROM_UNIXTIME(1764320000) AND request_id % 7 = 0"),
                     number(store, "SELECT COUNT(*) FROM scheduled"));
    assert_int_equal(number(store, "SELECT COUNT(*) FROM pending WHERE request_id % 7 = 0"), 0);
    assert_int_equal(number(store, "SELECT SUM(pending) FROM fabric_entities WHERE type = 'Order'"),
                     pending);
    assert_int_equal(number(store,
                            "SELECT COUNT(*) FROM fabric_lanes WHERE epoch = 41 AND broker IS"
                            " NULL AND newest_entry = 0 AND journal_bytes = 0"),
                     wanted.lanes);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM fabric_dead_letters WHERE text ="
                                   " 'it broke'"),
                     DEAD_COUNT);
}

static void check_migrated(fixture_t *fixture, bool counts_crashes)
{
    store_t *store = fixture->store;
    const store_driver_t *driver = store->driver;
    reason_t reason = {{0}};
    store_cluster_t cluster;
    if (driver->check(store, &wanted, &reason, &cluster)) {
        fail_msg("%s", reason.text);
    }
    assert_memory_equal(cluster.id, "cccccccccccccccc", 16);
    assert_int_equal(cluster.lanes, wanted.lanes);
    size_t lanes = 0;
    size_t entries = 0;
    row_check_t check = {.fixture = fixture, .counts_crashes = counts_crashes};
    assert_int_equal(driver->lane_list(store, check_lane, &lanes), FABRIC_OK);
    assert_int_equal(lanes, wanted.lanes);
    for (; check.lane < wanted.lanes; check.lane++) {
        assert_int_equal(driver->read_journal(store, check.lane, 0, STORE_ENTRY_ALL, 9, UINT64_MAX,
                                              check_entry, &entries),
                         FABRIC_OK);
        assert_int_equal(driver->list_backlogs(store, check.lane, load_entity, &check), FABRIC_OK);
        size_t unscheduled = check.scheduled;
        bool ended = false;
        assert_int_equal(driver->load_scheduled(store, check.lane, (store_due_key_t){INT64_MIN, 0},
                                                UINT32_MAX, UINT64_MAX, check_row, &check, &ended),
                         FABRIC_OK);
        assert_true(ended && check.scheduled > unscheduled);
    }
    size_t expected = 0;
    for (uint64_t id = FIRST_ID; id <= LAST_ID; id++) {
        expected += is_pending(id);
    }
    assert_int_equal(check.count, expected);
    assert_int_equal(entries, wanted.lanes);
    check_dead_letters(store);
    check_views(store, (long long)(expected - check.scheduled));
    assert_int_equal(number(store, "SELECT id_mark FROM broker WHERE slot = 3"), HIGH_ID);
    assert_int_equal(number(store, "SELECT id_mark FROM broker WHERE slot = 4"), 700);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM broker"), 2);
    assert_int_equal(number(store, "SELECT term FROM coordinator"), 7);
    /* Nobody knows since when the cluster has a type. */
    assert_int_equal(number(store, "SELECT registered_ms FROM cluster"),
                     number(store, "SELECT COUNT(*) > 0 FROM entity_type"));
    assert_int_equal(number(store, "SELECT COUNT(*) FROM runner"), 1);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM entity_type"), 1);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM information_schema.tables WHERE"
                                   " table_schema = DATABASE() AND table_type = 'BASE TABLE'"),
                     20);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM primary_key WHERE lane = 0"), 0);
}

/* ---- tests ---- */

static void version_1_is_migrated(void **state)
{
    fixture_t *fixture = *state;
    reason_t reason = {{0}};
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    check_migrated(fixture, false);
}

static void make_version_2(const fixture_t *fixture)
{
    assert_true(mariadb_execute(fixture->url, old_schema_mysql_2));
    assert_true(mariadb_execute(fixture->url, "UPDATE attempt SET suspicions = 1;"));
}

static void version_2_is_migrated(void **state)
{
    fixture_t *fixture = *state;
    reason_t reason = {{0}};
    uint32_t version = 0;
    make_version_2(fixture);
    assert_int_equal(fixture->store->driver->schema_status(fixture->store, &reason, &version),
                     FABRIC_OK);
    assert_int_equal(version, 2);
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    check_migrated(fixture, true);
}

/* Brokers of version 3 stay members, without a secret. */
static void version_3_is_migrated(void **state)
{
    fixture_t *fixture = *state;
    const store_driver_t *driver = fixture->store->driver;
    reason_t reason = {{0}};
    uint32_t version = 0;
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    assert_true(mariadb_execute(fixture->url, old_schema_3));
    assert_true(mariadb_execute(fixture->url, "INSERT INTO broker VALUES (5, REPEAT('b', 16), 7,"
                                              " 8000, 'b', 'tcp://b', 'tcp://p');"));
    assert_int_equal(driver->schema_status(fixture->store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, 3);
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    assert_int_equal(driver->schema_status(fixture->store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, STORE_SCHEMA_VERSION);
    assert_int_equal(number(fixture->store, "SELECT COUNT(*) FROM broker WHERE slot = 5 AND"
                                            " id_mark = 8000 AND secret = REPEAT(CHAR(0), 16)"),
                     1);
    assert_true(mariadb_execute(fixture->url, "DELETE FROM broker WHERE slot = 5;"));
    check_migrated(fixture, false);
}

/* Version 4 had no primary keys. */
static void version_4_is_migrated(void **state)
{
    fixture_t *fixture = *state;
    const store_driver_t *driver = fixture->store->driver;
    reason_t reason = {{0}};
    uint32_t version = 0;
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    assert_true(mariadb_execute(fixture->url, old_schema_4));
    assert_int_equal(driver->schema_status(fixture->store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, 4);
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    assert_int_equal(driver->schema_status(fixture->store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, STORE_SCHEMA_VERSION);
    check_migrated(fixture, false);
}

/* The key of `primary_key`, of which nothing else is looked for. */
static void check_key_order(store_t *store, const char *columns)
{
    char question[400];
    snprintf(question, sizeof question,
             "SELECT GROUP_CONCAT(column_name ORDER BY seq_in_index) = '%s' FROM"
             " information_schema.statistics WHERE table_schema = DATABASE() AND table_name ="
             " 'primary_key' AND index_name = 'PRIMARY'",
             columns);
    assert_int_equal(number(store, question), 1);
}

static void check_keys(store_t *store)
{
    check_key_order(store, "lane,entity_hash,hash");
    assert_int_equal(number(store, "SELECT COUNT(*) FROM primary_key"), 3);
    assert_int_equal(
        number(store, "SELECT COUNT(*) FROM primary_key WHERE (lane = 3 AND hash = REPEAT('a', 32)"
                      " AND entity_hash = 77 AND request_id = 900 AND shard = 65539 AND number = 4"
                      " AND until_ms IS NULL AND payload = '') OR (lane = 3 AND hash ="
                      " REPEAT('b', 32) AND entity_hash = 77 AND request_id = 901 AND shard ="
                      " 65540 AND number = 5 AND until_ms = 9000 AND status = 2 AND error = 11 AND"
                      " code = 3 AND payload = 'reply') OR (lane = 4 AND hash = REPEAT('a', 32)"
                      " AND entity_hash = 18446744073709551615 AND request_id = 902 AND until_ms ="
                      " 8000)"),
        3);
}

/* In version 5 scheduled messages lay among the others, and keys were in the order of hashes. One
 * of these messages has come due. */
static void version_5_is_migrated(void **state)
{
    fixture_t *fixture = *state;
    store_t *store = fixture->store;
    reason_t reason = {{0}};
    uint32_t version = 0;
    assert_int_equal(apply(store, &reason), FABRIC_OK);
    assert_true(mariadb_execute(fixture->url, old_schema_mysql_5));
    check_key_order(store, "lane,hash");
    assert_true(mariadb_execute(
        fixture->url, "INSERT INTO primary_key VALUES"
                      " (3, REPEAT('a', 32), 77, 900, 65539, 4, NULL, 0, 0, 0, ''),"
                      " (3, REPEAT('b', 32), 77, 901, 65540, 5, 9000, 2, 11, 3, 'reply'),"
                      " (4, REPEAT('a', 32), 18446744073709551615, 902, 65541, 6, 8000, 0, 0, 0,"
                      " '');"));
    assert_true(mariadb_execute(
        fixture->url, "INSERT INTO pending VALUES"
                      " (3, 77, 500, 500, 65539, 9000, 4, 0, 0, 'T', 'e', 't', 'waits'),"
                      " (3, 77, 600, 501, 65539, 9000, 5, 0, 0, 'T', 'e', 't', 'came due'),"
                      " (3, 77, 502, 502, 65539, NULL, 6, 0, 0, 'T', 'e', 't', 'has no time');"));
    assert_int_equal(store->driver->schema_status(store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, 5);
    assert_int_equal(apply(store, &reason), FABRIC_OK);
    assert_int_equal(store->driver->schema_status(store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, STORE_SCHEMA_VERSION);
    check_keys(store);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM scheduled WHERE lane = 3 AND due_ms = 9000"
                                   " AND request_id = 500 AND shard = 65539 AND number = 4"
                                   " AND entity_hash = 77 AND body = 'waits'"),
                     1);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM pending WHERE request_id = 500"), 0);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM pending WHERE entity_hash = 77"), 2);
    assert_true(mariadb_execute(fixture->url, "DELETE FROM pending WHERE entity_hash = 77;"
                                              "DELETE FROM scheduled WHERE entity_hash = 77;"
                                              "DELETE FROM primary_key;"));
    check_migrated(fixture, false);
}

/* Version 6 had neither events nor outgoing messages; its states stay, and contain none. */
static void version_6_is_migrated(void **state)
{
    fixture_t *fixture = *state;
    store_t *store = fixture->store;
    reason_t reason = {{0}};
    uint32_t version = 0;
    assert_int_equal(apply(store, &reason), FABRIC_OK);
    assert_true(mariadb_execute(fixture->url, old_schema_6));
    assert_true(mariadb_execute(fixture->url,
                                "INSERT INTO entity_state VALUES"
                                " (3, 'Order', 'o-1', 65539, 7, 2, 'xy'),"
                                " (4, 'Order', 'o-2', 65540, 18446744073709551615, 1, 'z');"));
    assert_int_equal(store->driver->schema_status(store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, 6);
    assert_int_equal(apply(store, &reason), FABRIC_OK);
    assert_int_equal(store->driver->schema_status(store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, STORE_SCHEMA_VERSION);
    assert_int_equal(
        number(store, "SELECT COUNT(*) FROM fabric_states WHERE sequence = 0 AND type = 'Order'"
                      " AND ((lane = 3 AND id = 'o-1' AND version = 2 AND bytes = 2 AND"
                      " as_of_entry = 7) OR (lane = 4 AND id = 'o-2' AND version = 1 AND bytes = 1"
                      " AND as_of_entry = 18446744073709551615))"),
        2);
    assert_true(mariadb_execute(fixture->url,
                                "INSERT INTO event VALUES (3, 'Order', 'o-1', 1, 65539, 7, 900,"
                                " 1764320000000, 'Add', 2, 'xy');"));
    assert_int_equal(
        number(store, "SELECT COUNT(*) FROM fabric_events WHERE lane = 3 AND shard = 'default:3'"
                      " AND type = 'Order' AND id = 'o-1' AND sequence = 1 AND tag = 'Add' AND"
                      " version = 2 AND request_id = 900 AND recorded_at ="
                      " FROM_UNIXTIME(1764320000) AND bytes = 2 AND as_of_entry = 7"),
        1);
    /* An id of 2027-01-15 08:00:00. */
    assert_true(mariadb_execute(
        fixture->url, "INSERT INTO outbox VALUES (3, 269737367961600000, 2, 7, 900, 65539, 'Order',"
                      " 'o-1', 'Place', 4, 65540, 'Account', x'00ff', 'Pay', 3, 1764320000000,"
                      " 'xy', '', '', '');"));
    assert_int_equal(
        number(store, "SELECT COUNT(*) FROM fabric_outbox WHERE lane = 3 AND outgoing_id ="
                      " 269737367961600000 AND ordinal = 2 AND target_lane = 4 AND shard ="
                      " 'default:4' AND type = 'Account' AND id = '00FF' AND tag = 'Pay' AND"
                      " source_request_id = 900 AND source_type = 'Order' AND source_id = 'o-1'"
                      " AND source_tag = 'Place' AND told_at = FROM_UNIXTIME(1800000000) AND"
                      " due_at = FROM_UNIXTIME(1764320000) AND bytes = 2 AND as_of_entry = 7"),
        1);
    check_migrated(fixture, false);
}

/* Version 7 had no transactions of handlers. */
static void version_7_is_migrated(void **state)
{
    fixture_t *fixture = *state;
    store_t *store = fixture->store;
    reason_t reason = {{0}};
    uint32_t version = 0;
    assert_int_equal(apply(store, &reason), FABRIC_OK);
    assert_true(mariadb_execute(fixture->url, old_schema_7));
    assert_int_equal(store->driver->schema_status(store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, 7);
    assert_int_equal(apply(store, &reason), FABRIC_OK);
    assert_int_equal(store->driver->schema_status(store, &reason, &version), FABRIC_OK);
    assert_int_equal(version, STORE_SCHEMA_VERSION);
    assert_int_equal(number(store, "SELECT COUNT(*) FROM direct_result, shard_owner"), 0);
    check_migrated(fixture, false);
}

static void another_cluster_is_left_alone(void **state)
{
    fixture_t *fixture = *state;
    reason_t reason = {{0}};
    store_cluster_t other = {.name = "other", .shards_per_group = 300, .lanes = 5};
    make_version_2(fixture);
    assert_int_equal(fixture->store->driver->schema_apply(fixture->store, &other, &reason),
                     FABRIC_ERROR_FOREIGN_DATABASE);
    assert_non_null(strstr(reason.text, "'old'"));
    assert_int_equal(number(fixture->store, "SELECT COUNT(*) FROM broker WHERE machine = 3"), 1);
    assert_int_equal(number(fixture->store, "SELECT COUNT(*) FROM writer WHERE incarnation ="
                                            " REPEAT('a', 16)"),
                     2);
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    check_migrated(fixture, true);
}

/* An engine that fails at its n-th call, before or after it has done what it was asked. */
static struct {
    size_t calls_left;
    bool does_it;  /* the call is carried out, and its answer is lost */
    bool has_read; /* the first old message was looked for */
    fixture_t *fixture;
} fault;

static bool is_call_to_fail(void)
{
    return fault.calls_left > 0 && --fault.calls_left == 0;
}

static fabric_error_t faulty_execute(sql_store_t *store, const char *text)
{
    bool fails = is_call_to_fail();
    fabric_error_t error = fails && !fault.does_it ? FABRIC_OK : mysql_engine.execute(store, text);
    return fails ? FABRIC_ERROR_STORE_UNAVAILABLE : error;
}

static fabric_error_t faulty_run(sql_store_t *store, sql_statement_t statement, size_t rows,
                                 uint64_t *matched)
{
    if (is_call_to_fail() && !fault.does_it) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    return mysql_engine.run(store, statement, rows, matched);
}

static fabric_error_t faulty_commit(sql_store_t *store)
{
    bool fails = is_call_to_fail();
    if (fails && !fault.does_it) {
        mysql_engine.roll_back(store);
        return FABRIC_ERROR_STORE_UNKNOWN;
    }
    fabric_error_t error = mysql_engine.commit(store);
    return fails ? FABRIC_ERROR_STORE_UNKNOWN : error;
}

/* Nothing is read before all brokers of the old version are fenced. */
static fabric_error_t watching_query(sql_store_t *store, sql_statement_t statement, size_t rows)
{
    if (!fault.has_read && (statement == SQL_OLD_HIGHEST || statement == SQL_OLD_PAGE)) {
        store_t *other = open_store(fault.fixture->url);
        fault.has_read = true;
        assert_int_equal(number(other, "SELECT COUNT(*) FROM writer WHERE incarnation <>"
                                       " REPEAT(CHAR(0), 16)"),
                         0);
        assert_int_equal(number(other, "SELECT COUNT(*) FROM information_schema.columns WHERE"
                                       " table_schema = DATABASE() AND table_name = 'broker' AND"
                                       " column_name = 'machine'"),
                         0);
        store_close(&other);
    }
    return mysql_engine.query(store, statement, rows);
}

/* Each run breaks off one call later than the one before. */
static void break_off_everywhere(fixture_t *fixture, bool does_it)
{
    sql_engine_t engine = mysql_engine;
    engine.execute = faulty_execute;
    engine.run = faulty_run;
    engine.commit = faulty_commit;
    engine.query = watching_query;
    fault.does_it = does_it;
    fault.has_read = false;
    fault.fixture = fixture;
    sql_store_of(fixture->store)->engine = &engine;
    size_t runs = 0;
    fabric_error_t error = FABRIC_ERROR_STORE_UNAVAILABLE;
    while (error) {
        reason_t reason = {{0}};
        fault.calls_left = ++runs;
        error = apply(fixture->store, &reason);
        if (error && fault.calls_left > 0) { /* not by the fault */
            fail_msg("run %zu: %s: %s", runs, fabric_error_name(error), reason.text);
        }
        assert_true(runs < 1000);
    }
    assert_true(runs > 40 && fault.has_read);
    sql_store_of(fixture->store)->engine = &mysql_engine;
    check_migrated(fixture, true);
}

static void a_migration_that_broke_off_is_run_again(void **state)
{
    make_version_2(*state);
    break_off_everywhere(*state, false);
}

static void a_migration_whose_answers_are_lost_is_run_again(void **state)
{
    make_version_2(*state);
    break_off_everywhere(*state, true);
}

/* What a founding of an old version left behind that broke off between its tables. */
static void a_founding_that_broke_off_is_founded(void **state)
{
    fixture_t *fixture = *state;
    reason_t reason = {{0}};
    assert_true(mariadb_execute(fixture->url,
                                "DROP TABLE dead_letter, primary_key, attempt;"
                                "DELETE FROM schema_version; DELETE FROM cluster;"
                                "DELETE FROM coordinator; DELETE FROM writer; DELETE FROM mailbox;"
                                "DELETE FROM broker; DELETE FROM reply;"));
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    store_cluster_t cluster;
    assert_int_equal(fixture->store->driver->check(fixture->store, &wanted, &reason, &cluster),
                     FABRIC_OK);
    assert_int_equal(number(fixture->store, "SELECT COUNT(*) FROM journal"), 5);
    assert_int_equal(number(fixture->store, "SELECT MAX(purged_id) FROM checkpoint"), 0);
}

static void views_show_what_is_no_text_in_hexadecimal(void **state)
{
    fixture_t *fixture = *state;
    reason_t reason = {{0}};
    assert_int_equal(apply(fixture->store, &reason), FABRIC_OK);
    assert_true(mariadb_execute(fixture->url, "UPDATE dead_letter SET entity = X'FFFE41'"
                                              " WHERE request_id = 1100;"
                                              "UPDATE dead_letter SET entity = X'C3A4'"
                                              " WHERE request_id = 1200;"));
    assert_int_equal(number(fixture->store, "SELECT COUNT(*) FROM fabric_dead_letters WHERE"
                                            " request_id = 1100 AND id = 'FFFE41'"),
                     1);
    assert_int_equal(number(fixture->store, "SELECT COUNT(*) FROM fabric_dead_letters WHERE"
                                            " request_id = 1200 AND CHAR_LENGTH(id) = 1"),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(version_1_is_migrated, setup, teardown),
        cmocka_unit_test_setup_teardown(version_2_is_migrated, setup, teardown),
        cmocka_unit_test_setup_teardown(version_3_is_migrated, setup, teardown),
        cmocka_unit_test_setup_teardown(version_4_is_migrated, setup, teardown),
        cmocka_unit_test_setup_teardown(version_5_is_migrated, setup, teardown),
        cmocka_unit_test_setup_teardown(version_6_is_migrated, setup, teardown),
        cmocka_unit_test_setup_teardown(version_7_is_migrated, setup, teardown),
        cmocka_unit_test_setup_teardown(another_cluster_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_migration_that_broke_off_is_run_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_migration_whose_answers_are_lost_is_run_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_founding_that_broke_off_is_founded, setup, teardown),
        cmocka_unit_test_setup_teardown(views_show_what_is_no_text_in_hexadecimal, setup, teardown),
    };
    char reason[256];
    if (!mariadb_start(reason)) {
        print_message("skip: mysql_migration: %s\n[  SKIPPED ] mysql_migration\n", reason);
        return 0;
    }
    int failed = cmocka_run_group_tests_name("mysql_migration", tests, NULL, NULL);
    mariadb_stop();
    return failed;
}
