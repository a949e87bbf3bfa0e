/* The shard map: a flat array of shards for each group. */
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
    for (size_t i = 0; i < (*map)->group_count; i++) {
        free((*map)->groups[i].shards);
        free((*map)->groups[i].dirty);
    }
    free(*map);
    *map = NULL;
}

map_version_t shard_map_version(const shard_map_t *map)
{
    return map->version;
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
    group->shards = memory_allocate_zeroed(map->shards_per_group, sizeof *group->shards);
    group->dirty = memory_allocate_zeroed(map->shards_per_group, sizeof *group->dirty);
    for (uint32_t i = 0; i < map->shards_per_group; i++) {
        group->shards[i].shard = shard_id_make((uint16_t)map->group_count, (uint16_t)(i + 1));
    }
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

const map_type_t *map_find_type(const shard_map_t *map, fabric_bytes_t name)
{
    for (size_t i = 0; i < map->type_count; i++) {
        const map_type_t *type = &map->types[i];
        if (fabric_bytes_equal(fabric_bytes(type->name, type->name_size), name)) {
            return type;
        }
    }
    return NULL;
}

void map_append_type(shard_map_t *map, fabric_bytes_t name, uint16_t group)
{
    map_type_t *type = &map->types[map->type_count++];
    memcpy(type->name, name.data, name.size);
    type->name_size = name.size;
    type->group = group;
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
    if (map->type_count == LIMIT_TYPES_MAX || address_check_name(name)) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    map_append_type(map, name, group);
    map->changed = true;
    return FABRIC_OK;
}

uint16_t shard_map_type_group(const shard_map_t *map, fabric_bytes_t name)
{
    const map_type_t *type = map_find_type(map, name);
    return type ? type->group : 0;
}

/* ---- shards ---- */

shard_id_t shard_map_locate(const shard_map_t *map, uint16_t group, fabric_bytes_t id)
{
    if (group == 0 || group > map->group_count) {
        return (shard_id_t){0};
    }
    return shard_id_make(group, (uint16_t)address_shard_number(id, map->shards_per_group));
}

const map_shard_t *shard_map_shard(const shard_map_t *map, shard_id_t shard)
{
    if (!map_shard_exists(map, map->group_count, shard)) {
        return NULL;
    }
    return &map->groups[shard_id_group(shard) - 1].shards[shard_id_number(shard) - 1];
}

fabric_error_t shard_map_set(shard_map_t *map, const map_shard_t *shard)
{
    if (!map_shard_exists(map, map->group_count, shard->shard)) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    map_group_t *group = &map->groups[shard_id_group(shard->shard) - 1];
    size_t index = shard_id_number(shard->shard) - 1u;
    map_shard_t *held = &group->shards[index];
    if (!incarnation_equal(held->home, shard->home) ||
        !incarnation_equal(held->owner, shard->owner) || !token_equal(held->token, shard->token)) {
        *held = *shard;
        group->dirty[index] = true;
        map->changed = true;
    }
    return FABRIC_OK;
}

/* ---- brokers ---- */

static bool broker_equal(const map_broker_t *a, const map_broker_t *b)
{
    return incarnation_equal(a->incarnation, b->incarnation) &&
           strcmp(a->router_endpoint, b->router_endpoint) == 0 &&
           strcmp(a->pub_endpoint, b->pub_endpoint) == 0;
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

const map_broker_t *shard_map_broker(const shard_map_t *map, incarnation_t incarnation)
{
    for (size_t i = 0; i < map->broker_count; i++) {
        if (incarnation_equal(map->brokers[i].incarnation, incarnation)) {
            return &map->brokers[i];
        }
    }
    return NULL;
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
