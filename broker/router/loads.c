/* Loads: rows of messages come into memory, and settled slices let messages go. A load's answer is
 * joined with what memory holds as of its return. See overflow_state.h.
 */
#include <stdio.h>

#include "broker/router/clearing.h"
#include "broker/router/damaged_rows.h"
#include "broker/router/dispatch.h"
#include "broker/router/ghosts.h"
#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "broker/router/unserved.h"
#include "core/memory.h"

/* What one load may ask for: the router takes its rows in one turn. */
enum { RANGES_MAX = 256, ROWS_MAX = 4096, BYTES_MAX = 4 << 20 };

/* ---- rows that the journal has overruled ---- */

static int compare_positions(const void *a, const void *b)
{
    uint64_t x = ((const overruled_row_t *)a)->position;
    uint64_t y = ((const overruled_row_t *)b)->position;
    return (x > y) - (x < y);
}

void loads_adopt(router_t *router, adoption_t *adoption)
{
    router_lane_t *lane = &router->lanes[adoption->hold.lane];
    loads_t *loads = &lane->loads;
    loads->overruled = adoption->overruled;
    loads->overruled_count = adoption->overruled_count;
    loads->corrected = false;
    adoption->overruled = NULL;
    adoption->overruled_count = 0;
    if (loads->overruled_count > 0) {
        qsort(loads->overruled, loads->overruled_count, sizeof *loads->overruled,
              compare_positions);
    }
    for (size_t i = 0; i < loads->overruled_count; i++) {
        const overruled_row_t *row = &loads->overruled[i];
        store_row_key_t key = {row->entity_hash, row->position};
        if (row->ended) {
            checkpoint_note_end(&lane->checkpoint, key);
        } else {
            checkpoint_note_row(&lane->checkpoint, key, row->attempts);
        }
    }
}

static const overruled_row_t *find_overruled(const loads_t *loads, uint64_t position)
{
    overruled_row_t key = {.position = position};
    return loads->overruled_count == 0 ? NULL
                                       : bsearch(&key, loads->overruled, loads->overruled_count,
                                                 sizeof key, compare_positions);
}

/* The rows say themselves what stands, and no load has read them before they did. */
static void forget_corrected(loads_t *loads)
{
    if (loads->corrected && !loads->running) {
        free(loads->overruled);
        loads->overruled = NULL;
        loads->overruled_count = 0;
        loads->corrected = false;
    }
}

/* ---- slices ---- */

static bool are_of_one_entity(const events_value_t *a, const events_value_t *b)
{
    return fabric_bytes_equal(a->entity, b->entity) && fabric_bytes_equal(a->type, b->type);
}

/* Once for each entity, whose values stand together. */
static void settle_events(router_t *router, const checkpoint_slice_t *slice)
{
    for (size_t i = 0; i < slice->event_value_count; i++) {
        const events_value_t *value = slice->event_values[i];
        bool last = i + 1 == slice->event_value_count ||
                    !are_of_one_entity(value, slice->event_values[i + 1]);
        if (last) {
            persisted_events_settled(router, value, slice->number);
        }
    }
}

void router_slice_done(router_t *router, uint32_t lane, fabric_error_t error, uint64_t now_ms)
{
    router->now_ms = now_ms;
    const checkpoint_slice_t *slice = checkpoint_slice_end(router, lane, error);
    if (!slice) {
        return;
    }
    overflow_settled(router, lane, slice);
    schedule_settled(router, lane, slice);
    const lookup_t *lookup = &router->lanes[lane].lookup_current;
    for (size_t i = 0; i < slice->key_count; i++) {
        keys_settled(router, &router->lanes[lane].keys, slice->keys[i].hash, slice->number,
                     lookup->running);
    }
    for (size_t i = 0; i < slice->state_count; i++) {
        persisted_settled(router, &slice->states[i], slice->number);
    }
    settle_events(router, slice);
    clears_settled(router, lane, slice);
    outbox_settled(router, &router->lanes[lane].outbox, slice->number, slice->taken.slice.last);
    if (slice->taken.slice.last) {
        schedule_corrected(&router->lanes[lane].schedule);
        router->lanes[lane].loads.corrected = true;
        forget_corrected(&router->lanes[lane].loads);
        early_ends_forget(router, lane);
    }
    clears_read(router, lane);
}

/* ---- loads ---- */

