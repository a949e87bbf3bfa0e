/* What happens while a lane with much in it is dropped part by part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lanes_driver.h"

/* MESSAGES: more than what is dropped in one turn, by so much that the entity's queue stays. */
enum { LANE = 1, FIRST_ID = 1000, MESSAGES = 6000, REPORT_MS = 300 };

/* The router is home of one lane, in which one entity has all messages. `exhausted`: the second one
 * has failed too often already. */
static driver_t *open_full(bool exhausted)
{
    driver_t *driver = lanes_open_foreign();
    message_t *messages = NULL;
    for (uint64_t i = MESSAGES; i-- > 0;) {
        message_t *message = lanes_stored(FIRST_ID + i, LANE, 1 + i);
        message->position = message->stored.id.value;
        message->crashes = exhausted && i == 1 ? driver->config.crashes_max : 0;
        message->chain = messages;
        messages = message;
    }
    driver->supervised = true;
    driver_hold(driver, LANE, DRIVER_EPOCH);
    driver_adopt(driver, LANE, messages, FIRST_ID + MESSAGES);
    while (router_go_on(driver->router, driver->now_ms)) {
    }
    assert_int_equal(driver_counters(driver).pending, MESSAGES);
    return driver;
}

static void add_worker(driver_t *driver, uint64_t window)
{
    driver_worker_hello(driver, "w1", 101, 1, window);
    driver_desire(driver, 101);
}

static void begin_drop(driver_t *driver)
{
    driver_hold(driver, LANE, 0);
    driver_check(driver);
    assert_in_range(driver_counters(driver).pending, 1, MESSAGES - 1);
}

static void end_drop(driver_t *driver)
{
    do {
        driver_check(driver);
        assert_int_equal(router_waiting(driver->router, LANE), 0);
    } while (router_go_on(driver->router, driver->now_ms));
    assert_int_equal(driver_counters(driver).pending, 0);
    assert_int_equal(driver_counters(driver).crashes, 0);
    driver_hold(driver, LANE, DRIVER_EPOCH + 1);
    driver_adopt(driver, LANE, NULL, 0);
    assert_true(lanes_adopted(driver, LANE, DRIVER_EPOCH + 1));
    driver_close(&driver);
}

/* The first message is in flight, and the second one becomes a dead letter when the first one is
 * over: but not in a lane that is not this broker's. */
static void nobody_handles_or_ends_its_messages(void **state)
{
    (void)state;
    driver_t *driver = open_full(true);
    add_worker(driver, 1000);
    const message_deliver_t *first = driver_delivery(driver, "w1");
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 0);
    begin_drop(driver);
    router_lease(driver->router, driver->now_ms, UINT64_MAX);
    router_lease(driver->router, UINT64_MAX, UINT64_MAX); /* all entities are looked at */
    assert_int_equal(router_waiting(driver->router, LANE), 0);
    driver_result(driver, "w1", first, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, 1);
    uint64_t culprits[] = {FIRST_ID, FIRST_ID + 1};
    driver_crashed(driver, 101, culprits, 2, "signal 11");
    end_drop(driver);
}

/* The report of a worker's end comes when its messages wait for a new owner, and the lane is
 * dropped. */
static void nobody_counts_crashes_of_its_messages(void **state)
{
    (void)state;
    driver_t *driver = open_full(true);
    add_worker(driver, 1000);
    driver_gone(driver, "w1");
    driver_pass_alive(driver, REPORT_MS, (const char *const[]){"c1", NULL});
    begin_drop(driver);
    uint64_t culprit = FIRST_ID;
    driver_crashed(driver, 101, &culprit, 1, "signal 11");
    end_drop(driver);
}

/* The entity waits for credit of a worker, which stays, gives credit, or goes. */
static void workers_may_come_and_go(void **state)
{
    (void)state;
    enum { STAYS, PINGS, GOES, CASES };
    for (int i = 0; i < CASES; i++) {
        driver_t *driver = open_full(false);
        add_worker(driver, 1);
        begin_drop(driver);
        if (i == PINGS) {
            driver_pass_alive(driver, REPORT_MS, (const char *const[]){"c1", "w1", NULL});
        } else if (i == GOES) {
            driver_crashed(driver, 101, NULL, 0, "exit status 1");
        }
        end_drop(driver);
    }
}

/* The coordinator says it once. */
static void a_hold_that_begins_meanwhile_is_adopted_afterwards(void **state)
{
    (void)state;
    driver_t *driver = open_full(false);
    store_hold_t hold;
    begin_drop(driver);
    driver_hold(driver, LANE, DRIVER_EPOCH + 1);
    assert_false(router_next_adoption(driver->router, &hold));
    while (router_go_on(driver->router, driver->now_ms)) {
    }
    assert_true(router_next_adoption(driver->router, &hold));
    assert_int_equal(hold.lane, LANE);
    assert_int_equal(hold.epoch, DRIVER_EPOCH + 1);
    driver_adopt(driver, LANE, NULL, 0);
    assert_true(lanes_adopted(driver, LANE, DRIVER_EPOCH + 1));
    driver_close(&driver);
}

static void a_hold_that_begins_and_ends_meanwhile_is_not(void **state)
{
    (void)state;
    driver_t *driver = open_full(false);
    store_hold_t hold;
    begin_drop(driver);
    driver_hold(driver, LANE, DRIVER_EPOCH + 1);
    driver_hold(driver, LANE, 0);
    while (router_go_on(driver->router, driver->now_ms)) {
    }
    assert_false(router_next_adoption(driver->router, &hold));
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_handles_or_ends_its_messages),
        cmocka_unit_test(nobody_counts_crashes_of_its_messages),
        cmocka_unit_test(workers_may_come_and_go),
        cmocka_unit_test(a_hold_that_begins_meanwhile_is_adopted_afterwards),
        cmocka_unit_test(a_hold_that_begins_and_ends_meanwhile_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
