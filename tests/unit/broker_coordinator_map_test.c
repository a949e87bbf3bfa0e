/* The coordinator's core with scripted store answers: the map of the broker that holds the term, at
 * the brokers that do not, and what these tell of owners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/limits.h"
#include "tests/unit/coordinator_script.h"

enum { TERM = 7, EPOCH = 3 };

static const incarnation_t nobody = {{0}};
static const brought_t counter = {"Counter", "default", true};

/* ---- the broker that holds the term ---- */

/* Its map: `other` is home of all lanes, and runner_b owns all shards. */
static shard_map_t *holder_new(void)
{
    shard_map_t *map = shard_map_new();
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    map_broker_t brokers[2] = {
        {.incarnation = self, .router_endpoint = "tcp://127.0.0.1:1"},
        {.incarnation = other, .router_endpoint = "tcp://127.0.0.1:2"},
    };
    shard_map_set_shards_per_group(map, SHARDS);
    shard_map_set_lanes(map, LANES);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of(counter.group)), FABRIC_OK);
    assert_int_equal(shard_map_add_type(map, type, 1), FABRIC_OK);
    shard_map_set_brokers(map, brokers, 2);
    for (uint32_t i = 0; i < LANES; i++) {
        map_lane_t lane = {.number = i, .home = other, .epoch = EPOCH};
        shard_map_set_lane(map, &lane);
    }
    for (uint16_t n = 1; n <= SHARDS; n++) {
        assert_int_equal(shard_map_set_owner(map, type, shard_id_make(1, n), runner_b, 0),
                         FABRIC_OK);
    }
    shard_map_begin_term(map, TERM);
    return map;
}

static void holder_set_lane(shard_map_t *map, uint32_t number, incarnation_t home, uint64_t epoch)
{
    map_lane_t lane = {.number = number, .home = home, .epoch = epoch};
    shard_map_set_lane(map, &lane);
}

static fabric_error_t receive(script_t *s, fabric_bytes_t encoded)
{
    fabric_error_t error = coordinator_map_received(s->c, encoded, s->now_ms);
    script_take_effects(s);
    return error;
}

/* Publishes what has changed; this broker gets it unless it is lost. */
static void publish(script_t *s, shard_map_t *map, bool lost)
{
    wire_writer_t delta = {0};
    shard_map_encode_delta(map, &delta);
    if (!lost) {
        assert_int_equal(receive(s, wire_writer_bytes(&delta)), FABRIC_OK);
    }
    wire_writer_destroy(&delta);
}

static void send_snapshot(script_t *s, const shard_map_t *map)
{
    wire_writer_t snapshot = {0};
    shard_map_encode_snapshot(map, &snapshot);
    assert_int_equal(receive(s, wire_writer_bytes(&snapshot)), FABRIC_OK);
    wire_writer_destroy(&snapshot);
}

/* A cluster in which `other` holds the term and all lanes, and this broker none. */
static void stand_by(script_t *s)
{
    s->row = (store_coordinator_t){TERM, other};
    script_add_broker(s, other);
    script_set_lanes(s, other, EPOCH);
    script_add_group(s, counter.group);
    script_add_type(s, &counter);
    script_pass(s, 1000, 10);
    assert_false(coordinator_holds_term(s->c));
}

/* This broker, which does not hold the term, holds lane 1. */
static void hold_lane_1(script_t *s)
{
    script_set_lane(s, 1, self, EPOCH + 1);
    script_pass(s, 300, 10);
    assert_int_equal(s->held[1], EPOCH + 1);
}

/* The router gave shard 1, which is in lane 1, an owner. */
static void own(script_t *s, incarnation_t runner, uint64_t sequence)
{
    router_order_t order = {.kind = ROUTER_OWNER_CHANGED,
                            .runner = runner,
                            .name = "Counter",
                            .shard = shard_id_make(1, 1),
                            .token = {EPOCH + 1, sequence}};
    coordinator_order(s->c, &order, s->now_ms);
    script_pass(s, 100, 10);
}

static bool owns(const script_t *s, uint16_t number, incarnation_t runner)
{
    return incarnation_equal(script_owner(s, shard_id_make(1, number)), runner);
}

/* ---- maps ---- */

