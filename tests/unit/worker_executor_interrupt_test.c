/* The executor: callers that cancel, and handlers that hear that they are to stop. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_driver.h"

/* ---- messages that have not begun ---- */

static void a_message_that_waits_is_answered_at_once(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_add(d, "a", 1);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_interrupt(d, "a", 2);
    exec_interrupt(d, "a", 2); /* once more changes nothing */
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_CANCELLED);
    exec_expect_no_result(d);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_amount(d, 3, 102); /* the state has not seen the second one */
    exec_expect_no_result(d);
}

static void a_volatile_message_that_waits_is_answered_too(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    exec_interrupt(d, "a", 2);
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_CANCELLED);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    assert_int_equal(d->handled, 1);
}

static void a_message_that_no_entity_has_yet_is_not_begun(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_add(d, "a", 2);
    exec_interrupt(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_CANCELLED);
    assert_int_equal(d->handled, 1);
}

static void an_interrupt_of_what_is_not_here_changes_nothing(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_interrupt(d, "a", 7);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_interrupt(d, "a", 1);
    exec_interrupt(d, "b", 1);
    exec_run(d);
    exec_expect_no_result(d);
}

/* Its place in the queue does not keep the shard from being given back. */
static void a_cancelled_message_does_not_hold_up_the_end(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_interrupt(d, "a", 2);
    exec_stop(d, 1, d->now_ms + 100);
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_CANCELLED);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_stopped(d, 1);
}

/* ---- instances ---- */

static void test_ms_01_the_instance_of_a_cleared_entity_ends(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_add(d, "b", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_amount(d, 2, 101);
    exec_interrupt(d, "a", INTERRUPT_INSTANCE);
    exec_interrupt(d, "c", INTERRUPT_INSTANCE); /* it has no instance */
    exec_add(d, "a", 1);
    exec_add(d, "b", 1);
    exec_run(d);
    exec_expect_amount(d, 3, 101);
    exec_expect_amount(d, 4, 102);
}

static void a_pending_instance_ends_with_its_handler(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 5);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_expect_amount(d, 1, 105);
    exec_interrupt(d, "a", 2);
    exec_interrupt(d, "a", INTERRUPT_INSTANCE);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_no_result(d);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 2, 42);
    exec_expect_amount(d, 3, 101);
}

/* ---- handlers that run ---- */

static void cancel_first(executor_driver_t *d)
{
    exec_announce_interrupt(d, "a", 1);
}

static void cancel_another(executor_driver_t *d)
{
    exec_announce_interrupt(d, "a", 2);
}

static void stop_shard(executor_driver_t *d)
{
    exec_announce_stop(d, 1, d->now_ms + 100);
}

/* SH-05: exactly one interruption is seen, and the end is a reply like any other. */
static void test_sh_05_a_handler_that_runs_is_told_once(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    d->during = cancel_first;
    exec_begin(d, 1);
    exec_durable(d, "a", "Obey");
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
    assert_int_equal(d->told, 1);
    assert_int_equal(d->told_why, FABRIC_INTERRUPT_CANCEL);
    assert_int_equal(d->found_why, FABRIC_INTERRUPT_CANCEL);
    executor_give(d->executor, &d->announced);
    d->during = NULL;
    d->ignores = true;
    exec_durable(d, "a", "Obey"); /* the next one is not meant, and the entity goes on */
    exec_run(d);
    exec_expect(d, 2, STATUS_OK, FABRIC_OK);
    assert_int_equal(d->told, 1);
    assert_int_equal(d->stops, 0);
}

static void a_handler_that_goes_on_answers_as_always(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    d->during = cancel_first;
    d->ignores = true;
    exec_begin(d, 1);
    exec_durable(d, "a", "Obey");
    exec_run(d);
    exec_expect(d, 1, STATUS_OK, FABRIC_OK);
    assert_int_equal(d->told, 1);
}

static void a_handler_hears_only_of_its_own_call(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    d->during = cancel_another;
    d->ignores = true;
    exec_begin(d, 1);
    exec_durable(d, "a", "Obey");
    exec_run(d);
    exec_expect(d, 1, STATUS_OK, FABRIC_OK);
    assert_int_equal(d->told, 0);
    assert_int_equal(d->found_why, FABRIC_NOT_INTERRUPTED);
}

static void to_stop_without_an_interrupt_is_a_defect(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Obey");
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
}

/* SH-06: a handler that a stop has ended stores no reply. */
static void test_sh_06_a_handler_that_a_stop_ends_has_no_result(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    d->during = stop_shard;
    exec_begin(d, 1);
    exec_durable(d, "a", "Obey");
    exec_run(d);
    exec_expect_no_result(d);
    assert_int_equal(d->told_why, FABRIC_INTERRUPT_STOP);
    executor_give(d->executor, &d->announced);
    exec_run(d);
    exec_expect_stopped(d, 1);
}

