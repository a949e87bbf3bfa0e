/* What follows from an append: nothing leaves the broker before it is durable (I10). The accepted
 * messages of an entry enter their entities' queues, and the messages whose ends it holds have
 * ended. */
#include <assert.h>

#include "broker/router/answers.h"
#include "broker/router/clearing.h"
#include "broker/router/dispatch.h"
#include "broker/router/failing.h"
#include "broker/router/lane_drop.h"
#include "broker/router/messages.h"
#include "broker/router/operator_cancels.h"
#include "broker/router/outbox_turns.h"
#include "broker/router/outcome.h"
#include "broker/router/router_state.h"
#include "broker/router/unserved.h"

/* How far fetch_ahead looks. */
enum { NEXT = 2, LATER = 4 };

static checkpoint_t *checkpoint_of(router_t *router, const message_t *message)
{
    return &lane_of(router, message->stored.shard)->checkpoint;
}

static void attempt_committed(router_t *router, message_t *message, journal_attempts_t attempts)
{
    message->counted = attempts;
    checkpoint_note(checkpoint_of(router, message), message);
    entity_t *entity = message->entity; /* the message ends in this entry or later */
    entity_unhold(entity);
    entity_dispatch(router, entity);
}

/* What follows wherever the message is. */
static void message_stored(router_t *router, message_t *message)
{
    message_left_lane(router, message);
    router->counters.accepted++;
    if (message->stored.flags & REQUEST_WANT_ACCEPTED || message->waiter.next) {
        message_send_wanted_accepted(router, message);
    }
    message_tell_wait(router, message);
    failing_tell(router, message);
    checkpoint_note(checkpoint_of(router, message), message);
    if (message->stored.key_hash) {
        keys_durable(router, &lane_of(router, message->stored.shard)->keys, message);
    }
}

/* Messages that were delivered early are in their entities' queues, and what else the entry has may
 * be about them: they come first, and are not in the batch any more. */
static void early_committed(router_t *router, lane_batches_t *lane)
{
    size_t place = 0;
    message_t *message;
    while ((message = batch_take_early(lane, &place))) {
        message_stored(router, message);
        message->entity->unstored--;
        entity_flush(router, message->entity);
        entity_dispatch(router, message->entity); /* the next owner may not have taken it yet */
    }
}

static void message_committed(router_t *router, message_t *message)
{
    message_stored(router, message);
    if (message_is_scheduled(message)) {
        schedule_add(router, message);
    } else {
        overflow_enqueue(router, message);
    }
}

/* The next move whose position is below that of the message. */
static bool is_move_next(const lane_batch_t *batch, size_t moved, size_t messages)
{
    return moved < batch->move_count &&
           (messages == batch->message_count ||
            batch->moves[moved].position < batch->messages[messages]->id.value);
}

/* Messages enter mailboxes in the order of their positions. */
static size_t moves_committed(router_t *router, const lane_batch_t *batch, size_t moved,
                              size_t messages)
{
    while (is_move_next(batch, moved, messages)) {
        const batch_move_t *move = &batch->moves[moved++];
        message_t *message = message_of(move->message);
        if (clears_cover_message(&lane_of(router, message->stored.shard)->clears, message)) {
            clears_end_message(router, message);
        } else {
            schedule_moved(router, message, move->position);
        }
    }
    return moved;
}

/* What the next checkpoint has to write about the end. */
static void note_end(router_t *router, router_lane_t *lane, message_t *message,
                     const batch_end_t *end)
{
    if (message->stored.flags & MESSAGE_TRANSACTIONAL) {
        checkpoint_note_direct(&lane->checkpoint, message->stored.id);
    }
    if (end->dead) {
        message->cause = end->cause;
        checkpoint_note_dead(router, &lane->checkpoint, message);
    } else if (end->outgoing) {
        return; /* outbox_committed does it */
    } else if (message->has_row && message_is_scheduled(message)) {
        checkpoint_note_unscheduled(&lane->checkpoint, message_due_key(message));
    } else if (message->has_row) {
        checkpoint_note_end(&lane->checkpoint, message_row_key(message));
    }
}

/* Takes a message out of everything but its calls. */
static void message_end(router_t *router, message_t *message)
{
    message_dismiss(router, message);
    message_set_state(message, MESSAGE_ENDED);
    if (!message_end_calls(router, message)) {
        message_destroy(&message);
    }
}

