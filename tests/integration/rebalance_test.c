/* Five brokers on one database, of which one is killed, one drains, and one is added under load:
 * each time the lanes are spread evenly again, with the fewest moves, and calls are answered. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/lane_table.h"
#include "tests/harness/lane_watch.h"

enum { BROKERS = 5, WORKERS = 2, WAIT_MAX_MS = 90000 };

static lane_watch_t *watch;

/* The incarnations of the brokers that run; returns how many. */
static uint32_t name_living(testbed_t *bed, char names[CLUSTER_BROKERS_MAX][33])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < bed->cluster.broker_count; i++) {
        if (process_runs(&bed->cluster.brokers[i])) {
            (void)testbed_lanes_held(bed, bed->cluster.broker_urls[i], names[count++]);
        }
    }
    return count;
}

/* All lanes are held by brokers that run, evenly. */
static bool is_even(void *context)
{
    char names[CLUSTER_BROKERS_MAX][33];
    lane_table_t table = lane_table_read(context);
    uint32_t living = name_living(context, names);
    uint32_t sum = 0;
    bool even = true;
    for (uint32_t i = 0; i < living; i++) {
        uint32_t held = lane_table_held(&table, names[i]);
        sum += held;
        even =
            even && held >= TESTBED_LANES / living && held <= (TESTBED_LANES + living - 1) / living;
    }
    return even && sum == TESTBED_LANES;
}

/* Waits until the lanes are spread evenly, after `moves` of them have moved, each once. */
static void expect_even(testbed_t *bed, const lane_table_t *before, uint32_t moves,
                        const char *what)
{
    uint64_t start_ms = clock_monotonic_ms();
    testbed_wait_until(bed, is_even, bed, "an even spread of the lanes");
    lane_table_t after = lane_table_read(bed);
    print_message("%s: %u lanes moved within %llu ms; no lane was silent for more than %u ms\n",
                  what, lane_table_moved(before, &after),
                  (unsigned long long)(clock_monotonic_ms() - start_ms),
                  lane_watch_gap_ms(watch, LANE_WATCH_LANES, true));
    assert_int_equal(lane_table_moved(before, &after), moves);
    assert_int_equal(lane_table_changes(before, &after), moves);
    lane_watch_expect_none_failed(watch, true);
    lane_watch_mark(watch);
}

static uint32_t held_by(testbed_t *bed, uint32_t number)
{
    char incarnation[33];
    return (uint32_t)testbed_lanes_held(bed, bed->cluster.broker_urls[number], incarnation);
}

static void lanes_move_as_seldom_as_they_can(void **state)
{
    testbed_t *bed = *state;
    reason_t reason = {{0}};
    testbed_start_brokers(bed, BROKERS, WORKERS);
    testbed_wait_until(bed, is_even, bed, "an even spread of the lanes");
    watch = lane_watch_start(bed, LANE_WATCH_SHARDS);

    lane_table_t table = lane_table_read(bed);
    uint32_t held = held_by(bed, 0); /* it holds the term, too */
    testbed_kill(&bed->cluster.brokers[0]);
    expect_even(bed, &table, held, "one of five brokers is killed");
    uint64_t failed = lane_watch_failed(watch, false);

    table = lane_table_read(bed);
    held = held_by(bed, 1);
    assert_int_equal(kill(bed->cluster.brokers[1].pid, SIGTERM), 0);
    assert_int_equal(process_wait(&bed->cluster.brokers[1], WAIT_MAX_MS, &reason), FABRIC_OK);
    expect_even(bed, &table, held, "one of four brokers drains");

    table = lane_table_read(bed);
    testbed_add_broker(bed);
    expect_even(bed, &table, TESTBED_LANES / 4, "a broker joins three");
    assert_int_equal(held_by(bed, BROKERS), TESTBED_LANES / 4);

    assert_int_equal(lane_watch_failed(watch, false), failed);
    lane_watch_end(&watch);
    testbed_wait_drained(bed);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"lanes_move_as_seldom_as_they_can", lanes_move_as_seldom_as_they_can, TESTBED_MYSQL},
    };
    return testbed_run("rebalance", tests, sizeof tests / sizeof tests[0]);
}
