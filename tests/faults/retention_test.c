/* Journals are purged under steady load: the tables stop growing, and calls whose outcomes were
 * purged end unknown when they are sent again.
 *
 * FABRIC_FAULT_REPEAT: the retention is so many seconds instead of one, and what follows from it is
 * as many times as long. 6 makes a run of a minute and another one to compare. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum {
    RETENTION_MS = 1000,
    RETENTIONS_BEFORE = 2, /* until the tables have stopped growing */
    RETENTIONS_MEASURED = 8,
    ENTITIES = 200,
    INFLIGHT = 64,
    TURNS_MAX = 3,
    LATE_CLIENT = 77,
    LATER = 1000, /* the first sequence of the client that comes later */
    RATE = 1000,  /* asks a second: a steady load makes the bytes of each second comparable */
    LATENCIES_MAX = 1 << 18,
    WAIT_MAX_MS = 90000,
    DELETED_PERCENT_MIN = 90,
    LONG_RUN_S = 6 /* retentions from which on latencies are compared */
};

#define P99_RATIO_MAX    1.5
#define P99_ALLOWANCE_US 2000 /* for a disk that does not take equally long each time */

/* The bytes of all journals together that were ever written, and that are still there. */
#define WRITTEN                                                                                    \
    "SELECT SUM(size) FROM (SELECT MAX(log_bytes) AS size FROM journal GROUP BY lane) AS lanes"
#define KEPT                                                                                       \
    "SELECT SUM(size) FROM (SELECT MAX(log_bytes) - MIN(log_bytes) AS size FROM journal "          \
    "WHERE adopt = 0 GROUP BY lane) AS lanes"

/* ---- a steady load ---- */

typedef struct steady {
    fabric_client_t *client;
    uint64_t started, failed;
    uint32_t open;
    uint32_t count;   /* of latencies */
    uint64_t next_us; /* when the next one is to be started */
    uint32_t latency_us[LATENCIES_MAX];
    char failure[300];
} steady_t;

typedef struct ask {
    uint64_t start_us;
    bool used;
} ask_t;

/* In static memory: calls may end after the test has failed, when the client is closed. */
static steady_t steady;
static ask_t asks[INFLIGHT];

static void ask_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    ask_t *ask = context;
    (void)payload;
    ask->used = false;
    steady.open--;
    if (outcome->error && steady.failed++ == 0) {
        snprintf(steady.failure, sizeof steady.failure, "%s: %.200s",
                 fabric_error_name(outcome->error), outcome->text);
    }
    if (steady.count < LATENCIES_MAX) {
        steady.latency_us[steady.count++] = (uint32_t)(clock_monotonic_us() - ask->start_us);
    }
}

static void start_ask(ask_t *ask)
{
    char id[32];
    probe_number_t request = {++steady.started};
    snprintf(id, sizeof id, "steady-%llu", (unsigned long long)(steady.started % ENTITIES));
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &probe_append,
                          .request = &request,
                          .timeout_ms = WAIT_MAX_MS};
    *ask = (ask_t){clock_monotonic_us(), true};
    assert_int_equal(fabric_client_start(steady.client, &call, ask_ended, ask, NULL), FABRIC_OK);
    steady.open++;
}

/* Starts what is due. Where all asks are open, the load falls behind, and does not catch up. */
static void start_asks(void)
{
    uint64_t now_us = clock_monotonic_us();
    for (uint32_t i = 0; i < INFLIGHT && steady.next_us <= now_us; i++) {
        if (!asks[i].used) {
            start_ask(&asks[i]);
            steady.next_us += 1000000 / RATE;
        }
    }
    if (steady.next_us <= now_us) {
        steady.next_us = now_us + 1;
    }
}

static int compare_latencies(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Runs the load for so long, and returns the 99th percentile of its latencies. */
static uint32_t run_steadily(uint32_t ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + ms;
    steady.count = 0;
    while (clock_monotonic_ms() < deadline_ms) {
        start_asks();
        (void)fabric_client_wait(steady.client, 1);
    }
    if (steady.failed > 0) {
        fail_msg("%llu calls failed: %s", (unsigned long long)steady.failed, steady.failure);
    }
    assert_true(steady.count > 100);
    qsort(steady.latency_us, steady.count, sizeof *steady.latency_us, compare_latencies);
    return steady.latency_us[steady.count / 100 * 99];
}

/* ---- a call that is sent again too late ---- */

static fabric_client_t *open_client(testbed_t *bed, uint64_t first_sequence)
{
    fabric_client_t *client = NULL;
    fabric_client_options_t options = {.name = "late",
                                       .client_number = LATE_CLIENT,
                                       .first_sequence = first_sequence,
                                       .connect_timeout_ms = WAIT_MAX_MS,
                                       .call_timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_open(bed->cluster.urls, &options, &client, NULL), FABRIC_OK);
    return client;
}

static fabric_error_t echo(fabric_client_t *client, fabric_call_key_t *key)
{
    static const probe_text_t hello = {"hello"};
    fabric_outcome_t outcome;
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "late"),
                          .message = &probe_echo,
                          .request = &hello,
                          .key = *key,
                          .timeout_ms = WAIT_MAX_MS};
    fabric_error_t error = fabric_client_call(client, &call, NULL, NULL, NULL, &outcome);
    *key = outcome.key;
    return error;
}

