/* Appends and commits whose answer or request is lost, connections that break in the middle of one,
 * locks of other sessions, and a slow database: the broker settles each append whose outcome it
 * does not know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/outage.h"

enum {
    BETWEEN_MS = 100,
    WAIT_MAX_MS = 90000,
    LONG_MS = 2000, /* longer than the lease and than the timeout of a call to the database */
    STANDSTILL_MS = 300,
    KEPT_MS = 2000,
    LOCKED_MS = 2500, /* longer than the server lets a statement wait for a lock */
    SLOW_MS = 500,
    SLOW_RUN_MS = 5000,
    APPEND_BYTES = 4000,
    BALLAST_ROWS = 5000
};

/* ---- commits that are lost ---- */

typedef struct loss {
    outage_t *outage;
    proxy_loss_t what;
    uint64_t lost;  /* before */
    uint32_t again; /* how often the appender was connected again, before */
} loss_t;

static bool is_lost(void *context)
{
    const loss_t *loss = context;
    return proxy_lost_commits(loss->outage->proxy, loss->what) > loss->lost;
}

static bool is_connected_again(void *context)
{
    const loss_t *loss = context;
    return outage_log_lines(loss->outage, "store.available", "connection=appender") > loss->again;
}

static void lose_append(outage_t *outage, proxy_loss_t what, proxy_ending_t how)
{
    loss_t loss = {.outage = outage, .what = what};
    loss.again = outage_log_lines(outage, "store.available", "connection=appender");
    loss.lost = proxy_lost_commits(outage->proxy, what);
    proxy_lose_commits(outage->proxy, PROXY_APPEND, what, 1, how);
    assert_true(workload_run_until(outage->load, is_lost, &loss, WAIT_MAX_MS));
    if (!workload_run_until(outage->load, is_connected_again, &loss, WAIT_MAX_MS)) {
        cluster_print_logs(&outage->bed->cluster, stderr);
        fail_msg("the appender is not connected again");
    }
    outage_recover(outage);
    outage_run(outage, BETWEEN_MS);
}

static void lose_appends(void **state, proxy_loss_t what)
{
    outage_options_t options = {.proxied = true};
    outage_t *outage = outage_start(*state, &options);
    uint32_t rounds = outage_rounds(3);
    for (uint32_t i = 0; i < rounds; i++) {
        lose_append(outage, what, i % 2 ? PROXY_CLOSE : PROXY_RESET);
    }
    lose_append(outage, what, PROXY_STALL);
    print_message("lost: %llu of %llu appends\n",
                  (unsigned long long)proxy_lost_commits(outage->proxy, what),
                  (unsigned long long)proxy_commits(outage->proxy, PROXY_APPEND));
    /* An append that has landed and is run again collides with itself, not with another's. */
    assert_int_equal(outage_log_lines(outage, "append.fenced", ""), 0);
    outage_end(&outage);
}

/* The entries are durable: they must be taken for done, and their calls answered. */
static void answers_of_appends_lost(void **state)
{
    lose_appends(state, PROXY_LOSE_ANSWER);
}

/* The entries are not durable: they must be appended again. */
static void appends_lost(void **state)
{
    lose_appends(state, PROXY_LOSE_COMMIT);
}

/* COMMITs are those of checkpoints, purges and the coordinator: appends go on. A coordinator that
 * does not hear of its renewals for a lease ends, so the lost ones are some way apart. */
static void commits_lost(void **state)
{
    outage_options_t options = {.proxied = true};
    outage_t *outage = outage_start(*state, &options);
    uint32_t rounds = outage_rounds(6);
    for (uint32_t i = 0; i < rounds; i++) {
        loss_t loss = {.outage = outage, .what = i % 2 ? PROXY_LOSE_COMMIT : PROXY_LOSE_ANSWER};
        loss.lost = proxy_lost_commits(outage->proxy, loss.what);
        proxy_lose_commits(outage->proxy, PROXY_TRANSACTION, loss.what, 1,
                           i % 3 ? PROXY_CLOSE : PROXY_RESET);
        assert_true(workload_run_until(outage->load, is_lost, &loss, WAIT_MAX_MS));
        outage_recover(outage);
        outage_run(outage, STANDSTILL_MS);
    }
    outage_end(&outage);
}

