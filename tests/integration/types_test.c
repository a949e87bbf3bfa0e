/* Workers that bring different entity types: each type is run by the workers that bring it, a
 * worker with a new module moves nothing of others, and what nobody brings waits and is named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/messages.h"
#include "core/clock.h"
#include "examples/counter/counter.h"
#include "tests/harness/folder.h"
#include "tests/harness/invocation.h"

enum { WAIT_MAX_MS = 60000, SHARDS = 300, ASK_MS = 4000 };

#define COUNTER_MODULE "../examples/counter/counter.so"
#define PROBE_MODULE   "../tests/probe_module.so"
#define BENCH_MODULE   "../bench/bench_module.so"

static const counter_increment_request_t five = {5};
static const probe_text_t hello = {"hello"};

static invocation_t invocation;

static void add_worker(testbed_t *bed, const char *module, const char *name)
{
    const char *const arguments[] = {"--name", name, NULL};
    bed->options.module = module;
    bed->options.worker_arguments = arguments;
    testbed_add_worker(bed);
    bed->options.worker_arguments = NULL;
}

/* How many shards' parts of the type the runner of that name owns. */
static unsigned owned(testbed_t *bed, const char *type, const char *name)
{
    char runner[33] = "";
    unsigned count = 0;
    size_t index;
    json_t *item;
    json_t *status = testbed_status(bed->client);
    json_array_foreach(json_object_get(status, "runners"), index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0) {
            snprintf(runner, sizeof runner, "%s",
                     json_string_value(json_object_get(item, "incarnation")));
        }
    }
    json_array_foreach(json_object_get(status, "shards"), index, item)
    {
        const char *owner = testbed_owner(item, type);
        count += owner && strcmp(owner, runner) == 0;
    }
    json_decref(status);
    return count;
}

static fabric_error_t ask(testbed_t *bed, const char *type, const char *id,
                          const fabric_message_type_t *message, const void *request,
                          fabric_outcome_t *outcome)
{
    fabric_call_t call = {.entity = fabric_entity(type, id),
                          .message = message,
                          .request = request,
                          .timeout_ms = ASK_MS};
    return fabric_client_call(bed->client, &call, NULL, NULL, NULL, outcome);
}

static void expect_text(const char *text, const char *const *parts)
{
    for (; *parts; parts++) {
        if (!strstr(text, *parts)) {
            fail_msg("'%s' is not in: %s", *parts, text);
        }
    }
}

/* A worker with a new module gets its own types, and nothing else changes. */
static void each_module_is_run_by_the_worker_that_brings_it(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    size_t index;
    json_t *type;
    unsigned found = 0;
    testbed_start(bed, 0);
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    testbed_wait_ready(bed, 1);
    assert_int_equal(ask(bed, "Counter", "id-1", &counter_increment, &five, &outcome), FABRIC_OK);
    add_worker(bed, PROBE_MODULE, "probe-worker");
    testbed_wait_ready(bed, 2);
    assert_int_equal(owned(bed, "Counter", "counter-worker"), SHARDS);
    assert_int_equal(owned(bed, PROBE_TYPE, "probe-worker"), SHARDS);
    for (unsigned i = 0; i < 20; i++) { /* all in the same shards */
        char id[16];
        snprintf(id, sizeof id, "id-%u", i);
        assert_int_equal(ask(bed, "Counter", id, &counter_increment, &five, &outcome), FABRIC_OK);
        assert_int_equal(ask(bed, "Counter", id, &counter_peek, NULL, &outcome), FABRIC_OK);
        assert_int_equal(ask(bed, PROBE_TYPE, id, &probe_echo, &hello, &outcome), FABRIC_OK);
        assert_int_equal(ask(bed, PROBE_TYPE, id, &probe_volatile_echo, &hello, &outcome),
                         FABRIC_OK);
    }
    json_t *status = testbed_status(bed->client);
    json_array_foreach(json_object_get(status, "types"), index, type)
    {
        found++;
        assert_string_equal(json_string_value(json_object_get(type, "group")), "default");
        assert_int_equal(json_array_size(json_object_get(type, "runners")), 1);
    }
    json_decref(status);
    assert_int_equal(found, 3); /* Counter, and the probe module's Probe and Fold */
    assert_int_equal(testbed_counter(bed->client, "redelivered"), 0);
    process_stop(&bed->cluster.workers[1], WAIT_MAX_MS);
    testbed_wait_ready(bed, 1);
    assert_int_equal(owned(bed, "Counter", "counter-worker"), SHARDS);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
}

