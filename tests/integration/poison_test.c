/* A message whose handler ends its process, again and again, while workers are restarted as a
 * supervisor would: it becomes a dead letter, its caller gets the failure, and nobody else
 * notices. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum {
    WAIT_MAX_MS = 60000,
    ENTITIES = 64,
    INFLIGHT = 256,
    WORKERS = 2,
    CRASHES_MAX = 3,
    UNEXPLAINED = 2, /* ends of processes before it is isolated */
    /* deaths on a loaded machine: a broker without processor for a lease takes the time for a
     * handler's */
    MORE = 3,
    FOR_EVER = 1000000
};

static const char *const broker_arguments[] = {
    "--crashes-max", "3", "--backoff-ms", "50", "--lease-ms", "1000", NULL};

static const char *const worker_arguments[] = {"--no-supervisor", NULL};

typedef struct asked {
    bool ended;
    fabric_outcome_t outcome;
} asked_t;

static void on_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    asked_t *asked = context;
    (void)payload;
    asked->ended = true;
    asked->outcome = *outcome;
}

static void ask(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                const void *request, asked_t *asked)
{
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = message,
                          .request = request,
                          .timeout_ms = 2 * WAIT_MAX_MS};
    assert_int_equal(fabric_client_start(bed->client, &call, on_end, asked, NULL), FABRIC_OK);
}

/* Not on the stack: calls that are open when a test fails end while it is torn down. */
static probe_load_t load;
static asked_t poison, behind, held;

/* Keeps the load up, and as many workers, until the poison has ended. The number of workers that
 * died. */
static unsigned supervise(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!poison.ended) {
        probe_load_step(&load, 5);
        unsigned running = 0;
        for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
            running += process_runs(&bed->cluster.workers[i]);
        }
        if (running < WORKERS) {
            assert_true(bed->cluster.worker_count < WORKERS + UNEXPLAINED + CRASHES_MAX + MORE);
            testbed_add_worker(bed);
        }
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("the poison has not ended; %u workers were started",
                     bed->cluster.worker_count);
        }
    }
    return bed->cluster.worker_count - WORKERS;
}

static void wait_for(testbed_t *bed, const asked_t *asked)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!asked->ended) {
        (void)fabric_client_wait(bed->client, 20);
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
    if (asked->outcome.error) {
        fail_msg("%s: %s", fabric_error_name(asked->outcome.error), asked->outcome.text);
    }
}

static void check_rows(testbed_t *bed, uint64_t messages)
{
    char query[200];
    snprintf(query, sizeof query,
             "SELECT COUNT(*) FROM dead_letter WHERE attempts = %d AND %s = %d AND CAST(last_error "
             "AS CHAR) LIKE "
             "'%%worker crashed 3 times%%'",
             CRASHES_MAX, strcmp(bed->store, "sqlite") == 0 ? "cause" : "error",
             FABRIC_ERROR_RUNNER_UNAVAILABLE);
    testbed_stop_processes(bed);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM dead_letter"), 1);
    assert_int_equal(testbed_query_number(bed, query), 1);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM mailbox"), messages);
    assert_int_equal(testbed_query_number(bed, "SELECT COUNT(*) FROM reply"), messages);
}

static void poison_among_load(void **state)
{
    testbed_t *bed = *state;
    probe_end_t times = {FOR_EVER, "_exit"};
    probe_text_t text = {"gate"};
    bed->broker_arguments = broker_arguments;
    bed->worker_arguments = worker_arguments;
    testbed_start(bed, WORKERS);
    poison = behind = held = (asked_t){.ended = false};
    load = (probe_load_t){
        .client = bed->client, .prefix = "load", .entities = ENTITIES, .inflight = INFLIGHT};
    ask(bed, "held", &probe_hold, &text, &held); /* pending all the time, at one of the workers */
    ask(bed, "poison", &probe_crash, &times, &poison);
    ask(bed, "poison", &probe_echo, &text, &behind);
    uint64_t begun_ms = clock_monotonic_ms();
    unsigned deaths = supervise(bed);
    print_message("a dead letter after %u deaths, %llu ms; %llu other calls ended meanwhile\n",
                  deaths, (unsigned long long)(clock_monotonic_ms() - begun_ms),
                  (unsigned long long)load.ended);
    print_message("%s\n", poison.outcome.text);
    assert_int_equal(poison.outcome.error, FABRIC_ERROR_DEAD_LETTER);
    assert_non_null(strstr(poison.outcome.text, "the worker crashed 3 times"));
    wait_for(bed, &behind); /* the entity goes on */
    testbed_open_gate(bed, text.text);
    wait_for(bed, &held);
    probe_load_end(&load);
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 1);
    probe_starts_t starts = probe_starts_read(bed->folder);
    /* The message behind it started last in its entity; all others are crashes. */
    assert_int_equal(probe_starts_count(&starts, "poison"), deaths + 1);
    assert_in_range(deaths, UNEXPLAINED + CRASHES_MAX, UNEXPLAINED + CRASHES_MAX + MORE);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
    check_rows(bed, load.started + 3);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"poison_among_load", poison_among_load, TESTBED_BOTH},
    };
    return testbed_run("poison", tests, sizeof tests / sizeof tests[0]);
}
