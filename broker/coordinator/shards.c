/* Which runner should own each shard, and which does: see shards.h. */
#include "broker/coordinator/shards.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/placement.h"

typedef struct shard {
    uint64_t epoch;        /* of its lane, under which the next three are true */
    incarnation_t desired; /* the owner as the router was told to make it */
    incarnation_t owner;   /* the owner as the router has made it */
    token_t token;
} shard_t;

struct coordinator_shards {
    uint32_t per_group;
    const coordinator_lanes_t *lanes;
    coordinator_effects_t *effects;
    shard_t *items; /* at (group - 1) * per_group + number - 1 */
    size_t count;
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
    if (*shards) {
        free((*shards)->items);
        free(*shards);
        *shards = NULL;
    }
}

void coordinator_shards_take_groups(coordinator_shards_t *self,
                                    const coordinator_registry_t *registry)
{
    size_t count = coordinator_registry_group_count(registry) * self->per_group;
    if (count > self->count) {
        self->items = memory_resize(self->items, count, sizeof *self->items);
        memset(self->items + self->count, 0, (count - self->count) * sizeof *self->items);
        self->count = count;
    }
}

size_t coordinator_shards_count(const coordinator_shards_t *self)
{
    return self->count;
}

static shard_id_t id_at(const coordinator_shards_t *self, size_t index)
{
    return shard_id_make((uint16_t)(index / self->per_group + 1),
                         (uint16_t)(index % self->per_group + 1));
}

bool coordinator_shards_at(const coordinator_shards_t *self, size_t index, shard_id_t *id,
                           incarnation_t *owner)
{
    *id = id_at(self, index);
    const shard_t *shard = &self->items[index];
    const store_hold_t *lane = coordinator_lanes_of(self->lanes, *id);
    bool has_owner = shard->token.home_epoch == lane->epoch;
    *owner = has_owner ? shard->owner : (incarnation_t){{0}};
    return coordinator_lanes_are_ours(self->lanes, lane);
}

/* ---- placement ---- */

static bool brings_type(const coordinator_runner_t *runner, const char *name)
{
    for (size_t i = 0; i < runner->type_count; i++) {
        if (strcmp(runner->types[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool brings_any(const coordinator_runner_t *runner, const char *group)
{
    for (size_t i = 0; i < runner->type_count; i++) {
        if (strcmp(runner->types[i]->group, group) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether `runner` brings every type of the group that any joined runner brings. */
static bool brings_all(const coordinator_runners_t *runners, const coordinator_runner_t *runner,
                       const char *group)
{
    for (size_t i = 0; i < coordinator_runners_count(runners); i++) {
        const coordinator_runner_t *other = coordinator_runners_at(runners, i);
        for (size_t t = 0; other->joined && t < other->type_count; t++) {
            if (strcmp(other->types[t]->group, group) == 0 &&
                !brings_type(runner, other->types[t]->name)) {
                return false;
            }
        }
    }
    return true;
}

static size_t find_candidates(const coordinator_runners_t *runners, const char *group,
                              placement_member_t *candidates)
{
    size_t count = 0;
    for (size_t i = 0; i < coordinator_runners_count(runners); i++) {
        const coordinator_runner_t *runner = coordinator_runners_at(runners, i);
        if (runner->joined && brings_any(runner, group)) {
            candidates[count++] =
                (placement_member_t){.incarnation = runner->stored.incarnation,
                                     .weight = runner->stored.weight,
                                     .brings_types = brings_all(runners, runner, group)};
        }
    }
    return count;
}

static void emit_desire(coordinator_shards_t *self, size_t index)
{
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_DESIRE);
    effect->shard = id_at(self, index);
    effect->runner = self->items[index].desired;
}

/* The epoch of the shard's lane if this broker holds it, or 0. */
static uint64_t own_epoch(const coordinator_shards_t *self, size_t index)
{
    const store_hold_t *lane = coordinator_lanes_of(self->lanes, id_at(self, index));
    return coordinator_lanes_are_ours(self->lanes, lane) ? lane->epoch : 0;
}

/* The indexes of a group's shards whose lanes this broker holds, in order. What was so under an
 * earlier epoch of a lane is forgotten, as the router has. */
static size_t find_own(coordinator_shards_t *self, uint16_t group, size_t *own)
{
    size_t count = 0;
    size_t first = (size_t)(group - 1) * self->per_group;
    for (size_t i = first; i < first + self->per_group && i < self->count; i++) {
        uint64_t epoch = own_epoch(self, i);
        if (epoch > 0 && self->items[i].epoch != epoch) {
            self->items[i] = (shard_t){.epoch = epoch};
        }
        if (epoch > 0) {
            own[count++] = i;
        }
    }
    return count;
}

static void place_group(coordinator_shards_t *self, const coordinator_group_t *group,
                        const placement_member_t *candidates, size_t candidate_count)
{
    size_t *own = memory_allocate_zeroed(self->per_group, sizeof *own);
    incarnation_t *owners = memory_allocate_zeroed(self->per_group, sizeof *owners);
    size_t count = find_own(self, group->number, own);
    for (size_t i = 0; i < count; i++) {
        owners[i] = self->items[own[i]].desired;
    }
    placement_compute(candidates, candidate_count, owners, count);
    for (size_t i = 0; i < count; i++) {
        if (!incarnation_equal(owners[i], self->items[own[i]].desired)) {
            self->items[own[i]].desired = owners[i];
            emit_desire(self, own[i]);
        }
    }
    free(own);
    free(owners);
}

void coordinator_shards_place(coordinator_shards_t *self, const coordinator_registry_t *registry,
                              const coordinator_runners_t *runners)
{
    placement_member_t *candidates =
        memory_allocate_zeroed(coordinator_runners_count(runners), sizeof *candidates);
    for (size_t g = 0; g < coordinator_registry_group_count(registry); g++) {
        const coordinator_group_t *group = coordinator_registry_group_at(registry, g);
        if (coordinator_registry_group_is_used(registry, group->number)) {
            size_t count = find_candidates(runners, group->name, candidates);
            place_group(self, group, candidates, count);
        }
    }
    free(candidates);
}

void coordinator_shards_desire_again(coordinator_shards_t *self, incarnation_t runner)
{
    for (size_t i = 0; i < self->count; i++) {
        const shard_t *shard = &self->items[i];
        if (shard->epoch > 0 && shard->epoch == own_epoch(self, i) &&
            incarnation_equal(shard->desired, runner)) {
            emit_desire(self, i);
        }
    }
}

bool coordinator_shards_set_owner(coordinator_shards_t *self, shard_id_t id, incarnation_t owner,
                                  token_t token)
{
    size_t index = (size_t)(shard_id_group(id) - 1) * self->per_group + shard_id_number(id) - 1;
    if (index >= self->count || own_epoch(self, index) != token.home_epoch) {
        return false;
    }
    self->items[index].owner = owner;
    self->items[index].token = token;
    return true;
}
