/* The executor: entity types of which more than one handler may be pending. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_driver.h"

/* Gives a message whose handler waits, and returns its handle; NULL: it has not begun. */
static fabric_pending_t *begin_wait(executor_driver_t *d, const char *id)
{
    d->pending = NULL;
    exec_durable(d, id, "Wait");
    exec_run(d);
    return d->pending;
}

static void complete(executor_driver_t *d, fabric_pending_t **pending, int64_t amount)
{
    d->pending = *pending;
    *pending = NULL;
    exec_complete(d, amount);
    exec_run(d);
}

static void so_many_are_pending_and_end_in_any_order(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_concurrency(d, 2, false);
    exec_begin(d, 1);
    fabric_pending_t *first = begin_wait(d, "a");
    exec_add(d, "a", 1); /* 2: one is pending */
    exec_run(d);
    exec_expect_amount(d, 2, 101);
    fabric_pending_t *third = begin_wait(d, "a");
    assert_true(first && third);
    assert_null(begin_wait(d, "a")); /* 4 */
    exec_add(d, "a", 1);             /* 5: behind it */
    exec_run(d);
    exec_expect_no_result(d);
    complete(d, &third, 33);
    exec_expect_amount(d, 3, 33);
    exec_expect_no_result(d);
    fabric_pending_t *fourth = d->pending;
    assert_non_null(fourth);
    complete(d, &first, 11);
    exec_expect_amount(d, 1, 11);
    exec_expect_amount(d, 5, 102);
    complete(d, &fourth, 44);
    exec_expect_amount(d, 4, 44);
    assert_int_equal(d->starts, 1);
    d->now_ms += 1000;
    exec_run(d);
    assert_int_equal(d->stops, 1);
}

static void any_number_may_be_pending(void **state)
{
    enum { COUNT = 100 };
    executor_driver_t *d = (executor_driver_t *)*state;
    fabric_pending_t *all[COUNT];
    exec_concurrency(d, FABRIC_UNBOUNDED, false);
    exec_begin(d, 1);
    for (int i = 0; i < COUNT; i++) {
        all[i] = begin_wait(d, "a");
        assert_non_null(all[i]);
    }
    for (int i = COUNT; i-- > 0;) {
        complete(d, &all[i], i);
        exec_expect_amount(d, (uint64_t)i + 1, i);
    }
}

/* A concurrent handler waits for nobody, and nobody waits for it. */
static void a_concurrent_handler_runs_beside_others(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_concurrency(d, 1, true);
    exec_begin(d, 1);
    fabric_pending_t *first = begin_wait(d, "a");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 2, 101);
    d->pending = NULL;
    exec_durable(d, "a", "Hold"); /* 3: it is not concurrent */
    exec_run(d);
    fabric_pending_t *held = d->pending;
    assert_non_null(held);
    exec_add(d, "a", 1); /* 4: waits for 3 */
    fabric_pending_t *fifth = begin_wait(d, "a");
    assert_non_null(fifth); /* 5: waits neither for 3 nor behind 4 */
    exec_expect_no_result(d);
    complete(d, &fifth, 55);
    exec_expect_amount(d, 5, 55);
    exec_expect_no_result(d);
    complete(d, &held, 33);
    exec_expect_amount(d, 3, 33);
    exec_expect_amount(d, 4, 102);
    complete(d, &first, 11);
    exec_expect_amount(d, 1, 11);
}

/* SH-31: the home delivers the others again, too. */
static void a_defect_ends_all_that_is_pending(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_concurrency(d, 3, false);
    exec_begin(d, 1);
    fabric_pending_t *first = begin_wait(d, "a");
    fabric_pending_t *second = begin_wait(d, "a");
    exec_durable(d, "a", "Break");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 3, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT); /* the culprit's comes first */
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect(d, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    assert_int_equal(d->stops, 1);
    complete(d, &first, 1);
    complete(d, &second, 2);
    exec_expect_no_result(d);
    exec_give(d, "a", "Add", 1, 2, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    exec_expect_amount(d, 5, 101);
}

static void termination_waits_for_what_is_pending(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_concurrency(d, 2, false);
    exec_begin(d, 1);
    fabric_pending_t *first = begin_wait(d, "a");
    exec_give(d, "a", "End", 1, 1, REQUEST_DURABLE, exec_amount(d, 0));
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 2, 100);
    exec_expect_no_result(d); /* nothing begins any more */
    assert_int_equal(d->stops, 0);
    complete(d, &first, 11);
    exec_expect_amount(d, 1, 11);
    exec_expect_amount(d, 3, 101);
    assert_int_equal(d->stops, 1);
}

