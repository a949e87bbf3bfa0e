/* Overflow: see overflow_state.h. */
#include "broker/router/overflow_state.h"

#include <assert.h>
#include <utlist.h>

#include "broker/router/dispatch.h"
#include "broker/router/ghosts.h"
#include "broker/router/outcome.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

/* ---- bounds ---- */

/* Whether so many quarters of the memory are used. From half on, memory is kept for messages that
 * are delivered soon; from three quarters on, each entity has one message. */
static bool memory_is_used(const router_t *router, unsigned quarters)
{
    uint64_t bytes = router->config.memory_bytes_max / 4 * quarters;
    return router->message_bytes + router->client_bytes >= bytes;
}

/* How many messages of one entity may be in its queue. `ownership` NULL: it is not known whose. */
static uint32_t window(router_t *router, const ownership_t *ownership)
{
    uint32_t messages = router->config.entity_window;
    if (ownership && messages > router->mailbox_capacity_min) {
        uint32_t capacity = type_mailbox_capacity(router, ownership_type(ownership));
        messages = messages < capacity ? messages : capacity;
    }
    if (memory_is_used(router, 3)) {
        return 1;
    }
    return messages > ENTITY_WINDOW && memory_is_used(router, 2) ? ENTITY_WINDOW : messages;
}

/* The same where the entity is known. */
static uint32_t window_of(router_t *router, const entity_t *entity)
{
    bool waits = entity->ownership->state != OWNERSHIP_OWNED;
    return waits && memory_is_used(router, 2) ? 0 : window(router, entity->ownership);
}

/* How many rows may be loaded now. */
static uint32_t rows_wanted(router_t *router, const overflow_t *overflow)
{
    uint32_t messages = window(router, overflow->ownership);
    if (!overflow->ownership && messages > ENTITY_WINDOW) {
        messages = ENTITY_WINDOW; /* perhaps nobody is there to handle them */
    }
    bool low = overflow->queued == 0 || overflow->queued < messages / 2;
    return low ? messages - overflow->queued : 0;
}

/* ---- lists of overflows to load ---- */

static void list_ownership(overflows_t *overflows, ownership_t *ownership)
{
    if (!ownership->is_loading && ownership->state == OWNERSHIP_OWNED) {
        ownership->is_loading = true;
        DL_APPEND2(overflows->ownerships, ownership, load_prev, load_next);
    }
}

static void unlist_ownership(overflows_t *overflows, ownership_t *ownership)
{
    ownership->is_loading = false;
    DL_DELETE2(overflows->ownerships, ownership, load_prev, load_next);
}

static void unlist(overflow_t *overflow)
{
    if (overflow->list) {
        DL_DELETE(*overflow->list, overflow);
        overflow->list = NULL;
    }
}

/* Puts the overflow into the list where it belongs, if it is to be loaded. */
static void list(router_t *router, overflows_t *overflows, overflow_t *overflow)
{
    bool due = overflow->count > 0 && !overflow->loading && !overflow->clearing &&
               rows_wanted(router, overflow) > 0;
    bool owned = overflow->ownership && !overflow->look_again;
    overflow_t **wanted = owned ? &overflow->ownership->overflows : &overflows->unknown;
    if (!due) {
        unlist(overflow);
    } else if (overflow->list != wanted) {
        unlist(overflow);
        overflow->list = wanted;
        DL_APPEND(*wanted, overflow);
    }
    if (due && owned) {
        list_ownership(overflows, overflow->ownership);
    }
}

static overflow_t *take_unknown(overflows_t *overflows)
{
    overflow_t *overflow = overflows->unknown;
    if (overflow) {
        unlist(overflow);
    }
    return overflow;
}

/* One overflow of the first ownership, whose other overflows come when all others had a turn. */
static overflow_t *take_of_ownership(overflows_t *overflows)
{
    ownership_t *ownership;
    while ((ownership = overflows->ownerships)) {
        unlist_ownership(overflows, ownership);
        overflow_t *overflow = ownership->overflows;
        if (overflow && ownership->state == OWNERSHIP_OWNED) {
            unlist(overflow);
            if (ownership->overflows) {
                list_ownership(overflows, ownership);
            }
            return overflow;
        }
    }
    return NULL;
}

static overflow_t *take_next(overflows_t *overflows)
{
    overflows->unknown_first = !overflows->unknown_first;
    overflow_t *overflow =
        overflows->unknown_first ? take_unknown(overflows) : take_of_ownership(overflows);
    if (!overflow) {
        overflow =
            overflows->unknown_first ? take_of_ownership(overflows) : take_unknown(overflows);
    }
    return overflow;
}

/* ---- overflows ---- */

