/* The executor: instances are built and ended, and resources outlive them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/executor_driver.h"

/* What finalizers and resources have done, one letter for each. */
static char done[64];

static int setup(void **state)
{
    done[0] = '\0';
    return executor_driver_setup(state);
}
#define INSTANCE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, executor_driver_teardown)

static void note(void *letters)
{
    strcat(done, (const char *)letters);
}

static void expect_done(const char *letters)
{
    assert_string_equal(done, letters);
    done[0] = '\0';
}

static void linger(executor_driver_t *d, const char *id, uint64_t activation)
{
    exec_give(d, id, "Linger", 1, activation, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
}

/* ---- building ---- */

static void test_sh_46_a_build_that_fails_is_tried_again(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    message_result_t result;
    exec_begin(d, 1);
    d->start_fails = true;
    exec_add(d, "a", 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, 1);
    assert_int_equal(result.status, STATUS_NOT_TAKEN); /* no attempt is counted */
    assert_int_equal(result.error, FABRIC_ERROR_NOT_BUILT);
    assert_true(fabric_bytes_equal(result.payload, fabric_bytes_of("no database")));
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT); /* it does not overtake */
    assert_int_equal(d->starts, 1);
    assert_int_equal(d->stops, 0);
    assert_string_equal(d->defect, "Sum/a Add, request 1: no database");
    d->start_fails = false;
    exec_give(d, "a", "Add", 1, 2, REQUEST_DURABLE, exec_amount(d, 5));
    exec_run(d);
    exec_expect_amount(d, 3, 105);
    assert_int_equal(d->starts, 2);
    assert_int_equal(executor_stats(d->executor).handled, 1);
}

static bool ask_where(executor_driver_t *d)
{
    fabric_address_t address = fabric_instance_address(d->instance);
    fabric_runner_t runner = fabric_instance_runner(d->instance);
    assert_true(fabric_bytes_equal(address.type, fabric_bytes_of("Sum")));
    assert_true(fabric_bytes_equal(address.id, fabric_bytes_of("a")));
    assert_true(fabric_bytes_equal(address.group, fabric_bytes_of("default")));
    assert_int_equal(address.shard, EXECUTOR_DRIVER_SHARD & 0xffff);
    assert_string_equal(runner.name, "w1");
    assert_int_equal(runner.app_version, 7);
    note("?");
    return true;
}

static void the_build_function_is_told_address_and_runner(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->building = ask_where;
    exec_add(d, "a", 1);
    exec_run(d);
    expect_done("?");
}

/* ---- finalizers ---- */

static bool add_two(executor_driver_t *d)
{
    return fabric_instance_add_finalizer(d->instance, note, "1") &&
           fabric_instance_add_finalizer(d->instance, note, "2");
}

static void add_third(executor_driver_t *d)
{
    assert_true(fabric_instance_add_finalizer(d->instance, note, "3"));
}

/* An instance of "a" with three finalizers. */
static void begin_with_three(executor_driver_t *d)
{
    exec_begin(d, 1);
    d->building = add_two;
    d->during = add_third;
    linger(d, "a", 1);
    expect_done("");
    d->during = NULL;
}

static void finalizers_run_in_reverse_order_when_it_is_idle(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    begin_with_three(d);
    d->now_ms += 1000;
    exec_run(d);
    assert_string_equal(d->stopped, "a");
    expect_done("321");
}

static void finalizers_run_after_a_defect_and_are_the_instances_own(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    begin_with_three(d);
    exec_durable(d, "a", "Break");
    exec_run(d);
    expect_done("321");
    linger(d, "a", 2);
    exec_give(d, "a", "End", 1, 2, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    expect_done("21");
}

static void finalizers_run_when_the_shard_moves_and_at_the_end(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    begin_with_three(d);
    exec_stop(d, 1, 0);
    exec_run(d);
    exec_expect_stopped(d, 1);
    expect_done("321");
    exec_begin(d, 2);
    exec_give(d, "b", "Add", 2, 1, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    executor_destroy(&d->executor);
    expect_done("21");
}

static void finalizers_run_when_another_takes_the_place(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 8);
    begin_with_three(d);
    exec_add(d, "b", 1);
    exec_run(d);
    expect_done("321");
}

static bool add_two_and_fail(executor_driver_t *d)
{
    return !add_two(d);
}

static void test_rm_01_finalizers_of_a_build_that_failed_run(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->building = add_two_and_fail;
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT);
    expect_done("21");
    assert_int_equal(d->stops, 0);
}

static void add_too_many(executor_driver_t *d)
{
    for (int i = 2; i < FABRIC_FINALIZERS_MAX; i++) {
        assert_true(fabric_instance_add_finalizer(d->instance, note, ""));
    }
    assert_false(fabric_instance_add_finalizer(d->instance, note, "!"));
}

static void finalizers_are_bounded(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->building = add_two;
    d->during = add_too_many;
    linger(d, "a", 1);
    d->now_ms += 1000;
    exec_run(d);
    expect_done("21");
}

/* ---- resources ---- */

static bool away;

static void *acquire(fabric_instance_t *instance)
{
    (void)fabric_instance_address(instance);
    note("a");
    return away ? NULL : done;
}

static void release(void *resource)
{
    assert_ptr_equal(resource, done);
    note("r");
}

static void leave(void *resource)
{
    assert_ptr_equal(resource, done);
    note("l");
}

