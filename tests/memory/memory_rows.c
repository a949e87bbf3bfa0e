/* The in-memory store: checkpoints, and reading the rows that they write. */
#include <string.h>

#include "tests/memory/memory_connection.h"

/* ---- checkpoints ---- */

static void amend(memory_database_t *database, uint32_t lane, const store_amendment_t *amendment)
{
    memory_row_t *row = memory_row_find(&database->lanes[lane], amendment->key);
    if (row) {
        memory_note_value(database, &row->row, sizeof row->row);
        row->row.number = amendment->number;
        row->row.attempts = amendment->attempts;
        row->row.crashes = amendment->crashes;
    }
}

/* The row, if it is one of the cleared entity; else NULL. */
static const store_pending_t *cleared_row(const memory_row_t *row, const store_clear_t *clear)
{
    const store_pending_t *at = &row->row;
    bool named = clear->type.size == 0 || (fabric_bytes_equal(at->type, clear->type) &&
                                           fabric_bytes_equal(at->entity, clear->entity));
    bool is = at->entity_hash == clear->entity_hash && at->id.value < clear->below && named;
    return is ? at : NULL;
}

static bool clear_pending(memory_database_t *database, uint32_t lane, const store_clear_t *clear)
{
    memory_entity_t *entity = NULL;
    HASH_FIND(hh, database->lanes[lane].entities, &clear->entity_hash, sizeof clear->entity_hash,
              entity);
    for (size_t i = entity ? entity->rows.first : 0; entity && i < entity->rows.places.count; i++) {
        const store_pending_t *row = cleared_row(entity->rows.places.items[i].item, clear);
        if (row) {
            memory_row_remove(database, lane, (store_row_key_t){row->entity_hash, row->position});
            return true;
        }
    }
    return false;
}

static bool clear_scheduled(memory_database_t *database, uint32_t lane, const store_clear_t *clear)
{
    const memory_lane_t *from = &database->lanes[lane];
    for (size_t i = 0; i < from->scheduled.count; i++) {
        const store_pending_t *row = cleared_row(from->scheduled.items[i], clear);
        if (row) {
            memory_scheduled_remove(database, lane, (store_due_key_t){row->due_ms, row->id.value});
            return true;
        }
    }
    return false;
}

static void clear_entity(memory_database_t *database, uint32_t lane, const store_slice_t *slice)
{
    store_cleared_t *cleared = slice->cleared;
    *cleared = (store_cleared_t){0};
    for (uint32_t left = slice->clear->rows_max; left > 0; left--) {
        if (clear_pending(database, lane, slice->clear)) {
            cleared->pending++;
        } else if (clear_scheduled(database, lane, slice->clear)) {
            cleared->scheduled++;
        } else if (memory_key_clear(database, lane, slice->clear)) {
            cleared->keys++;
        } else {
            return;
        }
    }
}

/* Whether the lane has what the slice builds on. */
static bool has_base(const memory_lane_t *lane, const store_slice_t *slice)
{
    return (lane->row.number == slice->settled || lane->row.number == slice->begun) &&
           memory_sequence_find(&lane->entries,
                                slice->newest > slice->begun ? slice->newest : slice->begun);
}

static bool fits(const store_slice_t *slice)
{
    return slice->put_count + slice->amendment_count + slice->delete_count + slice->dead_count +
               slice->scheduled_count + slice->unscheduled_count + slice->key_count +
               slice->event_count + slice->outgoing_count + slice->sent_count + slice->state_count +
               slice->kept_count + slice->direct_count +
               (slice->clear ? slice->clear->rows_max : 0) <=
           STORE_SLICE_ROWS_MAX;
}

