/* Overload: three times the capacity, one entity that all clients call, a slow worker beside a fast
 * one, a client that does not collect its completions. Everything stays bounded, refused calls get
 * a typed error, accepted calls are handled, and calls to other entities do not wait.
 *
 * Handlers sleep, so that the executors limit the capacity. On a slower machine they sleep longer,
 * so that the machine can produce three times the capacity, and each bound on a time grows
 * likewise. FABRIC_FAULT_REPEAT: how many seconds the overload lasts. */
#include "tests/harness/testbed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/machine.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/process_facts.h"

enum {
    WORK_US = 8000,
    ENTITIES = 64,
    PENDING_MAX = 500, /* about a second's work */
    CLOSED_INFLIGHT = 128,
    CAPACITY_MS = 2500,
    OVERLOAD_S = 6,
    FACTOR = 3,
    TURNS_MAX = 3, /* more than one for a machine that was slower in the overload */
    CALL_MS = 4000,
    LONG_CALL_MS = 60000, /* of calls that must not end for time */
    RECOVERY_MS = 30000,  /* the promise */
    WAIT_MAX_MS = 60000,
    RSS_GROWTH_KIB_MAX = 64 * 1024,
    SAMPLE_MS = 250,
    WINDOW_US = 100000 /* of latencies at the end */
};

/* ---- open and closed loops ---- */

typedef struct outcome_counts {
    uint64_t started, done, refusals, busy, full, too_late, behind, unknown, other;
    uint64_t refused_here; /* by the client itself: it has as many calls open as it may */
    uint32_t open;
    char surprise[300];
    uint64_t worst_us; /* of calls that were done */
} outcome_counts_t;

typedef struct loop {
    testbed_t *bed;
    const fabric_message_type_t *message;
    uint32_t call_ms; /* 0: CALL_MS */
    outcome_counts_t counts;
    uint64_t pending_max_seen;
    uint64_t rss_before[4], rss_most[4]; /* broker, two workers, client; KiB */
    uint64_t sample_ms;
} loop_t;

typedef struct call {
    loop_t *loop;
    uint64_t start_us;
} call_t;

static void count_end(outcome_counts_t *counts, const fabric_outcome_t *outcome)
{
    switch (fabric_error_class(outcome->error)) {
    case FABRIC_CLASS_OK:
        counts->done++;
        return;
    case FABRIC_CLASS_RETRY:
        counts->refusals++;
        counts->busy += outcome->error == FABRIC_ERROR_BUSY;
        counts->full += outcome->error == FABRIC_ERROR_MAILBOX_FULL;
        counts->too_late += outcome->error == FABRIC_ERROR_TIMEOUT; /* volatile ones */
        /* The call follows one that was refused. */
        counts->behind += outcome->error == FABRIC_ERROR_PREDECESSOR_MISSING;
        return;
    case FABRIC_CLASS_UNKNOWN:
        counts->unknown++;
        return;
    case FABRIC_CLASS_REJECTED:
    case FABRIC_CLASS_FAILURE:
    case FABRIC_CLASS_FENCED:
    case FABRIC_CLASS_USAGE:
    case FABRIC_CLASS_FATAL:
        break;
    }
    counts->other++;
    snprintf(counts->surprise, sizeof counts->surprise, "%s: %.250s",
             fabric_error_name(outcome->error), outcome->text);
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    call_t *call = context;
    outcome_counts_t *counts = &call->loop->counts;
    uint64_t took_us = clock_monotonic_us() - call->start_us;
    (void)payload;
    count_end(counts, outcome);
    if (!outcome->error && took_us > counts->worst_us) {
        counts->worst_us = took_us;
    }
    counts->open--;
    free(call);
}

