/* Commits whose answer or request is lost, connections that break in the middle of a batch, locks
 * of other sessions, and a slow database: the broker settles each commit whose outcome it does not
 * know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/outage.h"

enum {
    BETWEEN_MS = 100,
    WAIT_MAX_MS = 20000,
    LONG_MS = 2000, /* longer than the lease and than the timeout of a call to the database */
    STANDSTILL_MS = 300,
    KEPT_MS = 2000,
    LOCKED_MS = 2500, /* longer than the server lets a statement wait for a lock */
    SLOW_MS = 500,
    SLOW_RUN_MS = 5000,
    BATCH_BYTES = 4000,
    BALLAST_ROWS = 5000
};

/* ---- commits that are lost ---- */

typedef struct loss {
    outage_t *outage;
    proxy_commit_t what;
    uint64_t lost;   /* before */
    uint32_t broken; /* connections of the lane, before */
} loss_t;

static bool is_lost(void *context)
{
    const loss_t *loss = context;
    return proxy_lost_commits(loss->outage->proxy, loss->what) > loss->lost;
}

static bool lane_noticed(void *context)
{
    const loss_t *loss = context;
    return outage_log_lines(loss->outage, "store.unavailable", "lane=0") > loss->broken;
}

/* Loses commits until one of them was a batch's: the coordinator commits now and then as well. */
static void lose_batch(outage_t *outage, proxy_commit_t what, proxy_ending_t how)
{
    loss_t loss = {.outage = outage, .what = what};
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    loss.broken = outage_log_lines(outage, "store.unavailable", "lane=0");
    do {
        testbed_poll(deadline_ms, "a batch whose commit is lost");
        loss.lost = proxy_lost_commits(outage->proxy, what);
        proxy_lose_commits(outage->proxy, what, 1, how);
        assert_true(workload_run_until(outage->load, is_lost, &loss, WAIT_MAX_MS));
    } while (!workload_run_until(outage->load, lane_noticed, &loss, LONG_MS));
    /* The server does not know that the connection is of no use, and keeps the locks of a
     * transaction that it saw no end of for two seconds. */
    bool kept = what == PROXY_LOSE_COMMIT && how == PROXY_STALL;
    outage_recover_within(outage, OUTAGE_RECOVERY_MS + (kept ? KEPT_MS : 0));
    outage_run(outage, BETWEEN_MS);
}

static void lose_batches(void **state, proxy_commit_t what)
{
    outage_options_t options = {.proxied = true};
    outage_t *outage = outage_start(*state, &options);
    uint32_t rounds = outage_rounds(3);
    for (uint32_t i = 0; i < rounds; i++) {
        lose_batch(outage, what, i % 2 ? PROXY_CLOSE : PROXY_RESET);
    }
    lose_batch(outage, what, PROXY_STALL);
    uint64_t lost = proxy_lost_commits(outage->proxy, what);
    print_message("lost: %llu of %llu commits\n", (unsigned long long)lost,
                  (unsigned long long)proxy_commits(outage->proxy));
    assert_true(lost >= rounds + 1);
    /* A batch that was committed and is run again collides with itself. */
    assert_int_equal(outage_log_lines(outage, "store.rejected", ""), 0);
    outage_end(&outage);
}

/* The batch was committed: it must not be run again, and its calls are answered. */
static void answers_lost(void **state)
{
    lose_batches(state, PROXY_LOSE_ANSWER);
}

/* The batch was not committed: it must be run again. */
static void commits_lost(void **state)
{
    lose_batches(state, PROXY_LOSE_COMMIT);
}

/* ---- connections that break ---- */

static void reset_in_batch(void **state)
{
    outage_options_t options = {.proxied = true};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(12); i++) {
        uint64_t accepted = proxy_accepted(outage->proxy);
        proxy_cut_after(outage->proxy, i % 3 ? PROXY_TO_SERVER : PROXY_TO_CLIENT,
                        (uint64_t)rand() % BATCH_BYTES, i % 2 ? PROXY_RESET : PROXY_CLOSE);
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
static void stalled_in_batch(void **state)
{
    static const proxy_direction_t directions[] = {PROXY_TO_CLIENT, PROXY_TO_SERVER, PROXY_BOTH};
    outage_options_t options = {.proxied = true};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(3); i++) {
        proxy_stall(outage->proxy, directions[i % 3], (uint64_t)rand() % BATCH_BYTES);
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

/* Another session holds a lock that each batch needs for longer than a statement may wait. */
static void hold(outage_t *outage, const char *lock)
{
    MYSQL *other = outage_connect(outage, true, NULL);
    outage_execute(other, "SET SESSION innodb_lock_wait_timeout = 10");
    outage_execute(other, "BEGIN");
    lock_rows(other, lock);
    outage_expect_standstill(outage, LOCKED_MS);
    outage_execute(other, "ROLLBACK");
    mysql_close(other);
    outage_recover(outage);
    outage_run(outage, BETWEEN_MS);
}

static void locked(void **state)
{
    /* The server's wait for a lock, a second, must end before the broker's for the server. */
    static const char *const arguments[] = {"--lease-ms", "1500", "--io-timeout-ms", "3000", NULL};
    outage_options_t options = {.broker_arguments = arguments};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(1); i++) {
        hold(outage, "SELECT * FROM writer FOR UPDATE");
        hold(outage, "SELECT * FROM mailbox WHERE request_id > 0 FOR UPDATE");
    }
    assert_int_equal(outage_log_lines(outage, "store.unavailable", "lane=0"), 0);
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

/* One deadlock, of which the broker's batch is the victim: the other has more to undo. The other
 * has the end of the mailbox and wants the writer's row, the batch the other way round. */
static void cause_deadlock(outage_t *outage, MYSQL *other, MYSQL *observer)
{
    outage_execute(other, "BEGIN");
    outage_execute(other, "UPDATE ballast SET weight = weight + 1");
    lock_rows(other, "SELECT * FROM mailbox WHERE request_id > 0 FOR UPDATE");
    assert_true(workload_run_until(outage->load, somebody_waits, observer, WAIT_MAX_MS));
    lock_rows(other, "SELECT * FROM writer FOR UPDATE");
    outage_execute(other, "ROLLBACK");
}

static void deadlocked(void **state)
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
    assert_int_equal(outage_log_lines(outage, "store.unavailable", "lane=0"), 0);
    outage_end(&outage);
}

/* ---- slowness ---- */

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
    workload_counts_t counts = workload_counts(outage->load);
    assert_true(counts.unknown > 0);
    assert_true(counts.rejected > 0);
    proxy_heal(outage->proxy);
    outage_recover(outage);
    outage_run(outage, LONG_MS);
    outage_end(&outage);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"answers_lost", answers_lost, TESTBED_MYSQL},
        {"commits_lost", commits_lost, TESTBED_MYSQL},
        {"reset_in_batch", reset_in_batch, TESTBED_MYSQL},
        {"stalled_in_batch", stalled_in_batch, TESTBED_MYSQL},
        {"refused", refused, TESTBED_MYSQL},
        {"locked", locked, TESTBED_MYSQL},
        {"deadlocked", deadlocked, TESTBED_MYSQL},
        {"slow", slow, TESTBED_MYSQL},
    };
    return testbed_run("commit", tests, sizeof tests / sizeof tests[0]);
}
