/* Health means progress: real processes that are connected and do not get on say so. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/mariadb.h"

enum { WAIT_MAX_MS = 90000, ASK_MS = 5000, SHARDS = 300 };

static invocation_t invocation;

static fabric_health_t ask(testbed_t *bed, uint32_t timeout_ms)
{
    static fabric_health_t health;
    fabric_outcome_t outcome = {0};
    if (fabric_client_health(bed->client, timeout_ms, &health, &outcome)) {
        fail_msg("%s: %s", fabric_error_name(outcome.error), outcome.text);
    }
    return health;
}

/* Whether some reason contains the words. */
static bool says(const fabric_health_t *health, const char *words)
{
    for (uint32_t i = 0; i < health->reason_count && i < FABRIC_HEALTH_REASONS_MAX; i++) {
        if (strstr(health->reasons[i], words)) {
            return true;
        }
    }
    return false;
}

/* Waits until the cluster is not healthy for this reason, or, with NULL, is healthy. */
static fabric_health_t wait_for(testbed_t *bed, const char *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    for (;;) {
        fabric_health_t health = ask(bed, ASK_MS);
        if (reason ? says(&health, reason) : health.healthy) {
            return health;
        }
        if (clock_monotonic_ms() >= deadline_ms) {
            fail_msg("waited for '%s'; healthy %d, %u reasons: %s", reason ? reason : "health",
                     health.healthy, health.reason_count, health.reasons[0]);
        }
        testbed_poll(UINT64_MAX, "health");
    }
}

/* Runs `fabricctl status` with one option more against this broker. */
static int run_status(testbed_t *bed, const char *url, const char *option)
{
    const char *const arguments[] = {"fabricctl",    "status", "--url", url,
                                     "--timeout-ms", "3000",   option,  NULL};
    invocation_run(bed, arguments, NULL, &invocation);
    return invocation.status;
}

/* ---- a cluster that is well ---- */

static void one_broker_is_healthy(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 1);
    fabric_health_t health = wait_for(bed, NULL);
    assert_int_equal(health.brokers, 1);
    assert_int_equal(health.brokers_answering, 1);
    assert_int_equal(health.runners, 1);
    assert_int_equal(health.runners_healthy, 1);
    assert_int_equal(health.lanes_served, health.lanes);
    assert_true(health.types >= 1);
    assert_int_equal(health.shards, health.types * SHARDS);
    assert_int_equal(health.shards_served, health.shards);
    assert_int_equal(health.oldest_pending_ms, 0);
    assert_false(health.fenced);
    assert_int_equal(run_status(bed, bed->cluster.url, "--check"), 0);
    assert_non_null(strstr(invocation.output, " is healthy\n"));
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    (void)wait_for(bed, "there is no runner: start a worker");
    assert_int_equal(run_status(bed, bed->cluster.url, "--check"), 1);
    assert_int_equal(run_status(bed, bed->cluster.url, NULL), 0);
    assert_non_null(strstr(invocation.output, " is NOT healthy:\n  - there is no runner: start"));
}

/* ---- a handler that does not return ---- */

static void start_append(testbed_t *bed, const char *id, fabric_completion_fn *ended)
{
    static const probe_number_t number = {1};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &probe_append,
                          .request = &number,
                          .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_start(bed->client, &call, ended, NULL, NULL), FABRIC_OK);
}

static void ignore_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context;
    (void)outcome;
    (void)payload;
}

static void a_handler_that_does_not_return_makes_its_runner_stuck(void **state)
{
    static const char *const arguments[] = {"--stuck-ms", "1000", "--executors", "2", NULL};
    testbed_t *bed = *state;
    bed->worker_arguments = arguments;
    bed->work_us = 10000000;
    testbed_start(bed, 1);
    (void)wait_for(bed, NULL);
    start_append(bed, "blocked", ignore_end);
    fabric_health_t health = wait_for(bed, "is stuck: 1 of its 2 executors");
    assert_int_equal(health.runners, 1);
    assert_int_equal(health.runners_healthy, 0);
    assert_int_equal(health.runners_stuck, 1);
    assert_int_equal(health.pending, 1);
    assert_true(testbed_count_events(bed, "broker.log", "runner.stuck") > 0);
    assert_true(testbed_count_events(bed, "worker-0.log", "worker.stuck") > 0);
    (void)wait_for(bed, NULL); /* the handler returns in the end */
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_count_events(bed, "broker.log", "runner.recovered") == 0 ||
           testbed_count_events(bed, "worker-0.log", "worker.recovered") == 0) {
        testbed_poll(deadline_ms, "the logs to say so");
    }
    assert_int_equal(testbed_count_events(bed, "broker.log", "runner.stuck"), 1);
    assert_int_equal(testbed_count_events(bed, "broker.log", "runner.recovered"), 1);
    assert_int_equal(testbed_count_events(bed, "worker-0.log", "worker.recovered"), 1);
}

