/* The executor: entities that are kept alive, and what their home is told of them. Cases: NT-02,
 * NT-03. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/executor_driver.h"

static void keep(executor_driver_t *d, const char *id, int64_t whether)
{
    exec_give(d, id, "Keep", 1, 1, REQUEST_DURABLE, exec_amount(d, whether));
    exec_run(d);
}

static void wake(executor_driver_t *d, const char *id, uint64_t activation, uint32_t causes)
{
    exec_wake(d, id, activation, causes);
    exec_run(d);
}

static void test_nt_03_the_home_is_told_when_that_changes(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    assert_string_equal(d->alive, "");
    keep(d, "a", 1);
    assert_string_equal(d->alive, "a1");
    exec_expect(d, 2, STATUS_OK, FABRIC_OK);
    keep(d, "a", 1);
    assert_string_equal(d->alive, "");
    keep(d, "a", 0);
    assert_string_equal(d->alive, "a0");
    keep(d, "a", 0);
    assert_string_equal(d->alive, "");
}

/* The home may know it to be kept alive from the worker before. */
static void an_instance_says_for_certain_that_it_is_not_kept(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    keep(d, "a", 0);
    assert_string_equal(d->alive, "a0");
    exec_give(d, "b", "End", 1, 1, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    assert_string_equal(d->alive, "b0");
    wake(d, "a", 1, 1); /* was under way */
    assert_string_equal(d->alive, "a0");
    wake(d, "b", 1, 1);
    assert_string_equal(d->alive, "b0");
    assert_int_equal(d->starts, 2);
    d->now_ms += 2000;
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 2); /* it is remembered for a while */
    d->now_ms += 60000;
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 0);
    assert_string_equal(d->alive, "");
}

static void test_nt_03_an_instance_is_made_without_a_message(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    wake(d, "a", 5, 1);
    assert_string_equal(d->alive, "a1");
    exec_expect_no_result(d);
    assert_int_equal(d->starts, 1);
    wake(d, "a", 5, 1); /* again */
    assert_string_equal(d->alive, "a1");
    assert_int_equal(d->starts, 1);
    d->now_ms += 100000;
    exec_run(d); /* it is not idle */
    assert_int_equal(d->stops, 0);
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    assert_int_equal(d->starts, 1);
    keep(d, "a", 0);
    assert_string_equal(d->alive, "a0");
    d->now_ms += 100000;
    exec_run(d);
    assert_int_equal(d->stops, 1);
}

/* A message has made the instance before the home has asked for it. */
static void an_instance_that_is_there_is_kept(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_durable(d, "b", "Wait");
    exec_run(d);
    wake(d, "a", 1, 1);
    assert_string_equal(d->alive, "a1");
    wake(d, "b", 1, 1);
    assert_string_equal(d->alive, "b1");
    exec_complete(d, 1);
    exec_run(d);
    d->now_ms += 100000;
    exec_run(d);
    assert_int_equal(d->stops, 0);
    assert_int_equal(d->starts, 2);
}

static void a_defect_does_not_end_the_wish(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    keep(d, "a", 1);
    exec_volatile(d, "a", "Break");
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    assert_int_equal(d->stops, 1);
    wake(d, "a", 1, 1); /* of the activation that is over */
    assert_string_equal(d->alive, "a1-");
    assert_int_equal(d->starts, 1);
    wake(d, "a", 2, 1);
    assert_string_equal(d->alive, "a1");
    assert_int_equal(d->starts, 2);
}

static void one_that_terminates_itself_is_not_kept(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    keep(d, "a", 1);
    exec_give(d, "a", "End", 1, 1, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    assert_string_equal(d->alive, "a0");
    assert_int_equal(d->stops, 1);
    keep(d, "a", 1);
    exec_give(d, "a", "End", 1, 1, REQUEST_DURABLE, exec_amount(d, 1)); /* stays pending */
    exec_run(d);
    assert_string_equal(d->alive, "");
    exec_complete(d, 1);
    exec_run(d);
    assert_string_equal(d->alive, "a0");
}

static void clear(executor_driver_t *d, const char *id)
{
    exec_interrupt(d, id, INTERRUPT_INSTANCE);
    exec_run(d);
}

static void test_ms_01_one_that_is_cleared_is_not_kept(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    keep(d, "a", 1);
    clear(d, "a");
    assert_string_equal(d->alive, "a0");
    assert_int_equal(d->stops, 1);
    keep(d, "a", 1);
    assert_string_equal(d->alive, "a1");
    exec_durable(d, "a", "Wait"); /* ends with its handler */
    exec_run(d);
    clear(d, "a");
    assert_string_equal(d->alive, "");
    exec_complete(d, 1);
    exec_run(d);
    assert_string_equal(d->alive, "a0");
    assert_int_equal(d->stops, 2);
    d->now_ms += 100000;
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 0);
}

