/* The life of instances: they are built and ended, resources outlive them, and what becomes of a
 * message that fails is as its type says. On SQLite with one broker, and on MariaDB with three.
 *
 * The names begin with the ids of the behaviours that are ported. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/life.h"
#include "tests/harness/testbed.h"

enum { CALLS_MAX = 24, WAIT_MAX_MS = 60000, LIFE_BYTES_MAX = 1 << 16 };

/* Attempts and pauses that suit a test. */
static const char *const quick[] = {
    "--backoff-ms", "50", "--backoff-max-ms", "200", "--attempts-max", "3", NULL};

static const life_gate_t gate = {"gate"};
static const char *type; /* of the entities that a test talks to */

static invocation_t invocation;

static void start(testbed_t *bed, uint32_t workers)
{
    type = LIFE_TYPE;
    bed->broker_arguments = quick;
    testbed_start(bed, 0);
    bed->options.module = LIFE_MODULE;
    for (uint32_t i = 0; i < workers; i++) {
        testbed_add_worker(bed);
    }
}

/* ---- calls ---- */

typedef struct call {
    bool ended;
    fabric_error_t error;
    uint64_t number;
} call_t;

static call_t calls[CALLS_MAX];

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    call_t *call = (call_t *)context;
    life_number_t reply = {0};
    call->ended = true;
    call->error = outcome->error;
    if (payload.size > 1) {
        assert_int_equal(fabric_schema_decode(&life_number_schema, payload, NULL, &reply),
                         FABRIC_OK);
    }
    call->number = reply.number;
}

static void begin(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                  const void *request, call_t *call)
{
    fabric_call_t begun = {.entity = fabric_entity(type, id),
                           .message = message,
                           .request = request,
                           .timeout_ms = WAIT_MAX_MS};
    *call = (call_t){.ended = false};
    assert_int_equal(fabric_client_start(bed->client, &begun, call_ended, call, NULL), FABRIC_OK);
}

static void wait_for_end(testbed_t *bed, const call_t *call)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!call->ended) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "an answer");
    }
}

static void expect_end(testbed_t *bed, const call_t *call, uint64_t number)
{
    wait_for_end(bed, call);
    assert_int_equal(call->error, FABRIC_OK);
    assert_int_equal(call->number, number);
}

static fabric_error_t ask(testbed_t *bed, const char *id, const fabric_message_type_t *message,
                          const void *request)
{
    call_t call;
    begin(bed, id, message, request, &call);
    wait_for_end(bed, &call);
    return call.error;
}

/* ---- what happened to instances ---- */

/* All lines, or those of one entity; in static storage. */
static const char *read_life(const testbed_t *bed, const char *id)
{
    static char text[LIFE_BYTES_MAX];
    char path[INVOCATION_PATH_SIZE];
    char line[700];
    size_t size = 0;
    text[0] = '\0';
    FILE *file = fopen(invocation_path(bed, LIFE_FILE, path), "r");
    while (file && fgets(line, sizeof line, file)) {
        char event[16];
        char of[64];
        if (sscanf(line, "%15s %63s", event, of) == 2 && (!id || strcmp(of, id) == 0)) {
            size += (size_t)snprintf(text + size, sizeof text - size, "%s ", event);
            assert_true(size < sizeof text);
        }
    }
    if (file) {
        assert_int_equal(fclose(file), 0);
    }
    return text;
}

static size_t count_in(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)); at++) {
        count++;
    }
    return count;
}

static void wait_for_event(testbed_t *bed, const char *id, const char *event)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!strstr(read_life(bed, id), event)) {
        testbed_poll(deadline_ms, event);
    }
}

/* ---- building ---- */

static void test_sh_46_rr_01_a_build_that_fails_is_tried_again(void **state)
{
    testbed_t *bed = *state;
    char path[INVOCATION_PATH_SIZE];
    start(bed, 1);
    testbed_wait_ready(bed, 1);
    testbed_open_gate(bed, LIFE_AWAY);
    begin(bed, "a", &life_count, NULL, &calls[0]);
    begin(bed, "a", &life_count, NULL, &calls[1]);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (count_in(read_life(bed, "a"), "failed") < 5) { /* more than there are attempts */
        testbed_poll(deadline_ms, "five failed builds");
    }
    assert_null(strstr(read_life(bed, "a"), "built"));
    assert_int_equal(unlink(invocation_path(bed, LIFE_AWAY, path)), 0);
    expect_end(bed, &calls[0], 1);
    expect_end(bed, &calls[1], 2);
    assert_memory_equal(read_life(bed, "a"), "failed second first failed second first ", 40);
    assert_int_equal(count_in(read_life(bed, "a"), "built"), 1);
    assert_true(testbed_count_events(bed, "worker-0.log", "worker.defect") > 0);
}

/* ---- ends ---- */

