/* The coordinator's core with scripted store answers: which broker is to hold which lane, and which
 * lanes move while their holders live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/coordinator_script.h"

#define SETTLED_MS 2000 /* members are the same for that long before lanes are evened out */

static const incarnation_t nobody = {{0}};

/* The broker that is to hold the lane next, by the map; none: the lane stays. */
static incarnation_t next_of(const script_t *s, uint32_t lane)
{
    const map_lane_t *entry = shard_map_lane(s->map, lane);
    assert_non_null(entry);
    return entry->next;
}

/* How many lanes are to move. *lane: the last of them. */
static uint32_t count_moves(const script_t *s, uint32_t *lane)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < LANES; i++) {
        if (!incarnation_is_none(next_of(s, i))) {
            count++;
            *lane = i;
        }
    }
    return count;
}

/* The lane's holder gives it up. */
static void give_up(script_t *s, uint32_t lane)
{
    script_set_lane(s, lane, nobody, s->lanes[lane].epoch);
}

/* This broker holds the term and all lanes, and another one joins. */
static void join_as_second(script_t *s)
{
    script_pass(s, SETTLED_MS, 50);
    assert_int_equal(script_held(s), LANES);
    script_add_broker(s, third);
    script_pass(s, 300, 50);
}

/* ---- vacant lanes ---- */

static void vacant_lanes_are_spread_over_all_brokers_at_once(void **state)
{
    script_t *s = *state;
    script_add_broker(s, other);
    script_add_broker(s, third);
    script_pump(s); /* no time passes */
    assert_int_equal(script_count_lanes(s, nobody), 0);
    assert_int_equal(script_held(s) + script_count_lanes(s, other) + script_count_lanes(s, third),
                     LANES);
    assert_in_range(script_held(s), LANES / 3, LANES / 3 + 1);
    assert_in_range(script_count_lanes(s, other), LANES / 3, LANES / 3 + 1);
    assert_int_equal(s->ready, 1); /* with what the coordinator gave it */
}

static void lanes_of_a_dead_broker_go_to_all_that_live(void **state)
{
    script_t *s = *state;
    script_add_broker(s, other);
    script_add_broker(s, third);
    script_set_lane(s, 0, self, 1);
    script_set_lane(s, 1, third, 1);
    script_set_lane(s, 2, other, 1);
    script_set_lane(s, 3, other, 1);
    script_pass(s, 500, 50);
    s->silent[1] = s->refusing[1] = true;
    script_pass(s, 800, 10);
    assert_int_equal(script_count_lanes(s, other), 0);
    assert_int_equal(script_held(s), 2);
    assert_int_equal(script_count_lanes(s, third), 2);
    assert_int_equal(s->lanes[0].epoch + s->lanes[1].epoch, 2); /* nobody else's lane moves */
}

/* ---- lanes whose holders live ---- */

static void lanes_are_evened_out_when_the_members_are_settled(void **state)
{
    script_t *s = *state;
    uint32_t lane = 0;
    join_as_second(s);
    script_pass(s, SETTLED_MS - 500, 50);
    assert_int_equal(count_moves(s, &lane), 0);
    script_pass(s, 500, 50);
    assert_int_equal(count_moves(s, &lane), 1); /* one after the other */
    assert_true(incarnation_equal(next_of(s, lane), third));
    assert_true(incarnation_equal(s->lanes[lane].holder, self));
    give_up(s, lane);
    script_pass(s, 60, 5);
    assert_true(incarnation_equal(s->lanes[lane].holder, third)); /* soon */
    assert_int_equal(s->lanes[lane].epoch, 2);
    uint32_t second = 0;
    assert_int_equal(count_moves(s, &second), 1);
    assert_int_not_equal(second, lane);
    give_up(s, second);
    script_pass(s, 1000, 50);
    assert_int_equal(count_moves(s, &lane), 0);
    assert_int_equal(script_count_lanes(s, self), 2);
    assert_int_equal(script_count_lanes(s, third), 2);
}

