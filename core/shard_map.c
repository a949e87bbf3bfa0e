/* The shard map: groups, types, lanes and brokers; see shard_map_owners.c for owners. */
#include "core/shard_map_state.h"

#include <assert.h>
#include <stdlib.h>

#include "core/address.h"
#include "core/memory.h"

shard_map_t *shard_map_new(void)
{
    return memory_allocate_zeroed(1, sizeof(shard_map_t));
}

void shard_map_destroy(shard_map_t **map)
{
    if (!*map) {
        return;
    }
    map_forget_owners(*map); /* frees the runners */
    for (size_t i = 0; i < (*map)->type_count; i++) {
        free((*map)->types[i].shards);
    }
    free(*map);
    *map = NULL;
}

map_version_t shard_map_version(const shard_map_t *map)
{
    return map->version;
}

bool map_version_is_newer(map_version_t version, map_version_t than)
{
    return version.term != than.term ? version.term > than.term : version.sequence > than.sequence;
}

uint32_t shard_map_shards_per_group(const shard_map_t *map)
{
    return map->shards_per_group;
}

void shard_map_set_shards_per_group(shard_map_t *map, uint32_t shards_per_group)
{
    assert(shards_per_group >= 1 && shards_per_group <= LIMIT_SHARDS_PER_GROUP_MAX);
    assert(map->group_count == 0 || map->shards_per_group == shards_per_group);
    map->shards_per_group = shards_per_group;
}

/* ---- groups ---- */

void map_append_group(shard_map_t *map, fabric_bytes_t name)
{
    map_group_t *group = &map->groups[map->group_count++];
    memcpy(group->name, name.data, name.size);
    group->name_size = name.size;
}

bool shard_map_can_grow(uint64_t groups, uint32_t shards_per_group)
{
    return groups < LIMIT_GROUPS_MAX && (groups + 1) * shards_per_group <= LIMIT_SHARDS_MAX;
}

fabric_error_t shard_map_add_group(shard_map_t *map, uint16_t number, fabric_bytes_t name)
{
    bool fits = number == 0 || shard_map_can_grow(number - 1u, map->shards_per_group);
    if (!fits || address_check_name(name)) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    uint16_t known = shard_map_group_number(map, name);
    if (known != 0 && known == number) {
        return FABRIC_OK;
    }
    if (known != 0 || number != map->group_count + 1 || map->shards_per_group == 0) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    map_append_group(map, name);
    map->changed = true;
    return FABRIC_OK;
}

uint16_t shard_map_group_number(const shard_map_t *map, fabric_bytes_t name)
{
    for (size_t i = 0; i < map->group_count; i++) {
        if (fabric_bytes_equal(map_group_name(&map->groups[i]), name)) {
            return (uint16_t)(i + 1);
        }
    }
    return 0;
}

fabric_bytes_t shard_map_group_name(const shard_map_t *map, uint16_t number)
{
    if (number == 0 || number > map->group_count) {
        return (fabric_bytes_t){NULL, 0};
    }
    return map_group_name(&map->groups[number - 1]);
}

size_t shard_map_group_count(const shard_map_t *map)
{
    return map->group_count;
}

/* ---- types ---- */

map_type_t *map_find_type(const shard_map_t *map, fabric_bytes_t name)
{
    for (size_t i = 0; i < map->type_count; i++) {
        const map_type_t *type = &map->types[i];
        if (fabric_bytes_equal(map_type_name(type), name)) {
            return (map_type_t *)(uintptr_t)type;
        }
    }
    return NULL;
}

map_type_t *map_append_type(shard_map_t *map, fabric_bytes_t name, uint16_t group)
{
    map_type_t *type = &map->types[map->type_count++];
    memcpy(type->name, name.data, name.size);
    type->name_size = name.size;
    type->group = group;
    type->shards = memory_allocate_zeroed(map->shards_per_group, sizeof *type->shards);
    return type;
}

bool shard_map_can_take_type(uint64_t types, uint32_t shards_per_group)
{
    return types < LIMIT_TYPES_MAX && (types + 1) * shards_per_group <= LIMIT_OWNERSHIPS_MAX;
}