bool router_take_load(router_t *router, uint32_t number, router_load_t *load)
{
    router_lane_t *lane = &router->lanes[number];
    loads_t *loads = &lane->loads;
    if (loads->running || !lane->overflows.by_hash || lane->state != LANE_HOME) {
        return false;
    }
    if (!loads->ranges) {
        loads->ranges = memory_allocate(RANGES_MAX * sizeof *loads->ranges);
    }
    loads->count = 0;
    uint32_t rows_left = ROWS_MAX;
    while (loads->count < RANGES_MAX && rows_left > 0 &&
           overflow_take(router, number, &rows_left, &loads->ranges[loads->count])) {
        loads->count++;
    }
    loads->running = loads->count > 0;
    *load = (router_load_t){loads->ranges, loads->count, BYTES_MAX};
    return loads->running;
}

/* The row's message, which stands, comes into memory. */
static void join_message(router_t *router, overflow_t *overflow, message_t *message)
{
    shard_t *shard = shard_find(router, message->stored.shard);
    entity_t *entity =
        entity_find_or_add(router, shard, message->stored.type, message->stored.entity);
    ghost_join(router, message);
    message_admit(router, message, entity);
    overflow_queue(router, overflow, message);
}

static const char *fault_of(router_t *router, uint32_t lane, const message_t *row)
{
    const char *cause = row_fault(router, lane, &row->stored);
    bool same = row->entity_hash == journal_entity_hash(row->stored.type, row->stored.entity);
    return cause || same ? cause : "its entity hash is not that of its entity";
}

static bool is_wanted(router_t *router, overflow_t *overflow, const message_t *row)
{
    shard_t *shard = shard_find(router, row->stored.shard);
    return overflow_wants_row(router, overflow, ownership_make(router, shard, row->stored.type));
}

/* Sets what the row says, but for the counts that the journal has overruled. Returns what is wrong
 * with the row; NULL: nothing. */
static const char *prepare_row(router_t *router, uint32_t number, message_t *row,
                               const overruled_row_t *overruled)
{
    if (overruled) {
        row->attempts = overruled->attempts.attempts;
        row->crashes = overruled->attempts.crashes;
    }
    if (message_is_scheduled(row)) {
        row->stored.deliver_at_ms = 0; /* it lies among those whose time has come */
    }
    row->has_row = true;
    row->counted = (journal_attempts_t){row->attempts, row->crashes};
    shards_add_group(router, shard_id_group(row->stored.shard));
    return fault_of(router, number, row);
}

/* The message says what its row is to say. */
static void note_counts(router_lane_t *lane, message_t *row, const overruled_row_t *overruled)
{
    if (overruled) {
        (void)checkpoint_forget_row(&lane->checkpoint, row->position);
        checkpoint_note(&lane->checkpoint, row);
    }
}

static void take_row(router_t *router, uint32_t number, overflow_t *overflow, message_t *row,
                     const overruled_row_t *overruled)
{
    const char *cause = prepare_row(router, number, row, overruled);
    if (!cause && !is_wanted(router, overflow, row)) {
        message_destroy(&row);
        return;
    }
    note_counts(&router->lanes[number], row, overruled);
    overflow_row_loaded(router, overflow, row);
    if (cause) {
        row_set_aside(router, number, row, cause);
    } else {
        join_message(router, overflow, row);
    }
}

/* Consumes the row. */
static void join_row(router_t *router, uint32_t number, message_t *row)
{
    router_lane_t *lane = &router->lanes[number];
    overflow_t *overflow = overflow_of_row(&lane->overflows, row);
    const overruled_row_t *overruled = find_overruled(&lane->loads, row->position);
    const message_t *known = message_find(router, row->stored.id);
    if (!overflow) {
        message_destroy(&row);
    } else if ((overruled && overruled->ended) || (known && known->state != MESSAGE_STORED) ||
               early_end_has(&lane->early_ends, row->stored.id)) {
        overflow_pass(overflow, row->position);
        message_destroy(&row);
    } else if (clears_cover_message(&lane->clears, row)) {
        overflow_leave_gap(router, overflow, row->position);
        message_destroy(&row);
    } else {
        take_row(router, number, overflow, row, overruled);
    }
}

