/* The executor: see executor.h. Here: its life, its inbox, and the order of its steps. */
#include "worker/executor_state.h"

#include <assert.h>
#include <stdlib.h>

static void *allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (!memory) {
        abort();
    }
    return memory;
}

executor_t *executor_new(const type_table_t *types, void (*wake)(void *context), void *wake_context)
{
    executor_t *executor = (executor_t *)calloc(1, sizeof *executor);
    if (!executor) {
        abort();
    }
    executor->types = types;
    executor->completions = completions_new(wake, wake_context);
    executor->request = allocate(type_table_request_bytes(types));
    executor->reply = allocate(type_table_reply_bytes(types));
    executor->payload = (uint8_t *)allocate(LIMIT_PAYLOAD_BYTES_MAX);
    executor->context.executor = executor;
    executor->sweep_ms = UINT64_MAX;
    executor->held_until_ms = UINT64_MAX;
    return executor;
}

void executor_on_defect(executor_t *executor, executor_defect_fn *tell, void *context)
{
    executor->tell_defect = tell;
    executor->tell_context = context;
}

static void free_entities(executor_t *executor)
{
    entity_t *entity, *next;
    HASH_ITER(hh, executor->entities, entity, next)
    {
        if (entity->pending) {
            entity->pending->entity = NULL;
            entity_set_pending(entity, NULL);
        } else {
            entity_stop(executor, entity);
        }
        while (entity->first) {
            waiting_t *waiting = entity->first;
            entity->first = waiting->next;
            free(waiting);
        }
        entity->queued = false;
        entity_free(executor, entity);
    }
}

void executor_destroy(executor_t **executor)
{
    executor_t *self = *executor;
    if (!self) {
        return;
    }
    for (fabric_pending_t *pending = completions_take(self->completions); pending;) {
        fabric_pending_t *next = pending->next;
        handle_completion(self, &pending);
        pending = next;
    }
    free_entities(self);
    ownership_free_all(self);
    completions_close(&self->completions);
    work_list_destroy(&self->inbox_first);
    work_output_list_destroy(&self->output_first);
    free(self->request);
    free(self->reply);
    free(self->payload);
    free(self);
    *executor = NULL;
}

static void inbox_add(executor_t *executor, work_t *work)
{
    executor->given++;
    if (executor->inbox_first) {
        executor->inbox_last->next = work;
    } else {
        executor->inbox_first = work;
        executor->inbox_place = 0;
    }
    executor->inbox_last = work;
}

void executor_give(executor_t *executor, work_t **works)
{
    while (*works) {
        work_t *work = *works;
        *works = work->next;
        work->next = NULL;
        switch (work->kind) {
        case WORK_BEGIN:
            ownership_begin(executor, work);
            work_destroy(&work);
            break;
        case WORK_STOP:
            ownership_stop(executor, work);
            work_destroy(&work);
            break;
        case WORK_DELIVERIES:
            inbox_add(executor, work);
            break;
        }
    }
}

static bool lease_holds(const executor_t *executor, const ownership_t *ownership)
{
    return executor->now_ms <
           atomic_load_explicit(&ownership->lease->start_until_ms, memory_order_relaxed);
}

/* A volatile message whose caller has given up: what is done for nobody would make those behind it
 * late, too. */
static bool is_too_late(const executor_t *executor, const message_deliver_t *delivery)
{
    return !(delivery->flags & REQUEST_DURABLE) && delivery->deadline_ms > 0 &&
           executor->now_ms >= delivery->deadline_ms;
}