fabric_error_t shard_map_add_type(shard_map_t *map, fabric_bytes_t name, uint16_t group)
{
    const map_type_t *known = map_find_type(map, name);
    if (group == 0 || group > map->group_count || (known && known->group != group)) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    if (known) {
        return FABRIC_OK;
    }
    if (!shard_map_can_take_type(map->type_count, map->shards_per_group) ||
        address_check_name(name)) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    (void)map_append_type(map, name, group);
    map->changed = true;
    return FABRIC_OK;
}

uint16_t shard_map_type_group(const shard_map_t *map, fabric_bytes_t name)
{
    const map_type_t *type = map_find_type(map, name);
    return type ? type->group : 0;
}

size_t shard_map_type_count(const shard_map_t *map)
{
    return map->type_count;
}

fabric_bytes_t shard_map_type_name(const shard_map_t *map, size_t index)
{
    assert(index < map->type_count);
    return map_type_name(&map->types[index]);
}

shard_id_t shard_map_locate(const shard_map_t *map, uint16_t group, fabric_bytes_t id)
{
    if (group == 0 || group > map->group_count) {
        return (shard_id_t){0};
    }
    return shard_id_make(group, (uint16_t)address_shard_number(id, map->shards_per_group));
}

/* ---- lanes ---- */

void shard_map_set_lanes(shard_map_t *map, uint32_t count)
{
    assert(count >= 1 && count <= LIMIT_LANES_MAX);
    assert(map->lane_count == 0 || map->lane_count == count);
    for (uint32_t i = map->lane_count; i < count; i++) {
        map->lanes[i] = (map_lane_t){.number = i};
    }
    map->lane_count = count;
}

uint32_t shard_map_lane_count(const shard_map_t *map)
{
    return map->lane_count;
}

const map_lane_t *shard_map_lane(const shard_map_t *map, uint32_t number)
{
    return number < map->lane_count ? &map->lanes[number] : NULL;
}

const map_lane_t *shard_map_lane_of(const shard_map_t *map, shard_id_t shard)
{
    uint16_t number = shard_id_number(shard);
    bool exists = shard_id_group(shard) >= 1 && shard_id_group(shard) <= map->group_count &&
                  number >= 1 && number <= map->shards_per_group;
    return exists && map->lane_count > 0 ? &map->lanes[number % map->lane_count] : NULL;
}

void shard_map_set_lane(shard_map_t *map, const map_lane_t *lane)
{
    assert(lane->number < map->lane_count);
    map_lane_t *held = &map->lanes[lane->number];
    bool stays = held->epoch == lane->epoch && incarnation_equal(held->home, lane->home);
    if (!stays) {
        map_forget_owners_of(map, lane->number);
    }
    if (!stays || !incarnation_equal(held->next, lane->next)) {
        *held = *lane;
        map->changed = true;
    }
}

/* ---- brokers ---- */

static bool broker_equal(const map_broker_t *a, const map_broker_t *b)
{
    return incarnation_equal(a->incarnation, b->incarnation) &&
           strcmp(a->router_endpoint, b->router_endpoint) == 0 &&
           strcmp(a->pub_endpoint, b->pub_endpoint) == 0 && strcmp(a->name, b->name) == 0;
}

void shard_map_set_brokers(shard_map_t *map, const map_broker_t *brokers, size_t count)
{
    assert(count <= LIMIT_BROKERS_MAX);
    bool same = count == map->broker_count;
    for (size_t i = 0; same && i < count; i++) {
        same = broker_equal(&map->brokers[i], &brokers[i]);
    }
    if (!same) {
        memmove(map->brokers, brokers, count * sizeof *brokers);
        map->broker_count = count;
        map->changed = true;
    }
}

const map_broker_t *map_broker_find(const map_broker_t *brokers, size_t count,
                                    incarnation_t incarnation)
{
    for (size_t i = 0; i < count; i++) {
        if (incarnation_equal(brokers[i].incarnation, incarnation)) {
            return &brokers[i];
        }
    }
    return NULL;
}

const map_broker_t *shard_map_broker(const shard_map_t *map, incarnation_t incarnation)
{
    return map_broker_find(map->brokers, map->broker_count, incarnation);
}

size_t shard_map_broker_count(const shard_map_t *map)
{
    return map->broker_count;
}

const map_broker_t *shard_map_broker_at(const shard_map_t *map, size_t index)
{
    assert(index < map->broker_count);
    return &map->brokers[index];
}