static overflow_t *find(const overflows_t *overflows, uint64_t hash)
{
    overflow_t *overflow = NULL;
    HASH_FIND(by_hash, overflows->by_hash, &hash, sizeof hash, overflow);
    return overflow;
}

static overflow_t *add(overflows_t *overflows, uint64_t hash)
{
    overflow_t *overflow = memory_allocate_zeroed(1, sizeof *overflow);
    overflow->hash = hash;
    HASH_ADD(by_hash, overflows->by_hash, hash, sizeof overflow->hash, overflow);
    return overflow;
}

static void destroy(overflows_t *overflows, overflow_t *overflow)
{
    unlist(overflow);
    HASH_DELETE(by_hash, overflows->by_hash, overflow);
    free(overflow);
}

static overflows_t *overflows_of(router_t *router, const message_t *message)
{
    return &lane_of(router, message->stored.shard)->overflows;
}

/* So many messages more, or less, are in the store only. */
static void count(router_t *router, overflow_t *overflow, uint64_t more, uint64_t less)
{
    overflow->count += more - less;
    router->counters.stored += more - less;
    router->counters.pending += more - less;
}

static void enqueue(router_t *router, message_t *message)
{
    entity_t *entity = message->entity;
    entity_append(entity, message);
    if (message->cancelled && !message_needs_look(message)) {
        message_finish_as_cancelled(router, message);
    }
    entity_dispatch(router, entity);
}

/* The tail moves to the queue as far as there is no gap, and room. An overflow that is left over
 * with neither gap nor tail goes. */
static void refill(router_t *router, overflows_t *overflows, overflow_t *overflow)
{
    while (overflow->count == 0 && overflow->tail &&
           overflow->queued < window_of(router, overflow->tail->entity)) {
        message_t *message = overflow->tail;
        DL_DELETE(overflow->tail, message);
        overflow->queued++;
        enqueue(router, message);
    }
    if (overflow->count == 0 && !overflow->tail && !overflow->loading) {
        destroy(overflows, overflow);
    } else {
        list(router, overflows, overflow);
    }
}

bool overflow_queues_next(router_t *router, const entity_t *entity)
{
    const overflows_t *overflows = &lane_of(router, entity->ownership->shard->id)->overflows;
    return !find(overflows, entity->hash) && entity->queued < window_of(router, entity);
}

void overflow_enqueue(router_t *router, message_t *message)
{
    entity_t *entity = message->entity;
    overflows_t *overflows = overflows_of(router, message);
    overflow_t *overflow = find(overflows, message->entity_hash);
    if (!overflow && entity->queued < window_of(router, entity)) {
        enqueue(router, message);
        return;
    }
    if (!overflow) {
        overflow = add(overflows, message->entity_hash);
        overflow->queued = entity->queued;
    }
    if (message->cancelled &&
        !message_needs_look(message)) { /* it would wait there, perhaps for long */
        message->out_of_turn = true;
        overflow_end_early(router, message);
        refill(router, overflows, overflow);
        return;
    }
    if (overflow->until >= message->position) {
        overflow->until = message->position - 1; /* its row, if it has one, is not in the gap */
    }
    overflow->ownership = entity->ownership;
    message_set_state(message, MESSAGE_OVERFLOWED);
    DL_APPEND(overflow->tail, message);
    refill(router, overflows, overflow);
}

void overflow_end_early(router_t *router, message_t *message)
{
    entity_t *entity = message->entity;
    overflow_t *overflow = find(overflows_of(router, message), message->entity_hash);
    if (overflow) {
        overflow->queued++; /* until its end is durable */
    }
    entity_append(entity, message);
    message_finish_as_cancelled(router, message);
}

void overflow_cancelled(router_t *router, message_t *message)
{
    overflow_t *overflow = find(overflows_of(router, message), message->entity_hash);
    DL_DELETE(overflow->tail, message);
    message->out_of_turn = true; /* loads read what is in the gap later, its place included */
    overflow_end_early(router, message);
    refill(router, overflows_of(router, message), overflow);
}

void overflow_message_ended(router_t *router, overflows_t *overflows, uint64_t entity_hash)
{
    overflow_t *overflow = find(overflows, entity_hash);
    if (overflow) {
        overflow->queued -= overflow->queued > 0;
        refill(router, overflows, overflow);
    }
}

uint64_t overflow_stored(const overflows_t *overflows, uint64_t entity_hash)
{
    const overflow_t *overflow = find(overflows, entity_hash);
    return overflow ? overflow->count : 0;
}

bool overflow_has(const overflows_t *overflows, uint64_t entity_hash, uint64_t position)
{
    const overflow_t *overflow = find(overflows, entity_hash);
    return overflow && overflow->count > 0 && position > overflow->after &&
           position <= overflow->until;
}

