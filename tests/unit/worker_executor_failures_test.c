/* The executor: failures, defects, and what cannot be decoded or encoded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/executor_driver.h"

static void failures_and_defects(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_durable(d, "a", "Fail");
    exec_add(d, "a", 1);
    exec_durable(d, "a", "Break");
    exec_add(d, "a", 1); /* of the failed activation */
    exec_add(d, "b", 1); /* another entity */
    exec_give(d, "a", "Add", 1, 2, REQUEST_DURABLE, exec_amount(d, 4));
    exec_add(d, "a", 1); /* a healthy entity takes an older activation */
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.status, STATUS_FAILURE);
    assert_int_equal(result.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(result.code, 7);
    assert_true(fabric_bytes_equal(result.payload, fabric_bytes_of("no thanks")));
    exec_expect_amount(d, 3, 102); /* a failure does not hurt the entity */
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.status, STATUS_DEFECT);
    assert_int_equal(result.error, FABRIC_ERROR_ENTITY_DEFECT);
    assert_true(fabric_bytes_equal(result.payload, fabric_bytes_of("broken 1")));
    exec_expect(d, 5, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect_amount(d, 6, 101);
    exec_expect_amount(d, 7, 104); /* fresh state */
    exec_expect_amount(d, 8, 105);
    assert_int_equal(d->stops, 1);
    assert_int_equal(executor_stats(d->executor).defects, 1);
}

static void a_message_that_cannot_be_decoded_or_encoded_fails_by_itself(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_give(d, "a", "Add", 1, 1, REQUEST_DURABLE, fabric_bytes_of("junk"));
    exec_durable(d, "a", "Label");
    exec_durable(d, "a", "Unheard");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    exec_expect(d, 3, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    exec_expect(d, 4, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    exec_expect_amount(d, 5, 102);
    assert_int_equal(d->stops, 0);
}

static void pending_without_handle_is_a_defect(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a", "Lie");
    exec_run(d);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
}

/* A line for people names the handler that broke; a flood of defects is counted instead. */
static void defects_are_told(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_durable(d, "a\n", "Break");
    exec_run(d);
    assert_int_equal(d->defects_told, 1);
    assert_string_equal(d->defect, "Sum/a\\x0a Break, request 1: broken 1");
    exec_durable(d, "b", "Label");
    exec_run(d);
    assert_int_equal(d->defects_told, 2);
    assert_non_null(strstr(d->defect, "Sum/b Label, request 2: "));
    exec_durable(d, "b", "Fail");
    exec_give(d, "b", "Add", 1, 1, REQUEST_DURABLE, fabric_bytes_of("junk"));
    exec_run(d);
    assert_int_equal(d->defects_told, 2); /* an answer, and the caller's fault */
    for (uint64_t i = 0; i < 20; i++) {
        exec_give(d, "c", "Break", 1, 1 + i, REQUEST_DURABLE, fabric_bytes("\x90", 1));
    }
    exec_run(d);
    assert_int_equal(d->defects_told, 10);
    d->now_ms += 1000;
    exec_give(d, "c", "Break", 1, 30, REQUEST_DURABLE, fabric_bytes("\x90", 1));
    exec_run(d);
    assert_int_equal(d->defects_told, 11);
    assert_non_null(strstr(d->defect, "request 25: broken 1 (12 more left out before)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(failures_and_defects),
        EXECUTOR_TEST(a_message_that_cannot_be_decoded_or_encoded_fails_by_itself),
        EXECUTOR_TEST(pending_without_handle_is_a_defect),
        EXECUTOR_TEST(defects_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
