/* The shard map: groups, types, lanes, snapshots, deltas and gaps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/address.h"
#include "core/limits.h"
#include "tests/unit/map_driver.h"

static void groups_are_numbered_in_order_and_stay(void **state)
{
    (void)state;
    shard_map_t *map = shard_map_new();
    fabric_bytes_t name = fabric_bytes_of("default");
    assert_int_equal(shard_map_add_group(map, 1, name), FABRIC_ERROR_INVALID_ARGUMENT);
    shard_map_set_shards_per_group(map, SHARDS);
    assert_int_equal(shard_map_add_group(map, 2, name), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_group(map, 0, name), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_group(map, 1, name), FABRIC_OK);
    assert_int_equal(shard_map_add_group(map, 1, name), FABRIC_OK);
    assert_int_equal(shard_map_add_group(map, 2, name), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("b")),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_group(map, 2, fabric_bytes_of("")), FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(shard_map_group_count(map), 1);
    assert_int_equal(shard_map_group_number(map, name), 1);
    assert_int_equal(shard_map_group_number(map, fabric_bytes_of("Default")), 0);
    assert_true(fabric_bytes_equal(shard_map_group_name(map, 1), name));
    assert_int_equal(shard_map_group_name(map, 2).size, 0);
    for (uint16_t number = 2; number <= LIMIT_GROUPS_MAX; number++) {
        char text[16];
        snprintf(text, sizeof text, "g%u", number);
        assert_int_equal(shard_map_add_group(map, number, fabric_bytes_of(text)), FABRIC_OK);
    }
    assert_int_equal(shard_map_add_group(map, LIMIT_GROUPS_MAX + 1, fabric_bytes_of("x")),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    shard_map_destroy(&map);
    assert_null(map);
    shard_map_destroy(&map);
}

/* A coordinator that was just elected may not have read a type that its predecessor had
 * published. */
static void a_type_stays_where_a_later_map_does_not_list_it(void **state)
{
    (void)state;
    shard_map_t *map = maps_receiver();
    shard_map_t *first = maps_publisher();
    shard_map_t *second = shard_map_new();
    wire_writer_t encoded = {0};
    shard_map_encode_snapshot(first, &encoded);
    maps_assert_apply(map, &encoded, FABRIC_OK, true);

    shard_map_set_shards_per_group(second, SHARDS);
    shard_map_set_lanes(second, LANES);
    assert_int_equal(shard_map_add_group(second, 1, fabric_bytes_of("default")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(second, fabric_bytes_of("Late"), 1), FABRIC_OK);
    shard_map_begin_term(second, 6);
    wire_writer_reset(&encoded);
    shard_map_encode_snapshot(second, &encoded);
    maps_assert_apply(map, &encoded, FABRIC_OK, true);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Order")), 1);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Account")), 2);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Late")), 1);
    maps_assert_owner(map, "Order", 1, 0); /* it is a snapshot, in which the type has no owners */

    /* The types of the message are not those of the map, in their order. */
    maps_set_owner(second, "Late", 4, 9);
    wire_writer_reset(&encoded);
    shard_map_encode_delta(second, &encoded);
    maps_assert_apply(map, &encoded, FABRIC_OK, true);
    maps_assert_owner(map, "Late", 4, 9);
    maps_assert_owner(map, "Order", 4, 0);

    /* A type in another group than before is none that can be believed. */
    assert_int_equal(shard_map_add_type(second, fabric_bytes_of("Account"), 1), FABRIC_OK);
    shard_map_begin_term(second, 7);
    wire_writer_reset(&encoded);
    shard_map_encode_snapshot(second, &encoded);
    maps_assert_apply(map, &encoded, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    maps_assert_version(map, 6, 2);
    wire_writer_destroy(&encoded);
    shard_map_destroy(&second);
    shard_map_destroy(&first);
    shard_map_destroy(&map);
}

