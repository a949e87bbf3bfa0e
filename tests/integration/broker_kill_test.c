/* Brokers that die under load: what was accepted is answered, and nothing is doubled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/checker/table_count.h"
#include "tests/harness/probe_load.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 90000, ENTITIES = 64, INFLIGHT = 256, KILLS = 5 };

static probe_load_t load;

/* Stops the cluster. The journal must have each call of the load once, and its end once, and the
 * handlers must have run in order. */
static void check_everything_once(testbed_t *bed)
{
    testbed_wait_drained(bed);
    assert_int_equal(testbed_counter(bed->client, "pending"), 0);
    assert_int_equal(testbed_counter(bed->client, "dead_letters"), 0);
    testbed_stop_processes(bed);
    probe_starts_t starts = probe_starts_read(bed->folder);
    print_message("%llu calls, %zu starts\n", (unsigned long long)load.started, starts.count);
    probe_starts_check(&starts, &load);
    probe_starts_free(&starts);
    table_count_expect_all_answered(bed, load.started);
}

static void killed_and_restarted(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 2);
    load = (probe_load_t){
        .client = bed->client, .prefix = "call", .entities = ENTITIES, .inflight = INFLIGHT};
    for (int i = 0; i < KILLS; i++) {
        load.tell = i % 2 == 1;
        probe_load_run(&load, INFLIGHT);
        uint64_t killed_us = clock_monotonic_us();
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
        uint64_t ready_us = clock_monotonic_us();
        probe_load_run(&load, 1);
        print_message("kill %d: ready again after %.0f ms, a call ended after %.0f ms\n", i + 1,
                      (double)(ready_us - killed_us) / 1000,
                      (double)(clock_monotonic_us() - killed_us) / 1000);
        probe_load_run(&load, 2 * INFLIGHT);
    }
    probe_load_end(&load);
    check_everything_once(bed);
}

/* Broker and worker at once. */
static void killed_together(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 2);
    load = (probe_load_t){
        .client = bed->client, .prefix = "call", .entities = ENTITIES, .inflight = INFLIGHT};
    for (uint32_t i = 0; i < 2; i++) {
        probe_load_run(&load, INFLIGHT);
        testbed_kill(&bed->cluster.workers[i]);
        testbed_kill(&bed->cluster.broker);
        testbed_add_worker(bed);
        testbed_restart_broker(bed);
        probe_load_run(&load, 2 * INFLIGHT);
    }
    probe_load_end(&load);
    check_everything_once(bed);
}

/* The ends of volatile calls. */
static struct {
    unsigned count;
    fabric_error_t error;
} ended;

static void volatile_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context;
    (void)payload;
    ended.count++;
    ended.error = outcome->error;
}

/* A volatile call is not sent again: nobody knows whether it ran. */
static void volatile_is_unknown(void **state)
{
    static const probe_text_t gate = {"gate"};
    testbed_t *bed = *state;
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "volatile"),
                          .message = &probe_volatile_hold,
                          .request = &gate,
                          .timeout_ms = WAIT_MAX_MS};
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    size_t started = 0;
    ended.count = 0;
    testbed_start(bed, 1);
    assert_int_equal(fabric_client_start(bed->client, &call, volatile_ended, NULL, NULL),
                     FABRIC_OK);
    while (started == 0) {
        probe_starts_t starts = probe_starts_read(bed->folder);
        started = probe_starts_count(&starts, "volatile");
        probe_starts_free(&starts);
        testbed_poll(deadline_ms, "the start of a handler");
    }
    testbed_kill(&bed->cluster.broker);
    deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS / 2; /* not its own deadline ends it */
    while (ended.count == 0) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the end of a volatile call");
    }
    assert_int_equal(ended.error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    testbed_restart_broker(bed);
    testbed_wait_ready(bed, 1);
    testbed_open_gate(bed, "gate");
    call.message = &probe_echo; /* comes after it, on the same entity */
    assert_int_equal(fabric_client_call(bed->client, &call, NULL, NULL, NULL, NULL), FABRIC_OK);
    probe_starts_t starts = probe_starts_read(bed->folder);
    started = probe_starts_count(&starts, "volatile");
    probe_starts_free(&starts);
    assert_int_equal(started, 2); /* it and the echo */
    assert_int_equal(ended.count, 1);
}

