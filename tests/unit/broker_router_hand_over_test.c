/* Hand-overs of lanes in the router: a lane whose holder lives is given up for another broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lanes_driver.h"

enum { LANE = 1, OTHER_LANE = 2, CHECKPOINT_MS = 2000, DRAIN_MS = 8000, TICK_MS = 10 };

static const char *const peers[] = {"c1", "w1", NULL};
static const incarnation_t nobody = {{0}};
static const incarnation_t heir = {{0xb1}};

static driver_t *open_two(void)
{
    driver_t *driver = lanes_open_two();
    driver_forget(driver);
    driver_orders_forget(driver);
    return driver;
}

/* Whether a lane is to be given up now. */
static bool gives_up(driver_t *driver, store_hold_t *hold)
{
    bool any = router_next_give_up(driver->router, hold, driver->now_ms);
    driver_pull(driver);
    return any;
}

static void assert_stays(driver_t *driver)
{
    store_hold_t hold;
    assert_false(gives_up(driver, &hold));
}

static void assert_given_up(driver_t *driver, uint32_t lane)
{
    store_hold_t hold = {.lane = LANES};
    assert_true(gives_up(driver, &hold));
    assert_int_equal(hold.lane, lane);
    assert_int_equal(hold.epoch, DRIVER_EPOCH);
    assert_true(incarnation_equal(hold.holder, driver->config.incarnation));
    assert_stays(driver); /* once */
}

/* The store actor's answer. */
static void end_hold(driver_t *driver, uint32_t lane)
{
    driver->epochs[lane] = 0;
    driver_map(driver, 9, heir);
    router_lane_fenced(driver->router, lane, DRIVER_EPOCH, driver->now_ms);
    driver_pull(driver);
}

/* The map names another broker as the lane's next holder, and the lane accepts nothing new. */
static void leave(driver_t *driver, uint32_t lane)
{
    driver_map_next(driver, 2, lane, heir);
    driver_pass_alive(driver, TICK_MS, peers);
}

static fabric_error_t rejection(driver_t *driver, uint64_t sequence, uint32_t lane, uint64_t flags)
{
    lanes_ask(driver, sequence, lane, flags);
    return driver_rejected(driver, "c1", sequence);
}

/* A durable and a volatile message of the lane are at the worker. */
static const message_deliver_t *deliver_two(driver_t *driver, const message_deliver_t **second)
{
    lanes_ask(driver, 1, LANE, ASK);
    driver_commit(driver);
    lanes_ask(driver, 2, LANE, 0);
    const message_deliver_t *first = driver_delivery(driver, "w1");
    *second = driver_delivery(driver, "w1");
    return first;
}

/* ---- the steps ---- */

static void a_quiet_lane_is_given_up_at_once(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    leave(driver, LANE);
    assert_given_up(driver, LANE);
    end_hold(driver, LANE);
    lanes_ask(driver, 1, LANE, ASK);
    lanes_assert_redirected(driver, 1);
    lanes_ask(driver, 2, OTHER_LANE, ASK); /* the other lane is as before */
    driver_commit(driver);
    driver_delivery(driver, "w1");
    driver_close(&driver);
}

static void a_lane_that_leaves_accepts_nothing_new(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    const message_deliver_t *second;
    const message_deliver_t *first = deliver_two(driver, &second);
    leave(driver, LANE);
    assert_stays(driver);
    assert_int_equal(rejection(driver, 3, LANE, ASK), FABRIC_ERROR_NOT_HOME);
    assert_int_equal(rejection(driver, 4, LANE, 0), FABRIC_ERROR_NOT_HOME);
    assert_int_equal(router_waiting(driver->router, LANE), 0);
    lanes_ask(driver, 5, OTHER_LANE, 0);
    driver_delivery(driver, "w1");
    driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", second, STATUS_OK, FABRIC_OK);
    assert_stays(driver); /* the results are to be appended */
    assert_non_null(driver_take_batch(driver, LANE));
    assert_stays(driver);
    driver_batch_done(driver, LANE);
    driver_replied(driver, "c1", 1);
    driver_replied(driver, "c1", 2);
    assert_given_up(driver, LANE);
    driver_close(&driver);
}

