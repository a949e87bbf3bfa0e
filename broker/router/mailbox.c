/* Entities' queues and their dispatch to owners. A queue holds the accepted messages of one entity in order: first those whose
 * results wait for their commits, then those in flight, then those that wait; the cursor stands at the first that waits. A message
 * leaves the queue only when it has ended, so redelivery never has to put anything back.
 *
 * An entity exists here only while it has messages: idle ones cost nothing.
 */
#include <assert.h>

#include <utlist.h>

#include "broker/router/admission.h"
#include "broker/router/router_state.h"
#include "broker/router/suspects.h"

entity_t *entity_find_or_add(router_t *router, shard_t *shard, fabric_bytes_t type,
                             fabric_bytes_t id)
{
    uint8_t name[2 * LIMIT_NAME_BYTES_MAX + 1];
    size_t size = 1 + type.size + id.size;
    name[0] = (uint8_t)type.size;
    memcpy(name + 1, type.data, type.size);
    memcpy(name + 1 + type.size, id.data, id.size);
    unsigned hash;
    HASH_FUNCTION(name, size, hash);
    entity_t *entity = NULL;
    HASH_FIND_BYHASHVALUE(by_name, router->entities, name, size, hash, entity);
    if (entity) {
        return entity;
    }
    entity = malloc(sizeof *entity + size);
    if (!entity) {
        abort();
    }
    memset(entity, 0, sizeof *entity);
    memcpy(entity->name, name, size);
    entity->name_size = (uint16_t)size;
    entity->shard = shard;
    entity->activation = ++shard->activations;
    HASH_ADD_KEYPTR_BYHASHVALUE(by_name, router->entities, entity->name, size, hash, entity);
    DL_APPEND(shard->entities, entity);
    return entity;
}

void runner_forget_waiting(runner_t *runner, const shard_t *shard)
{
    entity_t **at = &runner->waiting;
    runner->waiting_last = NULL;
    while (*at) {
        if ((*at)->shard == shard) {
            (*at)->waits_for_credit = false;
            *at = (*at)->credit_next;
        } else {
            runner->waiting_last = *at;
            at = &(*at)->credit_next;
        }
    }
}

void entity_resume(router_t *router, entity_t *entity)
{
    if (entity->delay_level > 0) {
        DL_DELETE2(router->delayed[entity->delay_level - 1], entity, delayed_prev, delayed_next);
        entity->delay_level = 0;
    }
}

void entity_release(router_t *router, entity_t *entity)
{
    if (entity->queue || entity->pending > 0 || entity->waits_for_credit) {
        return; /* the runner's list of waiting entities still refers to the last kind */
    }
    entity_resume(router, entity);
    DL_DELETE(entity->shard->entities, entity);
    HASH_DELETE(by_name, router->entities, entity);
    free(entity);
}

/* ---- the queue ---- */

void message_add(router_t *router, message_t *message)
{
    HASH_ADD(by_id, router->messages_by_id, stored.id, sizeof message->stored.id, message);
    router->message_bytes += message->size;
}

void message_remove(router_t *router, message_t *message)
{
    HASH_DELETE(by_id, router->messages_by_id, message);
    router->message_bytes -= message->size;
}

void message_add_reply(router_t *router, message_t *message, const store_reply_t *reply)
{
    router->message_bytes -= message->size;
    message_set_reply(message, reply);
    router->message_bytes += message->size;
}

void entity_append(router_t *router, entity_t *entity, message_t *message)
{
    (void)router;
    message_set_state(message, MESSAGE_QUEUED);
    DL_APPEND(entity->queue, message);
    if (!entity->cursor) {
        entity->cursor = message;
    }
    if (!(message->stored.flags & REQUEST_DURABLE)) {
        entity->queued_volatile++;
    }
}

static message_t *next_queued(message_t *message)
{
    while (message && message->state != MESSAGE_QUEUED) {
        message = message->next;
    }
    return message;
}

void entity_remove(router_t *router, message_t *message)
{
    (void)router;
    entity_t *entity = message->entity;
    if (entity->cursor == message) {
        entity->cursor = next_queued(message->next);
    }
    if (message->state == MESSAGE_QUEUED && !(message->stored.flags & REQUEST_DURABLE)) {
        entity->queued_volatile--;
    }
    DL_DELETE(entity->queue, message);
}

void entity_skip(entity_t *entity)
{
    entity->cursor = next_queued(entity->cursor->next);
}

void message_forget(router_t *router, message_t *message)
{
    entity_remove(router, message);
    message_remove(router, message);
    message_destroy(&message);
}

void entity_requeue(router_t *router, message_t *message)
{
    (void)router;
    entity_t *entity = message->entity;
    message_set_state(message, MESSAGE_QUEUED);
    entity->in_flight--;
    if (!(message->stored.flags & REQUEST_DURABLE)) {
        entity->queued_volatile++;
    }
    entity->cursor = next_queued(entity->queue);
}

/* ---- dispatch ---- */

