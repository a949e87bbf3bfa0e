/* The coordinator's core with scripted store answers: election, what counts as silence, fences,
 * placement, admission and the map. For lanes see broker_coordinator_lanes_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/type_description.h"
#include "tests/unit/coordinator_script.h"

static const brought_t counter = {"Counter", "default", true};

/* ---- election ---- */

static void first_broker_takes_the_term(void **state)
{
    script_t *s = *state;
    script_pump(s);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->row.term, 1);
    assert_int_equal(s->elected, 1);
    assert_int_equal(s->ready, 1);
    assert_int_equal(script_held(s), LANES);
    assert_int_equal(s->lease_ms, s->now_ms + LEASE_MS);
    assert_int_equal(s->version.term, 1);
    assert_true(incarnation_equal(s->holder, self)); /* for the status document */
}

static void holder_that_is_no_member_is_replaced_at_once(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_set_lanes(s, other, 3);
    script_pump(s);
    assert_int_equal(s->row.term, 8);
    assert_int_equal(script_held(s), LANES);
    assert_int_equal(s->held[0], 4);
    assert_int_equal(s->ready, 1);
}

static void living_holder_keeps_the_term(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_add_group(s, "default");
    script_set_lanes(s, other, 3);
    script_pass(s, 5 * LEASE_MS, 50);
    assert_false(coordinator_holds_term(s->c));
    assert_true(incarnation_equal(s->holder, other));
    assert_int_equal(s->holders, 1); /* not at each reading */
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 0);
    assert_int_equal(s->calls[COORDINATOR_PROBE], 0);
    assert_int_equal(script_held(s), 0);
    assert_int_equal(s->ready, 1);
    /* The standby's map names the home, and yields to any that the holder publishes. */
    assert_int_equal(s->maps, 0);
    assert_true(s->revisions > 0);
    assert_int_equal(s->version.term, 0);
    const map_lane_t *lane = shard_map_lane_of(s->map, shard_id_make(1, 5));
    assert_true(incarnation_equal(lane->home, other));
    assert_int_equal(lane->epoch, 3);
    assert_string_equal(shard_map_broker(s->map, other)->router_endpoint, "tcp://127.0.0.1:2");
}

static void silent_holder_is_replaced_after_a_lease(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_set_lanes(s, other, 3);
    script_pass(s, 1000, 50);
    s->silent[1] = true;
    script_pass(s, LEASE_MS - 300, 50);
    assert_false(coordinator_holds_term(s->c));
    assert_true(incarnation_equal(s->holder, other));
    script_pass(s, 800, 50);
    assert_true(coordinator_holds_term(s->c));
    assert_true(incarnation_equal(s->holder, self));
    assert_int_equal(s->broker_count, 1); /* the dead one is fenced and forgotten */
    assert_int_equal(script_held(s), LANES);
    assert_int_equal(s->version.term, 8);
}

static void readings_far_apart_count_no_silence(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_pass(s, 1000, 50);
    s->silent[1] = true;
    script_pass(s, 10 * LEASE_MS, 1100); /* a process that is paused again and again */
    assert_false(coordinator_holds_term(s->c));
}

static void outage_gives_everybody_a_full_lease_again(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_pass(s, 1000, 50);
    s->silent[1] = true;
    script_pass(s, LEASE_MS - 500, 50);
    for (int kind = 0; kind < COORDINATOR_CALL_KINDS; kind++) {
        s->fail[kind] = FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    script_pass(s, 10 * LEASE_MS, 50);
    memset(s->fail, 0, sizeof s->fail);
    script_pass(s, LEASE_MS - 500, 50);
    assert_false(coordinator_holds_term(s->c));
    script_pass(s, 1200, 50);
    assert_true(coordinator_holds_term(s->c));
}

/* A broker that has been silent for most of its lease may have been silent because the former
 * holder died. */
static void new_term_gives_everybody_a_full_lease(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, third);
    script_add_broker(s, other);
    script_pass(s, 1000, 50);
    s->silent[1] = true;
    script_pass(s, LEASE_MS - 500, 50);
    s->broker_count = 2; /* the holder leaves */
    script_pass(s, 400, 50);
    assert_true(coordinator_holds_term(s->c));
    script_pass(s, LEASE_MS - 800, 50);
    assert_int_equal(s->broker_count, 2);
    script_pass(s, 1500, 50);
    assert_int_equal(s->broker_count, 1);
}

