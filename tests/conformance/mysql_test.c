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
#include "tests/harness/mariadb.h"
#include "tests/conformance/store_fixture.h"

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

static void a_killed_connection_is_unavailable_for_good(void **state)
{
    store_fixture_t *fixture = *state;
    kill_connection(fixture);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, commit_one(fixture, 1));
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, commit_one(fixture, 1));
    fixture_reconnect(fixture);
    assert_ok(commit_one(fixture, 1));
}

/* What the client library is made to say about the lengths of all values of the rows that it fetches. */
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

static void visit_nothing(void *context, const store_message_t *message, store_tally_t tally,
                          const store_reply_t *reply)
{
    (void)message, (void)tally, (void)reply;
    *(size_t *)context += 1;
}

static void a_row_whose_lengths_contradict_its_data_is_refused(void **state)
{
    static uint8_t payload[1000];
    store_fixture_t *fixture = *state;
    store_message_t message = message_of(fixture, 1);
    batch_builder_t builder = {0};
    size_t visited = 0;
    message.payload = fabric_bytes(payload, sizeof payload);
    add_message(&builder, &message);
    commit_ok(fixture, &builder);
    for (int lie = LENGTHS_ZERO; lie <= LENGTHS_LARGER; lie++) {
        lengths = lie == LENGTHS_ZERO ? LENGTHS_ZERO : LENGTHS_LARGER;
        fabric_error_t error = fixture->driver->load_pending(fixture->store, (request_id_t){0},
                                                             visit_nothing, &visited);
        lengths = LENGTHS_TRUE;
        assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, error);
        assert_int_equal(visited, 0);
        fixture_reconnect(fixture);
    }
    find_pending(fixture, 0);
    assert_int_equal(fixture->found.count, 1);
    assert_same_message(&fixture->found.items[0].message, &message);
}

/* What the session has set for itself, by either server's names. */
static void read_settings(const store_fixture_t *fixture, char settings[1000])
{
    MYSQL *handle = mysql_store_of(fixture->store)->session.handle;
    assert_int_equal(
        mysql_query(handle, "SHOW SESSION VARIABLES WHERE Variable_name IN ('wait_timeout',"
                            " 'idle_transaction_timeout', 'net_read_timeout', 'sql_mode',"
                            " 'time_zone', 'innodb_lock_wait_timeout', 'autocommit',"
                            " 'tx_isolation', 'transaction_isolation', 'character_set_client')"),
        0);
    MYSQL_RES *result = mysql_store_result(handle);
    assert_non_null(result);
    size_t used = 0;
    MYSQL_ROW row = NULL;
    while ((row = mysql_fetch_row(result)) != NULL) {
        used += (size_t)snprintf(settings + used, 1000 - used, "%s=%s ", row[0], row[1]);
        assert_true(used < 1000);
    }
    mysql_free_result(result);
    assert_int_equal(mysql_rollback(handle), 0);
}

static void a_connection_dropped_while_idle_is_replaced(void **state)
{
    store_fixture_t *fixture = *state;
    char before[1000];
    char after[1000];
    assert_ok(commit_one(fixture, 1));
    read_settings(fixture, before);
    mysql_store_of(fixture->store)->used_ms -= 3600 * 1000;
    assert_ok(commit_one(fixture, 2));
    kill_connection(fixture);
    mysql_store_of(fixture->store)->used_ms -= 3600 * 1000;
    assert_ok(commit_one(fixture, 3));
    read_settings(fixture, after);
    assert_string_equal(after, before);
}

/* A lane opens its next connection without asking for a reason. */
static void the_next_connection_has_the_settings_of_the_first(void **state)
{
    store_fixture_t *fixture = *state;
    char before[1000];
    char after[1000];
    store_options_t options = {.url = fixture->url,
                               .password = mariadb_password(),
                               .connect_timeout_ms = 1000,
                               .io_timeout_ms = 1000};
    read_settings(fixture, before);
    store_close(&fixture->store);
    assert_ok(fixture->driver->open(&options, NULL, &fixture->store));
    read_settings(fixture, after);
    assert_string_equal(after, before);
}

/* The second connection holds the writer row in a transaction while the first tries. */
static void a_held_writer_row_is_busy(void **state)
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

/* The second connection is about to write a row of the batch, which by then has raised its number and
 * written other rows. */
static void a_batch_that_waited_in_vain_leaves_nothing(void **state)
{
#define LETTER                                                                                     \
    "(request_id, shard, flags, entity_type, entity_id, tag, payload, traceparent, call_client,"
    static const char *const rows[] = {
        "INSERT INTO mailbox " LETTER " call_sequence, deliver_at_ms)"
        " VALUES (2, 65537, 1, 'T', 'e', 't', 'p', '', 9, 9, 0)",
        "INSERT INTO attempt (request_id, attempts, suspicions) VALUES (1, 7, 0)",
        "INSERT INTO dead_letter " LETTER
        " call_sequence, deliver_at_ms, error, attempts, last_error)"
        " VALUES (1, 65537, 1, 'T', 'e', 't', 'p', '', 9, 9, 0, 1, 1, 'e')",
    };
#undef LETTER
    store_fixture_t *fixture = *state;
    mysql_store_t *holder = mysql_store_of(fixture->second);
    store_message_t stored = message_of(fixture, 1);
    store_message_t fresh = message_of(fixture, 2);
    batch_builder_t builder = {0};
    assert_ok(commit_one(fixture, 1));
    add_message(&builder, &fresh);
    add_attempt(&builder, 1, 3, 0);
    add_dead_letter(&builder, &stored);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_ok(mysql_begin(holder));
        assert_ok(mysql_session_execute(&holder->session, rows[i]));
        fabric_error_t held = commit_as(fixture, &fixture->writer, &builder.batch, NULL);
        assert_error(FABRIC_ERROR_FENCED, mysql_end(holder, FABRIC_ERROR_FENCED));
        assert_error(FABRIC_ERROR_STORE_BUSY, held);
        assert_int_equal(settled_batch(fixture, &fixture->writer), fixture->writer.batch);
        find_pending(fixture, 0);
        assert_found_ids(fixture, 1, 1);
        assert_int_equal(fixture->found.items[0].tally.attempts, 0);
    }
    commit_ok(fixture, &builder);
}