/* ---- overlapping sets of types ---- */

/* INFLIGHT: calls open at once. ROUNDS: workers that go and come back. CALLS: between these. */
enum { WORKERS = 3, INFLIGHT = 48, ROUNDS = 6, CALLS = 1000, KINDS = 6, ENTITIES = 40 };

typedef struct mixed_load {
    fabric_client_t *client;
    unsigned open;
    uint64_t started, ended;
    uint64_t durable, volatile_ended, volatile_failed;
    char failure[300]; /* the first that must not be */
} mixed_load_t;

static void note_failure(mixed_load_t *load, const char *what, const fabric_outcome_t *outcome)
{
    if (!load->failure[0]) {
        snprintf(load->failure, sizeof load->failure, "a %s call ended in %s: %.200s", what,
                 fabric_error_name(outcome->error), outcome->text);
    }
}

static void durable_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    mixed_load_t *load = context;
    (void)payload;
    load->open--;
    load->ended++;
    load->durable++;
    if (outcome->error) {
        note_failure(load, "durable", outcome);
    }
}

/* A volatile call may fail while its owner goes, but never since its type is not known. */
static void volatile_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    mixed_load_t *load = context;
    (void)payload;
    load->open--;
    load->ended++;
    load->volatile_ended++;
    load->volatile_failed += outcome->error != FABRIC_OK;
    if (outcome->error == FABRIC_ERROR_RUNNER_NOT_REGISTERED ||
        outcome->error == FABRIC_ERROR_UNKNOWN_ENTITY_TYPE ||
        strstr(outcome->text, "no runner brings")) {
        note_failure(load, "volatile", outcome);
    }
}

static bool start_call(mixed_load_t *load)
{
    static const bench_body_t nothing = {.sequence = 0};
    static bench_body_t body;
    char id[24];
    snprintf(id, sizeof id, "mixed-%u", (unsigned)(load->started / KINDS % ENTITIES));
    body = nothing;
    body.sequence = load->started + 1; /* the entity wants them in order */
    bench_seal(&body);
    const fabric_call_t calls[KINDS] = {
        {.entity = fabric_entity("Counter", id), .message = &counter_increment, .request = &five},
        {.entity = fabric_entity("Counter", id), .message = &counter_peek},
        {.entity = fabric_entity(PROBE_TYPE, id), .message = &probe_echo, .request = &hello},
        {.entity = fabric_entity(PROBE_TYPE, id),
         .message = &probe_volatile_echo,
         .request = &hello},
        {.entity = fabric_entity(BENCH_TYPE, id),
         .message = bench_message(BENCH_ASK_DURABLE, 0),
         .request = &body},
        {.entity = fabric_entity(BENCH_TYPE, id),
         .message = bench_message(BENCH_ASK_VOLATILE, 0),
         .request = &body}};
    fabric_call_t call = calls[load->started % KINDS];
    bool durable = call.message->durable;
    call.timeout_ms = durable ? WAIT_MAX_MS : ASK_MS;
    fabric_error_t error = fabric_client_start(
        load->client, &call, durable ? durable_ended : volatile_ended, load, NULL);
    if (error) {
        assert_int_equal(fabric_error_class(error), FABRIC_CLASS_RETRY); /* too much is open */
        return false;
    }
    load->started++;
    load->open++;
    return true;
}

/* Runs the load until so many more calls have ended. */
static void run_load(mixed_load_t *load, uint64_t calls, unsigned inflight)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    uint64_t wanted = load->ended + calls;
    while (load->ended < wanted) {
        while (load->open < inflight && start_call(load)) {
        }
        (void)fabric_client_wait(load->client, 20);
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("%u calls stay open, %llu have ended", load->open,
                     (unsigned long long)load->ended);
        }
    }
    if (load->failure[0]) {
        fail_msg("%s", load->failure);
    }
}

