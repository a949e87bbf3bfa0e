/* Entity types of which more than one handler may be pending: results come in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/message.h"
#include "tests/unit/router_driver.h"

enum { CONCURRENCY = 40, SENT = 300 };

static const char *const alive[] = {"c1", "w1", NULL};

/* A client, and a worker with three messages of one entity in flight; the last one is volatile. */
static driver_t *open_with_three(const message_deliver_t *deliveries[3])
{
    driver_told.concurrency = CONCURRENCY;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    driver_ask(driver, "c1", 1, "a", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "a", REQUEST_DURABLE);
    driver_commit(driver);
    driver_ask(driver, "c1", 3, "a", 0);
    for (int i = 0; i < 3; i++) {
        deliveries[i] = driver_delivery(driver, "w1");
    }
    return driver;
}

static int teardown(void **state)
{
    (void)state;
    driver_told = DRIVER_TOLD_USUALLY;
    return 0;
}

static void results_come_in_any_order(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_result(driver, "w1", deliveries[2], STATUS_OK, FABRIC_OK);
    driver_replied(driver, "c1", 3);
    driver_result(driver, "w1", deliveries[1], STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 2); /* the first one may take for ever */
    assert_int_equal(driver_counters(driver).pending, 1);
    driver_result(driver, "w1", deliveries[0], STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    assert_int_equal(driver_counters(driver).results_refused, 0);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

/* SH-31. The worker ends what is pending when a defect ends the state: durable messages come
 * again, and only the culprit's attempt counts. */
static void what_was_pending_comes_again_after_a_defect(void **state)
{
    (void)state;
    const message_deliver_t *deliveries[3];
    driver_t *driver = open_with_three(deliveries);
    driver_result(driver, "w1", deliveries[1], STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    driver_result(driver, "w1", deliveries[0], STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    driver_result(driver, "w1", deliveries[2], STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_int_equal(driver_counters(driver).results_refused, 0);
    assert_int_equal(driver_rejected(driver, "c1", 3), FABRIC_ERROR_OUTCOME_UNKNOWN);
    driver_commit(driver);
    driver_pass_alive(driver, driver->config.backoff_ms, alive);
    const message_deliver_t *again = driver_delivered(driver, "w1", deliveries[0]->request_id, 2);
    assert_int_equal(again->attempt, 1);
    driver_result(driver, "w1", again, STATUS_OK, FABRIC_OK);
    again = driver_delivered(driver, "w1", deliveries[1]->request_id, 2);
    assert_int_equal(again->attempt, 2);
    driver_result(driver, "w1", again, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

static unsigned sent_at_once(uint32_t concurrency)
{
    driver_told.concurrency = concurrency;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_worker(driver, "w1", 101);
    for (uint64_t i = 1; i <= SENT; i++) {
        driver_ask(driver, "c1", i, "a", REQUEST_DURABLE);
    }
    driver_commit(driver);
    unsigned count = (unsigned)driver_count(driver, "w1", KIND_DELIVER);
    driver_close(&driver);
    return count;
}

static void as_many_are_sent_as_may_be_pending(void **state)
{
    (void)state;
    assert_int_equal(sent_at_once(1), 16);
    assert_int_equal(sent_at_once(CONCURRENCY), CONCURRENCY);
    assert_int_equal(sent_at_once(UINT32_MAX), 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(results_come_in_any_order, teardown),
        cmocka_unit_test_teardown(what_was_pending_comes_again_after_a_defect, teardown),
        cmocka_unit_test_teardown(as_many_are_sent_as_may_be_pending, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