static void each_type_says_of_what_its_handlers_do_not_hear(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    static const struct {
        uint32_t uninterruptible;
        void (*during)(executor_driver_t *d);
        int told;
    } cases[] = {
        {FABRIC_UNINTERRUPTIBLE_BY_CALLERS, cancel_first, 0},
        {FABRIC_UNINTERRUPTIBLE_BY_CALLERS, stop_shard, 1},
        {FABRIC_UNINTERRUPTIBLE_BY_STOPS, cancel_first, 1},
        {FABRIC_UNINTERRUPTIBLE_BY_STOPS, stop_shard, 0},
        {FABRIC_UNINTERRUPTIBLE_BY_CALLERS | FABRIC_UNINTERRUPTIBLE_BY_STOPS, stop_shard, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        exec_uninterruptible(d, cases[i].uninterruptible);
        d->during = cases[i].during;
        d->ignores = true;
        d->told = 0;
        d->request_id = 0;
        exec_begin(d, 1);
        exec_durable(d, "a", "Obey");
        exec_run(d);
        exec_expect(d, 1, STATUS_OK, FABRIC_OK);
        assert_int_equal(d->told, cases[i].told);
        executor_give(d->executor, &d->announced);
        exec_run(d);
    }
}

/* ---- handlers that are pending ---- */

static void a_pending_handler_is_told_and_stops(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    fabric_pending_on_interrupt(d->pending, exec_told, d);
    assert_int_equal(fabric_pending_interrupt(d->pending), FABRIC_NOT_INTERRUPTED);
    exec_interrupt(d, "a", 1);
    exec_interrupt(d, "a", 1);
    assert_int_equal(d->told, 1);
    assert_int_equal(d->told_why, FABRIC_INTERRUPT_CANCEL);
    assert_int_equal(fabric_pending_interrupt(d->pending), FABRIC_INTERRUPT_CANCEL);
    fabric_pending_interrupted(&d->pending);
    assert_null(d->pending);
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
}

static void stop_own(void *driver, fabric_interrupt_t why)
{
    exec_told(driver, why);
    fabric_pending_interrupted(&((executor_driver_t *)driver)->pending);
}

/* The function may complete the handle; and it hears of what was before it. */
static void a_function_is_told_at_once_of_what_was_before(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_interrupt(d, "a", 1);
    fabric_pending_on_interrupt(d->pending, stop_own, d);
    assert_int_equal(d->told, 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
}

/* The handle was the last thing that kept what it completes in memory. */
static void a_function_may_be_told_after_the_end(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_interrupt(d, "a", 1);
    executor_destroy(&d->executor);
    fabric_pending_on_interrupt(d->pending, stop_own, d);
    assert_int_equal(d->told, 1);
    assert_null(d->pending);
}

static void a_completed_handle_is_told_nothing(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    fabric_pending_on_interrupt(d->pending, exec_told, d);
    exec_complete(d, 42);
    exec_interrupt(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    assert_int_equal(d->told, 0);
}

static void test_sh_06_a_pending_handler_that_a_stop_ends_has_no_result(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    fabric_pending_on_interrupt(d->pending, stop_own, d);
    exec_stop(d, 1, d->now_ms + 1000); /* not only when that time is over */
    exec_run(d);
    exec_expect_stopped(d, 1);
    assert_int_equal(d->told_why, FABRIC_INTERRUPT_STOP);
}

/* SH-43: the handler keeps the whole grace time. */
static void test_sh_43_what_a_handler_answers_within_the_grace_time_counts(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_stop(d, 1, d->now_ms + 1000);
    d->now_ms += 999;
    exec_run(d);
    exec_expect_no_result(d);
    assert_int_equal(fabric_pending_interrupt(d->pending), FABRIC_INTERRUPT_STOP);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_stopped(d, 1);
}

static void what_the_caller_wants_counts_more(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    exec_interrupt(d, "a", 1);
    exec_stop(d, 1, d->now_ms + 1000);
    fabric_pending_interrupted(&d->pending);
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_CANCELLED);
    exec_expect_stopped(d, 1);
}

static void a_handle_that_was_not_interrupted_fails_alone(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    fabric_pending_interrupted(&d->pending);
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(d->stops, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(a_message_that_waits_is_answered_at_once),
        EXECUTOR_TEST(a_volatile_message_that_waits_is_answered_too),
        EXECUTOR_TEST(a_message_that_no_entity_has_yet_is_not_begun),
        EXECUTOR_TEST(an_interrupt_of_what_is_not_here_changes_nothing),
        EXECUTOR_TEST(a_cancelled_message_does_not_hold_up_the_end),
        EXECUTOR_TEST(test_ms_01_the_instance_of_a_cleared_entity_ends),
        EXECUTOR_TEST(a_pending_instance_ends_with_its_handler),
        EXECUTOR_TEST(test_sh_05_a_handler_that_runs_is_told_once),
        EXECUTOR_TEST(a_handler_that_goes_on_answers_as_always),
        EXECUTOR_TEST(a_handler_hears_only_of_its_own_call),
        EXECUTOR_TEST(to_stop_without_an_interrupt_is_a_defect),
        EXECUTOR_TEST(test_sh_06_a_handler_that_a_stop_ends_has_no_result),
        EXECUTOR_TEST(each_type_says_of_what_its_handlers_do_not_hear),
        EXECUTOR_TEST(a_pending_handler_is_told_and_stops),
        EXECUTOR_TEST(a_function_is_told_at_once_of_what_was_before),
        EXECUTOR_TEST(a_function_may_be_told_after_the_end),
        EXECUTOR_TEST(a_completed_handle_is_told_nothing),
        EXECUTOR_TEST(test_sh_06_a_pending_handler_that_a_stop_ends_has_no_result),
        EXECUTOR_TEST(test_sh_43_what_a_handler_answers_within_the_grace_time_counts),
        EXECUTOR_TEST(what_the_caller_wants_counts_more),
        EXECUTOR_TEST(a_handle_that_was_not_interrupted_fails_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