static void finalizers_run_when_the_worker_stops(void **state)
{
    testbed_t *bed = *state;
    enum { ENTITIES = 12 };
    start(bed, 1);
    testbed_wait_ready(bed, 1);
    for (int i = 0; i < ENTITIES; i++) {
        char id[] = {(char)('a' + i), '\0'};
        assert_int_equal(ask(bed, id, &life_count, NULL), FABRIC_OK);
    }
    testbed_stop_processes(bed);
    for (int i = 0; i < ENTITIES; i++) {
        char id[] = {(char)('a' + i), '\0'};
        assert_string_equal(read_life(bed, id), "built second first ");
    }
}

static void finalizers_run_when_a_shard_is_handed_over(void **state)
{
    testbed_t *bed = *state;
    enum { ENTITIES = 12 };
    start(bed, 1);
    testbed_wait_ready(bed, 1);
    for (int i = 0; i < ENTITIES; i++) {
        char id[] = {(char)('a' + i), '\0'};
        assert_int_equal(ask(bed, id, &life_count, NULL), FABRIC_OK);
    }
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    assert_int_equal(kill(bed->cluster.workers[0].pid, SIGTERM), 0);
    for (int i = 0; i < ENTITIES; i++) {
        char id[] = {(char)('a' + i), '\0'};
        wait_for_event(bed, id, "built second first ");
        begin(bed, id, &life_count, NULL, &calls[i]);
    }
    for (int i = 0; i < ENTITIES; i++) {
        char id[] = {(char)('a' + i), '\0'};
        expect_end(bed, &calls[i], 1); /* another instance */
        assert_string_equal(read_life(bed, id), "built second first built ");
    }
}

/* An instance is built anew after a defect, and what was pending is handled again. */
static void test_ie_06_a_defect_makes_another_instance(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    testbed_wait_ready(bed, 1);
    begin(bed, "a", &life_hold, &gate, &calls[0]);
    assert_int_equal(ask(bed, "a", &life_count, NULL), FABRIC_OK);
    begin(bed, "a", &life_break, &(life_gate_t){"whole"}, &calls[1]);
    wait_for_event(bed, "a", "built second first built");
    testbed_open_gate(bed, "gate");
    testbed_open_gate(bed, "whole");
    wait_for_end(bed, &calls[0]);
    wait_for_end(bed, &calls[1]);
    assert_int_equal(calls[0].error, FABRIC_OK);
    assert_int_equal(calls[1].error, FABRIC_OK);
    assert_int_equal(testbed_counter(bed->client, "results_refused"), 0);
}

/* ---- resources ---- */

static void test_ie_17_a_resource_outlives_instances_and_movement(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    testbed_wait_ready(bed, 1);
    assert_int_equal(ask(bed, "a", &life_acquire, NULL), FABRIC_OK);
    begin(bed, "a", &life_break, &gate, &calls[0]);
    wait_for_event(bed, "a", "first built");
    testbed_open_gate(bed, "gate");
    expect_end(bed, &calls[0], 1);
    assert_int_equal(ask(bed, "a", &life_acquire, NULL), FABRIC_OK);
    assert_int_equal(count_in(read_life(bed, "a"), "acquired"), 1);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    assert_int_equal(kill(bed->cluster.workers[0].pid, SIGTERM), 0);
    wait_for_event(bed, "a", "left");
    assert_int_equal(ask(bed, "a", &life_acquire, NULL), FABRIC_OK);
    assert_int_equal(count_in(read_life(bed, "a"), "acquired"), 2);
    assert_int_equal(count_in(read_life(bed, "a"), "released"), 0);
    assert_int_equal(ask(bed, "a", &life_close, NULL), FABRIC_OK);
    testbed_stop_processes(bed);
    assert_int_equal(count_in(read_life(bed, "a"), "released"), 1);
    assert_int_equal(count_in(read_life(bed, "a"), "left"), 1);
}

/* ---- policies ---- */

static void block_skip_and_caller_end_a_message_that_breaks(void **state)
{
    static const struct {
        const char *type;
        fabric_error_t error;
        size_t builds;
    } cases[] = {{LIFE_TYPE, FABRIC_ERROR_DEAD_LETTER, 4},
                 {LIFE_SKIP, FABRIC_ERROR_DEAD_LETTER, 2},
                 {LIFE_CALLER, FABRIC_ERROR_ENTITY_DEFECT, 2}};
    testbed_t *bed = *state;
    start(bed, 1);
    testbed_wait_ready(bed, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[] = {(char)('a' + i), '\0'};
        type = cases[i].type;
        begin(bed, id, &life_break, &gate, &calls[0]);
        begin(bed, id, &life_count, NULL, &calls[1]);
        wait_for_end(bed, &calls[0]);
        assert_int_equal(calls[0].error, cases[i].error);
        expect_end(bed, &calls[1], 1); /* on fresh state */
        assert_int_equal(count_in(read_life(bed, id), "built"), cases[i].builds);
    }
}