/* The next home delivers what is left. */
static void a_lane_that_leaves_delivers_nothing_more(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    const message_deliver_t *second;
    const message_deliver_t *first = deliver_two(driver, &second);
    lanes_ask(driver, 3, LANE, ASK);
    leave(driver, LANE);
    driver_commit(driver); /* it was accepted before */
    driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
    driver_result(driver, "w1", second, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_desire(driver, 101);
    driver_pass_alive(driver, 100, peers);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    assert_given_up(driver, LANE);
    driver_forget(driver);
    end_hold(driver, LANE);
    assert_int_equal(driver_take(driver, "c1", KIND_ACCEPTED)->as.accepted.sequence, 3);
    lanes_assert_redirected(driver, 3);
    driver_close(&driver);
}

/* Each type of a shard has an owner and messages in flight of its own. */
static void results_of_all_types_are_waited_for(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    driver_type(driver, "Other");
    driver->brings = "Other";
    driver_worker_hello(driver, "w2", 102, 1, 1000);
    driver_desire_type(driver, "Other", 102);
    driver_forget(driver);
    message_request_t request = driver_request(1, lanes_entity_in(LANE), 0);
    request.type = fabric_bytes_of("Other");
    driver_send(driver, "c1", request, &request);
    const message_deliver_t *delivery = driver_delivery(driver, "w2");
    driver_map_next(driver, 2, LANE, heir);
    driver_pass_alive(driver, TICK_MS, (const char *const[]){"c1", "w1", "w2", NULL});
    assert_stays(driver);
    driver_result(driver, "w2", delivery, STATUS_OK, FABRIC_OK);
    driver_replied(driver, "c1", 1);
    assert_given_up(driver, LANE);
    driver_forget(driver);
    end_hold(driver, LANE);
    assert_int_equal(driver_count(driver, "w1", KIND_RELEASE), DRIVER_SHARDS / LANES);
    assert_int_equal(driver_count(driver, "w2", KIND_RELEASE), DRIVER_SHARDS / LANES);
    driver_close(&driver);
}

static void results_that_do_not_come_are_not_waited_for(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    const message_deliver_t *second;
    (void)deliver_two(driver, &second);
    leave(driver, LANE);
    driver_pass_alive(driver, driver->config.release_grace_ms - 2 * TICK_MS, peers);
    assert_stays(driver);
    driver_pass_alive(driver, 2 * TICK_MS, peers);
    assert_given_up(driver, LANE);
    driver_forget(driver);
    end_hold(driver, LANE);
    lanes_assert_redirected(driver, 1);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_OUTCOME_UNKNOWN);
    driver_close(&driver);
}

/* The appender has ended the lane: what waits is for the next home. */
static void nothing_is_appended_to_a_lane_that_is_given_up(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    const message_deliver_t *second;
    const message_deliver_t *first = deliver_two(driver, &second);
    leave(driver, LANE);
    driver_pass_alive(driver, driver->config.release_grace_ms, peers);
    assert_given_up(driver, LANE);
    driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
    assert_int_equal(router_waiting(driver->router, LANE), 0);
    assert_null(driver_take_batch(driver, LANE));
    driver_forget(driver);
    end_hold(driver, LANE);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    assert_int_equal(driver_take(driver, "c1", KIND_ACCEPTED)->as.accepted.sequence, 1);
    lanes_assert_redirected(driver, 1);
    driver_close(&driver);
}

/* An append under way is answered after the give-up: its callers are told what became of it. */
static void a_slow_append_outlasts_the_hand_over(void **state)
{
    (void)state;
    for (int stored = 0; stored < 2; stored++) {
        driver_t *driver = open_two();
        lanes_ask(driver, 1, LANE, ASK);
        assert_non_null(driver_take_batch(driver, LANE));
        leave(driver, LANE);
        assert_stays(driver);
        driver_pass_alive(driver, driver->config.release_grace_ms, peers);
        assert_given_up(driver, LANE);
        driver_forget(driver);
        end_hold(driver, LANE);
        if (stored) {
            driver_batch_done(driver, LANE);
            assert_int_equal(driver_take(driver, "c1", KIND_ACCEPTED)->as.accepted.sequence, 1);
        } else {
            driver_batch_fenced(driver, LANE);
            assert_int_equal(driver_count(driver, "c1", KIND_ACCEPTED), 0);
        }
        driver_close(&driver);
    }
}

