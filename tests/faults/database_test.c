/* A database server that is killed, frozen, restarted, read-only, full of connections, or that has
 * forgotten what it had acknowledged. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <mysqld_error.h>

#include "core/clock.h"
#include "core/exit_codes.h"
#include "tests/harness/machine.h"
#include "tests/harness/outage.h"

enum {
    BETWEEN_MS = 300,
    SHORT_MS = 300,
    LONG_MS = 2000, /* longer than the lease and than the timeout of a call to the database */
    STANDSTILL_MS = 300,
    LONG_LEASE_MS = 3000, /* of a broker that must not notice a short freeze */
    LONG_IO_MS = 2000,
    PUT_BACK_MS = 50, /* longer than a broker's appends need to notice */
    WAIT_MAX_MS = 20000,
    CONNECTIONS_MAX = 64,
    SERVER_CONNECTIONS_MAX = 10
};

/* ---- the server's process ---- */

static void killed(void **state)
{
    outage_t *outage = outage_start(*state, NULL);
    for (uint32_t i = 0; i < outage_rounds(3); i++) {
        mariadb_server_kill(outage->server);
        outage_expect_standstill(outage, i == 0 ? LONG_MS : SHORT_MS);
        outage_expect_refusal(outage, "(2");
        assert_true(mariadb_server_run(outage->server));
        outage_recover(outage);
        outage_run(outage, BETWEEN_MS);
    }
    outage_end(&outage);
}

static void restarted(void **state)
{
    outage_t *outage = outage_start(*state, NULL);
    for (uint32_t i = 0; i < outage_rounds(2); i++) {
        assert_true(mariadb_server_end(outage->server));
        outage_run(outage, SHORT_MS);
        assert_true(mariadb_server_run(outage->server));
        outage_recover(outage);
        outage_run(outage, BETWEEN_MS);
    }
    outage_end(&outage);
}

static void freeze(outage_t *outage, uint32_t ms)
{
    assert_int_equal(kill(outage->server->process.pid, SIGSTOP), 0);
    outage_expect_standstill(outage, ms);
    assert_int_equal(kill(outage->server->process.pid, SIGCONT), 0);
    outage_recover(outage);
    outage_run(outage, BETWEEN_MS);
}

/* Calls to the frozen server are still waited for, so only the delay is noticed. Its length depends
 * on how soon the test sees that nothing proceeds. */
static void frozen_briefly(void **state)
{
    char lease_ms[24];
    char io_ms[24];
    const char *const arguments[] = {"--lease-ms", lease_ms, "--io-timeout-ms", io_ms, NULL};
    outage_options_t options = {.broker_arguments = arguments};
    snprintf(lease_ms, sizeof lease_ms, "%u", (unsigned)machine_scaled(LONG_LEASE_MS));
    snprintf(io_ms, sizeof io_ms, "%u", (unsigned)machine_scaled(LONG_IO_MS));
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(3); i++) {
        freeze(outage, SHORT_MS);
    }
    assert_int_equal(outage_log_lines(outage, "store.unavailable", ""), 0);
    outage_end(&outage);
}

/* Calls to the frozen server are given up, and the commit that it carries out when it thaws is
 * settled. */
static void test_sh_42_frozen_long(void **state)
{
    outage_t *outage = outage_start(*state, NULL);
    for (uint32_t i = 0; i < outage_rounds(2); i++) {
        freeze(outage, LONG_MS);
    }
    assert_true(outage_log_lines(outage, "store.unavailable", "connection=appender") > 0);
    outage_end(&outage);
}

/* A second broker could take over, but a broker that cannot reach the database takes nobody for
 * dead. */
static void frozen_with_standby(void **state)
{
    outage_options_t options = {.standby = true};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(1); i++) {
        freeze(outage, LONG_MS);
    }
    outage_end(&outage);
}

static void killed_with_standby(void **state)
{
    outage_options_t options = {.standby = true};
    outage_t *outage = outage_start(*state, &options);
    for (uint32_t i = 0; i < outage_rounds(1); i++) {
        mariadb_server_kill(outage->server);
        outage_expect_standstill(outage, LONG_MS);
        assert_true(mariadb_server_run(outage->server));
        outage_recover(outage);
        outage_run(outage, BETWEEN_MS);
    }
    outage_end(&outage);
}

/* ---- a server that refuses ---- */

