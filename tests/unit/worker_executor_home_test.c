/* The executor: instances outlive a change of their home, and see no message twice. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_homes.h"

static void an_instance_goes_on(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_amount(d, 2, 102);
    exec_change_home(d, (uint64_t[]){1, 2}, 2); /* of 1 and 2, the new home has only 1 as ended */
    exec_deliver_again(d, "a", "Add", 2);
    exec_deliver_again(d, "a", "Add", 3);
    exec_run(d);
    exec_expect_kept(d, 2);
    exec_expect_amount(d, 3, 103);
    assert_int_equal(d->starts, 1);
    assert_int_equal(d->handled, 3);
    assert_int_equal(executor_stats(d->executor).answered, 1);
}

static void nothing_starts_without_a_home(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_orphan(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    assert_int_equal(d->handled, 1);
    exec_resume(d, 1);
    exec_deliver_again(d, "a", "Add", 1); /* it waits for the results */
    exec_run(d);
    assert_int_equal(d->handled, 1);
    exec_expect_no_result(d);
    wire_writer_t kept = {0};
    exec_put_kept(&kept, 1, STATUS_FAILURE, 1);
    exec_kept(d, wire_writer_bytes(&kept));
    wire_writer_destroy(&kept);
    exec_run(d);
    exec_expect_kept(d, 1);
    exec_stop(d, 1, d->now_ms);
    exec_run(d);
    exec_expect_stopped(d, 1);
    assert_int_equal(d->stops, 1);
}

/* The handler goes on, and its result answers the new delivery. */
static void a_pending_handler_answers(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_durable(d, "a", "Wait");
    exec_add(d, "a", 1); /* the former home's: it is dropped */
    exec_run(d);
    exec_change_home(d, (uint64_t[]){1}, 1);
    exec_deliver_again(d, "a", "Add", 1);
    exec_deliver_again(d, "a", "Wait", 2);
    exec_deliver_again(d, "a", "Add", 3);
    exec_run(d);
    exec_expect_kept(d, 1);
    exec_expect_no_result(d);
    exec_complete(d, 55);
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, 2);
    assert_int_equal(result.home_epoch, 2);
    assert_int_equal(result.activation, 9);
    exec_expect_amount(d, 3, 102);
    exec_expect_no_result(d);
    assert_int_equal(d->starts, 1);
    assert_int_equal(d->handled, 3);
}

static void a_handler_may_end_without_a_home(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_orphan(d, 1);
    exec_complete(d, 55);
    exec_run(d);
    exec_expect_orphaned(d, 1);
    exec_resume(d, 1);
    wire_writer_t kept = {0};
    exec_put_kept(&kept, 1, STATUS_FAILURE, 1); /* of an earlier delivery: it was refused */
    exec_kept(d, wire_writer_bytes(&kept));
    wire_writer_destroy(&kept);
    exec_deliver_again(d, "a", "Wait", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 55);
    assert_int_equal(d->handled, 1);
}

/* A volatile message is not known to the new home, and its result is nobody's. */
static void volatile_results_are_not_kept(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    exec_orphan(d, 1);
    exec_complete(d, 55);
    exec_run(d);
    exec_expect_orphaned(d, 1);
    exec_resume(d, 1);
    exec_kept(d, (fabric_bytes_t){0});
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
}

