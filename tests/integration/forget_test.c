/* fabricctl type forget against real processes, and how long durable messages wait for types that
 * nobody has ever registered when a whole cluster has been restarted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "examples/counter/counter.h"
#include "tests/harness/folder.h"
#include "tests/harness/invocation.h"

enum { WAIT_MAX_MS = 60000, ASK_MS = 20000 };

#define COUNTER_MODULE "../examples/counter/counter.so"
#define RECAST_MODULE  "../tests/recast_module.so"
#define PROBE_MODULE   "../tests/probe_module.so"

static const counter_increment_request_t five = {5};

static invocation_t invocation;

static void add_worker(testbed_t *bed, const char *module, const char *name)
{
    const char *const arguments[] = {"--name", name, NULL};
    bed->options.module = module;
    bed->options.worker_arguments = arguments;
    testbed_add_worker(bed);
    bed->options.worker_arguments = NULL;
}

/* The last worker leaves in order. */
static void stop_worker(testbed_t *bed)
{
    process_stop(&bed->cluster.workers[bed->cluster.worker_count - 1], WAIT_MAX_MS);
}

/* Runs fabricctl with up to five arguments, and returns its exit code. */
static int run(testbed_t *bed, const char *const arguments[5])
{
    const char *all[12] = {"fabricctl", "--url", bed->cluster.urls};
    for (size_t i = 0; i < 5 && arguments[i]; i++) {
        all[3 + i] = arguments[i];
    }
    invocation_run(bed, all, NULL, &invocation);
    return invocation.status;
}

static void command(testbed_t *bed, int code, const char *text, const char *const arguments[5])
{
    const char *said = code == 0 ? invocation.output : invocation.complaints;
    if (run(bed, arguments) != code || !strstr(said, text) ||
        (code != 0 && invocation.lines != 1)) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("fabricctl %s %s: code %d, not %d; '%s' is wanted in %s%s", arguments[0],
                 arguments[1], invocation.status, code, text, invocation.complaints,
                 code == 0 ? invocation.output : "");
    }
}

#define COMMAND(bed, code, text, ...) command(bed, code, text, (const char *const[5]){__VA_ARGS__})

static const char *const forget[5] = {"type", "forget", "Counter"};

/* Until what keeps the type has gone, but for what is named: a runner leaves in a moment. */
static void forget_until(testbed_t *bed, int code, const char *text)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    const char *said = code == 0 ? invocation.output : invocation.complaints;
    while (run(bed, forget) != code || !strstr(said, text)) {
        if (clock_monotonic_ms() > deadline_ms) {
            cluster_print_logs(&bed->cluster, stderr);
            fail_msg("type forget: code %d: %s%s", invocation.status, invocation.complaints,
                     invocation.output);
        }
        testbed_poll(deadline_ms, text);
    }
}

static fabric_error_t ask(testbed_t *bed, fabric_outcome_t *outcome)
{
    fabric_call_t call = {.entity = fabric_entity("Counter", "x"),
                          .message = &counter_increment,
                          .request = &five,
                          .timeout_ms = ASK_MS};
    return fabric_client_call(bed->client, &call, NULL, NULL, NULL, outcome);
}

/* The holder of the term ends without a goodbye, and another broker takes its place. */
static void kill_holder(testbed_t *bed)
{
    char endpoint[CLUSTER_URL_SIZE] = "";
    json_t *status = testbed_status(bed->client);
    const char *holder = json_string_value(json_object_get(status, "home"));
    assert_non_null(holder);
    snprintf(endpoint, sizeof endpoint, "%s", holder);
    json_decref(status);
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        if (strcmp(bed->cluster.broker_urls[i], endpoint) == 0) {
            testbed_kill(&bed->cluster.brokers[i]);
            testbed_wait_removed(bed, endpoint);
            return;
        }
    }
    fail_msg("no broker is at %s", endpoint);
}

/* A type that a worker brings, or that has pending messages, stays. Else it is as if it had never
 * been registered, also for another holder of the term, and another version may come. */
static void a_type_is_forgotten_and_comes_back_in_another_form(void **state)
{
    static const char *const arguments[] = {"--registration-ms", "500", NULL};
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    bool several = strcmp(bed->store, "mysql") == 0;
    bed->broker_arguments = arguments;
    if (several) {
        testbed_start_brokers(bed, 3, 0);
    } else {
        testbed_start(bed, 0);
    }
    COMMAND(bed, 3, "(UnknownEntityType)", "type", "forget", "Counter");
    COMMAND(bed, 2, "forget TYPE", "type", "forget");
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    testbed_wait_ready(bed, 1);
    assert_int_equal(ask(bed, &outcome), FABRIC_OK);
    COMMAND(bed, 6, "type Counter is brought by runner counter-worker (EntityTypeInUse)", "type",
            "forget", "Counter");
    assert_int_equal(ask(bed, &outcome), FABRIC_OK); /* and the type is open again */
    stop_worker(bed);
    COMMAND(bed, 0, "accepted", "send", "Counter", "x", "Increment", "{\"amount\": 5}");
    forget_until(bed, 6, "1 message of type Counter is pending: 1 at broker ");
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    testbed_wait_ready(bed, 1);
    testbed_wait_drained(bed);
    stop_worker(bed);
    forget_until(bed, 0, "type Counter is forgotten");

    COMMAND(bed, 0, "none: they come with", "type", "ls");
    COMMAND(bed, 3, "(UnknownEntityType)", "type", "show", "Counter");
    assert_int_equal(ask(bed, &outcome), FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    COMMAND(bed, 3, "(UnknownEntityType)", "type", "forget", "Counter");
    if (several) {
        kill_holder(bed);
        assert_int_equal(ask(bed, &outcome), FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    }
    add_worker(bed, RECAST_MODULE, "recast-worker");
    testbed_wait_ready(bed, 1);
    COMMAND(bed, 0, "{\"words\": \"new\"}", "call", "Counter", "x", "Increment",
            "{\"words\": \"new\"}");
    COMMAND(bed, 0, "words", "type", "show", "Counter");
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
}

/* The description is gone in the store, and its first registration was long ago: nothing is held
 * after a restart of the whole cluster. */
static void nothing_is_held_after_a_restart(void **state)
{
    testbed_t *bed = *state;
    fabric_outcome_t outcome = {0};
    testbed_start(bed, 0);
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    testbed_wait_ready(bed, 1);
    stop_worker(bed);
    forget_until(bed, 0, "type Counter is forgotten");
    testbed_stop_processes(bed);
    assert_int_equal(testbed_query_number(bed, "SELECT LENGTH(description) FROM entity_type"), 0);
    testbed_execute(bed, "UPDATE cluster SET registered_ms = registered_ms - 70000");
    bed->options.module = PROBE_MODULE;
    testbed_restart(bed, 1);
    assert_int_equal(ask(bed, &outcome), FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_type_is_forgotten_and_comes_back_in_another_form",
         a_type_is_forgotten_and_comes_back_in_another_form, TESTBED_BOTH},
        {"nothing_is_held_after_a_restart", nothing_is_held_after_a_restart, TESTBED_BOTH},
    };
    return testbed_run("forget", tests, sizeof tests / sizeof tests[0]);
}
