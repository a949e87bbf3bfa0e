/* The coordinator's core with scripted store answers: who holds which lane, the proof of a broker's
 * death, and the marks of reserved ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/coordinator_script.h"

static const incarnation_t nobody = {{0}};
static const brought_t counter = {"Counter", "default", true};

/* A cluster in which `other` holds the term and all lanes, and this broker stands by. */
static void stand_by(script_t *s)
{
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_set_lanes(s, other, 3);
    script_add_group(s, "default");
    script_pass(s, 1000, 10);
    assert_false(coordinator_holds_term(s->c));
}

/* ---- who holds which lane ---- */

static void a_living_holder_keeps_its_lanes(void **state)
{
    script_t *s = *state;
    script_add_broker(s, third);
    script_set_lanes(s, other, 3);
    script_set_lane(s, 1, third, 5);
    script_set_lane(s, 3, third, 6);
    script_pass(s, 1000, 50);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(script_held(s), 2);
    assert_int_equal(s->held[0], 4);
    assert_int_equal(s->held[2], 4);
    assert_int_equal(s->ready, 1);
    assert_true(incarnation_equal(s->lanes[1].holder, third));
    assert_int_equal(s->assigned[1] + s->assigned[3], 0);
}

static void a_silent_member_is_removed_before_its_lanes_are_taken(void **state)
{
    script_t *s = *state;
    script_add_broker(s, third);
    script_set_lane(s, 1, third, 2);
    script_pass(s, 1000, 50);
    s->fail[COORDINATOR_REMOVE_BROKER] = FABRIC_ERROR_STORE_UNAVAILABLE;
    s->silent[1] = true;
    script_pass(s, LEASE_MS + 800, 50);
    assert_true(s->calls[COORDINATOR_REMOVE_BROKER] > 0);
    assert_int_equal(s->assigned[1], 0);
    s->fail[COORDINATOR_REMOVE_BROKER] = FABRIC_OK;
    while (s->broker_count > 1) {
        script_pass(s, 1, 1);
    }
    assert_int_equal(s->held[1], 3); /* at once */
    assert_int_equal(s->fenced, 0);
}

static void a_member_that_left_leaves_its_lanes(void **state)
{
    script_t *s = *state;
    script_add_broker(s, third);
    script_set_lane(s, 1, third, 2);
    script_set_lane(s, 2, third, 2);
    script_pass(s, 500, 50);
    script_say_draining(s, third);
    script_remove_broker(s, third);
    script_set_lane(s, 1, nobody, 2); /* it gave this lane up, and was killed */
    script_pass(s, 500, 50);
    assert_int_equal(script_held(s), LANES);
    assert_int_equal(s->held[1], 3);
    assert_int_equal(s->held[2], 3);
    assert_int_equal(s->calls[COORDINATOR_REMOVE_BROKER], 0);
}

/* The list of members is older than the lane's row: its holder may have joined in between. */
static void a_holder_that_has_just_joined_is_not_taken_for_a_dead_one(void **state)
{
    script_t *s = *state;
    script_pass(s, 500, 50);
    script_set_lane(s, 2, third, 9);
    uint32_t before = s->assigned[2];
    s->now_ms += 200;
    coordinator_call_t call;
    assert_true(coordinator_next_call(s->c, s->now_ms, &call));
    assert_int_equal(call.kind, COORDINATOR_RENEW); /* shows the row */
    script_answer(s, &call);
    while (coordinator_next_call(s->c, s->now_ms, &call) && call.kind != COORDINATOR_READ_TERM) {
        script_answer(s, &call); /* all that the list of before allows */
    }
    script_add_broker(s, third);
    script_answer(s, &call);
    script_pass(s, 500, 10);
    assert_int_equal(s->assigned[2], before);
    assert_true(incarnation_equal(s->lanes[2].holder, third));
}

static void a_busy_lane_delays_no_other(void **state)
{
    script_t *s = *state;
    script_set_lanes(s, other, 3);
    s->assigning[1] = FABRIC_ERROR_STORE_BUSY;
    script_pump(s); /* no time passes */
    assert_int_equal(script_held(s), LANES - 1);
    assert_int_equal(s->assigned[1], 1);
    assert_int_equal(s->ready, 0);
    assert_in_range(coordinator_next_deadline(s->c, s->now_ms), s->now_ms + 1, s->now_ms + 50);
    script_pass(s, 500, 10);
    assert_in_range(s->assigned[1], 10, 30);
    assert_true(s->calls[COORDINATOR_READ_TERM] > 2);
    s->assigning[1] = FABRIC_OK;
    script_pass(s, 50, 10);
    assert_int_equal(s->held[1], 4);
    assert_int_equal(s->ready, 1);
    for (uint32_t lane = 0; lane < LANES; lane++) {
        assert_true(lane == 1 || s->assigned[lane] == 1);
    }
}

