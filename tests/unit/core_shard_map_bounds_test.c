/* The shard map: malformed maps, and the largest. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "tests/unit/map_driver.h"

/* A snapshot by hand, with one group, one type in it, some lanes, one runner and one run. */
typedef struct by_hand {
    uint64_t group;
    const char *name;
    uint64_t lanes, type, shard, count, owner;
} by_hand_t;

static void encode_by_hand(wire_writer_t *text, const by_hand_t *hand)
{
    static const uint8_t runner[16] = {7, 1, 2, 3};
    wire_writer_reset(text);
    wire_put_array(text, 9);
    wire_put_uint(text, 9);
    wire_put_uint(text, 1);
    wire_put_uint(text, 0);
    wire_put_array(text, 0);
    wire_put_array(text, 1);
    wire_put_array(text, 2);
    wire_put_uint(text, hand->group);
    wire_put_text(text, hand->name);
    wire_put_array(text, 1);
    wire_put_array(text, 2);
    wire_put_text(text, "Hand");
    wire_put_uint(text, hand->group);
    wire_put_array(text, (uint32_t)hand->lanes);
    for (uint64_t i = 0; i < hand->lanes; i++) {
        wire_put_array(text, 4);
        wire_put_uint(text, i);
        wire_put_nil(text);
        wire_put_uint(text, 1);
        wire_put_nil(text);
    }
    wire_put_array(text, 1);
    wire_put_array(text, 2);
    wire_put_bin(text, fabric_bytes(runner, sizeof runner));
    wire_put_uint(text, 1);
    wire_put_array(text, 1);
    wire_put_array(text, 3);
    wire_put_uint(text, hand->type);
    wire_put_uint(text, hand->shard);
    wire_put_array(text, (uint32_t)hand->count);
    for (uint64_t i = 0; i < hand->count; i++) {
        wire_put_uint(text, hand->owner);
    }
}

/* A snapshot also takes back what it does not say. */
static void a_snapshot_replaces_all_owners(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    shard_map_t *receiver = maps_publisher();
    wire_writer_t text = {0};
    maps_set_owner(receiver, "Account", 5, 1);
    shard_map_begin_term(publisher, 7);
    shard_map_encode_snapshot(publisher, &text);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    maps_assert_equal(publisher, receiver);
    by_hand_t hand = {1, "default", LANES, 0, 1u << 16 | 2, 2, 1};
    encode_by_hand(&text, &hand);
    maps_assert_apply(receiver, &text, FABRIC_OK, true);
    maps_assert_owner(receiver, "Order", 1, 0);
    maps_assert_owner(receiver, "Hand", 1, 0);
    maps_assert_owner(receiver, "Hand", 2, 7);
    maps_assert_owner(receiver, "Hand", 3, 7);
    maps_assert_owner(receiver, "Hand", 4, 0);
    wire_writer_destroy(&text);
    shard_map_destroy(&publisher);
    shard_map_destroy(&receiver);
}