/* Starts the worker with its two of the three modules. */
static void add_pair(testbed_t *bed, unsigned worker)
{
    static const char *const modules[WORKERS] = {COUNTER_MODULE, PROBE_MODULE, BENCH_MODULE};
    static const char *const names[WORKERS] = {"counter-probe", "probe-bench", "bench-counter"};
    reason_t reason;
    char programs[FOLDER_PATH_SIZE];
    char second[FOLDER_PATH_SIZE + 64];
    assert_int_equal(folder_of_programs(&reason, programs), FABRIC_OK);
    snprintf(second, sizeof second, "%s/%s", programs, modules[(worker + 1) % WORKERS]);
    const char *const arguments[] = {"--name", names[worker], "--module", second, NULL};
    bed->options.module = modules[worker];
    bed->options.worker_arguments = arguments;
    testbed_add_worker(bed);
    bed->options.worker_arguments = NULL;
}

static void workers_with_overlapping_types_come_and_go(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        add_pair(bed, i);
    }
    testbed_wait_ready(bed, WORKERS);
    assert_int_equal(owned(bed, "Counter", "counter-probe"), SHARDS / 2);
    assert_int_equal(owned(bed, "Counter", "bench-counter"), SHARDS / 2);
    assert_int_equal(owned(bed, PROBE_TYPE, "counter-probe"), SHARDS / 2);
    assert_int_equal(owned(bed, BENCH_TYPE, "counter-probe"), 0);
    mixed_load_t load = {.client = bed->client};
    process_t *workers[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = &bed->cluster.workers[i];
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned worker = round % WORKERS;
        run_load(&load, CALLS, INFLIGHT);
        if (round % 2 == 0) {
            process_stop(workers[worker], WAIT_MAX_MS);
        } else {
            testbed_kill(workers[worker]);
        }
        run_load(&load, CALLS, INFLIGHT);
        add_pair(bed, worker);
        workers[worker] = &bed->cluster.workers[WORKERS + round];
        run_load(&load, CALLS, INFLIGHT);
        testbed_wait_ready(bed, WORKERS);
    }
    run_load(&load, load.open, 0);
    testbed_wait_drained(bed);
    print_message("%llu durable calls, %llu volatile ones, of which %llu failed\n",
                  (unsigned long long)load.durable, (unsigned long long)load.volatile_ended,
                  (unsigned long long)load.volatile_failed);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
    assert_int_equal(testbed_count_events(bed, "broker.log", "runner.type_missing"), 0);
}

/* ---- a type that nobody brings ---- */

static void a_type_that_nobody_brings_is_named(void **state)
{
    static const char *const waits[] = {"no runner brings the entity type Counter",
                                        "start a worker", NULL};
    static const char *const types[] = {"Counter ", "no runner brings it", NULL};
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    const char *const arguments[] = {"fabricctl", "status", "--url", bed->cluster.url, NULL};
    testbed_start(bed, 0);
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    testbed_wait_ready(bed, 1);
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    assert_int_equal(ask(bed, "Counter", "x", &counter_peek, NULL, &outcome),
                     FABRIC_ERROR_RUNNER_UNAVAILABLE);
    expect_text(outcome.text, waits);
    assert_int_equal(ask(bed, "Counter", "x", &counter_increment, &five, &outcome),
                     FABRIC_ERROR_OUTCOME_UNKNOWN);
    expect_text(outcome.text, waits);
    invocation_run(bed, arguments, NULL, &invocation);
    assert_int_equal(invocation.status, 0);
    expect_text(invocation.output, types);
    unsigned lines = testbed_count_events(bed, "broker.log", "runner.type_missing");
    assert_in_range(lines, 1, 4);
    add_worker(bed, COUNTER_MODULE, "counter-worker"); /* what has waited goes on */
    testbed_wait_ready(bed, 1);
    testbed_wait_drained(bed);
}