/* ---- the tail of the journal ---- */

/* The lane serves while it is checkpointed, however long that takes. */
static void a_long_tail_is_checkpointed_first(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    lanes_ask(driver, 1, LANE, ASK);
    assert_non_null(driver_take_batch(driver, LANE));
    router_batch_done(driver->router, LANE, FABRIC_OK, ++driver->entries[LANE], 1 << 20,
                      driver->now_ms);
    driver->batch[LANE] = NULL;
    leave(driver, LANE);
    lanes_ask(driver, 2, LANE, ASK);
    assert_int_equal(router_waiting(driver->router, LANE), 1);
    const router_slice_t *slice = router_take_slice(driver->router, LANE, driver->now_ms);
    assert_non_null(slice); /* before it would have been due */
    assert_true(slice->slice.last);
    router_slice_done(driver->router, LANE, FABRIC_OK, driver->now_ms);
    driver_pass_alive(driver, TICK_MS, peers);
    assert_int_equal(rejection(driver, 3, LANE, ASK), FABRIC_ERROR_NOT_HOME);
    driver_close(&driver);
}

static void checkpoints_that_do_not_end_are_not_waited_for(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    lanes_ask(driver, 1, LANE, ASK);
    assert_non_null(driver_take_batch(driver, LANE));
    router_batch_done(driver->router, LANE, FABRIC_OK, ++driver->entries[LANE], 1 << 20,
                      driver->now_ms);
    driver->batch[LANE] = NULL;
    leave(driver, LANE);
    driver_pass_alive(driver, CHECKPOINT_MS - 3 * TICK_MS, peers);
    lanes_ask(driver, 2, LANE, ASK);
    assert_int_equal(router_waiting(driver->router, LANE), 1);
    driver_pass_alive(driver, 3 * TICK_MS, peers);
    assert_int_equal(rejection(driver, 3, LANE, ASK), FABRIC_ERROR_NOT_HOME);
    driver_close(&driver);
}

/* ---- what the map says ---- */

static void a_lane_stays_if_it_is_to_have_no_other_home_after_all(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    driver_map_next(driver, 2, LANE, heir);
    driver_map_next(driver, 3, LANE, nobody);
    driver_pass_alive(driver, 100, peers);
    assert_stays(driver);
    lanes_ask(driver, 1, LANE, ASK);
    assert_int_equal(router_waiting(driver->router, LANE), 1);
    leave(driver, LANE); /* the map is an older one */
    driver_pass_alive(driver, 100, peers);
    assert_stays(driver);
    driver_close(&driver);
}

static void only_the_present_hold_is_given_up(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    driver->epochs[LANE] = DRIVER_EPOCH - 1; /* as an old map has it */
    leave(driver, LANE);
    driver->epochs[LANE] = DRIVER_EPOCH;
    assert_stays(driver);
    driver_map_next(driver, 3, 3, heir); /* a lane of another broker */
    driver_map_next(driver, 4, LANE, driver->config.incarnation);
    driver_pass_alive(driver, 100, peers);
    assert_stays(driver);
    driver_close(&driver);
}

static size_t count_named(const driver_t *driver)
{
    size_t count = 0;
    for (size_t i = 0; i < driver->order_count; i++) {
        count += driver->orders[i].kind == ROUTER_LANE_NAMED;
    }
    return count;
}

static void a_map_that_names_this_broker_makes_it_read_the_lanes(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    driver_map_next(driver, 2, LANE, nobody);
    assert_int_equal(count_named(driver), 0);
    driver->epochs[3] = 7;
    driver_map_next(driver, 3, LANE, nobody);
    assert_int_equal(count_named(driver), 1);
    driver_hold(driver, 3, 7); /* what the store says counts */
    driver_map_next(driver, 4, LANE, nobody);
    assert_int_equal(count_named(driver), 1);
    driver_close(&driver);
}

/* ---- a broker that drains ---- */

static bool says_it_drains(const driver_t *driver)
{
    for (size_t i = 0; i < driver->order_count; i++) {
        const router_order_t *order = &driver->orders[i];
        if (order->kind == ROUTER_BROKER_STATE && order->draining &&
            incarnation_equal(order->broker, driver->config.incarnation)) {
            return true;
        }
    }
    return false;
}

