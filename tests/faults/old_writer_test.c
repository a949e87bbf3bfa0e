/* Homes that have lost their lanes, or given them up, write nothing more. One is frozen until
 * another broker has its lanes and everything that the home has written is purged. The other one is
 * told to stop while its appends wait for a lock. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/late_append.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum { ENTITIES = 64, INFLIGHT = 128, CALLS = 500, POLL_CALLS = 50, WAIT_MAX_MS = 90000 };

/* In static memory: calls may end after the test has failed, when the client is closed. */
static probe_load_t load;

/* How many entries are there that the incarnation wrote when it held their lanes. */
static int64_t count_entries(testbed_t *bed, const char *incarnation)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT COUNT(*) FROM journal WHERE adopt = 0 AND incarnation = X'%s'", incarnation);
    return testbed_query_number(bed, sql);
}

static void run_for(void *context, uint32_t ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + ms;
    while (clock_monotonic_ms() < deadline_ms) {
        probe_load_step(context, 5);
    }
}

static void run_until_purged(testbed_t *bed, const char *incarnation)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (count_entries(bed, incarnation) > 0) {
        probe_load_run(&load, POLL_CALLS);
        testbed_poll(deadline_ms, "the purge of the frozen home's entries");
    }
}

/* Until the thawed broker stands by as another incarnation. */
static void run_until_it_stands_by(testbed_t *bed, const char *incarnation)
{
    char now[33];
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_lanes_held(bed, bed->cluster.url, now) != 0 || strcmp(now, incarnation) == 0) {
        probe_load_run(&load, POLL_CALLS);
        testbed_poll(deadline_ms, "the thawed broker's next incarnation");
    }
}

static void a_home_that_wakes_after_its_entries_were_purged_changes_nothing(void **state)
{
    static const char *const arguments[] = {"--call-retention-ms", "1000", NULL};
    testbed_t *bed = *state;
    char incarnation[33];
    bed->broker_arguments = arguments;
    testbed_start_pair(bed, 2);
    load = (probe_load_t){
        .client = bed->client, .prefix = "old", .entities = ENTITIES, .inflight = INFLIGHT};
    probe_load_run(&load, CALLS);
    assert_int_equal(testbed_lanes_held(bed, bed->cluster.url, incarnation), 1);
    assert_true(count_entries(bed, incarnation) > 0);
    (void)late_append_freeze(bed, &bed->cluster.broker, run_for, &load);
    probe_load_run(&load, CALLS);
    run_until_purged(bed, incarnation);
    unsigned fenced = late_append_thaw(bed, &bed->cluster.broker, "broker.log", run_for, &load);
    run_until_it_stands_by(bed, incarnation);
    probe_load_end(&load);
    testbed_wait_drained(bed);
    assert_int_equal(count_entries(bed, incarnation), 0);
    print_message("%u of its appends were fenced\n", fenced);
    assert_true(fenced > 0); /* else the run proves nothing */
    probe_starts_t starts = probe_starts_read(bed->folder);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
}

#define ENTRIES                                                                                    \
    "SELECT SUM(number) FROM (SELECT MAX(number) AS number FROM journal GROUP BY lane) AS lanes"
#define LANES_HELD "SELECT COUNT(*) FROM lane WHERE holder <> REPEAT(X'00', 16)"

/* The broker gives up its lanes at the end of its drain time, while appends of its wait. */
static void stop_in_append(testbed_t *bed)
{
    testbed_lock_t *journals = late_append_lock(bed, run_for, &load);
    assert_int_equal(kill(bed->cluster.broker.pid, SIGTERM), 0);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_query_number(bed, LANES_HELD) > 0) {
        testbed_poll(deadline_ms, "the end of all holds");
    }
    int64_t entries = testbed_query_number(bed, ENTRIES);
    testbed_unlock(&journals);
    reason_t reason = {{0}};
    assert_int_equal(process_wait(&bed->cluster.broker, WAIT_MAX_MS, &reason), FABRIC_OK);
    assert_int_equal(testbed_query_number(bed, ENTRIES), entries);
}

static void a_home_that_has_left_writes_nothing(void **state)
{
    static const char *const arguments[] = {"--drain-ms", "100", NULL};
    testbed_t *bed = *state;
    bed->broker_arguments = arguments;
    testbed_start(bed, 1);
    load = (probe_load_t){
        .client = bed->client, .prefix = "old", .entities = ENTITIES, .inflight = INFLIGHT};
    probe_load_run(&load, CALLS);
    stop_in_append(bed);
    testbed_restart_broker(bed);
    probe_load_end(&load);
    testbed_wait_drained(bed);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_home_that_wakes_after_its_entries_were_purged_changes_nothing",
         a_home_that_wakes_after_its_entries_were_purged_changes_nothing, TESTBED_MYSQL},
        {"a_home_that_has_left_writes_nothing", a_home_that_has_left_writes_nothing, TESTBED_MYSQL},
    };
    return testbed_run("old writers", tests, sizeof tests / sizeof tests[0]);
}