/* Callers do not notice a broker that stops in order and starts again. */
static void stopped_and_restarted(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 2);
    load = (probe_load_t){
        .client = bed->client, .prefix = "call", .entities = ENTITIES, .inflight = INFLIGHT};
    probe_load_run(&load, INFLIGHT);
    process_stop(&bed->cluster.broker, WAIT_MAX_MS);
    assert_int_equal(bed->cluster.broker.status, 0);
    testbed_restart_broker(bed);
    probe_load_run(&load, INFLIGHT);
    probe_load_end(&load);
    check_everything_once(bed);
}

/* ---- two brokers ---- */

static void wait_lanes(testbed_t *bed, const char *endpoint, int wanted)
{
    char incarnation[33];
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_lanes_held(bed, endpoint, incarnation) != wanted) {
        testbed_poll(deadline_ms, "the lanes of a broker");
        probe_load_step(&load, 5);
    }
}

/* A client that knows only the standby is redirected to the home once the standby has read the
 * type. */
static void check_redirect(testbed_t *bed)
{
    static const probe_text_t hello = {"hello"};
    probe_text_t reply;
    fabric_outcome_t outcome = {0};
    fabric_client_t *client = NULL;
    fabric_client_options_t options = {.connect_timeout_ms = WAIT_MAX_MS};
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    assert_int_equal(fabric_client_open(bed->cluster.standby_url, &options, &client, NULL),
                     FABRIC_OK);
    fabric_error_t error = FABRIC_ERROR_RUNNER_NOT_REGISTERED;
    while (error == FABRIC_ERROR_RUNNER_NOT_REGISTERED && clock_monotonic_ms() < deadline_ms) {
        error = fabric_client_ask(client, fabric_entity(PROBE_TYPE, "redirected"),
                                  &probe_volatile_echo, &hello, &reply, &outcome);
        probe_load_step(&load, 5);
    }
    fabric_client_close(&client);
    if (error) {
        fail_msg("redirected: %s: %s", fabric_error_name(error), outcome.text);
    }
}

static void standby_takes_over(void **state)
{
    static const char *const arguments[] = {"--lease-ms", "1500", NULL};
    testbed_t *bed = *state;
    char dead[33];
    char sql[200];
    bed->broker_arguments = arguments;
    testbed_start_pair(bed, 2);
    load = (probe_load_t){
        .client = bed->client, .prefix = "call", .entities = ENTITIES, .inflight = INFLIGHT};
    wait_lanes(bed, bed->cluster.url, 1);
    wait_lanes(bed, bed->cluster.standby_url, 0);
    check_redirect(bed);
    probe_load_run(&load, 2 * INFLIGHT);
    assert_int_equal(testbed_lanes_held(bed, bed->cluster.url, dead), 1);

    uint64_t killed_us = clock_monotonic_us();
    testbed_kill(&bed->cluster.broker);
    probe_load_run(&load, INFLIGHT + 1); /* not only what was on its way */
    print_message("takeover: calls go on %.0f ms after the kill\n",
                  (double)(clock_monotonic_us() - killed_us) / 1000);
    wait_lanes(bed, bed->cluster.standby_url, 1);
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM lane WHERE holder = UNHEX('%s')", dead);
    assert_int_equal(testbed_query_number(bed, sql), 0);

    testbed_restart_broker(bed); /* it is now the standby */
    wait_lanes(bed, bed->cluster.url, 0);
    probe_load_run(&load, INFLIGHT);
    testbed_kill(&bed->cluster.standby);
    probe_load_run(&load, INFLIGHT + 1);
    wait_lanes(bed, bed->cluster.url, 1);
    probe_load_end(&load);
    /* one volatile call was beside the load, and has left no entry */
    check_everything_once(bed);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"killed_and_restarted", killed_and_restarted, TESTBED_BOTH},
        {"killed_together", killed_together, TESTBED_BOTH},
        {"volatile_is_unknown", volatile_is_unknown, TESTBED_SQLITE},
        {"stopped_and_restarted", stopped_and_restarted, TESTBED_BOTH},
        {"standby_takes_over", standby_takes_over, TESTBED_MYSQL},
    };
    return testbed_run("broker kill", tests, sizeof tests / sizeof tests[0]);
}
