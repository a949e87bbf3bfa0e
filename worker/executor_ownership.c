/* The ownerships of an executor: see executor_ownership_state.h. */
#include "worker/executor_ownership_state.h"

#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

#include "core/memory.h"
#include "core/state_machine.h"
#include "worker/executor_entity_state.h"

static const state_description_t ownership_states[] = {
    [OWNERSHIP_CURRENT] = {"current",
                           STATE_BIT(OWNERSHIP_STOPPING) | STATE_BIT(OWNERSHIP_REPLACED)},
    [OWNERSHIP_STOPPING] = {"stopping", STATE_BIT(OWNERSHIP_REPLACED)},
    [OWNERSHIP_REPLACED] = {"replaced", 0},
};
static const state_machine_t ownership_machine = {"ownership", ownership_states, 3};

static void set_state(ownership_t *ownership, ownership_state_t state)
{
    state_machine_check(&ownership_machine, ownership->state, state);
    ownership->state = state;
}

ownership_t *ownership_find(const ownership_table_t *table, shard_id_t shard)
{
    ownership_t *ownership = NULL;
    HASH_FIND(hh, table->by_shard, &shard.value, sizeof shard.value, ownership);
    return ownership;
}

static void begin_stopping(ownership_table_t *table, ownership_t *ownership,
                           ownership_state_t state, uint64_t deadline_ms, uint64_t given)
{
    set_state(ownership, state);
    ownership->deadline_ms = deadline_ms;
    ownership->stop_after = given;
    LL_PREPEND2(table->stopping, ownership, stopping_next);
}

static void replace(ownership_table_t *table, ownership_t *old, uint64_t given)
{
    HASH_DEL(table->by_shard, old);
    if (old->state == OWNERSHIP_CURRENT) {
        begin_stopping(table, old, OWNERSHIP_REPLACED, 0, given);
    } else {
        set_state(old, OWNERSHIP_REPLACED);
    }
}

void ownership_begin(ownership_table_t *table, const work_t *order, uint64_t given)
{
    ownership_t *old = ownership_find(table, order->shard);
    if (old) {
        replace(table, old, given);
    }
    ownership_t *ownership = (ownership_t *)memory_allocate_zeroed(1, sizeof *ownership);
    ownership->shard = order->shard;
    ownership->token = order->token;
    ownership->source = order->source;
    ownership->lease = order->lease;
    HASH_ADD(hh, table->by_shard, shard.value, sizeof ownership->shard.value, ownership);
}

void ownership_stop(ownership_table_t *table, const work_t *order, uint64_t given)
{
    ownership_t *ownership = ownership_find(table, order->shard);
    if (!ownership || !token_equal(ownership->token, order->token)) {
        return;
    }
    if (ownership->state == OWNERSHIP_CURRENT) {
        begin_stopping(table, ownership, OWNERSHIP_STOPPING, order->deadline_ms, given);
    } else if (order->deadline_ms < ownership->deadline_ms) {
        ownership->deadline_ms = order->deadline_ms;
    }
}

void ownership_end(ownership_table_t *table, ownership_t *ownership)
{
    assert(ownership->state != OWNERSHIP_CURRENT && !ownership->entities && !ownership->busy);
    if (ownership->state == OWNERSHIP_STOPPING) {
        HASH_DEL(table->by_shard, ownership);
    }
    LL_DELETE2(table->stopping, ownership, stopping_next);
    free(ownership);
}

uint64_t ownership_next_deadline(const ownership_table_t *table)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (const ownership_t *ownership = table->stopping; ownership;
         ownership = ownership->stopping_next) {
        if (ownership->busy && ownership->deadline_ms < deadline_ms) {
            deadline_ms = ownership->deadline_ms;
        }
    }
    return deadline_ms;
}

void ownership_table_free(ownership_table_t *table)
{
    ownership_t *ownership, *next;
    LL_FOREACH_SAFE2(table->stopping, ownership, next, stopping_next)
    {
        if (ownership->state == OWNERSHIP_REPLACED) {
            free(ownership);
        }
    }
    HASH_ITER(hh, table->by_shard, ownership, next)
    {
        HASH_DEL(table->by_shard, ownership);
        free(ownership);
    }
}

static entity_t **list_of(ownership_t *ownership, const entity_t *entity)
{
    return entity->state == ENTITY_PENDING ? &ownership->busy : &ownership->entities;
}

void ownership_add_entity(ownership_t *ownership, entity_t *entity)
{
    entity_t **list = list_of(ownership, entity);
    DL_APPEND2(*list, entity, ownership_previous, ownership_next);
    entity->ownership = ownership;
}

void ownership_remove_entity(entity_t *entity)
{
    if (entity->ownership) {
        entity_t **list = list_of(entity->ownership, entity);
        DL_DELETE2(*list, entity, ownership_previous, ownership_next);
        entity->ownership = NULL;
    }
}

void ownership_count_waiting(ownership_t *ownership, int change)
{
    ownership->waiting += (uint64_t)(int64_t)change;
}