static void race_for_the_term_is_lost_without_harm(void **state)
{
    script_t *s = *state;
    s->fail[COORDINATOR_TAKE_TERM] = FABRIC_ERROR_FENCED;
    coordinator_call_t call;
    for (int i = 0; i < 4 && coordinator_next_call(s->c, s->now_ms, &call); i++) {
        script_answer(s, &call);
    }
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 1);
    s->row = (store_coordinator_t){1, other};
    script_add_broker(s, other);
    script_pass(s, 1000, 50);
    assert_int_equal(s->fenced, 0);
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 1);
}

static void lost_answer_of_the_take_is_found_out(void **state)
{
    script_t *s = *state;
    s->fail[COORDINATOR_TAKE_TERM] = FABRIC_ERROR_STORE_UNKNOWN;
    script_pump(s);
    assert_false(coordinator_holds_term(s->c));
    s->row = (store_coordinator_t){1, self};
    script_pass(s, 500, 50);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->elected, 1);
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 1);
}

/* ---- fences and leases ---- */

static void fenced_renewal_ends_everything(void **state)
{
    script_t *s = *state;
    script_pump(s);
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_FENCED;
    script_pass(s, 2000, 50);
    assert_int_equal(s->fenced, 1);
    coordinator_call_t call;
    assert_false(coordinator_next_call(s->c, s->now_ms, &call));
}

static void another_holder_ends_everything(void **state)
{
    script_t *s = *state;
    script_pump(s);
    s->row = (store_coordinator_t){2, other};
    script_pass(s, 500, 50);
    assert_int_equal(s->fenced, 1);
}

static void being_no_member_ends_everything(void **state)
{
    script_t *s = *state;
    script_pump(s);
    s->brokers[0].incarnation = other;
    script_pass(s, 500, 50);
    assert_int_equal(s->fenced, 1);
}

/* An old copy of the database that has the standby's own row must end the standby as well. */
static void an_earlier_term_ends_a_standby(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_pass(s, 1000, 50);
    assert_int_equal(s->fenced, 0);
    s->row = (store_coordinator_t){6, third};
    script_pass(s, 500, 50);
    assert_int_equal(s->fenced, 1);
    assert_int_equal(s->calls[COORDINATOR_TAKE_TERM], 0);
    assert_true(durable_term_is_lost(&s->durable, 6));
}

/* Runs calls until one of this kind was answered. */
static void answer_until(script_t *s, coordinator_call_kind_t kind)
{
    coordinator_call_t call = {.kind = COORDINATOR_RENEW};
    for (int tries = 0; tries < 1000; tries++) {
        if (!coordinator_next_call(s->c, s->now_ms, &call)) {
            s->now_ms += 10;
            continue;
        }
        script_answer(s, &call);
        if (call.kind == kind) {
            return;
        }
    }
    fail_msg("no such call");
}

static void a_term_that_is_taken_is_durable(void **state)
{
    script_t *s = *state;
    answer_until(s, COORDINATOR_TAKE_TERM);
    assert_int_equal(s->row.term, 1);
    assert_true(durable_term_is_lost(&s->durable, 0));
}

/* A server may show a term before it is on disk, and die. */
static void a_term_that_is_read_is_durable_after_a_renewal(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_pass(s, 1000, 50);
    s->row.term = 8;
    answer_until(s, COORDINATOR_READ_TERM);
    assert_false(durable_term_is_lost(&s->durable, 7));
    answer_until(s, COORDINATOR_RENEW);
    assert_true(durable_term_is_lost(&s->durable, 7));
}