/* Every cut and thousands of changed bytes: an error changes nothing, success stays in bounds. */
static void malformed_maps_change_nothing(void **state)
{
    (void)state;
    shard_map_t *publisher = maps_publisher();
    shard_map_t *before = maps_receiver();
    wire_writer_t first = {0};
    wire_writer_t text = {0};
    shard_map_encode_delta(publisher, &first);
    maps_assert_apply(before, &first, FABRIC_OK, true);
    maps_set_lane(publisher, 1, 2, 50);
    maps_set_owner(publisher, "Order", 4, 2);
    maps_set_owner(publisher, "Order", 5, 3);
    assert_int_equal(shard_map_add_group(publisher, 3, fabric_bytes_of("late")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(publisher, fabric_bytes_of("Late"), 3), FABRIC_OK);
    maps_set_owner(publisher, "Late", 4, 2);
    shard_map_encode_delta(publisher, &text);
    size_t refused = 0;
    for (size_t i = 0; i < text.size * 6; i++) {
        static const uint8_t bytes[] = {0xc1, 0x00, 0xff, 0xdd, 0x90};
        size_t at = i / 6;
        uint8_t *copy =
            malloc(text.size); /* of its exact size, so that a sanitizer sees overruns */
        assert_non_null(copy);
        memcpy(copy, text.data, text.size);
        size_t size = text.size;
        if (i % 6 == 5) {
            copy = realloc(copy, at ? at : 1);
            size = at;
        } else {
            copy[at] = bytes[i % 6];
        }
        shard_map_t *receiver = maps_receiver();
        maps_assert_apply(receiver, &first, FABRIC_OK, true);
        if (shard_map_apply(receiver, fabric_bytes(copy, size), NULL) != FABRIC_OK) {
            maps_assert_equal(receiver, before);
            refused++;
        }
        shard_map_destroy(&receiver);
        free(copy);
    }
    assert_true(refused > text.size * 2);
    wire_append(&text, "", 1); /* a byte too many */
    maps_assert_apply(before, &text, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    wire_writer_destroy(&first);
    wire_writer_destroy(&text);
    shard_map_destroy(&before);
    shard_map_destroy(&publisher);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    enum { GROUP = 1 << 16 };
    const by_hand_t wrong[] = {
        {0, "default", LANES, 0, GROUP | 1, 1, 1},
        {2, "default", LANES, 0, 2 * GROUP | 1, 1, 1},
        {1, "renamed", LANES, 0, GROUP | 1, 1, 1},
        {4, "skipped", LANES, 0, 4 * GROUP | 1, 1, 1},
        {3, "", LANES, 0, 3 * GROUP | 1, 1, 1},
        {1, "default", LANES - 1, 0, GROUP | 1, 1, 1}, /* lanes are counted once */
        {1, "default", LANES + 1, 0, GROUP | 1, 1, 1},
        {1, "default", 0, 0, GROUP | 1, 1, 1},
        {1, "default", LANES, 1, GROUP | 1, 1, 1}, /* a type that is not listed */
        {1, "default", LANES, 0, GROUP, 1, 1},
        {1, "default", LANES, 0, GROUP | (SHARDS + 1), 1, 1},
        {1, "default", LANES, 0, GROUP | 1, SHARDS + 1, 1}, /* a run beyond the group */
        {1, "default", LANES, 0, GROUP | SHARDS, 2, 1},
        {1, "default", LANES, 0, GROUP | 1, 0, 1},     /* an empty run */
        {1, "default", LANES, 0, 2 * GROUP | 1, 1, 1}, /* of a group that is not the type's */
        {1, "default", LANES, 0, UINT64_C(1) << 32 | GROUP | 1, 1, 1},
        {1, "default", LANES, 0, GROUP | 1, 1, 2}, /* a runner that is not listed */
    };
    shard_map_t *map = maps_publisher();
    wire_writer_t text = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        encode_by_hand(&text, &wrong[i]);
        maps_assert_apply(map, &text, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    }
    by_hand_t right = {3, "new", LANES, 0, 3 * GROUP | SHARDS, 1, 1};
    encode_by_hand(&text, &right);
    maps_assert_apply(map, &text, FABRIC_OK, true);
    maps_assert_owner(map, "Hand", SHARDS, 7);
    shard_map_t *receiver = maps_receiver(); /* it does not know the count of lanes */
    by_hand_t many = {1, "default", LIMIT_LANES_MAX + 1, 0, GROUP | 1, 1, 1};
    encode_by_hand(&text, &many);
    maps_assert_apply(receiver, &text, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    wire_writer_destroy(&text);
    shard_map_destroy(&receiver);
    shard_map_destroy(&map);
}

/* Each shard of the type has an owner of its own, so that the numbers of runners are long. */
static void own_all(shard_map_t *map, fabric_bytes_t type, uint32_t runners)
{
    for (uint32_t n = 1; n <= shard_map_shards_per_group(map); n++) {
        incarnation_t runner = {{1}};
        uint32_t index = n % runners;
        memcpy(runner.bytes + 1, &index, sizeof index);
        shard_id_t shard = shard_id_make(1, (uint16_t)n);
        assert_int_equal(shard_map_set_owner(map, type, shard, runner, 0), FABRIC_OK);
    }
}

/* A map as large as a map may be, with the longest names and numbers that there are. */
static shard_map_t *make_largest(uint32_t shards_per_group, size_t types)
{
    shard_map_t *map = shard_map_new();
    map_broker_t brokers[LIMIT_BROKERS_MAX];
    char name[LIMIT_NAME_BYTES_MAX + 1];
    shard_map_set_shards_per_group(map, shards_per_group);
    shard_map_set_lanes(map, LIMIT_LANES_MAX);
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        map_lane_t lane = {i, maps_incarnation(1), maps_incarnation(2), UINT64_MAX};
        shard_map_set_lane(map, &lane);
    }
    for (uint16_t i = 1; shard_map_can_grow(i - 1u, shards_per_group); i++) {
        snprintf(name, sizeof name, "%0*u", LIMIT_NAME_BYTES_MAX, i);
        assert_int_equal(shard_map_add_group(map, i, fabric_bytes_of(name)), FABRIC_OK);
    }
    for (uint16_t i = 1; i <= types; i++) {
        snprintf(name, sizeof name, "%0*u", LIMIT_NAME_BYTES_MAX, i);
        assert_int_equal(shard_map_add_type(map, fabric_bytes_of(name), 1), FABRIC_OK);
        own_all(map, fabric_bytes_of(name), LIMIT_SHARDS_PER_GROUP_MAX);
    }
    for (int i = 0; i < LIMIT_BROKERS_MAX; i++) {
        brokers[i] = (map_broker_t){.incarnation = maps_incarnation((uint8_t)(i + 1))};
        memset(brokers[i].router_endpoint, 'e', LIMIT_ENDPOINT_BYTES_MAX);
        memset(brokers[i].pub_endpoint, 'e', LIMIT_ENDPOINT_BYTES_MAX);
        memset(brokers[i].name, 'n', LIMIT_NAME_BYTES_MAX);
    }
    shard_map_set_brokers(map, brokers, LIMIT_BROKERS_MAX);
    shard_map_begin_term(map, UINT64_MAX);
    return map;
}

static void the_largest_map_fits_a_frame(void **state)
{
    (void)state;
    static const struct {
        uint32_t shards_per_group;
        size_t types;
    } cases[] = {{LIMIT_SHARDS_PER_GROUP_MAX, LIMIT_OWNERSHIPS_MAX / LIMIT_SHARDS_PER_GROUP_MAX},
                 {LIMIT_OWNERSHIPS_MAX / LIMIT_TYPES_MAX, LIMIT_TYPES_MAX}};
    enum { AROUND = 4096 }; /* what a welcome and its frame put around it */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wire_writer_t text = {0};
        shard_map_t *map = make_largest(cases[i].shards_per_group, cases[i].types);
        shard_map_t *receiver = shard_map_new();
        shard_map_set_shards_per_group(receiver, cases[i].shards_per_group);
        shard_map_encode_snapshot(map, &text);
        assert_in_range(text.size, LIMIT_FRAME_BYTES_MAX / 4, LIMIT_FRAME_BYTES_MAX - AROUND);
        maps_assert_apply(receiver, &text, FABRIC_OK, true);
        maps_assert_equal(map, receiver);
        assert_int_equal(shard_map_add_type(map, fabric_bytes_of("one more"), 1),
                         FABRIC_ERROR_LIMIT_EXCEEDED);
        wire_writer_destroy(&text);
        shard_map_destroy(&receiver);
        shard_map_destroy(&map);
    }
}

static void a_map_with_more_than_fits_is_refused(void **state)
{
    (void)state;
    shard_map_t *map = shard_map_new();
    wire_writer_t text = {0};
    shard_map_set_shards_per_group(map, LIMIT_SHARDS_PER_GROUP_MAX);
    uint16_t groups = LIMIT_SHARDS_MAX / LIMIT_SHARDS_PER_GROUP_MAX;
    for (uint16_t i = 1; i <= groups; i++) {
        char name[16];
        snprintf(name, sizeof name, "g%u", i);
        assert_int_equal(shard_map_add_group(map, i, fabric_bytes_of(name)), FABRIC_OK);
    }
    assert_int_equal(shard_map_add_group(map, (uint16_t)(groups + 1), fabric_bytes_of("one more")),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    by_hand_t more = {groups + 1u, "one more", LANES, 0, (groups + 1u) << 16 | 1, 1, 1};
    encode_by_hand(&text, &more);
    maps_assert_apply(map, &text, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    /* Types that have as many shards as a map may have owners. */
    more = (by_hand_t){1, "g1", LANES, 0, 1u << 16 | 1, 1, 1};
    encode_by_hand(&text, &more);
    for (size_t i = 0; i < LIMIT_OWNERSHIPS_MAX / LIMIT_SHARDS_PER_GROUP_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%zu", i);
        assert_int_equal(shard_map_add_type(map, fabric_bytes_of(name), 1), FABRIC_OK);
    }
    maps_assert_apply(map, &text, FABRIC_ERROR_MALFORMED_MESSAGE, false);
    wire_writer_destroy(&text);
    shard_map_destroy(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_replaces_all_owners),
        cmocka_unit_test(malformed_maps_change_nothing),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(the_largest_map_fits_a_frame),
        cmocka_unit_test(a_map_with_more_than_fits_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
