/* One of three brokers does not reach the database any more, which the others do: they take its
 * lanes after its lease, no durable call fails, and it comes back when it reaches the database. */
#include <stdio.h>
#include <stdlib.h>

#include "mysql/mysql_url.h"
#include "tests/harness/lane_table.h"
#include "tests/harness/lane_watch.h"
#include "tests/harness/mariadb.h"
#include "tests/harness/proxy.h"

enum { BROKERS = 3, WORKERS = 2, CUT = 2, BETWEEN_MS = 500 };

#define BROKER_USER "cut"

static proxy_t *proxy; /* the way of the last broker to the database */
static lane_watch_t *watch;
static char store[400];

static int64_t lanes_of_the_cut_one(testbed_t *bed)
{
    char incarnation[33];
    return testbed_lanes_held(bed, bed->cluster.broker_urls[CUT], incarnation);
}

static bool is_no_member(void *context)
{
    return lanes_of_the_cut_one(context) < 0;
}

static bool holds_its_share(void *context)
{
    return lanes_of_the_cut_one(context) == TESTBED_LANES / BROKERS;
}

static bool others_hold_all(void *context)
{
    testbed_t *bed = context;
    char incarnation[33];
    int64_t lanes = 0;
    for (uint32_t i = 0; i < BROKERS; i++) {
        int64_t held =
            i == CUT ? 0 : testbed_lanes_held(bed, bed->cluster.broker_urls[i], incarnation);
        lanes += held > 0 ? held : 0;
    }
    return lanes == TESTBED_LANES;
}

static void open_way(testbed_t *bed)
{
    mysql_url_t url;
    char statements[300];
    assert_int_equal(mysql_url_parse(bed->database, NULL, &url), FABRIC_OK);
    proxy_stop(&proxy); /* left by a test that failed */
    proxy = proxy_start("127.0.0.1", url.port, PROXY_BYTES);
    assert_non_null(proxy);
    snprintf(statements, sizeof statements,
             "CREATE USER IF NOT EXISTS " BROKER_USER "@'%%'; GRANT ALL ON %s.* TO " BROKER_USER
             "@'%%'",
             url.database);
    assert_true(mariadb_execute(bed->database, statements));
    snprintf(store, sizeof store, "mysql://" BROKER_USER "@127.0.0.1:%u/%s", proxy_port(proxy),
             url.database);
}

static void start(testbed_t *bed)
{
    if (!mariadb_own()) {
        testbed_skip(bed, "the server is not the test's own");
    }
    open_way(bed);
    testbed_start(bed, 0);
    testbed_add_broker(bed);
    bed->options.broker_store = store;
    testbed_add_broker(bed);
    testbed_wait_spread(bed);
    for (uint32_t i = 0; i < WORKERS; i++) {
        testbed_add_worker(bed);
    }
    testbed_connect(bed);
    testbed_wait_ready(bed, WORKERS);
    watch = lane_watch_start(bed, LANE_WATCH_SHARDS);
}

/* The others have the lanes while the broker is still cut off. */
static void expect_replacement(testbed_t *bed, proxy_direction_t directions)
{
    start(bed);
    testbed_pause(BETWEEN_MS);
    lane_table_t before = lane_table_read(bed);
    lane_watch_mark(watch);
    proxy_stall(proxy, directions, 0);
    testbed_wait_until(bed, is_no_member, bed, "the removal of a broker without its database");
    testbed_wait_until(bed, others_hold_all, bed, "all lanes to have other holders");
    lane_table_t after = lane_table_read(bed);
    assert_in_range(lane_table_moved(&before, &after), TESTBED_LANES / BROKERS, TESTBED_LANES);
    testbed_pause(BETWEEN_MS);
    print_message("a lane did not answer for %u ms\n",
                  lane_watch_gap_ms(watch, LANE_WATCH_LANES, true));
    proxy_heal(proxy);
    testbed_wait_until(bed, holds_its_share, bed, "the broker to come back");
    assert_null(cluster_casualty(&bed->cluster));
    lane_watch_expect_none_failed(watch, true);
    lane_watch_end(&watch);
    testbed_wait_drained(bed);
    testbed_stop_processes(bed);
    proxy_stop(&proxy);
}

/* Nothing reaches the database any more. */
static void test_il_1_a_broker_without_its_database_is_replaced(void **state)
{
    expect_replacement(*state, PROXY_BOTH);
}

/* Statements reach the database, and their answers never come. */
static void test_il_3_a_broker_that_waits_for_an_answer_for_ever_is_replaced(void **state)
{
    expect_replacement(*state, PROXY_TO_CLIENT);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_il_1_a_broker_without_its_database_is_replaced",
         test_il_1_a_broker_without_its_database_is_replaced, TESTBED_MYSQL},
        {"test_il_3_a_broker_that_waits_for_an_answer_for_ever_is_replaced",
         test_il_3_a_broker_that_waits_for_an_answer_for_ever_is_replaced, TESTBED_MYSQL},
    };
    int failed = testbed_run("store cut", tests, sizeof tests / sizeof tests[0]);
    proxy_stop(&proxy);
    return failed;
}
