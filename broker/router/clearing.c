/* Clearing: see clearing.h. */
#include "broker/router/clearing.h"

#include <utlist.h>

#include "broker/router/answers.h"
#include "broker/router/cancels.h"
#include "broker/router/dispatch.h"
#include "broker/router/messages.h"
#include "broker/router/outcome.h"
#include "broker/router/poison.h"
#include "broker/router/request_ids.h"
#include "broker/router/router_state.h"
#include "core/address.h"
#include "core/memory.h"

/* Callers of messages that only the store has, told in one turn of the router's loop. */
enum { GHOSTS_AT_ONCE = 4096 };

/* The end of a damaged message, which belongs to no entity, stands. */
static bool is_taken_out(const void *context, const message_t *message)
{
    return message->entity && clear_covers(context, message);
}

static void end_attempt(message_t *message)
{
    entity_unhold(message->entity);
}

/* ---- the operator ---- */

static fabric_error_t check(router_t *router, const shard_t *shard, const char **text)
{
    const router_lane_t *lane = shard ? lane_of(router, shard->id) : NULL;
    if (!lane || lane->state != LANE_HOME || !shard_serves(router, shard)) {
        *text = "this broker is not the home of the entity";
        return FABRIC_ERROR_NOT_FOUND;
    }
    if (!lane->batches.available) {
        *text = lane->batches.cause.text;
        return FABRIC_ERROR_PERSISTENCE;
    }
    *text = "the broker has too much to do";
    return lane->clears.count >= CLEARS_MAX || router_journal_is_full(router) ? FABRIC_ERROR_BUSY
                                                                              : FABRIC_OK;
}

