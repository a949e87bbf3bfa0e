/* The shard map: owners on their way to the publisher, and what a receiver adds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/map_driver.h"

/* A home's map, as received, with another order of types; it is home of lane 2. */
static shard_map_t *make_home(const shard_map_t *publisher)
{
    wire_writer_t text = {0};
    shard_map_t *map = maps_receiver();
    shard_map_set_lanes(map, LANES);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    assert_int_equal(shard_map_add_group(map, 2, fabric_bytes_of("other")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Account"), 2), FABRIC_OK);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Unknown"), 2), FABRIC_OK);
    shard_map_encode_snapshot(publisher, &text);
    maps_assert_apply(map, &text, FABRIC_OK, true);
    wire_writer_destroy(&text);
    return map;
}

static void owners_travel_to_the_publisher(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    maps_set_lane(publisher, 2, 2, 20);
    maps_set_owner(publisher, "Order", 8, 6); /* the home has another owner now */
    wire_writer_t text = {0};
    shard_map_encode_delta(publisher, &text);
    shard_map_t *home = make_home(publisher);
    assert_false(shard_map_owners_changed(home));
    maps_set_owner(home, "Order", 2, 5);
    maps_set_owner(home, "Order", 8, 0);
    maps_set_owner(home, "Account", 5, 4);
    maps_set_owner(home, "Unknown", 5, 4);
    maps_set_owner(home, "Order", 1, 5); /* of another home */
    assert_true(shard_map_owners_changed(home));
    wire_writer_reset(&text);
    shard_map_encode_owners(home, &text);
    assert_false(shard_map_owners_changed(home));
    assert_false(shard_map_changed(publisher));
    assert_int_equal(
        shard_map_take_owners(publisher, maps_incarnation(2), wire_writer_bytes(&text)), FABRIC_OK);
    assert_true(shard_map_changed(publisher));
    maps_assert_owner(publisher, "Order", 2, 5);
    maps_assert_owner(publisher, "Order", 8, 0);
    maps_assert_owner(publisher, "Account", 5, 4);
    maps_assert_owner(publisher, "Order", 1, 7);
    assert_int_equal(shard_map_type_count(publisher), 2);
    /* The delta tells everybody. */
    shard_map_t *receiver = make_home(publisher);
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    maps_assert_owner(receiver, "Account", 5, 4);
    wire_writer_destroy(&text);
    shard_map_destroy(&receiver);
    shard_map_destroy(&home);
    shard_map_destroy(&publisher);
}

/* The publisher may learn of a type after a home. What it left out then is told again. */
static void owners_of_a_type_that_the_publisher_did_not_know_are_told_again(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    wire_writer_t text = {0};
    maps_set_lane(publisher, 2, 2, 20);
    shard_map_encode_delta(publisher, &text);
    shard_map_t *home = make_home(publisher);
    maps_set_owner(home, "Unknown", 5, 4);
    wire_writer_reset(&text);
    shard_map_encode_owners(home, &text);
    assert_int_equal(
        shard_map_take_owners(publisher, maps_incarnation(2), wire_writer_bytes(&text)), FABRIC_OK);
    assert_int_equal(shard_map_add_type(publisher, fabric_bytes_of("Unknown"), 2), FABRIC_OK);
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    maps_assert_apply(home, &text, FABRIC_OK, true);
    assert_true(shard_map_owners_changed(home));
    wire_writer_reset(&text);
    shard_map_encode_owners(home, &text);
    assert_int_equal(
        shard_map_take_owners(publisher, maps_incarnation(2), wire_writer_bytes(&text)), FABRIC_OK);
    maps_assert_owner(publisher, "Unknown", 5, 4);
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    maps_assert_apply(home, &text, FABRIC_OK, true);
    assert_false(shard_map_owners_changed(home)); /* once */
    wire_writer_destroy(&text);
    shard_map_destroy(&home);
    shard_map_destroy(&publisher);
}

/* Nor may a publisher of a new term, though the one before it knew the type. */
static void owners_of_a_type_that_the_next_publisher_did_not_know_are_told_again(void **state)
{
    (void)state;
    shard_map_t *former = maps_publisher();
    shard_map_t *next = maps_publisher();
    wire_writer_t text = {0};
    assert_int_equal(shard_map_add_type(former, fabric_bytes_of("Unknown"), 2), FABRIC_OK);
    maps_set_lane(former, 2, 2, 20);
    shard_map_encode_delta(former, &text);
    shard_map_t *home = make_home(former);
    maps_set_owner(home, "Unknown", 5, 4);
    wire_writer_reset(&text);
    shard_map_encode_owners(home, &text);
    maps_set_lane(next, 2, 2, 20);
    shard_map_begin_term(next, 6);
    wire_writer_reset(&text);
    shard_map_encode_delta(next, &text);
    maps_assert_apply(home, &text, FABRIC_OK, true);
    maps_assert_owner(home, "Unknown", 5, 0);
    maps_set_owner(home, "Unknown", 5, 4); /* the home enters it again */
    wire_writer_reset(&text);
    shard_map_encode_owners(home, &text);
    assert_int_equal(shard_map_take_owners(next, maps_incarnation(2), wire_writer_bytes(&text)),
                     FABRIC_OK);
    assert_int_equal(shard_map_add_type(next, fabric_bytes_of("Unknown"), 2), FABRIC_OK);
    wire_writer_reset(&text);
    shard_map_encode_delta(next, &text);
    maps_assert_apply(home, &text, FABRIC_OK, true);
    assert_true(shard_map_owners_changed(home));
    wire_writer_destroy(&text);
    shard_map_destroy(&home);
    shard_map_destroy(&next);
    shard_map_destroy(&former);
}

