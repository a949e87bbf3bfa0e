/* The executor: how many entities have state at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_driver.h"

static void add(executor_driver_t *d, const char *id)
{
    d->now_ms++;
    exec_add(d, id, 1);
    exec_run(d);
}

static void the_one_that_has_rested_longest_makes_place(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 3, 8);
    exec_begin(d, 1);
    add(d, "a");
    add(d, "b");
    add(d, "c");
    add(d, "c");
    add(d, "a"); /* now c has rested longer than a */
    assert_string_equal(d->stopped, "");
    add(d, "d");
    assert_string_equal(d->stopped, "b");
    add(d, "c"); /* and now a is the first */
    add(d, "e");
    assert_string_equal(d->stopped, "ba");
    assert_int_equal(executor_stats(d->executor).entities, 3);
    add(d, "a");
    exec_expect_amount(d, (uint64_t)d->request_id, 101); /* fresh state */
    assert_string_equal(d->stopped, "bad");
}

static void six_entities_end_with_places_for_two(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 2, 8);
    exec_begin(d, 1);
    for (char id[2] = "a"; id[0] <= 'f'; id[0]++) {
        exec_add(d, id, 1);
    }
    exec_run(d); /* counts the residents after each step */
    for (uint64_t i = 1; i <= 6; i++) {
        exec_expect_amount(d, i, 101);
    }
    assert_string_equal(d->stopped, "abcd");
}

static void without_a_place_volatile_ones_are_refused_and_durable_ones_wait(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 8);
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_run(d);
    exec_volatile(d, "b", "Fail");
    exec_add(d, "b", 1);
    exec_volatile(d, "b", "Fail"); /* behind the one that waits */
    exec_add(d, "b", 1);
    exec_add(d, "c", 1);
    exec_add(d, "a", 1); /* to the resident */
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_MAILBOX_FULL);
    exec_expect(d, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_MAILBOX_FULL);
    exec_expect_no_result(d);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_amount(d, 7, 101);
    exec_expect_amount(d, 3, 101);
    exec_expect_amount(d, 5, 102);
    exec_expect_amount(d, 6, 101);
    assert_string_equal(d->stopped, "ab");
}

/* The home delivers again what is not taken, in order: nothing of the activation is taken. */
static void too_many_do_not_wait_here(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 1);
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_add(d, "b", 1);
    exec_run(d);
    exec_add(d, "c", 1);
    exec_add(d, "c", 1);
    exec_add(d, "b", 1); /* it waits here already */
    exec_run(d);
    exec_expect(d, 3, STATUS_NOT_TAKEN, FABRIC_ERROR_MAILBOX_FULL);
    exec_expect(d, 4, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect_no_result(d);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_amount(d, 2, 101);
    exec_expect_amount(d, 5, 102);
    exec_add(d, "c", 1); /* of the activation that is over */
    exec_volatile(d, "c", "Fail");
    exec_give(d, "c", "Add", 1, 2, REQUEST_DURABLE, exec_amount(d, 1));
    exec_run(d);
    exec_expect(d, 6, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect(d, 7, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_DEFECT);
    exec_expect_amount(d, 8, 101);
}

static void what_waits_for_a_place_leaves_with_its_shard(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 8);
    exec_begin(d, 1);
    exec_volatile(d, "a", "Wait");
    exec_add(d, "b", 1);
    exec_run(d);
    exec_stop(d, 1, d->now_ms + 100);
    exec_run(d);
    exec_expect(d, 2, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    exec_complete(d, 42);
    exec_run(d);
    exec_expect_amount(d, 1, 42);
    exec_expect_stopped(d, 1);
    assert_int_equal(executor_stats(d->executor).entities, 0);
}

/* A defect frees the room of its entity, and so does an entity that is stopped for idleness. */
static void places_come_free(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 2, 8);
    exec_begin(d, 1);
    add(d, "a");
    exec_durable(d, "b", "Break");
    exec_run(d);
    assert_string_equal(d->stopped, "b");
    add(d, "c");
    assert_string_equal(d->stopped, "b");
    d->now_ms += 1001;
    exec_run(d);
    assert_int_equal(d->stops, 3);
    add(d, "d");
    add(d, "e");
    assert_int_equal(d->stops, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(the_one_that_has_rested_longest_makes_place),
        EXECUTOR_TEST(six_entities_end_with_places_for_two),
        EXECUTOR_TEST(without_a_place_volatile_ones_are_refused_and_durable_ones_wait),
        EXECUTOR_TEST(too_many_do_not_wait_here),
        EXECUTOR_TEST(what_waits_for_a_place_leaves_with_its_shard),
        EXECUTOR_TEST(places_come_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