/* ---- fabricctl type ---- */

/* Runs fabricctl with up to six arguments, and expects this exit code. */
static void command(testbed_t *bed, int code, const char *const arguments[6])
{
    const char *all[12] = {"fabricctl", "--url", bed->cluster.urls};
    for (size_t i = 0; i < 6 && arguments[i]; i++) {
        all[3 + i] = arguments[i];
    }
    invocation_run(bed, all, NULL, &invocation);
    if (invocation.status != code) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("fabricctl %s %s: code %d, %s", arguments[0], arguments[1], invocation.status,
                 invocation.complaints);
    }
}

#define COMMAND(bed, code, ...) command(bed, code, (const char *const[6]){__VA_ARGS__})

/* What the command printed. */
static json_t *printed(void)
{
    json_t *value = json_loads(invocation.output, 0, NULL);
    assert_non_null(value);
    return value;
}

/* Waits until all brokers know the only type, and none names a runner that brings it. */
static void wait_unbrought(testbed_t *bed)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    size_t runners = 1;
    while (runners > 0) {
        testbed_poll(deadline_ms, "a type without runners");
        COMMAND(bed, 0, "type", "ls", "-o", "json");
        json_t *rows = printed();
        const json_t *row = json_array_get(rows, 0);
        assert_int_equal(json_array_size(rows), 1);
        assert_int_equal(json_array_size(json_object_get(row, "messages")), 3);
        runners = json_array_size(json_object_get(row, "runners"));
        json_decref(rows);
    }
}

/* A type that was registered once stays known, with its messages, when nobody runs it and when
 * another broker answers. */
static void types_that_nobody_runs_are_shown(void **state)
{
    static const char *const shown[] = {"type         Counter\n",          "group        default\n",
                                        "none: its durable messages wait", "Increment  ",
                                        "    amount                i64\n", NULL};
    testbed_t *bed = *state;
    testbed_start(bed, 0);
    COMMAND(bed, 0, "type", "ls");
    expect_text(invocation.output, (const char *const[]){"none: they come with", NULL});
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    testbed_wait_ready(bed, 1);
    COMMAND(bed, 0, "type", "ls");
    expect_text(invocation.output, (const char *const[]){"counter-worker", "Increment", NULL});
    process_stop(&bed->cluster.workers[0], WAIT_MAX_MS);
    wait_unbrought(bed);
    COMMAND(bed, 0, "type", "show", "Counter");
    expect_text(invocation.output, shown);
    COMMAND(bed, 0, "type", "show", "Counter", "Increment", "-o", "jsonschema");
    json_t *document = printed();
    assert_non_null(json_object_get(json_object_get(document, "properties"), "amount"));
    json_decref(document);
    COMMAND(bed, 3, "type", "show", "Nobody");
    COMMAND(bed, 3, "type", "show", "Counter", "Nothing");
    COMMAND(bed, 2, "type");
    COMMAND(bed, 2, "status", "-o", "jsonschema");
}

/* ---- types that nobody has registered ---- */

typedef struct pending_call {
    bool ended;
    fabric_outcome_t outcome;
} pending_call_t;

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    pending_call_t *call = context;
    (void)payload;
    call->outcome = *outcome;
    call->ended = true;
}

static void begin(testbed_t *bed, pending_call_t *pending, const char *type,
                  const fabric_message_type_t *message, const void *request)
{
    fabric_call_t call = {.entity = fabric_entity(type, "x"),
                          .message = message,
                          .request = request,
                          .timeout_ms = WAIT_MAX_MS};
    *pending = (pending_call_t){.ended = false};
    assert_int_equal(fabric_client_start(bed->client, &call, call_ended, pending, NULL), FABRIC_OK);
}

static void expect_answer(testbed_t *bed, pending_call_t *pending)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!pending->ended && clock_monotonic_ms() < deadline_ms) {
        (void)fabric_client_wait(bed->client, 100);
    }
    if (!pending->ended || pending->outcome.error) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s: %s", pending->ended ? fabric_error_name(pending->outcome.error) : "open",
                 pending->outcome.text);
    }
}