/* A home may tell its owners before the publisher has read that the lane is its own. Then the delta
 * that names the home says that nobody owns them, also where nobody did before. */
static void owners_that_were_told_too_early_are_told_again(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    wire_writer_t text = {0};
    shard_map_encode_delta(publisher, &text);
    shard_map_t *home = maps_receiver();
    maps_assert_apply(home, &text, FABRIC_OK, true);
    maps_set_lane(home, 2, 2, 20);
    maps_set_owner(home, "Order", 5, 4);
    wire_writer_reset(&text);
    shard_map_encode_owners(home, &text);
    assert_int_equal(
        shard_map_take_owners(publisher, maps_incarnation(2), wire_writer_bytes(&text)), FABRIC_OK);
    maps_assert_owner(publisher, "Order", 5, 0);
    maps_set_lane(publisher, 2, 2, 20);
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    maps_assert_apply(home, &text, FABRIC_OK, true);
    maps_assert_owner(home, "Order", 5, 0);
    wire_writer_destroy(&text);
    shard_map_destroy(&home);
    shard_map_destroy(&publisher);
}

static void malformed_owners_change_nothing(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    shard_map_t *home = make_home(publisher);
    wire_writer_t text = {0};
    size_t refused = 0;
    maps_set_owner(home, "Order", 4, 5);
    maps_set_owner(home, "Account", 1, 6);
    shard_map_encode_owners(home, &text);
    for (size_t i = 0; i < text.size * 4; i++) {
        static const uint8_t bytes[] = {0xc1, 0xff, 0x90};
        size_t size = i % 4 == 3 ? i / 4 : text.size;
        uint8_t *copy = malloc(text.size);
        assert_non_null(copy);
        memcpy(copy, text.data, text.size);
        copy[i / 4] = i % 4 == 3 ? copy[i / 4] : bytes[i % 4];
        shard_map_t *map = maps_publisher();
        if (shard_map_take_owners(map, maps_incarnation(1), fabric_bytes(copy, size))) {
            maps_assert_equal(map, publisher);
            refused++;
        }
        shard_map_destroy(&map);
        free(copy);
    }
    assert_true(refused > text.size);
    wire_writer_destroy(&text);
    shard_map_destroy(&home);
    shard_map_destroy(&publisher);
}

/* A receiver's own knowledge is for its own process, and yields to the next map. */
static void a_receiver_adds_what_it_knows(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    shard_map_t *map = maps_receiver();
    shard_map_t *local = maps_receiver();
    wire_writer_t text = {0};
    shard_map_set_lanes(map, LANES);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    maps_set_lane(map, 1, 3, 9);
    for (uint64_t sequence = 1; sequence <= 2; sequence++) { /* without a map, in term 0 */
        wire_writer_reset(&text);
        shard_map_encode_revision(map, &text);
        assert_false(shard_map_revised(map));
        maps_assert_apply(local, &text, FABRIC_OK, true);
        maps_assert_version(local, 0, sequence);
        maps_assert_equal(map, local);
        maps_set_lane(map, 1, 3, 9 + sequence);
        assert_true(shard_map_revised(map));
    }
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    maps_assert_apply(map, &text, FABRIC_OK, true);
    maps_assert_apply(local, &text, FABRIC_OK, true);
    maps_set_lane(map, 1, 3, 12);
    wire_writer_reset(&text);
    shard_map_encode_revision(map, &text);
    maps_assert_apply(local, &text, FABRIC_OK, false); /* a peer has this version */
    bool changed = false;
    assert_int_equal(shard_map_apply_again(local, wire_writer_bytes(&text), &changed), FABRIC_OK);
    assert_true(changed);
    maps_assert_version(local, 5, 2);
    maps_assert_equal(map, local);
    maps_set_lane(publisher, 1, 2, 12);
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    maps_assert_apply(local, &text, FABRIC_OK, true);
    maps_assert_equal(publisher, local);
    wire_writer_reset(&text);
    shard_map_encode_revision(map, &text); /* it has not got the last one */
    assert_int_equal(shard_map_apply_again(local, wire_writer_bytes(&text), &changed), FABRIC_OK);
    assert_false(changed);
    wire_writer_destroy(&text);
    shard_map_destroy(&local);
    shard_map_destroy(&map);
    shard_map_destroy(&publisher);
}