bool overflow_reaches(const overflows_t *overflows, uint64_t entity_hash, uint64_t position)
{
    const overflow_t *overflow = find(overflows, entity_hash);
    return overflow && overflow->count > 0 && position <= overflow->until;
}

/* ---- messages are dropped from memory ---- */

/* Whether the row says all that the next home, or a load, has to know. */
static bool may_drop(const checkpoint_t *checkpoint, const message_t *message)
{
    return checkpoint_has_settled(checkpoint, message) && message->deliveries <= 1 &&
           message->unexplained == 0 && message->loss == 0 && !message->crash_text &&
           !message->cancelled; /* it waits for an owner that looks for it */
}

/* The first message of the tail becomes the last one of the gap. */
static void drop_first(router_t *router, overflow_t *overflow)
{
    message_t *message = overflow->tail;
    entity_t *entity = message->entity;
    DL_DELETE(overflow->tail, message);
    if (overflow->count == 0) {
        overflow->after = message->position - 1;
    }
    overflow->until = message->position;
    if (message->deliveries > 0) {
        overflow->delivered_until = message->position;
    }
    count(router, overflow, 1, 0);
    message_dismiss(router, message);
    ghost_leave(router, message);
    message_destroy(&message);
    entity_release(router, entity);
}

/* Drops what it can of the entity's tail. */
static void drop_settled(router_t *router, uint32_t lane, uint64_t entity_hash)
{
    const checkpoint_t *checkpoint = &router->lanes[lane].checkpoint;
    overflows_t *overflows = &router->lanes[lane].overflows;
    overflow_t *overflow = find(overflows, entity_hash);
    if (!overflow || !overflow->tail || !may_drop(checkpoint, overflow->tail)) {
        return;
    }
    do {
        drop_first(router, overflow);
    } while (overflow->tail && may_drop(checkpoint, overflow->tail));
    list(router, overflows, overflow);
}

void overflow_settled(router_t *router, uint32_t lane, const checkpoint_slice_t *slice)
{
    if (router->lanes[lane].overflows.by_hash) {
        for (size_t i = 0; i < slice->entity_count; i++) {
            drop_settled(router, lane, slice->entities[i]);
        }
    }
}

/* ---- clears ---- */

message_t *overflow_take_tail(router_t *router, router_lane_t *lane, const entity_t *entity,
                              request_id_t below)
{
    (void)router;
    message_chain_t taken = {0};
    overflow_t *overflow = find(&lane->overflows, entity->hash);
    message_t *message, *next;
    DL_FOREACH_SAFE(overflow ? overflow->tail : NULL, message, next)
    {
        if (message->entity == entity && message->stored.id.value < below.value) {
            DL_DELETE(overflow->tail, message);
            *(taken.last ? &taken.last->chain : &taken.first) = message;
            taken.last = message;
        }
    }
    return taken.first;
}

void overflow_cleared(router_t *router, overflows_t *overflows, uint64_t entity_hash,
                      uint32_t queued)
{
    overflow_t *overflow = find(overflows, entity_hash);
    if (overflow) {
        overflow->queued -= queued < overflow->queued ? queued : overflow->queued;
        overflow->clearing = overflow->count > 0;
        refill(router, overflows, overflow);
    }
}

void overflow_look_again(router_t *router, overflows_t *overflows, uint64_t entity_hash)
{
    overflow_t *overflow = find(overflows, entity_hash);
    if (overflow) {
        overflow->clearing = false;
        overflow->look_again = true;
        overflow->looking = false; /* a load under way may end before what is gone */
        refill(router, overflows, overflow);
    }
}

/* ---- ownerships and lanes ---- */

void overflow_owned(router_t *router, ownership_t *ownership)
{
    overflows_t *overflows = &lane_of(router, ownership->shard->id)->overflows;
    if (ownership->overflows) {
        list_ownership(overflows, ownership);
    }
    if (!overflows->by_hash) {
        return;
    }
    entity_t *entity, *next;
    DL_FOREACH_SAFE(ownership->entities, entity, next)
    {
        overflow_t *overflow = find(overflows, entity->hash);
        if (overflow) {
            refill(router, overflows, overflow);
        }
    }
}

void overflow_adopt(router_t *router, uint32_t lane, const store_backlog_t *backlogs, size_t size)
{
    overflows_t *overflows = &router->lanes[lane].overflows;
    for (size_t i = 0; i < size; i++) {
        const store_backlog_t *backlog = &backlogs[i];
        if (backlog->count == 0) {
            continue;
        }
        overflow_t *overflow = add(overflows, backlog->entity_hash);
        overflow->after = backlog->first - 1;
        overflow->until = overflow->delivered_until = backlog->last;
        count(router, overflow, backlog->count, 0);
        list(router, overflows, overflow);
    }
}