/* What it said before the home has cleared it counts for nothing. */
static void one_that_is_cleared_without_an_instance_is_not_kept(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    keep(d, "a", 1);
    exec_volatile(d, "a", "Break");
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    clear(d, "a");
    assert_string_equal(d->alive, "a0");
    assert_int_equal(d->stops, 1);
}

static void an_instance_that_cannot_be_made_is_told(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 8);
    exec_begin(d, 1);
    d->start_fails = true;
    wake(d, "a", 1, 1);
    assert_string_equal(d->alive, "a1-");
    assert_string_equal(d->defect, "Sum/a (kept alive), request 0: no database");
    assert_int_equal(executor_stats(d->executor).entities, 0);
    d->start_fails = false;
    wake(d, "a", 1, 1);
    assert_string_equal(d->alive, "a1");
    wake(d, "b", 1, 1); /* there is no room */
    assert_string_equal(d->alive, "b1-");
    exec_durable(d, "a", "Wait");
    exec_add(d, "c", 1); /* waits for room, and comes first */
    exec_run(d);
    wake(d, "b", 1, 1);
    assert_string_equal(d->alive, "b1-");
    exec_complete(d, 1);
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    exec_expect_amount(d, 1, 1);
    exec_expect_amount(d, 2, 101);
    wake(d, "b", 1, 1);
    assert_string_equal(d->alive, "b1");
    assert_string_equal(d->stopped, "ac");
}

/* ---- room ---- */

static void add(executor_driver_t *d, const char *id)
{
    d->now_ms++;
    exec_add(d, id, 1);
    exec_run(d);
}

/* Where nothing else rests, the one of those that has rested longest makes room. */
static void messages_come_before_entities_that_are_kept_alive(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 2, 8);
    exec_begin(d, 1);
    keep(d, "a", 1);
    keep(d, "b", 1);
    add(d, "a"); /* now b has rested longer */
    add(d, "c");
    assert_string_equal(d->alive, "b1-");
    assert_string_equal(d->stopped, "b");
    assert_int_equal(executor_stats(d->executor).evicted, 1);
    assert_int_equal(d->evicted_told, 1);
    assert_string_equal(d->evicted,
                        "Sum/b (kept alive), request 0: has no instance now, to make room for a "
                        "message");
    add(d, "d"); /* c is not kept alive */
    assert_string_equal(d->alive, "");
    assert_string_equal(d->stopped, "bc");
    add(d, "b");
    assert_string_equal(d->stopped, "bcd");
    exec_volatile(d, "e", "Wait");
    exec_run(d);
    assert_string_equal(d->alive, "a1-"); /* b has just had a message */
    assert_string_equal(d->stopped, "bcda");
    assert_int_equal(executor_stats(d->executor).evicted, 2);
    exec_complete(d, 1);
    exec_run(d);
}

/* The home asks for one that is there already: it was used before others. */
static void one_that_is_known_to_be_kept_later_keeps_its_place(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 3, 8);
    exec_begin(d, 1);
    add(d, "x");
    add(d, "y");
    add(d, "a");
    d->now_ms++;
    keep(d, "b", 1);
    assert_string_equal(d->stopped, "x");
    wake(d, "a", 1, 1);
    assert_string_equal(d->alive, "a1");
    add(d, "c");
    assert_string_equal(d->stopped, "xy");
    exec_durable(d, "c", "Wait");
    exec_run(d);
    add(d, "d");
    assert_string_equal(d->alive, "a1-");
    exec_complete(d, 1);
    exec_run(d);
}

