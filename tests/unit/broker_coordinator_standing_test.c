/* The coordinator's core with scripted store answers: runners that are cordoned or drain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/coordinator_script.h"

static const incarnation_t nobody = {{0}};
static const brought_t counter = {"Counter", "default", true};

static void stand(script_t *s, incarnation_t runner, runner_standing_t standing)
{
    router_order_t event = {.kind = ROUTER_RUNNER_STANDING, .runner = runner, .standing = standing};
    coordinator_order(s->c, &event, s->now_ms);
    script_take_effects(s);
}

static void join(script_t *s, incarnation_t runner)
{
    script_admit(s, runner, &counter, 1);
    script_pump(s);
    script_order(s, ROUTER_RUNNER_JOINED, runner, 100);
}

/* This broker holds all lanes, and both runners half of the shards each. */
static void begin_with_two(script_t *s)
{
    script_pump(s);
    join(s, runner_a);
    join(s, runner_b);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS / 2);
    assert_int_equal(script_owned(s, "Counter", runner_b), SHARDS / 2);
}

static void a_cordoned_runner_gets_no_shards_when_another_one_dies(void **state)
{
    script_t *s = *state;
    begin_with_two(s);
    stand(s, runner_a, RUNNER_CORDONED);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS / 2);
    script_order(s, ROUTER_RUNNER_LEFT, runner_b, 0);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS / 2);
    assert_int_equal(script_owned(s, "Counter", nobody), SHARDS / 2); /* they wait */
    join(s, runner_b);
    assert_int_equal(script_owned(s, "Counter", runner_b), SHARDS / 2);
}

static void a_runner_that_drains_gives_its_shards_to_others(void **state)
{
    script_t *s = *state;
    begin_with_two(s);
    stand(s, runner_a, RUNNER_DRAINING);
    assert_int_equal(script_owned(s, "Counter", runner_a), 0);
    assert_int_equal(script_owned(s, "Counter", runner_b), SHARDS);
    stand(s, runner_a, RUNNER_OPEN);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS / 2);
}

static void the_last_runner_that_drains_leaves_nobody(void **state)
{
    script_t *s = *state;
    script_pump(s);
    join(s, runner_a);
    stand(s, runner_a, RUNNER_DRAINING);
    assert_int_equal(script_owned(s, "Counter", nobody), SHARDS);
}

static void a_runner_that_joins_cordoned_is_given_nothing(void **state)
{
    script_t *s = *state;
    script_pump(s);
    script_admit(s, runner_a, &counter, 1);
    stand(s, runner_a, RUNNER_CORDONED);
    script_pump(s);
    uint32_t desires = s->desires;
    script_order(s, ROUTER_RUNNER_JOINED, runner_a, 100);
    assert_int_equal(s->desires, desires);
    assert_int_equal(script_owned(s, "Counter", runner_a), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cordoned_runner_gets_no_shards_when_another_one_dies),
        TEST(a_runner_that_drains_gives_its_shards_to_others),
        TEST(the_last_runner_that_drains_leaves_nobody),
        TEST(a_runner_that_joins_cordoned_is_given_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
