/* Connections between clients, a worker and the broker are cut, stalled in one or both directions,
 * or corrupted. Heartbeats find each fault; calls end within their deadlines; nothing durable is
 * lost or doubled; the cluster recovers by itself.
 *
 * The broker advertises the address of the clients' proxy, so that no client can avoid the proxy.
 * One of the two workers has a proxy of its own, the other one is connected directly.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/stop.h"
#include "core/clock.h"
#include "tests/harness/machine.h"
#include "tests/harness/proxy.h"
#include "tests/checker/workload.h"

enum {
    LEASE_MS = 1000,
    TAKEOVER_MS = 1000, /* after the lease, as promised */
    SLACK_MS = 3000,    /* a loaded machine */
    HEAL_MS = 20000,
    CALL_MS = 1500
};

typedef struct network {
    testbed_t *bed;
    char direct[300];  /* the broker */
    char clients[300]; /* the same, through the proxy of the clients */
    proxy_t *client_proxy;
    proxy_t *worker_proxy; /* of the first worker */
    const char *arguments[8];
    workload_t *load;
} network_t;

static network_t network;

static void add_worker(const char *url)
{
    snprintf(network.bed->cluster.urls, sizeof network.bed->cluster.urls, "%s", url);
    testbed_add_worker(network.bed);
}

static void stop_proxies(void)
{
    proxy_stop(&network.client_proxy);
    proxy_stop(&network.worker_proxy);
}

static void begin(void **state, bool with_load)
{
    static const char *const first[] = {"--lease-ms", "1000", "--client-heartbeat-ms", "200", NULL};
    char lease[32];
    char through_proxy[64];
    reason_t reason = {{0}};
    stop_proxies(); /* left by a test that failed */
    network = (network_t){.bed = *state};
    testbed_t *bed = network.bed;
    bed->broker_arguments = first;
    machine_measure();
    testbed_start(bed, 0);
    snprintf(network.direct, sizeof network.direct, "%s", bed->cluster.url);
    unsigned port = (unsigned)strtoul(strrchr(network.direct, ':') + 1, NULL, 10);
    network.client_proxy = proxy_start("127.0.0.1", port, PROXY_BYTES);
    network.worker_proxy = proxy_start("127.0.0.1", port, PROXY_BYTES);
    assert_true(network.client_proxy && network.worker_proxy);
    snprintf(network.clients, sizeof network.clients, "tcp://127.0.0.1:%u",
             proxy_port(network.client_proxy));
    snprintf(lease, sizeof lease, "%d", LEASE_MS);
    const char *const arguments[] = {
        "--lease-ms", lease, "--client-heartbeat-ms", "200", "--advertise", network.clients, NULL};
    memcpy(network.arguments, arguments, sizeof arguments);
    bed->options.broker_arguments = network.arguments;
    assert_int_equal(cluster_restart_broker(&bed->cluster, &reason), FABRIC_OK);
    snprintf(through_proxy, sizeof through_proxy, "tcp://127.0.0.1:%u",
             proxy_port(network.worker_proxy));
    add_worker(through_proxy);
    add_worker(network.direct);
    testbed_connect(bed);
    testbed_wait_ready(bed, 2);
    if (with_load) {
        workload_options_t options = {.urls = network.clients, .timeout_ms = 2 * CALL_MS};
        network.load = workload_start(bed, &options);
        workload_run(network.load, 300);
    }
}

/* The cluster has recovered by itself. */
static void end(void)
{
    uint64_t deadline_ms = clock_monotonic_ms() + HEAL_MS;
    proxy_heal(network.client_proxy);
    proxy_heal(network.worker_proxy);
    if (network.load) {
        workload_run(network.load, 300);
        workload_end_and_check(&network.load);
    } else {
        testbed_wait_ready(network.bed, 2);
    }
    assert_true(clock_monotonic_ms() < deadline_ms + 60000);
    stop_proxies();
}

/* How many shards the first worker owns; -1 unless all shards of other workers are healthy. */
static int shards_of_first(void)
{
    char pid[32];
    json_t *status = testbed_status(network.bed->client);
    int shards = 0;
    snprintf(pid, sizeof pid, ":%ld", (long)process_child(&network.bed->cluster.workers[0]));
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(status, "runners"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *end_of_name = name ? strrchr(name, ':') : NULL;
        if (end_of_name && strcmp(end_of_name, pid) == 0) {
            shards = (int)json_integer_value(json_object_get(item, "owned"));
        }
    }
    json_array_foreach(json_object_get(status, "shards"), i, item)
    {
        if (!json_is_true(json_object_get(item, "healthy"))) {
            shards = -1;
        }
    }
    json_decref(status);
    return shards;
}

