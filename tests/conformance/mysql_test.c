/* The store suite on MySQL or MariaDB, and the faults that a server can have. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/clock.h"
#include "mysql/mysql_connection.h"
#include "mysql/mysql_error.h"
#include "mysql/mysql_store.h"
#include "mysql/mysql_url.h"
#include "tests/harness/machine.h"
#include "tests/harness/mariadb.h"
#include "tests/conformance/mysql_rows.h"
#include "tests/conformance/sql_signal.h"
#include "tests/conformance/store_fixture.h"

static mysql_store_t *mysql_of(store_t *store)
{
    return mysql_store_of(sql_store_of(store));
}

static bool damage(const char *url, store_suite_damage_t kind)
{
    static const char *const statements[] = {
        [STORE_SUITE_NEWER_VERSION] =
            "INSERT INTO schema_version SELECT MAX(version) + 1, NOW() FROM schema_version",
        [STORE_SUITE_FOREIGN_TABLES] = "CREATE TABLE journal (page INT) ENGINE=InnoDB",
        [STORE_SUITE_NO_CLUSTER] = "DELETE FROM cluster",
        [STORE_SUITE_NO_ENTRY] = ("DELETE FROM journal WHERE lane = 0 AND number ="
                                  " (SELECT number FROM checkpoint WHERE lane = 0)"),
    };
    return mariadb_execute(url, statements[kind]);
}

static bool copy(const char *url)
{
    return mariadb_execute(url, "CREATE TABLE journal_copy LIKE journal") &&
           mariadb_execute(url, "INSERT INTO journal_copy SELECT * FROM journal");
}

/* As a dump does: the table is dropped, and another one takes its name. */
static bool put_back(const char *url, unsigned appends)
{
    (void)appends;
    return mariadb_execute(url, "DROP TABLE journal") &&
           mariadb_execute(url, "RENAME TABLE journal_copy TO journal");
}

/* By the engine, so that a signal may come before it. */
static bool run_text(store_t *store, const char *text)
{
    sql_store_t *sql = sql_store_of(store);
    return sql->engine->execute(sql, text) == FABRIC_OK;
}

static store_t *open_url(const char *url)
{
    store_options_t options = {.url = url,
                               .password = mariadb_password(),
                               .connect_timeout_ms = 5000,
                               .io_timeout_ms = 5000};
    store_t *store = NULL;
    assert_ok(mysql_store_driver.open(&options, NULL, &store));
    return store;
}

/* What a dead letter is looked for. */
typedef struct wanted_dead {
    store_dead_row_t *row;
    bool found;
} wanted_dead_t;

/* Bytes from hexadecimal digits, kept until the next dead letter is read. */
static fabric_bytes_t unhex(const char *hex, size_t slot)
{
    static uint8_t kept[5][4096];
    size_t size = strlen(hex) / 2;
    assert_true(size <= sizeof kept[slot]);
    for (size_t i = 0; i < size; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        kept[slot][i] = (uint8_t)byte;
    }
    return fabric_bytes(kept[slot], size);
}

static void read_dead(void *context, char **row)
{
    wanted_dead_t *wanted = context;
    request_id_t id = wanted->row->id;
    *wanted->row = (store_dead_row_t){.id = id,
                                      .shard = {(uint32_t)strtoul(row[0], NULL, 10)},
                                      .number = strtoull(row[1], NULL, 10),
                                      .ended_ms = strtoll(row[2], NULL, 10),
                                      .error = (uint32_t)strtoul(row[3], NULL, 10),
                                      .attempts = (uint32_t)strtoul(row[4], NULL, 10),
                                      .type = unhex(row[5], 0),
                                      .entity = unhex(row[6], 1),
                                      .tag = unhex(row[7], 2),
                                      .text = unhex(row[8], 3),
                                      .body = unhex(row[9], 4)};
    wanted->found = true;
}

