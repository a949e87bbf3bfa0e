/* The in-memory store: outgoing messages. */
#include "tests/memory/memory_connection.h"

#include <string.h>

/* ---- the rows of one lane ---- */

static fabric_bytes_t put_bytes(uint8_t **at, fabric_bytes_t bytes)
{
    if (bytes.size > 0) {
        memcpy(*at, bytes.data, bytes.size);
    }
    fabric_bytes_t copy = fabric_bytes(bytes.size > 0 ? *at : NULL, bytes.size);
    *at += bytes.size;
    return copy;
}

static size_t bytes_of(const store_outgoing_t *row)
{
    return row->source_type.size + row->source_entity.size + row->source_tag.size + row->type.size +
           row->entity.size + row->tag.size + row->payload.size + row->primary_key.size +
           row->traceparent.size + row->headers.size;
}

memory_outgoing_t *memory_outgoing_copy(const store_outgoing_t *row)
{
    size_t size = bytes_of(row);
    memory_outgoing_t *copy = memory_allocate(sizeof *copy + size);
    uint8_t *at = copy->bytes;
    copy->row = *row;
    copy->row.source_type = put_bytes(&at, row->source_type);
    copy->row.source_entity = put_bytes(&at, row->source_entity);
    copy->row.source_tag = put_bytes(&at, row->source_tag);
    copy->row.type = put_bytes(&at, row->type);
    copy->row.entity = put_bytes(&at, row->entity);
    copy->row.tag = put_bytes(&at, row->tag);
    copy->row.payload = put_bytes(&at, row->payload);
    copy->row.primary_key = put_bytes(&at, row->primary_key);
    copy->row.traceparent = put_bytes(&at, row->traceparent);
    copy->row.headers = put_bytes(&at, row->headers);
    return copy;
}

size_t memory_outgoing_from(const memory_lane_t *lane, store_outgoing_key_t key)
{
    size_t low = 0;
    size_t high = lane->outbox.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        store_outgoing_key_t at = lane->outbox.items[middle]->row.key;
        if (at.id < key.id || (at.id == key.id && at.index < key.index)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

memory_outgoing_t *memory_outgoing_find(const memory_lane_t *lane, store_outgoing_key_t key)
{
    size_t at = memory_outgoing_from(lane, key);
    memory_outgoing_t *row = at < lane->outbox.count ? lane->outbox.items[at] : NULL;
    return row && row->row.key.id == key.id && row->row.key.index == key.index ? row : NULL;
}

void memory_outgoing_apply(memory_lane_t *lane, memory_outgoing_t *row, bool removed)
{
    size_t at = memory_outgoing_from(lane, row->row.key);
    if (!removed) {
        (void)MEMORY_APPEND(&lane->outbox);
    }
    memory_outgoing_t **place = &lane->outbox.items[at];
    if (removed) {
        lane->outbox.count--;
        memmove((void *)place, (void *)(place + 1), (lane->outbox.count - at) * sizeof *place);
    } else {
        memmove((void *)(place + 1), (void *)place, (lane->outbox.count - 1 - at) * sizeof *place);
        *place = row;
    }
}

void memory_outbox_clear(memory_lane_t *lane)
{
    for (size_t i = 0; i < lane->outbox.count; i++) {
        free(lane->outbox.items[i]);
    }
    free((void *)lane->outbox.items);
}

/* ---- reading ---- */

fabric_error_t memory_load_outgoing(store_t *base, uint32_t lane, uint32_t target_lane,
                                    store_outgoing_key_t after, uint32_t limit, uint64_t bytes_max,
                                    store_visit_outgoing_fn *visit, void *context, bool *ended)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *found = memory_lane_of(store->database, lane);
    after = after.index < UINT32_MAX ? (store_outgoing_key_t){after.id, after.index + 1}
                                     : (store_outgoing_key_t){after.id + 1, 0};
    size_t i = found ? memory_outgoing_from(found, after) : 0;
    uint32_t visited = 0;
    bool full = limit == 0;
    for (; found && i < found->outbox.count && !full; i++) {
        const store_outgoing_t *row = &found->outbox.items[i]->row;
        if (row->target_lane != target_lane) {
            continue;
        }
        visit(context, row);
        bytes_max -= bytes_of(row) < bytes_max ? bytes_of(row) : bytes_max;
        full = ++visited == limit || bytes_max == 0;
    }
    *ended = !full;
    return memory_leave(store, FABRIC_OK);
}

fabric_error_t memory_list_outboxes(store_t *base, uint32_t lane, store_visit_outbox_fn *visit,
                                    void *context)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *found = memory_lane_of(store->database, lane);
    for (uint32_t target_lane = 0; found && target_lane < LIMIT_LANES_MAX; target_lane++) {
        store_outbox_t outbox = {.target_lane = target_lane};
        for (size_t i = 0; i < found->outbox.count; i++) {
            const store_outgoing_t *row = &found->outbox.items[i]->row;
            if (row->target_lane == target_lane) {
                outbox.first = outbox.count++ == 0 ? row->key.id : outbox.first;
            }
        }
        if (outbox.count > 0) {
            visit(context, &outbox);
        }
    }
    return memory_leave(store, FABRIC_OK);
}

/* Of one lane; UINT64_MAX: none is open. */
static uint64_t oldest_of(const memory_lane_t *lane)
{
    uint64_t oldest = lane->outbox.count > 0 ? lane->outbox.items[0]->row.key.id : UINT64_MAX;
    const memory_entry_t *reached = memory_sequence_find(&lane->entries, lane->row.number);
    bool above =
        memory_sequence_from(&lane->entries, lane->row.number + 1) < lane->entries.places.count;
    uint64_t last_id = reached ? reached->entry.last_id : 1;
    return above && last_id < oldest ? last_id : oldest;
}

fabric_error_t memory_oldest_outgoing(store_t *base, uint64_t *id)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, MEMORY_NO_LANE);
    if (error) {
        return error;
    }
    uint64_t oldest = UINT64_MAX;
    for (uint32_t lane = 0; lane < store->database->cluster.lanes; lane++) {
        uint64_t of_lane = oldest_of(&store->database->lanes[lane]);
        oldest = of_lane < oldest ? of_lane : oldest;
    }
    *id = oldest > 0 ? oldest : 1;
    return memory_leave(store, FABRIC_OK);
}
