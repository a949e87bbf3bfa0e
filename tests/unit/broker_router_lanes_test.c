/* Lanes in the router: some are its broker's and others are not, at the same time. What comes with
 * a lane that is adopted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lanes_driver.h"

/* ---- some lanes are home, and others are not ---- */

static void each_lane_serves_by_itself(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    for (uint32_t lane = 0; lane < LANES; lane++) {
        bool home = lane == 1 || lane == 2;
        lanes_ask(driver, 1 + lane, lane, ASK);
        lanes_ask(driver, 11 + lane, lane, 0);
        if (!home) {
            lanes_assert_redirected(driver, 1 + lane);
            lanes_assert_redirected(driver, 11 + lane);
        }
        assert_int_equal(lanes_count_answers(driver), 0);
        assert_int_equal(router_waiting(driver->router, lane), home);
    }
    assert_int_equal(driver_count(driver, "w1", KIND_ASSIGN), DRIVER_SHARDS / LANES * 2);
    while (driver_count(driver, "w1", KIND_ASSIGN) > 0) {
        const message_assign_t *assign = &driver_take(driver, "w1", KIND_ASSIGN)->as.assign;
        uint32_t lane = shard_id_number((shard_id_t){(uint32_t)assign->shard}) % LANES;
        assert_true(lane == 1 || lane == 2);
        assert_int_equal(assign->home_epoch, DRIVER_EPOCH);
    }
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).accepted, 2);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 4);
    driver_close(&driver);
}

/* The database of one lane does not serve; what another broker is home of is redirected all the
 * same. */
static void only_own_lanes_wait_for_the_database(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    driver_map(driver, 2, driver->config.incarnation);
    for (uint32_t lane = 0; lane < LANES; lane++) {
        router_lane_available(driver->router, lane, false, "it is away");
    }
    lanes_ask(driver, 1, 1, ASK);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_PERSISTENCE);
    lanes_ask(driver, 2, 3, ASK);
    driver_take(driver, "c1", KIND_REDIRECT);
    driver_close(&driver);
}

static void an_orderly_stop_ends_with_the_lanes_that_there_are(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    lanes_ask(driver, 1, 1, ASK);
    driver_stop(driver);
    while (driver_count(driver, "w1", KIND_RELEASE) > 0) {
        assert_false(router_drained(driver->router));
        message_release_t release = driver_take(driver, "w1", KIND_RELEASE)->as.release;
        message_released_t released = {release.shard, release.home_epoch, release.owner_sequence};
        driver_send(driver, "w1", released, &released);
    }
    assert_false(router_drained(driver->router));
    driver_commit(driver);
    assert_true(router_drained(driver->router));
    driver_hold(driver, 3, DRIVER_EPOCH); /* it comes too late to get owners */
    driver_adopt(driver, 3, lanes_stored(700, 3, 9), 700);
    driver_desire(driver, 101);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    assert_true(router_drained(driver->router));
    driver_close(&driver);
}

/* ---- holds and adoptions ---- */

static void each_hold_is_adopted_once(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_foreign();
    store_hold_t hold;
    assert_false(router_next_adoption(driver->router, &hold));
    driver_hold(driver, 2, 5);
    driver_hold(driver, 3, 6); /* and lane 2 again */
    for (uint32_t lane = 2; lane <= 3; lane++) {
        assert_true(router_next_adoption(driver->router, &hold));
        assert_int_equal(hold.lane, lane);
        assert_int_equal(hold.epoch, 3 + lane);
        assert_true(incarnation_equal(hold.holder, driver->config.incarnation));
    }
    driver_hold(driver, 3, 6);
    assert_false(router_next_adoption(driver->router, &hold));
    assert_false(lanes_adopted(driver, 2, 5));
    driver_adopt(driver, 2, NULL, 0);
    assert_true(lanes_adopted(driver, 2, 5));
    driver_hold(driver, 3, 6);
    assert_false(router_next_adoption(driver->router, &hold));
    driver_close(&driver);
}

/* The store names all holders. */
static void holds_of_others_do_not_count(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_foreign();
    store_hold_t holds[] = {{1, {{0xb1}}, 4}, {LANES, driver->config.incarnation, 4}};
    store_hold_t hold;
    router_lanes_held(driver->router, holds, 2, driver->now_ms);
    assert_false(router_next_adoption(driver->router, &hold));
    driver_close(&driver);
}