static void types_name_their_group(void **state)
{
    (void)state;
    shard_map_t *map = maps_publisher();
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("Account")), 2);
    assert_int_equal(shard_map_type_group(map, fabric_bytes_of("account")), 0);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Account"), 1),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("New"), 3),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Account"), 2), FABRIC_OK);
    assert_int_equal(shard_map_type_count(map), 2);
    assert_true(fabric_bytes_equal(shard_map_type_name(map, 1), fabric_bytes_of("Account")));
    shard_map_destroy(&map);
}

static void entities_are_located_by_their_exact_id(void **state)
{
    (void)state;
    shard_map_t *map = maps_publisher();
    fabric_bytes_t id = fabric_bytes_of("order-123");
    shard_id_t shard = shard_map_locate(map, 2, id);
    assert_int_equal(shard_id_group(shard), 2);
    assert_int_equal(shard_id_number(shard), address_shard_number(id, SHARDS));
    assert_int_equal(shard_map_locate(map, 0, id).value, 0);
    assert_int_equal(shard_map_locate(map, 3, id).value, 0);
    assert_string_equal(shard_map_broker(map, maps_incarnation(2))->router_endpoint,
                        "tcp://broker:2");
    assert_null(shard_map_broker(map, maps_incarnation(3)));
    assert_int_equal(shard_map_broker_count(map), 2);
    assert_string_equal(shard_map_broker_at(map, 0)->pub_endpoint, "ipc://pub-1");
    assert_string_equal(shard_map_broker_at(map, 1)->name, "b2");
    shard_map_destroy(&map);
}