static void an_instance_that_has_seen_too_much_ends(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_change_home(d, (uint64_t[]){2}, 1); /* nothing is known of 1 */
    exec_deliver_again(d, "a", "Add", 1);
    exec_deliver_again(d, "a", "Add", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_amount(d, 2, 102);
    assert_int_equal(d->starts, 2);
    assert_int_equal(d->stops, 1);
}

/* A scheduled message comes with a small id when it is due. */
static void an_instance_goes_on_with_a_first_delivery_of_a_small_id(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->request_id = 1;
    exec_add(d, "a", 1); /* request 2 */
    exec_run(d);
    exec_change_home(d, (uint64_t[]){2}, 1);
    d->request_id = 0;
    exec_give(d, "a", "Add", 1, 9, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    assert_int_equal(d->handled, 2);
    assert_int_equal(d->starts, 1);
    assert_int_equal(d->stops, 0);
}

static void give_due(executor_driver_t *d, uint64_t request_id, uint64_t position)
{
    d->position = position;
    d->request_id = request_id - 1;
    exec_add(d, "a", 1);
    d->position = 0;
}

static void deliver_due_again(executor_driver_t *d, uint64_t request_id, uint64_t position)
{
    d->position = position;
    exec_deliver_again(d, "a", "Add", request_id);
    d->position = 0;
}

/* The instance has handled what came due later, though it has the smaller id. */
static void a_kept_result_of_a_message_that_came_due_before_is_taken(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    give_due(d, 2, 10);
    exec_run(d);
    exec_expect_amount(d, 2, 101);
    d->now_ms += 1000;
    exec_run(d);
    assert_int_equal(d->stops, 1);
    give_due(d, 1, 20);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_change_home(d, (uint64_t[]){2, 1}, 2);
    deliver_due_again(d, 2, 10);
    deliver_due_again(d, 1, 20);
    exec_run(d);
    exec_expect_kept(d, 2);
    exec_expect_kept(d, 1);
    assert_int_equal(d->handled, 2);
    assert_int_equal(d->starts, 2);
}

/* By the ids the first would not have been seen, and the second would. */
static void what_an_instance_has_seen_goes_by_positions(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    give_due(d, 1, 20);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_change_home(d, (uint64_t[]){9}, 1); /* nothing is known of 1 */
    deliver_due_again(d, 2, 10);
    deliver_due_again(d, 1, 20);
    exec_run(d);
    exec_expect_amount(d, 2, 101);
    exec_expect_amount(d, 1, 102);
    assert_int_equal(d->starts, 2);
    assert_int_equal(d->stops, 1);
}

/* The shard came back to the same home: the handler's instance is stopping, and a new one handles
 * the message. */
static void a_pending_handler_of_a_former_ownership_answers_nobody(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_change_home(d, NULL, 0);
    exec_stop(d, 1, d->now_ms + 100);
    exec_run(d);
    exec_begin(d, 2);
    d->request_id = 0;
    exec_give(d, "a", "Add", 2, 9, REQUEST_DURABLE, exec_amount(d, 1)); /* the same request */
    exec_run(d);
    exec_expect_no_result(d);
    d->now_ms += 100;
    exec_run(d);
    exec_expect_stopped(d, 1);
    exec_expect_amount(d, 1, 101);
    exec_complete(d, 55); /* nobody waits for it any more */
    exec_run(d);
    exec_expect_no_result(d);
    assert_int_equal(d->starts, 2);
}

/* Results leave in the order of the deliveries. */
static void a_kept_result_waits_for_an_earlier_delivery(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_change_home(d, (uint64_t[]){1}, 1);
    exec_volatile(d, "a", "Wait");
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    exec_expect_no_result(d);
    exec_complete(d, 55);
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, 2);
    exec_expect_kept(d, 1);
    assert_int_equal(d->starts, 1);
}

/* It is the result of an instance that has ended since. The next one, which has handled an earlier
 * message again, handles this one, too: else it would go on without it. */
static void a_kept_result_of_an_instance_that_has_ended_is_not_taken(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_amount(d, 2, 102);
    d->now_ms += 1000;
    exec_run(d);
    assert_int_equal(d->stops, 1);
    exec_change_home(d, (uint64_t[]){2}, 1);
    exec_deliver_again(d, "a", "Add", 1);
    exec_deliver_again(d, "a", "Add", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_amount(d, 2, 102);
    assert_int_equal(d->starts, 2);
}

/* The defect has refused what was delivered after it. */
static void a_kept_result_behind_a_defect_is_not_taken(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_change_home(d, (uint64_t[]){1}, 1);
    exec_give(d, "a", "Wait", 1, 9, 0, fabric_bytes("\x90", 1));
    exec_give(d, "a", "Break", 1, 9, 0, fabric_bytes("\x90", 1));
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    exec_complete(d, 55);
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.status, STATUS_OK);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.status, STATUS_DEFECT);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, 1);
    assert_int_equal(result.status, STATUS_NOT_TAKEN);
}

