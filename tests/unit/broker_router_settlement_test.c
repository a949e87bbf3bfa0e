/* Settlement: a worker hears how far its results are durable, and who continues what an earlier
 * home has begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lanes_driver.h"

enum { ROUND_MS = 100 }; /* more than a round takes to begin and end */

static driver_t *open_two(void)
{
    driver_t *driver = lanes_open_two();
    driver_forget(driver);
    driver_pass(driver, ROUND_MS);
    return driver;
}

/* The worker sends a result, in one frame, for a message of the lane. */
static void handle(driver_t *driver, uint64_t sequence, uint32_t lane)
{
    lanes_ask(driver, sequence, lane, ASK);
    driver_commit(driver);
    driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
}

static void expect_settled(driver_t *driver, uint64_t frames)
{
    driver_pass(driver, ROUND_MS);
    assert_int_equal(driver_take(driver, "w1", KIND_SETTLED)->as.settled.frames, frames);
    assert_int_equal(driver_count(driver, "w1", KIND_SETTLED), 0);
}

static void expect_not_settled(driver_t *driver)
{
    driver_pass(driver, ROUND_MS);
    assert_int_equal(driver_count(driver, "w1", KIND_SETTLED), 0);
}

static void durable_results_are_settled(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    driver_ping(driver, "w1");
    expect_not_settled(driver); /* no result has come */
    handle(driver, 1, 1);
    expect_not_settled(driver); /* it is not durable */
    driver_commit(driver);
    expect_settled(driver, 2);
    expect_not_settled(driver);
    handle(driver, 2, 1);
    handle(driver, 3, 2);
    driver_commit(driver);
    expect_settled(driver, 4);
    driver_close(&driver);
}

static void each_lane_has_to_be_durable(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    lanes_ask(driver, 1, 1, ASK);
    lanes_ask(driver, 2, 2, ASK);
    driver_commit(driver);
    for (int i = 0; i < 2; i++) {
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
    }
    assert_non_null(driver_take_batch(driver, 2));
    driver_batch_done(driver, 2);
    expect_not_settled(driver);
    assert_non_null(driver_take_batch(driver, 1));
    expect_not_settled(driver);
    driver_batch_done(driver, 1);
    expect_settled(driver, 2);
    driver_close(&driver);
}

static void a_new_connection_counts_anew(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    handle(driver, 1, 1);
    driver_pass(driver, ROUND_MS);
    driver_worker_hello(driver, "w1", 101, 2, 1000);
    driver_forget(driver);
    driver_commit(driver);
    expect_not_settled(driver);
    handle(driver, 2, 1);
    driver_commit(driver);
    expect_settled(driver, 1);
    driver_close(&driver);
}

/* The worker hears of the lane's end before it hears anything of later results. */
static void a_lane_that_is_lost_holds_up_nothing(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    handle(driver, 1, 1);
    driver_pass(driver, ROUND_MS);
    driver->epochs[1] = 0;
    router_lane_fenced(driver->router, 1, DRIVER_EPOCH, driver->now_ms);
    driver_pull(driver);
    assert_int_equal(driver_count(driver, "w1", KIND_SETTLED), 0);
    assert_int_equal(driver_take(driver, "w1", KIND_RELEASE)->as.release.moved, 1);
    handle(driver, 2, 2);
    driver_commit(driver);
    driver_pass(driver, ROUND_MS);
    while (driver_count(driver, "w1", KIND_SETTLED) > 1) {
        driver_take(driver, "w1", KIND_SETTLED);
    }
    expect_settled(driver, 2);
    driver_close(&driver);
}

/* ---- who continues ---- */

/* The lane's owner under the home before, as the map says. */
static void map_owner(driver_t *driver, uint64_t term, incarnation_t owner)
{
    shard_map_t *map = shard_map_new();
    wire_writer_t encoded = {0};
    shard_map_set_shards_per_group(map, DRIVER_SHARDS);
    shard_map_set_lanes(map, LANES);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Counter"), 1), FABRIC_OK);
    for (uint16_t i = 1; i <= DRIVER_SHARDS; i++) {
        assert_int_equal(
            shard_map_set_owner(map, fabric_bytes_of("Counter"), shard_id_make(1, i), owner, 0),
            FABRIC_OK);
    }
    shard_map_begin_term(map, term);
    shard_map_encode_snapshot(map, &encoded);
    router_map(driver->router, wire_writer_bytes(&encoded));
    wire_writer_destroy(&encoded);
    shard_map_destroy(&map);
}

static uint64_t count_continued(driver_t *driver, const char *peer)
{
    uint64_t count = 0;
    while (driver_count(driver, peer, KIND_ASSIGN) > 0) {
        count += driver_take(driver, peer, KIND_ASSIGN)->as.assign.continued;
    }
    return count;
}

static driver_t *open_with_workers(void)
{
    driver_t *driver = lanes_open_foreign();
    driver_worker_hello(driver, "w1", 101, 1, 1000);
    driver_worker_hello(driver, "w2", 102, 1, 1000);
    return driver;
}

static void the_last_owner_continues(void **state)
{
    (void)state;
    driver_t *driver = open_with_workers();
    map_owner(driver, 5, driver_runner(101));
    driver_hold(driver, 1, DRIVER_EPOCH);
    driver_desire(driver, 101);
    map_owner(driver, 6, (incarnation_t){{0}}); /* the coordinator knows of no owner yet */
    driver_adopt(driver, 1, NULL, 0);
    assert_int_equal(count_continued(driver, "w1"), DRIVER_SHARDS / LANES);
    driver_worker_hello(driver, "w1", 101, 2, 1000); /* it is given them anew */
    assert_int_equal(count_continued(driver, "w1"), 0);
    driver_close(&driver);
}

static void another_owner_does_not_continue(void **state)
{
    (void)state;
    driver_t *driver = open_with_workers();
    map_owner(driver, 5, driver_runner(101));
    driver_hold(driver, 1, DRIVER_EPOCH);
    driver_adopt(driver, 1, NULL, 0);
    driver_desire(driver, 102);
    assert_int_equal(driver_count(driver, "w2", KIND_ASSIGN), DRIVER_SHARDS / LANES);
    assert_int_equal(count_continued(driver, "w2"), 0);
    map_owner(driver, 6, driver_runner(101)); /* the map is late */
    driver_gone(driver, "w2");
    driver_desire(driver, 101);
    driver_pass(driver, 4000);
    driver_worker_hello(driver, "w1", 101, 2, 1000);
    assert_int_equal(count_continued(driver, "w1"), 0);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durable_results_are_settled),
        cmocka_unit_test(each_lane_has_to_be_durable),
        cmocka_unit_test(a_new_connection_counts_anew),
        cmocka_unit_test(a_lane_that_is_lost_holds_up_nothing),
        cmocka_unit_test(the_last_owner_continues),
        cmocka_unit_test(another_owner_does_not_continue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
