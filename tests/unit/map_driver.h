/* Maps for the unit tests of the shard map: one as a publisher has it, one of a receiver, and what
 * is set in them. Brokers and runners are numbers; 0: none. */
#ifndef TESTS_UNIT_MAP_DRIVER_H
#define TESTS_UNIT_MAP_DRIVER_H

#include "core/shard_map.h"

enum { SHARDS = 20, LANES = 3 };

incarnation_t maps_incarnation(uint8_t number);
incarnation_t maps_incarnation_or_none(uint8_t number);
map_broker_t maps_broker(uint8_t number);
/* In term 5, with two groups, two types, two brokers, a home and two owners. */
shard_map_t *maps_publisher(void);
shard_map_t *maps_receiver(void);
void maps_set_lane(shard_map_t *map, uint32_t number, uint8_t home, uint64_t epoch);
void maps_set_owner(shard_map_t *map, const char *type, uint16_t number, uint8_t owner);

void maps_assert_owner(const shard_map_t *map, const char *type, uint16_t number, uint8_t owner);
/* Compares everything but what is not published yet. */
void maps_assert_equal(const shard_map_t *a, const shard_map_t *b);
void maps_assert_version(const shard_map_t *map, uint64_t term, uint64_t sequence);
/* Applies a map, which has this error, or is applied or not. */
void maps_assert_apply(shard_map_t *map, const wire_writer_t *encoded, fabric_error_t error,
                       bool expect_changed);

#endif