/* Waits until `fabricctl status` says that of a type that nobody has registered. */
static void wait_until_status_says(testbed_t *bed, const char *type, const char *text)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    const char *line = NULL;
    while (!line || !strstr(line, text)) {
        testbed_poll(deadline_ms, text);
        (void)fabric_client_wait(bed->client, 0); /* calls are sent again */
        COMMAND(bed, 0, "status");
        char *found = strstr(invocation.output, type);
        if (found) {
            found[strcspn(found, "\n")] = '\0';
        }
        line = found;
    }
}

/* Messages of a cluster without workers wait for the first one, and messages of a type that is not
 * there yet for the worker that brings it later. */
static void test_ie_08_sm_19_messages_wait_until_their_type_is_registered(void **state)
{
    testbed_t *bed = *state;
    pending_call_t durable, unstored;
    testbed_start(bed, 0);
    begin(bed, &durable, "Counter", &counter_increment, &five);
    begin(bed, &unstored, "Counter", &counter_peek, NULL);
    wait_until_status_says(bed, "Counter", "wait at their senders for a first worker");
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    expect_answer(bed, &durable);
    expect_answer(bed, &unstored);
    begin(bed, &durable, PROBE_TYPE, &probe_echo, &hello);
    begin(bed, &unstored, PROBE_TYPE, &probe_volatile_echo, &hello);
    wait_until_status_says(bed, PROBE_TYPE, "wait at their senders for ");
    assert_false(durable.ended || unstored.ended);
    add_worker(bed, PROBE_MODULE, "probe-worker");
    expect_answer(bed, &durable);
    expect_answer(bed, &unstored);
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
}

/* Durable messages are held for `registration_ms`, volatile ones until their deadline. */
static void test_ie_09_messages_of_a_type_that_nobody_registers_fail(void **state)
{
    static const char *const arguments[] = {"--registration-ms", "500", NULL};
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    bed->broker_arguments = arguments;
    testbed_start(bed, 0);
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    testbed_wait_ready(bed, 1);
    assert_int_equal(ask(bed, PROBE_TYPE, "x", &probe_echo, &hello, &outcome),
                     FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    uint64_t begun_ms = clock_monotonic_ms();
    assert_int_equal(ask(bed, PROBE_TYPE, "x", &probe_volatile_echo, &hello, &outcome),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    expect_text(outcome.text, (const char *const[]){"no worker has registered", NULL});
    assert_true(clock_monotonic_ms() - begun_ms >= ASK_MS - 1);
    wait_until_status_says(bed, PROBE_TYPE, "durable messages are refused");
    add_worker(bed, PROBE_MODULE, "probe-worker"); /* it comes later, and is welcome */
    testbed_wait_ready(bed, 2);
    assert_int_equal(ask(bed, PROBE_TYPE, "x", &probe_echo, &hello, &outcome), FABRIC_OK);
    assert_int_equal(ask(bed, PROBE_TYPE, "x", &probe_volatile_echo, &hello, &outcome), FABRIC_OK);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_ie_08_sm_19_messages_wait_until_their_type_is_registered",
         test_ie_08_sm_19_messages_wait_until_their_type_is_registered, TESTBED_CLUSTERS},
        {"test_ie_09_messages_of_a_type_that_nobody_registers_fail",
         test_ie_09_messages_of_a_type_that_nobody_registers_fail, TESTBED_CLUSTERS},
        {"types_that_nobody_runs_are_shown", types_that_nobody_runs_are_shown, TESTBED_CLUSTERS},
        {"each_module_is_run_by_the_worker_that_brings_it",
         each_module_is_run_by_the_worker_that_brings_it, TESTBED_BOTH},
        {"workers_with_overlapping_types_come_and_go", workers_with_overlapping_types_come_and_go,
         TESTBED_BOTH},
        {"a_type_that_nobody_brings_is_named", a_type_that_nobody_brings_is_named, TESTBED_SQLITE},
    };
    return testbed_run("types", tests, sizeof tests / sizeof tests[0]);
}