static void end_committed(router_t *router, router_lane_t *lane, const batch_end_t *end)
{
    message_t *message = message_of(end->message);
    router->counters.ended++;
    router->counters.cancelled += message->reply.error == FABRIC_ERROR_CANCELLED;
    router->counters.dead_letters += end->dead;
    note_end(router, lane, message, end);
    if (message->out_of_turn) {
        early_end_note(&lane->early_ends, message->stored.id, lane->checkpoint.number);
    }
    if (message->by_operator) {
        operator_cancel_ended(router, message);
    }
    if (message->stored.key_hash) {
        keys_ended(router, &lane->keys, message);
    }
    if (message->events) {
        persisted_commit_events(router, &message->events, lane->checkpoint.number);
        readers_appended(router, message->stored.shard, message->stored.type,
                         message->stored.entity);
    }
    if (message->outgoing) {
        outbox_committed(router, message, &message->outgoing->outgoing, lane->checkpoint.number);
        told_value_destroy(&message->outgoing);
    }
    entity_t *entity = message->entity;
    if (message->left) {
        persisted_commit(router, entity_persisted_key(entity), &message->left);
    }
    if (!(message->stored.flags & REQUEST_TELL)) {
        message_send_reply(router, message);
    }
    if (!entity) { /* the message is damaged */
        message_end(router, message);
        return;
    }
    entity_remove(message);
    message_end(router, message);
    overflow_message_ended(router, &lane->overflows, entity->hash);
    entity_flush(router, entity);
    entity_dispatch(router, entity);
    entity_release(router, entity);
}

/* A batch is long, and its messages have left the caches since they were put into it: while one is
 * worked off, the processor fetches those that come a little later. */
__attribute__((always_inline)) static inline void fetch_ahead(const store_message_t *next,
                                                              const store_message_t *later)
{
    if (later) {
        message_prefetch(message_of(later));
    }
    if (next) {
        memory_prefetch(message_of(next)->entity, sizeof(entity_t));
    }
}

static void ends_committed(router_t *router, router_lane_t *lane, const lane_batch_t *batch)
{
    for (size_t i = 0; i < batch->end_count; i++) {
        fetch_ahead(i + NEXT < batch->end_count ? batch->ends[i + NEXT].message : NULL,
                    i + LATER < batch->end_count ? batch->ends[i + LATER].message : NULL);
        end_committed(router, lane, &batch->ends[i]);
    }
}

/* Clears come before messages with larger ids, which they leave alone. */
static size_t clears_committed(router_t *router, uint32_t number, const lane_batch_t *batch,
                               size_t cleared, uint64_t before)
{
    while (cleared < batch->clear_count && batch->clears[cleared].id.value < before) {
        clear_committed(router, number, batch->clears[cleared++].id);
    }
    return cleared;
}

static void entry_committed(router_t *router, uint32_t number, const lane_batch_t *batch)
{
    router_lane_t *lane = &router->lanes[number];
    clears_hold(router, batch);
    early_committed(router, &lane->batches);
    for (size_t i = 0; i < batch->attempt_count; i++) {
        attempt_committed(router, message_of(batch->attempts[i].message),
                          batch->attempts[i].attempts);
    }
    if (batch->clear_count > 0) { /* ends count before clears, and are of earlier messages */
        ends_committed(router, lane, batch);
    }
    for (size_t i = 0; i < batch->sent_count; i++) {
        outbox_ended(router, number, &batch->sents[i]);
    }
    for (size_t i = 0; i < batch->kept_count; i++) {
        alive_committed(router, batch->kept[i]);
    }
    size_t moved = 0;
    size_t cleared = 0;
    for (size_t i = 0; i < batch->message_count; i++) {
        if (!batch->messages[i]) {
            continue; /* it was delivered early */
        }
        cleared = clears_committed(router, number, batch, cleared, batch->messages[i]->id.value);
        moved = moves_committed(router, batch, moved, i);
        fetch_ahead(i + NEXT < batch->message_count ? batch->messages[i + NEXT] : NULL,
                    i + LATER < batch->message_count ? batch->messages[i + LATER] : NULL);
        message_committed(router, message_of(batch->messages[i]));
    }
    (void)moves_committed(router, batch, moved, batch->message_count);
    (void)clears_committed(router, number, batch, cleared, UINT64_MAX);
    if (batch->clear_count == 0) {
        ends_committed(router, lane, batch);
    }
    clears_unhold(router, batch);
}

void router_batch_done(router_t *router, uint32_t number, fabric_error_t error, uint64_t entry,
                       uint64_t bytes, uint64_t now_ms)
{
    router->now_ms = now_ms;
    if (error) {
        assert(error == FABRIC_ERROR_FENCED); /* whatever else happens is tried again below */
        lane_fenced(router, number, router->lanes[number].batches.batch.epoch);
    }
    lane_settle_orphans(router, &router->lanes[number].batches, error == FABRIC_OK);
    clears_batch_done(&router->lanes[number].clears);
    const lane_batch_t *batch = batch_end(router, number);
    if (batch) {
        checkpoint_appended(router, number, entry, bytes);
        entry_committed(router, number, batch);
        outboxes_run(router);
    }
}