static fabric_error_t start_call(loop_t *loop, const char *prefix, uint64_t entity)
{
    char id[32];
    probe_number_t request = {loop->counts.started + 1};
    uint32_t call_ms = loop->call_ms ? loop->call_ms : CALL_MS;
    call_t *call = calloc(1, sizeof *call);
    assert_non_null(call);
    *call = (call_t){loop, clock_monotonic_us()};
    snprintf(id, sizeof id, "%s-%llu", prefix, (unsigned long long)entity);
    fabric_call_t what = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = loop->message,
                          .request = &request,
                          .timeout_ms = (uint32_t)machine_scaled(call_ms)};
    fabric_error_t error = fabric_client_start(loop->bed->client, &what, call_ended, call, NULL);
    if (error) {
        free(call);
        return error;
    }
    loop->counts.started++;
    loop->counts.open++;
    return FABRIC_OK;
}

/* Keeps CLOSED_INFLIGHT calls open for so long; returns how many were done in a second. */
static double run_closed(loop_t *loop, uint32_t ms)
{
    uint64_t begin_us = clock_monotonic_us();
    loop->counts = (outcome_counts_t){0};
    while (clock_monotonic_us() - begin_us < ms * UINT64_C(1000)) {
        while (loop->counts.open < CLOSED_INFLIGHT) {
            assert_int_equal(start_call(loop, "load", loop->counts.started % ENTITIES), FABRIC_OK);
        }
        (void)fabric_client_wait(loop->bed->client, 5);
    }
    double seconds = (double)(clock_monotonic_us() - begin_us) / 1e6;
    double rate = (double)loop->counts.done / seconds;
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (loop->counts.open > 0 && clock_monotonic_ms() < deadline_ms) {
        (void)fabric_client_wait(loop->bed->client, 20);
    }
    assert_int_equal(loop->counts.open, 0);
    assert_int_equal(loop->counts.done, loop->counts.started);
    return rate;
}

static void sample(loop_t *loop)
{
    const process_t own = {.pid = getpid()};
    const cluster_t *cluster = &loop->bed->cluster;
    const process_t *processes[4] = {&cluster->broker, &cluster->workers[0], &cluster->workers[1],
                                     &own};
    for (int i = 0; i < 4; i++) {
        uint64_t rss = process_rss_kib(processes[i]);
        loop->rss_before[i] = loop->rss_before[i] ? loop->rss_before[i] : rss;
        loop->rss_most[i] = rss > loop->rss_most[i] ? rss : loop->rss_most[i];
    }
    if (loop->counts.started > 0) {
        uint64_t pending = testbed_counter(loop->bed->client, "pending");
        loop->pending_max_seen =
            pending > loop->pending_max_seen ? pending : loop->pending_max_seen;
    }
    loop->sample_ms = clock_monotonic_ms() + SAMPLE_MS;
}

/* Starts so many calls in a second whatever becomes of them; returns how many were done in one. */
static double run_open(loop_t *loop, double rate, uint32_t seconds)
{
    uint64_t begin_us = clock_monotonic_us();
    uint64_t elapsed_us = 0;
    loop->counts = (outcome_counts_t){0};
    while ((elapsed_us = clock_monotonic_us() - begin_us) < seconds * UINT64_C(1000000)) {
        uint64_t due = (uint64_t)(rate * (double)elapsed_us / 1e6);
        while (loop->counts.started + loop->counts.refused_here < due) {
            fabric_error_t error = start_call(loop, "load", loop->counts.started % ENTITIES);
            assert_true(!error || error == FABRIC_ERROR_BUSY);
            loop->counts.refused_here += error != FABRIC_OK;
        }
        (void)fabric_client_wait(loop->bed->client, 2);
        if (clock_monotonic_ms() >= loop->sample_ms) {
            sample(loop);
        }
    }
    return (double)loop->counts.done / ((double)elapsed_us / 1e6);
}

