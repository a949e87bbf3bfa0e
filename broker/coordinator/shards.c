/* The coordinator's core: homes as the store has them, and which runner should own each shard. */
#include "broker/coordinator/coordinator_state.h"

#include <assert.h>
#include <stdlib.h>

#include "core/placement.h"

held_shard_t *coordinator_shard(coordinator_t *c, shard_id_t shard)
{
    uint32_t group = shard_id_group(shard);
    uint32_t number = shard_id_number(shard);
    uint32_t per_group = c->config.shards_per_group;
    if (group < 1 || group > LIMIT_GROUPS_MAX || number < 1 || number > per_group) {
        return NULL;
    }
    size_t room = (size_t)group * per_group;
    if (room > c->shard_room) {
        c->shards = realloc(c->shards, room * sizeof *c->shards);
        if (!c->shards) {
            abort();
        }
        memset(c->shards + c->shard_room, 0, (room - c->shard_room) * sizeof *c->shards);
        c->shard_room = room;
    }
    return &c->shards[(size_t)(group - 1) * per_group + number - 1];
}

static bool is_ours(const coordinator_t *c, const held_shard_t *shard)
{
    assert(shard);
    return shard->known && incarnation_equal(shard->stored.home, c->config.incarnation);
}

static bool is_announced(const coordinator_t *c, const held_shard_t *shard)
{
    return is_ours(c, shard) && shard->announced_epoch == shard->stored.home_epoch;
}

void coordinator_take_shards(coordinator_t *c, const coordinator_results_t *results)
{
    for (size_t i = 0; i < results->shard_count; i++) {
        held_shard_t *shard = coordinator_shard(c, results->shards[i].shard);
        if (!shard) {
            continue; /* a damaged row: no entity can be in it */
        }
        shard->known = true;
        shard->stored = results->shards[i];
        if (shard->announced_epoch != 0 && !is_announced(c, shard)) {
            coordinator_fence(c); /* only a fenced broker loses homes */
            return;
        }
    }
    c->shards_read = true;
    coordinator_announce_homes(c);
    coordinator_map_sync(c);
}

bool coordinator_homes_missing(const coordinator_t *c)
{
    for (size_t i = 0; i < c->shard_room; i++) {
        if (c->shards[i].known && !coordinator_is_member(c, c->shards[i].stored.home)) {
            return true;
        }
    }
    return false;
}

void coordinator_announce_homes(coordinator_t *c)
{
    if (c->loading || c->fenced) {
        return;
    }
    store_shard_t *homes = calloc(c->shard_room + 1, sizeof *homes);
    if (!homes) {
        abort();
    }
    size_t count = 0;
    bool scan = false;
    uint64_t from = UINT64_MAX;
    for (size_t i = 0; i < c->shard_room; i++) {
        held_shard_t *shard = &c->shards[i];
        if (!is_ours(c, shard) || is_announced(c, shard)) {
            continue;
        }
        homes[count++] = shard->stored;
        shard->announced_epoch = shard->stored.home_epoch;
        shard->token = (token_t){shard->stored.home_epoch, 0};
        /* In its first epoch a shard has had no home but us: there is nothing to load. */
        if (shard->stored.home_epoch > 1) {
            scan = true;
            from = shard->stored.mark < from ? shard->stored.mark : from;
        }
    }
    if (count == 0) {
        free(homes);
        return;
    }
    c->loading = true;
    coordinator_effect_t *effect = coordinator_emit(c, COORDINATOR_HOMES);
    effect->shards = homes;
    effect->shard_count = count;
    effect->scan = scan;
    effect->from.value = scan ? from : 0;
    coordinator_place(c);
}

/* ---- placement ---- */

static const type_description_t *runner_type(const member_runner_t *runner, const char *name)
{
    for (size_t i = 0; i < runner->type_count; i++) {
        if (strcmp(runner->types[i]->name, name) == 0) {
            return runner->types[i];
        }
    }
    return NULL;
}

static bool brings_any(const member_runner_t *runner, const char *group)
{
    for (size_t i = 0; i < runner->type_count; i++) {
        if (strcmp(runner->types[i]->group, group) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether `runner` brings every type of the group that any joined runner brings. */
static bool brings_all(const coordinator_t *c, const member_runner_t *runner, const char *group)
{
    for (size_t i = 0; i < c->runner_count; i++) {
        const member_runner_t *other = c->runners[i];
        for (size_t t = 0; other->joined && t < other->type_count; t++) {
            if (strcmp(other->types[t]->group, group) == 0 &&
                !runner_type(runner, other->types[t]->name)) {
                return false;
            }
        }
    }
    return true;
}

static size_t find_members(const coordinator_t *c, const char *group, placement_member_t *members)
{
    size_t count = 0;
    for (size_t i = 0; i < c->runner_count; i++) {
        const member_runner_t *runner = c->runners[i];
        if (runner->joined && brings_any(runner, group)) {
            members[count++] = (placement_member_t){.incarnation = runner->stored.incarnation,
                                                    .weight = runner->stored.weight,
                                                    .brings_types = brings_all(c, runner, group)};
        }
    }
    return count;
}

static void desire(coordinator_t *c, const held_shard_t *shard)
{
    coordinator_effect_t *effect = coordinator_emit(c, COORDINATOR_DESIRE);
    effect->shard = shard->stored.shard;
    effect->runner = shard->desired;
}

static void place_group(coordinator_t *c, const coordinator_group_t *group,
                        placement_member_t *members, incarnation_t *owners)
{
    size_t member_count = find_members(c, group->name, members);
    size_t count = 0;
    for (int apply = 0; apply < 2; apply++) {
        count = 0;
        for (uint32_t n = 1; n <= c->config.shards_per_group; n++) {
            held_shard_t *shard = coordinator_shard(c, shard_id_make(group->number, (uint16_t)n));
            if (!is_announced(c, shard)) {
                continue;
            }
            if (apply == 0) {
                owners[count] = shard->desired;
            } else if (!incarnation_equal(owners[count], shard->desired)) {
                shard->desired = owners[count];
                desire(c, shard);
            }
            count++;
        }
        if (apply == 0) {
            placement_compute(members, member_count, owners, count);
        }
    }
}

void coordinator_place(coordinator_t *c)
{
    placement_member_t *members = calloc(c->runner_count + 1, sizeof *members);
    incarnation_t *owners = calloc(c->config.shards_per_group, sizeof *owners);
    if (!members || !owners) {
        abort();
    }
    for (size_t i = 0; i < c->group_count; i++) {
        place_group(c, &c->groups[i], members, owners);
    }
    free(members);
    free(owners);
}

void coordinator_desire_again(coordinator_t *c, incarnation_t runner)
{
    for (size_t i = 0; i < c->shard_room; i++) {
        if (is_announced(c, &c->shards[i]) && incarnation_equal(c->shards[i].desired, runner)) {
            desire(c, &c->shards[i]);
        }
    }
}