/* A result whose message was delivered again by the same home was refused. */
static void refused_results_do_not_answer(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_deliver_again(d, "a", "Add", 1); /* behind the pending handler */
    exec_run(d);
    exec_orphan(d, 1);
    exec_complete(d, 55);
    exec_run(d);
    exec_resume(d, 1);
    wire_writer_t kept = {0};
    exec_put_kept(&kept, 1, STATUS_FAILURE, 1);
    exec_kept(d, wire_writer_bytes(&kept));
    wire_writer_destroy(&kept);
    d->now_ms += 20;
    exec_run(d); /* the former home's delivery is dropped, and with it the result */
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    assert_int_equal(d->starts, 2);
}

static void of_several_results_the_last_counts(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    wire_writer_t kept = {0};
    exec_begin(d, 1);
    exec_orphan(d, 1);
    exec_run(d);
    exec_resume(d, 1);
    exec_put_kept(&kept, 1, STATUS_FAILURE, 77);
    exec_put_kept(&kept, 1, STATUS_FAILURE, 1);
    exec_put_kept(&kept, 2, STATUS_FAILURE, 2);
    exec_put_kept(&kept, 2, STATUS_DEFECT, 0);
    exec_put_kept(&kept, 3, STATUS_FAILURE, 3);
    exec_put_kept(&kept, 3, STATUS_NOT_TAKEN, 0);
    exec_kept(d, wire_writer_bytes(&kept));
    wire_writer_destroy(&kept);
    for (uint64_t i = 1; i <= 3; i++) {
        exec_deliver_again(d, "a", "Add", i);
    }
    exec_run(d);
    exec_expect_kept(d, 1);
    exec_expect_amount(d, 2, 101);
    exec_expect_amount(d, 3, 102);
}

/* A typed failure is an answer as any other: no handler runs again. */
static void a_typed_failure_that_was_kept_answers(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    wire_writer_t kept = {0};
    message_result_t result;
    exec_begin(d, 1);
    exec_orphan(d, 1);
    exec_run(d);
    exec_resume(d, 1);
    exec_put_kept(&kept, 1, STATUS_TYPED_FAILURE, 7);
    exec_kept(d, wire_writer_bytes(&kept));
    wire_writer_destroy(&kept);
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.status, STATUS_TYPED_FAILURE);
    assert_int_equal(result.code, 7);
    assert_int_equal(d->handled, 0);
}

static void results_are_let_go_in_time(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_change_home(d, (uint64_t[]){1}, 1);
    d->now_ms += 1000;
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
}

/* Activations are counted by each home. */
static void a_defect_is_forgotten_with_its_home(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_give(d, "a", "Break", 1, 100, REQUEST_DURABLE,
              (fabric_bytes_t){(const uint8_t *)"\x90", 1});
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    exec_change_home(d, NULL, 0);
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
}

/* What the former home had delivered is still read, and must not disturb what is kept. */
static void old_deliveries_do_not_disturb_what_is_kept(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_orphan(d, 1);
    exec_add(d, "b", 1);
    exec_complete(d, 55);
    exec_run(d);
    exec_resume(d, 1);
    exec_kept(d, (fabric_bytes_t){0});
    exec_deliver_again(d, "a", "Wait", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 55);
    assert_int_equal(d->starts, 1);
}

/* The result of the first home has not reached the second one, which is gone, too. */
static void expect_kept_by_the_third_home(executor_driver_t *d)
{
    message_result_t result;
    exec_resume(d, 1);
    exec_kept(d, (fabric_bytes_t){0});
    d->now_ms += 20;
    exec_run(d);
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, 1);
    assert_int_equal(result.code, 1);
    assert_int_equal(result.home_epoch, 3);
    assert_int_equal(d->starts, 1);
}

