/* Dispatch: which message of an entity is delivered to the owner of the entity, and when. */
#include "broker/router/dispatch.h"

#include "broker/router/answers.h"
#include "broker/router/cancels.h"
#include "broker/router/failing.h"
#include "broker/router/outcome.h"
#include "broker/router/poison.h"
#include "broker/router/router_state.h"

/* What is left until the message's deadline; 0: it has none. */
static uint64_t left_ms(const router_t *router, const message_t *message)
{
    if (message->deadline_ms == 0) {
        return 0;
    }
    return message->deadline_ms > router->now_ms ? message->deadline_ms - router->now_ms : 1;
}

static bool is_late(const router_t *router, const message_t *message)
{
    return message->deadline_ms > 0 && message->deadline_ms <= router->now_ms;
}

/* Whether the message is to end without being handled, once an owner has looked whether it was. */
static bool is_to_look(router_t *router, const message_t *message)
{
    return message_needs_look(message) &&
           (message->cancelled || poison_is_exhausted(router, message) ||
            (is_late(router, message) && message_gives_up(message)));
}

static uint64_t deliver_flags(const message_t *message, bool look)
{
    uint64_t flags = message->stored.flags | (message->alone ? DELIVER_ALONE : 0u) |
                     (message->early ? DELIVER_EARLY : 0u) | (look ? DELIVER_LOOK : 0u);
    return message_gives_up(message) && !look ? flags : flags & ~(uint64_t)REQUEST_GIVE_UP;
}

static void deliver(router_t *router, runner_t *runner, message_t *message)
{
    entity_t *entity = message->entity;
    const store_message_t *stored = &message->stored;
    bool look = is_to_look(router, message);
    entity_send(entity, message);
    poison_delivery_began(runner, message);
    router->counters.delivered++;
    router->counters.delivered_early += message->early;
    if (message->deliveries > 1) {
        router->counters.redelivered++;
    }
    message_deliver_t deliver = {
        .shard = stored->shard.value,
        .home_epoch = entity->ownership->token.home_epoch,
        .owner_sequence = entity->ownership->token.owner_sequence,
        .activation = message->activation,
        .request_id = stored->id.value,
        .delivery = message->deliveries,
        .attempt = poison_failures(message) + 1,
        .flags = deliver_flags(message, look),
        .type = stored->type,
        .id = stored->entity,
        .tag = stored->tag,
        .payload = stored->payload,
        .deadline_ms = look ? 0 : left_ms(router, message),
        .traceparent = stored->traceparent,
        .headers = stored->headers,
        .position = message->position != stored->id.value ? message->position : 0,
    };
    if (entity->ownership->persisted &&
        persisted_deliver(router, entity->ownership, entity_persisted_key(entity),
                          message->activation)) {
        alive_state_given(router, stored->type, stored->entity);
    }
    if (entity->ownership->appends && !entity->history) {
        entity->history = persisted_history(router, stored->shard, stored->type, stored->entity);
        history_begin_flight(entity->history);
    }
    message_put_deliver(peer_writer(router, runner->peer), &deliver);
    uint32_t volatile_told_of = REQUEST_TELL | REQUEST_WANT_ACCEPTED;
    if ((stored->flags & (REQUEST_DURABLE | volatile_told_of)) == volatile_told_of) {
        message_send_accepted(router, message);
    }
}

/* Ends a message whose caller does not wait any more: the caller's deadline is over, or the client
 * has said goodbye. */
static bool expired(router_t *router, message_t *message)
{
    uint32_t flags = message->stored.flags;
    bool late = is_late(router, message);
    if (flags & REQUEST_DURABLE) {
        bool ends = late && message_gives_up(message) && !message_needs_look(message);
        if (ends) {
            message_finish_as_cancelled(router, message);
        }
        return ends;
    }
    bool awaited =
        !(flags & REQUEST_TELL) || flags & (REQUEST_WANT_ACCEPTED | REQUEST_WANT_HANDLED);
    if (awaited && !message_is_awaited(router, message)) {
        router->counters.abandoned++;
    } else if (late) {
        message_reject(router, message, FABRIC_ERROR_TIMEOUT, 0,
                       "the deadline passed before the message was delivered");
    } else {
        return false;
    }
    message_forget(router, message);
    return true;
}