static bool is_replaced(void *context)
{
    (void)context;
    return shards_of_first() == 0;
}

static bool is_back(void *context)
{
    (void)context;
    return shards_of_first() > 0;
}

/* ---- a worker ---- */

static void expect_replaced_and_back(const char *what)
{
    uint64_t start_ms = clock_monotonic_ms();
    if (!workload_run_until(network.load, is_replaced, NULL,
                            LEASE_MS + (uint32_t)machine_scaled(TAKEOVER_MS + SLACK_MS))) {
        fail_msg("%s: the worker was not replaced", what);
    }
    print_message("%s: replaced after %llu ms\n", what,
                  (unsigned long long)(clock_monotonic_ms() - start_ms));
    workload_run(network.load, 500);
    proxy_heal(network.worker_proxy);
    if (!workload_run_until(network.load, is_back, NULL, HEAL_MS)) {
        fail_msg("%s: the worker did not come back", what);
    }
}

static void frames_from_the_worker_stall(void **state)
{
    begin(state, true);
    proxy_stall(network.worker_proxy, PROXY_TO_SERVER, 0);
    expect_replaced_and_back("worker to broker stalled");
    end();
}

static void frames_to_the_worker_stall(void **state)
{
    begin(state, true);
    proxy_stall(network.worker_proxy, PROXY_TO_CLIENT, 0);
    expect_replaced_and_back("broker to worker stalled");
    end();
}

static void a_frame_of_the_worker_stalls_half_way(void **state)
{
    begin(state, true);
    for (unsigned i = 0; i < 5; i++) { /* shorter than the lease: nobody has to do anything */
        proxy_stall(network.worker_proxy, PROXY_BOTH, 500 + 37 * i);
        workload_run(network.load, LEASE_MS / 4);
        proxy_heal(network.worker_proxy);
        workload_run(network.load, 100);
    }
    proxy_stall(network.worker_proxy, PROXY_BOTH, 777);
    expect_replaced_and_back("stalled in mid-frame");
    end();
}

/* ---- clients ---- */

/* One call through the clients' proxy; how long it took. */
static fabric_error_t timed_call(fabric_client_t *client, bool durable, uint64_t *took_ms)
{
    probe_text_t request = {"hello"};
    probe_text_t reply = {{0}};
    fabric_outcome_t outcome = {0};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "one-way"),
                          .message = durable ? &probe_echo : &probe_volatile_echo,
                          .request = &request,
                          .timeout_ms = CALL_MS};
    uint64_t start_ms = clock_monotonic_ms();
    fabric_error_t error = fabric_client_call(client, &call, &reply, NULL, NULL, &outcome);
    *took_ms = clock_monotonic_ms() - start_ms;
    return error;
}

static void expect_end(fabric_client_t *client, bool durable)
{
    uint64_t took_ms;
    fabric_error_t error = timed_call(client, durable, &took_ms);
    fabric_error_class_t class = fabric_error_class(error);
    assert_in_range(took_ms, 0, CALL_MS + machine_scaled(500));
    assert_true(error != FABRIC_OK);
    assert_true(class == FABRIC_CLASS_UNKNOWN || class == FABRIC_CLASS_RETRY);
}

static void clients_one_way(void **state)
{
    static const proxy_direction_t directions[] = {PROXY_TO_SERVER, PROXY_TO_CLIENT};
    begin(state, true);
    fabric_client_options_t options = {.name = "one-way", .connect_timeout_ms = HEAL_MS};
    fabric_client_t *client = NULL;
    assert_int_equal(fabric_client_open(network.clients, &options, &client, NULL), FABRIC_OK);
    for (size_t i = 0; i < 2; i++) {
        uint64_t took_ms;
        assert_int_equal(timed_call(client, true, &took_ms), FABRIC_OK);
        proxy_stall(network.client_proxy, directions[i], 0);
        expect_end(client, false);
        expect_end(client, true);
        workload_run(network.load, LEASE_MS);
        proxy_heal(network.client_proxy);
        uint64_t deadline_ms = clock_monotonic_ms() + HEAL_MS;
        while (timed_call(client, true, &took_ms) != FABRIC_OK) {
            testbed_poll(deadline_ms, "the client to be served again");
        }
        workload_run(network.load, 500);
    }
    fabric_client_close(&client);
    end();
}