static void a_result_is_kept_for_the_next_home_but_one(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_change_home(d, (uint64_t[]){1}, 1);
    exec_orphan(d, 1);
    exec_deliver_again(d, "a", "Add", 1);
    exec_run(d);
    expect_kept_by_the_third_home(d);
}

static void a_result_is_kept_though_its_delivery_is_dropped(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_change_home(d, (uint64_t[]){1}, 1);
    exec_volatile(d, "a", "Wait");
    exec_deliver_again(d, "a", "Add", 1); /* behind the pending handler */
    exec_run(d);
    exec_orphan(d, 1);
    exec_complete(d, 55);
    exec_run(d);
    expect_kept_by_the_third_home(d);
}

/* A pending handler answers no delivery that comes behind another one: results leave in the order
 * of the deliveries. */
static void a_pending_handler_answers_nothing_behind_an_earlier_delivery(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_change_home(d, NULL, 0); /* nothing is known of 1 */
    exec_deliver_again(d, "a", "Add", 1);
    exec_deliver_again(d, "a", "Wait", 2);
    exec_run(d);
    exec_complete(d, 55);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_no_result(d);
    assert_int_equal(d->starts, 2);
    exec_complete(d, 66);
    exec_run(d);
    exec_expect_amount(d, 2, 66);
}

/* A second delivery by the same home means that the home does not want the result of the first. */
static void a_pending_handler_answers_one_delivery_of_a_home(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_begin(d, 1);
    exec_durable(d, "a", "Wait");
    exec_run(d);
    exec_change_home(d, NULL, 0);
    exec_deliver_again(d, "a", "Wait", 1);
    exec_deliver_again(d, "a", "Wait", 1);
    exec_run(d);
    exec_complete(d, 55);
    exec_run(d);
    exec_expect_amount(d, 1, 55);
    assert_int_equal(d->starts, 2);
    exec_complete(d, 66);
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, 1);
}

/* ---- early deliveries: their messages may never be stored ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(an_instance_goes_on),
        EXECUTOR_TEST(nothing_starts_without_a_home),
        EXECUTOR_TEST(a_pending_handler_answers),
        EXECUTOR_TEST(a_pending_handler_of_a_former_ownership_answers_nobody),
        EXECUTOR_TEST(a_kept_result_waits_for_an_earlier_delivery),
        EXECUTOR_TEST(a_kept_result_of_an_instance_that_has_ended_is_not_taken),
        EXECUTOR_TEST(a_kept_result_behind_a_defect_is_not_taken),
        EXECUTOR_TEST(a_handler_may_end_without_a_home),
        EXECUTOR_TEST(old_deliveries_do_not_disturb_what_is_kept),
        EXECUTOR_TEST(a_result_is_kept_for_the_next_home_but_one),
        EXECUTOR_TEST(a_result_is_kept_though_its_delivery_is_dropped),
        EXECUTOR_TEST(a_pending_handler_answers_nothing_behind_an_earlier_delivery),
        EXECUTOR_TEST(a_pending_handler_answers_one_delivery_of_a_home),
        EXECUTOR_TEST(volatile_results_are_not_kept),
        EXECUTOR_TEST(an_instance_that_has_seen_too_much_ends),
        EXECUTOR_TEST(a_kept_result_of_a_message_that_came_due_before_is_taken),
        EXECUTOR_TEST(what_an_instance_has_seen_goes_by_positions),
        EXECUTOR_TEST(an_instance_goes_on_with_a_first_delivery_of_a_small_id),
        EXECUTOR_TEST(refused_results_do_not_answer),
        EXECUTOR_TEST(of_several_results_the_last_counts),
        EXECUTOR_TEST(a_typed_failure_that_was_kept_answers),
        EXECUTOR_TEST(results_are_let_go_in_time),
        EXECUTOR_TEST(a_defect_is_forgotten_with_its_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