static void dispatch(executor_t *executor, work_source_t source, const message_deliver_t *delivery)
{
    ownership_t *ownership = ownership_find(executor, (shard_id_t){(uint32_t)delivery->shard});
    token_t token = {delivery->home_epoch, delivery->owner_sequence};
    if (!ownership || !token_equal(ownership->token, token) ||
        ownership->source.endpoint != source.endpoint ||
        ownership->source.connection != source.connection) {
        result_not_taken(executor, source, delivery, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
        return;
    }
    const type_entry_t *type = type_table_find(executor->types, delivery->type);
    if (!type) {
        result_not_taken(executor, source, delivery, FABRIC_ERROR_RUNNER_NOT_REGISTERED);
        return;
    }
    if (is_too_late(executor, delivery)) {
        result_not_taken(executor, source, delivery, FABRIC_ERROR_TIMEOUT);
        return;
    }
    entity_t *entity = entity_find(executor, type, delivery->id);
    if (entity && (entity->pending || entity->first)) {
        if (!(delivery->flags & REQUEST_DURABLE) &&
            entity->volatile_waiting >= type->mailbox_capacity) {
            result_not_taken(executor, source, delivery, FABRIC_ERROR_MAILBOX_FULL);
            return;
        }
        entity_enqueue(executor, entity, ownership, delivery);
        return;
    }
    if (ownership->stopping) {
        result_not_taken(executor, source, delivery, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
        return;
    }
    if (!entity) {
        entity = entity_make(executor, type, delivery->id);
    }
    if (!lease_holds(executor, ownership)) {
        entity_enqueue(executor, entity, ownership, delivery);
        return;
    }
    handle_delivery(executor, entity, ownership, delivery);
}

static bool inbox_step(executor_t *executor)
{
    work_t *work = executor->inbox_first;
    if (!work) {
        return false;
    }
    assert(executor->inbox_place < work->count);
    dispatch(executor, work->source, &work->deliveries[executor->inbox_place++]);
    if (executor->inbox_place == work->count) {
        executor->inbox_first = work->next;
        executor->inbox_place = 0;
        executor->dispatched++;
        work_destroy(&work);
    }
    return true;
}

/* Puts messages under a lapsed lease back in line: perhaps it was renewed. */
static void held_release(executor_t *executor)
{
    if (executor->now_ms < executor->held_until_ms) {
        return;
    }
    executor->held_until_ms = UINT64_MAX;
    for (entity_t *entity; (entity = entity_queue_take(&executor->held));) {
        entity_queue_add(&executor->ready, entity);
    }
}

static void hold(executor_t *executor, entity_t *entity)
{
    entity_queue_add(&executor->held, entity);
    if (executor->held_until_ms == UINT64_MAX) {
        executor->held_until_ms = executor->now_ms + EXECUTOR_LEASE_CHECK_MS;
    }
}

/* The next waiting message of an entity that is ready. */
static bool ready_step(executor_t *executor)
{
    entity_t *entity = entity_queue_take(&executor->ready);
    if (!entity) {
        return false;
    }
    waiting_t *waiting = entity->first;
    assert(waiting && !entity->pending);
    ownership_t *ownership = waiting->ownership;
    bool taken = ownership->current && !ownership->stopping;
    if (taken && !lease_holds(executor, ownership)) {
        hold(executor, entity);
        return true;
    }
    entity->first = waiting->next;
    if (!(waiting->delivery.flags & REQUEST_DURABLE)) {
        entity->volatile_waiting--;
    }
    ownership->waiting--;
    if (taken && is_too_late(executor, &waiting->delivery)) {
        result_not_taken(executor, ownership->source, &waiting->delivery, FABRIC_ERROR_TIMEOUT);
    } else if (taken) {
        handle_delivery(executor, entity, ownership, &waiting->delivery);
    } else {
        result_not_taken(executor, ownership->source, &waiting->delivery,
                         FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    }
    free(waiting);
    if (entity->first && !entity->pending) {
        entity_queue_add(&executor->ready, entity);
    } else if (!entity->first && !entity->ownership) {
        entity_end(executor, entity);
    }
    return true;
}

static bool completions_step(executor_t *executor)
{
    fabric_pending_t *pending = completions_take(executor->completions);
    if (!pending) {
        return false;
    }
    while (pending) {
        fabric_pending_t *next = pending->next;
        handle_completion(executor, &pending);
        pending = next;
    }
    return true;
}

bool executor_step(executor_t *executor, uint64_t now_ms)
{
    executor->now_ms = now_ms;
    if (completions_step(executor)) {
        return true;
    }
    if (executor->stopping && ownership_step(executor)) {
        return true;
    }
    held_release(executor);
    return ready_step(executor) || inbox_step(executor) || entity_sweep(executor);
}

uint64_t executor_next_deadline(const executor_t *executor)
{
    uint64_t deadline_ms = ownership_next_deadline(executor);
    if (executor->held_until_ms < deadline_ms) {
        deadline_ms = executor->held_until_ms;
    }
    return executor->sweep_ms < deadline_ms ? executor->sweep_ms : deadline_ms;
}

bool executor_output_due(const executor_t *executor, uint64_t now_ms)
{
    return executor->output_first &&
           (executor->output_first != executor->output_last || now_ms > executor->output_since_ms);
}

work_output_t *executor_take_output(executor_t *executor)
{
    work_output_t *first = executor->output_first;
    executor->output_first = executor->output_last = NULL;
    return first;
}

executor_stats_t executor_stats(const executor_t *executor)
{
    return (executor_stats_t){
        .handled = atomic_load_explicit(&executor->handled, memory_order_relaxed),
        .defects = atomic_load_explicit(&executor->defects, memory_order_relaxed),
        .entities = atomic_load_explicit(&executor->live, memory_order_relaxed),
        .bytes = atomic_load_explicit(&executor->bytes, memory_order_relaxed),
    };
}