/* How long until calls take no longer than twice what they took before, each started alone. */
static uint64_t recover(loop_t *loop, uint64_t usual_us)
{
    uint64_t begin_ms = clock_monotonic_ms();
    uint64_t good = 0;
    fabric_outcome_t outcome;
    probe_place_t place;
    while (good < 20) {
        uint64_t start_us = clock_monotonic_us();
        probe_number_t request = {1};
        fabric_call_t what = {.entity = fabric_entity(PROBE_TYPE, "after"),
                              .message = loop->message,
                              .request = &request,
                              .timeout_ms = (uint32_t)machine_scaled(CALL_MS)};
        fabric_error_t error =
            fabric_client_call(loop->bed->client, &what, &place, NULL, NULL, &outcome);
        bool quick =
            !error && clock_monotonic_us() - start_us <= 2 * usual_us + machine_scaled(WINDOW_US);
        good = quick ? good + 1 : 0;
        (void)fabric_client_process(loop->bed->client);
        assert_in_range(clock_monotonic_ms() - begin_ms, 0, machine_scaled(RECOVERY_MS));
    }
    return clock_monotonic_ms() - begin_ms;
}

/* ---- three times the capacity ---- */

static uint32_t overload_seconds(void)
{
    const char *text = getenv("FABRIC_FAULT_REPEAT");
    uint32_t seconds = text ? (uint32_t)strtoul(text, NULL, 10) : 0;
    return seconds ? seconds : (uint32_t)machine_scaled(OVERLOAD_S);
}

static uint64_t measure_single_call_us(loop_t *loop)
{
    uint64_t start_us = clock_monotonic_us();
    probe_number_t request = {1};
    for (int i = 0; i < 20; i++) {
        fabric_call_t what = {.entity = fabric_entity(PROBE_TYPE, "before"),
                              .message = loop->message,
                              .request = &request};
        assert_int_equal(fabric_client_call(loop->bed->client, &what, NULL, NULL, NULL, NULL),
                         FABRIC_OK);
    }
    return (clock_monotonic_us() - start_us) / 20;
}

static bool is_enough(double goodput, double capacity)
{
    return goodput >= 0.8 * capacity;
}

/* Returns how many calls were done in a second. */
static double overload_once(loop_t *loop, double capacity, uint64_t usual_us)
{
    loop->counts.started = 0;
    sample(loop);
    double goodput = run_open(loop, FACTOR * capacity, overload_seconds());
    uint64_t recovery_ms = recover(loop, usual_us);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (loop->counts.open > 0 && clock_monotonic_ms() < deadline_ms) {
        (void)fabric_client_wait(loop->bed->client, 20);
    }
    assert_int_equal(loop->counts.open, 0);
    print_message("usual latency %.1f ms; back to it %llu ms after the overload\n",
                  (double)usual_us / 1000, (unsigned long long)recovery_ms);
    return goodput;
}

static void check_bounds(const loop_t *loop, double capacity, double goodput)
{
    const outcome_counts_t *counts = &loop->counts;
    static const char *const names[] = {"broker", "worker", "worker", "client"};
    print_message("%llu started: %llu done, %llu busy, %llu mailbox full, %llu too late, %llu "
                  "behind others, "
                  "%llu unknown, %llu refused here; at most %llu pending\n",
                  (unsigned long long)counts->started, (unsigned long long)counts->done,
                  (unsigned long long)counts->busy, (unsigned long long)counts->full,
                  (unsigned long long)counts->too_late, (unsigned long long)counts->behind,
                  (unsigned long long)counts->unknown, (unsigned long long)counts->refused_here,
                  (unsigned long long)loop->pending_max_seen);
    for (int i = 0; i < 4; i++) {
        print_message("%s: %llu KiB before, %llu KiB at most\n", names[i],
                      (unsigned long long)loop->rss_before[i],
                      (unsigned long long)loop->rss_most[i]);
        assert_in_range(loop->rss_most[i], 0, loop->rss_before[i] + RSS_GROWTH_KIB_MAX);
    }
    print_message("capacity %.0f/s, goodput %.0f/s (%.0f %%)\n", capacity, goodput,
                  100 * goodput / capacity);
    assert_true(is_enough(goodput, capacity));
    assert_true(counts->busy + counts->full > 0);
    assert_int_equal(counts->refusals,
                     counts->busy + counts->full + counts->too_late + counts->behind);
    if (counts->other > 0) {
        fail_msg("%llu calls ended otherwise: %s", (unsigned long long)counts->other,
                 counts->surprise);
    }
    assert_in_range(loop->pending_max_seen, 0, PENDING_MAX);
}

