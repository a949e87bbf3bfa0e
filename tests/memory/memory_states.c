/* The in-memory store: states of entities. */
#include "tests/memory/memory_connection.h"

fabric_error_t memory_load_states(store_t *base, uint32_t lane, const store_entity_name_t *names,
                                  size_t count, uint64_t bytes_max, store_visit_state_fn *visit,
                                  void *context, size_t *done)
{
    memory_store_t *store = memory_store_of(base);
    fabric_error_t error = memory_enter(store, MEMORY_STORE_LOAD, lane);
    if (error) {
        return error;
    }
    const memory_lane_t *rows = memory_lane_of(store->database, lane);
    uint64_t bytes = 0;
    size_t read = 0;
    for (; read < count && bytes < bytes_max; read++) {
        const memory_state_t *found =
            rows ? memory_state_find(rows, names[read].type, names[read].entity) : NULL;
        if (found) {
            bytes += found->row.state.size;
            visit(context, &found->row);
        }
    }
    *done = read;
    return memory_leave(store, FABRIC_OK);
}