static void evictions_are_told_up_to_so_many_a_second(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 8);
    exec_begin(d, 1);
    for (char id[2] = "a"; id[0] <= 'z'; id[0]++) {
        keep(d, id, 1);
    }
    assert_int_equal(executor_stats(d->executor).evicted, 25);
    assert_int_equal(d->evicted_told, 10);
}

/* Otherwise each message would evict one, which would come back. */
static void a_place_is_left_for_messages(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 3, 8);
    exec_begin(d, 1);
    wake(d, "a", 1, 1);
    wake(d, "b", 1, 1);
    assert_string_equal(d->alive, "b1");
    wake(d, "c", 1, 1);
    assert_string_equal(d->alive, "c1-");
    add(d, "x");
    add(d, "y");
    assert_string_equal(d->stopped, "x");
    wake(d, "c", 1, 1); /* y rests, and is all that does */
    assert_string_equal(d->alive, "c1-");
    keep(d, "a", 0);
    wake(d, "c", 1, 1); /* it has rested longer than a */
    assert_string_equal(d->alive, "c1");
    assert_string_equal(d->stopped, "xy");
    wake(d, "d", 1, 1);
    assert_string_equal(d->alive, "d1-");
    assert_int_equal(executor_stats(d->executor).evicted, 0);
}

/* The next home may not have stored that it is kept alive. */
static void one_that_was_evicted_is_remembered_for_a_while(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_limit(d, 1, 8);
    exec_begin(d, 1);
    keep(d, "a", 1);
    exec_durable(d, "b", "Wait");
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    exec_orphan(d, 1);
    exec_run(d);
    exec_resume(d, 1);
    exec_kept(d, fabric_bytes(NULL, 0));
    exec_run(d);
    assert_string_equal(d->alive, "a1-");
    exec_complete(d, 1);
    exec_run(d);
    d->now_ms += 2000;
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 1);
    wake(d, "a", 1, 1); /* b is idle, and has gone */
    assert_string_equal(d->alive, "a1");
    add(d, "b");
    assert_string_equal(d->alive, "a1-");
    d->now_ms += 62000;
    exec_run(d);
    d->now_ms += 2000;
    exec_run(d);
    assert_int_equal(executor_stats(d->executor).entities, 0);
}

static void nothing_is_made_without_a_lease_or_the_ownership(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    wake(d, "a", 1, 1);
    assert_string_equal(d->alive, "a1-");
    exec_begin(d, 1);
    atomic_store(&d->lease.start_until_ms, d->now_ms);
    wake(d, "a", 1, 1);
    assert_string_equal(d->alive, "a1-");
    atomic_store(&d->lease.start_until_ms, UINT64_MAX);
    exec_stop(d, 1, d->now_ms + 100);
    wake(d, "a", 1, 1);
    assert_string_equal(d->alive, "a1-");
    assert_int_equal(d->starts, 0);
}

/* What was told to the lost home may not be durable. */
static void the_next_home_is_told_again(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    keep(d, "a", 1);
    keep(d, "b", 1);
    keep(d, "b", 0);
    exec_add(d, "c", 1);
    exec_run(d);
    exec_orphan(d, 1);
    exec_run(d);
    exec_resume(d, 1);
    exec_wake(d, "b", 1, 1);
    exec_run(d);
    assert_string_equal(d->alive, "");
    exec_kept(d, fabric_bytes(NULL, 0));
    exec_run(d);
    assert_string_equal(d->alive, "a1 b0 b0");
    assert_int_equal(d->stops, 0);
}

/* ---- resources ---- */

static int value, released;

static void *acquire(fabric_instance_t *instance)
{
    (void)instance;
    return &value;
}

static void release(void *resource)
{
    (void)resource;
    released++;
}

static const fabric_resource_type_t resource_type = {
    .acquire = acquire, .release = release, .idle_ms = 5000};

static bool build_with_resource(executor_driver_t *d)
{
    return fabric_instance_resource(d->instance, &resource_type) != NULL;
}

static void use_resource(executor_driver_t *d)
{
    (void)fabric_instance_resource(d->instance, &resource_type);
}