static void read_only(void **state)
{
    outage_t *outage = outage_start(*state, NULL);
    MYSQL *administrator = outage_connect(outage, true, NULL);
    uint32_t rounds = outage_rounds(2);
    for (uint32_t i = 0; i < rounds; i++) {
        outage_execute(administrator, "SET GLOBAL read_only = 1");
        outage_expect_standstill(outage, i == 0 ? LONG_MS : STANDSTILL_MS);
        outage_expect_refusal(outage, "(1290)");
        outage_execute(administrator, "SET GLOBAL read_only = 0");
        outage_recover(outage);
        outage_run(outage, BETWEEN_MS);
    }
    mysql_close(administrator);
    /* The outage is logged once, not at each try. */
    assert_int_equal(outage_log_lines(outage, "store.unavailable connection=appender", "(1290)"),
                     rounds);
    outage_end(&outage);
}

/* The broker's connections, by their ids. */
static size_t find_connections(MYSQL *administrator, unsigned long ids[CONNECTIONS_MAX])
{
    size_t count = 0;
    assert_int_equal(mysql_query(administrator, "SHOW PROCESSLIST"), 0);
    MYSQL_RES *result = mysql_store_result(administrator);
    assert_non_null(result);
    for (MYSQL_ROW row = mysql_fetch_row(result); row && count < CONNECTIONS_MAX;
         row = mysql_fetch_row(result)) {
        if (strcmp(row[1], "fabric_broker") == 0) {
            ids[count++] = strtoul(row[0], NULL, 10);
        }
    }
    mysql_free_result(result);
    return count;
}

/* False when it has ended by itself. */
static bool kill_connection(MYSQL *administrator, unsigned long id)
{
    char statement[64];
    snprintf(statement, sizeof statement, "KILL CONNECTION %lu", id);
    return mysql_query(administrator, statement) == 0;
}

/* The broker's user loses a right while the broker runs. A connection keeps the rights on a whole
 * database that it began with, so old connections are killed. */
static void insert_revoked(void **state)
{
    outage_t *outage = outage_start(*state, NULL);
    MYSQL *administrator = outage_connect(outage, true, NULL);
    unsigned long ids[CONNECTIONS_MAX];
    outage_permit_insert(outage, administrator, false);
    size_t count = find_connections(administrator, ids);
    for (size_t i = 0; i < count; i++) {
        (void)kill_connection(administrator, ids[i]);
    }
    outage_expect_standstill(outage, STANDSTILL_MS);
    outage_expect_words(outage, "(1142)");
    outage_permit_insert(outage, administrator, true);
    count = find_connections(administrator, ids);
    for (size_t i = 0; i < count; i++) {
        (void)kill_connection(administrator, ids[i]);
    }
    outage_recover(outage);
    mysql_close(administrator);
    assert_true(outage_log_lines(outage, "store.unavailable connection=appender",
                                 "INSERT command denied") > 0);
    outage_end(&outage);
}

/* Each in turn, now and then all at once. */
static void connections_killed(void **state)
{
    unsigned long ids[CONNECTIONS_MAX];
    uint32_t killed_count = 0;
    outage_t *outage = outage_start(*state, NULL);
    MYSQL *administrator = outage_connect(outage, true, NULL);
    for (uint32_t i = 0; i < outage_rounds(5); i++) {
        size_t count = find_connections(administrator, ids);
        for (size_t k = 0; k < count; k++) {
            killed_count += kill_connection(administrator, ids[k]);
            if (i % 2 == 0) {
                outage_recover(outage);
            }
        }
        outage_recover(outage);
        outage_run(outage, BETWEEN_MS / 3);
    }
    mysql_close(administrator);
    assert_true(killed_count >= 2);
    outage_end(&outage);
}

static struct {
    MYSQL *items[CONNECTIONS_MAX];
    size_t count;
} fillers;

/* Takes all connections that the server allows. */
static void fill_up(const outage_t *outage)
{
    unsigned error = 0;
    while (fillers.count < CONNECTIONS_MAX) {
        MYSQL *filler = outage_connect(outage, false, &error);
        if (!filler) {
            assert_int_equal(error, 1040);
            return;
        }
        fillers.items[fillers.count++] = filler;
    }
    fail_msg("the server takes %d connections", CONNECTIONS_MAX);
}