/* ---- connections that break ---- */

static void reset_in_append(void **state)
{
    outage_options_t options = {.proxied = true};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(12); i++) {
        uint64_t accepted = proxy_accepted(outage->proxy);
        proxy_cut_after(outage->proxy, i % 3 ? PROXY_TO_SERVER : PROXY_TO_CLIENT,
                        (uint64_t)rand() % APPEND_BYTES, i % 2 ? PROXY_RESET : PROXY_CLOSE);
        uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
        while (proxy_accepted(outage->proxy) == accepted) {
            outage_run(outage, 5);
            testbed_poll(deadline_ms, "a new connection");
        }
        outage_recover(outage);
    }
    outage_end(&outage);
}

/* The connection to the database stalls in one direction or both, in the middle of a packet: only
 * the timeouts of calls show it. */
static void stalled_in_append(void **state)
{
    static const proxy_direction_t directions[] = {PROXY_TO_CLIENT, PROXY_TO_SERVER, PROXY_BOTH};
    outage_options_t options = {.proxied = true};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(3); i++) {
        proxy_stall(outage->proxy, directions[i % 3], (uint64_t)rand() % APPEND_BYTES);
        outage_expect_standstill(outage, LONG_MS);
        proxy_heal(outage->proxy);
        outage_recover(outage);
        outage_run(outage, BETWEEN_MS);
    }
    outage_end(&outage);
}

/* The database's port refuses connections. */
static void refused(void **state)
{
    outage_options_t options = {.proxied = true};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(2); i++) {
        proxy_refuse(outage->proxy, true);
        proxy_cut(outage->proxy, PROXY_RESET);
        outage_expect_standstill(outage, i == 0 ? LONG_MS : STANDSTILL_MS);
        outage_expect_refusal(outage, "");
        proxy_heal(outage->proxy);
        outage_recover(outage);
        outage_run(outage, BETWEEN_MS);
    }
    outage_end(&outage);
}

/* ---- locks ---- */

static void lock_rows(MYSQL *connection, const char *query)
{
    if (mysql_query(connection, query)) {
        fail_msg("%s: %s", query, mysql_error(connection));
    }
    mysql_free_result(mysql_store_result(connection));
}

/* Another session holds locks for longer than a statement may wait for them. */
static MYSQL *hold(const outage_t *outage, const char *lock)
{
    MYSQL *other = outage_connect(outage, true, NULL);
    outage_execute(other, "SET SESSION innodb_lock_wait_timeout = 10");
    outage_execute(other, "BEGIN");
    lock_rows(other, lock);
    return other;
}

static void let_go(outage_t *outage, MYSQL *other)
{
    outage_execute(other, "ROLLBACK");
    mysql_close(other);
    outage_recover(outage);
    outage_run(outage, BETWEEN_MS);
}

/* Appends wait for the ends of the journals. Only checkpoints wait for the lanes' rows. */
static void locked(void **state)
{
    /* The server's wait for a lock, a second, must end before the broker's for the server. */
    static const char *const arguments[] = {"--lease-ms", "1500", "--io-timeout-ms", "3000", NULL};
    outage_options_t options = {.broker_arguments = arguments};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(1); i++) {
        MYSQL *other = hold(outage, "SELECT * FROM journal FOR UPDATE");
        outage_expect_standstill(outage, LOCKED_MS);
        let_go(outage, other);
        other = hold(outage, "SELECT * FROM lane FOR UPDATE");
        workload_counts_t before = workload_counts(outage->load);
        outage_run(outage, LOCKED_MS);
        assert_true(workload_counts(outage->load).durable > before.durable);
        let_go(outage, other);
    }
    assert_int_equal(outage_log_lines(outage, "store.unavailable", ""), 0);
    outage_end(&outage);
}

/* The number in the last column of a query's only row. */
static uint64_t query_number(MYSQL *connection, const char *query)
{
    assert_int_equal(mysql_query(connection, query), 0);
    MYSQL_RES *result = mysql_store_result(connection);
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    assert_non_null(row);
    uint64_t number = strtoull(row[mysql_num_fields(result) - 1], NULL, 10);
    mysql_free_result(result);
    return number;
}