static const fabric_resource_type_t pod = {acquire, release, leave, 0};
static const fabric_resource_type_t brief = {acquire, release, leave, 3000};

static void use_pod(executor_driver_t *d)
{
    assert_ptr_equal(fabric_instance_resource(d->instance, &pod), away ? NULL : done);
}

static void use_brief(executor_driver_t *d)
{
    assert_non_null(fabric_instance_resource(d->instance, &brief));
}

static void close_pod(executor_driver_t *d)
{
    assert_true(fabric_instance_close_resource(d->instance, &pod));
    assert_false(fabric_instance_close_resource(d->instance, &pod));
}

static void a_resource_outlives_an_instance_until_it_is_closed(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->during = use_pod;
    linger(d, "a", 1);
    linger(d, "a", 1);
    expect_done("a");
    exec_durable(d, "a", "Break");
    exec_run(d);
    linger(d, "a", 2);
    exec_give(d, "a", "End", 1, 2, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    for (int i = 0; i < 100; i++) {
        d->now_ms += 1000;
        exec_run(d); /* it has no state, but is not forgotten */
    }
    linger(d, "a", 2);
    assert_int_equal(d->starts, 3);
    expect_done("");
    d->during = close_pod;
    linger(d, "a", 2);
    expect_done("r");
    for (int i = 0; i < 62; i++) { /* that it is not kept alive is remembered for a while */
        d->now_ms += 1000;
        exec_run(d);
    }
    assert_int_equal(executor_stats(d->executor).entities, 0);
    expect_done("");
}

/* The instance itself is not stopped for idleness meanwhile. */
static void an_idle_resource_is_released(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->during = use_brief;
    linger(d, "a", 1);
    for (int i = 0; i < 5; i++) {
        d->now_ms += 2000;
        linger(d, "a", 1);
    }
    d->during = NULL;
    d->now_ms += 2000;
    linger(d, "a", 1); /* it does not ask */
    assert_int_equal(d->starts, 1);
    expect_done("a");
    assert_true(executor_next_deadline(d->executor) <= d->now_ms + 1000);
    d->now_ms += 1000;
    exec_run(d);
    expect_done("r");
    d->now_ms += 1000;
    exec_run(d);
    assert_string_equal(d->stopped, "a");
}

static void a_pending_handler_keeps_its_resources(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->during = use_brief;
    linger(d, "a", 1);
    exec_durable(d, "a", "Hold");
    exec_run(d);
    d->now_ms += 9000;
    exec_run(d);
    expect_done("a");
    exec_complete(d, 1);
    exec_run(d);
    d->now_ms += 3000;
    exec_run(d);
    expect_done("r");
}

/* The seeds' EntityResource: released 0 when it moves, acquired again, released once on close. */
static void test_ie_17_a_resource_is_left_when_its_shard_moves(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    d->during = use_pod;
    linger(d, "a", 1);
    exec_stop(d, 1, 0);
    exec_run(d);
    expect_done("al");
    exec_begin(d, 2);
    exec_give(d, "a", "Linger", 2, 1, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    expect_done("a");
    d->during = close_pod;
    exec_give(d, "a", "Linger", 2, 1, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    executor_destroy(&d->executor);
    expect_done("r");
}

static void who_has_a_resource_makes_no_place(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 8);
    exec_begin(d, 1);
    d->during = use_pod;
    linger(d, "a", 1);
    exec_volatile(d, "b", "Wait");
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_MAILBOX_FULL);
    d->during = close_pod;
    linger(d, "a", 1);
    exec_add(d, "b", 1);
    exec_run(d);
    exec_expect_amount(d, 4, 101);
}

static void use_both(executor_driver_t *d)
{
    assert_non_null(fabric_instance_resource(d->instance, &pod));
    assert_null(fabric_instance_resource(d->instance, &brief));
}

static void resources_are_bounded_and_may_be_away(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 8);
    exec_begin(d, 1);
    d->during = use_both;
    linger(d, "a", 1);
    expect_done("a");
    d->during = close_pod;
    linger(d, "a", 1);
    away = true;
    d->during = use_pod;
    linger(d, "a", 1);
    away = false;
    linger(d, "a", 1);
    expect_done("raa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        INSTANCE_TEST(test_sh_46_a_build_that_fails_is_tried_again),
        INSTANCE_TEST(the_build_function_is_told_address_and_runner),
        INSTANCE_TEST(finalizers_run_in_reverse_order_when_it_is_idle),
        INSTANCE_TEST(finalizers_run_after_a_defect_and_are_the_instances_own),
        INSTANCE_TEST(finalizers_run_when_the_shard_moves_and_at_the_end),
        INSTANCE_TEST(finalizers_run_when_another_takes_the_place),
        INSTANCE_TEST(test_rm_01_finalizers_of_a_build_that_failed_run),
        INSTANCE_TEST(finalizers_are_bounded),
        INSTANCE_TEST(a_resource_outlives_an_instance_until_it_is_closed),
        INSTANCE_TEST(an_idle_resource_is_released),
        INSTANCE_TEST(a_pending_handler_keeps_its_resources),
        INSTANCE_TEST(test_ie_17_a_resource_is_left_when_its_shard_moves),
        INSTANCE_TEST(who_has_a_resource_makes_no_place),
        INSTANCE_TEST(resources_are_bounded_and_may_be_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