/* The broker's connections are killed, and the test takes their places before the broker does. A
 * connection that is logging in is in no list, so the broker surely has none only when the test has
 * all of them. */
static void crowd_out(outage_t *outage, MYSQL *administrator)
{
    unsigned long ids[CONNECTIONS_MAX];
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    fill_up(outage);
    while (fillers.count < SERVER_CONNECTIONS_MAX - 1) { /* one is the administrator's */
        size_t count = find_connections(administrator, ids);
        for (size_t i = 0; i < count; i++) {
            bool ours = false;
            for (size_t k = 0; k < fillers.count; k++) {
                ours |= mysql_thread_id(fillers.items[k]) == ids[i];
            }
            if (!ours) {
                (void)kill_connection(administrator, ids[i]);
            }
        }
        fill_up(outage);
        testbed_poll(deadline_ms, "the broker without connections");
    }
}

static void connections_exhausted(void **state)
{
    outage_t *outage = outage_start(*state, NULL);
    MYSQL *administrator = outage_connect(outage, true, NULL);
    char statement[64];
    snprintf(statement, sizeof statement, "SET GLOBAL max_connections = %d",
             SERVER_CONNECTIONS_MAX);
    outage_execute(administrator, statement);
    for (uint32_t i = 0; i < outage_rounds(2); i++) {
        crowd_out(outage, administrator);
        outage_expect_standstill(outage, STANDSTILL_MS);
        while (fillers.count > 0) {
            mysql_close(fillers.items[--fillers.count]);
        }
        outage_recover(outage);
        outage_run(outage, BETWEEN_MS);
    }
    outage_execute(administrator, "SET GLOBAL max_connections = 151");
    mysql_close(administrator);
    outage_end(&outage);
}

/* ---- a server that has forgotten ---- */

static void keep_copy(outage_t *outage)
{
    assert_true(mariadb_server_end(outage->server));
    assert_true(mariadb_server_save(outage->server));
    assert_true(mariadb_server_run(outage->server));
    outage_recover(outage);
    outage_run(outage, BETWEEN_MS);
}

static void put_copy_back(outage_t *outage)
{
    mariadb_server_kill(outage->server);
    assert_true(mariadb_server_restore(outage->server));
    assert_true(mariadb_server_run(outage->server));
}

/* The broker stops by itself and says why. */
static void expect_loud_end(outage_t *outage)
{
    process_t *broker = &outage->bed->cluster.broker;
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (process_runs(broker)) {
        outage_run(outage, BETWEEN_MS); /* the next append finds the loss */
        testbed_poll(deadline_ms, "the broker's end");
    }
    assert_true(WIFEXITED(broker->status));
    assert_int_equal(WEXITSTATUS(broker->status), EXIT_INTERNAL);
    assert_int_equal(outage_log_lines(outage, "fabric-broker: ", "has forgotten commits"), 1);
}

/* An old copy of the data is restored: acknowledged messages are gone, and a broker that went on
 * would hide the loss. */
static void commits_forgotten(void **state)
{
    outage_t *outage = outage_start(*state, NULL);
    keep_copy(outage);
    put_copy_back(outage);
    expect_loud_end(outage);
}

/* A copy from before the broker joined looks as if another broker had taken over. */
static void broker_forgotten(void **state)
{
    testbed_t *bed = *state;
    outage_t *outage = outage_start(bed, NULL);
    keep_copy(outage);
    int64_t term = testbed_query_number(bed, "SELECT term FROM coordinator");
    testbed_kill(&bed->cluster.broker);
    testbed_restart_broker(bed);
    outage_recover_within(outage, WAIT_MAX_MS);
    outage_run(outage, BETWEEN_MS);
    uint32_t openings = outage_log_lines(outage, "store.open", "");
    put_copy_back(outage);
    expect_loud_end(outage);
    /* The broker's coordinator takes itself for fenced, and the next opening of the store tells
     * that commits are lost, unless an appender notices that first. */
    uint32_t fenced = outage_log_lines(outage, "warn fenced", "");
    assert_in_range(fenced, 0, 1);
    /* The broker does not wait until another one has raised the term again, and does not change the
     * copy. */
    assert_int_equal(outage_log_lines(outage, "store.open", ""), openings + fenced);
    assert_int_equal(testbed_query_number(bed, "SELECT term FROM coordinator"), term);
}

#define AHEAD "SELECT (SELECT COUNT(*) FROM journal) - (SELECT COUNT(*) FROM journal_copy)"

