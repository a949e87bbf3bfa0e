/* Processes that are frozen for longer than the lease and then go on: others take their place in
 * time, and what the thawed processes still do has no effect. */
#include <signal.h>
#include <stdio.h>

#include "core/clock.h"
#include "tests/checker/history.h"
#include "tests/harness/late_append.h"
#include "tests/harness/machine.h"
#include "tests/harness/proxy.h"
#include "tests/checker/workload.h"

enum {
    SHARDS = 300,
    LEASE_MS = 3000,    /* the default */
    TAKEOVER_MS = 1000, /* after that, as promised */
    MARGIN_MS = 500,    /* beyond it, until a thaw */
    WAIT_MAX_MS = 90000,
    WARM_MS = 500,
    FRAMES_BYTES = 300,   /* more than the next heartbeat */
    ENTITIES_MAX = 24,    /* of the workload */
    WORK_US = 5000,       /* more load than the workers can bear: a freeze hits handlers at work */
    OVERDUE_US = 1500000, /* far beyond the grace and the slack that a broker adds */
    POLL_EVERY_MS = 50
};

static uint32_t takeover_ms_max(void)
{
    return LEASE_MS + (uint32_t)machine_scaled(TAKEOVER_MS);
}

/* A condition that is checked now and then while the load runs. */
typedef struct watch {
    testbed_t *bed;
    const process_t *process;
    const char *endpoint;
    const char *log;
    uint64_t count;
    uint64_t next_ms;
    char incarnation[33];
} watch_t;

static bool is_time(watch_t *watch)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms < watch->next_ms) {
        return false;
    }
    watch->next_ms = now_ms + POLL_EVERY_MS;
    return true;
}

static void run_until(workload_t *load, bool (*done)(void *context), watch_t *watch,
                      const char *missing)
{
    watch->next_ms = 0;
    if (!workload_run_until(load, done, watch, WAIT_MAX_MS)) {
        cluster_print_logs(&watch->bed->cluster, stderr);
        fail_msg("waited in vain for %s", missing);
    }
}

/* ---- workers ---- */

static bool refused_more(void *context)
{
    watch_t *watch = context;
    return is_time(watch) && testbed_counter(watch->bed->client, "results_refused") > watch->count;
}

static bool has_its_share(void *context)
{
    watch_t *watch = context;
    return is_time(watch) && testbed_shards_owned(watch->bed, watch->process) == SHARDS / 2;
}

static bool is_of(const history_record_t *record, const process_t *process)
{
    return (record->execution.process & 0xffffff) == (uint64_t)process_child(process);
}

/* From the last sign of life to the first handler, elsewhere, of an entity that the frozen worker
 * ran last; 0: there was none. */
static uint64_t takeover_us(testbed_t *bed, const process_t *frozen, uint64_t frozen_us)
{
    bool was_its[ENTITIES_MAX + 1] = {false};
    uint64_t taken_us = 0;
    history_t history = history_read(bed->folder);
    for (size_t i = 0; i < history.count && taken_us == 0; i++) {
        const history_record_t *record = &history.records[i];
        if (record->kind != HISTORY_START) {
            continue;
        }
        assert_in_range(record->entity, 1, ENTITIES_MAX);
        if (record->at_us <= frozen_us) {
            was_its[record->entity] = is_of(record, frozen);
        } else if (was_its[record->entity] && !is_of(record, frozen)) {
            taken_us = record->at_us - frozen_us;
        }
    }
    history_free(&history);
    return taken_us;
}

static size_t count_ends(testbed_t *bed, const process_t *worker, uint64_t since_us)
{
    size_t count = 0;
    history_t history = history_read(bed->folder);
    for (size_t i = 0; i < history.count; i++) {
        const history_record_t *record = &history.records[i];
        count += record->kind == HISTORY_END && record->at_us > since_us && is_of(record, worker);
    }
    history_free(&history);
    return count;
}

/* Until a handler of the worker has ended since then, and the worker has sent more after that. */
static void run_until_results_wait(testbed_t *bed, workload_t *load, const process_t *worker,
                                   proxy_t *way, uint64_t since_us)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (count_ends(bed, worker, since_us) == 0) {
        workload_run(load, POLL_EVERY_MS);
        testbed_poll(deadline_ms, "the end of a handler");
    }
    uint64_t bytes = proxy_waiting(way, PROXY_TO_SERVER);
    while (proxy_waiting(way, PROXY_TO_SERVER) < bytes + FRAMES_BYTES) {
        workload_run(load, POLL_EVERY_MS);
        testbed_poll(deadline_ms, "results on their way");
    }
}