static void a_term_that_was_read_before_an_outage_does_not_count(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_pass(s, 1000, 50);
    s->row.term = 8;
    answer_until(s, COORDINATOR_READ_TERM);
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_STORE_UNAVAILABLE;
    answer_until(s, COORDINATOR_RENEW);
    s->row.term = 7;
    s->fail[COORDINATOR_RENEW] = FABRIC_OK;
    answer_until(s, COORDINATOR_RENEW);
    assert_false(durable_term_is_lost(&s->durable, 7));
    script_pass(s, 1000, 50);
    assert_int_equal(s->fenced, 0);
}

static void lease_counts_from_before_the_renewal(void **state)
{
    script_t *s = *state;
    coordinator_call_t call;
    assert_true(coordinator_next_call(s->c, s->now_ms, &call));
    assert_int_equal(call.kind, COORDINATOR_RENEW);
    uint64_t before_ms = s->now_ms;
    s->now_ms += 400;
    script_answer(s, &call);
    script_take_effects(s);
    assert_int_equal(s->lease_ms, before_ms + LEASE_MS);
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_STORE_UNAVAILABLE;
    script_pass(s, LEASE_MS, 50);
    assert_int_equal(s->lease_ms, before_ms + LEASE_MS);
    assert_int_equal(s->fenced, 0);
}

/* Each call takes longer than the time after which the next renewal is due: the lease is kept, and
 * the rest of the work is done all the same. */
static void a_slow_store_leaves_time_beside_the_lease(void **state)
{
    script_t *s = *state;
    coordinator_call_t call;
    script_pump(s);
    uint32_t readings = s->calls[COORDINATOR_READ_TERM];
    uint32_t lists = s->calls[COORDINATOR_LIST_BROKERS];
    for (int i = 0; i < 200; i++) {
        s->now_ms += 10;
        if (coordinator_next_call(s->c, s->now_ms, &call)) {
            s->now_ms += LEASE_MS / 5;
            script_answer(s, &call);
            script_take_effects(s);
            assert_true(s->lease_ms > s->now_ms);
        }
    }
    assert_true(s->calls[COORDINATOR_READ_TERM] > readings + 10);
    assert_true(s->calls[COORDINATOR_LIST_BROKERS] > lists + 10);
}

/* Renewals and readings alone would fill the time of this store. */
static void a_slow_store_leaves_time_for_admissions(void **state)
{
    script_t *s = *state;
    coordinator_call_t call;
    script_pump(s);
    script_admit(s, runner_a, &counter, 1);
    for (int i = 0; i < 500 && s->admitted == 0; i++) {
        s->now_ms += 10;
        if (coordinator_next_call(s->c, s->now_ms, &call)) {
            s->now_ms += LEASE_MS / 15;
            script_answer(s, &call);
        }
        coordinator_tick(s->c, s->now_ms);
        script_take_effects(s);
        assert_true(s->lease_ms > s->now_ms);
    }
    assert_int_equal(s->admitted, 1);
    assert_int_equal(s->admission, FABRIC_OK);
}

/* ---- runners ---- */

static void new_type_makes_its_group(void **state)
{
    script_t *s = *state;
    script_pump(s);
    script_admit(s, runner_a, &counter, 1);
    assert_int_equal(s->admitted, 0);
    script_pump(s);
    assert_int_equal(s->admitted, 1);
    assert_int_equal(s->admission, FABRIC_OK);
    assert_int_equal(s->group_count, 1);
    assert_int_equal(s->type_count, 1);
    assert_int_equal(s->types_seen, 1);
    script_order(s, ROUTER_RUNNER_JOINED, runner_a, 100);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS);
    script_pass(s, 100, 10);
    assert_int_equal(s->runner_count, 1);
    assert_int_equal(shard_map_type_group(s->map, fabric_bytes_of("Counter")), 1);
}

static void known_types_need_no_store(void **state)
{
    script_t *s = *state;
    script_pump(s);
    script_admit(s, runner_a, &counter, 1);
    script_pump(s);
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_STORE_UNAVAILABLE;
    script_pass(s, 1000, 50);
    script_admit(s, runner_b, &counter, 1);
    assert_int_equal(s->admitted, 2);
    assert_int_equal(s->admission, FABRIC_OK);
}