static void overload(testbed_t *bed, const fabric_message_type_t *message)
{
    /* No entity may have so many pending calls that the executors of others have nothing to do. */
    static const char *const brokers[] = {
        "--pending-max", "500", "--entity-pending-max", "10", "--memory-bytes-max",
        "1048576",       NULL};
    static const char *const workers[] = {"--executors", "2", "--window", "256", NULL};
    machine_measure();
    bed->broker_arguments = brokers;
    bed->worker_arguments = workers;
    bed->work_us = (uint32_t)machine_scaled(WORK_US);
    testbed_start(bed, 2);
    loop_t loop = {.bed = bed, .message = message};
    uint64_t usual_us = measure_single_call_us(&loop);
    double capacity = 0;
    double goodput = 0;
    for (int i = 0; i < TURNS_MAX && (i == 0 || !is_enough(goodput, capacity)); i++) {
        capacity = run_closed(&loop, (uint32_t)machine_scaled(CAPACITY_MS));
        goodput = overload_once(&loop, capacity, usual_us);
    }
    check_bounds(&loop, capacity, goodput);
    assert_null(cluster_casualty(&bed->cluster));
    testbed_wait_drained(bed);
}

static void durable_overload(void **state)
{
    testbed_t *bed = *state;
    overload(bed, &probe_append);
    testbed_stop_processes(bed);
    probe_starts_t starts = probe_starts_read(bed->folder);
    table_count_expect_all_answered(bed, starts.count); /* each ran once: nobody died */
    probe_starts_free(&starts);
}

static void volatile_overload(void **state)
{
    overload(*state, &probe_volatile_append);
}

/* ---- one entity that all clients call ---- */

static void wait_for_calls(loop_t *loop)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (loop->counts.open > 0) {
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("%u calls do not end", loop->counts.open);
        }
        (void)fabric_client_wait(loop->bed->client, 5);
    }
}

static void hot_entity(void **state)
{
    enum {
        HOT_WORK_US = 2000,
        HOT = 600,
        HOT_PENDING_MAX = 400,
        OTHERS = 24,
        ROUNDS = 20,
        OTHERS_US_MAX = 1000000
    };
    static const char *const brokers[] = {"--entity-pending-max", "400", NULL};
    testbed_t *bed = *state;
    machine_measure();
    uint64_t others_us_max = machine_scaled(OTHERS_US_MAX);
    bed->broker_arguments = brokers;
    bed->work_us = (uint32_t)machine_scaled(HOT_WORK_US);
    testbed_start(bed, 2);
    loop_t hot = {.bed = bed, .message = &probe_append, .call_ms = LONG_CALL_MS};
    loop_t others = {.bed = bed, .message = &probe_append, .call_ms = LONG_CALL_MS};
    for (int i = 0; i < HOT; i++) {
        assert_int_equal(start_call(&hot, "hot", 0), FABRIC_OK);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < OTHERS; i++) {
            assert_int_equal(start_call(&others, "cold", i), FABRIC_OK);
        }
        wait_for_calls(&others);
    }
    uint64_t left = hot.counts.open;
    print_message("%llu calls to the hot one still open; the others' worst took %.1f ms\n",
                  (unsigned long long)left, (double)others.counts.worst_us / 1000);
    assert_true(left > 0 || others.counts.worst_us < others_us_max / 4);
    assert_int_equal(others.counts.done, OTHERS * ROUNDS);
    assert_in_range(others.counts.worst_us, 0, others_us_max);
    wait_for_calls(&hot);
    /* The client tried calls over the bound again, and they were accepted as others ended. */
    assert_int_equal(hot.counts.done + hot.counts.full, HOT);
    assert_true(hot.counts.done >= HOT_PENDING_MAX);
    assert_true(testbed_counter(bed->client, "rejected") > 0);
}

