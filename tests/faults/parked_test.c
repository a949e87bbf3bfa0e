/* One entity has very many pending messages, because the first of them does not end. The entities
 * of its shard are served as fast as without it.
 *
 * The rates with and without it are measured in turn, and compared with each other only, so that a
 * slow machine makes no difference. FABRIC_FAULT_REPEAT: how many turns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/clock.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum {
    TURNS = 3,
    TURNS_MAX = 12,
    PARKED = 8000, /* messages behind the one that does not end */
    OTHERS = 32,
    INFLIGHT = 128,
    WARM_MS = 100,
    MEASURE_MS = 400,
    WAIT_MAX_MS = 120000
};

#define RATIO_MIN 0.7

typedef struct calls {
    testbed_t *bed;
    char hot[32];
    char others[OTHERS][32]; /* of the same shard */
    uint64_t parked;         /* the last number that was sent to the hot one */
    uint64_t started, ended, failed;
    uint32_t open;
    char failure[300];
} calls_t;

/* In static memory: calls may end after the test has failed, when the client is closed. */
static calls_t calls;

/* Ids of one shard. */
static void choose_ids(uint32_t shards)
{
    uint32_t wanted = 0;
    uint32_t count = 0;
    snprintf(calls.hot, sizeof calls.hot, "hot");
    wanted = address_shard_number(fabric_bytes_of(calls.hot), shards);
    for (unsigned number = 0; count < OTHERS; number++) {
        snprintf(calls.others[count], sizeof calls.others[count], "other-%u", number);
        count += address_shard_number(fabric_bytes_of(calls.others[count]), shards) == wanted;
    }
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context, (void)payload;
    calls.open--;
    calls.ended++;
    if (outcome->error && calls.failed++ == 0) {
        snprintf(calls.failure, sizeof calls.failure, "%s: %.200s",
                 fabric_error_name(outcome->error), outcome->text);
    }
}

static void start_call(const char *id, const fabric_message_type_t *message, const void *request,
                       bool tell)
{
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = message,
                          .request = request,
                          .tell = tell,
                          .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_start(calls.bed->client, &call, call_ended, NULL, NULL),
                     FABRIC_OK);
    calls.open++;
}

static void wait_for_calls(void)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (calls.open > 0) {
        (void)fabric_client_wait(calls.bed->client, 20);
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("%u calls stay open", calls.open);
        }
    }
    if (calls.failed > 0) {
        fail_msg("%llu calls failed: %s", (unsigned long long)calls.failed, calls.failure);
    }
}

/* ---- the others ---- */

static uint64_t run_others(uint32_t ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + ms;
    uint64_t before = calls.ended;
    while (clock_monotonic_ms() < deadline_ms) {
        while (calls.open < INFLIGHT) {
            probe_number_t request = {++calls.started};
            start_call(calls.others[calls.started % OTHERS], &probe_append, &request, false);
        }
        (void)fabric_client_wait(calls.bed->client, 5);
    }
    return calls.ended - before;
}

/* Asks of the others a second. */
static double measure(void)
{
    (void)run_others(WARM_MS);
    uint64_t start_us = clock_monotonic_us();
    uint64_t ended = run_others(MEASURE_MS);
    double rate = (double)ended * 1e6 / (double)(clock_monotonic_us() - start_us);
    wait_for_calls();
    return rate;
}

/* ---- the hot one ---- */

static void park(uint32_t turn)
{
    probe_text_t gate;
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    snprintf(gate.text, sizeof gate.text, "gate-%u", turn);
    start_call(calls.hot, &probe_hold, &gate, true);
    for (uint32_t i = 0; i < PARKED; i++) {
        probe_number_t request = {++calls.parked};
        start_call(calls.hot, &probe_append, &request, true);
    }
    wait_for_calls();
    while (testbed_counter(calls.bed->client, "stored") < PARKED / 2) {
        testbed_poll(deadline_ms, "the checkpoint of the messages that wait");
    }
}

static void resume(uint32_t turn)
{
    char gate[64];
    snprintf(gate, sizeof gate, "gate-%u", turn);
    testbed_open_gate(calls.bed, gate);
    testbed_wait_drained(calls.bed);
}

static void check_order(void)
{
    uint64_t last = 0;
    probe_starts_t starts = probe_starts_read(calls.bed->folder);
    for (size_t i = 0; i < starts.count; i++) {
        const probe_start_t *start = &starts.items[i];
        if (strcmp(start->id, calls.hot) == 0 && strcmp(start->tag, "Append") == 0) {
            assert_int_equal(start->number, last + 1);
            last = start->number;
        }
    }
    probe_starts_free(&starts);
    assert_int_equal(last, calls.parked);
}

/* ---- both ---- */

static int compare_ratios(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double median(double *ratios, uint32_t count)
{
    qsort(ratios, count, sizeof *ratios, compare_ratios);
    return ratios[count / 2];
}

/* The others' rate beside the hot one, relative to their rate right before it. */
static double measure_turn(uint32_t turn)
{
    double without = measure();
    park(turn);
    double beside = measure();
    resume(turn);
    print_message("turn %u: %.0f asks/s without, %.0f beside %d messages that wait\n", turn + 1,
                  without, beside, PARKED);
    return beside / without;
}

static void one_parked_entity_does_not_slow_its_shard(void **state)
{
    static const char *const arguments[] = {"--entity-window", "64", NULL};
    double ratios[TURNS_MAX];
    double ratio = 0;
    testbed_t *bed = *state;
    uint32_t turns = testbed_repeat(TURNS);
    bed->broker_arguments = arguments;
    testbed_start(bed, 1);
    calls = (calls_t){.bed = bed};
    json_t *status = testbed_status(bed->client);
    choose_ids((uint32_t)json_array_size(json_object_get(status, "shards")));
    json_decref(status);
    (void)measure(); /* the first calls are slower */
    /* More turns are for a machine that does other work in some of them. */
    for (uint32_t i = 0; i < TURNS_MAX && (i < turns || ratio < RATIO_MIN); i++) {
        ratios[i] = measure_turn(i);
        ratio = median(ratios, i + 1);
    }
    print_message("others of the shard: %.0f %% of their usual rate\n", 100 * ratio);
    check_order();
    assert_true(ratio >= RATIO_MIN);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"one_parked_entity_does_not_slow_its_shard", one_parked_entity_does_not_slow_its_shard,
         TESTBED_BOTH},
    };
    return testbed_run("parked entities", tests, sizeof tests / sizeof tests[0]);
}