static void deliver(router_t *router, runner_t *runner, message_t *message)
{
    entity_t *entity = message->entity;
    const store_message_t *stored = &message->stored;
    message_set_state(message, MESSAGE_IN_FLIGHT);
    message->activation = entity->activation;
    message->deliveries++;
    entity->in_flight++;
    delivery_began(router, runner, message);
    router->counters.delivered++;
    if (message->deliveries > 1) {
        router->counters.redelivered++;
    }
    bool durable = stored->flags & REQUEST_DURABLE;
    if (!durable) {
        entity->queued_volatile--;
    }
    message_deliver_t deliver = {
        .shard = stored->shard.value,
        .home_epoch = entity->shard->token.home_epoch,
        .owner_sequence = entity->shard->token.owner_sequence,
        .activation = message->activation,
        .request_id = stored->id.value,
        .delivery = message->deliveries,
        .attempt = message->tally.attempts + (message->charged ? 0 : 1),
        .flags = stored->flags,
        .type = stored->type,
        .id = stored->entity,
        .tag = stored->tag,
        .payload = stored->payload,
        .deadline_ms = message->deadline_ms ? message->deadline_ms - router->now_ms : 0,
        .traceparent = stored->traceparent,
        .headers = stored->headers,
    };
    message_put_deliver(peer_writer(router, runner->peer), &deliver);
    if (!durable && stored->flags & REQUEST_TELL && stored->flags & REQUEST_WANT_ACCEPTED) {
        call_send_accepted(router, message);
    }
}

/* A volatile message whose caller has given up before it was delivered, or has said goodbye. */
static bool expired(router_t *router, message_t *message)
{
    uint32_t flags = message->stored.flags;
    if (flags & REQUEST_DURABLE) {
        return false;
    }
    bool awaited =
        !(flags & REQUEST_TELL) || flags & (REQUEST_WANT_ACCEPTED | REQUEST_WANT_HANDLED);
    if (awaited && !client_of(router, message)) {
        router->counters.abandoned++;
    } else if (message->deadline_ms > 0 && message->deadline_ms <= router->now_ms) {
        message_reject(router, message, FABRIC_ERROR_TIMEOUT, 0,
                       "the deadline passed before the message was delivered");
    } else {
        return false;
    }
    message_forget(router, message);
    return true;
}

static void wait_for_credit(runner_t *runner, entity_t *entity)
{
    if (entity->waits_for_credit) {
        return;
    }
    entity->waits_for_credit = true;
    entity->credit_next = NULL;
    if (runner->waiting) {
        runner->waiting_last->credit_next = entity;
    } else {
        runner->waiting = entity;
    }
    runner->waiting_last = entity;
}

/* The message that the entity could give to its owner now, if the owner has room for it. */
static message_t *next_to_deliver(const router_t *router, const entity_t *entity)
{
    const shard_t *shard = entity->shard;
    if (shard->state != SHARD_OWNED || shard->owner->state != RUNNER_JOINED || entity->draining ||
        entity->delay_level > 0 || router->now_ms >= router->lease_until_ms ||
        entity->in_flight >= ENTITY_WINDOW) {
        return NULL;
    }
    message_t *message = entity->cursor;
    return message && !suspect_waits(router, entity, message) ? message : NULL;
}

/* `turn`: it has waited for credit, and others that wait do not come before it. */
static void dispatch(router_t *router, entity_t *entity, bool turn)
{
    runner_t *runner = entity->shard->owner;
    for (;;) {
        suspects_give_up(router, entity);
        message_t *message = next_to_deliver(router, entity);
        if (!message) {
            return;
        }
        bool first = turn || !runner->waiting || runner->alone == message;
        if (!first || !runner_admits(router, runner, message)) {
            wait_for_credit(runner, entity);
            return;
        }
        if (!suspect_counted(router, runner, message)) {
            return;
        }
        entity->cursor = next_queued(message->next);
        if (!expired(router, message)) {
            deliver(router, runner, message);
        }
    }
}

void entity_dispatch(router_t *router, entity_t *entity)
{
    dispatch(router, entity, false);
}

void runner_dispatch_waiting(router_t *router, runner_t *runner)
{
    while (runner->waiting) {
        entity_t *entity = runner->waiting;
        const message_t *message = next_to_deliver(router, entity);
        if (message && !runner_admits(router, runner, message)) {
            return; /* and nothing overtakes it */
        }
        runner->waiting = entity->credit_next;
        entity->waits_for_credit = false;
        dispatch(router, entity, true);
        entity_release(router, entity);
    }
}

/* ---- waiting out a backoff ---- */

/* Twice as long with each level, up to a bound. */
static uint64_t delay_of(const router_t *router, unsigned level)
{
    if (level == 0) {
        return NOT_TAKEN_DELAY_MS;
    }
    uint64_t delay_ms = (uint64_t)router->config.backoff_ms << (level - 1);
    return delay_ms < router->config.backoff_max_ms ? delay_ms : router->config.backoff_max_ms;
}

void entity_back_off(router_t *router, entity_t *entity, unsigned level)
{
    entity_resume(router, entity);
    /* One list for each length of wait, so that each list is in order of time by itself. */
    level = level < DELAY_LEVELS ? level : DELAY_LEVELS - 1;
    uint64_t delay_ms = delay_of(router, level);
    entity->not_before_ms = router->now_ms + delay_ms;
    entity->delay_level = (uint8_t)(level + 1);
    DL_APPEND2(router->delayed[level], entity, delayed_prev, delayed_next);
}

void entities_wake(router_t *router)
{
    for (unsigned level = 0; level < DELAY_LEVELS; level++) {
        entity_t *entity;
        while ((entity = router->delayed[level]) && entity->not_before_ms <= router->now_ms) {
            assert(entity->delay_level == level + 1);
            entity_resume(router, entity);
            entity_dispatch(router, entity);
            entity_release(router, entity);
        }
    }
}
