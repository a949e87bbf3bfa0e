/* The store suite on MySQL or MariaDB, and the faults that a server can have. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "mysql/mysql_connection.h"
#include "mysql/mysql_error.h"
#include "mysql/mysql_store.h"
#include "mysql/mysql_url.h"
#include "tests/lib/mariadb.h"
#include "tests/lib/store_fixture.h"

static bool damage(const char *url, store_suite_damage_t kind)
{
    static const char *const statements[] = {
        [STORE_SUITE_NEWER_VERSION] = ("UPDATE schema_version SET version = version + 1 "
                                       "ORDER BY version DESC"),
        [STORE_SUITE_VERSION_1] = "ALTER TABLE attempt DROP COLUMN suspicions",
        [STORE_SUITE_FOREIGN_TABLES] = "CREATE TABLE mailbox (letter INT) ENGINE=InnoDB",
        [STORE_SUITE_NO_CLUSTER] = "DELETE FROM cluster",
        [STORE_SUITE_STRANGE_EPOCHS] =
            "UPDATE shard SET home_epoch = IF(shard % 2 = 0, 0, 18446744073709551615)",
    };
    return mariadb_execute(url, statements[kind]) &&
           (kind != STORE_SUITE_VERSION_1 ||
            mariadb_execute(url, "DELETE FROM schema_version WHERE version > 1"));
}

static fabric_error_t commit_one(store_fixture_t *fixture, uint64_t id)
{
    store_message_t message = message_of(fixture, id);
    batch_builder_t builder = {0};
    add_message(&builder, &message);
    return commit_as(fixture, &fixture->writer, &builder.batch, NULL);
}

static void reconnect(store_fixture_t *fixture)
{
    store_close(&fixture->store);
    fixture->store = fixture_open(fixture, false);
    assert_non_null(fixture->store);
}

/* Kills the first connection over the second, again until the server knows it no more: a killed
 * session takes a moment to end. */
static void kill_connection(const store_fixture_t *fixture)
{
    char statement[64];
    mysql_session_t *killer = &mysql_store_of(fixture->second)->session;
    uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    snprintf(statement, sizeof statement, "KILL %lu",
             mysql_thread_id(mysql_store_of(fixture->store)->session.handle));
    while (mysql_session_execute(killer, statement) == FABRIC_OK) {
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
    assert_int_equal(killer->last_error, 1094); /* no such thread */
}

static void test_urls_that_cannot_be_understood(void **state)
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

static void test_the_parts_of_a_url(void **state)
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

static void test_a_killed_connection_is_unavailable_for_good(void **state)
{
    store_fixture_t *fixture = *state;
    kill_connection(fixture);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, commit_one(fixture, 1));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, commit_one(fixture, 1));
    reconnect(fixture);
    assert_ok(commit_one(fixture, 1));
}

static void test_a_connection_dropped_while_idle_is_replaced(void **state)
{
    store_fixture_t *fixture = *state;
    assert_ok(commit_one(fixture, 1));
    mysql_store_of(fixture->store)->used_ms -= 3600 * 1000;
    assert_ok(commit_one(fixture, 2));
    kill_connection(fixture);
    mysql_store_of(fixture->store)->used_ms -= 3600 * 1000;
    assert_ok(commit_one(fixture, 3));
}

/* The second connection holds the writer row in a transaction while the first tries. */
static void test_a_held_writer_row_is_busy(void **state)
{
    store_fixture_t *fixture = *state;
    mysql_store_t *holder = mysql_store_of(fixture->second);
    for (int settling = 0; settling < 2; settling++) {
        uint64_t batch = 0;
        assert_ok(mysql_begin(holder));
        assert_ok(
            mysql_session_execute(&holder->session, "UPDATE writer SET high_id = high_id + 1"));
        fabric_error_t held =
            settling ? fixture->driver->settle(fixture->store, &fixture->writer, &batch)
                     : commit_one(fixture, 1);
        assert_error(FABRIC_ERROR_FENCED, mysql_end(holder, FABRIC_ERROR_FENCED));
        assert_error(FABRIC_ERROR_STORE_BUSY, held);
    }
    assert_ok(commit_one(fixture, 1));
}

static void test_a_frozen_transaction_loses_its_locks(void **state)
{
    store_fixture_t *fixture = *state;
    mysql_store_t *frozen = mysql_store_of(fixture->second);
    assert_ok(mysql_begin(frozen));
    assert_ok(mysql_session_execute(&frozen->session, "UPDATE writer SET high_id = high_id + 1"));
    uint64_t deadline_ms = clock_monotonic_ms() + 10000;
    fabric_error_t error = commit_one(fixture, 1);
    while (error == FABRIC_ERROR_STORE_BUSY && clock_monotonic_ms() < deadline_ms) {
        error = commit_one(fixture, 1);
    }
    assert_ok(error);
    assert_error(FABRIC_ERROR_STORE_UNKNOWN, mysql_end(frozen, FABRIC_OK));
}