static bool dead_letter(const char *url, uint32_t lane, request_id_t id, store_dead_row_t *row)
{
    char query[300];
    store_t *store = open_url(url);
    row->id = id;
    wanted_dead_t wanted = {row, false};
    snprintf(query, sizeof query,
             "SELECT shard, number, ended_ms, error, attempts, HEX(type), HEX(entity), HEX(tag),"
             " HEX(text), HEX(body) FROM dead_letter WHERE lane = %u AND request_id = %llu",
             lane, (unsigned long long)id.value);
    assert_ok(mysql_query_text(mysql_of(store), query, read_dead, &wanted));
    store_close(&store);
    return wanted.found;
}

/* A statement on the second connection, in or out of a transaction. */
static fabric_error_t execute(const store_fixture_t *fixture, const char *statement)
{
    MYSQL *handle = mysql_of(fixture->second)->session.handle;
    if (mysql_query(handle, statement) != 0) {
        print_error("%s: %s\n", statement, mysql_error(handle));
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    mysql_free_result(mysql_store_result(handle));
    return FABRIC_OK;
}

/* Kills the first connection over the second, again until the server knows it no more: a killed
 * session takes a moment to end. */
static void kill_connection(const store_fixture_t *fixture)
{
    char statement[64];
    uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    MYSQL *killer = mysql_of(fixture->second)->session.handle;
    snprintf(statement, sizeof statement, "KILL %lu",
             mysql_thread_id(mysql_of(fixture->store)->session.handle));
    while (mysql_query(killer, statement) == 0) {
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
    assert_int_equal(mysql_errno(killer), 1094); /* no such thread */
}

static void urls_that_cannot_be_understood(void **state)
{
    static const char *const urls[] = {
        "mysql://",          "mysql://h/db",          "mysql://a:b@h/db",    "mysql://a@/db",
        "mysql://a@h:0/db",  "mysql://a@h:x/db",      "mysql://a@h:65536/d", "mysql://a@h/",
        "mysql://a@h/d?x=1", "mysql://a@h/d?socket=", "mysql://a@h/d%0",     "mysql://a@h/d%00",
        "mysql://a@[::1/d",  "mysql://@h/d",          "sqlite:/x",
    };
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        reason_t reason = {""};
        store_t *store = NULL;
        store_options_t options = {.url = urls[i]};
        assert_error(FABRIC_ERROR_INVALID_CONFIGURATION,
                     mysql_store_driver.open(&options, &reason, &store));
        assert_null(store);
        assert_true(strlen(reason.text) > 0);
    }
}

static void the_parts_of_a_url(void **state)
{
    mysql_url_t url;
    (void)state;
    assert_ok(mysql_url_parse("mysql://a%40b@[::1]:33/d%2Db?socket=/x/y", NULL, &url));
    assert_string_equal(url.user, "a@b");
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 33);
    assert_string_equal(url.database, "d-b");
    assert_string_equal(url.socket, "/x/y");
    assert_ok(mysql_url_parse("mysql://a@h/d", NULL, &url));
    assert_int_equal(url.port, 3306);
    assert_string_equal(url.socket, "");
}

static fabric_error_t checkpoint_nothing(store_fixture_t *fixture)
{
    static const store_slice_t slice = {.last = true};
    return fixture->driver->checkpoint(fixture->store, &fixture->hold, &slice);
}

static void a_killed_connection_is_unavailable_for_good(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t any = {.lanes = 0};
    store_cluster_t cluster;
    assert_ok(fixture->driver->check(fixture->store, &any, NULL, &cluster));
    kill_connection(fixture);
    /* An append commits itself: when its connection breaks, nobody knows. */
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, append_one(fixture, &fixture->hold, 2));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, append_one(fixture, &fixture->hold, 2));
    fixture_reconnect(fixture);
    kill_connection(fixture);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, checkpoint_nothing(fixture));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, checkpoint_nothing(fixture));
    fixture_reconnect(fixture);
    assert_ok(append_one(fixture, &fixture->hold, 2));
}

/* What the client library is made to say about the lengths of all values of the rows that it
 * fetches. */
