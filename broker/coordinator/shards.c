/* Homes as the store has them, and which runner should own each shard: see shards.h. */
#include "broker/coordinator/shards.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/placement.h"

struct coordinator_shards {
    incarnation_t self;
    uint32_t per_group;
    coordinator_effects_t *effects;
    coordinator_shard_t *items; /* at (group - 1) * per_group + number - 1 */
    size_t count;
    bool read;
    bool loading;
};

coordinator_shards_t *coordinator_shards_new(incarnation_t self_incarnation,
                                             uint32_t shards_per_group,
                                             coordinator_effects_t *effects)
{
    coordinator_shards_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->self = self_incarnation;
    self->per_group = shards_per_group;
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

size_t coordinator_shards_count(const coordinator_shards_t *self)
{
    return self->count;
}

const coordinator_shard_t *coordinator_shards_at(const coordinator_shards_t *self, size_t index)
{
    return &self->items[index];
}

/* The place of a shard, made where it is missing. NULL: no shard has this id. */
static coordinator_shard_t *place_of(coordinator_shards_t *self, shard_id_t shard)
{
    uint32_t group = shard_id_group(shard);
    uint32_t number = shard_id_number(shard);
    if (group < 1 || group > LIMIT_GROUPS_MAX || number < 1 || number > self->per_group) {
        return NULL;
    }
    size_t count = (size_t)group * self->per_group;
    if (count > self->count) {
        self->items = memory_resize(self->items, count, sizeof *self->items);
        memset(self->items + self->count, 0, (count - self->count) * sizeof *self->items);
        self->count = count;
    }
    return &self->items[(size_t)(group - 1) * self->per_group + number - 1];
}

/* ---- homes ---- */

static bool is_ours(const coordinator_shards_t *self, const coordinator_shard_t *shard)
{
    return shard->known && incarnation_equal(shard->stored.home, self->self);
}

static bool is_announced(const coordinator_shards_t *self, const coordinator_shard_t *shard)
{
    return is_ours(self, shard) && shard->announced_epoch == shard->stored.home_epoch;
}

bool coordinator_shards_take(coordinator_shards_t *self, const store_shard_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        coordinator_shard_t *shard = place_of(self, list[i].shard);
        if (!shard) {
            continue; /* a damaged row: no entity can be in it */
        }
        shard->known = true;
        shard->stored = list[i];
        if (shard->announced_epoch != 0 && !is_announced(self, shard)) {
            return false;
        }
    }
    self->read = true;
    return true;
}

bool coordinator_shards_are_read(const coordinator_shards_t *self)
{
    return self->read;
}

void coordinator_shards_begin_term(coordinator_shards_t *self)
{
    self->read = false;
}

bool coordinator_shards_miss_homes(const coordinator_shards_t *self,
                                   const coordinator_members_t *members)
{
    for (size_t i = 0; i < self->count; i++) {
        const coordinator_shard_t *shard = &self->items[i];
        if (shard->known && !coordinator_members_has(members, shard->stored.home)) {
            return true;
        }
    }
    return false;
}

/* In its first epoch a shard has had no other home: there is nothing to load. */
static bool has_past(const store_shard_t *shard)
{
    return shard->home_epoch > 1;
}

static void emit_homes(coordinator_shards_t *self, store_shard_t *homes, size_t count)
{
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_HOMES);
    effect->shards = homes;
    effect->shard_count = count;
    for (size_t i = 0; i < count; i++) {
        if (has_past(&homes[i]) && (!effect->scan || homes[i].mark < effect->from.value)) {
            effect->scan = true;
            effect->from.value = homes[i].mark;
        }
    }
}

bool coordinator_shards_announce(coordinator_shards_t *self)
{
    if (self->loading) {
        return false;
    }
    store_shard_t *homes = memory_allocate_zeroed(self->count, sizeof *homes);
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        coordinator_shard_t *shard = &self->items[i];
        if (is_ours(self, shard) && !is_announced(self, shard)) {
            homes[count++] = shard->stored;
            shard->announced_epoch = shard->stored.home_epoch;
            shard->token = (token_t){shard->stored.home_epoch, 0};
        }
    }
    if (count == 0) {
        free(homes);
        return false;
    }
    self->loading = true;
    emit_homes(self, homes, count);
    return true;
}

bool coordinator_shards_are_loading(const coordinator_shards_t *self)
{
    return self->loading;
}

void coordinator_shards_loaded(coordinator_shards_t *self)
{
    self->loading = false;
}

/* ---- owners ---- */

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

static void emit_desire(coordinator_shards_t *self, const coordinator_shard_t *shard)
{
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_DESIRE);
    effect->shard = shard->stored.shard;
    effect->runner = shard->desired;
}

/* The announced shards of a group, in the order of their numbers. */
static size_t find_announced(coordinator_shards_t *self, uint16_t group,
                             coordinator_shard_t **announced)
{
    size_t count = 0;
    size_t first = (size_t)(group - 1) * self->per_group;
    for (size_t i = first; i < first + self->per_group && i < self->count; i++) {
        if (is_announced(self, &self->items[i])) {
            announced[count++] = &self->items[i];
        }
    }
    return count;
}

void coordinator_shards_place(coordinator_shards_t *self, const coordinator_registry_t *registry,
                              const coordinator_runners_t *runners)
{
    placement_member_t *candidates =
        memory_allocate_zeroed(coordinator_runners_count(runners), sizeof *candidates);
    coordinator_shard_t **announced =
        memory_allocate_zeroed(self->per_group, sizeof(coordinator_shard_t *));
    incarnation_t *owners = memory_allocate_zeroed(self->per_group, sizeof *owners);
    for (size_t g = 0; g < coordinator_registry_group_count(registry); g++) {
        const coordinator_group_t *group = coordinator_registry_group_at(registry, g);
        size_t candidate_count = find_candidates(runners, group->name, candidates);
        size_t count = find_announced(self, group->number, announced);
        for (size_t i = 0; i < count; i++) {
            owners[i] = announced[i]->desired;
        }
        placement_compute(candidates, candidate_count, owners, count);
        for (size_t i = 0; i < count; i++) {
            if (!incarnation_equal(owners[i], announced[i]->desired)) {
                announced[i]->desired = owners[i];
                emit_desire(self, announced[i]);
            }
        }
    }
    free(candidates);
    free(announced);
    free(owners);
}

void coordinator_shards_desire_again(coordinator_shards_t *self, incarnation_t runner)
{
    for (size_t i = 0; i < self->count; i++) {
        coordinator_shard_t *shard = &self->items[i];
        if (is_announced(self, shard) && incarnation_equal(shard->desired, runner)) {
            emit_desire(self, shard);
        }
    }
}

const coordinator_shard_t *coordinator_shards_set_owner(coordinator_shards_t *self, shard_id_t id,
                                                        incarnation_t owner, token_t token)
{
    coordinator_shard_t *shard = place_of(self, id);
    if (!shard || !shard->known) {
        return NULL;
    }
    shard->owner = owner;
    shard->token = token;
    return shard;
}
