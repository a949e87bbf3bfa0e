/* What an executor does for orders that end handlers: pending handlers are told, and deliveries
 * that have not begun are answered. The handler that runs hears of it by interrupts.h. */
#include "worker/asks.h"
#include "worker/executor_state.h"

static bool names(const message_deliver_t *named, const message_deliver_t *delivery)
{
    return named->request_id == delivery->request_id && named->shard == delivery->shard &&
           named->home_epoch == delivery->home_epoch &&
           named->owner_sequence == delivery->owner_sequence;
}

/* Those that no entity has got yet are answered when it is their turn. */
static void mark_in_inbox(executor_t *executor, const message_deliver_t *named)
{
    uint32_t place = executor->inbox_place;
    for (work_t *work = executor->inbox_first; work; work = work->next, place = 0) {
        for (; place < work->count; place++) {
            if (names(named, &work->deliveries[place])) {
                work->deliveries[place].flags |= WORK_CANCELLED;
            }
        }
    }
}

/* Those that wait for their entity are answered now: what stands before them may take long. */
static void answer_waiting(executor_t *executor, const entity_t *entity,
                           const message_deliver_t *named)
{
    for (waiting_t *waiting = entity->first; waiting; waiting = waiting->next) {
        if (!waiting->answered && names(named, &waiting->delivery)) {
            waiting->answered = true;
            output_begin(&executor->output, waiting->round);
            output_put_not_taken(&executor->output, waiting->ownership->source, &waiting->delivery,
                                 FABRIC_ERROR_CANCELLED, executor->now_ms);
        }
    }
}

static void tell_pending(const entity_t *entity, const type_entry_t *type,
                         const message_deliver_t *named)
{
    fabric_pending_t *pending = entity->pending;
    while (pending && pending->request_id != named->request_id) {
        pending = pending->call_next;
    }
    if (pending && !(type->type->uninterruptible & FABRIC_UNINTERRUPTIBLE_BY_CALLERS)) {
        pending_interrupt(pending, FABRIC_INTERRUPT_CANCEL);
        if (pending->asks) {
            asks_cancel(pending->asks);
        }
    }
}

/* The home has cleared the entity: its next message finds a new instance, and nothing keeps it
 * alive. */
static void end_instance(executor_t *executor, entity_t *entity, const message_deliver_t *named)
{
    token_t token = {named->home_epoch, named->owner_sequence};
    const ownership_t *ownership = entity->ownership;
    if (ownership && ownership->key.shard == named->shard &&
        token_equal(ownership->key.token, token)) {
        entity_clear(&executor->entities, entity);
        if (!entity_is_resident(entity)) {
            entity_forget_persisted(&executor->entities, entity);
        }
    }
}

void executor_interrupt(executor_t *executor, const work_t *order)
{
    const message_deliver_t *named = &order->deliveries[0];
    const type_entry_t *type = type_table_find(executor->types, named->type);
    entity_t *entity = type ? entity_find(&executor->entities, type, named->id) : NULL;
    if (named->request_id == INTERRUPT_INSTANCE) {
        if (entity) {
            end_instance(executor, entity, named);
        }
        return;
    }
    if (entity) {
        tell_pending(entity, type, named);
        answer_waiting(executor, entity, named);
    }
    mark_in_inbox(executor, named);
}

void executor_tell_stop(executor_t *executor, const work_t *order)
{
    const ownership_t *ownership =
        ownership_find(&executor->ownerships, order->shard.value, order->token);
    for (const entity_t *entity = ownership ? ownership->busy : NULL; entity;
         entity = entity->ownership_next) {
        const type_entry_t *type = entity_type(&executor->entities, entity);
        if (type->type->uninterruptible & FABRIC_UNINTERRUPTIBLE_BY_STOPS) {
            return; /* all entities of an ownership are of one type */
        }
        for (fabric_pending_t *pending = entity->pending; pending; pending = pending->call_next) {
            pending_interrupt(pending, FABRIC_INTERRUPT_STOP);
        }
    }
}