static enum {
    LENGTHS_TRUE,
    LENGTHS_ZERO,  /* as if nothing were there */
    LENGTHS_LARGER /* as if more were there than was sent */
} lengths;

int mysql_stmt_fetch(MYSQL_STMT *handle)
{
    int (*fetch)(MYSQL_STMT *) = NULL;
    *(void **)&fetch = dlsym(RTLD_NEXT, "mysql_stmt_fetch");
    assert_non_null(fetch);
    int result = fetch(handle);
    for (unsigned i = 0; lengths != LENGTHS_TRUE && i < mysql_stmt_field_count(handle); i++) {
        *handle->bind[i].length = lengths == LENGTHS_ZERO ? 0 : *handle->bind[i].length + 1000000;
    }
    return result;
}

static void a_row_whose_lengths_contradict_its_data_is_refused(void **state)
{
    static uint8_t bytes[1000];
    store_fixture_t *fixture = *state;
    store_entry_t entry = entry_of(&fixture->hold, 2);
    entry.body = fabric_bytes(bytes, sizeof bytes);
    assert_ok(fixture->driver->append(fixture->store, &entry, 1));
    for (int lie = LENGTHS_ZERO; lie <= LENGTHS_LARGER; lie++) {
        lengths = lie == LENGTHS_ZERO ? LENGTHS_ZERO : LENGTHS_LARGER;
        forget_entries(fixture);
        fabric_error_t error = fixture->driver->read_journal(
            fixture->store, 0, 2, STORE_ENTRY_ALL, 10, UINT64_MAX, collect_entry, fixture);
        lengths = LENGTHS_TRUE;
        assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, error);
        assert_int_equal(fixture->entries.count, 0);
        fixture_reconnect(fixture);
    }
    read_entries(fixture, 0, 2);
    assert_same_entry(&fixture->entries.items[0], &entry);
}

/* What the session has set for itself, by either server's names. */
static void add_setting(void *context, char **row)
{
    char *settings = context;
    size_t used = strlen(settings);
    assert_true(used + strlen(row[0]) + strlen(row[1]) + 3 < 1000);
    snprintf(settings + used, 1000 - used, "%s=%s ", row[0], row[1]);
}

static void read_settings(const store_fixture_t *fixture, char settings[1000])
{
    settings[0] = '\0';
    assert_ok(mysql_query_text(mysql_of(fixture->store),
                               "SHOW SESSION VARIABLES WHERE Variable_name IN ('wait_timeout',"
                               " 'idle_transaction_timeout', 'net_read_timeout', 'sql_mode',"
                               " 'time_zone', 'innodb_lock_wait_timeout', 'autocommit',"
                               " 'tx_isolation', 'transaction_isolation', 'character_set_client')",
                               add_setting, settings));
}

/* By value: without strictness a server cuts what does not fit and calls it a warning; under
 * another isolation a reader locks what lies between rows. */
static void test_nt_13_the_session_is_strict_and_reads_what_is_committed(void **state)
{
    store_fixture_t *fixture = *state;
    char settings[1000];
    read_settings(fixture, settings);
    assert_non_null(strstr(settings, "sql_mode="));
    assert_non_null(strstr(settings, "STRICT_ALL_TABLES"));
    assert_non_null(strstr(settings, "NO_ENGINE_SUBSTITUTION"));
    assert_null(strstr(settings, "ANSI_QUOTES"));
    assert_non_null(strstr(settings, "isolation=READ-COMMITTED"));
    assert_non_null(strstr(settings, "autocommit=ON"));
    assert_non_null(strstr(settings, "innodb_lock_wait_timeout=1 "));
    assert_non_null(strstr(settings, "timeout=2 "));
    assert_non_null(strstr(settings, "time_zone=+00:00"));
}