static void an_adoption_that_is_over_changes_nothing(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_foreign();
    driver_hold(driver, 1, 4);
    driver_hold(driver, 1, 0);
    driver->epochs[1] = 4;
    driver_adopt(driver, 1, lanes_stored(700, 1, 9), 700); /* not its holder any more */
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_hold(driver, 1, 5);
    driver->epochs[1] = 4;
    driver_adopt(driver, 1, lanes_stored(700, 1, 9), 700); /* the holder under another epoch */
    assert_int_equal(driver_counters(driver).pending, 0);
    assert_int_equal(driver->order_count, 0);
    driver->epochs[1] = 5;
    driver_adopt(driver, 1, lanes_stored(700, 1, 9), 700);
    assert_int_equal(driver_counters(driver).pending, 1);
    driver_adopt(driver, 1, lanes_stored(701, 1, 10), 701); /* adopted already */
    assert_int_equal(driver_counters(driver).pending, 1);
    assert_true(lanes_adopted(driver, 1, 5));
    driver_close(&driver);
}

/* A hold that has ended, by a fence, may have been read just before. */
/* Asks in a lane that is not home, and compares the refusal's text. */
static void expect_refusal(driver_t *driver, uint64_t sequence, uint32_t lane, const char *text)
{
    lanes_ask(driver, sequence, lane, ASK);
    const message_rejected_t *rejected = &driver_take(driver, "c1", KIND_REJECTED)->as.rejected;
    assert_int_equal(rejected->sequence, sequence);
    assert_int_equal(rejected->error, FABRIC_ERROR_NOT_HOME);
    assert_true(rejected->retry_after_ms > 0);
    assert_true(fabric_bytes_equal(rejected->text, fabric_bytes_of(text)));
}

static size_t count_damages(const driver_t *driver, uint32_t lane, uint64_t epoch)
{
    size_t count = 0;
    for (size_t i = 0; i < driver->order_count; i++) {
        const router_order_t *order = &driver->orders[i];
        count += order->kind == ROUTER_LANE_DAMAGED && order->lane == lane && order->epoch == epoch;
    }
    return count;
}

static void find_damage(driver_t *driver, uint32_t lane, uint64_t epoch)
{
    router_lane_damaged(driver->router, lane, epoch, driver->now_ms);
    driver_pull(driver);
}

static void callers_are_told_why_a_lane_is_not_home(void **state)
{
    (void)state;
    static const char adopting[] = "lane 3 is being adopted by this broker";
    static const char damaged[] = "lane 3 is damaged: the log of its broker says where";
    driver_t *driver = lanes_open_two();
    driver_map(driver, 2, driver->config.incarnation);
    driver_hold(driver, 3, 4);
    expect_refusal(driver, 1, 3, adopting);
    find_damage(driver, 3, 3); /* under a hold that is over */
    assert_int_equal(count_damages(driver, 3, 3), 0);
    expect_refusal(driver, 2, 3, adopting);
    find_damage(driver, 3, 4);
    find_damage(driver, 3, 4); /* it was looked at again */
    assert_int_equal(count_damages(driver, 3, 4), 1);
    expect_refusal(driver, 3, 3, damaged);
    driver_hold(driver, 3, 5);
    expect_refusal(driver, 4, 3, adopting);
    find_damage(driver, 3, 5);
    driver_adopt(driver, 3, NULL, 0);
    assert_true(lanes_adopted(driver, 3, 5));
    find_damage(driver, 3, 5); /* the lane is home */
    assert_int_equal(count_damages(driver, 3, 5), 1);
    driver_forget(driver);
    lanes_ask(driver, 5, 3, ASK);
    driver_commit(driver);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    driver_close(&driver);
}

static void a_hold_that_is_over_does_not_begin_again(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    store_hold_t hold;
    while (router_next_adoption(driver->router, &hold)) {
    }
    router_lane_fenced(driver->router, 1, DRIVER_EPOCH, driver->now_ms);
    driver_hold(driver, 1, DRIVER_EPOCH);
    assert_false(router_next_adoption(driver->router, &hold));
    driver_hold(driver, 1, DRIVER_EPOCH + 1);
    assert_true(router_next_adoption(driver->router, &hold));
    router_lane_fenced(driver->router, 1, DRIVER_EPOCH, driver->now_ms); /* heard of late */
    driver_adopt(driver, 1, NULL, 0);
    assert_true(lanes_adopted(driver, 1, DRIVER_EPOCH + 1));
    router_lane_fenced(driver->router, 1, DRIVER_EPOCH, driver->now_ms);
    lanes_ask(driver, 1, 1, ASK);
    assert_int_equal(lanes_count_answers(driver), 0);
    driver_close(&driver);
}

