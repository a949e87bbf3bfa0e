/* The coordinator's core with scripted store answers: a type is forgotten, at the holder of the
 * term and at others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/coordinator_script.h"

static const brought_t counter = {"Counter", "default", true};
static const brought_t other_counter = {"Counter", "default", false}; /* cannot take its place */
static const brought_t other_type = {"Other", "default", true};

/* The holder of the term, with the type in its store. */
static void begin(script_t *s)
{
    script_pump(s);
    script_admit(s, runner_a, &counter, 1);
    script_pump(s);
    script_order(s, ROUTER_RUNNER_LEFT, runner_a, 100);
    script_pump(s);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->types_seen, 1);
    s->admitted = 0;
}

static void give(script_t *s, router_order_kind_t kind)
{
    router_order_t order = {.kind = kind, .name = "Counter"};
    coordinator_order(s->c, &order, s->now_ms);
    script_pump(s);
}

/* Asks, with lanes that are empty in these epochs before their present ones; `whole`: also by the
 * store. */
static void ask_before(script_t *s, uint32_t lanes, uint64_t before, bool whole)
{
    wire_writer_t encoded = {0};
    wire_put_array(&encoded, lanes);
    for (uint32_t lane = 0; lane < lanes; lane++) {
        wire_put_array(&encoded, 3);
        wire_put_uint(&encoded, lane);
        wire_put_uint(&encoded, s->lanes[lane].epoch - before);
        wire_put_bool(&encoded, whole);
    }
    router_order_t order = {.kind = ROUTER_TYPE_FORGET,
                            .name = "Counter",
                            .types = encoded.data,
                            .types_size = encoded.size,
                            .until_ms = s->now_ms + 2 * LEASE_MS};
    coordinator_order(s->c, &order, s->now_ms);
    wire_writer_destroy(&encoded);
    script_pump(s);
}

static void ask(script_t *s, uint32_t lanes, bool whole)
{
    ask_before(s, lanes, 0, whole);
}

static void the_holder_drops_the_description(void **state)
{
    script_t *s = *state;
    begin(s);
    give(s, ROUTER_TYPE_CLOSED);
    ask(s, LANES, true);
    assert_int_equal(s->forget_answers, 1);
    assert_int_equal(s->forget_error, FABRIC_OK);
    assert_int_equal(s->types_forgotten, 1);
    assert_int_equal(s->type_count, 1); /* the name keeps its row, and its group */
    assert_int_equal(s->types[0].description.size, 0);
    assert_int_equal(s->calls[COORDINATOR_COUNT_SCHEDULED], 0);
    give(s, ROUTER_TYPE_OPEN);
    assert_int_equal(s->types_opened, 1);
    script_pass(s, 2 * LEASE_MS, 50);
    assert_int_equal(s->types_forgotten, 1);
}

/* What was known of the type does not count any more. */
static void an_incompatible_version_is_admitted_afterwards(void **state)
{
    script_t *s = *state;
    begin(s);
    script_admit(s, runner_b, &other_counter, 1);
    script_pump(s);
    assert_int_equal(s->admission, FABRIC_ERROR_TYPE_CONFLICT);
    give(s, ROUTER_TYPE_CLOSED);
    ask(s, LANES, true);
    give(s, ROUTER_TYPE_OPEN);
    s->admitted = 0;
    script_admit(s, runner_b, &other_counter, 1);
    script_pump(s);
    assert_int_equal(s->admitted, 1);
    assert_int_equal(s->admission, FABRIC_OK);
    assert_true(s->types[0].description.size > 0);
    assert_int_equal(s->types_seen, 2);
}

/* Its type is about to be forgotten, or stays: it is examined afterwards, as long as it waits. */
static void runners_that_bring_a_closed_type_wait(void **state)
{
    script_t *s = *state;
    begin(s);
    give(s, ROUTER_TYPE_CLOSED);
    script_admit(s, runner_b, &other_counter, 1);
    script_pump(s);
    assert_int_equal(s->admitted, 0);
    script_admit(s, runner_a, &other_type, 1);
    script_pump(s);
    assert_int_equal(s->admitted, 1);
    assert_int_equal(s->admission, FABRIC_OK);
    ask(s, LANES, true);
    assert_int_equal(s->admitted, 1);
    give(s, ROUTER_TYPE_OPEN);
    assert_int_equal(s->admitted, 2);
    assert_int_equal(s->admission, FABRIC_OK);
    give(s, ROUTER_TYPE_CLOSED);
    script_order(s, ROUTER_RUNNER_LEFT, runner_b, 100);
    script_admit(s, runner_b, &other_counter, 1);
    script_pass(s, LEASE_MS + 100, 50);
    assert_int_equal(s->admitted, 3);
    assert_int_equal(s->admission, FABRIC_ERROR_PERSISTENCE);
}

/* Another broker may have accepted something meanwhile. */
static void a_lane_that_has_moved_keeps_the_type(void **state)
{
    script_t *s = *state;
    begin(s);
    give(s, ROUTER_TYPE_CLOSED);
    ask(s, LANES - 1, true);
    assert_int_equal(s->forget_error, FABRIC_ERROR_NOT_HOME);
    ask_before(s, LANES, 1, true);
    assert_int_equal(s->forget_answers, 2);
    assert_int_equal(s->forget_error, FABRIC_ERROR_NOT_HOME);
    assert_int_equal(s->types_forgotten, 0);
    assert_true(s->types[0].description.size > 0);
}