static void store_that_does_not_answer_refuses_in_time(void **state)
{
    script_t *s = *state;
    script_pump(s);
    s->fail[COORDINATOR_PUT_GROUP] = FABRIC_ERROR_STORE_UNAVAILABLE;
    script_admit(s, runner_a, &counter, 1);
    script_pass(s, LEASE_MS - 200, 50);
    assert_int_equal(s->admitted, 0);
    script_pass(s, 400, 50);
    assert_int_equal(s->admitted, 1);
    assert_int_equal(s->admission, FABRIC_ERROR_PERSISTENCE);
}

static void test_nt_17_conflicts_are_refused(void **state)
{
    script_t *s = *state;
    script_pump(s);
    script_admit(s, runner_a, &counter, 1);
    script_pump(s);
    const brought_t moved = {"Counter", "elsewhere", true};
    script_admit(s, runner_b, &moved, 1);
    script_pump(s);
    assert_int_equal(s->admitted, 2);
    assert_int_equal(s->admission, FABRIC_ERROR_TYPE_CONFLICT);
    assert_non_null(strstr(s->text, "Counter"));
    const brought_t forgetful = {"Counter", "default", false};
    script_admit(s, runner_b, &forgetful, 1);
    script_pump(s);
    assert_int_equal(s->admitted, 3);
    assert_int_equal(s->admission, FABRIC_ERROR_TYPE_CONFLICT);
    assert_int_equal(s->group_count, 1);
    script_order(s, ROUTER_RUNNER_JOINED, runner_b, 100); /* has no effect for a refused runner */
    assert_int_equal(script_owned(s, "Counter", runner_b), 0);
}

/* While workers are upgraded one after another, some that come are older than what is stored. */
static void older_workers_join_beside_newer_ones(void **state)
{
    script_t *s = *state;
    script_pump(s);
    script_admit(s, runner_a, &counter, 1);
    script_pump(s);
    size_t before = s->types[0].description.size;
    script_admit_newer(s, runner_b, &counter, FABRIC_FIELD_BOOL);
    script_pump(s);
    assert_int_equal(s->admission, FABRIC_OK);
    size_t stored = s->types[0].description.size;
    uint32_t puts = s->calls[COORDINATOR_PUT_TYPE];
    assert_true(stored > before);
    script_admit(s, other, &counter, 1);
    script_pump(s);
    assert_int_equal(s->admitted, 3);
    assert_int_equal(s->admission, FABRIC_OK);
    assert_int_equal(s->calls[COORDINATOR_PUT_TYPE], puts);
    assert_int_equal(s->types[0].description.size, stored);
    script_admit_newer(s, runner_a, &counter, FABRIC_FIELD_I64);
    script_pump(s);
    assert_int_equal(s->admission, FABRIC_ERROR_TYPE_CONFLICT);
    assert_string_equal(s->text, "entity type Counter: Go request: gift: expected kind bool as "
                                 "before, found i64");
}

static void junk_types_are_refused(void **state)
{
    script_t *s = *state;
    script_pump(s);
    uint8_t junk[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    router_order_t event = {
        .kind = ROUTER_ADMIT, .runner = runner_a, .types = junk, .types_size = sizeof junk};
    coordinator_order(s->c, &event, s->now_ms);
    script_take_effects(s);
    assert_int_equal(s->admitted, 1);
    assert_int_not_equal(s->admission, FABRIC_OK);
}

static void join(script_t *s, incarnation_t runner, const brought_t *types, uint32_t count)
{
    script_admit(s, runner, types, count);
    script_pump(s);
    assert_int_equal(s->admission, FABRIC_OK);
    script_order(s, ROUTER_RUNNER_JOINED, runner, 100);
}

static void placement_moves_as_little_as_it_can(void **state)
{
    script_t *s = *state;
    script_pump(s);
    join(s, runner_a, &counter, 1);
    assert_int_equal(s->desires, SHARDS);
    join(s, runner_b, &counter, 1);
    assert_int_equal(s->desires, SHARDS + SHARDS / 2);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS / 2);
    script_order(s, ROUTER_RUNNER_LEFT, runner_b, 0);
    assert_int_equal(s->desires, 2 * SHARDS);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS);
    script_order(s, ROUTER_RUNNER_LEFT, runner_a, 0);
    assert_int_equal(script_owned(s, "Counter", (incarnation_t){{0}}), SHARDS);
}