/* An administrator's defaults do not get into the session. */
static void the_servers_own_mode_does_not_matter(void **state)
{
    store_fixture_t *fixture = *state;
    char before[1000];
    char after[1000];
    read_settings(fixture, before);
    assert_true(mariadb_execute(fixture->url,
                                "SET GLOBAL sql_mode = 'ANSI', GLOBAL innodb_lock_wait_timeout = 7;"
                                "SET GLOBAL TRANSACTION ISOLATION LEVEL SERIALIZABLE"));
    fixture_reconnect(fixture);
    read_settings(fixture, after);
    assert_true(mariadb_execute(fixture->url,
                                "SET GLOBAL sql_mode = DEFAULT,"
                                " GLOBAL innodb_lock_wait_timeout = DEFAULT;"
                                "SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ"));
    assert_string_equal(after, before);
}

static void a_connection_dropped_while_idle_is_replaced(void **state)
{
    store_fixture_t *fixture = *state;
    char before[1000];
    char after[1000];
    assert_ok(append_one(fixture, &fixture->hold, 2));
    read_settings(fixture, before);
    mysql_of(fixture->store)->used_ms -= 3600 * 1000;
    assert_ok(append_one(fixture, &fixture->hold, 3));
    kill_connection(fixture);
    mysql_of(fixture->store)->used_ms -= 3600 * 1000;
    assert_ok(append_one(fixture, &fixture->hold, 4));
    read_settings(fixture, after);
    assert_string_equal(after, before);
}

/* The appender opens its next connection without asking for a reason. */
static void the_next_connection_has_the_settings_of_the_first(void **state)
{
    store_fixture_t *fixture = *state;
    char before[1000];
    char after[1000];
    read_settings(fixture, before);
    store_close(&fixture->store);
    fixture->store = open_url(fixture->url);
    read_settings(fixture, after);
    assert_string_equal(after, before);
}

/* The second connection holds the lane's row in a transaction while the first tries. */
static void a_held_lane_is_busy_for_all_but_appends(void **state)
{
    store_fixture_t *fixture = *state;
    const store_driver_t *driver = fixture->driver;
    store_entry_t adopt = adopt_of(&fixture->hold, 3);
    store_purge_t purge = {.before = 3, .created_before_ms = INT64_MAX, .entries_max = 10};
    store_purged_t purged;
    assert_ok(execute(fixture, "BEGIN"));
    assert_ok(execute(fixture, "UPDATE lane SET epoch = epoch + 1 WHERE lane = 0"));
    fabric_error_t appended = append_one(fixture, &fixture->hold, 2);
    fabric_error_t assigned =
        driver->lane_assign(fixture->store, fixture->term, fixture->broker.incarnation,
                            &fixture->hold, incarnation_of(2));
    uint64_t start_ms = clock_monotonic_ms();
    fabric_error_t taken = driver->lane_take(fixture->store, &fixture->hold, &adopt);
    uint64_t waited_ms = clock_monotonic_ms() - start_ms;
    assert_ok(execute(fixture, "ROLLBACK"));
    assert_ok(appended);
    assert_error(FABRIC_ERROR_STORE_BUSY, assigned);
    assert_error(FABRIC_ERROR_STORE_BUSY, taken);
    assert_in_range(waited_ms, 500, machine_scaled(1900)); /* innodb_lock_wait_timeout is 1 s */
    assert_ok(execute(fixture, "BEGIN"));
    assert_ok(execute(fixture, "UPDATE lane SET epoch = epoch + 1 WHERE lane = 0"));
    fabric_error_t put = checkpoint_nothing(fixture);
    assert_ok(execute(fixture, "ROLLBACK"));
    assert_error(FABRIC_ERROR_STORE_BUSY, put);
    assert_ok(driver->purge(fixture->store, &fixture->hold, &purge, &purged));
    assert_ok(driver->lane_take(fixture->store, &fixture->hold, &adopt));
}

