/* One of two brokers is killed under load, again and again, at any moment of its checkpoints: the
 * other one, which finds that nothing listens at its endpoint any more, serves all lanes at most a
 * second later, long before the dead one's lease is over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/workload.h"
#include "tests/harness/machine.h"

enum {
    WAIT_MAX_MS = 90000,
    SERVED_MS_MAX = 1000, /* the promise */
    LEASE_MS = 3000,      /* the default */
    KILLS = 6,            /* unless FABRIC_FAULT_REPEAT says more */
    KILLS_MAX = 1000,
    RATE = 1000,
    RUN_MS = 1000, /* at most, between a takeover and the next kill: a checkpoint's interval */
    REPLIES_WANTED = 100,
    CHECKPOINT_EVERY = 3,      /* of so many kills, one waits for a checkpoint */
    CHECKPOINT_WAIT_MS = 30000 /* short slices are seen seldom */
};

typedef struct watch {
    testbed_t *bed;
    const workload_t *load;
    const char *endpoint;
    uint64_t replied;
    bool seen;
} watch_t;

/* The next kill finds the lanes at both brokers again. */
static bool holds_its_share(void *context)
{
    const watch_t *watch = context;
    char incarnation[33];
    return testbed_lanes_held(watch->bed, watch->endpoint, incarnation) == TESTBED_LANES / 2;
}

static bool serves(void *context)
{
    const watch_t *watch = context;
    char incarnation[33];
    return workload_counts(watch->load).replied >= watch->replied + REPLIES_WANTED &&
           testbed_lanes_held(watch->bed, watch->endpoint, incarnation) == TESTBED_LANES;
}

/* Id, User, Host, db, Command, Time, State, Info */
static void look_for_slice(void *context, const fabric_bytes_t *columns)
{
    static const char *const beginnings[] = {"INSERT INTO pending", "DELETE FROM pending",
                                             "UPDATE checkpoint"};
    watch_t *watch = context;
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        size_t size = strlen(beginnings[i]);
        watch->seen = watch->seen ||
                      (columns[7].size > size && memcmp(columns[7].data, beginnings[i], size) == 0);
    }
}

static bool is_in_checkpoint(void *context)
{
    watch_t *watch = context;
    testbed_query_rows(watch->bed, "SHOW PROCESSLIST", look_for_slice, watch);
    return watch->seen;
}

static void wait_until(workload_t *load, bool (*done)(void *context), watch_t *watch,
                       const char *missing)
{
    if (!workload_run_until(load, done, watch, WAIT_MAX_MS)) {
        cluster_print_logs(&watch->bed->cluster, stderr);
        fail_msg("waited in vain for %s", missing);
    }
}

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Returns for how long no durable ask was answered. */
static uint32_t kill_home(testbed_t *bed, workload_t *load, bool first)
{
    watch_t taken = {.bed = bed,
                     .load = load,
                     .endpoint = first ? bed->cluster.standby_url : bed->cluster.url,
                     .replied = workload_counts(load).replied};
    watch_t back = {.bed = bed, .endpoint = first ? bed->cluster.url : bed->cluster.standby_url};
    workload_mark(load);
    testbed_kill(first ? &bed->cluster.broker : &bed->cluster.standby);
    wait_until(load, serves, &taken, "the takeover");
    uint32_t gap_ms = workload_gap_ms(load);
    if (first) {
        testbed_restart_broker(bed);
    } else {
        testbed_restart_standby(bed);
    }
    wait_until(load, holds_its_share, &back, "the lanes of the next incarnation");
    return gap_ms;
}

static void all_lanes_are_served_soon_after_a_kill(void **state)
{
    testbed_t *bed = *state;
    char lease[16];
    const char *const arguments[] = {"--lease-ms", lease, NULL};
    static uint32_t gaps_ms[KILLS_MAX];
    workload_options_t options = {.rate = RATE, .seed = testbed_seed()};
    uint32_t kills = testbed_repeat(KILLS);
    uint32_t in_checkpoints = 0;
    kills = kills < KILLS_MAX ? kills : KILLS_MAX;
    machine_measure();
    /* On a slow machine, too, the wait for a lease is to be longer than a takeover without one. */
    uint32_t lease_ms = (uint32_t)machine_scaled(LEASE_MS);
    snprintf(lease, sizeof lease, "%u", (unsigned)lease_ms);
    bed->broker_arguments = arguments;
    testbed_start_brokers(bed, 2, 2);
    workload_t *load = workload_start(bed, &options);
    srand((unsigned)options.seed);
    for (uint32_t i = 0; i < kills; i++) {
        watch_t watch = {.bed = bed};
        workload_run(load, (uint32_t)rand() % RUN_MS);
        if (i % CHECKPOINT_EVERY == 0) {
            in_checkpoints +=
                workload_run_until(load, is_in_checkpoint, &watch, CHECKPOINT_WAIT_MS);
        }
        gaps_ms[i] = kill_home(bed, load, i % 2 == 0);
        print_message("kill %u: no reply for %u ms\n", i + 1, gaps_ms[i]);
    }
    qsort(gaps_ms, kills, sizeof gaps_ms[0], compare_numbers);
    print_message("%u kills, %u of them seen in a checkpoint; no reply for at least %u, median %u, "
                  "90 %% %u, worst %u ms\n",
                  kills, in_checkpoints, gaps_ms[0], gaps_ms[kills / 2], gaps_ms[kills * 9 / 10],
                  gaps_ms[kills - 1]);
    assert_true(in_checkpoints > 0);
    assert_in_range(gaps_ms[kills - 1], 0, machine_scaled(SERVED_MS_MAX));
    assert_in_range(gaps_ms[kills / 2], 0, lease_ms / 2); /* it has not waited for the lease */
    workload_end_and_check(&load);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"all_lanes_are_served_soon_after_a_kill", all_lanes_are_served_soon_after_a_kill,
         TESTBED_MYSQL},
    };
    return testbed_run("takeover", tests, sizeof tests / sizeof tests[0]);
}