static void a_broker_that_drains_serves_until_its_lanes_are_handed_over(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    router_drain(driver->router, DRAIN_MS, driver->now_ms);
    driver_pull(driver);
    assert_true(says_it_drains(driver));
    for (uint32_t lane = LANE; lane <= OTHER_LANE; lane++) {
        assert_false(router_drained(driver->router));
        lanes_ask(driver, lane, lane, 0);
        driver_result(driver, "w1", driver_delivery(driver, "w1"), STATUS_OK, FABRIC_OK);
        driver_replied(driver, "c1", lane);
        driver_map_next(driver, 1 + lane, lane, heir);
        driver_pass_alive(driver, TICK_MS, peers);
        assert_given_up(driver, lane);
        assert_false(router_drained(driver->router));
        driver->epochs[lane] = 0;
        router_lane_fenced(driver->router, lane, DRIVER_EPOCH, driver->now_ms);
    }
    assert_true(router_drained(driver->router));
    driver_close(&driver);
}

/* Nobody else takes it before this broker has given it up, or its lease is over. */
static void a_broker_that_drains_hands_over_a_lane_that_it_is_adopting(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    router_drain(driver->router, DRAIN_MS, driver->now_ms);
    driver_hold(driver, 3, DRIVER_EPOCH);
    for (uint32_t lane = LANE; lane <= OTHER_LANE; lane++) {
        driver_map_next(driver, 1 + lane, lane, heir);
        driver_pass_alive(driver, TICK_MS, peers);
        assert_given_up(driver, lane);
        driver->epochs[lane] = 0;
        router_lane_fenced(driver->router, lane, DRIVER_EPOCH, driver->now_ms);
    }
    assert_false(router_drained(driver->router));
    driver_adopt(driver, 3, NULL, 0);
    assert_false(router_drained(driver->router));
    driver_map_next(driver, 9, 3, heir);
    driver_pass_alive(driver, TICK_MS, peers);
    assert_given_up(driver, 3);
    driver->epochs[3] = 0;
    router_lane_fenced(driver->router, 3, DRIVER_EPOCH, driver->now_ms);
    assert_true(router_drained(driver->router));
    driver_close(&driver);
}

/* The coordinator may be away. Lanes without holders are given others at once when it is back. */
static void lanes_that_nobody_asks_for_are_given_up_at_half_time(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    store_hold_t hold;
    router_drain(driver->router, DRAIN_MS, driver->now_ms);
    driver_pass_alive(driver, DRAIN_MS / 2 - 2 * TICK_MS, peers);
    assert_stays(driver);
    driver_pass_alive(driver, 2 * TICK_MS, peers);
    assert_true(gives_up(driver, &hold));
    assert_int_equal(hold.lane, LANE);
    assert_true(gives_up(driver, &hold)); /* all of them together */
    assert_int_equal(hold.lane, OTHER_LANE);
    driver_close(&driver);
}

/* A handler may run for almost all of the drain time. */
static void a_broker_that_drains_waits_longer_for_results(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    const message_deliver_t *second;
    (void)deliver_two(driver, &second);
    router_drain(driver->router, 2 * DRAIN_MS, driver->now_ms);
    leave(driver, LANE);
    driver_pass_alive(driver, 2 * DRAIN_MS * 3 / 4, peers);
    store_hold_t hold;
    while (gives_up(driver, &hold)) {
        assert_int_equal(hold.lane, OTHER_LANE);
    }
    driver_pass_alive(driver, 2 * DRAIN_MS / 4 - TICK_MS, peers);
    assert_given_up(driver, LANE);
    driver_close(&driver);
}

/* As there is no other broker. */
static void a_broker_that_closes_keeps_its_lanes(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    driver_stop(driver);
    assert_int_equal(rejection(driver, 1, LANE, ASK), FABRIC_ERROR_SHUTTING_DOWN);
    driver_map_next(driver, 2, LANE, heir);
    driver_pass_alive(driver, DRIVER_DRAIN_MS, peers);
    assert_stays(driver);
    driver_close(&driver);
}