/* A worker that finds its lease over says nothing of what it did under it, so the late results are
 * some that had left it: they are held back on the way, from just before the freeze to the thaw. */
static void freeze_worker(testbed_t *bed, workload_t *load, process_t *worker, proxy_t *way)
{
    watch_t watch = {.bed = bed, .process = worker};
    workload_run(load, WARM_MS);
    watch.count = testbed_counter(bed->client, "results_refused");
    uint64_t frozen_us = history_now_us();
    proxy_stall(way, PROXY_TO_SERVER, 0);
    run_until_results_wait(bed, load, worker, way, frozen_us);
    testbed_freeze(worker);
    workload_run(load, takeover_ms_max() + MARGIN_MS);
    uint64_t taken_us = takeover_us(bed, worker, frozen_us);
    testbed_thaw(worker);
    proxy_heal(way);
    /* Something must have been refused, or the run proves nothing. */
    run_until(load, refused_more, &watch, "a refused result of the thawed worker");
    uint64_t refused = testbed_counter(bed->client, "results_refused") - watch.count;
    run_until(load, has_its_share, &watch, "the thawed worker's share of the shards");
    print_message("frozen worker: taken over after %llu ms, %llu late results refused\n",
                  (unsigned long long)(taken_us / 1000), (unsigned long long)refused);
    assert_in_range(taken_us, 1, takeover_ms_max() * 1000ULL);
    assert_true(process_runs(worker));
}

/* A worker that reaches the broker through a proxy. */
static proxy_t *add_worker_behind_proxy(testbed_t *bed)
{
    unsigned port = 0;
    char urls[sizeof bed->cluster.urls];
    memcpy(urls, bed->cluster.urls, sizeof urls);
    assert_int_equal(sscanf(bed->cluster.url, "tcp://127.0.0.1:%u", &port), 1);
    proxy_t *proxy = proxy_start("127.0.0.1", port, PROXY_BYTES);
    assert_non_null(proxy);
    snprintf(bed->cluster.urls, sizeof urls, "tcp://127.0.0.1:%u", (unsigned)proxy_port(proxy));
    testbed_add_worker(bed);
    memcpy(bed->cluster.urls, urls, sizeof urls);
    return proxy;
}

static void test_ie_13_frozen_worker(void **state)
{
    testbed_t *bed = *state;
    workload_options_t options = {.rate = 2000};
    proxy_t *ways[2];
    machine_measure();
    bed->work_us = WORK_US;
    testbed_start(bed, 0);
    ways[0] = add_worker_behind_proxy(bed);
    ways[1] = add_worker_behind_proxy(bed);
    testbed_wait_ready(bed, 2);
    workload_t *load = workload_start(bed, &options);
    uint32_t rounds = testbed_repeat(2);
    for (uint32_t i = 0; i < rounds; i++) {
        freeze_worker(bed, load, &bed->cluster.workers[i % 2], ways[i % 2]);
    }
    workload_end_and_check(&load);
    proxy_stop(&ways[0]);
    proxy_stop(&ways[1]);
}

/* A handler that outlives the grace of a hand-over: its entity goes on elsewhere under the next
 * token, and the result that its worker, which is well and a member, sends in the end is refused:
 * what it ran counts for nothing. The load goes on, so that an execution that counted all the same
 * would be built upon, or overlap. */
static void overdue_handler(void **state)
{
    static const char *const grace[] = {"--release-grace-ms", "10", NULL};
    static const char *const executors[] = {"--executors", "16", NULL};
    testbed_t *bed = *state;
    workload_options_t options = {.timeout_ms = WAIT_MAX_MS,
                                  .entities = ENTITIES_MAX / 2,
                                  .inflight = ENTITIES_MAX / 6,
                                  .volatile_percent = WORKLOAD_NONE,
                                  .uncounted_min = 1};
    watch_t watch = {.bed = bed};
    bed->broker_arguments = grace;
    bed->worker_arguments = executors;
    bed->work_us = OVERDUE_US;
    testbed_start(bed, 1);
    workload_t *load = workload_start(bed, &options);
    workload_run(load, WARM_MS);
    testbed_add_worker(bed); /* and half of the shards move */
    run_until(load, refused_more, &watch, "a refused result");
    workload_run(load, OVERDUE_US / 1000);
    print_message("overdue handlers: %llu late results refused\n",
                  (unsigned long long)testbed_counter(bed->client, "results_refused"));
    workload_end_and_check(&load);
}

