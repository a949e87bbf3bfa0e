/* Early delivery: see early.h. */
#include "broker/router/early.h"

#include "broker/router/dispatch.h"
#include "broker/router/router_state.h"

/* Where more wait, an append has the results of those before it without waiting for them. */
enum { RECORDS_MAX = 16 };

bool early_is_allowed(const known_type_t *type, fabric_bytes_t tag)
{
    const message_description_t *message = type_description_message(type->description, tag);
    return message && message->early;
}

/* Whether all that comes before the message in its entity is in the entity's queue, and so is in
 * flight or has a result, and no clear is to come before it. Where several handlers of the entity
 * may be at work, one that has begun before would see what this one does: so none may be. */
static bool is_next(router_t *router, const message_t *message)
{
    const entity_t *entity = message->entity;
    bool alone = entity->in_flight == 0 || type_concurrency(router, entity_type(entity)) <= 1;
    return alone && entity->pending == entity->queued + 1 && !entity->cursor &&
           overflow_queues_next(router, entity) &&
           lane_of(router, message->stored.shard)->clears.count == 0;
}

/* Whether the entity's owner takes the message now. */
static bool is_served(const router_t *router, const message_t *message)
{
    const entity_t *entity = message->entity;
    const ownership_t *ownership = entity->ownership;
    return ownership_dispatches(router, ownership) && ownership->owner->state == RUNNER_JOINED &&
           runner_knows_early(ownership->owner, message->stored.type, message->stored.tag) &&
           !entity->restarting && !timer_is_set(&entity->pause) && entity->holds == 0;
}

void early_deliver(router_t *router, message_t *message)
{
    entity_t *entity = message->entity;
    if (message_is_scheduled(message) || !is_served(router, message) || !is_next(router, message)) {
        return;
    }
    batch_note_early(router, message);
    entity->unstored++;
    entity_append(entity, message);
    entity_dispatch(router, entity);
}

static bool is_awaited(const message_t *message)
{
    uint32_t told_before = REQUEST_TELL | REQUEST_WANT_ACCEPTED;
    return message->state == MESSAGE_IN_FLIGHT && !(message->stored.flags & told_before);
}

router_early_t router_early(const router_t *router, uint32_t number)
{
    const batch_builder_t *next = &router->lanes[number].batches.next;
    router_early_t early = {0};
    if (next->early_count == 0 || next->message_count > RECORDS_MAX ||
        next->end_count > RECORDS_MAX) {
        return early;
    }
    for (size_t i = 0; i < next->message_count; i++) {
        const message_t *message = message_of(next->messages[i]);
        early.messages += message->early;
        early.awaited += message->early && is_awaited(message);
    }
    for (size_t i = 0; i < next->end_count; i++) {
        early.ends += message_of(next->ends[i].message)->early;
    }
    return early;
}