static void a_standby_publishes_the_maps_of_the_holder(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    stand_by(s);
    assert_int_equal(s->maps, 0); /* what it has composed itself is for its router alone */
    assert_int_equal(s->version.term, 0);
    publish(s, holder, false);
    assert_int_equal(s->maps, 1);
    assert_int_equal(s->version.term, TERM);
    assert_int_equal(s->version.sequence, shard_map_version(holder).sequence);
    assert_true(owns(s, 5, runner_b));
    holder_set_lane(holder, 2, third, EPOCH + 1);
    publish(s, holder, false);
    assert_int_equal(s->maps, 2);
    assert_int_equal(s->version.sequence, shard_map_version(holder).sequence);
    assert_true(incarnation_equal(shard_map_lane(s->map, 2)->home, third));
    send_snapshot(s, holder); /* nothing new for subscribers, whose map has this version */
    assert_int_equal(s->version.sequence, shard_map_version(holder).sequence);
    shard_map_destroy(&holder);
}

static void maps_of_a_holder_that_is_deposed_are_ignored(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    stand_by(s);
    s->row.term = TERM + 1; /* of the same broker, or of one that this broker cannot reach */
    script_pass(s, 500, 10);
    publish(s, holder, false);
    assert_int_equal(s->maps, 0);
    shard_map_begin_term(holder, TERM + 2); /* which this broker has not read yet */
    publish(s, holder, false);
    assert_int_equal(s->maps, 1);
    shard_map_destroy(&holder);
}

static void a_gap_makes_a_standby_ask_the_holder(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    stand_by(s);
    publish(s, holder, false);
    map_version_t held = s->version;
    holder_set_lane(holder, 2, third, EPOCH + 1);
    publish(s, holder, true);
    holder_set_lane(holder, 2, third, EPOCH + 2);
    publish(s, holder, false);
    assert_int_equal(s->wanted, 1);
    assert_true(incarnation_equal(s->asked, other));
    assert_int_equal(s->version.sequence, held.sequence);
    assert_int_equal(s->maps, 1);
    send_snapshot(s, holder);
    assert_int_equal(s->maps, 2);
    assert_int_equal(shard_map_lane(s->map, 2)->epoch, EPOCH + 2);
    shard_map_destroy(&holder);
}