static void a_shards_lane_is_its_number_mod_the_count_of_lanes(void **state)
{
    (void)state;
    shard_map_t *map = maps_publisher();
    shard_map_t *receiver = maps_receiver();
    wire_writer_t text = {0};
    assert_int_equal(shard_map_lane_count(map), LANES);
    assert_int_equal(shard_map_lane_of(map, shard_id_make(2, 4))->number, 1);
    assert_int_equal(shard_map_lane_of(map, shard_id_make(1, LANES))->number, 0);
    assert_null(shard_map_lane_of(map, shard_id_make(1, 0)));
    assert_null(shard_map_lane_of(map, shard_id_make(1, SHARDS + 1)));
    assert_null(shard_map_lane_of(map, shard_id_make(3, 1)));
    assert_null(shard_map_lane_of(map, (shard_id_t){0}));
    assert_null(shard_map_lane(map, LANES));
    /* A receiver learns the count. */
    assert_int_equal(shard_map_add_group(receiver, 1, fabric_bytes_of("default")), FABRIC_OK);
    assert_null(shard_map_lane_of(receiver, shard_id_make(1, 1)));
    map_lane_t lane = {1, maps_incarnation(1), maps_incarnation(2), 10};
    shard_map_set_lane(map, &lane);
    shard_map_encode_snapshot(map, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    assert_int_equal(shard_map_lane_count(receiver), LANES);
    const map_lane_t *taken = shard_map_lane_of(receiver, shard_id_make(1, 1));
    assert_true(incarnation_equal(taken->home, maps_incarnation(1)));
    assert_true(incarnation_equal(taken->next, maps_incarnation(2)));
    assert_int_equal(taken->epoch, 10);
    assert_true(incarnation_is_none(shard_map_lane(receiver, 2)->home));
    assert_int_equal(shard_map_lane(receiver, 2)->number, 2);
    wire_writer_destroy(&text);
    shard_map_destroy(&receiver);
    shard_map_destroy(&map);
}

static void owners_are_of_a_type_and_a_shard(void **state)
{
    (void)state;
    shard_map_t *map = maps_publisher();
    fabric_bytes_t order = fabric_bytes_of("Order");
    incarnation_t runner = maps_incarnation(5);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Invoice"), 1), FABRIC_OK);
    maps_assert_owner(map, "Order", 1, 7);
    maps_assert_owner(map, "Invoice", 1, 0); /* the same shard, of another type */
    assert_int_equal(
        shard_map_set_owner(map, fabric_bytes_of("None"), shard_id_make(1, 1), runner, 0),
        FABRIC_ERROR_INVALID_ARGUMENT);
    const shard_id_t wrong[] = {
        shard_id_make(2, 1), shard_id_make(1, 0), shard_id_make(1, SHARDS + 1), {0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(shard_map_set_owner(map, order, wrong[i], runner, 0),
                         FABRIC_ERROR_INVALID_ARGUMENT);
        assert_true(incarnation_is_none(shard_map_owner(map, order, wrong[i])));
    }
    shard_map_destroy(&map);
}

/* The owners have their shards from a home that is not the home any more. */
static void a_lanes_new_home_or_epoch_takes_its_owners_away(void **state)
{
    (void)state;
    shard_map_t *map = maps_publisher();
    shard_map_t *receiver = maps_receiver();
    wire_writer_t text = {0};
    maps_set_owner(map, "Order", 2, 7);
    shard_map_encode_delta(map, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    map_lane_t lane = {1, maps_incarnation(1), maps_incarnation(2), 10};
    shard_map_set_lane(map, &lane); /* it is still the home */
    maps_assert_owner(map, "Order", 1, 7);
    maps_set_lane(map, 1, 1, 11);
    maps_assert_owner(map, "Order", 1, 0);
    maps_assert_owner(map, "Order", 2, 7); /* of another lane */
    wire_writer_reset(&text);
    shard_map_encode_delta(map, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    maps_assert_equal(map, receiver);
    maps_set_owner(map, "Order", 1, 7);
    maps_set_lane(map, 1, 0, 11);
    maps_assert_owner(map, "Order", 1, 0);
    wire_writer_destroy(&text);
    shard_map_destroy(&receiver);
    shard_map_destroy(&map);
}

static void a_joiner_takes_a_snapshot_then_deltas(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    shard_map_t *receiver = maps_receiver();
    wire_writer_t text = {0};
    maps_assert_version(publisher, 5, 1);
    assert_true(shard_map_changed(publisher));
    shard_map_encode_delta(publisher, &text); /* the first of its term: a snapshot */
    maps_assert_version(publisher, 5, 2);
    assert_false(shard_map_changed(publisher));
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    maps_assert_version(receiver, 5, 2);
    maps_assert_equal(publisher, receiver);
    assert_true(incarnation_equal(shard_map_lane(receiver, 1)->home, maps_incarnation(1)));
    maps_assert_owner(receiver, "Order", 1, 7);
    maps_assert_apply(receiver, &text, FABRIC_OK, false); /* again: ignored */

    maps_set_lane(publisher, 1, 1, 10); /* nothing new */
    maps_set_owner(publisher, "Order", 1, 7);
    assert_false(shard_map_changed(publisher));
    maps_set_owner(publisher, "Order", 1, 0);
    maps_set_owner(publisher, "Order", 3, 9);
    maps_set_owner(publisher, "Order", 3, 9); /* again, before anybody has heard of it */
    maps_set_owner(publisher, "Account", SHARDS - 1, 9);
    assert_true(shard_map_changed(publisher));
    map_lane_t lane = {1, maps_incarnation(1), maps_incarnation(2), 10}; /* it has a next home */
    shard_map_set_lane(publisher, &lane);
    map_broker_t broker = maps_broker(3);
    shard_map_set_brokers(publisher, &broker, 1);
    assert_int_equal(shard_map_add_group(publisher, 3, fabric_bytes_of("late")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(publisher, fabric_bytes_of("Late"), 3), FABRIC_OK);
    maps_set_owner(publisher, "Late", 4, 3);
    assert_true(shard_map_changed(publisher));
    wire_writer_reset(&text);
    shard_map_encode_snapshot(publisher, &text);
    size_t snapshot_size = text.size;
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    assert_true(text.size < snapshot_size - SHARDS); /* it has no run of a whole type */
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    maps_assert_equal(publisher, receiver);
    assert_int_equal(shard_map_group_count(receiver), 3);
    maps_assert_owner(receiver, "Order", 1, 0);
    maps_assert_owner(receiver, "Account", SHARDS - 1, 9);
    wire_writer_destroy(&text);
    shard_map_destroy(&publisher);
    shard_map_destroy(&receiver);
}

static void a_gap_asks_for_a_snapshot(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    shard_map_t *receiver = maps_receiver();
    wire_writer_t text = {0};
    shard_map_encode_snapshot(publisher, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    shard_map_encode_delta(publisher, &text);
    for (uint64_t epoch = 20; epoch < 22; epoch++) { /* two deltas, the first of which is lost */
        maps_set_lane(publisher, 2, 1, epoch);
        wire_writer_reset(&text);
        shard_map_encode_delta(publisher, &text);
    }
    maps_assert_apply(receiver, &text, FABRIC_ERROR_NOT_FOUND, false);
    maps_assert_version(receiver, 5, 1);
    assert_true(incarnation_is_none(shard_map_lane(receiver, 2)->home));
    wire_writer_reset(&text);
    shard_map_encode_snapshot(publisher, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    maps_assert_equal(publisher, receiver);
    /* a delta of a later term has no base here either, though the sequence fits */
    shard_map_begin_term(publisher, 6);
    wire_writer_reset(&text);
    for (int i = 0; i < 4; i++) {
        wire_writer_reset(&text);
        shard_map_encode_delta(publisher, &text);
    }
    maps_assert_version(publisher, 6, 5);
    maps_assert_version(receiver, 5, 4);
    maps_assert_apply(receiver, &text, FABRIC_ERROR_NOT_FOUND, false);
    shard_map_t *ignorant = shard_map_new(); /* does not know shards_per_group yet */
    wire_writer_reset(&text);
    shard_map_encode_snapshot(publisher, &text);
    maps_assert_apply(ignorant, &text, FABRIC_ERROR_NOT_FOUND, false);
    wire_writer_destroy(&text);
    shard_map_destroy(&ignorant);
    shard_map_destroy(&publisher);
    shard_map_destroy(&receiver);
}

static void older_terms_and_sequences_are_ignored(void **state)
{
    (void)state;
    shard_map_t *deposed = maps_publisher();
    shard_map_t *publisher = maps_publisher();
    shard_map_t *receiver = maps_receiver();
    wire_writer_t text = {0};
    shard_map_begin_term(publisher, 6);
    maps_set_lane(publisher, 1, 2, 30);
    shard_map_encode_snapshot(publisher, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    for (int i = 0; i < 9; i++) { /* the deposed one goes on, up to higher sequences */
        maps_set_lane(deposed, 1, 1, 40 + (uint64_t)i);
        wire_writer_reset(&text);
        shard_map_encode_delta(deposed, &text);
        maps_assert_apply(receiver, &text, FABRIC_OK, false);
    }
    wire_writer_reset(&text);
    shard_map_encode_snapshot(deposed, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, false);
    maps_assert_version(receiver, 6, 1);
    maps_assert_equal(publisher, receiver);
    wire_writer_destroy(&text);
    shard_map_destroy(&deposed);
    shard_map_destroy(&publisher);
    shard_map_destroy(&receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_numbered_in_order_and_stay),
        cmocka_unit_test(a_type_stays_where_a_later_map_does_not_list_it),
        cmocka_unit_test(types_name_their_group),
        cmocka_unit_test(entities_are_located_by_their_exact_id),
        cmocka_unit_test(a_shards_lane_is_its_number_mod_the_count_of_lanes),
        cmocka_unit_test(owners_are_of_a_type_and_a_shard),
        cmocka_unit_test(a_lanes_new_home_or_epoch_takes_its_owners_away),
        cmocka_unit_test(a_joiner_takes_a_snapshot_then_deltas),
        cmocka_unit_test(a_gap_asks_for_a_snapshot),
        cmocka_unit_test(older_terms_and_sequences_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