/* ---- a database that does not answer ---- */

/* Also when the test has failed. */
static void thaw_server(void *context)
{
    (void)context;
    (void)kill(mariadb_own()->process.pid, SIGCONT);
}

/* The broker takes a message while its lease holds, and waits for the server longer than that. */
static void a_frozen_database_makes_lanes_stuck(void **state)
{
    static const char *const arguments[] = {"--lease-ms", "3000", "--io-timeout-ms", "60000", NULL};
    testbed_t *bed = *state;
    if (!mariadb_own()) {
        testbed_skip(bed, "the server is not the test's own");
    }
    bed->broker_arguments = arguments;
    testbed_start(bed, 1);
    (void)wait_for(bed, NULL);
    bed->at_end = thaw_server;
    assert_int_equal(kill(mariadb_own()->process.pid, SIGSTOP), 0);
    for (int i = 0; i < 64; i++) {
        char id[32];
        snprintf(id, sizeof id, "frozen-%d", i);
        start_append(bed, id, ignore_end);
    }
    fabric_health_t health = wait_for(bed, "is stuck: an append has waited for ");
    assert_true(health.lanes_stuck > 0);
    assert_true(health.pending > 0);
    assert_true(health.oldest_pending_ms > 0);
    health = wait_for(bed, "the database has not confirmed its lease in time");
    assert_int_equal(health.shards_served, 0);
    assert_int_equal(run_status(bed, bed->cluster.url, "--check"), 1);
    assert_non_null(strstr(invocation.output, " is stuck: an append has waited for "));
    thaw_server(NULL);
    (void)wait_for(bed, NULL);
}

/* ---- a broker that does not answer ---- */

/* The others wait for the frozen broker's lease, which is a long one. */
static void a_frozen_broker_is_named_in_time(void **state)
{
    static const char *const arguments[] = {"--lease-ms", "30000", NULL};
    testbed_t *bed = *state;
    bed->broker_arguments = arguments;
    testbed_start_brokers(bed, 3, 1);
    fabric_health_t health = wait_for(bed, NULL);
    assert_int_equal(health.brokers, 3);
    assert_int_equal(health.brokers_answering, 3);
    assert_int_equal(health.shards_served, health.shards);
    for (uint32_t i = 0; i < 3; i++) {
        testbed_freeze(&bed->cluster.brokers[i]);
        uint64_t begun_ms = clock_monotonic_ms();
        health = ask(bed, 3000); /* a tenth of the lease */
        assert_in_range(clock_monotonic_ms() - begun_ms, 0, 3000 + 7000);
        assert_int_equal(health.brokers, 3);
        assert_int_equal(health.brokers_answering, 2);
        assert_int_equal(health.silent_count, 1);
        assert_non_null(strstr(health.silent[0], bed->cluster.broker_urls[i]));
        assert_true(says(&health, " does not answer: "));
        assert_in_range(health.shards_unserved, 1, health.shards - 1);
        assert_int_equal(run_status(bed, bed->cluster.broker_urls[(i + 1) % 3], "--check"), 1);
        assert_non_null(strstr(invocation.output, bed->cluster.broker_urls[i]));
        assert_non_null(strstr(invocation.output, " does not answer: "));
        testbed_thaw(&bed->cluster.brokers[i]);
        (void)wait_for(bed, NULL);
    }
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"one_broker_is_healthy", one_broker_is_healthy, TESTBED_BOTH},
        {"a_handler_that_does_not_return_makes_its_runner_stuck",
         a_handler_that_does_not_return_makes_its_runner_stuck, TESTBED_SQLITE},
        {"a_frozen_database_makes_lanes_stuck", a_frozen_database_makes_lanes_stuck, TESTBED_MYSQL},
        {"a_frozen_broker_is_named_in_time", a_frozen_broker_is_named_in_time, TESTBED_MYSQL},
    };
    return testbed_run("health", tests, sizeof tests / sizeof tests[0]);
}