void overflow_adopted(router_t *router, uint32_t lane)
{
    const overflow_t *overflow, *next;
    HASH_ITER(by_hash, router->lanes[lane].overflows.by_hash, overflow, next)
    {
        drop_settled(router, lane, overflow->hash);
    }
}

void overflow_drop(overflows_t *overflows)
{
    while (overflows->ownerships) {
        unlist_ownership(overflows, overflows->ownerships);
    }
}

bool overflow_drop_next(router_t *router, uint32_t lane, message_t **message)
{
    overflows_t *overflows = &router->lanes[lane].overflows;
    overflow_t *overflow = overflows->by_hash;
    *message = NULL;
    if (!overflow) {
        return false;
    }
    if (overflow->tail) {
        *message = overflow->tail;
        DL_DELETE(overflow->tail, *message);
    } else {
        count(router, overflow, 0, overflow->count);
        destroy(overflows, overflow);
    }
    return true;
}

void overflows_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        overflow_t *overflow, *next;
        HASH_ITER(by_hash, router->lanes[i].overflows.by_hash, overflow, next)
        {
            HASH_DELETE(by_hash, router->lanes[i].overflows.by_hash, overflow);
            free(overflow);
        }
    }
}

/* ---- loads ---- */

bool overflow_take(router_t *router, uint32_t lane, uint32_t *rows_left, store_range_t *range)
{
    overflow_t *overflow;
    while ((overflow = take_next(&router->lanes[lane].overflows))) {
        uint32_t limit = rows_wanted(router, overflow);
        if (limit == 0) {
            continue; /* it is listed again when a message of its queue has ended */
        }
        limit = limit < *rows_left ? limit : *rows_left;
        *rows_left -= limit < overflow->count ? limit : (uint32_t)overflow->count;
        overflow->loading = true;
        overflow->looking = overflow->look_again;
        overflow->refused = false;
        overflow->rows_read = 0;
        overflow->load_until = overflow->until;
        overflow->load_count = overflow->count;
        *range = (store_range_t){.entity_hash = overflow->hash,
                                 .after = overflow->after,
                                 .until = overflow->until,
                                 .limit = limit};
        return true;
    }
    return false;
}

overflow_t *overflow_of_row(const overflows_t *overflows, const message_t *row)
{
    overflow_t *overflow = find(overflows, row->entity_hash);
    bool expected = overflow && overflow->loading && !overflow->refused &&
                    row->position > overflow->after && row->position <= overflow->load_until;
    return expected ? overflow : NULL;
}

bool overflow_wants_row(const router_t *router, overflow_t *overflow, ownership_t *ownership)
{
    bool first = overflow->ownership == NULL;
    overflow->ownership = ownership;
    overflow->refused = first && ownership->state != OWNERSHIP_OWNED && memory_is_used(router, 2);
    return !overflow->refused;
}

void overflow_pass(overflow_t *overflow, uint64_t position)
{
    overflow->rows_read++;
    overflow->after = position;
}

void overflow_leave_gap(router_t *router, overflow_t *overflow, uint64_t position)
{
    if (overflow->load_count > 0) {
        overflow->load_count--;
        count(router, overflow, 0, 1);
    }
    overflow_pass(overflow, position);
}

void overflow_row_loaded(router_t *router, overflow_t *overflow, message_t *row)
{
    row->deliveries = row->position <= overflow->delivered_until ? 1 : 0;
    router->counters.loaded++;
    overflow_leave_gap(router, overflow, row->position);
}

void overflow_take_out(router_t *router, overflows_t *overflows, const message_t *row)
{
    overflow_t *overflow = find(overflows, row->entity_hash);
    if (overflow->loading && row->position <= overflow->load_until && overflow->load_count > 0) {
        overflow->load_count--;
    }
    count(router, overflow, 0, 1);
    router->counters.loaded++;
    refill(router, overflows, overflow);
}

void overflow_queue(router_t *router, overflow_t *overflow, message_t *message)
{
    overflow->queued++;
    enqueue(router, message);
}

void overflow_loaded(router_t *router, uint32_t lane, const store_range_t *range, bool complete)
{
    overflows_t *overflows = &router->lanes[lane].overflows;
    overflow_t *overflow = find(overflows, range->entity_hash);
    overflow->loading = false;
    if (complete && !overflow->refused && overflow->rows_read < range->limit) {
        if (overflow->after < overflow->load_until) {
            overflow->after = overflow->load_until;
        }
        count(router, overflow, 0, overflow->load_count); /* somebody has deleted their rows */
        overflow->look_again = overflow->look_again && !overflow->looking && overflow->count > 0;
    }
    refill(router, overflows, overflow);
}