/* ---- a slow worker beside a fast one ---- */

static void slow_worker(void **state)
{
    enum { CALLS = 5, SLOW_ENTITIES = 60 };
    static const char *const slow[] = {PROBE_WORK_US "=50000", NULL};
    static const char *const fast[] = {PROBE_WORK_US "=1000", NULL};
    static const char *const workers[] = {"--executors", "2", NULL};
    testbed_t *bed = *state;
    bed->worker_arguments = workers;
    bed->worker_environment = slow;
    testbed_start(bed, 1);
    bed->options.worker_environment = fast;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    int slow_pid = process_child(&bed->cluster.workers[0]);
    loop_t loop = {.bed = bed, .message = &probe_append, .call_ms = LONG_CALL_MS};
    uint64_t start_us = clock_monotonic_us();
    for (int i = 0; i < CALLS * SLOW_ENTITIES; i++) {
        assert_int_equal(start_call(&loop, "both", (uint64_t)i % SLOW_ENTITIES), FABRIC_OK);
    }
    wait_for_calls(&loop);
    assert_int_equal(loop.counts.done, CALLS * SLOW_ENTITIES);
    probe_starts_t starts = probe_starts_read(bed->folder);
    uint64_t last_us[2] = {0};
    size_t count[2] = {0};
    for (size_t i = 0; i < starts.count; i++) {
        int which = starts.items[i].process == slow_pid;
        uint64_t at_us = starts.items[i].at_us - start_us;
        last_us[which] = at_us > last_us[which] ? at_us : last_us[which];
        count[which]++;
    }
    probe_starts_free(&starts);
    print_message("fast: %zu handlers, the last began after %.0f ms; slow: %zu, %.0f ms\n",
                  count[0], (double)last_us[0] / 1000, count[1], (double)last_us[1] / 1000);
    assert_true(count[0] > 0 && count[1] > 0);
    assert_true(last_us[0] < last_us[1] / 2);
}

/* ---- a client that does not collect what has ended ---- */

static void uncollected_completions(void **state)
{
    enum { OPEN_MAX = 500 };
    testbed_t *bed = *state;
    testbed_start(bed, 1);
    fabric_client_t *usual = bed->client;
    fabric_client_options_t options = {.name = "lazy", .pending_max = OPEN_MAX};
    fabric_client_t *lazy = NULL;
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &lazy, NULL), FABRIC_OK);
    bed->client = lazy;
    loop_t loop = {.bed = bed, .message = &probe_append, .call_ms = LONG_CALL_MS};
    for (uint64_t i = 0; i < OPEN_MAX; i++) {
        assert_int_equal(start_call(&loop, "lazy", i % ENTITIES), FABRIC_OK);
    }
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_counter(usual, "ended") < OPEN_MAX) {
        testbed_poll(deadline_ms, "the ends of all calls");
    }
    assert_int_equal(start_call(&loop, "lazy", 0),
                     FABRIC_ERROR_BUSY); /* uncollected completions still count */
    uint64_t collected = 0;
    while (collected < OPEN_MAX) {
        collected += fabric_client_process(lazy);
        testbed_poll(deadline_ms, "the completions");
    }
    assert_int_equal(loop.counts.done, OPEN_MAX);
    assert_int_equal(start_call(&loop, "lazy", 0), FABRIC_OK);
    wait_for_calls(&loop);
    fabric_client_close(&lazy);
    bed->client = usual;
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"durable_overload", durable_overload, TESTBED_BOTH},
        {"volatile_overload", volatile_overload, TESTBED_SQLITE},
        {"hot_entity", hot_entity, TESTBED_SQLITE},
        {"slow_worker", slow_worker, TESTBED_SQLITE},
        {"uncollected_completions", uncollected_completions, TESTBED_SQLITE},
    };
    return testbed_run("overload", tests, sizeof tests / sizeof tests[0]);
}
