/* The executor: handlers that take longer than slow_ms of their entity type, which is 500 here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/executor_driver.h"

static uint64_t slow_count(const executor_driver_t *d)
{
    return executor_stats(d->executor).slow;
}

static void linger(executor_driver_t *d, const char *id, int64_t ms)
{
    exec_give(d, id, "Linger", 1, 1, REQUEST_DURABLE, exec_amount(d, ms));
    exec_run(d);
}

static void a_handler_that_runs_long_is_told_and_counted(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    linger(d, "a", 500);
    assert_int_equal(slow_count(d), 0);
    linger(d, "a\n", 501);
    assert_int_equal(slow_count(d), 1);
    assert_int_equal(d->slow_told, 1);
    assert_string_equal(d->slow, "Sum/a\\x0a Linger, request 2: ran for 501 ms");
    d->now_ms += 5000; /* nothing runs meanwhile */
    exec_run(d);
    exec_add(d, "a", 1);
    exec_run(d);
    assert_int_equal(slow_count(d), 1);
}

static void look(executor_driver_t *d)
{
    char text[256] = "";
    uint64_t since_ms = d->now_ms - 600;
    assert_false(executor_describe_slow(d->executor, since_ms, since_ms + 500, text, sizeof text));
    assert_true(executor_describe_slow(d->executor, since_ms, d->now_ms, text, sizeof text));
    assert_string_equal(text, "Sum/a Linger, request 1: has run for 600 ms");
    assert_false(executor_describe_slow(d->executor, since_ms, d->now_ms, text, sizeof text));
}

static void who_looks_is_told_while_it_runs(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    char text[256] = "";
    exec_begin(d, 1);
    d->during = look;
    linger(d, "a", 600);
    assert_int_equal(slow_count(d), 1); /* once */
    assert_int_equal(d->slow_told, 0);
    assert_false(executor_describe_slow(d->executor, 1, d->now_ms, text, sizeof text));
    d->during = NULL;
    linger(d, "a", 600);
    assert_int_equal(slow_count(d), 2);
    assert_int_equal(d->slow_told, 1);
}

static void a_pending_handler_is_told_when_its_time_is_over(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    fabric_pending_t *first = d->pending;
    d->now_ms += 200;
    exec_volatile(d, "b", "Wait");
    exec_run(d);
    d->now_ms += 300;
    exec_run(d);
    assert_int_equal(slow_count(d), 0);
    assert_true(executor_next_deadline(d->executor) == d->now_ms + 1);
    d->now_ms++;
    exec_run(d);
    assert_int_equal(slow_count(d), 1);
    assert_string_equal(d->slow, "Sum/a Wait, request 1: has been pending for 501 ms");
    d->now_ms += 100;
    exec_complete(d, 1); /* the other one, in time */
    exec_run(d);
    d->now_ms += 5000;
    exec_run(d);
    assert_int_equal(slow_count(d), 1);
    assert_int_equal(d->slow_told, 1);
    fabric_pending_fail(&first, 1, "");
    exec_run(d);
}

static void a_pending_handler_that_is_given_up_is_not_told(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    exec_stop(d, 1, d->now_ms + 100);
    d->now_ms += 100;
    exec_run(d);
    d->now_ms += 5000;
    exec_run(d);
    assert_int_equal(slow_count(d), 0);
    fabric_pending_fail(&d->pending, 1, "");
    exec_run(d);
}

static void a_flood_of_slow_handlers_is_counted(void **state)
{
    enum { COUNT = 15 };
    executor_driver_t *d = (executor_driver_t *)*state;
    fabric_pending_t *all[COUNT];
    exec_begin(d, 1);
    for (int i = 0; i < COUNT; i++) {
        char id[8] = {(char)('a' + i)};
        exec_volatile(d, id, "Wait");
        exec_run(d);
        all[i] = d->pending;
    }
    d->now_ms += 501;
    exec_run(d);
    assert_int_equal(slow_count(d), COUNT);
    assert_int_equal(d->slow_told, 10);
    linger(d, "z", 1000);
    assert_non_null(strstr(d->slow, "Sum/z Linger, request 16: ran for 1000 ms (5 more left out"));
    for (int i = 0; i < COUNT; i++) {
        fabric_pending_fail(&all[i], 1, "");
    }
    exec_run(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(a_handler_that_runs_long_is_told_and_counted),
        EXECUTOR_TEST(who_looks_is_told_while_it_runs),
        EXECUTOR_TEST(a_pending_handler_is_told_when_its_time_is_over),
        EXECUTOR_TEST(a_pending_handler_that_is_given_up_is_not_told),
        EXECUTOR_TEST(a_flood_of_slow_handlers_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
