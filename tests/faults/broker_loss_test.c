/* One of three brokers is killed, or frozen beyond its lease, or cut off from another one, while
 * each shard is asked: lanes of a dead broker are served elsewhere within a second, those of a
 * frozen one within a second after its lease, and a cut link disturbs nobody. No durable call
 * fails.
 *
 * FABRIC_FAULT_REPEAT: how many are killed and frozen; then the link is cut for a minute, too. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/lane_table.h"
#include "tests/harness/lane_watch.h"
#include "tests/harness/machine.h"
#include "tests/harness/proxy.h"

enum {
    BROKERS = 3,
    WORKERS = 2,
    SERVED_MS_MAX = 1000, /* the promise: from a kill, or the end of a lease */
    LEASE_MS = 3000,      /* the default */
    CUT_LEASE_MS = 1000,
    RUN_MS = 1000, /* at most, between a takeover and the next fault: a checkpoint's interval */
    FAULTS_MAX = 1000,
    WAIT_MAX_MS = 90000,
    LONG_CUT_MS = 60000
};

/* Programs that a sanitizer watches are several times as slow, which the machine is not. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 5 };
#else
enum { SLOWER = 1 };
#endif

static lane_watch_t *watch;

typedef struct spread {
    testbed_t *bed;
    uint32_t number; /* of the broker that is meant */
} spread_t;

static int64_t lanes_of(const spread_t *spread)
{
    char incarnation[33];
    return testbed_lanes_held(spread->bed, spread->bed->cluster.broker_urls[spread->number],
                              incarnation);
}

static bool holds_its_share(void *context)
{
    return lanes_of(context) == TESTBED_LANES / BROKERS;
}

static bool is_no_member(void *context)
{
    return lanes_of(context) < 0;
}

/* ---- brokers that die ---- */

typedef struct fault {
    const char *name;
    void (*inject)(process_t *broker);
    void (*end)(testbed_t *bed, uint32_t number);
    bool noticed_by_lease; /* only */
} fault_t;

/* Returns for how long some lane did not answer durable calls. */
static uint32_t lose_broker(testbed_t *bed, uint32_t number, const fault_t *fault)
{
    spread_t spread = {bed, number};
    lane_watch_mark(watch);
    fault->inject(&bed->cluster.brokers[number]);
    testbed_wait_until(bed, is_no_member, &spread, "a lost broker to be removed");
    testbed_pause(SERVED_MS_MAX); /* if a lane does not answer yet, that counts too */
    uint32_t lane_ms = lane_watch_gap_ms(watch, LANE_WATCH_LANES, true);
    print_message("broker %u %s: a lane did not answer for %u ms, for volatile calls %u ms; a "
                  "shard for %u and %u ms\n",
                  number, fault->name, lane_ms, lane_watch_gap_ms(watch, LANE_WATCH_LANES, false),
                  lane_watch_gap_ms(watch, LANE_WATCH_SHARDS, true),
                  lane_watch_gap_ms(watch, LANE_WATCH_SHARDS, false));
    fault->end(bed, number);
    testbed_wait_until(bed, holds_its_share, &spread, "the lanes of the next incarnation");
    return lane_ms;
}

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void lose_brokers(testbed_t *bed, const fault_t *fault)
{
    char lease[16];
    const char *const arguments[] = {"--lease-ms", lease, NULL};
    static uint32_t gaps_ms[FAULTS_MAX];
    uint32_t count = testbed_repeat(1);
    count = count < FAULTS_MAX ? count : FAULTS_MAX;
    srand((unsigned)testbed_seed());
    machine_measure();
    /* On a slow machine, too, the wait for a lease is to be longer than a takeover without one. */
    uint64_t lease_ms = fault->noticed_by_lease ? LEASE_MS : machine_scaled(LEASE_MS);
    snprintf(lease, sizeof lease, "%u", (unsigned)lease_ms);
    bed->broker_arguments = arguments;
    testbed_start_brokers(bed, BROKERS, WORKERS);
    watch = lane_watch_start(bed, LANE_WATCH_SHARDS);
    for (uint32_t i = 0; i < count; i++) {
        testbed_pause((uint32_t)rand() % RUN_MS);
        gaps_ms[i] = lose_broker(bed, (uint32_t)rand() % BROKERS, fault);
    }
    qsort(gaps_ms, count, sizeof gaps_ms[0], compare_numbers);
    print_message("%u brokers %s under load: a lane did not answer for at least %u, median %u, "
                  "90 %% %u, worst %u ms\n",
                  count, fault->name, gaps_ms[0], gaps_ms[count / 2], gaps_ms[count * 9 / 10],
                  gaps_ms[count - 1]);
    lane_watch_expect_none_failed(watch, true);
    lane_watch_end(&watch);
    testbed_wait_drained(bed);
    machine_measure();
    assert_in_range(gaps_ms[count - 1], 0,
                    (fault->noticed_by_lease ? lease_ms : 0) +
                        SLOWER * machine_scaled(SERVED_MS_MAX));
}