static void rejoined_runner_is_desired_again(void **state)
{
    script_t *s = *state;
    script_pump(s);
    join(s, runner_a, &counter, 1);
    join(s, runner_b, &counter, 1);
    uint32_t before = s->desires;
    join(s, runner_a, &counter, 1);
    assert_int_equal(s->desires, before + SHARDS / 2);
}

static void each_type_goes_to_runners_that_bring_it(void **state)
{
    script_t *s = *state;
    script_pump(s);
    const brought_t order = {"Order", "default", true};
    const brought_t both[] = {{"Counter", "default", true}, {"Order", "default", true}};
    join(s, runner_a, &counter, 1);
    join(s, runner_b, &order, 1); /* a runner with a new module disturbs nobody */
    assert_int_equal(s->desires, 2 * SHARDS);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS);
    assert_int_equal(script_owned(s, "Order", runner_b), SHARDS);
    join(s, third, both, 2);
    assert_int_equal(s->desires, 3 * SHARDS);
    assert_int_equal(script_owned(s, "Counter", third), SHARDS / 2);
    assert_int_equal(script_owned(s, "Order", third), SHARDS / 2);
    script_order(s, ROUTER_RUNNER_LEFT, runner_a, 0); /* only its own type moves */
    assert_int_equal(s->desires, 3 * SHARDS + SHARDS / 2);
    assert_int_equal(script_owned(s, "Counter", third), SHARDS);
    script_order(s, ROUTER_RUNNER_LEFT, third, 0);
    assert_int_equal(script_owned(s, "Counter", (incarnation_t){{0}}), SHARDS);
    assert_int_equal(script_owned(s, "Order", runner_b), SHARDS);
    const brought_t apart = {"Account", "money", true};
    join(s, runner_a, &apart, 1);
    assert_int_equal(script_owned(s, "Account", runner_a), SHARDS);
}

static void expect_alike(script_t *s, const char *a, const char *b)
{
    for (uint32_t n = 1; n <= SHARDS; n++) {
        assert_true(incarnation_equal(*script_desired(s, a, n), *script_desired(s, b, n)));
    }
}

static void types_of_the_same_runners_are_placed_alike(void **state)
{
    script_t *s = *state;
    script_pump(s);
    const brought_t both[] = {{"Counter", "default", true}, {"Order", "default", true}};
    join(s, runner_a, both, 2);
    join(s, runner_b, both, 2);
    join(s, third, both, 2);
    expect_alike(s, "Counter", "Order");
    assert_int_equal(script_owned(s, "Order", third), SHARDS / 3);
    script_order(s, ROUTER_RUNNER_LEFT, runner_b, 0);
    expect_alike(s, "Counter", "Order");
}

static void nothing_moves_to_an_older_application(void **state)
{
    script_t *s = *state;
    script_pump(s);
    s->app_version = 7;
    join(s, runner_a, &counter, 1);
    s->app_version = 6;
    join(s, runner_b, &counter, 1);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS);
    script_order(s, ROUTER_RUNNER_LEFT, runner_a, 0); /* the older one is better than nobody */
    assert_int_equal(script_owned(s, "Counter", runner_b), SHARDS);
    s->app_version = 8;
    join(s, third, &counter, 1);
    assert_int_equal(script_owned(s, "Counter", third), SHARDS / 2);
}