/* ---- brokers ---- */

static bool holds_the_lane(void *context)
{
    watch_t *watch = context;
    return testbed_lanes_held(watch->bed, watch->endpoint, watch->incarnation) == 1;
}

/* A new incarnation that holds nothing. */
static bool stands_by_again(void *context)
{
    watch_t *watch = context;
    char incarnation[33];
    return is_time(watch) && testbed_lanes_held(watch->bed, watch->endpoint, incarnation) == 0 &&
           strcmp(incarnation, watch->incarnation) != 0 &&
           testbed_count_events(watch->bed, watch->log, "broker.ready") > watch->count;
}

static void run_load(void *load, uint32_t ms)
{
    workload_run(load, ms);
}

typedef struct side {
    const process_t *process;
    const char *url;
    const char *log;
} side_t;

/* Freezes the home, and sees the other take over and the thawed one stand by. Returns how many of
 * its appends were fenced. */
static unsigned freeze_home(testbed_t *bed, workload_t *load, const side_t *home,
                            const side_t *other)
{
    watch_t taken = {.bed = bed, .endpoint = other->url};
    watch_t back = {.bed = bed, .endpoint = home->url, .log = home->log};
    workload_run(load, WARM_MS);
    assert_int_equal(testbed_lanes_held(bed, home->url, back.incarnation), 1);
    unsigned fenced = testbed_count_events(bed, home->log, "fenced");
    back.count = testbed_count_events(bed, home->log, "broker.ready");
    uint64_t frozen_ms = late_append_freeze(bed, home->process, run_load, load);
    workload_mark(load);
    run_until(load, holds_the_lane, &taken, "the move of the lane");
    uint64_t moved_ms = clock_monotonic_ms() - frozen_ms;
    workload_counts_t before = workload_counts(load);
    workload_run(load, TAKEOVER_MS + MARGIN_MS);
    assert_true(workload_counts(load).replied > before.replied); /* clients found the new home */
    uint32_t gap_ms = workload_gap_ms(load);
    unsigned appends = late_append_thaw(bed, home->process, home->log, run_load, load);
    run_until(load, stands_by_again, &back, "the thawed broker's next incarnation");
    assert_true(testbed_count_events(bed, home->log, "fenced") > fenced);
    print_message(
        "frozen broker: the lane moved after %llu ms, no reply for %u ms, %u of its appends "
        "fenced\n",
        (unsigned long long)moved_ms, gap_ms, appends);
    assert_in_range(moved_ms, 1, takeover_ms_max());
    return appends;
}

static void frozen_broker(void **state)
{
    testbed_t *bed = *state;
    workload_options_t options = {.rate = 2000};
    unsigned appends = 0;
    machine_measure();
    testbed_start_pair(bed, 2);
    side_t first = {&bed->cluster.broker, bed->cluster.url, "broker.log"};
    side_t second = {&bed->cluster.standby, bed->cluster.standby_url, "broker-1.log"};
    workload_t *load = workload_start(bed, &options);
    uint32_t rounds = testbed_repeat(1);
    for (uint32_t i = 0; i < rounds; i++) { /* there and back */
        appends += freeze_home(bed, load, &first, &second);
        appends += freeze_home(bed, load, &second, &first);
    }
    assert_true(appends > 0); /* an append must have been fenced, or the run proves nothing */
    workload_end_and_check(&load);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_ie_13_frozen_worker", test_ie_13_frozen_worker, TESTBED_BOTH},
        {"overdue_handler", overdue_handler, TESTBED_SQLITE},
        {"frozen_broker", frozen_broker, TESTBED_MYSQL},
    };
    return testbed_run("freeze", tests, sizeof tests / sizeof tests[0]);
}