static void a_killed_one_is_replaced_at_once(void **state)
{
    static const fault_t killed = {"killed", testbed_kill, testbed_restart_number, false};
    lose_brokers(*state, &killed);
}

static void freeze(process_t *broker)
{
    testbed_freeze(broker);
}

/* It finds that it is no member any more, and joins as another incarnation. */
static void thaw(testbed_t *bed, uint32_t number)
{
    testbed_thaw(&bed->cluster.brokers[number]);
}

static void a_frozen_one_is_replaced_after_its_lease(void **state)
{
    static const fault_t frozen = {"frozen", freeze, thaw, true};
    lose_brokers(*state, &frozen);
}

/* ---- brokers that do not reach each other ---- */

/* The ways to a broker that everyone takes. */
typedef struct ways {
    proxy_t *router;
    proxy_t *pub;
    char advertise[64];
    char advertise_pub[64];
} ways_t;

static ways_t ways[BROKERS]; /* to the second and the third broker */

static proxy_t *open_way(char advertise[64], char listen[64])
{
    proxy_t *proxy = proxy_start("127.0.0.2", 0, PROXY_BYTES);
    assert_non_null(proxy);
    snprintf(advertise, 64, "tcp://127.0.0.1:%u", proxy_port(proxy));
    snprintf(listen, 64, "tcp://127.0.0.2:%u", proxy_port(proxy));
    return proxy;
}

static void close_ways(void)
{
    for (uint32_t i = 0; i < BROKERS; i++) {
        proxy_stop(&ways[i].router);
        proxy_stop(&ways[i].pub);
    }
}

static char lease_text[16];
static const char *const lease[] = {"--lease-ms", lease_text, NULL};

static void add_broker_behind_ways(testbed_t *bed)
{
    char listen[64];
    char publish[64];
    reason_t reason = {{0}};
    ways_t *to = &ways[bed->cluster.broker_count];
    to->router = open_way(to->advertise, listen);
    to->pub = open_way(to->advertise_pub, publish);
    const char *const arguments[] = {
        lease[0],          lease[1], "--advertise", to->advertise, "--advertise-publish",
        to->advertise_pub, NULL};
    bed->options.broker_arguments = arguments;
    if (cluster_add_broker_at(&bed->cluster, listen, publish, &reason) != FABRIC_OK) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s", reason.text);
    }
    bed->options.broker_arguments = lease;
}

static unsigned count_events(testbed_t *bed, const char *code)
{
    return testbed_count_events(bed, "broker-1.log", code) +
           testbed_count_events(bed, "broker-2.log", code);
}

typedef struct wanted {
    testbed_t *bed;
    unsigned links; /* that have been welcomed, in all */
} wanted_t;

static bool have_reached_each_other(void *context)
{
    const wanted_t *wanted = context;
    return count_events(wanted->bed, "mesh.reached") >= wanted->links;
}

