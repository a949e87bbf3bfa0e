/* Many clients put into few persisted entities while workers and brokers are killed: when each call
 * whose end was unknown was settled under its call key, what the entities hold is the sum of what
 * their replies say, at their workers, at their homes and in the database.
 *
 * The handler leaves a byte for each of its runs. There must be more runs than replies, or nothing
 * was ever handled twice, and the sums prove nothing.
 *
 * FABRIC_FAULT_REPEAT=10 is the long form: 100 clients, and a kill every three seconds. */
#include <stdio.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/purse_crowd.h"
#include "tests/harness/testbed.h"

enum {
    BROKERS = 3,
    WORKERS = 2,
    KILLS = 3, /* unless FABRIC_FAULT_REPEAT says more */
    LONG_KILLS = 10,
    CLIENTS_SHORT = 32,
    CLIENTS_LONG = 100,
    SHORT_EACH_MS = 1200,
    LONG_EACH_MS = 3000,
    CALL_MS = 300 /* shorter than a takeover: then calls end as unknown */
};

static char runs_path[FOLDER_PATH_SIZE + 20];

static void start(testbed_t *bed)
{
    static char variable[sizeof runs_path + 20];
    static const char *const environment[] = {variable, NULL};
    snprintf(runs_path, sizeof runs_path, "%s/runs", bed->folder);
    snprintf(variable, sizeof variable, "PURSE_RUNS=%s", runs_path);
    bed->worker_environment = environment;
    testbed_start_brokers(bed, BROKERS, 0);
    bed->options.module = PURSE_MODULE;
    for (unsigned i = 0; i < WORKERS; i++) {
        testbed_add_worker(bed);
    }
    testbed_wait_ready(bed, WORKERS);
}

static void kill_one(testbed_t *bed, uint32_t kill)
{
    if (kill % 2 == 0) {
        uint32_t broker = kill / 2 % BROKERS;
        testbed_kill(&bed->cluster.brokers[broker]);
        testbed_restart_number(bed, broker);
    } else {
        uint32_t worker = kill / 2 % WORKERS;
        testbed_kill(&bed->cluster.workers[worker]);
        testbed_restart_worker(bed, worker);
    }
}

static uint64_t count_runs(void)
{
    struct stat status;
    return stat(runs_path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static void sums_are_those_of_the_replies(void **state)
{
    testbed_t *bed = *state;
    uint32_t kills = testbed_repeat(KILLS);
    bool is_long = kills >= LONG_KILLS;
    unsigned clients = is_long ? CLIENTS_LONG : CLIENTS_SHORT;
    start(bed);
    uint64_t begun_ms = clock_monotonic_ms();
    purse_crowd_t *crowd = purse_crowd_start(bed, clients, CALL_MS);
    for (uint32_t i = 0; i < kills; i++) {
        testbed_pause(is_long ? LONG_EACH_MS : SHORT_EACH_MS);
        kill_one(bed, i);
    }
    testbed_pause(SHORT_EACH_MS);
    uint64_t ran_ms = clock_monotonic_ms() - begun_ms;
    purse_crowd_counts_t counts = purse_crowd_end(crowd);
    uint64_t runs = count_runs();
    testbed_wait_ready(bed, WORKERS);
    purse_crowd_check(crowd, bed);
    print_message("sums: %u clients, %d entities, %llu kills in %.1f s: %llu replies, %llu runs of "
                  "the handler, %llu sendings with an unknown end, %llu calls settled under their "
                  "keys, %llu sendings certainly not accepted; all states are the sums\n",
                  clients, PURSE_CROWD_PURSES, (unsigned long long)kills, (double)ran_ms / 1000,
                  (unsigned long long)counts.calls, (unsigned long long)runs,
                  (unsigned long long)counts.unknown, (unsigned long long)counts.settled,
                  (unsigned long long)counts.refused);
    assert_in_range(runs, counts.calls + is_long, UINT64_MAX);
    assert_true(!is_long || counts.settled > 0);
    testbed_stop_processes(bed);
    /* rows against the journal */
    assert_in_range(table_count_read(bed, NULL).states, PURSE_CROWD_PURSES, UINT64_MAX);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"sums_are_those_of_the_replies", sums_are_those_of_the_replies, TESTBED_MYSQL},
    };
    return testbed_run("sums", tests, sizeof tests / sizeof tests[0]);
}
