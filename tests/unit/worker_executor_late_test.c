/* The executor: messages whose callers have given up are not handled, but for durable ones whose
 * callers do not say that they give up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_driver.h"

static void only_volatile_ones_end_with_their_time(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    d->deadline_ms = d->now_ms + 100;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Fail");
    exec_volatile(d, "a", "Wait");
    exec_volatile(d, "a", "Fail"); /* waits for the one before */
    exec_add(d, "a", 1);           /* likewise */
    d->now_ms = d->deadline_ms - 1;
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_no_result(d);
    exec_volatile(d, "b", "Fail"); /* waits in the inbox */
    exec_add(d, "b", 1);           /* likewise */
    d->now_ms = d->deadline_ms;
    fabric_pending_fail(&d->pending, 1, NULL);
    exec_run(d);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_TIMEOUT);
    exec_expect_amount(d, 4, 101);
    exec_expect(d, 5, STATUS_NOT_TAKEN, FABRIC_ERROR_TIMEOUT);
    exec_expect_amount(d, 6, 101);
    exec_expect_no_result(d);
}

static void a_durable_one_whose_caller_gives_up_is_not_begun(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    d->deadline_ms = d->now_ms + 100;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_give(d, "a", "Add", 1, 1, REQUEST_DURABLE | REQUEST_GIVE_UP, exec_amount(d, 1));
    exec_run(d);
    d->now_ms = d->deadline_ms;
    exec_give(d, "b", "Add", 1, 1, REQUEST_DURABLE | REQUEST_GIVE_UP, exec_amount(d, 1));
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_TIMEOUT);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_TIMEOUT);
    exec_expect_no_result(d);
}

static void a_handler_sees_what_is_left(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    assert_true(d->left_ms == FABRIC_NO_DEADLINE);
    d->deadline_ms = d->now_ms + 100;
    exec_add(d, "a", 1);
    d->now_ms += 30;
    exec_run(d);
    assert_int_equal(d->left_ms, 70);
    exec_add(d, "a", 1);
    d->now_ms += 300;
    exec_run(d);
    assert_int_equal(d->left_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(only_volatile_ones_end_with_their_time),
        EXECUTOR_TEST(a_durable_one_whose_caller_gives_up_is_not_begun),
        EXECUTOR_TEST(a_handler_sees_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
