/* What a lane takes along when it is dropped: see lane_drop.h. Its new home knows everything of it
 * that is durable, and what is not durable never was accepted. So nobody gets a final answer here,
 * but for callers of volatile messages that may have been handled. */
#include "broker/router/lane_drop.h"

#include <assert.h>

#include "broker/router/answers.h"
#include "broker/router/clearing.h"
#include "broker/router/messages.h"
#include "broker/router/operator_cancels.h"
#include "broker/router/outgoing.h"
#include "broker/router/poison.h"
#include "broker/router/resends.h"
#include "broker/router/router_state.h"

/* Messages, entities and overflows that are let go in one turn of the router's loop. */
enum { DROPPED_AT_ONCE = 4096 };

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
    if (!message_is_unstored(message)) {
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

static void drop_queued(router_t *router, message_t *message)
{
    if (message->state == MESSAGE_IN_FLIGHT) {
        poison_delivery_ended(message->entity->ownership->owner, message);
    }
    if (message->stored.flags & REQUEST_DURABLE) {
        entity_remove(message);
        drop_pending(router, message);
    } else {
        drop_volatile(router, message);
    }
}

/* ---- at once ---- */

static void drop_orphans(router_t *router, message_t *orphans)
{
    for (message_t *message = orphans; message; message = message->chain) {
        bool queued = message->state != MESSAGE_IN_LANE && message->state != MESSAGE_DUE;
        if (message->entity && queued) {
            drop_queued(router, message);
        } else {
            drop_pending(router, message);
        }
    }
}

/* Of the ends, only those of damaged messages: the others are in queues. */
static void drop_damaged(router_t *router, const batch_builder_t *builder)
{
    for (size_t i = 0; i < builder->end_count; i++) {
        message_t *message = message_of(builder->ends[i].message);
        if (!message->entity && !message->orphaned) {
            drop_pending(router, message);
        }
    }
}

/* Also what stands before a message in flight, so that callers hear in order. */
static void drop_in_flight(router_t *router, const shard_t *shard)
{
    for (const ownership_t *ownership = shard->ownerships; ownership; ownership = ownership->next) {
        entity_t *entity;
        while ((entity = ownership->busy)) {
            while (entity->in_flight > 0) {
                drop_queued(router, entity->queue);
            }
        }
    }
}

void lane_drop(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    lane_batches_t *batches = &lane->batches;
    bool appending = batches->running && !batches->orphaned;
    batches_orphan(batches);
    batches_abandon(batches);
    if (appending) {
        drop_orphans(router, batches->orphans);
    }
    drop_damaged(router, &batches->abandoned);
    shard_t *shard = NULL;
    while ((shard = shards_next_of_lane(router, number, shard))) {
        drop_in_flight(router, shard);
        owners_drop(router, shard);
    }
    outgoing_sends_drop(router, number);
    overflow_drop(&lane->overflows);
    checkpoint_drop(router, number);
    loads_drop(&lane->loads);
    schedule_drop(router, number);
    clears_drop(router, number);
    search_drop(&lane->search);
    persisted_drop(&lane->persisted);
    outbox_drop(router, number);
    early_ends_clear(&lane->early_ends);
    operator_cancels_drop(router, number);
    readers_drop(router, number);
    requests_send_away(router, lane);
}

/* ---- part by part ---- */

/* Messages that, or whose new positions, are not durable yet. */
static bool drop_next_abandoned(router_t *router, router_lane_t *lane)
{
    message_t *message = batches_take_abandoned(&lane->batches);
    if (message) {
        drop_pending(router, message);
    }
    return message;
}

/* Messages behind those that only the store has. */
static bool drop_next_overflow(router_t *router, uint32_t number)
{
    message_t *message;
    bool any = overflow_drop_next(router, number, &message);
    if (message) {
        drop_pending(router, message);
    }
    return any;
}

static bool drop_next_scheduled(router_t *router, uint32_t number)
{
    message_t *message = schedule_drop_next(router, number);
    if (message) {
        drop_pending(router, message);
    }
    return message;
}

/* The callers of messages that only the store has. */
static bool drop_next_ghost(router_t *router, const router_lane_t *lane)
{
    message_t *ghost = lane->ghosts;
    if (!ghost) {
        return false;
    }
    tell_stored(router, ghost);
    message_drop_calls(router, ghost);
    message_remove(router, ghost);
    message_destroy(&ghost);
    return true;
}

static entity_t *find_entity(const shard_t *shard)
{
    const ownership_t *ownership = shard->ownerships;
    while (ownership && !ownership->entities) {
        ownership = ownership->next;
    }
    return ownership ? ownership->entities : NULL;
}

/* A message of a queue, or an entity whose queue is empty. Comes last: no entity has other messages
 * any more. *shard is one of the lane's shards; those before it have no entities. */
static bool drop_next_queued(router_t *router, uint32_t number, shard_t **shard)
{
    entity_t *entity = NULL;
    while (*shard && !(entity = find_entity(*shard))) {
        *shard = shards_next_of_lane(router, number, *shard);
    }
    if (!entity) {
        return false;
    }
    if (entity->queue) {
        drop_queued(router, entity->queue);
    } else {
        assert(entity->pending == 0);
        entity_stop_waiting(entity);
        entity_release(router, entity);
    }
    return true;
}

bool lane_drop_some(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    shard_t *shard = shards_next_of_lane(router, number, NULL);
    for (unsigned i = 0; i < DROPPED_AT_ONCE; i++) {
        bool any = drop_next_abandoned(router, lane) || drop_next_overflow(router, number) ||
                   drop_next_scheduled(router, number) || drop_next_ghost(router, lane) ||
                   keys_drop_next(router, &lane->keys) || alive_drop_next(router, number) ||
                   persisted_drop_next(router, &lane->persisted) ||
                   drop_next_queued(router, number, &shard);
        if (!any) {
            return true;
        }
    }
    return false;
}

/* ---- the batch under way ---- */

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
        if (message_is_unstored(message)) {
            tell_orphaned(router, message, stored);
            forget_calls(router, message);
        }
    }
}
