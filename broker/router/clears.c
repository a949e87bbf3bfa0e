/* Clears of a lane: see clears_state.h. What they do is in clearing.c. */
#include "broker/router/clears_state.h"

#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

/* ---- which messages ---- */

static bool is_named(const entity_clear_t *clear, fabric_bytes_t type, fabric_bytes_t entity)
{
    return clear->type.size == 0 || type.size == 0 ||
           (fabric_bytes_equal(clear->type, type) && fabric_bytes_equal(clear->entity, entity));
}

bool clear_covers(const entity_clear_t *clear, const message_t *message)
{
    return message->entity_hash == clear->entity_hash &&
           message->stored.id.value < clear->id.value &&
           is_named(clear, message->stored.type, message->stored.entity);
}

bool clears_cover(const lane_clears_t *clears, uint64_t entity_hash, fabric_bytes_t type,
                  fabric_bytes_t entity, request_id_t id)
{
    for (const entity_clear_t *clear = clears->first; clear; clear = clear->next) {
        if (clear->stage != CLEAR_WAITS && clear->entity_hash == entity_hash &&
            id.value < clear->id.value && is_named(clear, type, entity)) {
            return true;
        }
    }
    return false;
}

/* ---- the list ---- */

static entity_clear_t *clear_new(request_id_t id, shard_id_t shard, uint64_t entity_hash,
                                 fabric_bytes_t type, fabric_bytes_t entity)
{
    entity_clear_t *clear = memory_allocate_zeroed(1, sizeof *clear + type.size + entity.size);
    *clear = (entity_clear_t){.id = id, .shard = shard, .entity_hash = entity_hash};
    if (type.size > 0) {
        memcpy(clear->names, type.data, type.size);
        memcpy(clear->names + type.size, entity.data, entity.size);
    }
    clear->type = fabric_bytes(clear->names, type.size);
    clear->entity = fabric_bytes(clear->names + type.size, entity.size);
    return clear;
}

entity_clear_t *clears_add(lane_clears_t *clears, request_id_t id, shard_id_t shard,
                           uint64_t entity_hash, fabric_bytes_t type, fabric_bytes_t entity)
{
    entity_clear_t *clear = clear_new(id, shard, entity_hash, type, entity);
    clears->count++;
    LL_APPEND(clears->first, clear);
    return clear;
}

entity_clear_t *clears_find(const lane_clears_t *clears, request_id_t id)
{
    entity_clear_t *clear = clears->first;
    while (clear && clear->id.value != id.value) {
        clear = clear->next;
    }
    return clear;
}

/* ---- instances ---- */

bool clear_tell_owner(router_t *router, entity_clear_t *clear, const ownership_t *ownership)
{
    if (!ownership || !ownership->owner || !ownership->owner->peer || clear->type.size == 0) {
        return false;
    }
    message_interrupt_t interrupt = {
        .shard = clear->shard.value,
        .home_epoch = ownership->token.home_epoch,
        .owner_sequence = ownership->token.owner_sequence,
        .request_id = INTERRUPT_INSTANCE,
        .type = clear->type,
        .id = clear->entity,
    };
    message_put_interrupt(peer_writer(router, ownership->owner->peer), &interrupt);
    clear->tell_until_ms = 0;
    return true;
}

void clears_owned(router_t *router, const ownership_t *ownership)
{
    entity_clear_t *clear = lane_of(router, ownership->shard->id)->clears.first;
    for (; clear; clear = clear->next) {
        if (clear->tell_until_ms > 0 && clear->stage != CLEAR_WAITS &&
            clear->shard.value == ownership->shard->id.value &&
            fabric_bytes_equal(clear->type, ownership_type(ownership))) {
            (void)clear_tell_owner(router, clear, ownership);
        }
    }
}

/* ---- rows ---- */

void clears_checkpoint_begins(lane_clears_t *clears)
{
    for (entity_clear_t *clear = clears->first; clear; clear = clear->next) {
        clear->stage = clear->stage == CLEAR_NOTED ? CLEAR_TAKEN : clear->stage;
    }
}

const entity_clear_t *clears_next(const lane_clears_t *clears)
{
    const entity_clear_t *clear = clears->first;
    while (clear && clear->stage != CLEAR_TAKEN) {
        clear = clear->next;
    }
    return clear;
}

void clear_rows_deleted(const router_lane_t *lane, entity_clear_t *clear)
{
    clear->stage = CLEAR_DELETED;
    clear->reads = reads_under_way(lane);
}

static bool is_over(const router_t *router, router_lane_t *lane, const entity_clear_t *clear)
{
    return clear->stage == CLEAR_DELETED && !clear->has_ghosts &&
           clear->tell_until_ms <= router->now_ms && reads_are_over(lane, &clear->reads);
}

void clears_read(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    entity_clear_t *clear, *next;
    LL_FOREACH_SAFE(lane->clears.first, clear, next)
    {
        if (is_over(router, lane, clear)) {
            LL_DELETE(lane->clears.first, clear);
            lane->clears.count--;
            free(clear);
        }
    }
}

/* ---- lanes ---- */

void clears_adopt(router_t *router, const adoption_t *adoption)
{
    router_lane_t *lane = &router->lanes[adoption->hold.lane];
    for (size_t i = 0; i < adoption->clear_count; i++) {
        const adopted_clear_t *from = &adoption->clears[i];
        entity_clear_t *clear = clears_add(&lane->clears, from->id, from->shard, from->entity_hash,
                                           from->type, from->entity);
        clear->stage = CLEAR_NOTED;
        clear->tell_until_ms = router->now_ms + router->config.lease_ms;
    }
}

static void free_all(entity_clear_t **first)
{
    entity_clear_t *clear, *next;
    LL_FOREACH_SAFE(*first, clear, next)
    {
        free(clear);
    }
    *first = NULL;
}

void clears_forget(router_lane_t *lane)
{
    LL_CONCAT(lane->clears.dropped, lane->clears.first);
    lane->clears.first = NULL;
    lane->clears.count = 0;
    if (!lane->batches.running) {
        free_all(&lane->clears.dropped);
    }
}

void clears_batch_done(lane_clears_t *clears)
{
    free_all(&clears->dropped);
}

void clears_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        free_all(&router->lanes[i].clears.first);
        free_all(&router->lanes[i].clears.dropped);
    }
}
