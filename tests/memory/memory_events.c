/* The in-memory store: events of entities. */
#include "tests/memory/memory_connection.h"

/* false: enough bytes were visited, and the history has more. */
static bool load_history(const memory_lane_t *lane, const store_history_t *history, size_t index,
                         uint64_t *bytes_left, store_visit_event_fn *visit, void *context)
{
    const memory_sequence_t *events =
        memory_events_find(lane, history->name.type, history->name.entity);
    if (!events || history->after >= STORE_SEQUENCE_MAX) {
        return true;
    }
    uint32_t left = history->limit;
    for (size_t i = memory_sequence_from(events, history->after + 1);
         i < events->places.count && left > 0; i++, left--) {
        const store_event_t *row = &((const memory_event_t *)events->places.items[i].item)->row;
        if (*bytes_left == 0) {
            return false;
        }
        visit(context, index, row);
        uint64_t bytes = store_event_bytes(row);
        *bytes_left -= bytes < *bytes_left ? bytes : *bytes_left;
    }
    return true;
}

fabric_error_t memory_load_events(store_t *base, uint32_t lane, const store_history_t *histories,
                                  size_t count, uint64_t bytes_max, store_visit_event_fn *visit,
                                  void *context, size_t *done)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *found = memory_lane_of(store->database, lane);
    size_t i = 0;
    while (found && i < count &&
           load_history(found, &histories[i], i, &bytes_max, visit, context)) {
        i++;
    }
    *done = found ? i : count;
    return memory_leave(store, FABRIC_OK);
}