/* A lane that somebody else has locked is told at once: a coordinator has others to assign. */
static void an_assignment_does_not_wait(void **state)
{
    store_fixture_t *fixture = *state;
    uint64_t fastest_ms = UINT64_MAX;
    for (int times = 0; times < 3; times++) {
        assert_ok(execute(fixture, "BEGIN"));
        assert_ok(execute(fixture, "SELECT * FROM lane WHERE lane = 0 FOR UPDATE"));
        uint64_t start_ms = clock_monotonic_ms();
        fabric_error_t error =
            fixture->driver->lane_assign(fixture->store, fixture->term, fixture->broker.incarnation,
                                         &fixture->hold, incarnation_of(2));
        uint64_t took_ms = clock_monotonic_ms() - start_ms;
        assert_ok(execute(fixture, "ROLLBACK"));
        assert_error(FABRIC_ERROR_STORE_BUSY, error);
        fastest_ms = took_ms < fastest_ms ? took_ms : fastest_ms;
    }
    assert_true(fastest_ms < 500);
    store_hold_t nobody = {.lane = 2};
    fixture_assign(fixture, &nobody, incarnation_of(2));
}

typedef struct waiting {
    store_fixture_t *fixture;
    fabric_error_t error;
} waiting_t;

static void *append_and_wait(void *context)
{
    waiting_t *waiting = context;
    waiting->error = append_one(waiting->fixture, &waiting->fixture->hold, 2);
    return NULL;
}

static void note_waits(void *context, char **row)
{
    *(bool *)context = strcmp(row[1], "0") != 0;
}

/* Whether a statement has come to a row that another transaction holds. */
static bool somebody_waits(const store_fixture_t *fixture)
{
    bool waits = true;
    return mysql_query_text(mysql_of(fixture->second),
                            "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'", note_waits,
                            &waits) != FABRIC_OK ||
           waits;
}

/* An ADOPT entry, or a first attempt of the same append, is written and about to commit when the
 * append comes: it waits for what becomes of that. */
static void append_against(store_fixture_t *fixture, const char *end, fabric_error_t expected)
{
    waiting_t waiting = {.fixture = fixture, .error = FABRIC_OK};
    pthread_t thread;
    assert_ok(execute(fixture, "BEGIN"));
    assert_ok(execute(fixture,
                      "INSERT INTO journal SELECT 0, 2, epoch, incarnation, last_id, created_ms,"
                      " log_bytes, checksum, 1, calls, body FROM journal WHERE lane = 0"
                      " AND number = 1"));
    assert_int_equal(pthread_create(&thread, NULL, append_and_wait, &waiting), 0);
    uint64_t deadline_ms = clock_monotonic_ms() + 800; /* the append waits a second */
    while (!somebody_waits(fixture) && clock_monotonic_ms() < deadline_ms) {
    }
    fabric_error_t ended = execute(fixture, end);
    pthread_join(thread, NULL);
    assert_ok(ended);
    assert_error(expected, waiting.error);
}

static void an_append_waits_for_an_attempt_that_still_runs(void **state)
{
    store_fixture_t *fixture = *state;
    append_against(fixture, "ROLLBACK", FABRIC_OK);
    assert_int_equal(newest_entry(fixture, 0), 2);
    assert_true(mariadb_execute(fixture->url, "DELETE FROM journal WHERE lane = 0 AND number = 2"));
    append_against(fixture, "COMMIT", FABRIC_ERROR_STORE_REJECTED);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 2, 1, 1);
    assert_true(fixture->entries.items[0].adopt);
}

/* The purge deletes all entries but the newest one, which is the anchor. */
static void an_append_does_not_wait_for_a_purge_below_its_anchor(void **state)
{
    store_fixture_t *fixture = *state;
    sql_store_t *purging = sql_store_of(fixture->second);
    store_entry_t entries[] = {entry_of(&fixture->hold, 4), entry_of(&fixture->hold, 5)};
    store_anchor_t anchor = {entries[0].lane, entries[0].number, entries[0].checksum};
    append_some(fixture, &fixture->hold, 2, 3);
    assert_ok(sql_begin(purging, SQL_WRITE));
    sql_put_u64(purging, 0);
    sql_put_u64(purging, 2);
    sql_put_u64(purging, 3);
    assert_ok(sql_run(purging, SQL_PURGE_DELETE, 1, NULL));
    fabric_error_t error = fixture->driver->append_after(fixture->store, &anchor, &entries[1], 1);
    assert_ok(sql_end(purging, FABRIC_OK));
    assert_ok(error);
    read_entries(fixture, 0, 2);
    assert_numbers(fixture, 4, 1, 2);
}