static void the_store_is_away_and_no_lane_is_tried(void **state)
{
    script_t *s = *state;
    s->assigning[0] = FABRIC_ERROR_STORE_UNAVAILABLE;
    script_pump(s);
    assert_int_equal(s->assigned[0], 1);
    assert_int_equal(s->assigned[1], 0);
    assert_int_equal(coordinator_next_deadline(s->c, s->now_ms), s->now_ms + 100);
}

static void a_lost_race_for_a_lane_is_read_again(void **state)
{
    script_t *s = *state;
    script_set_lanes(s, other, 3);
    s->fail[COORDINATOR_ASSIGN_LANE] = FABRIC_ERROR_STORE_BUSY; /* the lanes are read, not taken */
    script_pump(s);
    script_set_lane(s, 2, nobody, 5);
    script_set_lane(s, 3, third, 8); /* the row of a broker that does not live */
    s->fail[COORDINATOR_ASSIGN_LANE] = FABRIC_OK;
    s->now_ms += 30;
    script_pump(s);
    assert_int_equal(s->fenced, 0);
    assert_int_equal(s->held[2], 6);
    script_pass(s, 300, 10);
    assert_int_equal(s->held[3], 9);
    assert_int_equal(s->assigned[3], 1); /* the rejection of lane 2 made all be read again */
}

/* As if another broker changed the lane's row again and again. */
static void a_race_that_is_always_lost_leaves_time(void **state)
{
    script_t *s = *state;
    coordinator_call_t call;
    s->assigning[1] = FABRIC_ERROR_STORE_REJECTED;
    uint32_t calls = 0;
    while (coordinator_next_call(s->c, s->now_ms, &call) && calls < 100) {
        script_answer(s, &call);
        calls++;
    }
    assert_true(calls < 100);
    assert_int_equal(s->assigned[1], 1);
    assert_int_equal(s->fenced, 0);
}

/* The answer was lost, and the change was made: a repetition is refused. */
static void a_lost_answer_of_an_assignment_is_found_out(void **state)
{
    script_t *s = *state;
    s->assigning[2] = FABRIC_ERROR_STORE_UNKNOWN;
    script_pump(s);
    assert_int_equal(s->held[2], 0);
    script_set_lane(s, 2, self, 1);
    s->assigning[2] = FABRIC_OK;
    script_pass(s, 300, 10);
    assert_int_equal(s->held[2], 1);
    assert_int_equal(script_held(s), LANES);
    assert_int_equal(s->lanes[2].epoch, 1);
}

static void an_assignment_under_an_old_term_ends_everything(void **state)
{
    script_t *s = *state;
    s->assigning[0] = FABRIC_ERROR_FENCED;
    script_pump(s);
    assert_int_equal(s->fenced, 1);
}

/* ---- what this broker holds ---- */

static void a_lane_that_is_lost_is_dropped_and_others_go_on(void **state)
{
    script_t *s = *state;
    script_pass(s, 500, 50);
    script_add_broker(s, third);
    script_pass(s, 500, 50);
    uint32_t told = s->told;
    script_pass(s, 1000, 50);
    assert_int_equal(s->told, told); /* only changes are told */
    script_set_lane(s, 1, third, 2);
    script_pass(s, 300, 50);
    assert_int_equal(s->told, told + 1);
    assert_int_equal(s->held[1], 0);
    assert_int_equal(script_held(s), LANES - 1);
    assert_int_equal(s->fenced, 0);
    script_pass(s, 100, 50);
    assert_true(incarnation_equal(shard_map_lane(s->map, 1)->home, third));
}

static void a_renewal_without_the_lanes_renews_nothing(void **state)
{
    script_t *s = *state;
    stand_by(s);
    uint64_t lease_ms = s->lease_ms;
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_STORE_UNAVAILABLE;
    script_set_lane(s, 0, self, 4);
    script_pass(s, 300, 10);
    assert_int_equal(s->lease_ms, lease_ms);
    assert_int_equal(s->held[0], 0);
    s->fail[COORDINATOR_RENEW] = FABRIC_OK;
    script_pass(s, 300, 10);
    assert_int_equal(s->held[0], 4); /* from the store, not from the map */
    assert_true(s->lease_ms > lease_ms);
}