/* The owner under the lanes' former holder may have had any version. */
static void a_new_home_begins_with_the_newest_application(void **state)
{
    script_t *s = *state;
    script_pump(s);
    script_add_broker(s, other);
    for (uint32_t i = 0; i < LANES; i++) {
        script_set_lane(s, i, other, s->lanes[i].epoch + 1);
    }
    script_pass(s, 500, 50);
    s->app_version = 6;
    join(s, runner_a, &counter, 1);
    s->app_version = 7;
    join(s, runner_b, &counter, 1);
    assert_int_equal(script_owned(s, "Counter", runner_b), 0);
    for (uint32_t i = 0; i < LANES; i++) {
        script_set_lane(s, i, self, s->lanes[i].epoch + 1);
    }
    script_pass(s, 500, 50);
    assert_int_equal(script_owned(s, "Counter", runner_b), SHARDS);
}

static void owners_are_published_together(void **state)
{
    script_t *s = *state;
    script_pump(s);
    join(s, runner_a, &counter, 1);
    script_pass(s, 100, 50);
    uint32_t before = s->maps;
    for (uint16_t n = 1; n <= SHARDS; n++) {
        router_order_t event = {.kind = ROUTER_OWNER_CHANGED,
                                .runner = runner_a,
                                .name = "Counter",
                                .shard = shard_id_make(1, n),
                                .token = {1, 1}};
        coordinator_order(s->c, &event, s->now_ms);
    }
    script_pass(s, 100, 10);
    assert_in_range(s->maps - before, 1, 2);
    shard_id_t last = shard_id_make(1, SHARDS);
    assert_true(incarnation_equal(script_owner(s, last), runner_a));
    assert_true(incarnation_equal(shard_map_lane_of(s->map, last)->home, self));
}

static void standby_registers_its_runners_when_it_takes_over(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_pass(s, 500, 50);
    join(s, runner_a, &counter, 1);
    assert_int_equal(s->calls[COORDINATOR_PUT_TYPE], 0);
    s->runners[s->runner_count++] = (store_runner_t){.incarnation = runner_b}; /* left behind */
    s->broker_count = 1;
    script_pass(s, 1000, 50);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->type_count, 1);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS);
    assert_int_equal(s->calls[COORDINATOR_REMOVE_RUNNER], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_broker_takes_the_term),
        TEST(holder_that_is_no_member_is_replaced_at_once),
        TEST(living_holder_keeps_the_term),
        TEST(silent_holder_is_replaced_after_a_lease),
        TEST(readings_far_apart_count_no_silence),
        TEST(outage_gives_everybody_a_full_lease_again),
        TEST(new_term_gives_everybody_a_full_lease),
        TEST(race_for_the_term_is_lost_without_harm),
        TEST(lost_answer_of_the_take_is_found_out),
        TEST(fenced_renewal_ends_everything),
        TEST(another_holder_ends_everything),
        TEST(being_no_member_ends_everything),
        TEST(an_earlier_term_ends_a_standby),
        TEST(a_term_that_is_taken_is_durable),
        TEST(a_term_that_is_read_is_durable_after_a_renewal),
        TEST(a_term_that_was_read_before_an_outage_does_not_count),
        TEST(lease_counts_from_before_the_renewal),
        TEST(a_slow_store_leaves_time_beside_the_lease),
        TEST(a_slow_store_leaves_time_for_admissions),
        TEST(new_type_makes_its_group),
        TEST(known_types_need_no_store),
        TEST(store_that_does_not_answer_refuses_in_time),
        TEST(test_nt_17_conflicts_are_refused),
        TEST(older_workers_join_beside_newer_ones),
        TEST(junk_types_are_refused),
        TEST(placement_moves_as_little_as_it_can),
        TEST(rejoined_runner_is_desired_again),
        TEST(each_type_goes_to_runners_that_bring_it),
        TEST(types_of_the_same_runners_are_placed_alike),
        TEST(nothing_moves_to_an_older_application),
        TEST(a_new_home_begins_with_the_newest_application),
        TEST(owners_are_published_together),
        TEST(standby_registers_its_runners_when_it_takes_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