/* A copy that lacks the latest entries. */
static MYSQL *copy_journal(outage_t *outage)
{
    MYSQL *administrator = outage_connect(outage, true, NULL);
    outage_run(outage, BETWEEN_MS);
    outage_execute(administrator, "CREATE TABLE journal_copy LIKE journal");
    outage_execute(administrator, "INSERT INTO journal_copy SELECT * FROM journal");
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_query_number(outage->bed, AHEAD) <= 0) {
        outage_run(outage, BETWEEN_MS);
        testbed_poll(deadline_ms, "entries that the copy has not");
    }
    return administrator;
}

/* The server runs on, the broker's connections live on, and the copy has the same term and the same
 * holders: only the journal tells. The broker appends nothing at that moment. It ends with its next
 * append, and the copy gets no entry. */
static void journal_forgotten(void **state)
{
    testbed_t *bed = *state;
    outage_t *outage = outage_start(bed, NULL);
    MYSQL *administrator = copy_journal(outage);
    testbed_wait_drained(bed);
    outage_execute(administrator, "RENAME TABLE journal TO journal_lost, journal_copy TO journal");
    mysql_close(administrator);
    int64_t entries = testbed_query_number(bed, "SELECT COUNT(*) FROM journal");
    assert_true(testbed_query_number(bed, "SELECT COUNT(*) FROM journal_lost") > entries);
    expect_loud_end(outage);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM journal"), entries);
}

/* Deletes what the copy has not. Appends wait until it is committed. false: this was the victim of
 * a deadlock with an append. */
static bool put_journal_back(outage_t *outage, MYSQL *administrator)
{
    static const char delete[] = "DELETE j FROM journal j LEFT JOIN journal_copy c ON c.lane = "
                                 "j.lane AND c.number = j.number WHERE c.lane IS NULL";
    outage_execute(administrator, "START TRANSACTION");
    assert_int_equal(mysql_send_query(administrator, delete, sizeof delete - 1), 0);
    outage_run(outage, PUT_BACK_MS);
    if (mysql_read_query_result(administrator)) {
        assert_int_equal(mysql_errno(administrator), ER_LOCK_DEADLOCK);
        return false;
    }
    assert_true(mysql_affected_rows(administrator) > 0);
    outage_execute(administrator, "COMMIT");
    return true;
}

/* The same while the broker appends. An append that was under way lands in the copy, and nothing
 * more. */
static void journal_forgotten_under_load(void **state)
{
    testbed_t *bed = *state;
    outage_t *outage = outage_start(bed, NULL);
    MYSQL *administrator = copy_journal(outage);
    while (!put_journal_back(outage, administrator)) {
    }
    mysql_close(administrator);
    expect_loud_end(outage);
    int64_t behind = testbed_query_number(
        bed,
        "SELECT COALESCE(MAX(entries), 0) FROM (SELECT COUNT(*) AS entries FROM journal j LEFT "
        "JOIN journal_copy c ON c.lane = j.lane AND c.number = j.number WHERE c.lane IS NULL "
        "GROUP BY j.lane) lanes");
    assert_in_range(behind, 0, 1);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"killed", killed, TESTBED_MYSQL},
        {"restarted", restarted, TESTBED_MYSQL},
        {"frozen_briefly", frozen_briefly, TESTBED_MYSQL},
        {"test_sh_42_frozen_long", test_sh_42_frozen_long, TESTBED_MYSQL},
        {"frozen_with_standby", frozen_with_standby, TESTBED_MYSQL},
        {"killed_with_standby", killed_with_standby, TESTBED_MYSQL},
        {"read_only", read_only, TESTBED_MYSQL},
        {"insert_revoked", insert_revoked, TESTBED_MYSQL},
        {"connections_killed", connections_killed, TESTBED_MYSQL},
        {"connections_exhausted", connections_exhausted, TESTBED_MYSQL},
        {"commits_forgotten", commits_forgotten, TESTBED_MYSQL},
        {"broker_forgotten", broker_forgotten, TESTBED_MYSQL},
        {"journal_forgotten", journal_forgotten, TESTBED_MYSQL},
        {"journal_forgotten_under_load", journal_forgotten_under_load, TESTBED_MYSQL},
    };
    return testbed_run("database", tests, sizeof tests / sizeof tests[0]);
}
