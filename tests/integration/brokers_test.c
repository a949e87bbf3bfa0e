/* Several brokers share the lanes. Brokers join, drain and die under load: no durable call fails,
 * no volatile one does while a broker drains, and each lane is served elsewhere soon. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/workload.h"
#include "tests/harness/lane_watch.h"
#include "tests/harness/machine.h"

enum {
    BROKERS = 3,
    WAIT_MAX_MS = 90000,
    PAUSE_MS_MAX = 500,   /* of a lane that is handed over */
    SERVED_MS_MAX = 1000, /* from a kill to the first reply of each lane */
    RATE = 400,
    CALM_MS = 1000
};

/* Programs that a sanitizer watches are several times as slow, which the machine is not. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 5 };
#else
enum { SLOWER = 1 };
#endif

static lane_watch_t watch;

typedef struct spread {
    testbed_t *bed;
    uint32_t number; /* of the broker that is meant */
    int64_t lanes;   /* that it is to hold; -1: it is to be no member */
} spread_t;

static bool holds(void *context)
{
    const spread_t *spread = context;
    char incarnation[33];
    return testbed_lanes_held(spread->bed, spread->bed->cluster.broker_urls[spread->number],
                              incarnation) == spread->lanes;
}

/* Runs load and watch until the broker holds so many lanes. */
static void run_until_it_holds(testbed_t *bed, uint32_t number, int64_t lanes)
{
    spread_t spread = {bed, number, lanes};
    if (!lane_watch_until(&watch, holds, &spread, WAIT_MAX_MS)) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("waited in vain for broker %u to hold %lld lanes", number, (long long)lanes);
    }
}

static void start(testbed_t *bed)
{
    machine_measure();
    testbed_start_brokers(bed, BROKERS, 2);
    lane_watch_start(&watch, bed);
    lane_watch_run(&watch, CALM_MS);
    lane_watch_mark(&watch);
}

static void end(testbed_t *bed)
{
    lane_watch_run(&watch, CALM_MS);
    lane_watch_end(&watch);
    assert_string_equal(watch.failure, "");
    testbed_wait_drained(bed);
}

static void print_gaps(const char *what)
{
    print_message("%s: a lane did not answer for at most %u ms, for volatile calls %u ms\n", what,
                  lane_watch_gap_ms(&watch, true), lane_watch_gap_ms(&watch, false));
}

static void assert_pauses(const char *what, uint32_t most_ms)
{
    print_gaps(what);
    assert_in_range(lane_watch_gap_ms(&watch, true), 0, SLOWER * machine_scaled(most_ms));
    assert_in_range(lane_watch_gap_ms(&watch, false), 0, SLOWER * machine_scaled(most_ms));
}

static void wait_for_the_end(testbed_t *bed, uint32_t number)
{
    reason_t reason = {{0}};
    fabric_error_t error = process_wait(&bed->cluster.brokers[number], WAIT_MAX_MS, &reason);
    if (error) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("broker %u: %s", number, reason.text); /* its exit code is not 0 */
    }
}

/* ---- tests ---- */

static void lanes_are_spread_over_brokers(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    for (uint32_t i = 0; i < BROKERS; i++) {
        char incarnation[33];
        json_t *status = testbed_status_of(bed->cluster.broker_urls[i]);
        assert_string_equal(json_string_value(json_object_get(status, "state")), "serving");
        json_decref(status);
        assert_int_equal(testbed_lanes_held(bed, bed->cluster.broker_urls[i], incarnation),
                         TESTBED_LANES / BROKERS);
    }
    end(bed);
}

static void a_broker_joins(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    testbed_add_broker(bed);
    run_until_it_holds(bed, BROKERS, TESTBED_LANES / (BROKERS + 1));
    lane_watch_run(&watch, CALM_MS);
    assert_pauses("a broker joins", PAUSE_MS_MAX);
    testbed_wait_spread(bed);
    end(bed);
}

/* Each of them, also the holder of the term, and with it its lanes. */
static void brokers_are_restarted_one_after_the_other(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    for (uint32_t i = 0; i < BROKERS; i++) {
        assert_int_equal(kill(bed->cluster.brokers[i].pid, SIGTERM), 0);
        run_until_it_holds(bed, i, -1);
        wait_for_the_end(bed, i);
        lane_watch_run(&watch, CALM_MS);
        testbed_restart_number(bed, i);
        run_until_it_holds(bed, i, TESTBED_LANES / BROKERS);
    }
    assert_pauses("a rolling restart", PAUSE_MS_MAX);
    end(bed);
}

static void a_broker_is_killed(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    testbed_kill(&bed->cluster.brokers[1]);
    run_until_it_holds(bed, 1, -1);
    lane_watch_run(&watch, CALM_MS);
    print_gaps("a broker is killed");
    assert_in_range(lane_watch_gap_ms(&watch, true), 0, SLOWER * machine_scaled(SERVED_MS_MAX));
    testbed_restart_number(bed, 1);
    run_until_it_holds(bed, 1, TESTBED_LANES / BROKERS);
    lane_watch_run(&watch, CALM_MS);
    lane_watch_end(&watch);
    if (watch.failed[true] > 0) {
        fail_msg("%s", watch.failure);
    }
    testbed_wait_drained(bed);
}

/* The checker knows what each call has to end in, and what the journals have to hold. */
static void nothing_is_lost_whatever_brokers_do(void **state)
{
    testbed_t *bed = *state;
    workload_options_t options = {.rate = RATE, .seed = testbed_seed(), .timeout_ms = 20000};
    testbed_start_brokers(bed, BROKERS, 2);
    workload_t *load = workload_start(bed, &options);
    spread_t spread = {bed, BROKERS, TESTBED_LANES / (BROKERS + 1)};
    testbed_add_broker(bed);
    assert_true(workload_run_until(load, holds, &spread, WAIT_MAX_MS));
    assert_int_equal(kill(bed->cluster.brokers[0].pid, SIGTERM), 0);
    spread = (spread_t){bed, 0, -1};
    assert_true(workload_run_until(load, holds, &spread, WAIT_MAX_MS));
    wait_for_the_end(bed, 0);
    testbed_restart_number(bed, 0);
    workload_run(load, CALM_MS);
    testbed_kill(&bed->cluster.brokers[2]);
    spread = (spread_t){bed, 2, -1};
    assert_true(workload_run_until(load, holds, &spread, WAIT_MAX_MS));
    testbed_restart_number(bed, 2);
    workload_run(load, CALM_MS);
    assert_int_equal(workload_counts(load).failed, 0);
    workload_end_and_check(&load);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"lanes_are_spread_over_brokers", lanes_are_spread_over_brokers, TESTBED_MYSQL},
        {"a_broker_joins", a_broker_joins, TESTBED_MYSQL},
        {"brokers_are_restarted_one_after_the_other", brokers_are_restarted_one_after_the_other,
         TESTBED_MYSQL},
        {"a_broker_is_killed", a_broker_is_killed, TESTBED_MYSQL},
        {"nothing_is_lost_whatever_brokers_do", nothing_is_lost_whatever_brokers_do, TESTBED_MYSQL},
    };
    return testbed_run("brokers", tests, sizeof tests / sizeof tests[0]);
}
