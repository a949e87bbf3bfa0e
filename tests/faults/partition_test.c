/* A broker and a worker run in separate network namespaces, and packets between them are dropped in
 * one direction or both, of which neither end is told. The worker is replaced after its lease; when
 * packets pass again, the cluster recovers by itself; nothing is lost or doubled.
 *
 * The test's program moves into a namespace of its own, with the broker, the clients and the second
 * worker on its loopback. The first worker's namespace has no loopback: its 127.0.0.1 is the
 * broker's, over a pair of veth devices, so that nobody needs to allow plain text. nftables drops
 * the packets. In another test it is the standby that is on the far side.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/harness/cluster_status.h"
#include "tests/harness/machine.h"
#include "tests/checker/workload.h"

enum {
    LEASE_MS = 1000,
    TAKEOVER_MS = 1000, /* after the lease, as promised */
    SLACK_MS = 3000,    /* a loaded machine */
    HEAL_MS = 60000,
    TOOL_MS = 30000,
    REACH_MS = 900,
    CUT_MS = 6000,
    LONG_CUT_MS = 120000 /* a minute for each way to be apart */
};

#define NEAR "fabric0" /* the broker's end of the pair */
#define FAR  "fabric1" /* the worker's */

typedef enum direction { TO_BROKER, TO_WORKER, BOTH } direction_t;

static testbed_t *bed;
static int near_namespace = -1;
static int far_namespace = -1;

/* ---- namespaces ---- */

/* Runs a tool of the system to its end; false where it is not there or fails. */
static bool run_tool(const char *const *arguments)
{
    char log[FOLDER_PATH_SIZE + 16];
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    snprintf(log, sizeof log, "%s/tools.log", bed->folder);
    if (process_start(arguments, log, false, &reason, &process) != FABRIC_OK) {
        return false;
    }
    bool done = process_wait(&process, TOOL_MS, &reason) == FABRIC_OK;
    process_stop(&process, 0);
    return done;
}

#define RUN_TOOL(...) run_tool((const char *const[]){__VA_ARGS__, NULL})

static bool enter(int namespace)
{
    return setns(namespace, CLONE_NEWNET) == 0;
}

static int own_namespace(void)
{
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* Turns a setting of the present namespace on. */
static bool turn_on(const char *setting)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/%s", setting);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool done = file >= 0 && write(file, "1", 1) == 1;
    if (file >= 0) {
        close(file);
    }
    return done;
}

/* Lets a device of the present namespace carry packets from and to 127.0.0.1. */
static bool let_loopback_pass(const char *device)
{
    char setting[64];
    snprintf(setting, sizeof setting, "conf/%s/route_localnet", device);
    return turn_on(setting);
}

static bool make_far_side(void)
{
    char path[64];
    if (unshare(CLONE_NEWNET) != 0) {
        return false;
    }
    far_namespace = own_namespace();
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getpid(), far_namespace);
    return enter(near_namespace) &&
           RUN_TOOL("ip", "link", "add", NEAR, "type", "veth", "peer", "name", FAR, "netns",
                    path) &&
           enter(far_namespace) && RUN_TOOL("ip", "address", "add", "10.9.0.2/30", "dev", FAR) &&
           RUN_TOOL("ip", "link", "set", FAR, "up") && let_loopback_pass(FAR) &&
           RUN_TOOL("ip", "route", "add", "127.0.0.1/32", "via", "10.9.0.1", "dev", FAR) &&
           enter(near_namespace);
}

static bool make_filter(void)
{
    return RUN_TOOL("nft", "add", "table", "ip", "cut") &&
           RUN_TOOL("nft", "add", "chain", "ip", "cut", "in",
                    "{ type filter hook input priority 0; }") &&
           RUN_TOOL("nft", "add", "chain", "ip", "cut", "out",
                    "{ type filter hook output priority 0; }");
}

static const char *make_namespaces(void)
{
    if (near_namespace >= 0) {
        return NULL;
    }
    if (unshare(CLONE_NEWNET) != 0) {
        return errno == EPERM ? "network namespaces are for root"
                              : "the kernel gives no network namespace";
    }
    near_namespace = own_namespace();
    if (!RUN_TOOL("ip", "link", "set", "lo", "up") || !make_far_side() ||
        !RUN_TOOL("ip", "address", "add", "10.9.0.1/30", "dev", NEAR) ||
        !RUN_TOOL("ip", "link", "set", NEAR, "up") || !let_loopback_pass(NEAR)) {
        return "ip cannot join two network namespaces here";
    }
    return make_filter() ? NULL : "nft cannot drop packets here";
}

static void drop(direction_t direction)
{
    if (direction != TO_WORKER) {
        assert_true(RUN_TOOL("nft", "add", "rule", "ip", "cut", "in", "iifname", NEAR, "drop"));
    }
    if (direction != TO_BROKER) {
        assert_true(RUN_TOOL("nft", "add", "rule", "ip", "cut", "out", "oifname", NEAR, "drop"));
    }
}

static void heal(void)
{
    assert_true(RUN_TOOL("nft", "flush", "table", "ip", "cut"));
}

/* ---- a worker apart ---- */

static void make_sides(void **state)
{
    static const char *const arguments[] = {"--lease-ms", "1000", NULL};
    bed = *state;
    const char *missing = make_namespaces();
    if (missing) {
        testbed_skip(bed, missing);
    }
    heal(); /* rules left by a test that failed */
    bed->broker_arguments = arguments;
    machine_measure();
}

