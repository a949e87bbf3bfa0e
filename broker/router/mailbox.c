/* Entities and their queues: see mailbox_state.h. */
#include <assert.h>

#include <utlist.h>

#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "broker/memory_cache.h"

/* ---- entities ---- */

enum { ENTITY_NAME_MAX = 2 * LIMIT_NAME_BYTES_MAX + 1 };

static size_t make_name(uint8_t name[ENTITY_NAME_MAX], fabric_bytes_t type, fabric_bytes_t id)
{
    name[0] = (uint8_t)type.size;
    memcpy(name + 1, type.data, type.size);
    memcpy(name + 1 + type.size, id.data, id.size);
    return 1 + type.size + id.size;
}

entity_t *mailbox_find(router_t *router, fabric_bytes_t type, fabric_bytes_t id)
{
    uint8_t name[ENTITY_NAME_MAX];
    size_t size = make_name(name, type, id);
    entity_t *entity = NULL;
    HASH_FIND(by_name, router->entities, name, size, entity);
    return entity;
}

entity_t *entity_find_or_add(router_t *router, shard_t *shard, fabric_bytes_t type,
                             fabric_bytes_t id)
{
    uint8_t name[ENTITY_NAME_MAX];
    size_t size = make_name(name, type, id);
    unsigned hash;
    HASH_FUNCTION(name, size, hash);
    entity_t *entity = NULL;
    HASH_FIND_BYHASHVALUE(by_name, router->entities, name, size, hash, entity);
    if (entity) {
        return entity;
    }
    entity = memory_cache_allocate(sizeof *entity + size);
    memset(entity, 0, sizeof *entity);
    memcpy(entity->name, name, size);
    entity->name_size = (uint16_t)size;
    entity->ownership = ownership_make(router, shard, type);
    entity->hash = journal_entity_hash(type, id);
    entity->activation = ++router->activations;
    HASH_ADD_KEYPTR_BYHASHVALUE(by_name, router->entities, entity->name, size, hash, entity);
    DL_APPEND(entity->ownership->entities, entity);
    return entity;
}

void entity_release(router_t *router, entity_t *entity)
{
    if (entity->queue || entity->pending > 0 || entity->waits_for) {
        return; /* while it waits for credit, the runner's list refers to it */
    }
    entity_resume(router, entity);
    entity_set_parked(router, entity, false);
    persisted_leave(&entity->persisted);
    DL_DELETE(entity->ownership->entities, entity);
    HASH_DELETE(by_name, router->entities, entity);
    memory_cache_free(entity, sizeof *entity + entity->name_size);
}

void entities_destroy(router_t *router)
{
    entity_t *entity, *next;
    HASH_ITER(by_name, router->entities, entity, next)
    {
        persisted_leave(&entity->persisted);
        HASH_DELETE(by_name, router->entities, entity);
        memory_cache_free(entity, sizeof *entity + entity->name_size);
    }
    timers_destroy(&router->pauses);
}

fabric_bytes_t entity_type(const entity_t *entity)
{
    return fabric_bytes(entity->name + 1, entity->name[0]);
}

fabric_bytes_t entity_id(const entity_t *entity)
{
    size_t place = 1 + (size_t)entity->name[0];
    return fabric_bytes(entity->name + place, entity->name_size - place);
}

/* ---- pending messages ---- */

/* When the message took its position, as that says: when it was accepted, or came due. */
static uint64_t began_ms(const message_t *message)
{
    return (uint64_t)snowflake_timestamp_ms((request_id_t){message->position});
}

void message_wait(router_t *router, const message_t *message)
{
    ages_remove(&router->pending_ages, began_ms(message));
}

void message_wait_no_more(router_t *router, const message_t *message)
{
    ages_add(&router->pending_ages, began_ms(message));
}

void message_admit(router_t *router, message_t *message, entity_t *entity)
{
    message->entity = entity;
    if (entity) {
        entity->pending++;
    }
    router->counters.pending++;
    ages_add(&router->pending_ages, began_ms(message));
    message_add(router, message);
}

/* Whether message_wait was called, and message_wait_no_more was not. One that was cancelled before
 * its time waits until its end is durable. */
static bool is_waiting(const message_t *message)
{
    bool ended = message->state == MESSAGE_RESULT && message->entity; /* no damaged row */
    return message->state == MESSAGE_SCHEDULED || message->state == MESSAGE_DUE ||
           (ended && message_is_scheduled(message));
}

void message_dismiss(router_t *router, message_t *message)
{
    checkpoint_forget(message);
    message_remove(router, message);
    router->counters.pending--;
    if (!is_waiting(message)) {
        ages_remove(&router->pending_ages, began_ms(message));
    }
    if (message->entity) {
        message->entity->pending--;
    }
    message->entity = NULL;
}

/* ---- the queue ---- */

static bool is_volatile(const message_t *message)
{
    return !(message->stored.flags & REQUEST_DURABLE);
}

static message_t *next_queued(message_t *message)
{
    while (message && message->state != MESSAGE_QUEUED) {
        message = message->next;
    }
    return message;
}

/* One message less is in flight. */
static void end_flight(entity_t *entity)
{
    if (--entity->in_flight == 0) {
        DL_DELETE2(entity->ownership->busy, entity, busy_prev, busy_next);
        if (entity->history) {
            history_end_flight(entity->history);
            entity->history = NULL;
        }
    }
}

void entity_append(entity_t *entity, message_t *message)
{
    message_set_state(message, MESSAGE_QUEUED);
    DL_APPEND(entity->queue, message);
    if (!entity->cursor) {
        entity->cursor = message;
    }
    entity->mailbox++;
    entity->queued += !is_volatile(message);
    entity->queued_volatile += is_volatile(message);
}

