/* Which runner should own each type's part of each shard: see shards.h. */
#include "broker/coordinator/shards.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/placement.h"

typedef struct shard {
    uint64_t epoch;        /* of its lane, under which the rest is true */
    incarnation_t desired; /* the owner as the router was told to make it */
    incarnation_t owner;   /* the owner as the router has made it */
    uint64_t app_version;  /* of that owner's application */
    uint64_t version;      /* the application version of the last desired owner */
} shard_t;

/* A type, with the shards of its group. */
typedef struct typed_shards {
    char name[256];
    uint16_t group;
    shard_t *items; /* at number - 1 */
} typed_shards_t;

struct coordinator_shards {
    uint32_t per_group;
    const coordinator_lanes_t *lanes;
    coordinator_effects_t *effects;
    typed_shards_t *types; /* in the order of the registry */
    size_t type_count;
};

coordinator_shards_t *coordinator_shards_new(uint32_t shards_per_group,
                                             const coordinator_lanes_t *lanes,
                                             coordinator_effects_t *effects)
{
    coordinator_shards_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->per_group = shards_per_group;
    self->lanes = lanes;
    self->effects = effects;
    return self;
}

void coordinator_shards_destroy(coordinator_shards_t **shards)
{
    coordinator_shards_t *self = *shards;
    if (!self) {
        return;
    }
    for (size_t i = 0; i < self->type_count; i++) {
        free(self->types[i].items);
    }
    free(self->types);
    free(self);
    *shards = NULL;
}

/* Makes the shards of all types. */
static void take_types(coordinator_shards_t *self, const coordinator_registry_t *registry)
{
    size_t count = coordinator_registry_type_count(registry);
    if (count == self->type_count) {
        return;
    }
    self->types = memory_resize(self->types, count, sizeof *self->types);
    for (; self->type_count < count; self->type_count++) {
        const coordinator_type_t *type = coordinator_registry_type_at(registry, self->type_count);
        typed_shards_t *shards = &self->types[self->type_count];
        memcpy(shards->name, type->description->name, sizeof shards->name);
        shards->group = type->group;
        shards->items = memory_allocate_zeroed(self->per_group, sizeof *shards->items);
    }
}

/* The row of the lane of the shards with this index. */
static const store_hold_t *lane_at(const coordinator_shards_t *self, size_t index)
{
    return coordinator_lanes_of(self->lanes, shard_id_make(1, (uint16_t)(index + 1)));
}

/* The epoch of that lane if this broker holds it, or 0. */
static uint64_t own_epoch(const coordinator_shards_t *self, size_t index)
{
    const store_hold_t *lane = lane_at(self, index);
    return coordinator_lanes_are_ours(self->lanes, lane) ? lane->epoch : 0;
}

/* ---- placement ---- */

static size_t find_candidates(const coordinator_runners_t *runners, const char *type,
                              placement_member_t *candidates)
{
    size_t count = 0;
    for (size_t i = 0; i < coordinator_runners_count(runners); i++) {
        const coordinator_runner_t *runner = coordinator_runners_at(runners, i);
        if (coordinator_runner_may_own(runner, type)) {
            candidates[count++] =
                placement_runner(runner->stored.incarnation, runner->stored.weight,
                                 runner->app_version, runner->standing);
        }
    }
    return count;
}

static void emit_desire(coordinator_shards_t *self, const typed_shards_t *type, size_t index)
{
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_DESIRE);
    effect->shard = shard_id_make(type->group, (uint16_t)(index + 1));
    effect->runner = type->items[index].desired;
    coordinator_effect_set_bytes(effect, fabric_bytes_of(type->name));
}

/* The placement of one type over the shards whose lanes this broker holds. */
typedef struct placing {
    const coordinator_runners_t *runners;
    const shard_map_t *map;
    placement_member_t *candidates;
    size_t *indexes; /* of these shards, in order */
    incarnation_t *owners;
    uint64_t *versions;
    size_t count;
    uint64_t largest; /* version of a candidate */
} placing_t;

static uint64_t largest_version(const placement_member_t *candidates, size_t count)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        bool takes = candidates[i].weight > 0 && !candidates[i].cordoned;
        largest = takes && candidates[i].version > largest ? candidates[i].version : largest;
    }
    return largest;
}

/* The lane is held under a new epoch: the router has forgotten what was desired. The shard begins
 * with its last owner, who may be gone. An owner of whom the map does not tell for certain may have
 * had any version that there is, so the shard gets no runner of an older one. */
