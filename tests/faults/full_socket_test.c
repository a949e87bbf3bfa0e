/* Sockets that are full for a while: under many large volatile calls the broker is stopped, or a
 * client does not read. Messages that cannot be sent wait in the client, the broker or the worker,
 * and each call gets its right answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "tests/checker/fold.h"
#include "tests/harness/proxy.h"
#include "tests/harness/testbed.h"

enum {
    CALLS = 20000,
    ENTITIES = 5000, /* of each, few messages are with the worker at once */
    STOP_MS = 1200,
    LONG_STOP_MS = 4000, /* in which a worker handles some thousand messages; less than a lease */
    CALL_MS = 60000,
    PADDING_BYTES_MIN = 4 << 10
};

typedef struct load {
    testbed_t *bed;
    fabric_client_t *client;
    uint32_t bytes_min; /* of each padding */
    unsigned inflight;
    unsigned started;
    unsigned ended;
    unsigned wrong;
    char failure[300]; /* of the first that is wrong */
    uint8_t answers[CALLS];
} load_t;

static load_t load;
static proxy_t *proxy;

/* ---- calls ---- */

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    size_t number = (size_t)(uintptr_t)context;
    fold_reply_t reply = {0};
    load.ended++;
    load.answers[number]++;
    bool right = outcome->error == FABRIC_OK && fold_answer_read(payload, &reply) &&
                 reply.number == number && load.answers[number] == 1;
    if (!right && load.wrong++ == 0) {
        snprintf(load.failure, sizeof load.failure, "call %zu: %s: %.200s", number,
                 fabric_error_name(outcome->error), outcome->text);
    }
}

static void start_call(void)
{
    static fold_message_t message; /* large */
    char id[32];
    uint64_t random = load.started;
    message.asked = (fold_request_t){1, 1 + load.started % ENTITIES, load.started};
    snprintf(id, sizeof id, FOLD_ID, message.asked.entity);
    uint32_t more = PADDING_BYTES_MAX - load.bytes_min;
    padding_fill(&message.padding, load.bytes_min + (uint32_t)(padding_random(&random) % more),
                 load.started);
    fabric_call_t call = {.entity = fabric_entity(FOLD_TYPE, id),
                          .message = &fold_echo,
                          .request = &message,
                          .timeout_ms = CALL_MS};
    assert_int_equal(
        fabric_client_start(load.client, &call, call_ended, (void *)(uintptr_t)load.started, NULL),
        FABRIC_OK);
    load.started++;
}

static void step(uint32_t wait_ms)
{
    while (load.started < CALLS && load.started - load.ended < load.inflight) {
        start_call();
    }
    (void)fabric_client_wait(load.client, wait_ms);
    assert_false(stop_requested());
}

static void run_until_ended(unsigned count)
{
    while (load.ended < count && load.wrong == 0) {
        step(20);
    }
}

static void run_for(uint64_t ms)
{
    uint64_t end_ms = clock_monotonic_ms() + ms;
    for (uint64_t now_ms; (now_ms = clock_monotonic_ms()) < end_ms;) {
        step((uint32_t)(end_ms - now_ms < 20 ? end_ms - now_ms : 20));
    }
}

/* ---- tests ---- */

static void close_client(void *context)
{
    (void)context;
    fabric_client_close(&load.client);
    proxy_stop(&proxy);
}

static void begin(void **state, uint32_t bytes_min, unsigned inflight)
{
    static const char *const long_timeouts[] = {"--lease-ms", "10000", "--client-heartbeat-ms",
                                                "5000", NULL};
    static const char *const one_executor[] = {"--executors", "1", NULL};
    load = (load_t){.bed = *state, .bytes_min = bytes_min, .inflight = inflight};
    testbed_t *bed = load.bed;
    bed->broker_arguments = long_timeouts; /* no peer is given up */
    bed->worker_arguments = one_executor;
    bed->at_end = close_client;
    testbed_start(bed, 1);
    unsigned port = (unsigned)strtoul(strrchr(bed->cluster.url, ':') + 1, NULL, 10);
    proxy = proxy_start("127.0.0.1", port, PROXY_BYTES);
    assert_non_null(proxy);
    char url[64];
    snprintf(url, sizeof url, "tcp://127.0.0.1:%u", proxy_port(proxy));
    assert_int_equal(fabric_client_open(url, NULL, &load.client, NULL), FABRIC_OK);
    run_until_ended(200);
}

static void end(void)
{
    run_until_ended(CALLS);
    if (load.wrong > 0) {
        fail_msg("%u of %u calls are not answered as they should: %s", load.wrong, load.ended,
                 load.failure);
    }
    assert_int_equal(testbed_counter(load.bed->client, "redelivered"), 0);
}

/* What the client sends piles up until its socket is full. */
static void the_broker_stops_under_a_client(void **state)
{
    begin(state, 24 << 10, 5500);
    testbed_freeze(&load.bed->cluster.broker);
    run_for(STOP_MS);
    testbed_thaw(&load.bed->cluster.broker);
    end();
}

/* What the worker answers piles up, one result in a frame: less than the 64 MiB beyond which the
 * broker drops a client that reads more slowly. */
static void the_broker_stops_under_a_worker(void **state)
{
    testbed_t *bed = *state;
    bed->work_us = 200;
    begin(state, PADDING_BYTES_MIN, 3000);
    run_until_ended(1000);
    testbed_freeze(&load.bed->cluster.broker);
    run_for(LONG_STOP_MS);
    testbed_thaw(&load.bed->cluster.broker);
    end();
}

/* What the broker answers piles up: more than libzmq and the kernel hold, and less than the 64 MiB
 * beyond which the broker drops a peer that does not read. */
static void a_client_does_not_read(void **state)
{
    begin(state, PADDING_BYTES_MIN, 2400);
    proxy_stall(proxy, PROXY_TO_CLIENT, 0);
    run_for(STOP_MS);
    proxy_heal(proxy);
    end();
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"the_broker_stops_under_a_client", the_broker_stops_under_a_client, TESTBED_SQLITE},
        {"the_broker_stops_under_a_worker", the_broker_stops_under_a_worker, TESTBED_SQLITE},
        {"a_client_does_not_read", a_client_does_not_read, TESTBED_SQLITE},
    };
    return testbed_run("full_socket", tests, sizeof tests / sizeof tests[0]);
}
