/* The entities of an executor: making, starting, stopping, and the queue of each. */
#include "worker/executor_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Doubly linked lists whose head's `previous` is the tail, as in utlist.h, over the entity's two
 * pairs of links. */
#include <utlist.h>

static const type_entry_t *entity_type(const executor_t *executor, const entity_t *entity)
{
    return type_table_at(executor->types, entity_type_index(entity));
}

static size_t key_make(uint8_t key[2 + LIMIT_NAME_BYTES_MAX], const type_entry_t *type,
                       fabric_bytes_t id)
{
    assert(id.size >= 1 && id.size <= LIMIT_NAME_BYTES_MAX);
    key[0] = (uint8_t)(type->index & 0xff);
    key[1] = (uint8_t)(type->index >> 8);
    memcpy(key + 2, id.data, id.size);
    return 2 + id.size;
}

entity_t *entity_find(executor_t *executor, const type_entry_t *type, fabric_bytes_t id)
{
    uint8_t key[2 + LIMIT_NAME_BYTES_MAX];
    size_t size = key_make(key, type, id);
    entity_t *entity = NULL;
    HASH_FIND(hh, executor->entities, key, size, entity);
    return entity;
}

static void idle_add(executor_t *executor, entity_t *entity, uint64_t check_ms)
{
    entity_t **list = &executor->idle[entity_type_index(entity)];
    entity->check_ms = check_ms;
    DL_APPEND2(*list, entity, idle_previous, idle_next);
    if (check_ms < executor->sweep_ms) {
        executor->sweep_ms = check_ms;
    }
}

static void idle_remove(executor_t *executor, entity_t *entity)
{
    DL_DELETE2(executor->idle[entity_type_index(entity)], entity, idle_previous, idle_next);
}

static uint64_t entity_bytes(const executor_t *executor, const entity_t *entity)
{
    return entity_state_offset(entity->id_size) + entity_type(executor, entity)->type->state_size;
}

entity_t *entity_make(executor_t *executor, const type_entry_t *type, fabric_bytes_t id)
{
    size_t offset = entity_state_offset(id.size);
    entity_t *entity = (entity_t *)malloc(offset + type->type->state_size);
    if (!entity) {
        abort();
    }
    memset(entity, 0, sizeof *entity);
    entity->id_size = (uint8_t)id.size;
    size_t size = key_make(entity->key, type, id);
    entity->used_ms = executor->now_ms;
    HASH_ADD_KEYPTR(hh, executor->entities, entity->key, size, entity);
    idle_add(executor, entity, executor->now_ms + type->idle_ms);
    count_add(&executor->live, 1);
    count_add(&executor->bytes, entity_bytes(executor, entity));
    return entity;
}

void *entity_state(const executor_t *executor, entity_t *entity)
{
    return entity_type(executor, entity)->type->state_size > 0
               ? (uint8_t *)entity + entity_state_offset(entity->id_size)
               : NULL;
}

bool entity_start(executor_t *executor, entity_t *entity)
{
    const fabric_entity_type_t *type = entity_type(executor, entity)->type;
    void *state = entity_state(executor, entity);
    if (state) {
        memset(state, 0, type->state_size);
    }
    entity->started = !type->start || type->start(state, entity_id(entity));
    return entity->started;
}

void entity_stop(executor_t *executor, entity_t *entity)
{
    if (!entity->started) {
        return;
    }
    entity->started = false;
    const fabric_entity_type_t *type = entity_type(executor, entity)->type;
    if (type->stop) {
        type->stop(entity_state(executor, entity), entity_id(entity));
    }
}

static void ownership_leave(entity_t *entity)
{
    if (entity->ownership) {
        entity_t **list = entity->pending ? &entity->ownership->busy : &entity->ownership->entities;
        DL_DELETE2(*list, entity, ownership_previous, ownership_next);
        entity->ownership = NULL;
    }
}

void entity_enter(executor_t *executor, entity_t *entity, ownership_t *ownership)
{
    assert(!entity->pending);
    if (entity->ownership == ownership) {
        return;
    }
    entity_stop(executor, entity);
    ownership_leave(entity);
    entity->failed = false;
    entity->ownership = ownership;
    DL_APPEND2(ownership->entities, entity, ownership_previous, ownership_next);
}

void entity_set_pending(entity_t *entity, fabric_pending_t *pending)
{
    ownership_t *ownership = entity->ownership;
    assert(ownership && !entity->pending != !pending);
    ownership_leave(entity);
    entity->pending = pending;
    entity->ownership = ownership;
    entity_t **list = pending ? &ownership->busy : &ownership->entities;
    DL_APPEND2(*list, entity, ownership_previous, ownership_next);
}

