/* The executor: messages that were delivered early, and a next home that may not have them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_homes.h"

static void add_early(executor_driver_t *d)
{
    exec_give(d, "a", "Add", 1, 1, REQUEST_DURABLE | DELIVER_EARLY, exec_amount(d, 1));
}

static void an_instance_that_rests_on_what_may_not_be_stored_ends(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    add_early(d);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_amount(d, 2, 102);
    exec_change_home(d, (uint64_t[]){1, 2}, 2);
    exec_deliver_again(d, "a", "Add", 1);
    exec_deliver_again(d, "a", "Add", 3); /* 2 was not stored */
    exec_run(d);
    exec_expect_kept(d, 1);
    exec_expect_amount(d, 3, 101); /* a fresh instance */
    assert_int_equal(d->starts, 2);
    assert_int_equal(d->stops, 1);
}

static void what_the_former_home_has_settled_is_stored(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    add_early(d);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    exec_expect_amount(d, 2, 102);
    exec_change_home(d, (uint64_t[]){2}, 1); /* the result of 1 is settled */
    exec_deliver_again(d, "a", "Add", 2);
    exec_deliver_again(d, "a", "Add", 3);
    exec_run(d);
    exec_expect_kept(d, 2);
    exec_expect_amount(d, 3, 103);
    assert_int_equal(d->starts, 1);
}

static void a_handler_that_is_pending_ends_with_it(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_give(d, "a", "Wait", 1, 1, REQUEST_DURABLE | DELIVER_EARLY, fabric_bytes("\x90", 1));
    exec_run(d);
    fabric_pending_t *pending = d->pending;
    exec_change_home(d, NULL, 0);
    exec_deliver_again(d, "a", "Add", 2);
    exec_run(d);
    exec_expect_amount(d, 2, 101);
    assert_int_equal(d->starts, 2);
    d->pending = pending;
    exec_complete(d, 55); /* changes nothing */
    exec_run(d);
    exec_expect_no_result(d);
}

/* The handlers of an entity are in a list of its own. */
static void the_second_of_two_that_are_pending_is_seen(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_concurrency(d, 2, false);
    exec_begin(d, 1);
    exec_give(d, "a", "Wait", 1, 1, REQUEST_DURABLE, fabric_bytes("\x90", 1));
    exec_run(d);
    fabric_pending_t *first = d->pending;
    exec_give(d, "a", "Wait", 1, 1, REQUEST_DURABLE | DELIVER_EARLY, fabric_bytes("\x90", 1));
    exec_run(d);
    fabric_pending_t *second = d->pending;
    exec_change_home(d, NULL, 0);
    exec_deliver_again(d, "a", "Add", 3);
    exec_run(d);
    exec_expect_amount(d, 3, 101);
    assert_int_equal(d->starts, 2);
    d->pending = first;
    exec_complete(d, 55); /* changes nothing, nor does the other */
    d->pending = second;
    exec_complete(d, 55);
    exec_run(d);
    exec_expect_no_result(d);
}

/* Its next home asks for the instance if what keeps it alive is stored. */
static void what_keeps_an_entity_alive_is_forgotten_with_it(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_give(d, "a", "Keep", 1, 1, REQUEST_DURABLE | DELIVER_EARLY, exec_amount(d, 1));
    exec_run(d);
    assert_string_equal(d->alive, "a1");
    exec_expect(d, 1, STATUS_OK, FABRIC_OK);
    exec_change_home(d, (uint64_t[]){1}, 1);
    exec_run(d);
    assert_string_equal(d->alive, "");
    assert_int_equal(d->stops, 1);
    exec_deliver_again(d, "a", "Keep", 1); /* it was stored */
    exec_run(d);
    exec_expect(d, 1, STATUS_OK, FABRIC_OK);
    assert_string_equal(d->alive, "a1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(an_instance_that_rests_on_what_may_not_be_stored_ends),
        EXECUTOR_TEST(what_the_former_home_has_settled_is_stored),
        EXECUTOR_TEST(a_handler_that_is_pending_ends_with_it),
        EXECUTOR_TEST(the_second_of_two_that_are_pending_is_seen),
        EXECUTOR_TEST(what_keeps_an_entity_alive_is_forgotten_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
