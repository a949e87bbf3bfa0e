/* The executor: handling in order under a token, mailboxes, idle entities, the lease. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/limits.h"
#include "tests/unit/executor_driver.h"

static void handles_in_order_with_state(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_add(d, "b", 10);
    exec_add(d, "a", 2);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_amount(d, 2, 110);
    exec_expect_amount(d, 3, 103);
    exec_expect_no_result(d);
    assert_int_equal(d->starts, 2);
    assert_int_equal(executor_stats(d->executor).handled, 3);
    assert_int_equal(executor_stats(d->executor).entities, 2);
    assert_true(executor_stats(d->executor).bytes / 2 <= 256);
}

static void tokens_that_do_not_hold_are_not_taken(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_give(d, "a", "Add", 1, 1, REQUEST_DURABLE, exec_amount(d, 1)); /* before any token */
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_begin(d, 2);
    exec_give(d, "a", "Add", 1, 1, REQUEST_DURABLE, exec_amount(d, 1)); /* older */
    exec_give(d, "a", "Add", 3, 1, REQUEST_DURABLE, exec_amount(d, 1)); /* of the future */
    exec_give(d, "a", "Add", 2, 1, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_expect_amount(d, 4, 101);
    assert_int_equal(d->handled, 1);
}

static void new_token_is_a_new_activation(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_stop(d, 1, 0);
    exec_begin(d, 2);
    exec_give(d, "a", "Add", 2, 1, REQUEST_DURABLE, exec_amount(d, 5));
    exec_run(d);
    exec_expect_stopped(d, 1);
    exec_expect_amount(d, 2, 105);
    assert_int_equal(d->stops, 1);
    assert_int_equal(d->token.owner_sequence, 2); /* as the handler was told */
}

static void unknown_type_is_not_taken(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    message_deliver_t delivery = {
        .shard = EXECUTOR_DRIVER_SHARD,
        .home_epoch = 1,
        .owner_sequence = 1,
        .request_id = 5,
        .type = fabric_bytes_of("Other"),
        .id = fabric_bytes_of("x"),
        .tag = fabric_bytes_of("Add"),
    };
    work_t *work = work_new(WORK_DELIVERIES, 0, (work_source_t){0, 1}, 1);
    work = work_add(work, &delivery);
    executor_give(d->executor, &work);
    exec_run(d);
    exec_expect(d, 5, STATUS_NOT_TAKEN, FABRIC_ERROR_RUNNER_NOT_REGISTERED);
}

static void tell_has_no_reply_payload(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_begin(d, 1);
    exec_give(d, "a", "Add", 1, 1, REQUEST_DURABLE | REQUEST_TELL, exec_amount(d, 1));
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.payload.size, 0);
}

static void volatile_mailbox_is_bounded(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_volatile(d, "a", "Fail");
    exec_volatile(d, "a", "Fail");
    exec_volatile(d, "a", "Fail"); /* the third that waits */
    exec_durable(d, "a", "Fail");  /* durable ones have their bound elsewhere */
    exec_run(d);
    exec_expect(d, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_MAILBOX_FULL);
    exec_expect_no_result(d);
    fabric_pending_fail(&d->pending, 1, NULL);
    exec_run(d);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect(d, 2, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect(d, 3, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect(d, 5, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    exec_expect_no_result(d);
}

static void idle_entities_are_stopped(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_add(d, "b", 1);
    exec_run(d);
    d->now_ms += 900;
    exec_add(d, "b", 1);
    exec_run(d);
    d->now_ms += 100;
    assert_true(executor_next_deadline(d->executor) <= d->now_ms);
    exec_run(d);
    assert_int_equal(d->stops, 1);
    assert_int_equal(executor_stats(d->executor).entities, 1);
    d->now_ms = executor_next_deadline(d->executor);
    exec_run(d);
    assert_int_equal(d->stops, 2);
    assert_int_equal(executor_stats(d->executor).entities, 0);
    assert_int_equal(executor_stats(d->executor).bytes, 0);
    assert_true(executor_next_deadline(d->executor) == UINT64_MAX);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 4, 101); /* fresh state */
}

static void lapsed_lease_starts_nothing(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    atomic_store(&d->lease.start_until_ms, d->now_ms);
    exec_add(d, "a", 1);
    exec_add(d, "a", 2);
    exec_run(d);
    assert_null(d->outputs);
    assert_int_equal(d->handled, 0);
    assert_int_equal(d->starts, 0);
    d->now_ms = executor_next_deadline(d->executor);
    exec_run(d);
    assert_int_equal(d->handled, 0);
    atomic_store(&d->lease.start_until_ms, UINT64_MAX);
    d->now_ms = executor_next_deadline(d->executor);
    exec_run(d);
    exec_expect_amount(d, 1, 101); /* in order */
    exec_expect_amount(d, 2, 103);
}

/* The results of one run leave in pieces, none of which is longer than a frame should be. */
static void results_are_cut_into_pieces(void **state)
{
    enum { COUNT = 20000 };
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    for (int i = 0; i < COUNT; i++) {
        exec_add(d, "a", 1);
    }
    exec_run(d);
    size_t pieces = 0;
    uint32_t results = 0;
    for (const work_output_t *output = d->outputs; output; output = output->next) {
        assert_true(output->results.size <= LIMIT_FRAME_BYTES_GOAL);
        results += output->count;
        pieces++;
    }
    assert_int_equal(results, COUNT);
    assert_true(pieces > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(handles_in_order_with_state),
        EXECUTOR_TEST(tokens_that_do_not_hold_are_not_taken),
        EXECUTOR_TEST(new_token_is_a_new_activation),
        EXECUTOR_TEST(unknown_type_is_not_taken),
        EXECUTOR_TEST(tell_has_no_reply_payload),
        EXECUTOR_TEST(volatile_mailbox_is_bounded),
        EXECUTOR_TEST(idle_entities_are_stopped),
        EXECUTOR_TEST(lapsed_lease_starts_nothing),
        EXECUTOR_TEST(results_are_cut_into_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