/* A call that its home has forgotten: a later one of the same client has said that it is
 * settled. */
static fabric_call_key_t leave_call(testbed_t *bed)
{
    fabric_call_key_t key = {0};
    fabric_client_t *client = open_client(bed, 1);
    assert_int_equal(echo(client, &key), FABRIC_OK);
    for (int i = 0; i < 2; i++) {
        fabric_call_key_t later = {0};
        assert_int_equal(echo(client, &later), FABRIC_OK);
    }
    fabric_client_close(&client);
    return key;
}

static size_t count_runs(testbed_t *bed)
{
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t runs = probe_starts_count(&starts, "late");
    probe_starts_free(&starts);
    return runs;
}

/* ---- the tests ---- */

static uint32_t seconds; /* of retention */

static void start(testbed_t *bed, const char *const *arguments, char retention[16])
{
    seconds = testbed_repeat(RETENTION_MS / 1000);
    snprintf(retention, 16, "%u", seconds * 1000);
    bed->broker_arguments = arguments;
    testbed_start(bed, 1);
    memset(&steady, 0, sizeof steady);
    memset(asks, 0, sizeof asks);
    steady.client = bed->client;
}

static void wait_for_asks(void)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (steady.open > 0) {
        (void)fabric_client_wait(steady.client, 20);
        testbed_poll(deadline_ms, "the ends of all calls");
    }
}

/* Sends the call again until its entry has been purged: until then it gets its reply. */
static void run_until_unknown(testbed_t *bed, fabric_call_key_t key)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    size_t runs = count_runs(bed);
    fabric_client_t *client = open_client(bed, LATER);
    fabric_error_t error;
    while (run_steadily(seconds * 1000), error = echo(client, &key), error == FABRIC_OK) {
        testbed_poll(deadline_ms, "a purge");
    }
    assert_int_equal(error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    fabric_client_close(&client);
    wait_for_asks();
    testbed_wait_drained(bed);
    assert_int_equal(count_runs(bed), runs);
}

/* The same load on the same cluster, with neither checkpoints nor purges. */
static uint32_t run_without_purge(testbed_t *bed, uint32_t ms)
{
    static const char *const arguments[] = {
        "--checkpoint-ms", "600000", "--checkpoint-bytes", "4000000000", "--checkpoint-bytes-max",
        "8000000000",      NULL};
    wait_for_asks();
    process_stop(&bed->cluster.broker, WAIT_MAX_MS);
    bed->options.broker_arguments = arguments;
    testbed_restart_broker(bed);
    testbed_wait_ready(bed, 1);
    return run_steadily(ms);
}

/* The bytes that were written and deleted meanwhile. */
typedef struct growth {
    int64_t written, deleted;
    uint32_t p99_us;
} growth_t;

static growth_t watch_tables(testbed_t *bed, uint32_t ms)
{
    int64_t written = -testbed_query_number(bed, WRITTEN);
    int64_t kept = -testbed_query_number(bed, KEPT);
    growth_t growth = {.p99_us = run_steadily(ms)};
    growth.written = written + testbed_query_number(bed, WRITTEN);
    growth.deleted = growth.written - kept - testbed_query_number(bed, KEPT);
    print_message("%lld KiB written, %lld KiB deleted; p99 %.1f ms\n",
                  (long long)(growth.written / 1024), (long long)(growth.deleted / 1024),
                  (double)growth.p99_us / 1000);
    return growth;
}

static bool has_deleted_enough(const growth_t *growth)
{
    return growth->written > 0 && 100 * growth->deleted >= DELETED_PERCENT_MIN * growth->written;
}

static void tables_stop_growing(void **state)
{
    static char retention[16];
    static const char *const arguments[] = {"--call-retention-ms", retention, NULL};
    testbed_t *bed = *state;
    start(bed, arguments, retention);
    (void)run_steadily(RETENTIONS_BEFORE * seconds * 1000);
    uint32_t ms = RETENTIONS_MEASURED * seconds * 1000;
    growth_t growth = watch_tables(bed, ms);
    /* A machine that was busy at one of the ends may have written less then. */
    for (int i = 1; i < TURNS_MAX && !has_deleted_enough(&growth); i++) {
        growth = watch_tables(bed, ms);
    }
    assert_true(has_deleted_enough(&growth));
    uint32_t usual_us = run_without_purge(bed, seconds < LONG_RUN_S ? ms / 4 : ms);
    print_message("p99 without purge and checkpoints %.1f ms\n", (double)usual_us / 1000);
    if (seconds >= LONG_RUN_S) {
        assert_true(growth.p99_us <= P99_RATIO_MAX * usual_us + P99_ALLOWANCE_US);
    }
    wait_for_asks();
}

static void a_purged_call_is_unknown(void **state)
{
    static char retention[16];
    static const char *const arguments[] = {"--call-retention-ms", retention, NULL};
    testbed_t *bed = *state;
    start(bed, arguments, retention);
    fabric_call_key_t key = leave_call(bed);
    run_until_unknown(bed, key);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"tables_stop_growing", tables_stop_growing, TESTBED_MYSQL},
        {"a_purged_call_is_unknown", a_purged_call_is_unknown, TESTBED_BOTH},
    };
    return testbed_run("retention", tests, sizeof tests / sizeof tests[0]);
}