static void a_frozen_transaction_loses_its_locks(void **state)
{
    store_fixture_t *fixture = *state;
    sql_store_t *frozen = sql_store_of(fixture->second);
    assert_ok(sql_begin(frozen, SQL_WRITE));
    sql_put_u64(frozen, 0);
    assert_ok(sql_query(frozen, SQL_LANE_LOCK, 1));
    sql_close(frozen);
    uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    fabric_error_t error = FABRIC_ERROR_STORE_BUSY;
    while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms) {
        error = checkpoint_nothing(fixture);
    }
    assert_ok(error);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, sql_end(frozen, FABRIC_OK));
}

static void need_own_server(const char *test)
{
    if (!mariadb_own()) {
        print_message("skip: %s: the server is not the test's own\n", test);
        skip();
    }
}

static void test_sr_01_a_stopped_server_times_out(void **state)
{
    store_fixture_t *fixture = *state;
    need_own_server(__func__);
    kill(mariadb_own()->process.pid, SIGSTOP);
    int status = 0; /* its threads stop one after another */
    assert_int_equal(waitpid(mariadb_own()->process.pid, &status, WUNTRACED),
                     mariadb_own()->process.pid);
    assert_true(WIFSTOPPED(status));
    fabric_error_t appended = append_one(fixture, &fixture->hold, 2);
    fabric_error_t put =
        fixture->driver->checkpoint(fixture->second, &fixture->hold, &(store_slice_t){.begun = 2});
    kill(mariadb_own()->process.pid, SIGCONT);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, appended);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, put);
    fixture_reconnect(fixture);
    /* Nobody knew: the identical append again settles it. */
    fabric_error_t again = append_one(fixture, &fixture->hold, 2);
    assert_true(again == FABRIC_OK || again == FABRIC_ERROR_STORE_REJECTED);
    store_close(&fixture->second);
    fixture->second = open_url(fixture->url);
    assert_int_equal(newest_entry(fixture, 0), 2);
}

static void a_read_only_server_is_refused(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t any = {.lanes = 0};
    store_cluster_t cluster;
    store_facts_t facts;
    reason_t reason = {""};
    bool binds_root = !mysql_of(fixture->store)->is_mariadb;
    need_own_server(__func__);
    assert_true(mariadb_execute(fixture->url, binds_root ? "SET GLOBAL super_read_only = 1"
                                                         : "SET GLOBAL read_only = 1"));
    fabric_error_t checked = fixture->driver->check(fixture->store, &any, &reason, &cluster);
    fabric_error_t told = fixture->driver->facts(fixture->store, &facts);
    fabric_error_t appended =
        binds_root ? append_one(fixture, &fixture->hold, 2) : FABRIC_ERROR_STORE_UNAVAILABLE;
    assert_true(mariadb_execute(fixture->url, "SET GLOBAL read_only = 0"));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, checked);
    assert_non_null(strstr(reason.text, "read-only"));
    assert_ok(told);
    assert_true(facts.read_only);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, appended);
    assert_ok(append_one(fixture, &fixture->hold, 2));
}

/* Both servers' numbers, whichever one runs here. Of a COMMIT that answers 1213 it is known that
 * it rolled back. */