fabric_error_t memory_checkpoint(store_t *base, const store_hold_t *hold,
                                 const store_slice_t *slice)
{
    memory_store_t *store = memory_store_of(base);
    if (!fits(slice)) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = memory_enter(store, MEMORY_STORE_CHECKPOINT, hold->lane);
    if (error) {
        return error;
    }
    memory_database_t *database = store->database;
    if (!memory_holds(database, hold)) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    if (!has_base(&database->lanes[hold->lane], slice)) {
        return memory_leave(store, FABRIC_ERROR_STORE_LOST);
    }
    for (size_t i = 0; i < slice->put_count; i++) {
        memory_row_put(database, hold->lane, &slice->puts[i]);
    }
    for (size_t i = 0; i < slice->amendment_count; i++) {
        amend(database, hold->lane, &slice->amendments[i]);
    }
    for (size_t i = 0; i < slice->delete_count; i++) {
        memory_row_remove(database, hold->lane, slice->deletes[i]);
    }
    for (size_t i = 0; i < slice->scheduled_count; i++) {
        memory_scheduled_put(database, hold->lane, &slice->scheduled[i]);
    }
    for (size_t i = 0; i < slice->unscheduled_count; i++) {
        memory_scheduled_remove(database, hold->lane, slice->unscheduled[i]);
    }
    for (size_t i = 0; i < slice->dead_count; i++) {
        memory_dead_put(database, hold->lane, &slice->dead[i]);
    }
    for (size_t i = 0; i < slice->key_count; i++) {
        memory_key_put(database, hold->lane, &slice->keys[i]);
    }
    for (size_t i = 0; i < slice->event_count; i++) {
        if (!memory_event_put(database, hold->lane, &slice->events[i])) {
            return memory_leave(store, FABRIC_ERROR_STORE_LOST);
        }
    }
    for (size_t i = 0; i < slice->outgoing_count; i++) {
        memory_outgoing_put(database, hold->lane, &slice->outgoing[i]);
    }
    for (size_t i = 0; i < slice->sent_count; i++) {
        memory_outgoing_remove(database, hold->lane, slice->sent[i]);
    }
    for (size_t i = 0; i < slice->state_count; i++) {
        memory_state_put(database, hold->lane, &slice->states[i]);
    }
    for (size_t i = 0; i < slice->kept_count; i++) {
        memory_kept_put(database, hold->lane, &slice->kept[i]);
    }
    if (slice->clear) {
        clear_entity(database, hold->lane, slice);
    }
    store_lane_t *row = &database->lanes[hold->lane].row;
    memory_note_value(database, row, sizeof *row);
    row->begun = slice->begun;
    row->number = slice->last ? slice->begun : row->number;
    return memory_leave(store, FABRIC_OK);
}

/* ---- reading ---- */

/* What a call of load_rows wants, and what it has had. */
typedef struct loading {
    uint64_t bytes_left;
    store_visit_pending_fn *visit;
    void *context;
} loading_t;

/* false: enough bytes were visited, and the range has more. */
static bool load_range(memory_lane_t *lane, const store_range_t *range, size_t index,
                       loading_t *loading)
{
    memory_entity_t *entity = NULL;
    HASH_FIND(hh, lane->entities, &range->entity_hash, sizeof range->entity_hash, entity);
    if (!entity || range->after == UINT64_MAX) {
        return true;
    }
    uint32_t left = range->limit;
    for (size_t i = memory_sequence_from(&entity->rows, range->after + 1);
         i < entity->rows.places.count && left > 0; i++, left--) {
        const store_pending_t *row =
            &((const memory_row_t *)entity->rows.places.items[i].item)->row;
        if (row->position > range->until) {
            return true;
        }
        if (loading->bytes_left == 0) {
            return false;
        }
        loading->visit(loading->context, index, row);
        loading->bytes_left -=
            row->body.size < loading->bytes_left ? row->body.size : loading->bytes_left;
    }
    return true;
}

