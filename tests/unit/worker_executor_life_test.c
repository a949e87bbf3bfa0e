/* The executor: entities that keep themselves alive, or end themselves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_driver.h"

static void tell(executor_driver_t *d, const char *id, const char *tag, int64_t amount)
{
    exec_give(d, id, tag, 1, 1, REQUEST_DURABLE, exec_amount(d, amount));
    exec_run(d);
}

static void who_keeps_itself_alive_is_not_stopped_for_idleness(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    tell(d, "a", "Keep", 1);
    tell(d, "b", "Keep", 0);
    for (int i = 0; i < 5; i++) {
        d->now_ms += 1000;
        exec_run(d);
    }
    assert_string_equal(d->stopped, "b");
    tell(d, "a", "Keep", 0);
    d->now_ms += 1000;
    exec_run(d);
    assert_string_equal(d->stopped, "ba");
}

static void who_keeps_itself_alive_makes_place_after_all_others(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 2, 8);
    exec_begin(d, 1);
    tell(d, "a", "Keep", 1);
    d->now_ms++;
    tell(d, "b", "Keep", 0);
    exec_add(d, "c", 1);
    exec_run(d);
    exec_expect_amount(d, 3, 101);
    assert_string_equal(d->stopped, "b");
    tell(d, "c", "Keep", 1);
    exec_add(d, "b", 1);
    exec_run(d);
    exec_expect_amount(d, 5, 101);
    assert_string_equal(d->stopped, "ba");
}

/* The wish does not end with the state. */
static void a_fresh_instance_keeps_itself_alive_too(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    tell(d, "a", "Keep", 1);
    exec_durable(d, "a", "Break");
    exec_run(d);
    exec_give(d, "a", "Add", 1, 2, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    assert_int_equal(d->starts, 2);
    d->now_ms += 10000;
    exec_run(d);
    assert_string_equal(d->stopped, "a");
}

static void who_keeps_itself_alive_leaves_with_its_shard(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    tell(d, "a", "Keep", 1);
    exec_stop(d, 1, 0);
    exec_run(d);
    exec_expect_stopped(d, 1);
    assert_string_equal(d->stopped, "a");
}

static void who_terminates_is_fresh_for_the_next_message(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 5);
    tell(d, "a", "End", 0);
    exec_expect_amount(d, 1, 105);
    exec_expect_amount(d, 2, 105);
    assert_string_equal(d->stopped, "a");
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 3, 101);
    assert_int_equal(d->starts, 2);
    d->now_ms += 1000;
    exec_run(d);
    assert_string_equal(d->stopped, "aa");
    for (int i = 0; i < 60; i++) { /* that it is not kept alive is remembered for a while */
        d->now_ms += 1000;
        exec_run(d);
    }
    assert_int_equal(executor_stats(d->executor).entities, 0);
}

static void a_pending_handler_terminates_when_it_is_completed(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    tell(d, "a", "End", 1);
    exec_add(d, "a", 1);
    exec_add(d, "a", 1);
    exec_run(d);
    assert_string_equal(d->stopped, "");
    exec_complete(d, 7);
    exec_run(d);
    assert_string_equal(d->stopped, "a");
    exec_expect_amount(d, 1, 7);
    exec_expect_amount(d, 2, 101);
    exec_expect_amount(d, 3, 102);
    tell(d, "b", "End", 1); /* given up, and stopped all the same */
    exec_stop(d, 1, d->now_ms);
    exec_run(d);
    assert_int_equal(d->stops, 3);
    exec_complete(d, 7);
    exec_run(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(who_keeps_itself_alive_is_not_stopped_for_idleness),
        EXECUTOR_TEST(who_keeps_itself_alive_makes_place_after_all_others),
        EXECUTOR_TEST(a_fresh_instance_keeps_itself_alive_too),
        EXECUTOR_TEST(who_keeps_itself_alive_leaves_with_its_shard),
        EXECUTOR_TEST(who_terminates_is_fresh_for_the_next_message),
        EXECUTOR_TEST(a_pending_handler_terminates_when_it_is_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