static void no_lane_moves_while_members_come_and_go(void **state)
{
    script_t *s = *state;
    uint32_t lane = 0;
    join_as_second(s);
    script_pass(s, SETTLED_MS - 500, 50);
    script_add_broker(s, other);
    script_pass(s, SETTLED_MS - 200, 50);
    assert_int_equal(count_moves(s, &lane), 0);
    script_pass(s, 500, 50);
    assert_int_equal(count_moves(s, &lane), 1);
}

static void an_even_share_moves_nothing(void **state)
{
    script_t *s = *state;
    uint32_t lane = 0;
    script_add_broker(s, third);
    script_set_lane(s, 0, third, 1);
    script_set_lane(s, 1, self, 1);
    script_set_lane(s, 2, third, 1);
    script_set_lane(s, 3, self, 1);
    script_pass(s, 2 * SETTLED_MS, 50);
    assert_int_equal(count_moves(s, &lane), 0);
    for (uint32_t i = 0; i < LANES; i++) {
        assert_int_equal(s->lanes[i].epoch, 1);
    }
}

static void every_broker_gives_up_one_lane_at_a_time(void **state)
{
    script_t *s = *state;
    uint32_t lane = 0;
    script_add_broker(s, third);
    script_set_lane(s, 0, third, 1);
    script_set_lane(s, 1, self, 1);
    script_set_lane(s, 2, third, 1);
    script_set_lane(s, 3, self, 1);
    script_pass(s, 500, 50);
    script_add_broker(s, other);
    script_say_draining(s, third);
    script_say_draining(s, self);
    script_pass(s, 300, 50);
    assert_int_equal(count_moves(s, &lane), 2);
    assert_true(incarnation_is_none(next_of(s, 0)) != incarnation_is_none(next_of(s, 2)));
    assert_true(incarnation_is_none(next_of(s, 1)) != incarnation_is_none(next_of(s, 3)));
}

/* The readings of the term and of the members go on meanwhile. */
static void lanes_are_read_often_while_one_is_to_move(void **state)
{
    script_t *s = *state;
    join_as_second(s);
    uint32_t before = s->calls[COORDINATOR_LIST_LANES];
    script_pass(s, SETTLED_MS / 2, 5);
    assert_int_equal(s->calls[COORDINATOR_LIST_LANES], before);
    script_pass(s, SETTLED_MS, 5);
    before = s->calls[COORDINATOR_LIST_LANES];
    uint32_t terms = s->calls[COORDINATOR_READ_TERM];
    script_pass(s, 1000, 5);
    assert_in_range(s->calls[COORDINATOR_LIST_LANES] - before, 20, 60);
    assert_in_range(s->calls[COORDINATOR_READ_TERM] - terms, 4, 10);
}

/* ---- brokers that drain ---- */

static void a_broker_that_drains_gives_its_lanes_to_others_at_once(void **state)
{
    script_t *s = *state;
    uint32_t lane = 0;
    script_add_broker(s, third);
    script_pass(s, 200, 10);
    assert_int_equal(script_count_lanes(s, third), 2);
    script_say_draining(s, third);
    script_pass(s, 50, 10);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(count_moves(s, &lane), 1);
        assert_true(incarnation_equal(s->lanes[lane].holder, third));
        assert_true(incarnation_equal(next_of(s, lane), self));
        give_up(s, lane);
        script_pass(s, 60, 5);
    }
    assert_int_equal(script_held(s), LANES);
    assert_int_equal(s->without_heir, 0);
    script_pass(s, 2 * SETTLED_MS, 50);
    assert_int_equal(count_moves(s, &lane), 0); /* nothing goes back */
}

/* A broker says it after each welcome. */
static void a_broker_that_says_so_often_does_not_hide_another(void **state)
{
    script_t *s = *state;
    uint32_t lane = 0;
    join_as_second(s);
    script_add_broker(s, other);
    script_say_draining(s, third);
    for (int i = 0; i < LIMIT_BROKERS_MAX; i++) {
        script_say_draining(s, other);
    }
    script_pass(s, 2 * SETTLED_MS, 50);
    assert_int_equal(count_moves(s, &lane), 0); /* all lanes are with the only one that stays */
    assert_int_equal(script_count_lanes(s, self), LANES);
}