static void begin_epoch(const placing_t *placing, const typed_shards_t *type, size_t index,
                        uint64_t epoch, incarnation_t *owner)
{
    shard_t *shard = &type->items[index];
    fabric_bytes_t name = fabric_bytes_of(type->name);
    shard_id_t id = shard_id_make(type->group, (uint16_t)(index + 1));
    *owner = shard_map_last_owner(placing->map, name, id);
    bool known = shard_map_last_is_certain(placing->map, name, id);
    *shard = (shard_t){.epoch = epoch,
                       .version = known ? shard_map_last_version(placing->map, name, id)
                                        : placing->largest};
}

/* Begins with the present owners. */
static void find_own(const coordinator_shards_t *self, const typed_shards_t *type,
                     placing_t *placing)
{
    placing->count = 0;
    for (size_t i = 0; i < self->per_group; i++) {
        uint64_t epoch = own_epoch(self, i);
        if (epoch == 0) {
            continue;
        }
        incarnation_t owner = type->items[i].desired;
        if (type->items[i].epoch != epoch) {
            begin_epoch(placing, type, i, epoch, &owner);
        }
        placing->indexes[placing->count] = i;
        placing->owners[placing->count] = owner;
        placing->versions[placing->count++] = type->items[i].version;
    }
}

/* Types that always had the same candidates have the same owners. */
static void place_type(coordinator_shards_t *self, const typed_shards_t *type, placing_t *placing)
{
    size_t count = find_candidates(placing->runners, type->name, placing->candidates);
    placing->largest = largest_version(placing->candidates, count);
    find_own(self, type, placing);
    placement_compute_versions(placing->candidates, count, placing->owners, placing->versions,
                               placing->count);
    for (size_t i = 0; i < placing->count; i++) {
        size_t index = placing->indexes[i];
        shard_t *shard = &type->items[index];
        shard->version = placing->versions[i];
        if (!incarnation_equal(placing->owners[i], shard->desired)) {
            shard->desired = placing->owners[i];
            emit_desire(self, type, index);
        }
    }
}

void coordinator_shards_place(coordinator_shards_t *self, const coordinator_registry_t *registry,
                              const coordinator_runners_t *runners, const shard_map_t *map)
{
    take_types(self, registry);
    size_t count = coordinator_runners_count(runners);
    placing_t placing = {.runners = runners,
                         .map = map,
                         .candidates = memory_allocate_zeroed(count, sizeof *placing.candidates),
                         .indexes = memory_allocate(self->per_group * sizeof *placing.indexes),
                         .owners = memory_allocate(self->per_group * sizeof *placing.owners),
                         .versions = memory_allocate(self->per_group * sizeof *placing.versions)};
    for (size_t i = 0; i < self->type_count; i++) {
        place_type(self, &self->types[i], &placing);
    }
    free(placing.candidates);
    free(placing.indexes);
    free(placing.owners);
    free(placing.versions);
}

void coordinator_shards_desire_again(coordinator_shards_t *self, incarnation_t runner)
{
    for (size_t i = 0; i < self->type_count; i++) {
        const typed_shards_t *type = &self->types[i];
        for (size_t index = 0; index < self->per_group; index++) {
            const shard_t *shard = &type->items[index];
            if (shard->epoch > 0 && shard->epoch == own_epoch(self, index) &&
                incarnation_equal(shard->desired, runner)) {
                emit_desire(self, type, index);
            }
        }
    }
}

bool coordinator_shards_set_owner(coordinator_shards_t *self, const router_order_t *order,
                                  uint64_t app_version)
{
    size_t i = 0;
    size_t index = shard_id_number(order->shard) - 1u;
    while (i < self->type_count && strcmp(self->types[i].name, order->name) != 0) {
        i++;
    }
    if (i == self->type_count || self->types[i].group != shard_id_group(order->shard) ||
        index >= self->per_group || own_epoch(self, index) != order->token.home_epoch) {
        return false;
    }
    self->types[i].items[index].owner = order->runner;
    self->types[i].items[index].app_version = app_version;
    return true;
}

/* ---- for the map ---- */

size_t coordinator_shards_count(const coordinator_shards_t *self)
{
    return self->type_count * self->per_group;
}

bool coordinator_shards_at(const coordinator_shards_t *self, size_t index, const char **type,
                           shard_id_t *shard, incarnation_t *owner, uint64_t *app_version)
{
    const typed_shards_t *shards = &self->types[index / self->per_group];
    size_t number = index % self->per_group;
    uint64_t epoch = own_epoch(self, number);
    *type = shards->name;
    *shard = shard_id_make(shards->group, (uint16_t)(number + 1));
    *owner =
        shards->items[number].epoch == epoch ? shards->items[number].owner : (incarnation_t){{0}};
    *app_version = shards->items[number].app_version;
    return epoch > 0;
}