static void test_a_stopped_server_times_out(void **state)
{
    store_fixture_t *fixture = *state;
    if (!mariadb_own()) {
        skip();
    }
    kill(mariadb_own()->pid, SIGSTOP);
    fabric_error_t error = commit_one(fixture, 1);
    kill(mariadb_own()->pid, SIGCONT);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, error);
    reconnect(fixture);
    assert_int_equal(settled_batch(fixture, &fixture->writer), fixture->writer.batch);
}

static void test_a_read_only_server_is_refused(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster;
    store_facts_t facts;
    reason_t reason = {""};
    bool binds_root = !mysql_store_of(fixture->store)->is_mariadb;
    if (!mariadb_own()) {
        skip();
    }
    assert_true(mariadb_execute(fixture->url, binds_root ? "SET GLOBAL super_read_only = 1"
                                                         : "SET GLOBAL read_only = 1"));
    fabric_error_t checked = fixture->driver->check(fixture->store, "", 0, &reason, &cluster);
    fabric_error_t told = fixture->driver->facts(fixture->store, &facts);
    fabric_error_t committed = binds_root ? commit_one(fixture, 1) : FABRIC_ERROR_STORE_UNAVAILABLE;
    assert_true(mariadb_execute(fixture->url, "SET GLOBAL read_only = 0"));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, checked);
    assert_non_null(strstr(reason.text, "read-only"));
    assert_ok(told);
    assert_true(facts.read_only);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, committed);
    assert_ok(commit_one(fixture, 1));
}

/* Both servers' numbers, whichever one runs here. */
static void test_error_numbers(void **state)
{
    static const struct {
        unsigned number;
        const char *sqlstate;
        fabric_error_t error;
        bool lost;
    } rows[] = {
        {1213, "40001", FABRIC_ERROR_STORE_BUSY, false},        /* deadlock */
        {1205, "HY000", FABRIC_ERROR_STORE_BUSY, false},        /* lock wait */
        {1020, "HY000", FABRIC_ERROR_STORE_BUSY, false},        /* changed since last read */
        {3572, "HY000", FABRIC_ERROR_STORE_BUSY, false},        /* locked, and NOWAIT */
        {1062, "23000", FABRIC_ERROR_STORE_REJECTED, false},    /* duplicate */
        {1406, "22001", FABRIC_ERROR_STORE_REJECTED, false},    /* too long */
        {1366, "HY000", FABRIC_ERROR_STORE_REJECTED, false},    /* incorrect value */
        {1153, "08S01", FABRIC_ERROR_STORE_REJECTED, true},     /* packet too large */
        {1290, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, false}, /* read-only */
        {1114, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, false}, /* table full: so is the disk */
        {1021, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, false}, /* disk full */
        {3, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, false},    /* error writing file */
        {2013, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, true},  /* lost connection */
        {4031, "HY000", FABRIC_ERROR_STORE_UNAVAILABLE, true},  /* dropped for inactivity */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mysql_verdict_t verdict = mysql_error_of_statement(rows[i].number, rows[i].sqlstate);
        assert_error(rows[i].error, verdict.error);
        assert_int_equal(verdict.connection_lost, rows[i].lost);
        bool busy = rows[i].error == FABRIC_ERROR_STORE_BUSY;
        verdict = mysql_error_of_commit(rows[i].number);
        assert_error(busy ? FABRIC_ERROR_STORE_BUSY : FABRIC_ERROR_STORE_UNKNOWN, verdict.error);
        assert_int_equal(verdict.connection_lost, !busy);
    }
}

static int test_server(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_that_cannot_be_understood),
        cmocka_unit_test(test_the_parts_of_a_url),
        cmocka_unit_test(test_error_numbers),
        FOUNDED_TEST(test_a_killed_connection_is_unavailable_for_good),
        FOUNDED_TEST(test_a_connection_dropped_while_idle_is_replaced),
        FOUNDED_TEST(test_a_held_writer_row_is_busy),
        FOUNDED_TEST(test_a_frozen_transaction_loses_its_locks),
        FOUNDED_TEST(test_a_stopped_server_times_out),
        FOUNDED_TEST(test_a_read_only_server_is_refused),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}

int main(void)
{
    char reason[256];
    if (!mariadb_start(reason)) {
        print_message("skip: store_suite_on_mysql: %s\n[  SKIPPED ] store_suite_on_mysql\n",
                      reason);
        return 0;
    }
    store_suite_t suite = {.name = "mysql",
                           .driver = &mysql_store_driver,
                           .password = mariadb_password(),
                           .create = mariadb_fresh_database,
                           .destroy = mariadb_drop_database,
                           .damage = damage};
    int failed = store_suite_run(&suite) + test_server();
    mariadb_stop();
    return failed;
}
