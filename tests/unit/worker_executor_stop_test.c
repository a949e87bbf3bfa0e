/* The executor when a shard is to be given back while handlers are pending. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_driver.h"

static void stop_waits_for_a_pending_handler(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "b", 1);
    exec_volatile(d, "a", "Wait");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_add(d, "b", 1); /* given before the order, but not begun */
    exec_stop(d, 1, d->now_ms + 500);
    exec_run(d);
    exec_expect(d, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_expect_no_result(d);
    assert_null(d->outputs);
    assert_int_equal(d->stops, 1); /* b */
    exec_complete(d, 1);
    exec_run(d);
    exec_expect_amount(d, 2, 1);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_expect_stopped(d, 1);
    assert_int_equal(d->stops, 2);
    assert_int_equal(executor_stats(d->executor).entities, 0);
}

static void stop_does_not_wait_beyond_its_deadline(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_add(d, "a", 1);
    exec_stop(d, 1, d->now_ms + 500);
    /* Orders come first: neither was begun. */
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_expect_stopped(d, 1);

    exec_begin(d, 2);
    exec_give(d, "a", "Wait", 2, 1, 0, fabric_bytes_of("\x90"));
    exec_give(d, "a", "Add", 2, 1, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    exec_stop(d, 2, d->now_ms + 500);
    exec_run(d);
    assert_null(d->outputs);
    assert_int_equal(executor_next_deadline(d->executor), d->now_ms + 500);
    d->now_ms += 500;
    exec_run(d);
    exec_expect(d, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED); /* and nothing for 3 */
    exec_expect_stopped(d, 2);
    fabric_pending_fail(&d->pending, 1, "too late");
    exec_run(d);
    assert_null(d->outputs);
}

static void successor_waits_for_the_pending_handler_of_the_old_token(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    exec_stop(d, 1, d->now_ms + 500);
    exec_begin(d, 2);
    exec_give(d, "a", "Add", 2, 1, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    assert_null(d->outputs);
    fabric_pending_fail(&d->pending, 1, "");
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_stopped(d, 1);
    exec_expect_amount(d, 2, 101); /* on fresh state */
    assert_int_equal(d->handled, 2);
    assert_int_equal(d->stops, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(stop_waits_for_a_pending_handler),
        EXECUTOR_TEST(stop_does_not_wait_beyond_its_deadline),
        EXECUTOR_TEST(successor_waits_for_the_pending_handler_of_the_old_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