fabric_error_t memory_load_rows(store_t *base, uint32_t lane, const store_range_t *ranges,
                                size_t count, uint64_t bytes_max, store_visit_pending_fn *visit,
                                void *context, size_t *done)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    memory_lane_t *found = memory_lane_of(store->database, lane);
    loading_t loading = {bytes_max, visit, context};
    size_t i = 0;
    while (found && i < count && load_range(found, &ranges[i], i, &loading)) {
        i++;
    }
    *done = found ? i : count;
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_list_backlogs(store_t *base, uint32_t lane, store_visit_backlog_fn *visit,
                                    void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    memory_lane_t *found = memory_lane_of(store->database, lane);
    for (memory_entity_t *entity = found ? found->entities : NULL; entity;
         entity = entity->hh.next) {
        const memory_sequence_t *rows = &entity->rows;
        store_backlog_t backlog = {.entity_hash = entity->hash,
                                   .count = rows->places.count - rows->first,
                                   .first = rows->places.items[rows->first].key,
                                   .last = rows->places.items[rows->places.count - 1].key};
        visit(context, &backlog);
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_find_rows(store_t *base, uint32_t lane, const store_row_key_t *keys,
                                size_t count, bool *found)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *rows = memory_lane_of(store->database, lane);
    for (size_t i = 0; i < count; i++) {
        found[i] = rows && memory_row_find(rows, keys[i]);
    }
    return memory_leave(store, FABRIC_OK);
}

/* ---- scheduled messages ---- */

fabric_error_t memory_load_scheduled(store_t *base, uint32_t lane, store_due_key_t after,
                                     uint32_t limit, uint64_t bytes_max,
                                     store_visit_pending_fn *visit, void *context, bool *ended)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *found = memory_lane_of(store->database, lane);
    size_t count = found ? found->scheduled.count : 0;
    size_t at = found && after.id < UINT64_MAX
                    ? memory_scheduled_from(found, (store_due_key_t){after.due_ms, after.id + 1})
                    : count;
    uint64_t bytes = 0;
    for (; at < count && limit > 0 && bytes < bytes_max; at++, limit--) {
        const store_pending_t *row = &found->scheduled.items[at]->row;
        visit(context, 0, row);
        bytes += row->body.size;
    }
    *ended = at == count && limit > 0 && bytes < bytes_max;
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_count_scheduled(store_t *base, uint32_t lane, uint64_t *count)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *found = memory_lane_of(store->database, lane);
    *count = found ? found->scheduled.count : 0;
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_count_scheduled_type(store_t *base, uint32_t lane, fabric_bytes_t type,
                                           uint64_t *count)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *found = memory_lane_of(store->database, lane);
    *count = 0;
    for (size_t i = 0; found && i < found->scheduled.count; i++) {
        *count += fabric_bytes_equal(found->scheduled.items[i]->row.type, type);
    }
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_find_scheduled(store_t *base, uint32_t lane, const store_due_key_t *keys,
                                     size_t count, bool *found)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *rows = memory_lane_of(store->database, lane);
    for (size_t i = 0; i < count; i++) {
        found[i] = rows && memory_scheduled_find(rows, keys[i]);
    }
    return memory_leave(store, FABRIC_OK);
}

/* ---- by their ids ---- */

static bool is_asked(request_id_t id, const request_id_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i].value == id.value) {
            return true;
        }
    }
    return false;
}

fabric_error_t memory_find_places(store_t *base, uint32_t lane, const request_id_t *ids,
                                  size_t count, store_visit_place_fn *visit, void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *found = memory_lane_of(store->database, lane);
    for (size_t i = 0; found && i < found->scheduled.count; i++) {
        const store_pending_t *row = &found->scheduled.items[i]->row;
        if (is_asked(row->id, ids, count)) {
            visit(context, &(store_place_t){row->id, row->due_ms, 0, row->id.value});
        }
    }
    for (const memory_entity_t *entity = found ? found->entities : NULL; entity;
         entity = entity->hh.next) {
        for (size_t i = entity->rows.first; i < entity->rows.places.count; i++) {
            const store_pending_t *row =
                &((const memory_row_t *)entity->rows.places.items[i].item)->row;
            if (is_asked(row->id, ids, count)) {
                visit(context, &(store_place_t){row->id, 0, row->entity_hash, row->position});
            }
        }
    }
    return memory_leave(store, FABRIC_OK);
}

/* ---- entities that are kept alive ---- */

fabric_error_t memory_list_kept(store_t *base, uint32_t lane, store_visit_kept_fn *visit,
                                void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *rows = memory_lane_of(store->database, lane);
    for (size_t i = rows ? rows->kept.first : 0; rows && i < rows->kept.places.count; i++) {
        visit(context, &((const memory_kept_t *)rows->kept.places.items[i].item)->kept);
    }
    return memory_leave(store, FABRIC_OK);
}