static void a_malformed_map_is_refused_as_a_whole(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    wire_writer_t encoded = {0};
    stand_by(s);
    publish(s, holder, false);
    holder_set_lane(holder, 2, third, EPOCH + 1);
    shard_map_encode_delta(holder, &encoded);
    fabric_bytes_t cut = fabric_bytes(encoded.data, encoded.size - 1);
    assert_int_equal(receive(s, cut), FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(receive(s, fabric_bytes_of("no map")), FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(s->maps, 1);
    assert_int_equal(s->wanted, 0);
    assert_int_equal(receive(s, wire_writer_bytes(&encoded)), FABRIC_OK); /* it had no effect */
    assert_int_equal(s->maps, 2);
    wire_writer_destroy(&encoded);
    shard_map_destroy(&holder);
}

static void the_holder_takes_no_map(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    script_add_group(s, counter.group);
    script_pass(s, 300, 10);
    assert_true(coordinator_holds_term(s->c));
    uint32_t maps = s->maps;
    publish(s, holder, false);
    assert_int_equal(s->maps, maps);
    assert_int_equal(s->version.term, 1);
    shard_map_destroy(&holder);
}

static void the_store_knows_lanes_better_under_a_larger_epoch(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    stand_by(s);
    publish(s, holder, false);
    uint32_t revisions = s->revisions;
    script_set_lane(s, 2, third, EPOCH + 1);
    script_set_lane(s, 3, nobody, EPOCH); /* given up */
    script_pass(s, 300, 10);
    assert_int_equal(s->revisions, revisions + 1);
    assert_int_equal(s->maps, 1);
    assert_int_equal(s->version.sequence, shard_map_version(holder).sequence);
    /* A map of a holder that has not read these lanes yet has others of its own. */
    holder_set_lane(holder, 0, third, EPOCH + 4);
    publish(s, holder, false);
    script_pass(s, 300, 10);
    assert_int_equal(shard_map_lane(s->map, 0)->epoch, EPOCH + 4);
    assert_true(incarnation_equal(shard_map_lane(s->map, 2)->home, third));
    assert_true(incarnation_is_none(shard_map_lane(s->map, 3)->home));
    revisions = s->revisions;
    script_pass(s, 1000, 10);
    assert_int_equal(s->revisions, revisions); /* nothing is new */
    shard_map_destroy(&holder);
}

/* ---- owners ---- */

static void owners_are_told_to_the_holder(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    stand_by(s);
    publish(s, holder, false);
    hold_lane_1(s);
    own(s, runner_a, 1);
    assert_true(incarnation_equal(s->asked, other));
    holder_set_lane(holder, 1, self, EPOCH + 1);
    assert_int_equal(shard_map_take_owners(holder, self, wire_writer_bytes(&s->owners)), FABRIC_OK);
    publish(s, holder, false);
    script_pass(s, 100, 10);
    assert_true(owns(s, 1, runner_a));
    assert_true(owns(s, 2, runner_b)); /* of the other home */
    uint32_t told = s->told_owners;
    holder_set_lane(holder, 0, third, EPOCH + 1);
    publish(s, holder, false); /* the map has this broker's owners */
    script_pass(s, 1000, 10);
    assert_int_equal(s->told_owners, told);
    shard_map_destroy(&holder);
}

static void join(script_t *s, incarnation_t runner)
{
    script_admit(s, runner, &counter, 1);
    script_pump(s);
    assert_int_equal(s->admission, FABRIC_OK);
    script_order(s, ROUTER_RUNNER_JOINED, runner, 100);
}

/* The lane's former home had shared its shards out evenly, though not as this broker would have. */
static void a_new_home_begins_with_the_owners_of_the_map(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    for (uint16_t n = 1; n <= SHARDS; n++) {
        incarnation_t owner = n / LANES % 2 == 0 ? runner_b : runner_a;
        assert_int_equal(shard_map_set_owner(holder, type, shard_id_make(1, n), owner, 0),
                         FABRIC_OK);
    }
    stand_by(s);
    publish(s, holder, false);
    join(s, runner_a);
    join(s, runner_b);
    assert_int_equal(s->desires, 0); /* this broker has no lane yet */
    hold_lane_1(s);
    assert_int_equal(s->desires, SHARDS / LANES);
    for (uint16_t n = 1; n <= SHARDS; n += LANES) {
        incarnation_t owner = shard_map_owner(holder, type, shard_id_make(1, n));
        assert_true(incarnation_equal(*script_desired(s, counter.name, n), owner));
    }
    shard_map_destroy(&holder);
}

/* An owner that is gone together with the lane's former holder: its shards get no older
 * application, but not the newest one either where others will do. */
static void a_new_home_knows_the_version_of_an_owner_that_is_gone(void **state)
{
    static const incarnation_t same = {{0xc}};
    static const incarnation_t newest = {{0xd}};
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    for (uint16_t n = 1; n <= SHARDS; n++) {
        assert_int_equal(shard_map_set_owner(holder, type, shard_id_make(1, n), runner_b, 6),
                         FABRIC_OK);
    }
    stand_by(s);
    publish(s, holder, false);
    s->app_version = 5;
    join(s, runner_a);
    s->app_version = 6;
    join(s, same);
    s->app_version = 7;
    join(s, newest);
    holder_set_lane(holder, 1, self, EPOCH + 1);
    publish(s, holder, false); /* without the owners of the lane's shards */
    hold_lane_1(s);
    assert_int_equal(script_owned(s, counter.name, runner_a), 0);
    assert_in_range(script_owned(s, counter.name, same), 1, SHARDS / LANES - 1);
    assert_in_range(script_owned(s, counter.name, newest), 1, SHARDS / LANES - 1);
    shard_map_destroy(&holder);
}

/* This broker's owners carry the versions of its runners to the holder of the term. */
static void versions_are_told_with_the_owners(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    stand_by(s);
    publish(s, holder, false);
    hold_lane_1(s);
    s->app_version = 9;
    join(s, runner_a);
    own(s, runner_a, 1);
    holder_set_lane(holder, 1, self, EPOCH + 1);
    assert_int_equal(shard_map_take_owners(holder, self, wire_writer_bytes(&s->owners)), FABRIC_OK);
    assert_int_equal(shard_map_last_version(holder, type, shard_id_make(1, 1)), 9);
    shard_map_destroy(&holder);
}

/* What was told may be lost, or come to a broker that does not hold the term yet. */
static void owners_are_told_again_where_the_map_has_others(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    stand_by(s);
    publish(s, holder, false);
    hold_lane_1(s);
    own(s, runner_a, 1); /* lost */
    holder_set_lane(holder, 1, self, EPOCH + 1);
    uint32_t told = s->told_owners;
    publish(s, holder, false); /* nobody owns the shards of the lane */
    script_pass(s, 100, 10);
    assert_int_equal(s->told_owners, told + 1); /* lost again, with the connection */
    script_pass(s, 1000, 10);
    assert_int_equal(s->told_owners, told + 1);
    send_snapshot(s, holder); /* the version that this broker has, on the new connection */
    script_pass(s, 100, 10);
    assert_int_equal(s->told_owners, told + 2);
    assert_int_equal(shard_map_take_owners(holder, self, wire_writer_bytes(&s->owners)), FABRIC_OK);
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    incarnation_t owner = shard_map_owner(holder, type, shard_id_make(1, 1));
    assert_true(incarnation_equal(owner, runner_a));
    shard_map_destroy(&holder);
}

static void reach(script_t *s, incarnation_t broker)
{
    router_order_t order = {.kind = ROUTER_BROKER_REACHED, .broker = broker};
    coordinator_order(s->c, &order, s->now_ms);
    script_pass(s, 100, 10);
}

/* What is told while no connection stands is lost. The whole map that comes with the connection
 * need not show it: a published delta may have overtaken that map. */
static void a_holder_that_is_reached_is_told_all_owners_again(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    stand_by(s);
    publish(s, holder, false);
    hold_lane_1(s);
    holder_set_lane(holder, 1, self, EPOCH + 1);
    publish(s, holder, false);
    own(s, runner_a, 1); /* lost */
    uint32_t told = s->told_owners;
    reach(s, third);
    assert_int_equal(s->told_owners, told); /* that one does not hold the term */
    reach(s, other);
    assert_int_equal(s->told_owners, told + 1);
    assert_true(incarnation_equal(s->asked, other));
    assert_int_equal(shard_map_take_owners(holder, self, wire_writer_bytes(&s->owners)), FABRIC_OK);
    assert_true(incarnation_equal(shard_map_owner(holder, type, shard_id_make(1, 1)), runner_a));
    own(s, nobody, 2); /* lost, too */
    reach(s, other);
    assert_int_equal(shard_map_take_owners(holder, self, wire_writer_bytes(&s->owners)), FABRIC_OK);
    assert_true(incarnation_is_none(shard_map_owner(holder, type, shard_id_make(1, 1))));
    assert_true(incarnation_equal(shard_map_owner(holder, type, shard_id_make(1, 2)), runner_b));
    shard_map_destroy(&holder);
}

/* Its map may have come before this broker knew whom to tell. */
static void a_new_holder_is_told_all_owners(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    stand_by(s);
    script_add_broker(s, third);
    publish(s, holder, false);
    hold_lane_1(s);
    holder_set_lane(holder, 1, self, EPOCH + 1);
    own(s, runner_a, 1);
    shard_map_begin_term(holder, TERM + 1);
    publish(s, holder, false);
    script_pass(s, 100, 10);
    assert_true(incarnation_equal(s->asked, other));
    wire_writer_reset(&s->owners);
    s->row = (store_coordinator_t){TERM + 1, third};
    script_pass(s, 500, 10);
    assert_true(incarnation_equal(s->asked, third));
    assert_int_equal(shard_map_take_owners(holder, self, wire_writer_bytes(&s->owners)), FABRIC_OK);
    assert_true(incarnation_equal(shard_map_owner(holder, type, shard_id_make(1, 1)), runner_a));
    shard_map_destroy(&holder);
}

/* This broker holds the term and lanes 0 and 1, `other` holds 2 and 3. */
static void hold_term(script_t *s)
{
    script_add_broker(s, other);
    script_set_lane(s, 2, other, EPOCH);
    script_set_lane(s, 3, other, EPOCH);
    script_add_group(s, counter.group);
    script_add_type(s, &counter);
    script_pass(s, 1000, 10);
    assert_true(coordinator_holds_term(s->c));
}

static void the_holder_publishes_the_owners_that_a_home_tells(void **state)
{
    script_t *s = *state;
    shard_map_t *home = holder_new(); /* in which runner_b owns all shards */
    wire_writer_t told = {0};
    hold_term(s);
    shard_map_encode_owners(home, &told); /* a term has begun: nothing is new */
    assert_int_equal(coordinator_owners(s->c, other, wire_writer_bytes(&told), s->now_ms),
                     FABRIC_OK);
    script_pass(s, 100, 10);
    assert_true(owns(s, 2, nobody));
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    for (uint16_t n = 1; n <= SHARDS; n++) {
        assert_int_equal(shard_map_set_owner(home, type, shard_id_make(1, n), runner_a, 0),
                         FABRIC_OK);
    }
    wire_writer_reset(&told);
    shard_map_encode_owners(home, &told);
    uint32_t maps = s->maps;
    fabric_bytes_t cut = fabric_bytes(told.data, told.size - 1);
    assert_int_equal(coordinator_owners(s->c, other, cut, s->now_ms),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    script_pass(s, 100, 10);
    assert_int_equal(s->maps, maps);
    assert_int_equal(coordinator_owners(s->c, other, wire_writer_bytes(&told), s->now_ms),
                     FABRIC_OK);
    script_pass(s, 100, 10);
    assert_int_equal(s->maps, maps + 1);
    assert_true(owns(s, 2, runner_a));
    assert_true(owns(s, 3, runner_a));
    assert_true(owns(s, 1, nobody)); /* of lanes that the broker does not hold */
    assert_true(owns(s, 4, nobody));
    script_set_lane(s, 2, third, EPOCH + 1); /* whose owners are not known yet */
    script_pass(s, 300, 10);
    assert_true(owns(s, 2, nobody));
    assert_true(owns(s, 3, runner_a));
    wire_writer_destroy(&told);
    shard_map_destroy(&home);
}

static void only_the_holder_takes_owners(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    wire_writer_t told = {0};
    stand_by(s);
    publish(s, holder, false);
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    assert_int_equal(shard_map_set_owner(holder, type, shard_id_make(1, 2), runner_a, 0),
                     FABRIC_OK);
    shard_map_encode_owners(holder, &told);
    assert_int_equal(coordinator_owners(s->c, other, wire_writer_bytes(&told), s->now_ms),
                     FABRIC_OK);
    script_pass(s, 100, 10);
    assert_int_equal(s->told_owners, 0); /* it passes nothing on */
    wire_writer_destroy(&told);
    shard_map_destroy(&holder);
}

/* The next holder knows the owners of all living homes at once. */
static void a_term_begins_with_what_the_last_map_said(void **state)
{
    script_t *s = *state;
    shard_map_t *holder = holder_new();
    stand_by(s);
    script_add_broker(s, third);
    script_set_lane(s, 3, third, EPOCH + 1);
    holder_set_lane(holder, 3, third, EPOCH + 1);
    fabric_bytes_t type = fabric_bytes_of(counter.name);
    assert_int_equal(shard_map_set_owner(holder, type, shard_id_make(1, 3), runner_a, 0),
                     FABRIC_OK);
    publish(s, holder, false);
    script_remove_broker(s, other);
    script_pass(s, 1000, 10);
    assert_true(coordinator_holds_term(s->c));
    assert_int_equal(s->version.term, TERM + 1);
    assert_true(owns(s, 3, runner_a));
    assert_true(owns(s, 2, nobody)); /* its lane has another home now */
    incarnation_t home = shard_map_lane(s->map, 2)->home;
    assert_true(incarnation_equal(home, self) || incarnation_equal(home, third));
    shard_map_destroy(&holder);
}

/* ---- bounds ---- */

/* So many types of so large groups that their owners would not fit into a map. */
static void a_type_too_many_is_refused(void **state)
{
    enum { TYPES_MAX = LIMIT_OWNERSHIPS_MAX / LIMIT_SHARDS_PER_GROUP_MAX };
    script_t *s = *state;
    char names[TYPES_MAX + 1][16];
    script_begin_with(s, LIMIT_SHARDS_PER_GROUP_MAX);
    script_add_group(s, counter.group);
    script_pump(s);
    for (int i = 0; i <= TYPES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "T%d", i);
        brought_t type = {names[i], counter.group, true};
        script_admit(s, runner_a, &type, 1);
        script_pump(s);
        assert_int_equal(s->admission, i < TYPES_MAX ? FABRIC_OK : FABRIC_ERROR_LIMIT_EXCEEDED);
    }
    assert_int_equal(s->type_count, TYPES_MAX);
    assert_string_equal(s->text, "entity type T32: the cluster has 32 types already");
    script_pass(s, 100, 10);
    assert_int_equal(shard_map_type_count(s->map), TYPES_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, script_set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_standby_publishes_the_maps_of_the_holder),
        TEST(maps_of_a_holder_that_is_deposed_are_ignored),
        TEST(a_gap_makes_a_standby_ask_the_holder),
        TEST(a_malformed_map_is_refused_as_a_whole),
        TEST(the_holder_takes_no_map),
        TEST(the_store_knows_lanes_better_under_a_larger_epoch),
        TEST(owners_are_told_to_the_holder),
        TEST(a_new_home_begins_with_the_owners_of_the_map),
        TEST(a_new_home_knows_the_version_of_an_owner_that_is_gone),
        TEST(versions_are_told_with_the_owners),
        TEST(owners_are_told_again_where_the_map_has_others),
        TEST(a_holder_that_is_reached_is_told_all_owners_again),
        TEST(a_new_holder_is_told_all_owners),
        TEST(the_holder_publishes_the_owners_that_a_home_tells),
        TEST(only_the_holder_takes_owners),
        TEST(a_term_begins_with_what_the_last_map_said),
        TEST(a_type_too_many_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
