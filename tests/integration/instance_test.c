/* Instances of entities outlive the brokers that are their homes: they are not made anew, and no
 * message reaches them twice. */
#include <signal.h>
#include <stdio.h>

#include "core/clock.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum { BROKERS = 3, ENTITIES = 64, INFLIGHT = 128, WAIT_MAX_MS = 90000 };

/* A broker's death is proved long before; a loaded machine needs the rest. */
static const char *const broker_arguments[] = {"--lease-ms", "15000", NULL};

static probe_load_t load;

static void start(testbed_t *bed)
{
    bed->broker_arguments = broker_arguments;
    bed->work_us = 200;
    testbed_start_brokers(bed, BROKERS, 1); /* no shard moves to another worker */
    load = (probe_load_t){
        .client = bed->client, .prefix = "call", .entities = ENTITIES, .inflight = INFLIGHT};
    probe_load_run(&load, INFLIGHT);
}

/* Runs the load until the broker holds no lane, and each lane has served calls elsewhere. */
static void run_without(testbed_t *bed, uint32_t number)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    char incarnation[33];
    while (testbed_lanes_held(bed, bed->cluster.broker_urls[number], incarnation) != -1) {
        probe_load_step(&load, 5);
        testbed_poll(deadline_ms, "the others to take the lanes");
    }
    probe_load_run(&load, (uint64_t)4 * INFLIGHT);
}

/* The place that an entity's list in memory gives the next number. */
static uint64_t next_position(testbed_t *bed, uint32_t entity)
{
    char id[64];
    snprintf(id, sizeof id, "%s-%u", load.prefix, entity);
    probe_number_t request = {load.next[entity] + 1};
    probe_place_t place = {0};
    fabric_outcome_t outcome;
    fabric_error_t error = fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, id),
                                             &probe_append, &request, &place, &outcome);
    assert_int_equal(error, FABRIC_OK);
    return place.position;
}

/* Each message was handled once, and the lists in memory have all of them. */
static void end_and_check(testbed_t *bed)
{
    probe_load_end(&load);
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t again = 0;
    for (size_t i = 0; i < starts.count; i++) {
        again += starts.items[i].delivery > 1;
    }
    print_message("%llu calls, %zu starts, %zu of them after a change of home\n",
                  (unsigned long long)load.started, starts.count, again);
    assert_int_equal(starts.count, load.started);
    probe_starts_free(&starts);
    for (uint32_t i = 0; i < ENTITIES; i++) {
        assert_int_equal(next_position(bed, i), load.next[i] + 1);
    }
}

static void a_home_is_killed(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    for (uint32_t i = 1; i < BROKERS; i++) {
        testbed_kill(&bed->cluster.brokers[i]);
        run_without(bed, i);
    }
    end_and_check(bed);
}

static void a_home_hands_its_lanes_over(void **state)
{
    testbed_t *bed = *state;
    start(bed);
    for (uint32_t i = 1; i < BROKERS; i++) {
        assert_int_equal(kill(bed->cluster.brokers[i].pid, SIGTERM), 0);
        run_without(bed, i);
    }
    end_and_check(bed);
}

/* ---- a handler that runs ---- */

static void hold_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)payload;
    assert_int_equal(outcome->error, FABRIC_OK);
    *(bool *)context = true;
}

static size_t count_starts(const testbed_t *bed, const char *id)
{
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t count = probe_starts_count(&starts, id);
    probe_starts_free(&starts);
    return count;
}

/* Handlers of all lanes run while a broker dies, and answer the home that comes next. */
static void handlers_outlive_their_home(void **state)
{
    testbed_t *bed = *state;
    bool ended[ENTITIES] = {false};
    start(bed);
    probe_load_end(&load);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    char id[64];
    for (uint32_t i = 0; i < ENTITIES; i++) {
        snprintf(id, sizeof id, "held-%u", i);
        probe_text_t request = {"gate"};
        fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                              .message = &probe_hold,
                              .request = &request,
                              .timeout_ms = WAIT_MAX_MS};
        assert_int_equal(fabric_client_start(bed->client, &call, hold_ended, &ended[i], NULL),
                         FABRIC_OK);
        while (count_starts(bed, id) == 0) {
            (void)fabric_client_wait(bed->client, 1);
            testbed_poll(deadline_ms, "a handler to start");
        }
    }
    testbed_kill(&bed->cluster.brokers[1]);
    run_without(bed, 1);
    testbed_open_gate(bed, "gate");
    for (uint32_t i = 0; i < ENTITIES; i++) {
        while (!ended[i]) {
            (void)fabric_client_wait(bed->client, 5);
            testbed_poll(deadline_ms, "a handler's answer");
        }
        snprintf(id, sizeof id, "held-%u", i);
        assert_int_equal(count_starts(bed, id), 1);
    }
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_home_is_killed", a_home_is_killed, TESTBED_MYSQL},
        {"a_home_hands_its_lanes_over", a_home_hands_its_lanes_over, TESTBED_MYSQL},
        {"handlers_outlive_their_home", handlers_outlive_their_home, TESTBED_MYSQL},
    };
    return testbed_run("instance", tests, sizeof tests / sizeof tests[0]);
}
