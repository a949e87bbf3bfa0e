/* Shards: which of them exist, and which have this broker as their home. */
#include "broker/router/router_state.h"
#include "core/memory.h"

shard_t *shard_find(router_t *router, shard_id_t id)
{
    uint16_t group = shard_id_group(id);
    uint16_t number = shard_id_number(id);
    if (group == 0 || group > LIMIT_GROUPS_MAX || number == 0 ||
        number > router->config.shards_per_group || !router->groups[group - 1]) {
        return NULL;
    }
    return &router->groups[group - 1][number - 1];
}

/* The shard after this one, of all that this broker knows; the first one after NULL. */
static shard_t *next_shard(router_t *router, const shard_t *shard)
{
    uint32_t group = 0;
    if (shard) {
        group = shard_id_group(shard->id) - 1u;
        uint32_t number = shard_id_number(shard->id); /* the index of the one after it */
        if (number < router->config.shards_per_group) {
            return &router->groups[group][number];
        }
        group++;
    }
    while (group < LIMIT_GROUPS_MAX && !router->groups[group]) {
        group++;
    }
    return group < LIMIT_GROUPS_MAX ? router->groups[group] : NULL;
}

shard_t *shards_next_of_lane(router_t *router, uint32_t lane, const shard_t *shard)
{
    shard_t *next = next_shard(router, shard);
    while (next && lane_number(router, next->id) != lane) {
        next = next_shard(router, next);
    }
    return next;
}

bool shard_serves(const router_t *router, const shard_t *shard)
{
    return lane_of((router_t *)router, shard->id)->state == LANE_HOME && router_is_leased(router);
}

bool shard_waits_for_store(router_t *router, shard_id_t shard)
{
    const router_lane_t *lane = lane_of(router, shard);
    bool serves = lane->batches.available && request_ids_are_reserved(router, (request_id_t){0});
    return lane->state != LANE_FOREIGN && !serves && !router_other_home(router, shard);
}

void shards_add_group(router_t *router, uint16_t group)
{
    if (group == 0 || group > LIMIT_GROUPS_MAX || router->groups[group - 1]) {
        return;
    }
    shard_t *shards = memory_allocate_zeroed(router->config.shards_per_group, sizeof *shards);
    router->groups[group - 1] = shards;
    for (uint32_t i = 0; i < router->config.shards_per_group; i++) {
        shards[i].id = shard_id_make(group, (uint16_t)(i + 1));
        lane_state_t state = lane_of(router, shards[i].id)->state;
        if (state == LANE_HOME || state == LANE_LEAVING) {
            shard_begin_home(router, &shards[i]);
        }
    }
}

void shard_begin_home(router_t *router, shard_t *shard)
{
    shard->epoch = lane_of(router, shard->id)->epoch;
    shard->owner_sequence = 0;
}

void shard_end_home(shard_t *shard)
{
    shard->epoch = 0;
}

token_t shard_next_token(shard_t *shard)
{
    return (token_t){shard->epoch, ++shard->owner_sequence};
}

void shards_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_GROUPS_MAX; i++) {
        free(router->groups[i]);
    }
}