static uint64_t count_deadlocks(MYSQL *connection)
{
    return query_number(
        connection,
        "SELECT `count` FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'");
}

/* Whether a transaction waits for a lock of another. */
static bool somebody_waits(void *context)
{
    return query_number(context, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'") > 0;
}

/* A deadlock, of which the broker's append is the victim: the other has more to undo. The append
 * has entries of several lanes, and the other has locked the journals of half of them; then it
 * wants the other half's. */
static void cause_deadlock(outage_t *outage, MYSQL *other, MYSQL *observer)
{
    outage_execute(other, "BEGIN");
    outage_execute(other, "UPDATE ballast SET weight = weight + 1");
    lock_rows(other, "SELECT lane FROM journal WHERE lane >= 6 FOR UPDATE");
    assert_true(workload_run_until(outage->load, somebody_waits, observer, WAIT_MAX_MS));
    lock_rows(other, "SELECT lane FROM journal WHERE lane < 6 FOR UPDATE");
    outage_execute(other, "ROLLBACK");
}

static void test_nt_14_deadlocked(void **state)
{
    outage_t *outage = outage_start(*state, NULL);
    MYSQL *other = outage_connect(outage, true, NULL);
    MYSQL *observer = outage_connect(outage, true, NULL);
    char fill[300];
    snprintf(fill, sizeof fill,
             "INSERT INTO ballast WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
             "WHERE i < 100) "
             "SELECT (a.i - 1) * 100 + b.i, 0 FROM n a, n b WHERE a.i <= %d",
             BALLAST_ROWS / 100);
    outage_execute(other, "CREATE TABLE ballast (id INT PRIMARY KEY, weight INT NOT NULL)");
    outage_execute(other, fill);
    outage_execute(other, "SET SESSION innodb_lock_wait_timeout = 10");
    uint64_t before = count_deadlocks(observer);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    uint32_t rounds = outage_rounds(5);
    while (count_deadlocks(observer) < before + rounds) {
        cause_deadlock(outage, other, observer);
        outage_recover(outage);
        testbed_poll(deadline_ms, "deadlocks");
    }
    mysql_close(observer);
    mysql_close(other);
    assert_int_equal(outage_log_lines(outage, "store.unavailable", "connection=appender"), 0);
    outage_end(&outage);
}

/* ---- slowness ---- */

static bool has_refused_calls(void *context)
{
    workload_counts_t counts = workload_counts(context);
    return counts.unknown > 0 && counts.rejected > 0;
}

/* Each answer of the database takes half a second: once as much waits as may, admission refuses
 * calls with an error, and no process is taken for dead. */
static void slow(void **state)
{
    static const char *const arguments[] = {"--lease-ms", "3000", "--pending-max", "40", NULL};
    outage_options_t options = {.proxied = true, .broker_arguments = arguments};
    testbed_t *bed = *state;
    outage_t *outage = outage_start(bed, &options);
    proxy_delay(outage->proxy, PROXY_TO_CLIENT, SLOW_MS);
    outage_run(outage, SLOW_RUN_MS);
    assert_true(workload_run_until(outage->load, has_refused_calls, outage->load, WAIT_MAX_MS));
    proxy_heal(outage->proxy);
    outage_recover(outage);
    outage_run(outage, LONG_MS);
    outage_end(&outage);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"answers_of_appends_lost", answers_of_appends_lost, TESTBED_MYSQL},
        {"appends_lost", appends_lost, TESTBED_MYSQL},
        {"commits_lost", commits_lost, TESTBED_MYSQL},
        {"reset_in_append", reset_in_append, TESTBED_MYSQL},
        {"stalled_in_append", stalled_in_append, TESTBED_MYSQL},
        {"refused", refused, TESTBED_MYSQL},
        {"locked", locked, TESTBED_MYSQL},
        {"test_nt_14_deadlocked", test_nt_14_deadlocked, TESTBED_MYSQL},
        {"slow", slow, TESTBED_MYSQL},
    };
    return testbed_run("commit", tests, sizeof tests / sizeof tests[0]);
}