void entity_send(entity_t *entity, message_t *message)
{
    message_set_state(message, MESSAGE_IN_FLIGHT);
    message->activation = entity->activation;
    message->deliveries++;
    entity->cursor = next_queued(message->next);
    if (entity->in_flight++ == 0) {
        DL_APPEND2(entity->ownership->busy, entity, busy_prev, busy_next);
    }
    entity->queued_volatile -= is_volatile(message);
}

void entity_requeue(message_t *message)
{
    entity_t *entity = message->entity;
    message_set_state(message, MESSAGE_QUEUED);
    end_flight(entity);
    entity->queued_volatile += is_volatile(message);
    entity->cursor = next_queued(entity->queue);
}

void entity_keep_result(message_t *message)
{
    entity_t *entity = message->entity;
    if (message->state == MESSAGE_IN_FLIGHT) {
        end_flight(entity);
    } else if (message == entity->cursor) {
        entity->cursor = next_queued(message->next);
    }
    message_set_state(message, MESSAGE_RESULT);
    entity->mailbox--;
    entity->volatile_results += is_volatile(message);
}

void entity_remove(message_t *message)
{
    entity_t *entity = message->entity;
    if (entity->cursor == message) {
        entity->cursor = next_queued(message->next);
    }
    entity->mailbox -= message->state != MESSAGE_RESULT;
    entity->queued -= !is_volatile(message);
    if (message->state == MESSAGE_IN_FLIGHT) {
        end_flight(entity);
    }
    entity->queued_volatile -= message->state == MESSAGE_QUEUED && is_volatile(message);
    entity->volatile_results -= message->state == MESSAGE_RESULT && is_volatile(message);
    DL_DELETE(entity->queue, message);
}

void message_forget(router_t *router, message_t *message)
{
    entity_remove(message);
    message_remove(router, message);
    message_destroy(&message);
}

/* ---- when the entity may be served ---- */

void entity_restart(router_t *router, entity_t *entity)
{
    entity->activation = ++router->activations;
    entity->restarting = entity->in_flight > 0;
    if (entity->ownership->persisted) {
        persisted_restart(router, entity->ownership, entity_persisted_key(entity));
    }
}

void entity_take_back(router_t *router, entity_t *entity)
{
    entity_restart(router, entity);
    entity->taken_back = entity->restarting;
}

void entity_end_restart(entity_t *entity)
{
    if (entity->in_flight == 0) {
        entity->restarting = entity->taken_back = false;
    }
}

static void rest(router_t *router, entity_t *entity, uint64_t pause_ms)
{
    uint64_t longest_ms = router->config.backoff_max_ms;
    timers_set(&router->pauses, &entity->pause,
               router->now_ms + (pause_ms < longest_ms ? pause_ms : longest_ms));
}

void entity_back_off(router_t *router, entity_t *entity, unsigned failures)
{
    uint64_t pause_ms = router->config.backoff_ms;
    for (unsigned i = 1; i < failures && pause_ms < router->config.backoff_max_ms; i++) {
        pause_ms = (pause_ms * 3 + 1) / 2;
    }
    rest(router, entity, pause_ms);
}

void entity_pause(router_t *router, entity_t *entity, unsigned refusals)
{
    uint64_t pause_ms = NOT_TAKEN_DELAY_MS;
    for (unsigned i = 0; i < refusals && pause_ms < router->config.backoff_max_ms; i++) {
        pause_ms *= 2;
    }
    rest(router, entity, pause_ms);
}

void entity_resume(router_t *router, entity_t *entity)
{
    timers_cancel(&router->pauses, &entity->pause);
}

entity_t *entity_take_rested(router_t *router)
{
    timer_entry_t *pause = timers_take_due(&router->pauses, router->now_ms);
    return pause ? TIMER_OWNER(pause, entity_t, pause) : NULL;
}

void entity_set_parked(router_t *router, entity_t *entity, bool parked)
{
    router->counters.parked += (uint64_t)parked - (uint64_t)entity->parked;
    entity->parked = parked;
}

void entity_hold(entity_t *entity)
{
    entity->holds++;
}

void entity_unhold(entity_t *entity)
{
    assert(entity->holds > 0);
    entity->holds--;
}

void entity_count_refusal(entity_t *entity)
{
    entity->refusals++;
}

void entity_forget_refusals(entity_t *entity)
{
    entity->refusals = 0;
}

/* ---- entities that wait for credit ---- */

void runner_wait(runner_t *runner, entity_t *entity)
{
    if (!entity->waits_for) {
        entity->waits_for = runner;
        DL_APPEND2(runner->waiting, entity, credit_prev, credit_next);
    }
}

void entity_stop_waiting(entity_t *entity)
{
    if (entity->waits_for) {
        DL_DELETE2(entity->waits_for->waiting, entity, credit_prev, credit_next);
        entity->waits_for = NULL;
    }
}

entity_t *runner_take_waiting(runner_t *runner)
{
    entity_t *entity = runner->waiting;
    entity_stop_waiting(entity);
    return entity;
}

/* ---- the oldest pending message ---- */

static uint64_t id_now_ms(const router_t *router)
{
    return (uint64_t)snowflake_timestamp_ms((request_id_t){request_id_highest(router)});
}

void pending_tick(router_t *router)
{
    ages_advance(&router->pending_ages, id_now_ms(router));
}

bool pending_oldest(const router_t *router, uint64_t *age_ms)
{
    uint64_t began_ms;
    if (!ages_oldest(&router->pending_ages, &began_ms)) {
        return false;
    }
    uint64_t now_ms = id_now_ms(router);
    *age_ms = now_ms > began_ms ? now_ms - began_ms : 0;
    return true;
}