static void the_holder_of_the_term_drains_too(void **state)
{
    script_t *s = *state;
    uint32_t lane = 0;
    join_as_second(s);
    script_say_draining(s, self);
    script_pass(s, 50, 10);
    assert_int_equal(s->without_heir, 0);
    for (uint32_t i = 0; i < LANES; i++) {
        assert_int_equal(count_moves(s, &lane), 1);
        give_up(s, lane);
        script_pass(s, 60, 5);
    }
    assert_int_equal(script_count_lanes(s, third), LANES);
    assert_true(coordinator_holds_term(s->c));
}

static void the_only_broker_has_no_heir(void **state)
{
    script_t *s = *state;
    script_pass(s, 200, 10);
    script_say_draining(s, self);
    assert_int_equal(s->without_heir, 0);
    script_pass(s, 500, 10);
    assert_int_equal(s->without_heir, 1);
    assert_int_equal(script_held(s), LANES);
}

/* The store knows of it already. */
static void a_broker_that_has_just_joined_is_an_heir(void **state)
{
    script_t *s = *state;
    script_pass(s, 200, 10);
    script_add_broker(s, third);
    script_say_draining(s, self);
    script_pass(s, 500, 10);
    assert_int_equal(s->without_heir, 0);
}

static void who_cannot_read_the_store_has_no_heir_after_a_lease(void **state)
{
    script_t *s = *state;
    script_pass(s, 200, 10);
    s->fail[COORDINATOR_LIST_BROKERS] = FABRIC_ERROR_PERSISTENCE;
    script_say_draining(s, self);
    script_pass(s, 500, 10);
    assert_int_equal(s->without_heir, 0);
    script_pass(s, LEASE_MS, 10);
    assert_int_equal(s->without_heir, 1);
}

static void brokers_that_drain_together_have_no_heir(void **state)
{
    script_t *s = *state;
    join_as_second(s);
    script_say_draining(s, self);
    script_pass(s, 50, 10);
    assert_int_equal(s->without_heir, 0);
    script_say_draining(s, third);
    assert_int_equal(s->without_heir, 1);
}

static void an_heir_that_dies_leaves_no_heir(void **state)
{
    script_t *s = *state;
    join_as_second(s);
    script_say_draining(s, self);
    script_remove_broker(s, third);
    script_pass(s, 500, 10);
    assert_int_equal(s->without_heir, 1);
    assert_int_equal(script_count_lanes(s, self), LANES);
}

/* A broker that is not the holder of the term learns from the map that it has got a lane. */
static void lanes_are_read_at_once_when_the_map_names_this_broker(void **state)
{
    script_t *s = *state;
    s->row = (store_coordinator_t){7, other};
    script_add_broker(s, other);
    script_set_lanes(s, other, 3);
    script_pass(s, 1000, 10);
    script_set_lane(s, 2, self, 4);
    script_order(s, ROUTER_LANE_NAMED, nobody, 0);
    script_pump(s); /* no time passes */
    assert_int_equal(s->held[2], 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(vacant_lanes_are_spread_over_all_brokers_at_once),
        TEST(lanes_of_a_dead_broker_go_to_all_that_live),
        TEST(lanes_are_evened_out_when_the_members_are_settled),
        TEST(no_lane_moves_while_members_come_and_go),
        TEST(an_even_share_moves_nothing),
        TEST(every_broker_gives_up_one_lane_at_a_time),
        TEST(lanes_are_read_often_while_one_is_to_move),
        TEST(a_broker_that_drains_gives_its_lanes_to_others_at_once),
        TEST(a_broker_that_says_so_often_does_not_hide_another),
        TEST(the_holder_of_the_term_drains_too),
        TEST(the_only_broker_has_no_heir),
        TEST(a_broker_that_has_just_joined_is_an_heir),
        TEST(who_cannot_read_the_store_has_no_heir_after_a_lease),
        TEST(brokers_that_drain_together_have_no_heir),
        TEST(an_heir_that_dies_leaves_no_heir),
        TEST(lanes_are_read_at_once_when_the_map_names_this_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
