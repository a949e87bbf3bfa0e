/* Maps for the unit tests: see map_driver.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/unit/map_driver.h"

incarnation_t maps_incarnation(uint8_t number)
{
    return (incarnation_t){{number, 1, 2, 3}};
}

incarnation_t maps_incarnation_or_none(uint8_t number)
{
    return number ? maps_incarnation(number) : (incarnation_t){{0}};
}

void maps_set_lane(shard_map_t *map, uint32_t number, uint8_t home, uint64_t epoch)
{
    map_lane_t lane = {.number = number, .home = maps_incarnation_or_none(home), .epoch = epoch};
    shard_map_set_lane(map, &lane);
}

void maps_set_owner(shard_map_t *map, const char *type, uint16_t number, uint8_t owner)
{
    fabric_bytes_t name = fabric_bytes_of(type);
    shard_id_t shard = shard_id_make(shard_map_type_group(map, name), number);
    assert_int_equal(shard_map_set_owner(map, name, shard, maps_incarnation_or_none(owner), 0),
                     FABRIC_OK);
}

void maps_assert_owner(const shard_map_t *map, const char *type, uint16_t number, uint8_t owner)
{
    fabric_bytes_t name = fabric_bytes_of(type);
    shard_id_t shard = shard_id_make(shard_map_type_group(map, name), number);
    incarnation_t found = shard_map_owner(map, name, shard);
    assert_true(incarnation_equal(found, maps_incarnation_or_none(owner)));
}

map_broker_t maps_broker(uint8_t number)
{
    map_broker_t broker = {.incarnation = maps_incarnation(number)};
    snprintf(broker.router_endpoint, sizeof broker.router_endpoint, "tcp://broker:%u", number);
    snprintf(broker.pub_endpoint, sizeof broker.pub_endpoint, "ipc://pub-%u", number);
    snprintf(broker.name, sizeof broker.name, "b%u", number);
    return broker;
}

/* A publisher's map in term 5 with two groups, two types, two brokers, a home and two owners. */
shard_map_t *maps_publisher(void)
{
    shard_map_t *map = shard_map_new();
    map_broker_t brokers[] = {maps_broker(1), maps_broker(2)};
    shard_map_set_shards_per_group(map, SHARDS);
    shard_map_set_lanes(map, LANES);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    assert_int_equal(shard_map_add_group(map, 2, fabric_bytes_of("other")), FABRIC_OK);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Order"), 1), FABRIC_OK);
    assert_int_equal(shard_map_add_type(map, fabric_bytes_of("Account"), 2), FABRIC_OK);
    shard_map_set_brokers(map, brokers, 2);
    shard_map_begin_term(map, 5);
    maps_set_lane(map, 1, 1, 10);
    maps_set_owner(map, "Order", 1, 7);
    maps_set_owner(map, "Account", SHARDS, 8);
    return map;
}

shard_map_t *maps_receiver(void)
{
    shard_map_t *map = shard_map_new();
    shard_map_set_shards_per_group(map, SHARDS);
    return map;
}

/* Compares everything but what is not published yet. */
void maps_assert_equal(const shard_map_t *a, const shard_map_t *b)
{
    wire_writer_t left = {0};
    wire_writer_t right = {0};
    shard_map_encode_snapshot(a, &left);
    shard_map_encode_snapshot(b, &right);
    assert_true(fabric_bytes_equal(wire_writer_bytes(&left), wire_writer_bytes(&right)));
    wire_writer_destroy(&left);
    wire_writer_destroy(&right);
}

void maps_assert_version(const shard_map_t *map, uint64_t term, uint64_t sequence)
{
    assert_int_equal(shard_map_version(map).term, term);
    assert_int_equal(shard_map_version(map).sequence, sequence);
}

void maps_assert_apply(shard_map_t *map, const wire_writer_t *encoded, fabric_error_t error,
                       bool expect_changed)
{
    bool changed = false;
    assert_int_equal(shard_map_apply(map, wire_writer_bytes(encoded), &changed), error);
    assert_int_equal(changed, expect_changed);
}