static void what_only_the_store_has_is_counted(void **state)
{
    script_t *s = *state;
    begin(s);
    give(s, ROUTER_TYPE_CLOSED);
    s->scheduled[2] = 12;
    ask(s, LANES, false);
    assert_int_equal(s->forget_error, FABRIC_ERROR_TYPE_IN_USE);
    assert_non_null(strstr(s->text, "12 messages wait for their times in lane 2"));
    assert_int_equal(s->calls[COORDINATOR_FORGET_TYPE], 0);
    s->scheduled[2] = 0;
    s->calls[COORDINATOR_COUNT_SCHEDULED] = 0;
    ask(s, LANES, false);
    assert_int_equal(s->calls[COORDINATOR_COUNT_SCHEDULED], LANES);
    assert_int_equal(s->forget_error, FABRIC_OK);
    assert_int_equal(s->types_forgotten, 1);
}

static void a_store_that_fails_is_asked_until_the_deadline(void **state)
{
    script_t *s = *state;
    begin(s);
    give(s, ROUTER_TYPE_CLOSED);
    s->fail[COORDINATOR_FORGET_TYPE] = FABRIC_ERROR_STORE_UNAVAILABLE;
    ask(s, LANES, true);
    script_pass(s, 2 * LEASE_MS - 100, 50);
    assert_int_equal(s->forget_answers, 0);
    assert_true(s->calls[COORDINATOR_FORGET_TYPE] > 3);
    script_pass(s, 200, 50);
    assert_int_equal(s->forget_answers, 1);
    assert_int_equal(s->forget_error, FABRIC_ERROR_TIMEOUT);
    uint32_t calls = s->calls[COORDINATOR_FORGET_TYPE];
    script_pass(s, LEASE_MS, 50);
    assert_int_equal(s->calls[COORDINATOR_FORGET_TYPE], calls);
}

/* The store carries it out later: the next readings tell. */
static void an_unknown_outcome_is_told_as_one(void **state)
{
    script_t *s = *state;
    begin(s);
    give(s, ROUTER_TYPE_CLOSED);
    s->fail[COORDINATOR_FORGET_TYPE] = FABRIC_ERROR_STORE_UNKNOWN;
    ask(s, LANES, true);
    assert_int_equal(s->forget_answers, 1);
    assert_int_equal(s->forget_error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(s->calls[COORDINATOR_FORGET_TYPE], 1);
    s->types[0].description.size = 0;
    give(s, ROUTER_TYPE_OPEN);
    script_pass(s, 500, 50); /* the store rests for a moment */
    assert_int_equal(s->types_forgotten, 1);
    assert_int_equal(s->types_opened, 1);
}

/* It is given up by its command: nothing is written after that. */
static void a_command_that_ends_early_ends_the_forgetting(void **state)
{
    script_t *s = *state;
    begin(s);
    give(s, ROUTER_TYPE_CLOSED);
    s->fail[COORDINATOR_FORGET_TYPE] = FABRIC_ERROR_STORE_BUSY;
    ask(s, LANES, true);
    give(s, ROUTER_TYPE_OPEN);
    assert_int_equal(s->forget_error, FABRIC_ERROR_TIMEOUT);
    s->fail[COORDINATOR_FORGET_TYPE] = FABRIC_OK;
    script_pass(s, LEASE_MS, 50);
    assert_int_equal(s->types_opened, 1);
    assert_int_equal(s->types_forgotten, 0);
}

/* A reading that began before the command says nothing of what it has done. */
static void a_standby_reads_the_type_before_it_opens_it(void **state)
{
    script_t *s = *state;
    coordinator_call_t call;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_add_group(s, "default");
    script_add_type(s, &counter);
    script_pass(s, 1000, 50);
    assert_int_equal(s->types_seen, 1);
    assert_false(coordinator_holds_term(s->c));
    give(s, ROUTER_TYPE_CLOSED);
    ask(s, LANES, true);
    assert_int_equal(s->forget_error, FABRIC_ERROR_NOT_HOME);
    bool reading = false;
    while (!reading) { /* until a reading is under way */
        s->now_ms += 10;
        while (!reading && coordinator_next_call(s->c, s->now_ms, &call)) {
            reading = call.kind == COORDINATOR_LIST_TYPES;
            if (!reading) {
                script_answer(s, &call);
            }
        }
    }
    s->now_ms++;
    router_order_t order = {.kind = ROUTER_TYPE_OPEN, .name = "Counter"};
    coordinator_order(s->c, &order, s->now_ms);
    script_answer(s, &call);
    script_take_effects(s);
    assert_int_equal(s->types_opened, 0);
    s->types[0].description.size = 0;
    script_pump(s);
    assert_int_equal(s->types_forgotten, 1);
    assert_int_equal(s->types_opened, 1);
}

/* As after a restart of the cluster: the row has a name and a group only. */
static void a_forgotten_type_is_unknown_after_a_restart(void **state)
{
    script_t *s = *state;
    script_add_group(s, "default");
    script_add_type(s, &counter);
    s->types[0].description.size = 0;
    script_pump(s);
    assert_true(s->types_certain);
    assert_int_equal(s->types_seen, 0);
    script_admit(s, runner_b, &other_counter, 1);
    script_pump(s);
    assert_int_equal(s->admission, FABRIC_OK);
    assert_int_equal(s->types_seen, 1);
    assert_true(s->types[0].description.size > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_holder_drops_the_description),
        TEST(an_incompatible_version_is_admitted_afterwards),
        TEST(runners_that_bring_a_closed_type_wait),
        TEST(a_lane_that_has_moved_keeps_the_type),
        TEST(what_only_the_store_has_is_counted),
        TEST(a_store_that_fails_is_asked_until_the_deadline),
        TEST(an_unknown_outcome_is_told_as_one),
        TEST(a_command_that_ends_early_ends_the_forgetting),
        TEST(a_standby_reads_the_type_before_it_opens_it),
        TEST(a_forgotten_type_is_unknown_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