fabric_error_t clear_begin(router_t *router, const peer_t *peer, uint64_t sequence,
                           fabric_bytes_t type, fabric_bytes_t entity, const char **text)
{
    const known_type_t *known = type_find(router, type);
    if (!known) {
        *text = "no worker has registered this entity type";
        return FABRIC_ERROR_UNKNOWN_ENTITY_TYPE;
    }
    if (!peer->client) {
        *text = "only a client may ask for that";
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    if (known->description->transactional) {
        *text = "the type has transactional messages, which end one by one: cancel them";
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    uint32_t number = address_shard_number(entity, router->config.shards_per_group);
    const shard_t *shard = shard_find(router, shard_id_make(known->group, (uint16_t)number));
    fabric_error_t error = check(router, shard, text);
    if (error) {
        return error;
    }
    entity_clear_t *clear =
        clears_add(&lane_of(router, shard->id)->clears, request_id_make(router, (request_id_t){0}),
                   shard->id, journal_entity_hash(type, entity), type, entity);
    clear->asked = true;
    clear->client = peer->client->number;
    clear->sequence = sequence;
    batch_add_clear(router, &(batch_clear_t){clear->id, shard->id, clear->type, clear->entity});
    return FABRIC_OK;
}

static void answer(router_t *router, entity_clear_t *clear, fabric_error_t error, const char *text)
{
    const client_t *client = clear->asked ? client_find(router, clear->client) : NULL;
    clear->asked = false;
    if (!client || !client->peer) {
        return;
    }
    wire_writer_t document = {0};
    if (!error) {
        wire_put_map(&document, 2);
        wire_put_text(&document, "cleared");
        wire_put_uint(&document, clear->id.value);
        wire_put_text(&document, "ended");
        wire_put_uint(&document, clear->ended);
    }
    message_answer_t message = {.sequence = clear->sequence,
                                .error = (uint64_t)error,
                                .text = fabric_bytes_of(text),
                                .document = wire_writer_bytes(&document)};
    message_put_answer(peer_writer(router, client->peer), &message);
    wire_writer_destroy(&document);
}

/* ---- messages end ---- */

static void end_in_store(router_t *router, message_t *message)
{
    store_reply_t reply = message_cleared_reply(message->stored.id, message->stored.shard);
    router->counters.cancelled++;
    message_add_reply(router, message, &reply);
    if (!(message->stored.flags & REQUEST_TELL)) {
        message_send_reply(router, message);
    }
}

void clears_end_message(router_t *router, message_t *message)
{
    entity_t *entity = message->entity;
    router->counters.ended++;
    end_in_store(router, message);
    message_dismiss(router, message);
    message_set_state(message, MESSAGE_ENDED);
    state_value_drop(&message->left); /* it does not count */
    events_value_drop(&message->events);
    told_value_destroy(&message->outgoing);
    if (!message_end_calls(router, message)) {
        message_destroy(&message);
    }
    entity_release(router, entity);
}

static void end_volatile(router_t *router, message_t *message)
{
    message_reject(router, message, FABRIC_ERROR_CANCELLED, 0, "an operator cleared the entity");
    message_forget(router, message);
}

/* The durable message is in no queue any more. */
static void end_durable(router_t *router, entity_clear_t *clear, message_t *message)
{
    clear->due_rows += message->has_row && message_is_scheduled(message);
    clears_end_message(router, message);
}

/* The result of a message in flight will find no message. */
static void end_delivery(router_t *router, message_t *message)
{
    if (message->state == MESSAGE_IN_FLIGHT) {
        message_put_interrupted(router, message);
        poison_delivery_ended(message->entity->ownership->owner, message);
    }
}

/* A message of the queue. */
static void end_queued(router_t *router, entity_clear_t *clear, message_t *message)
{
    end_delivery(router, message);
    if (message->stored.flags & REQUEST_DURABLE) {
        entity_remove(message);
        end_durable(router, clear, message);
    } else {
        end_volatile(router, message);
    }
}

/* A volatile message that is later than the clear, and that may have been handled on a persisted
 * state which is not going to be stored. */
static void lose_handled(router_t *router, message_t *message)
{
    bool is_durable = message->stored.flags & REQUEST_DURABLE;
    if (!is_durable && message->state != MESSAGE_QUEUED) {
        end_delivery(router, message);
        message_lose(router, message, "an operator cleared the entity");
    }
}

/* Volatile results wait for no commit any more, and leave, unless a persisted state is what they
 * rest on. Returns how many durable messages have left the queue. */
static uint32_t end_queue(router_t *router, entity_clear_t *clear, const entity_t *entity)
{
    uint32_t durable = 0;
    bool persisted = entity->ownership->persisted;
    message_t *message, *next;
    DL_FOREACH_SAFE(entity->queue, message, next)
    {
        bool is_durable = message->stored.flags & REQUEST_DURABLE;
        bool ends = is_durable || persisted || message->state != MESSAGE_RESULT;
        if (clear_covers(clear, message) && ends) {
            durable += is_durable;
            clear->ended++;
            end_queued(router, clear, message);
        } else if (persisted) {
            lose_handled(router, message);
        }
    }
    return durable;
}

static void end_chain(router_t *router, entity_clear_t *clear, message_t *chain)
{
    while (chain) {
        message_t *message = chain;
        chain = message->chain;
        message->chain = NULL;
        clear->ended++;
        end_durable(router, clear, message);
    }
}

static void tell_instance(router_t *router, entity_clear_t *clear)
{
    const shard_t *shard = shard_find(router, clear->shard);
    clear->tell_until_ms = router->now_ms + router->config.lease_ms;
    if (shard) {
        (void)clear_tell_owner(router, clear, ownership_of(router, shard, clear->type));
    }
}

/* What was wrong with the entity is over with its messages. What is in flight now is later than the
 * clear, and its results count; a defect before it brings it back, as always. Nothing that is in
 * flight of a persisted type counts. */
static void renew_entity(router_t *router, entity_t *entity)
{
    entity_end_restart(entity);
    if (entity->in_flight == 0 || entity->ownership->persisted) {
        entity_restart(router, entity);
    }
    entity_forget_refusals(entity);
    entity_resume(router, entity);
    entity_set_parked(router, entity, false);
    entity_flush(router, entity);
    entity_dispatch(router, entity);
}

/* Ends what memory has of the entity. */
static void end_in_memory(router_t *router, router_lane_t *lane, entity_clear_t *clear)
{
    message_chain_t moved = {0};
    batch_remove(&lane->batches, &(batch_removal_t){clear, is_taken_out, end_attempt}, &moved);
    persisted_revert(router, clear->shard, clear->type, clear->entity);
    entity_t *entity = mailbox_find(router, clear->type, clear->entity);
    if (entity) {
        entity->pending++; /* it stays until all of this is done */
        uint32_t durable = end_queue(router, clear, entity);
        end_chain(router, clear, overflow_take_tail(router, lane, entity, clear->id));
        end_chain(router, clear, schedule_take_all(router, lane, entity, clear->id));
        end_chain(router, clear, moved.first);
        overflow_cleared(router, &lane->overflows, clear->entity_hash, durable);
        renew_entity(router, entity);
        entity->pending--;
        entity_release(router, entity);
    } else {
        overflow_cleared(router, &lane->overflows, clear->entity_hash, 0);
    }
    keys_clear(router, &lane->keys, clear->entity_hash, clear->id);
}

void clear_committed(router_t *router, uint32_t number, request_id_t id)
{
    router_lane_t *lane = &router->lanes[number];
    entity_clear_t *clear = clears_find(&lane->clears, id);
    clear->stage = CLEAR_NOTED;
    clear->has_ghosts = true;
    clear->ended += overflow_stored(&lane->overflows, clear->entity_hash);
    checkpoint_hasten(router, &lane->checkpoint);
    end_in_memory(router, lane, clear);
    alive_cleared(router, clear->type, clear->entity);
    tell_instance(router, clear);
}

/* Without an entity there is nothing to deliver: messages of the batch have theirs. */
void clears_hold(router_t *router, const lane_batch_t *batch)
{
    for (size_t i = 0; i < batch->clear_count; i++) {
        entity_t *entity = mailbox_find(router, batch->clears[i].type, batch->clears[i].entity);
        if (entity) {
            entity->pending++; /* it stays */
            entity_hold(entity);
        }
    }
}

void clears_unhold(router_t *router, const lane_batch_t *batch)
{
    for (size_t i = 0; i < batch->clear_count; i++) {
        entity_t *entity = mailbox_find(router, batch->clears[i].type, batch->clears[i].entity);
        if (entity) {
            entity->pending--;
            entity_unhold(entity);
            entity_dispatch(router, entity);
            entity_release(router, entity);
        }
    }
}

/* ---- callers of messages that only the store has ---- */

static void end_ghost(router_t *router, message_t *ghost)
{
    end_in_store(router, ghost);
    message_remove(router, ghost);
    message_set_state(ghost, MESSAGE_ENDED);
    if (!message_end_calls(router, ghost)) {
        message_destroy(&ghost);
    }
}

bool clears_go_on(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    entity_clear_t *clear = lane->clears.first;
    while (clear && !clear->has_ghosts) {
        clear = clear->next;
    }
    if (!clear) {
        return false;
    }
    unsigned left = GHOSTS_AT_ONCE;
    message_t *ghost, *next;
    DL_FOREACH_SAFE(lane->ghosts, ghost, next)
    {
        if (left == 0) {
            return true;
        }
        if (clear_covers(clear, ghost)) {
            left--;
            end_ghost(router, ghost);
        }
    }
    clear->has_ghosts = false;
    answer(router, clear, FABRIC_OK, "");
    clears_read(router, number);
    return true;
}

/* ---- rows ---- */

void clears_settled(router_t *router, uint32_t number, const checkpoint_slice_t *slice)
{
    router_lane_t *lane = &router->lanes[number];
    if (!slice->taken.slice.clear) {
        return;
    }
    entity_clear_t *clear = clears_find(&lane->clears, slice->cleared_id);
    const store_cleared_t *cleared = &slice->cleared;
    if (clear) {
        uint64_t rows = cleared->scheduled;
        uint64_t known = rows < clear->due_rows ? rows : clear->due_rows;
        clear->due_rows -= known;
        schedule_cleared(router, &lane->schedule, rows - known);
    }
    if (clear && cleared->pending + cleared->scheduled + cleared->keys <
                     slice->taken.slice.clear->rows_max) {
        clear_rows_deleted(lane, clear);
        overflow_look_again(router, &lane->overflows, clear->entity_hash);
    }
}

/* ---- lanes ---- */

void clears_adopted(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    for (const entity_clear_t *clear = lane->clears.first; clear; clear = clear->next) {
        overflow_cleared(router, &lane->overflows, clear->entity_hash, 0);
    }
}

void clears_drop(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    for (entity_clear_t *clear = lane->clears.first; clear; clear = clear->next) {
        answer(router, clear, FABRIC_ERROR_OUTCOME_UNKNOWN,
               "another broker has become the home of the entity: clear it again");
    }
    clears_forget(lane);
}
