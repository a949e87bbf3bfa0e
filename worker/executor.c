/* The executor: see executor.h. Here: its life, its inbox, and the order of its steps. */
#include "worker/executor_result.h"
#include "worker/executor_state.h"
#include "worker/executor_stored.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"

executor_t *executor_new(const type_table_t *types, const executor_limits_t *limits,
                         const executor_hooks_t *hooks)
{
    static const executor_limits_t none = {UINT32_MAX, UINT32_MAX};
    limits = limits ? limits : &none;
    executor_t *executor = (executor_t *)memory_allocate_zeroed(1, sizeof *executor);
    executor->types = types;
    executor->completions = completions_new(hooks->wake, hooks->wake_context);
    entity_table_init(&executor->entities, types, limits->residents_max, limits->outside_max,
                      &executor->output);
    executor_asks_init(&executor->asks, hooks->sender, hooks->wake, hooks->wake_context);
    executor->entities.instance.sender = hooks->sender;
    if (hooks->runner.name) {
        executor->entities.instance.runner = hooks->runner;
    }
    handling_init(&executor->handling, types, executor->completions, &executor->entities, hooks);
    executor->handling.context.answers = executor->asks.answers;
    return executor;
}

static bool take_completions(executor_t *executor)
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

void executor_destroy(executor_t **executor)
{
    executor_t *self = *executor;
    if (!self) {
        return;
    }
    (void)take_completions(self);
    entity_table_free(&self->entities);
    ownership_table_free(&self->ownerships);
    executor_asks_free(&self->asks);
    completions_close(&self->completions);
    handling_free(&self->handling);
    work_list_destroy(&self->inbox_first);
    work_output_list_destroy(&self->output.first);
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

/* An order that ends handlers was carried out. */
static void end_order(executor_t *executor, work_t **order)
{
    if (executor->handling.hooks.interrupts) {
        interrupts_taken(executor->handling.hooks.interrupts);
    }
    work_destroy(order);
}

/* The ownership has a home again, which may not know all that was told to the one before. */
static void begin_next_home(executor_t *executor, const work_t *order)
{
    ownership_t *ownership =
        ownership_find(&executor->ownerships, order->shard.value, order->token);
    if (ownership && ownership->state == OWNERSHIP_CURRENT) {
        executor_end_early(executor, ownership);
        alive_tell_all(&executor->entities, ownership);
    }
}

void executor_lend(executor_t *executor, void *connection)
{
    executor->handling.lent = connection;
}

void executor_give(executor_t *executor, work_t **works)
{
    while (*works) {
        work_t *work = *works;
        *works = work->next;
        work->next = NULL;
        switch (work->kind) {
        case WORK_BEGIN:
            ownership_begin(&executor->ownerships, work);
            work_destroy(&work);
            break;
        case WORK_STOP:
            executor_tell_stop(executor, work);
            ownership_stop(&executor->ownerships, work, executor->given);
            entity_retry_outside(&executor->entities);
            end_order(executor, &work);
            break;
        case WORK_INTERRUPT:
            executor_interrupt(executor, work);
            end_order(executor, &work);
            break;
        case WORK_ORPHAN:
            ownership_orphan(&executor->ownerships, work);
            output_put_state(&executor->output, OUTPUT_ORPHANED, work->source, work->shard,
                             work->token, executor->now_ms);
            work_destroy(&work);
            break;
        case WORK_RESUME:
            ownership_resume(&executor->ownerships, work);
            entity_retry_outside(&executor->entities);
            work_destroy(&work);
            break;
        case WORK_KEPT:
            ownership_take_kept(&executor->ownerships, work);
            begin_next_home(executor, work);
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

/* A message whose caller has given up: handling it would make those behind it late, too. */
static bool is_too_late(const executor_t *executor, const message_deliver_t *delivery)
{
    return delivery->deadline_ms > 0 && message_expires(delivery->flags) &&
           executor->now_ms >= delivery->deadline_ms;
}

static void refuse(executor_t *executor, work_source_t source, const message_deliver_t *delivery,
                   fabric_error_t error)
{
    output_put_not_taken(&executor->output, source, delivery, error, executor->now_ms);
}

/* The pending handler whose message the delivery is of, pending since an earlier home; NULL: it is
 * another message. Under a former ownership, which is stopping, the handler answers nobody. */
static fabric_pending_t *find_pending(const entity_t *entity, const ownership_t *ownership,
                                      const message_deliver_t *delivery)
{
    if (entity->ownership != ownership || !ownership->resumed) {
        return NULL;
    }
    fabric_pending_t *pending = entity->pending;
    while (pending && (pending->request_id != delivery->request_id ||
                       token_equal(pending->token, ownership->key.token))) {
        pending = pending->call_next;
    }
    return pending;
}

/* Whether the present home has delivered the entity something before whose result is still to come,
 * and has to come first. Results leave in the order of the deliveries, also those that are kept. */
static bool has_turn_before(const entity_t *entity, const ownership_t *ownership,
                            const type_entry_t *type)
{
    if (type->mixed) {
        return false;
    }
    bool pending = entity->state == ENTITY_PENDING && entity->ownership == ownership &&
                   token_equal(entity->pending->token, ownership->key.token);
    return pending || (entity->first && entity->last->ownership == ownership &&
                       entity->last->delivery.home_epoch == ownership->key.token.home_epoch);
}

static bool runs_beside_others(const type_entry_t *type, const message_deliver_t *delivery)
{
    return type->has_concurrent &&
           type_entry_is_concurrent(type, type_entry_handler(type, delivery->tag));
}

static void enqueue(executor_t *executor, entity_t *entity, ownership_t *ownership,
                    const type_entry_t *type, const message_deliver_t *delivery)
{
    entity_enqueue(&executor->entities, entity, ownership, delivery, executor->output.round,
                   runs_beside_others(type, delivery));
}

/* There is no room for the entity's state: a durable message waits for some, unless too many wait,
 * in which case those of its entity that are on their way are not taken either. Returns why it is
 * refused. */
static fabric_error_t keep_outside(executor_t *executor, entity_t *entity, ownership_t *ownership,
                                   const type_entry_t *type, const message_deliver_t *delivery)
{
    entity_table_t *entities = &executor->entities;
    if (entity && entity_is_over(entity, ownership, delivery->activation)) {
        return FABRIC_ERROR_ENTITY_DEFECT;
    }
    if (!(delivery->flags & REQUEST_DURABLE)) {
        return FABRIC_ERROR_MAILBOX_FULL;
    }
    if (!entity) {
        entity = entity_make(entities, type, delivery->id, executor->now_ms);
    }
    if (entities->outside_count < entities->outside_max) {
        enqueue(executor, entity, ownership, type, delivery);
        return FABRIC_OK;
    }
    entity_end_activation(entities, entity, ownership, delivery->activation, executor->now_ms);
    return FABRIC_ERROR_MAILBOX_FULL;
}

/* Gives a message to its entity, or to the queue of the entity. Returns why it is refused. */
static fabric_error_t dispatch_to_type(executor_t *executor, ownership_t *ownership,
                                       const type_entry_t *type, const message_deliver_t *delivery)
{
    entity_t *entity = entity_find(&executor->entities, type, delivery->id);
    bool must_follow = entity && has_turn_before(entity, ownership, type);
    fabric_pending_t *pending =
        entity && !must_follow ? find_pending(entity, ownership, delivery) : NULL;
    if (pending) {
        uint32_t round = executor->output.round;
        output_begin(&executor->output, pending->round);
        output_put_abandoned(&executor->output, ownership->source, executor->now_ms);
        entity_pending_again(pending, delivery, round);
        return FABRIC_OK;
    }
    if (!must_follow && handle_again(executor, entity, ownership, delivery)) {
        return FABRIC_OK;
    }
    bool concurrent = runs_beside_others(type, delivery);
    if (entity && entity_must_queue(&executor->entities, entity, ownership, concurrent)) {
        if (!(delivery->flags & REQUEST_DURABLE) &&
            (entity->volatile_waiting >= type->mailbox_capacity ||
             !entity_has_place(&executor->entities, entity))) {
            return FABRIC_ERROR_MAILBOX_FULL;
        }
        enqueue(executor, entity, ownership, type, delivery);
        return FABRIC_OK;
    }
    if (ownership->state != OWNERSHIP_CURRENT) {
        return FABRIC_ERROR_ENTITY_NOT_ASSIGNED;
    }
    if (!entity_has_place(&executor->entities, entity)) {
        return keep_outside(executor, entity, ownership, type, delivery);
    }
    if (!entity) {
        entity = entity_make(&executor->entities, type, delivery->id, executor->now_ms);
    }
    if (lease_holds(executor, ownership)) {
        handle_delivery(executor, entity, ownership, delivery);
    } else {
        enqueue(executor, entity, ownership, type, delivery);
    }
    return FABRIC_OK;
}

/* Gives a state, or events, to its entity, behind the messages that wait. */
static void dispatch_state(executor_t *executor, ownership_t *ownership, const type_entry_t *type,
                           const message_deliver_t *state)
{
    entity_t *entity = entity_find(&executor->entities, type, state->id);
    if (!type->stores || ownership->state != OWNERSHIP_CURRENT) {
        output_put_abandoned(&executor->output, ownership->source, executor->now_ms);
        return;
    }
    if (!entity) {
        entity = entity_make(&executor->entities, type, state->id, executor->now_ms);
    }
    if (entity->ownership == ownership) {
        result_give_up_handlers(executor, entity, &ownership->key.token);
    }
    if (entity_must_queue(&executor->entities, entity, ownership, false)) {
        enqueue(executor, entity, ownership, type, state);
    } else {
        stored_take_given(executor, entity, ownership, state);
        entity_end_turn(&executor->entities, entity);
    }
}

/* As dispatch, for the wish that an entity has an instance. Never waits here: where there is no
 * instance now, and none can be made, the home asks again. */
static bool dispatch_wake(executor_t *executor, work_source_t source, const message_deliver_t *wake)
{
    token_t token = {wake->home_epoch, wake->owner_sequence};
    ownership_t *ownership = ownership_find(&executor->ownerships, wake->shard, token);
    const type_entry_t *type = type_table_find(executor->types, wake->type);
    if (ownership && ownership->state == OWNERSHIP_RESUMING) {
        return false;
    }
    bool held = ownership && work_source_equal(ownership->source, source) &&
                ownership->state == OWNERSHIP_CURRENT && lease_holds(executor, ownership);
    output_put_abandoned(&executor->output, source, executor->now_ms);
    fabric_error_t error = held && type ? executor_wake(executor, ownership, type, wake)
                                        : FABRIC_ERROR_ENTITY_NOT_ASSIGNED;
    if (error) {
        message_alive_t absent = work_not_woken(wake);
        absent.error = error == FABRIC_ERROR_SNAPSHOT_UNREADABLE ? (uint64_t)error : 0;
        output_put_alive(&executor->output, source, &absent, executor->now_ms);
    }
    return true;
}

/* false: the delivery has to wait for results that may answer it. */
static bool dispatch(executor_t *executor, work_source_t source, const message_deliver_t *delivery)
{
    fabric_error_t error = FABRIC_OK;
    if (delivery->flags & WORK_WAKE) {
        return dispatch_wake(executor, source, delivery);
    }
    token_t token = {delivery->home_epoch, delivery->owner_sequence};
    ownership_t *ownership = ownership_find(&executor->ownerships, delivery->shard, token);
    const type_entry_t *type = type_table_find(executor->types, delivery->type);
    if (!ownership || !work_source_equal(ownership->source, source)) {
        error = FABRIC_ERROR_ENTITY_NOT_ASSIGNED;
    } else if (ownership->state == OWNERSHIP_RESUMING) {
        return false;
    } else if (!type) {
        error = FABRIC_ERROR_RUNNER_NOT_REGISTERED;
    } else if (delivery->flags & WORK_STATE) {
        dispatch_state(executor, ownership, type, delivery);
    } else if (delivery->flags & WORK_CANCELLED) {
        error = FABRIC_ERROR_CANCELLED;
    } else if (is_too_late(executor, delivery)) {
        error = FABRIC_ERROR_TIMEOUT;
    } else {
        error = dispatch_to_type(executor, ownership, type, delivery);
    }
    if (error != FABRIC_OK && delivery->flags & WORK_STATE) {
        output_put_abandoned(&executor->output, source, executor->now_ms);
    } else if (error != FABRIC_OK) {
        refuse(executor, source, delivery, error);
    }
    return true;
}

static bool inbox_step(executor_t *executor)
{
    work_t *work = executor->inbox_first;
    if (!work) {
        return false;
    }
    assert(executor->inbox_place < work->count);
    output_begin(&executor->output, work->round);
    if (!dispatch(executor, work->source, &work->deliveries[executor->inbox_place])) {
        return false;
    }
    executor->inbox_place++;
    if (executor->inbox_place == work->count) {
        executor->inbox_first = work->next;
        executor->inbox_place = 0;
        executor->dispatched++;
        work_destroy(&work);
    }
    return true;
}

/* The home that has sent the delivery is gone, and the next one delivers the message again. If
 * there is a result of an earlier delivery by the former home, that home did not want it: else it
 * would not have sent this one. */
static void drop_former(executor_t *executor, ownership_t *ownership,
                        const message_deliver_t *delivery)
{
    kept_results_forget(&ownership->kept, delivery->request_id, delivery->home_epoch);
    output_put_abandoned(&executor->output, ownership->source, executor->now_ms);
}

static bool must_wait(const executor_t *executor, const ownership_t *ownership)
{
    switch (ownership->state) {
    case OWNERSHIP_CURRENT:
        return !lease_holds(executor, ownership);
    case OWNERSHIP_ORPHANED:
    case OWNERSHIP_RESUMING:
        return true;
    case OWNERSHIP_STOPPING:
        break;
    }
    return false;
}

/* Whether the first waiting message of an entity cannot be handled because there is no room. */
static bool must_wait_outside(const executor_t *executor, const entity_t *entity)
{
    const ownership_t *ownership = entity->first->ownership;
    const message_deliver_t *delivery = &entity->first->delivery;
    return !entity_has_place(&executor->entities, entity) && !entity->first->answered &&
           !(delivery->flags & WORK_STATE) && ownership->state == OWNERSHIP_CURRENT &&
           delivery->home_epoch == ownership->key.token.home_epoch &&
           !entity_is_over(entity, ownership, delivery->activation) &&
           !is_too_late(executor, delivery);
}

/* The next waiting message of an entity whose turn it is, or of one for which there is room now. */
static bool ready_step(executor_t *executor)
{
    entity_t *entity = entity_next_ready(&executor->entities);
    if (!entity) {
        entity = entity_next_outside(&executor->entities);
    }
    if (!entity) {
        return false;
    }
    ownership_t *ownership = entity->first->ownership;
    if (must_wait(executor, ownership)) {
        entity_set_lapsed(&executor->entities, entity, executor->now_ms);
        return true;
    }
    if (!entity_may_begin(&executor->entities, entity, ownership, entity->first->concurrent)) {
        return true; /* it gets its turn when a pending handler has ended */
    }
    if (must_wait_outside(executor, entity)) {
        entity_wait_outside(&executor->entities, entity);
        return true;
    }
    work_source_t source = ownership->source;
    waiting_t *waiting = entity_dequeue(&executor->entities, entity);
    output_begin(&executor->output, waiting->round);
    if (waiting->answered) {
        /* It was cancelled. */
    } else if (waiting->delivery.flags & WORK_STATE) {
        stored_take_given(executor, entity, ownership, &waiting->delivery);
    } else if (ownership->state != OWNERSHIP_CURRENT) {
        refuse(executor, source, &waiting->delivery, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    } else if (waiting->delivery.home_epoch != ownership->key.token.home_epoch) {
        drop_former(executor, ownership, &waiting->delivery);
    } else if (is_too_late(executor, &waiting->delivery)) {
        refuse(executor, source, &waiting->delivery, FABRIC_ERROR_TIMEOUT);
    } else if (!handle_again(executor, entity, ownership, &waiting->delivery)) {
        handle_delivery(executor, entity, ownership, &waiting->delivery);
    }
    entity_end_turn(&executor->entities, entity);
    free(waiting);
    return true;
}

bool executor_step(executor_t *executor, uint64_t now_ms)
{
    uint64_t took_ms = now_ms - executor->now_ms; /* the step before */
    executor->now_ms = now_ms;
    uint64_t ran = handling_take_ran(&executor->handling);
    if (ran != 0 && took_ms > 0) {
        handling_look_back(executor, ran, took_ms);
    }
    if (take_completions(executor)) {
        return true;
    }
    if (executor->ownerships.stopping && executor_stop_step(executor)) {
        return true;
    }
    /* A function that asks again at once may have its answer at once: other work has its turn. */
    bool others_first = executor->asks.answered;
    executor->asks.answered = !others_first && executor_asks_step(executor);
    if (executor->asks.answered) {
        return true;
    }
    entity_retry_lapsed(&executor->entities, now_ms);
    entity_trim_persisted(&executor->entities);
    return ready_step(executor) || inbox_step(executor) || handling_slow_step(executor) ||
           entity_sweep(&executor->entities, now_ms) ||
           instance_sweep(&executor->entities.instance, now_ms) ||
           (others_first && executor_asks_step(executor));
}

uint64_t executor_next_deadline(const executor_t *executor)
{
    uint64_t stop_ms = ownership_next_deadline(&executor->ownerships);
    uint64_t entities_ms = entity_next_deadline(&executor->entities);
    uint64_t slow_ms = executor->handling.slow.next_ms;
    uint64_t deadline_ms = stop_ms < entities_ms ? stop_ms : entities_ms;
    return slow_ms < deadline_ms ? slow_ms : deadline_ms;
}

bool executor_output_due(const executor_t *executor, uint64_t now_ms)
{
    const executor_output_t *output = &executor->output;
    return output->first && (output->first != output->last || now_ms > output->since_ms);
}

work_output_t *executor_take_output(executor_t *executor)
{
    return output_take(&executor->output);
}

executor_stats_t executor_stats(const executor_t *executor)
{
    const executor_handling_t *handling = &executor->handling;
    const entity_table_t *entities = &executor->entities;
    return (executor_stats_t){
        .handled = atomic_load_explicit(&handling->handled, memory_order_relaxed),
        .defects = atomic_load_explicit(&handling->defects, memory_order_relaxed),
        .slow = atomic_load_explicit(&handling->slow.count, memory_order_relaxed),
        .evicted = atomic_load_explicit(&handling->evicted, memory_order_relaxed),
        .answered = atomic_load_explicit(&handling->answered, memory_order_relaxed),
        .entities = atomic_load_explicit(&entities->count, memory_order_relaxed),
        .bytes = atomic_load_explicit(&entities->bytes, memory_order_relaxed),
    };
}

bool executor_describe(const executor_t *executor, char *text, size_t size)
{
    char name[MESSAGE_NAME_SIZE];
    const type_entry_t *type;
    if (at_hand_read(&executor->handling.at_hand, name, &type) == 0) {
        return false;
    }
    snprintf(text, size, "%s", name);
    return true;
}

bool executor_describe_slow(executor_t *executor, uint64_t since_ms, uint64_t now_ms, char *text,
                            size_t size)
{
    executor_handling_t *handling = &executor->handling;
    char name[MESSAGE_NAME_SIZE];
    const type_entry_t *type;
    uint64_t request_id = at_hand_read(&handling->at_hand, name, &type);
    if (request_id == 0 || since_ms == 0 || now_ms < since_ms ||
        !type_entry_is_slow(type, now_ms - since_ms) || !slow_note(&handling->slow, request_id)) {
        return false;
    }
    snprintf(text, size, "%s: has run for %llu ms", name, (unsigned long long)(now_ms - since_ms));
    return true;
}