static void join(script_t *s, incarnation_t runner)
{
    script_admit(s, runner, &counter, 1);
    script_pump(s);
    assert_int_equal(s->admission, FABRIC_OK);
    script_order(s, ROUTER_RUNNER_JOINED, runner, 100);
}

static void own(script_t *s, shard_id_t shard, incarnation_t runner, token_t token)
{
    router_order_t order = {.kind = ROUTER_OWNER_CHANGED,
                            .runner = runner,
                            .name = "Counter",
                            .shard = shard,
                            .token = token};
    coordinator_order(s->c, &order, s->now_ms);
}

static void only_shards_of_own_lanes_get_runners(void **state)
{
    script_t *s = *state;
    script_pass(s, 300, 50);
    script_add_broker(s, third);
    script_set_lane(s, 1, third, 5);
    script_pass(s, 300, 50);
    join(s, runner_a);
    script_pass(s, 100, 50);
    assert_int_equal(script_owned(s, "Counter", runner_a), SHARDS - SHARDS / LANES);
    assert_true(incarnation_is_none(*script_desired(s, "Counter", 1)));
    own(s, shard_id_make(1, 2), runner_a, (token_t){1, 1});
    own(s, shard_id_make(1, 1), runner_a, (token_t){5, 1}); /* the lane is another broker's */
    script_pass(s, 100, 50);
    assert_true(incarnation_equal(shard_map_lane(s->map, 1)->home, third));
    assert_int_equal(shard_map_lane(s->map, 1)->epoch, 5);
    assert_true(incarnation_is_none(script_owner(s, shard_id_make(1, 1))));
    assert_true(incarnation_equal(shard_map_lane(s->map, 2)->home, self));
    assert_true(incarnation_equal(script_owner(s, shard_id_make(1, 2)), runner_a));
}

static void a_lane_under_a_new_epoch_is_placed_anew(void **state)
{
    script_t *s = *state;
    script_pump(s);
    join(s, runner_a);
    script_pass(s, 100, 50);
    own(s, shard_id_make(1, 2), runner_a, (token_t){1, 1});
    uint32_t before = s->desires;
    script_set_lane(s, 2, self, 9);
    script_pass(s, 300, 50);
    assert_int_equal(s->held[2], 9);
    assert_int_equal(s->desires, before + SHARDS / LANES);
    script_pass(s, 100, 50);
    shard_id_t shard = shard_id_make(1, 2);
    assert_true(incarnation_is_none(script_owner(s, shard)));
    assert_int_equal(shard_map_lane_of(s->map, shard)->epoch, 9);
    own(s, shard_id_make(1, 2), runner_a, (token_t){9, 1});
    own(s, shard_id_make(1, 2), runner_b, (token_t){1, 2}); /* of the former epoch */
    script_pass(s, 100, 50);
    assert_true(incarnation_equal(script_owner(s, shard), runner_a));
    join(s, runner_a); /* it is told of all its shards again, and of no others */
    assert_int_equal(s->desires, before + SHARDS / LANES + SHARDS);
}

static void ready_when_all_own_lanes_are_adopted(void **state)
{
    script_t *s = *state;
    s->hold_adoption = true;
    script_set_lanes(s, other, 3);
    script_pump(s);
    assert_int_equal(script_held(s), LANES);
    for (uint32_t lane = 0; lane < LANES; lane++) {
        assert_int_equal(s->ready, 0);
        script_adopt(s, lane);
        script_take_effects(s);
    }
    assert_int_equal(s->ready, 1);
}

static void find_damage(script_t *s, uint32_t lane, uint64_t epoch)
{
    router_order_t order = {.kind = ROUTER_LANE_DAMAGED, .lane = lane, .epoch = epoch};
    coordinator_order(s->c, &order, s->now_ms);
    script_take_effects(s);
}

/* The broker would be taken down with its good lanes if it waited for the damaged one. */
static void a_damaged_lane_delays_no_readiness(void **state)
{
    enum { DAMAGED = 2 };
    script_t *s = *state;
    s->hold_adoption = true;
    script_set_lanes(s, other, 3);
    script_pump(s);
    find_damage(s, DAMAGED, s->held[DAMAGED] - 1); /* under a hold that is over */
    for (uint32_t lane = 0; lane < LANES; lane++) {
        if (lane != DAMAGED) {
            script_adopt(s, lane);
        }
    }
    script_pump(s);
    assert_int_equal(s->ready, 0);
    find_damage(s, DAMAGED, s->held[DAMAGED]);
    assert_int_equal(s->ready, 1);
    script_adopt(s, DAMAGED); /* it has been repaired */
    script_pump(s);
    assert_int_equal(s->ready, 1);
}