/* Cuts both ways between the second and the third broker. */
static void cut(testbed_t *bed, uint32_t ms)
{
    lane_table_t before = lane_table_read(bed);
    int64_t term = testbed_query_number(bed, "SELECT term FROM coordinator");
    unsigned lost = count_events(bed, "mesh.lost");
    wanted_t wanted = {bed, count_events(bed, "mesh.reached") + 2};
    for (uint32_t to = 1; to < BROKERS; to++) {
        pid_t from = bed->cluster.brokers[BROKERS - to].pid;
        proxy_hold_process(ways[to].router, from);
        proxy_hold_process(ways[to].pub, from);
    }
    testbed_pause(ms);
    assert_in_range(count_events(bed, "mesh.lost") - lost, 2, UINT32_MAX);
    lane_table_t after = lane_table_read(bed);
    for (uint32_t to = 1; to < BROKERS; to++) {
        proxy_heal(ways[to].router);
        proxy_heal(ways[to].pub);
    }
    assert_int_equal(lane_table_moved(&before, &after), 0);
    assert_int_equal(lane_table_changes(&before, &after), 0);
    assert_int_equal(testbed_query_number(bed, "SELECT term FROM coordinator"), term);
    assert_int_equal(
        count_events(bed, "fenced") + testbed_count_events(bed, "broker.log", "fenced"), 0);
    assert_null(cluster_casualty(&bed->cluster));
    testbed_wait_until(bed, have_reached_each_other, &wanted, "both links to be there again");
}

/* Afterwards one of the two that are cut off holds the term. */
static void restart_first_broker(testbed_t *bed)
{
    spread_t spread = {bed, 0};
    reason_t reason = {{0}};
    assert_int_equal(kill(bed->cluster.broker.pid, SIGTERM), 0);
    assert_int_equal(process_wait(&bed->cluster.broker, WAIT_MAX_MS, &reason), FABRIC_OK);
    testbed_restart_number(bed, 0);
    testbed_wait_until(bed, holds_its_share, &spread, "the first broker to have its share again");
}

static void a_cut_link_disturbs_nobody(void **state)
{
    testbed_t *bed = *state;
    machine_measure();
    /* No broker may miss its lease because the machine is slow, and each cut outlasts it. */
    bool long_form = getenv("FABRIC_FAULT_REPEAT") != NULL;
    uint32_t lease_ms = SLOWER * (uint32_t)machine_scaled(long_form ? LEASE_MS : CUT_LEASE_MS);
    uint32_t ms = long_form ? LONG_CUT_MS : 5 * lease_ms / 2;
    snprintf(lease_text, sizeof lease_text, "%u", lease_ms);
    bed->broker_arguments = lease;
    testbed_start(bed, 0);
    while (bed->cluster.broker_count < BROKERS) {
        add_broker_behind_ways(bed);
    }
    testbed_wait_spread(bed);
    for (uint32_t i = 0; i < WORKERS; i++) {
        testbed_add_worker(bed);
    }
    testbed_wait_ready(bed, WORKERS);
    watch = lane_watch_start(bed, LANE_WATCH_SHARDS);
    if (long_form) {
        cut(bed, ms);
    }
    restart_first_broker(bed);
    lane_watch_mark(watch);
    cut(bed, ms);
    print_message("the link between two brokers is cut for %u ms: a lane did not answer for at "
                  "most %u ms, for volatile calls %u ms; %llu of these failed\n",
                  ms, lane_watch_gap_ms(watch, LANE_WATCH_LANES, true),
                  lane_watch_gap_ms(watch, LANE_WATCH_LANES, false),
                  (unsigned long long)lane_watch_failed(watch, false));
    lane_watch_expect_none_failed(watch, true);
    lane_watch_end(&watch);
    testbed_wait_drained(bed);
    testbed_stop_processes(bed);
    close_ways();
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_killed_one_is_replaced_at_once", a_killed_one_is_replaced_at_once, TESTBED_MYSQL},
        {"a_frozen_one_is_replaced_after_its_lease", a_frozen_one_is_replaced_after_its_lease,
         TESTBED_MYSQL},
        {"a_cut_link_disturbs_nobody", a_cut_link_disturbs_nobody, TESTBED_MYSQL},
    };
    int failed = testbed_run("broker loss", tests, sizeof tests / sizeof tests[0]);
    close_ways(); /* those of a test that has failed */
    return failed;
}
