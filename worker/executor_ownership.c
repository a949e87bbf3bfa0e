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
                           STATE_BIT(OWNERSHIP_ORPHANED) | STATE_BIT(OWNERSHIP_STOPPING)},
    [OWNERSHIP_ORPHANED] = {"orphaned",
                            STATE_BIT(OWNERSHIP_RESUMING) | STATE_BIT(OWNERSHIP_STOPPING)},
    [OWNERSHIP_RESUMING] = {"resuming",
                            STATE_BIT(OWNERSHIP_CURRENT) | STATE_BIT(OWNERSHIP_STOPPING)},
    [OWNERSHIP_STOPPING] = {"stopping", 0},
};
static const state_machine_t ownership_machine = {"ownership", ownership_states, 4};

static void set_state(ownership_t *ownership, ownership_state_t state)
{
    state_machine_check(&ownership_machine, ownership->state, state);
    ownership->state = state;
}

ownership_t *ownership_find(const ownership_table_t *table, uint64_t shard, token_t token)
{
    ownership_key_t key = {shard, token};
    ownership_t *ownership = NULL;
    HASH_FIND(hh, table->by_key, &key, sizeof key, ownership);
    return ownership;
}

void ownership_begin(ownership_table_t *table, const work_t *order)
{
    ownership_t *ownership = (ownership_t *)memory_allocate_zeroed(1, sizeof *ownership);
    ownership->key = (ownership_key_t){order->shard.value, order->token};
    ownership->source = order->source;
    ownership->lease = order->lease;
    HASH_ADD(hh, table->by_key, key, sizeof ownership->key, ownership);
}

void ownership_stop(ownership_table_t *table, const work_t *order, uint64_t given)
{
    ownership_t *ownership = ownership_find(table, order->shard.value, order->token);
    if (!ownership) {
        return;
    }
    if (ownership->state != OWNERSHIP_STOPPING) {
        set_state(ownership, OWNERSHIP_STOPPING);
        ownership->deadline_ms = order->deadline_ms;
        ownership->stop_after = given;
        LL_PREPEND2(table->stopping, ownership, stopping_next);
    } else if (order->deadline_ms < ownership->deadline_ms) {
        ownership->deadline_ms = order->deadline_ms;
    }
}

void ownership_orphan(ownership_table_t *table, const work_t *order)
{
    ownership_t *ownership = ownership_find(table, order->shard.value, order->token);
    assert(ownership);
    set_state(ownership, OWNERSHIP_ORPHANED);
}

void ownership_resume(ownership_table_t *table, const work_t *order)
{
    ownership_t *ownership = ownership_find(table, order->shard.value, order->former);
    assert(ownership);
    set_state(ownership, OWNERSHIP_RESUMING);
    HASH_DEL(table->by_key, ownership);
    ownership->key.token = order->token;
    ownership->source = order->source;
    ownership->lease = order->lease;
    ownership->resumed = true;
    HASH_ADD(hh, table->by_key, key, sizeof ownership->key, ownership);
}

void ownership_take_kept(ownership_table_t *table, const work_t *order)
{
    ownership_t *ownership = ownership_find(table, order->shard.value, order->token);
    if (ownership && ownership->state == OWNERSHIP_RESUMING) {
        kept_results_add_sent(&ownership->kept, wire_writer_bytes(&order->kept),
                              order->deadline_ms);
        set_state(ownership, OWNERSHIP_CURRENT);
    }
}

void ownership_end(ownership_table_t *table, ownership_t *ownership)
{
    assert(ownership->state == OWNERSHIP_STOPPING && !ownership->entities && !ownership->busy);
    kept_results_clear(&ownership->kept);
    HASH_DEL(table->by_key, ownership);
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
    HASH_ITER(hh, table->by_key, ownership, next)
    {
        HASH_DEL(table->by_key, ownership);
        kept_results_clear(&ownership->kept);
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
