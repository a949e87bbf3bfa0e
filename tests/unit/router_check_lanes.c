/* The accounts of lanes, recomputed: rows that do not say what stands, overflow, and ghosts. */
#include "broker/router/router_state.h"
#include "tests/unit/router_check_state.h"

static bool is_of(const router_t *router, const message_t *message, const router_lane_t *lane)
{
    return lane == &router->lanes[shard_id_number(message->stored.shard) % router->config.lanes];
}

/* ---- checkpoints ---- */

static uint64_t ring_length(const message_link_t *ring)
{
    uint64_t length = 0;
    for (const message_link_t *link = ring->next; link != ring; link = link->next) {
        router_expect("a ring's links", link->next->prev == link, true);
        length++;
    }
    return length;
}

/* Whether the message is pending and durable. */
static bool stands(const message_t *message)
{
    return message->stored.flags & REQUEST_DURABLE && message->entity &&
           !message_is_unstored(message);
}

static void check_rows(const router_t *router)
{
    uint64_t linked = 0;
    uint64_t changed = 0;
    uint64_t bytes = 0;
    uint64_t new_bytes = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const checkpoint_t *checkpoint = &router->lanes[i].checkpoint;
        linked += ring_length(&checkpoint->next_messages);
        linked += ring_length(&checkpoint->current_messages);
        bytes += checkpoint->new_bytes + checkpoint->begun_bytes;
        new_bytes += checkpoint->new_bytes;
        router_expect("a lane's settled entry", checkpoint->settled <= checkpoint->number, true);
    }
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        changed += message_is_changed(message);
        if (stands(message) && !message->has_row) {
            router_expect("a message without a row that waits for one", message_is_changed(message),
                          true);
        }
    }
    router_expect("messages whose rows do not say what stands", linked, changed);
    router_expect("bytes of journal that wait", router->counters.journal_bytes, bytes);
    router_expect("bytes of journal without a checkpoint", router->new_journal_bytes, new_bytes);
}

/* ---- entities that are kept alive ---- */

static void check_alives(const router_t *router)
{
    uint64_t all = 0;
    uint64_t wanted = 0;
    uint64_t changed = 0;
    uint64_t in_rows = 0;
    uint64_t in_lanes = 0;
    uint64_t in_states = 0;
    const alive_t *alive;
    for (alive = router->alives; alive; alive = alive->by_name.next) {
        all++;
        wanted += alive->wanted != 0;
        changed += alive->changed != 0;
    }
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        uint64_t count = 0;
        const lane_alive_t *lane = &router->lanes[i].alive;
        for (alive = lane->all; alive; alive = alive->lane_next) {
            count++;
        }
        for (alive = lane->next; alive; alive = alive->changed_next) {
            in_rows++;
        }
        for (alive = lane->current; alive; alive = alive->changed_next) {
            in_rows++;
        }
        router_expect("entities of a lane that are kept alive", lane->count, count);
        in_lanes += count;
    }
    for (const ownership_t *ownership = router->ownerships; ownership;
         ownership = ownership->by_key.next) {
        uint64_t waking = 0;
        for (unsigned state = 0; state <= ALIVE_ASIDE; state++) {
            for (alive = ownership->alive.lists[state]; alive; alive = alive->next) {
                router_expect("the state of a list", alive_now(alive), state);
                in_states++;
                waking += state == ALIVE_WAKING;
            }
        }
        router_expect("entities that are woken", ownership->alive.waking, waking);
        router_expect("entities that are woken without an owner", waking > 0 && !ownership->owner,
                      false);
    }
    router_expect("entities that are kept alive", router->counters.kept_alive, wanted);
    router_expect("the same of all lanes", in_lanes, all);
    router_expect("the same of all states", in_states, all);
    router_expect("rows of entities that are kept alive", in_rows, changed);
}

/* ---- overflow ---- */

/* A scheduled message that was cancelled: only its end is in the queue. */
static bool has_ended_early(const message_t *message)
{
    return message->state == MESSAGE_RESULT &&
           (message->out_of_turn || message_is_scheduled(message));
}

