/* Processes are killed under load again and again, and the checker gives its verdict. */
#include <stdio.h>

#include "core/clock.h"
#include "tests/checker/workload.h"

enum {
    WAIT_MAX_MS = 90000,
    RUN_MS = 600,
    WORK_US = 2000, /* a kill finds handlers at work */
    RATE = 1500,
    REPLIES_WANTED = 100
};

typedef struct watch {
    testbed_t *bed;
    const workload_t *load;
    uint64_t replied;
    const char *endpoint;
} watch_t;

static bool replies_again(void *context)
{
    const watch_t *watch = context;
    return workload_counts(watch->load).replied >= watch->replied + REPLIES_WANTED;
}

/* Runs the load until replies come again without delay. Returns how long none came. */
static void run_on(testbed_t *bed, workload_t *load, const char *what)
{
    watch_t watch = {.bed = bed, .load = load, .replied = workload_counts(load).replied};
    if (!workload_run_until(load, replies_again, &watch, WAIT_MAX_MS)) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("no more replies after %s", what);
    }
    print_message("%s: no reply for %u ms\n", what, workload_gap_ms(load));
    workload_run(load, RUN_MS);
}

static workload_t *start_load(testbed_t *bed)
{
    workload_options_t options = {
        .rate = RATE, .padding_max = PADDING_BYTES_MAX, .seed = testbed_seed()};
    workload_t *load = workload_start(bed, &options);
    workload_run(load, RUN_MS);
    return load;
}

static void killed_worker(void **state)
{
    testbed_t *bed = *state;
    bed->work_us = WORK_US;
    testbed_start(bed, 2);
    workload_t *load = start_load(bed);
    uint32_t rounds = testbed_repeat(4);
    for (uint32_t i = 0; i < rounds && i + 2 < CLUSTER_WORKERS_MAX; i++) {
        process_t *worker = &bed->cluster.workers[i];
        workload_mark(load);
        testbed_kill(worker);
        testbed_add_worker(bed);
        run_on(bed, load, "killed worker");
    }
    workload_end_and_check(&load);
}

static void killed_broker(void **state)
{
    testbed_t *bed = *state;
    bed->work_us = WORK_US;
    testbed_start(bed, 2);
    workload_t *load = start_load(bed);
    uint32_t rounds = testbed_repeat(4);
    for (uint32_t i = 0; i < rounds; i++) {
        workload_mark(load);
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
        run_on(bed, load, "killed broker");
    }
    workload_end_and_check(&load);
}

static bool holds_the_lane(void *context)
{
    const watch_t *watch = context;
    char incarnation[33];
    return testbed_lanes_held(watch->bed, watch->endpoint, incarnation) == 1;
}

/* The home dies and its standby takes over; the next incarnation of the first stands by. */
static void killed_home(void **state)
{
    testbed_t *bed = *state;
    watch_t watch = {.bed = bed};
    bed->work_us = WORK_US;
    testbed_start_pair(bed, 2);
    workload_t *load = start_load(bed);
    uint32_t rounds = testbed_repeat(2);
    for (uint32_t i = 0; i < rounds; i++) {
        bool first = i % 2 == 0;
        workload_mark(load);
        testbed_kill(first ? &bed->cluster.broker : &bed->cluster.standby);
        watch.endpoint = first ? bed->cluster.standby_url : bed->cluster.url;
        if (!workload_run_until(load, holds_the_lane, &watch, WAIT_MAX_MS)) {
            fail_msg("the standby does not take over");
        }
        run_on(bed, load, "killed home");
        if (first) {
            testbed_restart_broker(bed);
        } else {
            testbed_restart_standby(bed);
        }
        workload_run(load, RUN_MS);
    }
    workload_end_and_check(&load);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"killed_worker", killed_worker, TESTBED_BOTH},
        {"killed_broker", killed_broker, TESTBED_BOTH},
        {"killed_home", killed_home, TESTBED_MYSQL},
    };
    return testbed_run("kill", tests, sizeof tests / sizeof tests[0]);
}