static void a_worker_that_comes_back_is_welcome_until_the_end(void **state)
{
    (void)state;
    driver_t *driver = open_two();
    router_drain(driver->router, DRAIN_MS, driver->now_ms);
    driver_worker_hello(driver, "w1", 101, 2, 1000);
    driver_take(driver, "w1", KIND_WELCOME);
    driver_worker_hello(driver, "w2", 102, 1, 1000); /* a new one is to go elsewhere */
    driver_take(driver, "w2", KIND_REFUSED);
    driver_close(&driver);
}

/* ---- volatile calls ---- */

/* Workers do not join a broker that stops, and the next home of its lanes has others. */
static driver_t *open_beside_another(void)
{
    driver_t *driver = driver_open();
    broker_credential_t other = driver_credential(0xb1);
    router_members(driver->router, &other, 1, driver->now_ms);
    driver_client(driver, "c1", 1);
    return driver;
}

static void volatile_calls_are_sent_again_while_a_broker_drains(void **state)
{
    (void)state;
    driver_t *driver = open_beside_another();
    driver_desire(driver, 0);
    driver_pass_alive(driver, 2 * driver->config.lease_ms, peers);
    driver_ask(driver, "c1", 1, "a", 0);
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    router_drain(driver->router, DRAIN_MS, driver->now_ms);
    driver_ask(driver, "c1", 2, "a", 0);
    assert_int_equal(driver_rejected(driver, "c1", 2), FABRIC_ERROR_NOT_HOME);
    router_members(driver->router, NULL, 0, driver->now_ms); /* nobody else takes the lanes */
    driver_ask(driver, "c1", 3, "a", 0);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_RUNNER_UNAVAILABLE);
    driver_close(&driver);
}

static void volatile_calls_whose_owner_leaves_a_draining_broker_are_sent_again(void **state)
{
    (void)state;
    driver_t *driver = open_beside_another();
    driver_worker(driver, "w1", 101);
    router_drain(driver->router, DRAIN_MS, driver->now_ms);
    driver_desire(driver, 0);
    driver_ask(driver, "c1", 1, "a", 0);
    assert_int_equal(driver_count(driver, "c1", KIND_REJECTED), 0);
    while (driver_count(driver, "w1", KIND_RELEASE) > 0) {
        message_release_t release = driver_take(driver, "w1", KIND_RELEASE)->as.release;
        message_released_t released = {release.shard, release.home_epoch, release.owner_sequence};
        driver_send(driver, "w1", released, &released);
    }
    assert_int_equal(driver_rejected(driver, "c1", 1), FABRIC_ERROR_NOT_HOME);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_lane_is_given_up_at_once),
        cmocka_unit_test(a_lane_that_leaves_accepts_nothing_new),
        cmocka_unit_test(a_lane_that_leaves_delivers_nothing_more),
        cmocka_unit_test(results_of_all_types_are_waited_for),
        cmocka_unit_test(results_that_do_not_come_are_not_waited_for),
        cmocka_unit_test(nothing_is_appended_to_a_lane_that_is_given_up),
        cmocka_unit_test(a_slow_append_outlasts_the_hand_over),
        cmocka_unit_test(a_long_tail_is_checkpointed_first),
        cmocka_unit_test(checkpoints_that_do_not_end_are_not_waited_for),
        cmocka_unit_test(a_lane_stays_if_it_is_to_have_no_other_home_after_all),
        cmocka_unit_test(only_the_present_hold_is_given_up),
        cmocka_unit_test(a_map_that_names_this_broker_makes_it_read_the_lanes),
        cmocka_unit_test(a_broker_that_drains_serves_until_its_lanes_are_handed_over),
        cmocka_unit_test(a_broker_that_drains_hands_over_a_lane_that_it_is_adopting),
        cmocka_unit_test(lanes_that_nobody_asks_for_are_given_up_at_half_time),
        cmocka_unit_test(a_broker_that_drains_waits_longer_for_results),
        cmocka_unit_test(a_broker_that_closes_keeps_its_lanes),
        cmocka_unit_test(a_worker_that_comes_back_is_welcome_until_the_end),
        cmocka_unit_test(volatile_calls_are_sent_again_while_a_broker_drains),
        cmocka_unit_test(volatile_calls_whose_owner_leaves_a_draining_broker_are_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