/* The gap stands between what is in the entity's queue, and what is in the tail. */
static void check_entity(const router_t *router, const overflow_t *overflow)
{
    uint64_t queued = 0;
    for (const entity_t *entity = router->entities; entity; entity = entity->by_name.next) {
        if (entity->hash != overflow->hash) {
            continue;
        }
        for (const message_t *message = entity->queue; message; message = message->next) {
            bool durable = message->stored.flags & REQUEST_DURABLE;
            queued += durable;
            if (durable && overflow->count > 0 && !has_ended_early(message)) {
                router_expect("a message before the gap", message->position <= overflow->after,
                              true);
            }
        }
    }
    router_expect("messages in the queue of an overflow", overflow->queued, queued);
}

/* In a lane that is being dropped, nothing is loaded, and what is left need not be complete. */
static void check_loading(const router_t *router, const overflow_t *overflow)
{
    router_expect("an overflow that is needed",
                  overflow->count > 0 || overflow->tail || overflow->loading, true);
    bool due =
        overflow->count > 0 && overflow->queued == 0 && !overflow->loading && !overflow->clearing;
    router_expect("an overflow that is to be loaded", !due || overflow->list, true);
    const ownership_t *ownership = overflow->ownership;
    if (due && ownership && ownership->state == OWNERSHIP_OWNED && !overflow->look_again) {
        router_expect("an ownership with rows to load", ownership->is_loading, true);
    }
    check_entity(router, overflow);
}

static uint64_t check_overflow(const router_t *router, const router_lane_t *lane,
                               const overflow_t *overflow)
{
    uint64_t tail = 0;
    uint64_t last = overflow->count > 0 ? overflow->until : 0;
    bool cleared = overflow->clearing || overflow->look_again; /* the count is too large */
    router_expect("places in a gap",
                  overflow->count == 0 || cleared ||
                      overflow->until - overflow->after >= overflow->count,
                  true);
    for (const message_t *message = overflow->tail; message; message = message->next) {
        router_expect("the state of a message of a tail", message->state, MESSAGE_OVERFLOWED);
        router_expect("the order of a tail", message->position > last, true);
        router_expect("the lane of a tail", is_of(router, message, lane), true);
        last = message->position;
        tail++;
    }
    if (!lane->dropping) {
        check_loading(router, overflow);
    }
    return tail;
}

static uint64_t count_ended_early(const entity_t *entity)
{
    uint64_t count = 0;
    for (const message_t *message = entity->queue; message; message = message->next) {
        count += has_ended_early(message);
    }
    return count;
}

static void check_overflows(const router_t *router)
{
    uint64_t stored = 0;
    uint64_t tails = 0;
    uint64_t overflowed = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const router_lane_t *lane = &router->lanes[i];
        for (const overflow_t *overflow = lane->overflows.by_hash; overflow;
             overflow = overflow->by_hash.next) {
            tails += check_overflow(router, lane, overflow);
            stored += overflow->count;
        }
        stored += lane->schedule.stored;
    }
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        overflowed += message->state == MESSAGE_OVERFLOWED;
    }
    for (const entity_t *entity = router->entities; entity; entity = entity->by_name.next) {
        router_expect("a queue within its window",
                      entity->queued <= router->config.entity_window + count_ended_early(entity),
                      true);
    }
    router_expect("messages that only the store has", router->counters.stored, stored);
    router_expect("messages of tails", tails, overflowed);
}

/* ---- schedules ---- */

static uint64_t check_heap(const router_t *router, const router_lane_t *lane,
                           const due_heap_t *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        const message_t *message = heap->places[i].message;
        store_due_key_t key = heap->places[i].key;
        const store_due_key_t *parent = i > 0 ? &heap->places[(i - 1) / 2].key : NULL;
        router_expect("the state of a scheduled message", message->state, MESSAGE_SCHEDULED);
        router_expect("the lane of a scheduled message", is_of(router, message, lane), true);
        router_expect("a scheduled message's place", message->due_place, i);
        router_expect("a scheduled message's time", (uint64_t)key.due_ms,
                      (uint64_t)message->stored.deliver_at_ms);
        router_expect("a scheduled message's id", key.id, message->stored.id.value);
        router_expect("the order of a heap",
                      parent && (parent->due_ms > key.due_ms ||
                                 (parent->due_ms == key.due_ms && parent->id > key.id)),
                      false);
    }
    return heap->count;
}