static void error_numbers(void **state)
{
    static const struct {
        unsigned number;
        const char *sqlstate;
        fabric_error_t of_statement;
        fabric_error_t of_commit;
        bool lost;
    } rows[] = {
        {1213, "40001", FABRIC_ERROR_STORE_BUSY, FABRIC_ERROR_STORE_BUSY, false}, /* deadlock */
        {1205, "HY000", FABRIC_ERROR_STORE_BUSY, FABRIC_ERROR_STORE_BUSY, false}, /* lock wait */
        {1020, "HY000", FABRIC_ERROR_STORE_BUSY, FABRIC_ERROR_STORE_BUSY, false}, /* changed */
        {3572, "HY000", FABRIC_ERROR_STORE_BUSY, FABRIC_ERROR_STORE_BUSY, false}, /* NOWAIT */
        {1062, "23000", FABRIC_ERROR_STORE_REJECTED, FABRIC_ERROR_STORE_REJECTED, false},
        {1406, "22001", FABRIC_ERROR_STORE_UNAVAILABLE, FABRIC_ERROR_STORE_UNAVAILABLE, false},
        {1644, "45000", FABRIC_ERROR_STORE_UNAVAILABLE, FABRIC_ERROR_STORE_UNAVAILABLE, false},
        {1290, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, FABRIC_ERROR_STORE_UNAVAILABLE, false},
        {1114, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, FABRIC_ERROR_STORE_UNAVAILABLE, false},
        {1021, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, FABRIC_ERROR_STORE_UNAVAILABLE, false},
        {3, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, FABRIC_ERROR_STORE_UNKNOWN, false},
        {2013, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, FABRIC_ERROR_STORE_UNKNOWN, true},
        {4031, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, FABRIC_ERROR_STORE_UNKNOWN, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mysql_verdict_t verdict = mysql_error_of_statement(rows[i].number);
        assert_error(rows[i].of_statement, verdict.error);
        assert_int_equal(verdict.connection_lost, rows[i].lost);
        verdict = mysql_error_of_commit(rows[i].number, rows[i].sqlstate);
        assert_error(rows[i].of_commit, verdict.error);
    }
}

static int server(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_cannot_be_understood),
        cmocka_unit_test(the_parts_of_a_url),
        cmocka_unit_test(error_numbers),
        FOUNDED_TEST(a_killed_connection_is_unavailable_for_good),
        FOUNDED_TEST(a_row_whose_lengths_contradict_its_data_is_refused),
        FOUNDED_TEST(test_nt_13_the_session_is_strict_and_reads_what_is_committed),
        FOUNDED_TEST(the_servers_own_mode_does_not_matter),
        FOUNDED_TEST(a_connection_dropped_while_idle_is_replaced),
        FOUNDED_TEST(the_next_connection_has_the_settings_of_the_first),
        FOUNDED_TEST(a_held_lane_is_busy_for_all_but_appends),
        FOUNDED_TEST(an_assignment_does_not_wait),
        FOUNDED_TEST(an_append_waits_for_an_attempt_that_still_runs),
        FOUNDED_TEST(an_append_does_not_wait_for_a_purge_below_its_anchor),
        FOUNDED_TEST(a_frozen_transaction_loses_its_locks),
        FOUNDED_TEST(test_sr_01_a_stopped_server_times_out),
        FOUNDED_TEST(a_read_only_server_is_refused),
        FOUNDED_TEST(mysql_rows_are_found_by_their_key),
        FOUNDED_TEST(mysql_events_are_found_by_their_key),
        FOUNDED_TEST(mysql_keys_are_listed_by_their_key),
        FOUNDED_TEST(mysql_outgoing_messages_are_found_by_their_target),
        FOUNDED_TEST(mysql_oldest_message_is_found_without_the_journal),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}

int main(void)
{
    char reason[256];
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    if (!mariadb_start(reason)) {
        print_message("skip: store_suite_on_mysql: %s\n[  SKIPPED ] store_suite_on_mysql\n",
                      reason);
        return 0;
    }
    store_suite_t suite = {.name = "mysql",
                           .driver = &mysql_store_driver,
                           .password = mariadb_password(),
                           .row_locks = true,
                           .create = mariadb_fresh_database,
                           .destroy = mariadb_drop_database,
                           .damage = damage,
                           .copy = copy,
                           .put_back = put_back,
                           .dead_letter = dead_letter,
                           .signal_before = sql_signal_before,
                           .execute = run_text};
    int failed = store_suite_run(&suite) + server();
    mariadb_stop();
    return failed;
}
