/* The coordinator's core with scripted store answers: when the holder of the term knows all types
 * that are stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/coordinator_script.h"

static const brought_t counter = {"Counter", "default", true};

/* What a standby has read may lack types that the former holder has stored since. */
static void types_count_as_read_by_the_holder_of_the_term(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_add_group(s, "default");
    script_add_type(s, &counter);
    script_pass(s, 1000, 50);
    assert_int_equal(s->types_seen, 1);
    script_remove_broker(s, other);
    s->fail[COORDINATOR_LIST_TYPES] = FABRIC_ERROR_STORE_UNAVAILABLE;
    script_pass(s, 300, 50);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->types_read, 0);
    s->fail[COORDINATOR_LIST_TYPES] = FABRIC_OK;
    script_pass(s, 500, 50);
    assert_true(s->types_read > 0);
}

/* Other brokers may have read a type, and serve it, before the holder hears that it is stored. */
static void types_are_in_doubt_while_one_is_being_stored(void **state)
{
    script_t *s = *state;
    coordinator_call_t call;
    bool was_stored = false;
    script_pump(s);
    assert_true(s->types_certain);
    script_admit(s, runner_a, &counter, 1);
    while (coordinator_next_call(s->c, s->now_ms, &call)) {
        script_take_effects(s);
        assert_int_equal(s->types_certain, call.kind != COORDINATOR_PUT_TYPE);
        was_stored |= call.kind == COORDINATOR_PUT_TYPE;
        script_answer(s, &call);
        script_take_effects(s);
        assert_true(s->types_certain);
    }
    assert_true(was_stored);
}

/* The store has not told the outcome, and may carry the call out later. The runner has gone. */
static void a_type_that_may_be_stored_is_looked_for(void **state)
{
    script_t *s = *state;
    script_pump(s);
    s->fail[COORDINATOR_PUT_TYPE] = FABRIC_ERROR_STORE_UNKNOWN;
    script_admit(s, runner_a, &counter, 1);
    script_pass(s, 200, 10);
    assert_true(s->calls[COORDINATOR_PUT_TYPE] > 0);
    assert_false(s->types_certain);
    script_order(s, ROUTER_RUNNER_LEFT, runner_a, 100);
    script_pass(s, LEASE_MS - 200, 10);
    assert_false(s->types_certain);
    assert_int_equal(s->types_seen, 0);
    script_add_type(s, &counter);
    script_pass(s, 2 * LEASE_MS, 10);
    assert_int_equal(s->types_seen, 1);
    assert_true(s->types_certain);
}

/* The router hears of it before it hears that it knows all types: it may refuse others then. */
static void the_router_is_told_of_the_first_registration(void **state)
{
    script_t *s = *state;
    s->registration = (store_registration_t){true, 123456};
    script_add_group(s, "default");
    script_add_type(s, &counter);
    script_pump(s);
    assert_int_equal(s->registrations, 1);
    assert_int_equal(s->registered_ago_ms, 123456);
    assert_true(s->types_certain);
    assert_false(s->registered_late);
    s->registration.ago_ms += 5000; /* it is read again, and the same */
    script_pass(s, 5000, 50);
    assert_int_equal(s->registrations, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(types_count_as_read_by_the_holder_of_the_term),
        TEST(types_are_in_doubt_while_one_is_being_stored),
        TEST(a_type_that_may_be_stored_is_looked_for),
        TEST(the_router_is_told_of_the_first_registration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