static void adoption_under_an_old_epoch_does_not_count(void **state)
{
    script_t *s = *state;
    s->hold_adoption = true;
    script_pump(s);
    uint64_t former = s->held[2];
    script_set_lane(s, 2, self, 7);
    script_pass(s, 300, 50);
    assert_int_equal(s->held[2], 7);
    for (uint32_t lane = 0; lane < LANES; lane++) {
        s->held[lane] = lane == 2 ? former : s->held[lane];
        script_adopt(s, lane);
    }
    script_pump(s);
    assert_int_equal(s->ready, 0);
    s->held[2] = 7;
    script_adopt(s, 2);
    script_pump(s);
    assert_int_equal(s->ready, 1);
}

/* ---- the proof of death ---- */

static void a_dead_holder_is_replaced_within_half_a_second(void **state)
{
    (void)state;
    for (uint64_t moment = 0; moment < 600; moment += 7) { /* of the death, between two readings */
        void *again = NULL;
        script_set_up(&again);
        script_t *one = again;
        stand_by(one);
        script_pass(one, moment, 1);
        one->silent[1] = one->refusing[1] = true;
        uint64_t died_ms = one->now_ms;
        while (script_held(one) < LANES && one->now_ms < died_ms + LEASE_MS) {
            script_pass(one, 1, 1);
        }
        assert_in_range(one->now_ms - died_ms, 100, 400);
        assert_int_equal(one->broker_count, 1);
        assert_int_equal(one->held[0], 4);
        script_tear_down(&again);
    }
}

static void a_refusal_of_a_living_broker_proves_nothing(void **state)
{
    script_t *s = *state;
    stand_by(s);
    s->refusing[1] = true;
    script_pass(s, 5 * LEASE_MS, 10);
    assert_false(coordinator_holds_term(s->c));
    assert_int_equal(s->calls[COORDINATOR_PROBE], 0);
}

static void test_nt_04_silence_without_a_refusal_takes_a_lease(void **state)
{
    script_t *s = *state;
    stand_by(s);
    s->silent[1] = true;
    script_pass(s, LEASE_MS - 300, 10);
    assert_false(coordinator_holds_term(s->c));
    assert_in_range(s->calls[COORDINATOR_PROBE], 5, 15);
    script_pass(s, 600, 10);
    assert_true(coordinator_holds_term(s->c));
}

/* It froze for a while; its endpoint was refused by something between. */
static void a_broker_that_renews_again_is_not_dead(void **state)
{
    script_t *s = *state;
    script_add_broker(s, third);
    script_set_lane(s, 1, third, 2);
    script_pass(s, 1000, 10);
    s->fail[COORDINATOR_REMOVE_BROKER] = FABRIC_ERROR_STORE_BUSY;
    s->silent[1] = s->refusing[1] = true;
    script_pass(s, 600, 10);
    assert_true(s->calls[COORDINATOR_REMOVE_BROKER] > 0);
    s->silent[1] = false;
    script_pass(s, 200, 10);
    s->fail[COORDINATOR_REMOVE_BROKER] = FABRIC_OK;
    script_pass(s, LEASE_MS, 10);
    assert_int_equal(s->broker_count, 2);
    assert_int_equal(s->assigned[1], 0);
}

static void readings_are_close_while_a_member_is_silent(void **state)
{
    script_t *s = *state;
    stand_by(s);
    uint32_t before = s->calls[COORDINATOR_LIST_BROKERS];
    script_pass(s, 1500, 10);
    assert_in_range(s->calls[COORDINATOR_LIST_BROKERS] - before, 9, 11);
    s->silent[1] = true;
    script_pass(s, 300, 10);
    before = s->calls[COORDINATOR_LIST_BROKERS];
    script_pass(s, 1500, 10);
    assert_in_range(s->calls[COORDINATOR_LIST_BROKERS] - before, 13, 16);
}

