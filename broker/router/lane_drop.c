/* What a lane takes along when it is dropped: see lane_drop.h. Its new home knows everything of it
 * that is durable, and what is not durable never was accepted. So nobody gets a final answer here,
 * but for callers of volatile messages that may have been handled. */
#include "broker/router/lane_drop.h"

#include <utlist.h>

#include "broker/router/answers.h"
#include "broker/router/messages.h"
#include "broker/router/poison.h"
#include "broker/router/resends.h"
#include "broker/router/router_state.h"

/* A redirect alone says that the call was certainly not accepted. So the callers of an ask that is
 * stored hear of that first, and then ask its new home. A tell that is stored is over for its
 * caller. */
static void tell_stored(router_t *router, const message_t *message)
{
    if (!(message->stored.flags & REQUEST_TELL)) {
        message_send_accepted(router, message);
        message_redirect(router, message);
    }
}

static void forget_calls(router_t *router, message_t *message)
{
    message_left_lane(router, message);
    message_drop_calls(router, message);
}

/* Takes a pending message, which is in no queue, out of everything. A batch that is being appended
 * keeps it until the batch is answered; only then it is known what callers are to be told. */
static void drop_pending(router_t *router, message_t *message)
{
    if (message->state != MESSAGE_IN_LANE) {
        tell_stored(router, message);
        forget_calls(router, message);
    } else if (!message->orphaned) {
        message_redirect(router, message);
        forget_calls(router, message);
    }
    message_dismiss(router, message);
    if (!message->orphaned) {
        message_destroy(&message);
    }
}

static void drop_volatile(router_t *router, message_t *message)
{
    if (message->state == MESSAGE_QUEUED) {
        message_redirect(router, message); /* it was certainly not handled */
    } else {
        message_reject(router, message, FABRIC_ERROR_OUTCOME_UNKNOWN, 0,
                       "the entity's shard has got another home");
    }
    message_forget(router, message);
}

/* Messages that are in no queue: those that are not durable yet, and damaged ones. */
static void drop_unqueued(router_t *router, const batch_builder_t *builder)
{
    for (size_t i = 0; i < builder->message_count; i++) {
        drop_pending(router, message_of(builder->messages[i]));
    }
    for (size_t i = 0; i < builder->end_count; i++) {
        message_t *message = message_of(builder->ends[i].message);
        if (!message->entity) {
            drop_pending(router, message);
        }
    }
}

/* Messages behind those that only the store has, and the callers of the latter. */
static void drop_overflow(router_t *router, router_lane_t *lane)
{
    message_t *message;
    while ((message = overflow_take_tail(&lane->overflows))) {
        entity_t *entity = message->entity;
        drop_pending(router, message);
        entity_release(router, entity);
    }
    while ((message = lane->ghosts)) {
        tell_stored(router, message);
        message_drop_calls(router, message);
        message_remove(router, message);
        message_destroy(&message);
    }
}

static void drop_queue(router_t *router, entity_t *entity)
{
    runner_t *owner = entity->shard->owner;
    message_t *message, *next;
    DL_FOREACH_SAFE(entity->queue, message, next)
    {
        if (message->state == MESSAGE_IN_FLIGHT) {
            poison_delivery_ended(owner, message);
        }
        if (message->stored.flags & REQUEST_DURABLE) {
            entity_remove(message);
            drop_pending(router, message);
        } else {
            drop_volatile(router, message);
        }
    }
}

static void drop_shard(router_t *router, shard_t *shard)
{
    if (shard->owner) {
        runner_forget_waiting(shard->owner, shard);
    }
    entity_t *entity, *next;
    DL_FOREACH_SAFE(shard->entities, entity, next)
    {
        drop_queue(router, entity);
        entity_release(router, entity);
    }
    shard_drop(router, shard);
}

void lane_drop_contents(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    lane_batches_t *batches = &lane->batches;
    bool appending = batches->running && !batches->orphaned;
    batches_orphan(batches);
    drop_unqueued(router, &batches->next);
    if (appending) {
        drop_unqueued(router, &batches->current);
    }
    drop_overflow(router, lane);
    shard_t *shard = NULL;
    while ((shard = shards_next_of_lane(router, number, shard))) {
        drop_shard(router, shard);
    }
    overflow_drop(router, number);
    checkpoint_drop(router, number);
    loads_drop(&lane->loads);
    batches_clear(batches);
    requests_send_away(router, lane);
}

/* The caller of a message that has been stored, or has certainly not been. */
static void tell_orphaned(router_t *router, const message_t *message, bool stored)
{
    if (!stored) {
        message_redirect(router, message);
    } else if (message->stored.flags & REQUEST_WANT_ACCEPTED &&
               message->stored.flags & REQUEST_TELL) {
        message_send_accepted(router, message);
    } else {
        tell_stored(router, message);
    }
}

void lane_settle_orphans(router_t *router, const lane_batches_t *batches, bool stored)
{
    for (message_t *message = batches->orphans; message; message = message->chain) {
        if (message->state == MESSAGE_IN_LANE) {
            tell_orphaned(router, message, stored);
            forget_calls(router, message);
        }
    }
}