/* ---- all ---- */

static void cut_and_recovered_repeatedly(void **state)
{
    begin(state, true);
    for (unsigned i = 0; i < 8; i++) {
        proxy_cut(network.worker_proxy, i % 2 ? PROXY_RESET : PROXY_CLOSE);
        workload_run(network.load, 150);
        proxy_cut(network.client_proxy, i % 2 ? PROXY_CLOSE : PROXY_RESET);
        workload_run(network.load, 150);
        proxy_cut_after(network.client_proxy, PROXY_BOTH, 1000 + 61 * i, PROXY_RESET);
        proxy_cut_after(network.worker_proxy, PROXY_BOTH, 1000 + 89 * i, PROXY_RESET);
        workload_run(network.load, 150);
    }
    proxy_refuse(network.client_proxy, true); /* nobody listens for a while */
    proxy_refuse(network.worker_proxy, true);
    proxy_cut(network.client_proxy, PROXY_CLOSE);
    proxy_cut(network.worker_proxy, PROXY_CLOSE);
    workload_run(network.load, LEASE_MS);
    proxy_heal(network.client_proxy);
    proxy_heal(network.worker_proxy);
    assert_true(workload_run_until(network.load, is_back, NULL, HEAL_MS));
    end();
}

/* ---- bytes that change on the way ---- */

static bool call_soon(fabric_client_t *client, uint64_t deadline_ms)
{
    uint64_t took_ms;
    while (timed_call(client, true, &took_ms) != FABRIC_OK) {
        if (clock_monotonic_ms() > deadline_ms) {
            return false;
        }
    }
    return true;
}

/* A changed byte that still decodes is taken for good (docs/guarantees.md), so the checker is not
 * run; but every process must go on by itself. */
static void corrupted_bytes(void **state)
{
    begin(state, false);
    fabric_client_options_t options = {.name = "spoilt", .connect_timeout_ms = HEAL_MS};
    fabric_client_t *client = NULL;
    assert_int_equal(fabric_client_open(network.clients, &options, &client, NULL), FABRIC_OK);
    proxy_t *proxies[] = {network.client_proxy, network.worker_proxy};
    for (unsigned i = 0; i < 24; i++) {
        proxy_t *proxy = proxies[i % 2];
        proxy_direction_t direction = i / 2 % 2 ? PROXY_TO_CLIENT : PROXY_TO_SERVER;
        proxy_corrupt(proxy, direction, i / 4); /* of the next frame: its header, then its head */
        uint64_t took_ms;
        uint64_t deadline_ms = clock_monotonic_ms() + HEAL_MS;
        (void)timed_call(client, i % 3 == 0, &took_ms);
        assert_in_range(took_ms, 0, CALL_MS + machine_scaled(500));
        if (!call_soon(client, deadline_ms)) {
            fail_msg("byte %u of %s, %s: the client is not served again", i / 4,
                     i % 2 ? "the worker" : "the client",
                     direction == PROXY_TO_CLIENT ? "from the broker" : "to the broker");
        }
        assert_true(process_runs(&network.bed->cluster.broker));
        assert_true(process_runs(&network.bed->cluster.workers[0]));
        while (!is_back(NULL)) {
            if (clock_monotonic_ms() > deadline_ms) {
                cluster_print_logs(&network.bed->cluster, stderr);
                fail_msg("byte %u of %s, %s: the worker does not come back", i / 4,
                         i % 2 ? "the worker" : "the client",
                         direction == PROXY_TO_CLIENT ? "from the broker" : "to the broker");
            }
            testbed_poll(UINT64_MAX, "");
        }
    }
    fabric_client_close(&client);
    end();
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"frames_from_the_worker_stall", frames_from_the_worker_stall, TESTBED_SQLITE},
        {"frames_to_the_worker_stall", frames_to_the_worker_stall, TESTBED_SQLITE},
        {"a_frame_of_the_worker_stalls_half_way", a_frame_of_the_worker_stalls_half_way,
         TESTBED_SQLITE},
        {"clients_one_way", clients_one_way, TESTBED_SQLITE},
        {"cut_and_recovered_repeatedly", cut_and_recovered_repeatedly, TESTBED_SQLITE},
        {"corrupted_bytes", corrupted_bytes, TESTBED_SQLITE},
    };
    return testbed_run("network", tests, sizeof tests / sizeof tests[0]);
}