typedef struct waiting_batch {
    store_fixture_t *fixture;
    fabric_error_t error;
} waiting_batch_t;

static void *commit_and_wait(void *context)
{
    waiting_batch_t *waiting = context;
    store_message_t message = message_of(waiting->fixture, 1);
    batch_builder_t builder = {0};
    store_writer_t writer = waiting->fixture->writer;
    add_message(&builder, &message);
    waiting->error = commit_as(waiting->fixture, &writer, &builder.batch, NULL);
    return NULL;
}

/* Whether a batch has come to a row that another transaction holds. */
static bool somebody_waits(mysql_session_t *session)
{
    if (mysql_query(session->handle, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")) {
        return true;
    }
    MYSQL_RES *result = mysql_store_result(session->handle);
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    bool waits = row && strcmp(row[1], "0") != 0;
    mysql_free_result(result);
    return waits;
}

/* A takeover has changed the writer row and is about to commit when the batch comes. */
static void a_batch_that_waits_for_a_takeover_is_fenced(void **state)
{
    store_fixture_t *fixture = *state;
    mysql_store_t *taker = mysql_store_of(fixture->second);
    waiting_batch_t waiting = {.fixture = fixture, .error = FABRIC_OK};
    pthread_t thread;
    assert_ok(mysql_begin(taker));
    assert_ok(
        mysql_session_execute(&taker->session, "UPDATE writer SET incarnation = REPEAT('x', 16)"));
    assert_int_equal(pthread_create(&thread, NULL, commit_and_wait, &waiting), 0);
    uint64_t deadline_ms = clock_monotonic_ms() + 800; /* the batch waits a second */
    while (!somebody_waits(&taker->session) && clock_monotonic_ms() < deadline_ms) {
    }
    fabric_error_t taken = mysql_end(taker, FABRIC_OK);
    pthread_join(thread, NULL);
    assert_ok(taken);
    assert_error(FABRIC_ERROR_FENCED, waiting.error);
    find_pending(fixture, 0);
    assert_int_equal(fixture->found.count, 0);
}

static void a_frozen_transaction_loses_its_locks(void **state)
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

static void need_own_server(const char *test)
{
    if (!mariadb_own()) {
        print_message("skip: %s: the server is not the test's own\n", test);
        skip();
    }
}

static void a_stopped_server_times_out(void **state)
{
    store_fixture_t *fixture = *state;
    need_own_server(__func__);
    kill(mariadb_own()->process.pid, SIGSTOP);
    int status = 0; /* its threads stop one after another */
    assert_int_equal(waitpid(mariadb_own()->process.pid, &status, WUNTRACED),
                     mariadb_own()->process.pid);
    assert_true(WIFSTOPPED(status));
    fabric_error_t error = commit_one(fixture, 1);
    kill(mariadb_own()->process.pid, SIGCONT);
    assert_error(FABRIC_ERROR_STORE_UNAVAILABLE, error);
    fixture_reconnect(fixture);
    assert_int_equal(settled_batch(fixture, &fixture->writer), fixture->writer.batch);
}

static void a_read_only_server_is_refused(void **state)
{
    store_fixture_t *fixture = *state;
    store_cluster_t cluster;
    store_facts_t facts;
    reason_t reason = {""};
    bool binds_root = !mysql_store_of(fixture->store)->is_mariadb;
    need_own_server(__func__);
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
static void error_numbers(void **state)
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
        {1644, "45000", FABRIC_ERROR_STORE_REJECTED, false},    /* a trigger signals */
        {1369, "44000", FABRIC_ERROR_STORE_REJECTED, false},    /* a view's check option */
        {3819, "HY000", FABRIC_ERROR_STORE_REJECTED, false},    /* a check constraint, in MySQL */
        {4025, "23000", FABRIC_ERROR_STORE_REJECTED, false},    /* likewise, in MariaDB */
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

static int server(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_cannot_be_understood),
        cmocka_unit_test(the_parts_of_a_url),
        cmocka_unit_test(error_numbers),
        FOUNDED_TEST(a_killed_connection_is_unavailable_for_good),
        FOUNDED_TEST(a_row_whose_lengths_contradict_its_data_is_refused),
        FOUNDED_TEST(a_connection_dropped_while_idle_is_replaced),
        FOUNDED_TEST(the_next_connection_has_the_settings_of_the_first),
        FOUNDED_TEST(a_held_writer_row_is_busy),
        FOUNDED_TEST(a_batch_that_waited_in_vain_leaves_nothing),
        FOUNDED_TEST(a_batch_that_waits_for_a_takeover_is_fenced),
        FOUNDED_TEST(a_frozen_transaction_loses_its_locks),
        FOUNDED_TEST(a_stopped_server_times_out),
        FOUNDED_TEST(a_read_only_server_is_refused),
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
                           .page_rows = 50000, /* the LIMIT of PAGE_OF_MAILBOX */
                           .create = mariadb_fresh_database,
                           .destroy = mariadb_drop_database,
                           .damage = damage};
    int failed = store_suite_run(&suite) + server();
    mariadb_stop();
    return failed;
}