void entity_free(executor_t *executor, entity_t *entity)
{
    assert(!entity->first && !entity->queued);
    count_add(&executor->bytes, -entity_bytes(executor, entity));
    count_add(&executor->live, UINT64_MAX);
    ownership_leave(entity);
    idle_remove(executor, entity);
    HASH_DEL(executor->entities, entity);
    free(entity);
}

void entity_end(executor_t *executor, entity_t *entity)
{
    assert(!entity->pending);
    entity_stop(executor, entity);
    ownership_leave(entity);
    if (entity->queued) {
        return;
    }
    if (entity->first) {
        entity_queue_add(&executor->ready, entity);
    } else {
        entity_free(executor, entity);
    }
}

static fabric_bytes_t copy_view(uint8_t **place, fabric_bytes_t view)
{
    if (view.size > 0) {
        memcpy(*place, view.data, view.size);
    }
    fabric_bytes_t copy = fabric_bytes(*place, view.size);
    *place += view.size;
    return copy;
}

void entity_enqueue(executor_t *executor, entity_t *entity, ownership_t *ownership,
                    const message_deliver_t *delivery)
{
    size_t size = delivery->type.size + delivery->id.size + delivery->tag.size +
                  delivery->payload.size + delivery->traceparent.size + delivery->headers.size;
    waiting_t *waiting = (waiting_t *)malloc(sizeof *waiting + size);
    if (!waiting) {
        abort();
    }
    uint8_t *place = (uint8_t *)(waiting + 1);
    *waiting = (waiting_t){.ownership = ownership, .delivery = *delivery};
    waiting->delivery.type = copy_view(&place, delivery->type);
    waiting->delivery.id = copy_view(&place, delivery->id);
    waiting->delivery.tag = copy_view(&place, delivery->tag);
    waiting->delivery.payload = copy_view(&place, delivery->payload);
    waiting->delivery.traceparent = copy_view(&place, delivery->traceparent);
    waiting->delivery.headers = copy_view(&place, delivery->headers);
    ownership->waiting++;
    if (!(delivery->flags & REQUEST_DURABLE)) {
        entity->volatile_waiting++;
    }
    if (entity->first) {
        entity->last->next = waiting;
    } else {
        entity->first = waiting;
    }
    entity->last = waiting;
    if (!entity->pending && !entity->queued) {
        entity_queue_add(&executor->ready, entity);
    }
}

void entity_queue_add(entity_queue_t *queue, entity_t *entity)
{
    assert(!entity->queued);
    entity->queued = true;
    entity->ready_next = NULL;
    if (queue->first) {
        queue->last->ready_next = entity;
    } else {
        queue->first = entity;
    }
    queue->last = entity;
}

entity_t *entity_queue_take(entity_queue_t *queue)
{
    entity_t *entity = queue->first;
    if (entity) {
        queue->first = entity->ready_next;
        entity->ready_next = NULL;
        entity->queued = false;
    }
    return entity;
}

/* For how long an unused entity is kept. */
static uint64_t keep_ms(const executor_t *executor, const entity_t *entity)
{
    uint64_t idle_ms = entity_type(executor, entity)->idle_ms;
    return entity->failed && idle_ms < EXECUTOR_DEFECT_MEMORY_MS ? EXECUTOR_DEFECT_MEMORY_MS
                                                                 : idle_ms;
}

static void sweep_one(executor_t *executor, entity_t *entity)
{
    uint64_t idle_ms = keep_ms(executor, entity);
    if (entity->pending || entity->first || entity->queued) {
        idle_remove(executor, entity);
        idle_add(executor, entity, executor->now_ms + idle_ms);
    } else if (executor->now_ms - entity->used_ms < idle_ms) {
        idle_remove(executor, entity);
        idle_add(executor, entity, entity->used_ms + idle_ms);
    } else {
        entity_end(executor, entity);
    }
}

bool entity_sweep(executor_t *executor)
{
    if (executor->now_ms < executor->sweep_ms) {
        return false;
    }
    uint32_t looked_at = 0;
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < type_table_count(executor->types); i++) {
        entity_t **list = &executor->idle[i];
        while (*list && (*list)->check_ms <= executor->now_ms && looked_at < EXECUTOR_SLICE) {
            sweep_one(executor, *list);
            looked_at++;
        }
        if (*list && (*list)->check_ms < next_ms) {
            next_ms = (*list)->check_ms;
        }
    }
    executor->sweep_ms = next_ms;
    return looked_at > 0;
}