/* The number of the broker at which an entity is parked; -1: none is. */
static int find_parked(const testbed_t *bed)
{
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        json_t *status = process_runs((process_t *)&bed->cluster.brokers[i])
                             ? testbed_status_of(bed->cluster.broker_urls[i])
                             : NULL;
        json_int_t parked =
            json_integer_value(json_object_get(json_object_get(status, "counters"), "parked"));
        json_decref(status);
        if (parked > 0) {
            return (int)i;
        }
    }
    return -1;
}

static int wait_parked(testbed_t *bed, bool parked)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    int number;
    while (((number = find_parked(bed)) >= 0) != parked) {
        testbed_poll(deadline_ms, "an entity to be parked, or not any more");
    }
    return number;
}

static int resume(testbed_t *bed, const char *id)
{
    const char *const arguments[] = {
        "fabricctl", "--url", bed->cluster.urls, "entity", "resume", type, id, NULL};
    invocation_run(bed, arguments, NULL, &invocation);
    return invocation.status;
}

/* Its home ends meanwhile: by a kill where there is another one, else it is started again. */
static void park_outlives_the_home_until_an_operator_resumes(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    testbed_wait_ready(bed, 1);
    type = LIFE_PARK;
    begin(bed, "a", &life_break, &gate, &calls[0]);
    begin(bed, "a", &life_count, NULL, &calls[1]);
    int number = wait_parked(bed, true);
    assert_int_equal(count_in(read_life(bed, "a"), "built"), 3);
    testbed_kill(&bed->cluster.brokers[number]);
    if (bed->cluster.broker_count == 1) {
        testbed_restart_broker(bed);
    }
    (void)wait_parked(bed, true);
    begin(bed, "a", &life_count, NULL, &calls[2]); /* its mailbox keeps filling */
    begin(bed, "b", &life_count, NULL, &calls[3]);
    expect_end(bed, &calls[3], 1);
    assert_int_equal(resume(bed, "b"), 3);
    assert_false(calls[0].ended || calls[1].ended || calls[2].ended);
    testbed_open_gate(bed, "gate");
    assert_int_equal(resume(bed, "a"), 0);
    expect_end(bed, &calls[0], 1);
    expect_end(bed, &calls[1], 2);
    expect_end(bed, &calls[2], 3);
    (void)wait_parked(bed, false);
    assert_int_equal(resume(bed, "a"), 3);
}

/* ---- mailboxes ---- */

static void test_sh_17_a_full_mailbox_refuses_volatile_and_lets_durable_wait(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    testbed_wait_ready(bed, 1);
    /* The client knows the home then: none of the calls goes elsewhere first, and comes after the
     * one that is to find no place. */
    assert_int_equal(ask(bed, "a", &life_count, NULL), FABRIC_OK);
    for (int i = 0; i < LIFE_CAPACITY; i++) {
        begin(bed, "a", &life_volatile_hold, &gate, &calls[i]);
    }
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (ask(bed, "a", &life_volatile_hold, &gate) != FABRIC_ERROR_MAILBOX_FULL) {
        testbed_poll(deadline_ms, "a full mailbox"); /* SH-16 */
    }
    for (int i = LIFE_CAPACITY; i < CALLS_MAX; i++) {
        begin(bed, "a", &life_count, NULL, &calls[i]);
    }
    assert_int_equal(ask(bed, "b", &life_count, NULL), FABRIC_OK);
    for (int i = LIFE_CAPACITY; i < CALLS_MAX; i++) {
        assert_false(calls[i].ended);
    }
    testbed_open_gate(bed, "gate");
    for (int i = 0; i < CALLS_MAX; i++) {
        expect_end(bed, &calls[i], (uint64_t)i + 2); /* in order, behind the first one */
    }
}

#define LIFE_TEST(name)                                                                            \
    {                                                                                              \
#name, name, TESTBED_CLUSTERS                                                              \
    }

int main(void)
{
    static const testbed_test_t tests[] = {
        LIFE_TEST(test_sh_46_rr_01_a_build_that_fails_is_tried_again),
        LIFE_TEST(finalizers_run_when_the_worker_stops),
        LIFE_TEST(finalizers_run_when_a_shard_is_handed_over),
        LIFE_TEST(test_ie_06_a_defect_makes_another_instance),
        LIFE_TEST(test_ie_17_a_resource_outlives_instances_and_movement),
        LIFE_TEST(block_skip_and_caller_end_a_message_that_breaks),
        LIFE_TEST(park_outlives_the_home_until_an_operator_resumes),
        LIFE_TEST(test_sh_17_a_full_mailbox_refuses_volatile_and_lets_durable_wait),
    };
    return testbed_run("life", tests, sizeof tests / sizeof tests[0]);
}