static void all_that_is_pending_leaves_with_its_shard(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_concurrency(d, 2, false);
    exec_begin(d, 1);
    fabric_pending_t *first = begin_wait(d, "a");
    fabric_pending_t *second = begin_wait(d, "a");
    exec_add(d, "a", 1);
    exec_stop(d, 1, d->now_ms + 100);
    exec_begin(d, 2);
    exec_give(d, "a", "Add", 2, 2, REQUEST_DURABLE, exec_amount(d, 1)); /* of the next owner */
    exec_run(d);
    exec_expect_no_result(d);
    d->now_ms += 100;
    exec_run(d);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_expect_stopped(d, 1);
    exec_expect_amount(d, 4, 101);
    assert_int_equal(d->stops, 1);
    complete(d, &first, 1);
    complete(d, &second, 2);
}

/* ---- another home ---- */

static void deliver_again(executor_driver_t *d, const char *tag, uint64_t request_id)
{
    uint64_t last = d->request_id;
    d->request_id = request_id - 1;
    d->again = true;
    exec_give(d, "a", tag, 1, 9, REQUEST_DURABLE, exec_amount(d, 1));
    d->again = false;
    d->request_id = last;
    exec_run(d);
}

static void pending_handlers_answer_the_next_home(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_concurrency(d, 2, false);
    exec_begin(d, 1);
    fabric_pending_t *first = begin_wait(d, "a");
    fabric_pending_t *second = begin_wait(d, "a");
    exec_orphan(d, 1);
    exec_run(d);
    exec_expect_orphaned(d, 1);
    exec_resume(d, 1);
    exec_kept(d, fabric_bytes("", 0));
    deliver_again(d, "Wait", 1);
    deliver_again(d, "Wait", 2);
    exec_add(d, "a", 1);
    exec_run(d);
    complete(d, &second, 22);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, 2);
    assert_int_equal(result.home_epoch, 2);
    assert_int_equal(result.activation, 9);
    exec_expect_amount(d, 3, 101);
    complete(d, &first, 11);
    exec_expect_amount(d, 1, 11);
    assert_int_equal(d->starts, 1);
    assert_int_equal(executor_stats(d->executor).answered, 0); /* none waited for a kept result */
}

/* A message that the instance has seen, and whose result is gone: the instance ends, and what is
 * pending comes again. */
static void an_instance_that_has_seen_a_message_ends(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_concurrency(d, 2, false);
    exec_begin(d, 1);
    fabric_pending_t *first = begin_wait(d, "a");
    exec_add(d, "a", 5);
    exec_run(d);
    exec_expect_amount(d, 2, 105);
    exec_orphan(d, 1);
    exec_run(d);
    exec_expect_orphaned(d, 1);
    exec_resume(d, 1);
    exec_kept(d, fabric_bytes("", 0));
    deliver_again(d, "Wait", 1);
    deliver_again(d, "Add", 2);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect_amount(d, 2, 101);
    assert_int_equal(d->stops, 1);
    complete(d, &first, 11);
    exec_expect_no_result(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(so_many_are_pending_and_end_in_any_order),
        EXECUTOR_TEST(any_number_may_be_pending),
        EXECUTOR_TEST(a_concurrent_handler_runs_beside_others),
        EXECUTOR_TEST(a_defect_ends_all_that_is_pending),
        EXECUTOR_TEST(termination_waits_for_what_is_pending),
        EXECUTOR_TEST(all_that_is_pending_leaves_with_its_shard),
        EXECUTOR_TEST(pending_handlers_answer_the_next_home),
        EXECUTOR_TEST(an_instance_that_has_seen_a_message_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