/* Whether as many messages of the entity are in flight as may be. */
static bool is_window_full(router_t *router, const entity_t *entity)
{
    if (entity->in_flight < ENTITY_WINDOW) {
        return false;
    }
    uint32_t concurrency = type_concurrency(router, entity_type(entity));
    uint32_t window = concurrency < ENTITY_WINDOW ? ENTITY_WINDOW : concurrency;
    return entity->in_flight >= (window < ENTITY_WINDOW_MAX ? window : ENTITY_WINDOW_MAX);
}

/* Whether nothing is to be known of the entity's persisted state before it is given a message. */
static bool has_state(router_t *router, entity_t *entity)
{
    return !entity->ownership->persisted ||
           persisted_is_ready(router, entity->ownership, entity_persisted_key(entity),
                              entity->in_flight);
}

/* The message that the entity could give to its owner now, if the owner has credit for it. */
static message_t *next_to_deliver(router_t *router, entity_t *entity)
{
    const ownership_t *ownership = entity->ownership;
    if (!ownership_dispatches(router, ownership) || ownership->owner->state != RUNNER_JOINED ||
        entity->restarting || timer_is_set(&entity->pause) || entity->holds > 0 ||
        is_window_full(router, entity)) {
        return NULL;
    }
    message_t *message = entity->cursor;
    if (message && message->early &&
        !runner_knows_early(ownership->owner, message->stored.type, message->stored.tag)) {
        return NULL;
    }
    if (message && entity->unstored > 0 && !(message->stored.flags & REQUEST_DURABLE)) {
        return NULL; /* its handler would act on what may never be stored */
    }
    bool waits =
        message && (poison_waits(router, entity, message) ||
                    (poison_is_exhausted(router, message) && /* parked, or not yet given up */
                     !message_needs_look(message)));
    return waits || (message && !has_state(router, entity)) ? NULL : message;
}

/* Whether the owner is to be told first what the entity begins with, which may be large, and has
 * not read what it was sent. */
static bool is_held_back(router_t *router, entity_t *entity)
{
    const ownership_t *ownership = entity->ownership;
    return ownership->persisted && peer_is_filling(router, ownership->owner->peer) &&
           !persisted_is_given(router, ownership, entity_persisted_key(entity));
}

/* Whether the owner may be given the entity's next message. */
static bool admits(router_t *router, runner_t *runner, entity_t *entity)
{
    bool held_back = is_held_back(router, entity);
    runner->holds_back = runner->holds_back || held_back;
    return !held_back && poison_admits(router, runner);
}

/* `turn`: the entity has waited for credit, and no other entity that waits comes before it. */
static void dispatch(router_t *router, entity_t *entity, bool turn)
{
    runner_t *runner = entity->ownership->owner;
    if (!shard_is_home(entity->ownership->shard)) {
        return; /* its lane was dropped, and the entity is freed in a later turn */
    }
    while (entity->cursor) {
        failing_give_up(router, entity);
        message_t *message = next_to_deliver(router, entity);
        if (!message) {
            return;
        }
        bool first = turn || !runner->waiting;
        if (!first || !admits(router, runner, entity)) {
            runner_wait(runner, entity);
            return;
        }
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
    runner->holds_back = false;
    while (runner->waiting) {
        entity_t *entity = runner->waiting;
        const message_t *message = next_to_deliver(router, entity);
        if (message && !admits(router, runner, entity)) {
            return; /* and no message overtakes it */
        }
        (void)runner_take_waiting(runner);
        dispatch(router, entity, true);
        entity_release(router, entity);
    }
}

void entities_wake(router_t *router)
{
    entity_t *entity;
    while ((entity = entity_take_rested(router))) {
        entity_dispatch(router, entity);
        entity_release(router, entity);
    }
}
