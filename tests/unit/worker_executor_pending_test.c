/* The executor: handlers that reply later, from any thread. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "tests/unit/executor_driver.h"

static void *complete_elsewhere(void *driver)
{
    exec_complete((executor_driver_t *)driver, 42);
    return NULL;
}

static void pending_is_completed_from_another_thread(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    pthread_t thread;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_add(d, "a", 1);
    exec_add(d, "b", 1);
    exec_run(d);
    exec_expect_amount(d, 3, 101); /* others go on */
    exec_expect_no_result(d);
    assert_int_equal(pthread_create(&thread, NULL, complete_elsewhere, d), 0);
    pthread_join(thread, NULL);
    assert_null(d->pending);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_amount(d, 2, 101); /* the one that waited */
}

static void pending_can_fail(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    fabric_pending_fail(&d->pending, 9, "late");
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.status, STATUS_FAILURE);
    assert_int_equal(result.code, 9);
    assert_true(fabric_bytes_equal(result.payload, fabric_bytes_of("late")));
}

static void pending_entity_is_not_idle(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    d->now_ms += 5000;
    exec_run(d);
    assert_int_equal(d->stops, 0);
    fabric_pending_fail(&d->pending, 1, "");
}

/* A defect ends one entity's state; an assertion would end the worker. */
static void two_handles_for_one_message_are_a_defect(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Twice");
    exec_add(d, "b", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect_amount(d, 2, 101);
    assert_int_equal(d->stops, 1);
    assert_true(d->pending && d->surplus && d->pending != d->surplus);
    exec_complete(d, 42); /* both are to be completed all the same, and nobody listens */
    fabric_pending_fail(&d->surplus, 1, "");
    exec_run(d);
    exec_expect_no_result(d);
}

static void a_handle_that_is_gone_is_not_touched(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    exec_complete(d, 42);
    exec_complete(d, 43); /* by the pointer that the first set to NULL */
    fabric_pending_fail(&d->pending, 1, "");
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_no_result(d);
}

static void completion_after_the_end_changes_nothing(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    executor_destroy(&d->executor);
    fabric_pending_fail(&d->pending, 1, "nobody listens");
    assert_null(d->pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(pending_is_completed_from_another_thread),
        EXECUTOR_TEST(pending_can_fail),
        EXECUTOR_TEST(two_handles_for_one_message_are_a_defect),
        EXECUTOR_TEST(a_handle_that_is_gone_is_not_touched),
        EXECUTOR_TEST(pending_entity_is_not_idle),
        EXECUTOR_TEST(completion_after_the_end_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