void router_loaded(router_t *router, uint32_t number, fabric_error_t error, message_t *rows,
                   size_t done, uint64_t now_ms)
{
    router->now_ms = now_ms;
    loads_t *loads = &router->lanes[number].loads;
    bool dropped = loads->dropped;
    loads->running = loads->dropped = false;
    loads->answered++;
    if (dropped || error) {
        message_chain_destroy(&rows);
        done = 0;
    }
    while (rows) {
        message_t *row = rows;
        rows = row->chain;
        row->chain = NULL;
        join_row(router, number, row);
    }
    for (size_t i = 0; i < loads->count && !dropped; i++) {
        overflow_loaded(router, number, &loads->ranges[i], i < done);
    }
    forget_corrected(loads);
    early_ends_forget(router, number);
    clears_read(router, number);
}

/* ---- persisted states ---- */

void router_states_loaded(router_t *router, uint32_t number, fabric_error_t error,
                          state_value_t **values, size_t count, size_t done, uint64_t now_ms)
{
    router->now_ms = now_ms;
    const lane_persisted_t *states = &router->lanes[number].persisted;
    done = persisted_loaded(router, number, error, values, count, done);
    for (size_t i = 0; i < done; i++) {
        entity_t *entity = mailbox_find(router, states->names[i].type, states->names[i].entity);
        if (entity) {
            entity_dispatch(router, entity);
            entity_release(router, entity);
        }
        alive_state_known(router, states->names[i].type, states->names[i].entity);
    }
    persisted_trim(router, number);
}

/* ---- events ---- */

/* The entity's messages wait, and its instance. */
static void history_broken(router_t *router, entity_t *entity, const history_fault_t *fault)
{
    char text[160];
    int size =
        fault->gap > 0
            ? snprintf(text, sizeof text,
                       "the history of the entity lacks event %llu: a record is damaged",
                       (unsigned long long)fault->gap)
            : snprintf(text, sizeof text,
                       "the entity has %llu bytes of events or more behind its snapshot, which "
                       "are too many: a type with a schema of its state has snapshots",
                       (unsigned long long)fault->excess);
    entity_not_built(router, entity, fabric_bytes(text, (size_t)size));
}

/* What the entity is to begin with is here, or cannot be. */
static void history_known(router_t *router, uint32_t number, const store_entity_name_t *name)
{
    history_fault_t fault = persisted_take_fault(router, number, name->type, name->entity);
    bool broken = fault.gap > 0 || fault.excess > 0;
    entity_t *entity = mailbox_find(router, name->type, name->entity);
    router->counters.histories_broken += fault.gap > 0;
    if (entity && broken) {
        history_broken(router, entity, &fault);
    } else if (entity) {
        entity_dispatch(router, entity);
        entity_release(router, entity);
    }
    if (broken) {
        alive_not_built(router, name->type, name->entity);
    } else {
        alive_state_known(router, name->type, name->entity);
    }
}

void router_events_loaded(router_t *router, uint32_t number, fabric_error_t error,
                          events_value_t **values, size_t count, size_t done, uint64_t now_ms)
{
    router->now_ms = now_ms;
    const lane_history_t *history = &router->lanes[number].persisted.history;
    size_t read = persisted_events_loaded(router, number, error, values, count, done);
    for (size_t i = 0; i < read; i++) {
        history_known(router, number, &history->histories[i].name);
    }
    persisted_trim(router, number);
}

/* ---- single rows ---- */

bool loads_take_out(router_t *router, uint32_t number, message_t *row)
{
    router_lane_t *lane = &router->lanes[number];
    const overruled_row_t *overruled = find_overruled(&lane->loads, row->position);
    if ((overruled && overruled->ended) || early_end_has(&lane->early_ends, row->stored.id) ||
        clears_cover_message(&lane->clears, row) ||
        !overflow_has(&lane->overflows, row->entity_hash, row->position)) {
        return false;
    }
    const char *cause = prepare_row(router, number, row, overruled);
    row->out_of_turn = true;
    overflow_take_out(router, &lane->overflows, row);
    note_counts(lane, row, overruled);
    if (cause) {
        row_set_aside(router, number, row, cause);
        return true;
    }
    shard_t *shard = shard_find(router, row->stored.shard);
    entity_t *entity = entity_find_or_add(router, shard, row->stored.type, row->stored.entity);
    ghost_join(router, row);
    message_admit(router, row, entity);
    overflow_end_early(router, row);
    return true;
}

void loads_drop(loads_t *loads)
{
    loads->dropped = loads->running;
    free(loads->overruled);
    loads->overruled = NULL;
    loads->overruled_count = 0;
}

void loads_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        free(router->lanes[i].loads.ranges);
        free(router->lanes[i].loads.overruled);
    }
}
