/* Several brokers share the lanes. Brokers and workers join, drain and are replaced under load: no
 * call fails, volatile ones neither, and each lane and shard is served elsewhere soon. What happens
 * when brokers die is tests/faults/broker_loss_test.c. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/workload.h"
#include "tests/harness/lane_watch.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"

enum {
    BROKERS = 3,
    WORKERS = 3,
    WAIT_MAX_MS = 90000,
    PAUSE_MS_MAX = 500, /* of a lane or a shard that is handed over */
    RATE = 400,
    CALM_MS = 500,
    HELD = 24,
    HELD_MS = 1000
};

/* Programs that a sanitizer watches are several times as slow, which the machine is not. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 5 };
#else
enum { SLOWER = 1 };
#endif

static lane_watch_t *watch;

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

static void wait_until_it_holds(testbed_t *bed, uint32_t number, int64_t lanes)
{
    spread_t spread = {bed, number, lanes};
    testbed_wait_until(bed, holds, &spread, "a broker to hold its share of the lanes");
}

static void start(testbed_t *bed, uint32_t workers, lane_watch_scope_t scope)
{
    machine_measure();
    testbed_start_brokers(bed, BROKERS, workers);
    watch = lane_watch_start(bed, scope);
    testbed_pause(CALM_MS);
    lane_watch_mark(watch);
}

static void end(testbed_t *bed)
{
    testbed_pause(CALM_MS);
    lane_watch_expect_none_failed(watch, true);
    lane_watch_expect_none_failed(watch, false);
    lane_watch_end(&watch);
    testbed_wait_drained(bed);
}

static void assert_pauses(const char *what, lane_watch_scope_t scope, uint32_t most_ms)
{
    uint32_t volatile_ms = lane_watch_gap_ms(watch, scope, false);
    uint32_t durable_ms = lane_watch_gap_ms(watch, scope, true);
    print_message("%s: a %s did not answer for at most %u ms, for volatile calls %u ms\n", what,
                  scope == LANE_WATCH_LANES ? "lane" : "shard", durable_ms, volatile_ms);
    assert_in_range(durable_ms, 0, SLOWER * machine_scaled(most_ms));
    assert_in_range(volatile_ms, 0, SLOWER * machine_scaled(most_ms));
}

/* Its exit code must be 0. */
static void wait_for_the_end(testbed_t *bed, process_t *process)
{
    reason_t reason = {{0}};
    if (process_wait(process, WAIT_MAX_MS, &reason) != FABRIC_OK) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s", reason.text);
    }
}

static void terminate(testbed_t *bed, process_t *process)
{
    assert_int_equal(kill(process->pid, SIGTERM), 0);
    wait_for_the_end(bed, process);
}

/* ---- tests ---- */

static void lanes_are_spread_over_brokers(void **state)
{
    testbed_t *bed = *state;
    start(bed, 2, LANE_WATCH_LANES);
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
    start(bed, 2, LANE_WATCH_LANES);
    testbed_add_broker(bed);
    wait_until_it_holds(bed, BROKERS, TESTBED_LANES / (BROKERS + 1));
    testbed_pause(CALM_MS);
    assert_pauses("a broker joins", LANE_WATCH_LANES, PAUSE_MS_MAX);
    testbed_wait_spread(bed);
    end(bed);
}

/* Each broker, also the holder of the term, and with it its lanes; then each worker, and with it
 * its shards. */
static void all_are_restarted_one_after_the_other(void **state)
{
    testbed_t *bed = *state;
    start(bed, WORKERS, LANE_WATCH_SHARDS);
    for (uint32_t i = 0; i < BROKERS; i++) {
        terminate(bed, &bed->cluster.brokers[i]);
        testbed_pause(CALM_MS);
        testbed_restart_number(bed, i);
        wait_until_it_holds(bed, i, TESTBED_LANES / BROKERS);
    }
    testbed_pause(CALM_MS);
    assert_pauses("a rolling restart of brokers", LANE_WATCH_LANES, PAUSE_MS_MAX);
    assert_pauses("a rolling restart of brokers", LANE_WATCH_SHARDS, PAUSE_MS_MAX);
    lane_watch_mark(watch);
    for (uint32_t i = 0; i < WORKERS; i++) {
        terminate(bed, &bed->cluster.workers[i]);
        testbed_restart_worker(bed, i);
        testbed_wait_ready(bed, WORKERS);
    }
    testbed_pause(CALM_MS);
    assert_pauses("a rolling restart of workers", LANE_WATCH_LANES, PAUSE_MS_MAX);
    assert_pauses("a rolling restart of workers", LANE_WATCH_SHARDS, PAUSE_MS_MAX);
    end(bed);
}

/* ---- handlers that run meanwhile ---- */

static struct {
    uint32_t ended;
    char failure[300];
} held;

static void held_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context;
    (void)payload;
    held.ended++;
    if (outcome->error) {
        snprintf(held.failure, sizeof held.failure, "%s: %.200s", fabric_error_name(outcome->error),
                 outcome->text);
    }
}

/* Calls all over the lanes, half of them volatile, whose handlers wait for the gate. */
static void start_held(testbed_t *bed, const char *gate)
{
    probe_text_t request = {""};
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    size_t started = 0;
    snprintf(request.text, sizeof request.text, "%s", gate);
    for (uint32_t i = 0; i < HELD; i++) {
        char id[32];
        snprintf(id, sizeof id, "%s-%u", gate, i);
        fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                              .message = i % 2 == 0 ? &probe_hold : &probe_volatile_hold,
                              .request = &request,
                              .timeout_ms = WAIT_MAX_MS};
        assert_int_equal(fabric_client_start(bed->client, &call, held_ended, NULL, NULL),
                         FABRIC_OK);
    }
    held.ended = 0;
    while (started < HELD) {
        probe_starts_t starts = probe_starts_read(bed->folder);
        started = 0;
        for (size_t i = 0; i < starts.count; i++) {
            started += strncmp(starts.items[i].id, gate, strlen(gate)) == 0;
        }
        probe_starts_free(&starts);
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "handlers to start");
    }
    assert_int_equal(held.ended, 0);
}

/* The handlers run for a while after the signal, for less time than a process may take to end. */
static void terminate_while_held(testbed_t *bed, process_t *process, const char *gate)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    start_held(bed, gate);
    assert_int_equal(kill(process->pid, SIGTERM), 0);
    testbed_pause(HELD_MS);
    assert_true(process_runs(process));
    testbed_open_gate(bed, gate);
    while (held.ended < HELD) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the ends of calls");
    }
    assert_string_equal(held.failure, "");
    wait_for_the_end(bed, process);
}

static void handlers_that_run_finish(void **state)
{
    testbed_t *bed = *state;
    testbed_start_brokers(bed, 2, 2);
    terminate_while_held(bed, &bed->cluster.brokers[0], "broker");
    terminate_while_held(bed, &bed->cluster.workers[0], "worker");
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
    wait_for_the_end(bed, &bed->cluster.brokers[0]);
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
        {"all_are_restarted_one_after_the_other", all_are_restarted_one_after_the_other,
         TESTBED_MYSQL},
        {"handlers_that_run_finish", handlers_that_run_finish, TESTBED_MYSQL},
        {"nothing_is_lost_whatever_brokers_do", nothing_is_lost_whatever_brokers_do, TESTBED_MYSQL},
    };
    return testbed_run("brokers", tests, sizeof tests / sizeof tests[0]);
}
