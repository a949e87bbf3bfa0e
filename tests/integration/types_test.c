/* Workers of one shard group that bring different types: each gets shards of all types, so some
 * messages wait for an owner that brings their type. They wait without being delivered in a loop,
 * callers and operators are told why, and other messages go on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/clock.h"
#include "examples/counter/counter.h"
#include "tests/harness/invocation.h"

enum { WAIT_MAX_MS = 60000, SHARDS = 300, ASK_MS = 4000, DELIVERIES_MAX = 12 };

#define COUNTER_MODULE "../examples/counter/counter.so"
#define PROBE_MODULE   "../tests/probe_module.so"

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

/* How many shards the runner of that name owns, and any one's number. */
static unsigned shards_of_runner(testbed_t *bed, const char *name, uint32_t *number)
{
    char owner[33] = "";
    unsigned shards = 0;
    size_t index;
    json_t *item;
    json_t *status = testbed_status(bed->client);
    json_array_foreach(json_object_get(status, "runners"), index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0) {
            snprintf(owner, sizeof owner, "%s",
                     json_string_value(json_object_get(item, "incarnation")));
        }
    }
    json_array_foreach(json_object_get(status, "shards"), index, item)
    {
        const char *found = json_string_value(json_object_get(item, "owner"));
        if (found && strcmp(found, owner) == 0) {
            *number = (uint32_t)json_integer_value(json_object_get(item, "number"));
            shards++;
        }
    }
    json_decref(status);
    return shards;
}

/* Waits until the runner owns its half; returns one of its shards. A runner is healthy before its
 * shards have come to it. */
static uint32_t wait_for_half(testbed_t *bed, const char *name)
{
    uint32_t number = 0;
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (shards_of_runner(bed, name, &number) != SHARDS / 2) {
        testbed_poll(deadline_ms, "half of the shards");
    }
    return number;
}

/* The nth entity id in a shard of the default group. */
static const char *id_in_shard(uint32_t shard, unsigned nth, char id[16])
{
    for (unsigned i = 0;; i++) {
        snprintf(id, 16, "id-%u", i);
        if (address_shard_number(fabric_bytes_of(id), SHARDS) == shard && nth-- == 0) {
            return id;
        }
        assert_true(i < 100000);
    }
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

/* What callers hear of an entity whose shard the other worker owns. */
static void check_callers(testbed_t *bed, uint32_t shard)
{
    static const char *const reason[] = {"probe-worker", "Counter", "same types", NULL};
    char id[16];
    char volatile_id[16];
    fabric_outcome_t outcome = {0};
    id_in_shard(shard, 0, id);
    id_in_shard(shard, 1, volatile_id);
    assert_int_equal(fabric_client_tell(bed->client, fabric_entity("Counter", id),
                                        &counter_increment, &five, &outcome),
                     FABRIC_OK);
    assert_int_equal(ask(bed, "Counter", volatile_id, &counter_peek, NULL, &outcome),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    expect_text(outcome.text, reason);
    uint64_t before = testbed_counter(bed->client, "delivered");
    assert_int_equal(ask(bed, "Counter", id, &counter_increment, &five, &outcome),
                     FABRIC_ERROR_OUTCOME_UNKNOWN);
    uint64_t delivered = testbed_counter(bed->client, "delivered") - before;
    print_message("%llu deliveries in %d ms: %s\n", (unsigned long long)delivered, ASK_MS,
                  outcome.text);
    assert_true(delivered <= 2 * DELIVERIES_MAX);
    expect_text(outcome.text, reason);
    assert_int_equal(ask(bed, "Counter", id, &counter_peek, NULL, &outcome),
                     FABRIC_ERROR_RUNNER_NOT_REGISTERED); /* does not wait behind them */
    expect_text(outcome.text, reason);
}

static void check_status(testbed_t *bed)
{
    static const char *const types[] = {
        "Counter ", "not at probe-worker", "Probe ", "not at counter-worker", "same types", NULL};
    size_t index;
    json_t *type;
    unsigned found = 0;
    const char *const arguments[] = {"fabricctl", "status", "--url", bed->cluster.url, NULL};
    invocation_run(bed, arguments, NULL, &invocation);
    assert_int_equal(invocation.status, 0);
    expect_text(invocation.output, types);
    json_t *status = testbed_status(bed->client);
    json_array_foreach(json_object_get(status, "types"), index, type)
    {
        found++;
        assert_string_equal(json_string_value(json_object_get(type, "group")), "default");
        assert_int_equal(json_array_size(json_object_get(type, "runners")), 1);
        assert_int_equal(json_array_size(json_object_get(type, "missing")), 1);
    }
    json_decref(status);
    assert_int_equal(found, 3); /* Counter, and the probe module's Probe and Fold */
}

static void each_module_gets_half_of_the_shards(void **state)
{
    testbed_t *bed = *state;
    char id[16];
    fabric_outcome_t outcome = {0};
    testbed_start(bed, 0);
    add_worker(bed, COUNTER_MODULE, "counter-worker");
    testbed_wait_ready(bed, 1);
    assert_int_equal(ask(bed, "Counter", "id-1", &counter_increment, &five, &outcome), FABRIC_OK);
    add_worker(bed, PROBE_MODULE, "probe-worker");
    uint32_t foreign = wait_for_half(bed, "probe-worker");
    uint32_t own = wait_for_half(bed, "counter-worker");
    testbed_wait_ready(bed, 2);
    check_callers(bed, foreign);
    check_status(bed);
    /* Messages of other types go on, in the same shard and elsewhere. */
    assert_int_equal(
        ask(bed, PROBE_TYPE, id_in_shard(foreign, 0, id), &probe_echo, &hello, &outcome),
        FABRIC_OK);
    assert_int_equal(
        ask(bed, "Counter", id_in_shard(own, 0, id), &counter_increment, &five, &outcome),
        FABRIC_OK);
    unsigned lines = testbed_count_events(bed, "broker.log", "runner.type_missing");
    assert_in_range(lines, 1, 4);
    assert_int_equal(testbed_counter(bed->client, "pending"), 2);
    /* A new owner is tried at once, whatever the pause has grown to. */
    process_stop(&bed->cluster.workers[1], WAIT_MAX_MS);
    testbed_wait_ready(bed, 1);
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
    assert_int_equal(
        ask(bed, "Counter", id_in_shard(foreign, 0, id), &counter_increment, &five, &outcome),
        FABRIC_OK);
}

/* Shards move to a worker that brings both types, and that worker alone suffices. */
static void a_type_that_nobody_brings_is_named(void **state)
{
    static const char *const waits[] = {"start a worker", "Counter", NULL};
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
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"each_module_gets_half_of_the_shards", each_module_gets_half_of_the_shards, TESTBED_BOTH},
        {"a_type_that_nobody_brings_is_named", a_type_that_nobody_brings_is_named, TESTBED_SQLITE},
    };
    return testbed_run("types", tests, sizeof tests / sizeof tests[0]);
}