static workload_t *begin(void **state)
{
    make_sides(state);
    testbed_start(bed, 0);
    assert_true(enter(far_namespace));
    testbed_add_worker(bed);
    assert_true(enter(near_namespace));
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    workload_t *load = workload_start(bed, &(workload_options_t){0});
    workload_run(load, 300);
    return load;
}

static bool is_replaced(void *context)
{
    (void)context;
    return testbed_shards_owned(bed, &bed->cluster.workers[0]) <= 0;
}

static bool is_back(void *context)
{
    (void)context;
    return testbed_shards_owned(bed, &bed->cluster.workers[0]) > 0;
}

static void cut_and_heal(void **state, direction_t direction)
{
    workload_t *load = begin(state);
    for (uint32_t i = 0; i < testbed_repeat(1); i++) {
        assert_true(is_back(NULL));
        drop(direction);
        uint64_t start_ms = clock_monotonic_ms();
        if (!workload_run_until(load, is_replaced, NULL,
                                LEASE_MS + (uint32_t)machine_scaled(TAKEOVER_MS + SLACK_MS))) {
            fail_msg("the worker was not replaced");
        }
        print_message("%s: replaced after %llu ms\n", bed->name,
                      (unsigned long long)(clock_monotonic_ms() - start_ms));
        workload_run(load, 2 * LEASE_MS); /* the other one has all shards meanwhile */
        assert_true(is_replaced(NULL));
        heal();
        if (!workload_run_until(load, is_back, NULL, HEAL_MS)) {
            fail_msg("the worker did not come back");
        }
        workload_run(load, 300);
    }
    workload_end_and_check(&load);
}

static void worker_to_broker(void **state)
{
    cut_and_heal(state, TO_BROKER);
}

static void broker_to_worker(void **state)
{
    cut_and_heal(state, TO_WORKER);
}

static void both_ways(void **state)
{
    cut_and_heal(state, BOTH);
}

/* ---- a standby apart ---- */

/* Whether the standby's side can connect to the home. */
static bool is_reachable(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_usec = REACH_MS * 1000};
    unsigned port = (unsigned)strtoul(strrchr(bed->cluster.url, ':') + 1, NULL, 10);
    address.sin_port = htons((uint16_t)port);
    assert_true(enter(far_namespace));
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    bool reachable = connect(file, (const struct sockaddr *)&address, sizeof address) == 0;
    close(file);
    assert_true(enter(near_namespace));
    return reachable;
}

/* Waits until the home has its workers: this side cannot ask the standby. */
static void wait_for_home(void)
{
    reason_t reason = {{0}};
    status_brokers_t home = status_at(bed->client);
    if (status_wait_ready(&home, 2, HEAL_MS, &reason) != FABRIC_OK) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s", reason.text);
    }
}

/* Both reach the database: who cannot reach its home takes nobody for dead. The packets are
 * dropped, or the home's machine seems to refuse them. */
static void brokers_apart(void **state)
{
    reason_t reason = {{0}};
    char before[33];
    char after[33];
    uint32_t cut_ms = getenv("FABRIC_FAULT_REPEAT") ? LONG_CUT_MS : CUT_MS;
    make_sides(state);
    bed->lanes = 1;               /* of which the first broker stays the home */
    bed->broker_arguments = NULL; /* the lease is to be the usual one */
    testbed_start(bed, 0);
    assert_true(enter(far_namespace));
    assert_true(turn_on("ip_nonlocal_bind")); /* 127.0.0.1 is the home's there */
    fabric_error_t error = cluster_start_standby(&bed->cluster, &reason);
    assert_true(enter(near_namespace));
    if (error) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s", reason.text);
    }
    testbed_add_worker(bed);
    testbed_add_worker(bed);
    wait_for_home();
    workload_t *load = workload_start(bed, &(workload_options_t){.urls = bed->cluster.url});
    workload_run(load, 300);
    assert_int_equal(testbed_lanes_held(bed, bed->cluster.url, before), 1);
    assert_true(is_reachable());
    for (int refuses = 0; refuses < 2; refuses++) {
        if (refuses) {
            assert_true(RUN_TOOL("nft", "add", "rule", "ip", "cut", "in", "iifname", NEAR, "meta",
                                 "l4proto", "tcp", "reject", "with", "tcp", "reset"));
        } else {
            drop(BOTH);
        }
        assert_false(is_reachable());
        workload_run(load, cut_ms / 2);
        heal();
    }
    assert_int_equal(testbed_lanes_held(bed, bed->cluster.url, after), 1);
    assert_string_equal(before, after);
    assert_int_equal(testbed_query_number(bed, "SELECT MAX(epoch) FROM lane"), 1);
    assert_int_equal(testbed_query_number(bed, "SELECT term FROM coordinator"), 1);
    assert_int_equal(testbed_count_events(bed, "broker.log", "fenced"), 0);
    assert_int_equal(testbed_count_events(bed, "broker-1.log", "fenced"), 0);
    assert_null(cluster_casualty(&bed->cluster));
    workload_end_and_check(&load);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"worker_to_broker", worker_to_broker, TESTBED_SQLITE},
        {"broker_to_worker", broker_to_worker, TESTBED_SQLITE},
        {"both_ways", both_ways, TESTBED_SQLITE},
        {"brokers_apart", brokers_apart, TESTBED_MYSQL},
    };
    return testbed_run("partition", tests, sizeof tests / sizeof tests[0]);
}