static void a_lane_under_a_new_epoch_is_adopted_anew(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    lanes_ask(driver, 1, 1, ASK);
    driver_commit(driver);
    driver_delivery(driver, "w1");
    driver_hold(driver, 1, DRIVER_EPOCH + 1);
    lanes_assert_redirected(driver, 1);
    driver_forget(driver);
    driver_adopt(driver, 1, lanes_stored(700, 1, 1), 700);
    driver_desire(driver, 101);
    const message_assign_t *assign = &driver_take(driver, "w1", KIND_ASSIGN)->as.assign;
    assert_int_equal(assign->home_epoch, DRIVER_EPOCH + 1);
    const message_deliver_t *again = driver_delivered(driver, "w1", 700, 2);
    assert_int_equal(again->home_epoch, DRIVER_EPOCH + 1);
    driver_close(&driver);
}

static void what_stands_is_delivered_in_its_order(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_foreign();
    driver_hold(driver, 1, 4);
    message_t *late = lanes_stored(700, 1, 1); /* a later record gave it another position */
    late->position = 900;
    message_t *first = lanes_stored(800, 1, 2);
    first->attempts = 2;
    first->has_row = true;
    first->chain = late;
    driver_adopt(driver, 1, first, 900);
    driver_worker_hello(driver, "w1", 101, 1, 1000);
    driver_desire(driver, 101);
    assert_int_equal(driver_delivered(driver, "w1", 800, 2)->attempt, 3);
    assert_int_equal(driver_delivered(driver, "w1", 700, 2)->attempt, 1);
    lanes_ask(driver, 3, 1, ASK);
    driver_commit(driver);
    assert_true(driver_delivery(driver, "w1")->request_id > 900);
    driver_close(&driver);
}

static void a_wish_counts_once_the_lane_is_adopted(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_foreign();
    driver_worker_hello(driver, "w1", 101, 1, 1000);
    driver_hold(driver, 1, 4);
    driver_desire(driver, 101);
    assert_int_equal(driver_count(driver, "w1", KIND_ASSIGN), 0);
    driver_adopt(driver, 1, NULL, 0);
    assert_int_equal(driver_count(driver, "w1", KIND_ASSIGN), DRIVER_SHARDS / LANES);
    driver_forget(driver);
    driver_hold(driver, 1, 0);
    driver_hold(driver, 1, 5);
    driver_adopt(driver, 1, NULL, 0); /* with the lane its wishes have gone */
    assert_int_equal(driver_count(driver, "w1", KIND_ASSIGN), 0);
    driver_close(&driver);
}

/* A group that comes later has shards in lanes that are adopted already. */
static void a_new_group_serves_in_the_lanes_that_are_home(void **state)
{
    (void)state;
    driver_t *driver = lanes_open_two();
    driver_forget(driver);
    uint16_t group = 2;
    wire_writer_t none = {0};
    router_type(driver->router, group, wire_writer_bytes(&none)); /* though its type is damaged */
    for (uint16_t i = 1; i <= DRIVER_SHARDS; i++) {
        router_desire(driver->router, "New", shard_id_make(group, i), driver_runner(101),
                      driver->now_ms);
    }
    driver_pull(driver);
    assert_int_equal(driver_count(driver, "w1", KIND_ASSIGN), DRIVER_SHARDS / LANES * 2);
    assert_int_equal(driver_take(driver, "w1", KIND_ASSIGN)->as.assign.home_epoch, DRIVER_EPOCH);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_lane_serves_by_itself),
        cmocka_unit_test(only_own_lanes_wait_for_the_database),
        cmocka_unit_test(an_orderly_stop_ends_with_the_lanes_that_there_are),
        cmocka_unit_test(each_hold_is_adopted_once),
        cmocka_unit_test(holds_of_others_do_not_count),
        cmocka_unit_test(an_adoption_that_is_over_changes_nothing),
        cmocka_unit_test(callers_are_told_why_a_lane_is_not_home),
        cmocka_unit_test(a_hold_that_is_over_does_not_begin_again),
        cmocka_unit_test(a_lane_under_a_new_epoch_is_adopted_anew),
        cmocka_unit_test(what_stands_is_delivered_in_its_order),
        cmocka_unit_test(a_wish_counts_once_the_lane_is_adopted),
        cmocka_unit_test(a_new_group_serves_in_the_lanes_that_are_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