static void test_nt_02_a_resource_that_nobody_uses_is_let_go(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    released = 0;
    d->during = use_resource;
    exec_begin(d, 1);
    exec_give(d, "a", "Linger", 1, 1, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    assert_string_equal(d->alive, "a2");
    d->now_ms += 4999;
    exec_run(d);
    assert_int_equal(released, 0);
    exec_give(d, "a", "Linger", 1, 1, REQUEST_DURABLE, exec_amount(d, 0));
    exec_run(d);
    d->now_ms += 4999;
    exec_run(d);
    assert_int_equal(released, 0); /* it was used meanwhile */
    assert_string_equal(d->alive, "");
    d->now_ms += 1;
    exec_run(d);
    assert_int_equal(released, 1);
    assert_string_equal(d->alive, "a0");
    d->now_ms += 100000;
    exec_run(d);
    assert_int_equal(d->stops, 1);
}

/* The worker that has left, or lost, the resource lets nobody use it; this one ends it. */
static void test_nt_02_a_resource_of_a_lost_worker_is_let_go_too(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    released = 0;
    d->building = build_with_resource;
    exec_begin(d, 1);
    wake(d, "a", 1, 2);
    assert_string_equal(d->alive, "a2");
    d->now_ms += 5000;
    exec_run(d);
    assert_int_equal(released, 1);
    assert_string_equal(d->alive, "a0");
}

static void an_instance_that_does_not_acquire_its_resource_is_let_go(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_begin(d, 1);
    wake(d, "a", 1, 2);
    assert_string_equal(d->alive, "a2");
    d->now_ms += 900;
    exec_run(d);
    assert_int_equal(d->stops, 0);
    d->now_ms += 200;
    exec_run(d);
    assert_int_equal(d->stops, 1);
    assert_string_equal(d->alive, "a0");
}

/* The clear has ended what the home knew, and the resource is there. */
static void one_that_is_cleared_is_kept_by_its_resources(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    d->building = build_with_resource;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    assert_string_equal(d->alive, "a2");
    clear(d, "a");
    assert_string_equal(d->alive, "a2-");
    assert_int_equal(d->stops, 1);
}

static void a_build_that_fails_and_has_a_resource_is_tried_again(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    released = 0;
    d->building = build_with_resource;
    exec_begin(d, 1);
    exec_add(d, "a", 1);
    exec_run(d);
    assert_string_equal(d->alive, "a2");
    exec_volatile(d, "a", "Break");
    exec_run(d);
    assert_string_equal(d->alive, "a2-");
    d->now_ms += 5000; /* the resource is of no instance */
    exec_run(d);
    assert_int_equal(released, 1);
    assert_string_equal(d->alive, "a0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXECUTOR_TEST(test_nt_03_the_home_is_told_when_that_changes),
        EXECUTOR_TEST(an_instance_says_for_certain_that_it_is_not_kept),
        EXECUTOR_TEST(test_nt_03_an_instance_is_made_without_a_message),
        EXECUTOR_TEST(an_instance_that_is_there_is_kept),
        EXECUTOR_TEST(a_defect_does_not_end_the_wish),
        EXECUTOR_TEST(one_that_terminates_itself_is_not_kept),
        EXECUTOR_TEST(test_ms_01_one_that_is_cleared_is_not_kept),
        EXECUTOR_TEST(one_that_is_cleared_without_an_instance_is_not_kept),
        EXECUTOR_TEST(an_instance_that_cannot_be_made_is_told),
        EXECUTOR_TEST(nothing_is_made_without_a_lease_or_the_ownership),
        EXECUTOR_TEST(messages_come_before_entities_that_are_kept_alive),
        EXECUTOR_TEST(one_that_is_known_to_be_kept_later_keeps_its_place),
        EXECUTOR_TEST(evictions_are_told_up_to_so_many_a_second),
        EXECUTOR_TEST(a_place_is_left_for_messages),
        EXECUTOR_TEST(one_that_was_evicted_is_remembered_for_a_while),
        EXECUTOR_TEST(the_next_home_is_told_again),
        EXECUTOR_TEST(test_nt_02_a_resource_that_nobody_uses_is_let_go),
        EXECUTOR_TEST(test_nt_02_a_resource_of_a_lost_worker_is_let_go_too),
        EXECUTOR_TEST(an_instance_that_does_not_acquire_its_resource_is_let_go),
        EXECUTOR_TEST(one_that_is_cleared_is_kept_by_its_resources),
        EXECUTOR_TEST(a_build_that_fails_and_has_a_resource_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