static void assert_last(const shard_map_t *map, uint8_t owner)
{
    incarnation_t last = shard_map_last_owner(map, fabric_bytes_of("Order"), shard_id_make(1, 2));
    assert_true(incarnation_equal(last, maps_incarnation_or_none(owner)));
}

/* Whoever is home next begins with the owners of before. */
static void the_last_owner_is_known_when_the_home_is_gone(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    assert_last(publisher, 0);
    assert_int_equal(shard_map_add_type(publisher, fabric_bytes_of("New"), 1), FABRIC_OK);
    assert_false(shard_map_had_owners(publisher, fabric_bytes_of("New")));
    maps_set_owner(publisher, "Order", 2, 5);
    wire_writer_t text = {0};
    shard_map_encode_delta(publisher, &text);
    shard_map_t *receiver = make_home(publisher);
    assert_last(receiver, 5);
    maps_set_lane(publisher, 2, 1, 21);
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    maps_assert_owner(receiver, "Order", 2, 0);
    assert_last(receiver, 5);
    assert_last(publisher, 5);
    assert_true(shard_map_had_owners(receiver, fabric_bytes_of("Order")));
    assert_false(shard_map_had_owners(receiver, fabric_bytes_of("Nothing")));
    maps_set_owner(receiver, "Order", 2, 6);
    assert_last(receiver, 6);
    assert_true(incarnation_is_none(
        shard_map_last_owner(receiver, fabric_bytes_of("Nothing"), shard_id_make(1, 2))));
    wire_writer_destroy(&text);
    shard_map_destroy(&receiver);
    shard_map_destroy(&publisher);
}

static bool is_certain(const shard_map_t *map)
{
    return shard_map_last_is_certain(map, fabric_bytes_of("Order"), shard_id_make(1, 2));
}

/* A whole map tells of present owners only: there may have been others before it. */
static void the_last_owner_is_uncertain_after_a_whole_map(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    maps_set_owner(publisher, "Order", 2, 5);
    wire_writer_t text = {0};
    shard_map_encode_delta(publisher, &text);
    shard_map_t *receiver = make_home(publisher);
    assert_true(is_certain(receiver));
    maps_set_lane(publisher, 2, 1, 21);
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    assert_true(is_certain(receiver));
    maps_set_lane(publisher, 2, 1, 22);
    wire_writer_reset(&text);
    shard_map_encode_delta(publisher, &text);
    wire_writer_reset(&text);
    shard_map_encode_snapshot(publisher, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    assert_last(receiver, 5);
    assert_false(is_certain(receiver));
    maps_set_owner(receiver, "Order", 2, 6);
    assert_true(is_certain(receiver));
    wire_writer_destroy(&text);
    shard_map_destroy(&receiver);
    shard_map_destroy(&publisher);
}

/* The version of an owner's application goes along with the owner. */
static void versions_travel_with_owners(void **state)
{
    (void)state;
    const uint64_t version = UINT64_C(1) << 40;
    fabric_bytes_t type = fabric_bytes_of("Order");
    wire_writer_t text = {0};
    shard_map_t *publisher = maps_publisher();
    maps_set_lane(publisher, 2, 2, 20);
    shard_map_t *home = make_home(publisher);
    assert_int_equal(
        shard_map_set_owner(home, type, shard_id_make(1, 2), maps_incarnation(5), version),
        FABRIC_OK);
    shard_map_encode_owners(home, &text);
    assert_int_equal(
        shard_map_take_owners(publisher, maps_incarnation(2), wire_writer_bytes(&text)), FABRIC_OK);
    shard_map_t *receiver = make_home(publisher);
    assert_true(shard_map_last_version(receiver, type, shard_id_make(1, 2)) == version);
    maps_set_owner(receiver, "Order", 2, 0); /* it is remembered when the owner is gone */
    assert_true(shard_map_last_version(receiver, type, shard_id_make(1, 2)) == version);
    assert_int_equal(shard_map_last_version(receiver, type, shard_id_make(1, 3)), 0);
    wire_writer_destroy(&text);
    shard_map_destroy(&receiver);
    shard_map_destroy(&home);
    shard_map_destroy(&publisher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_owner_is_known_when_the_home_is_gone),
        cmocka_unit_test(the_last_owner_is_uncertain_after_a_whole_map),
        cmocka_unit_test(owners_travel_to_the_publisher),
        cmocka_unit_test(owners_of_a_type_that_the_publisher_did_not_know_are_told_again),
        cmocka_unit_test(owners_of_a_type_that_the_next_publisher_did_not_know_are_told_again),
        cmocka_unit_test(owners_that_were_told_too_early_are_told_again),
        cmocka_unit_test(malformed_owners_change_nothing),
        cmocka_unit_test(a_receiver_adds_what_it_knows),
        cmocka_unit_test(versions_travel_with_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
