/* Persisted states of entities: what an adoption finds in the journal, and reading rows. */
#include <stdlib.h>

#include "broker/store/loader_state.h"
#include "core/hash.h"
#include "core/memory.h"

/* ---- adoption ---- */

/* The last state of an entity so far. */
typedef struct last_state {
    const store_state_t *row;
    UT_hash_handle hh;
    size_t name_size;
    uint8_t name[];
} last_state_t;

static last_state_t *name_of(const store_state_t *state)
{
    size_t size = 1 + state->type.size + state->entity.size;
    last_state_t *last = memory_allocate_zeroed(1, sizeof *last + size);
    last->row = state;
    last->name_size = size;
    last->name[0] = (uint8_t)state->type.size;
    memcpy(last->name + 1, state->type.data, state->type.size);
    memcpy(last->name + 1 + state->type.size, state->entity.data, state->entity.size);
    return last;
}

void loader_take_states(const reading_t *reading, adoption_t *adoption)
{
    size_t count = 0;
    const store_state_t *states = journal_fold_states(reading->fold, &count);
    last_state_t *by_name = NULL;
    for (size_t i = 0; i < count; i++) {
        last_state_t *last = name_of(&states[i]);
        last_state_t *before = NULL;
        HASH_REPLACE(hh, by_name, name, last->name_size, last, before);
        free(before);
    }
    size_t entities = HASH_COUNT(by_name);
    adoption->states = entities ? memory_allocate(entities * sizeof(state_value_t *)) : NULL;
    last_state_t *last, *next;
    HASH_ITER(hh, by_name, last, next)
    {
        adoption->states[adoption->state_count++] = state_value_new(last->row);
        HASH_DEL(by_name, last);
        free(last);
    }
}

/* ---- rows ---- */

static void keep_state(void *context, const store_state_t *row)
{
    loaded_states_t *states = context;
    states->values = memory_reserve((void *)states->values, states->count + 1, &states->capacity,
                                    sizeof(state_value_t *));
    states->values[states->count++] = state_value_new(row);
}

void loaded_states_clear(loaded_states_t *states)
{
    for (size_t i = 0; i < states->count; i++) {
        state_value_drop(&states->values[i]);
    }
    free((void *)states->values);
    *states = (loaded_states_t){0};
}

fabric_error_t loader_load_states(loader_t *loader, uint32_t lane, const store_entity_name_t *names,
                                  size_t count, uint64_t bytes_max, loaded_states_t *states)
{
    connection_t *connection = &loader->connection;
    fabric_error_t error;
    *states = (loaded_states_t){0};
    do {
        loaded_states_clear(states);
        error = connection_require(connection);
        if (!error) {
            store_t *store = connection->store;
            error = store->driver->load_states(store, lane, names, count, bytes_max, keep_state,
                                               states, &states->done);
        }
    } while (connection_goes_on(connection, error));
    if (error) {
        loaded_states_clear(states);
    }
    return error;
}