/* Probes that take their whole time must not keep this broker from its own lease. */
static void slow_probes_leave_time_for_the_rest(void **state)
{
    script_t *s = *state;
    stand_by(s);
    script_add_broker(s, third);
    script_add_broker(s, (incarnation_t){{4}});
    script_pass(s, 500, 10);
    s->silent[1] = s->silent[2] = s->silent[3] = true;
    uint64_t end_ms = s->now_ms + LEASE_MS - 1000;
    uint32_t readings = s->calls[COORDINATOR_LIST_BROKERS];
    coordinator_call_t call;
    while (s->now_ms < end_ms) {
        s->now_ms += 1;
        if (coordinator_next_call(s->c, s->now_ms, &call)) {
            s->now_ms += call.kind == COORDINATOR_PROBE ? 100 : 1;
            script_answer(s, &call);
            script_take_effects(s);
            assert_true(s->lease_ms > s->now_ms + LEASE_MS - 400);
        }
    }
    assert_true(s->calls[COORDINATOR_LIST_BROKERS] > readings + 7);
    assert_true(s->calls[COORDINATOR_PROBE] >= 6);
}

/* ---- marks of ids ---- */

static void high_id(script_t *s, uint64_t id)
{
    router_order_t order = {.kind = ROUTER_HIGH_ID, .high_id = id};
    coordinator_order(s->c, &order, s->now_ms);
}

static void ids_are_reserved_ahead(void **state)
{
    static const uint64_t ahead = (uint64_t)10000 << 22;
    script_t *s = *state;
    script_pump(s);
    assert_int_equal(s->lease_mark, HIGH_ID + ahead);
    assert_int_equal(s->id_mark, HIGH_ID + ahead);
    high_id(s, 2 * ahead / 3);
    script_pump(s);
    assert_int_equal(s->lease_mark, HIGH_ID + ahead); /* with the next renewal only */
    s->fail[COORDINATOR_RENEW] = FABRIC_ERROR_STORE_UNAVAILABLE;
    script_pass(s, 300, 10);
    assert_int_equal(s->lease_mark, HIGH_ID + ahead); /* what is not stored is not reserved */
    s->fail[COORDINATOR_RENEW] = FABRIC_OK;
    script_pass(s, 300, 10);
    assert_int_equal(s->lease_mark, 2 * ahead / 3 + ahead);
    assert_int_equal(s->id_mark, s->lease_mark);
    high_id(s, 5); /* never back */
    script_pass(s, 300, 10);
    assert_int_equal(s->lease_mark, 2 * ahead / 3 + ahead);
}

/* A lane that was adopted may have ids far above: the router waits for the mark. */
static void ids_that_reach_the_mark_renew_at_once(void **state)
{
    script_t *s = *state;
    script_pump(s);
    uint64_t reached = s->lease_mark;
    high_id(s, reached);
    script_pump(s);
    assert_int_equal(s->lease_mark, reached + ((uint64_t)10000 << 22));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_living_holder_keeps_its_lanes),
        TEST(a_silent_member_is_removed_before_its_lanes_are_taken),
        TEST(a_member_that_left_leaves_its_lanes),
        TEST(a_holder_that_has_just_joined_is_not_taken_for_a_dead_one),
        TEST(a_busy_lane_delays_no_other),
        TEST(the_store_is_away_and_no_lane_is_tried),
        TEST(a_lost_race_for_a_lane_is_read_again),
        TEST(a_race_that_is_always_lost_leaves_time),
        TEST(a_lost_answer_of_an_assignment_is_found_out),
        TEST(an_assignment_under_an_old_term_ends_everything),
        TEST(a_lane_that_is_lost_is_dropped_and_others_go_on),
        TEST(a_renewal_without_the_lanes_renews_nothing),
        TEST(only_shards_of_own_lanes_get_runners),
        TEST(a_lane_under_a_new_epoch_is_placed_anew),
        TEST(ready_when_all_own_lanes_are_adopted),
        TEST(a_damaged_lane_delays_no_readiness),
        TEST(adoption_under_an_old_epoch_does_not_count),
        TEST(a_dead_holder_is_replaced_within_half_a_second),
        TEST(a_refusal_of_a_living_broker_proves_nothing),
        TEST(test_nt_04_silence_without_a_refusal_takes_a_lease),
        TEST(a_broker_that_renews_again_is_not_dead),
        TEST(readings_are_close_while_a_member_is_silent),
        TEST(slow_probes_leave_time_for_the_rest),
        TEST(ids_are_reserved_ahead),
        TEST(ids_that_reach_the_mark_renew_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
