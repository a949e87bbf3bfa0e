/* The inside of a shard map: only for core/shard_map.c (look-ups and changes) and
 * core/shard_map_wire.c (its encoding). */
#ifndef CORE_SHARD_MAP_STATE_H
#define CORE_SHARD_MAP_STATE_H

#include "core/limits.h"
#include "core/shard_map.h"

typedef struct map_group {
    uint8_t name[LIMIT_NAME_BYTES_MAX];
    size_t name_size;
    map_shard_t *shards; /* shards_per_group of them: number n at n - 1 */
    bool *dirty;         /* as many: whether the shard differs from the last delta */
} map_group_t;

typedef struct map_type {
    uint8_t name[LIMIT_NAME_BYTES_MAX];
    size_t name_size;
    uint16_t group;
} map_type_t;

struct shard_map {
    map_version_t version;
    uint32_t shards_per_group;
    size_t group_count;
    map_group_t groups[LIMIT_GROUPS_MAX]; /* number n at n - 1 */
    size_t type_count;
    map_type_t types[LIMIT_TYPES_MAX];
    size_t broker_count;
    map_broker_t brokers[LIMIT_BROKERS_MAX];
    bool changed;
    bool snapshot_due; /* a term began: no map has been published that a delta could follow */
};

static inline fabric_bytes_t map_group_name(const map_group_t *group)
{
    return fabric_bytes(group->name, group->name_size);
}

/* Whether the shard exists in a map with that many groups. */
static inline bool map_shard_exists(const shard_map_t *map, size_t group_count, shard_id_t shard)
{
    return shard_id_group(shard) >= 1 && shard_id_group(shard) <= group_count &&
           shard_id_number(shard) >= 1 && shard_id_number(shard) <= map->shards_per_group;
}

/* Adds the next group. The name must be new and of a right length, the group within the limit. */
void map_append_group(shard_map_t *map, fabric_bytes_t name);
/* NULL: the map has no such type. */
const map_type_t *map_find_type(const shard_map_t *map, fabric_bytes_t name);
/* Adds a type, likewise; its group exists. */
void map_append_type(shard_map_t *map, fabric_bytes_t name, uint16_t group);

#endif