static void check_schedule(const router_lane_t *lane)
{
    const schedule_t *schedule = &lane->schedule;
    uint64_t bytes = 0;
    for (size_t i = 0; i < schedule->window.count; i++) {
        const message_t *message = schedule->window.places[i].message;
        bytes += message->size;
        router_expect(
            "a message within the horizon",
            schedule->is_whole || message->stored.deliver_at_ms <= schedule->horizon.due_ms, true);
    }
    router_expect("bytes of a window", schedule->window_bytes, bytes);
    router_expect("messages behind an endless horizon",
                  schedule->is_whole && schedule->later.count > 0, false);
    for (size_t i = 0; i < schedule->later.count; i++) {
        const message_t *message = schedule->later.places[i].message;
        router_expect("a message behind the horizon",
                      message->stored.deliver_at_ms >= schedule->horizon.due_ms, true);
        router_expect("a message that may leave memory",
                      !schedule->loading && lane->state == LANE_HOME &&
                          checkpoint_has_settled(&lane->checkpoint, message),
                      false);
    }
}

static void check_schedules(const router_t *router)
{
    uint64_t scheduled = 0;
    uint64_t stored = 0;
    uint64_t in_heaps = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const router_lane_t *lane = &router->lanes[i];
        in_heaps += check_heap(router, lane, &lane->schedule.window);
        in_heaps += check_heap(router, lane, &lane->schedule.later);
        stored += lane->schedule.stored;
        check_schedule(lane);
    }
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        scheduled += message->state == MESSAGE_SCHEDULED;
    }
    router_expect("scheduled messages in memory", in_heaps, scheduled);
    router_expect("scheduled messages", router->counters.scheduled, scheduled + stored);
}

/* ---- ghosts ---- */

static void check_ghosts(const router_t *router)
{
    uint64_t listed = 0;
    uint64_t ghosts = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        for (const message_t *message = router->lanes[i].ghosts; message; message = message->next) {
            router_expect("the state of a ghost", message->state, MESSAGE_STORED);
            router_expect("a ghost whose callers wait", message_has_callers(message), true);
            listed++;
        }
    }
    for (const message_t *message = router->messages_by_id; message;
         message = message->by_id.next) {
        ghosts += message->state == MESSAGE_STORED;
    }
    router_expect("ghosts", listed, ghosts);
}

/* ---- outgoing messages ---- */

static void check_outbox(const lane_outbox_t *outbox)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < outbox->told_count; i++) {
        const outbox_told_t *told = outbox->told[i];
        uint32_t open = 0;
        for (uint32_t at = 0; at < told->count; at++) {
            open += !told->ended[at];
        }
        bytes += told->size;
        router_expect("open messages of one source", told->open, open);
        router_expect("the order of what was told", i > 0 && outbox->told[i - 1]->id >= told->id,
                      false);
        router_expect("what slices have taken", told->slice > 0, i < outbox->told_taken);
    }
    router_expect("bytes of what was told", outbox->told_bytes, bytes);
    router_expect("what a checkpoint has of what was told",
                  outbox->told_taken <= outbox->told_current &&
                      outbox->told_current <= outbox->told_count,
                  true);
    router_expect("what a checkpoint has of ends",
                  outbox->sent_taken <= outbox->sent_current &&
                      outbox->sent_current <= outbox->sent_count,
                  true);
    bytes += outbox->sender ? sender_bytes(outbox->sender) : 0;
    router_expect("bytes of an outbox", outbox->bytes, bytes);
}

static void check_outboxes(const router_t *router)
{
    uint64_t bytes = 0;
    uint64_t count = 0;
    uint64_t open = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const lane_outbox_t *outbox = &router->lanes[i].outbox;
        check_outbox(outbox);
        bytes += outbox->bytes;
        count += outbox->sender != NULL;
        open += outbox->sender ? sender_open(outbox->sender) : 0;
        router_expect("an outbox of a lane that is not held",
                      outbox->sender && router->lanes[i].state == LANE_FOREIGN, false);
    }
    router_expect("bytes of all outboxes", router->outgoing_bytes, bytes);
    router_expect("outboxes", router->outboxes, count);
    router_expect("open messages of all outboxes", router->counters.outgoing, open);
}

void router_check_lanes(const router_t *router)
{
    check_outboxes(router);
    check_rows(router);
    check_alives(router);
    check_overflows(router);
    check_schedules(router);
    check_ghosts(router);
}
