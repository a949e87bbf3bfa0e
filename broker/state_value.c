/* Persisted states in memory: see state_value.h. */
#include "broker/state_value.h"

#include <assert.h>
#include <string.h>

#include "broker/memory_cache.h"

static fabric_bytes_t copy(uint8_t **at, fabric_bytes_t bytes)
{
    uint8_t *start = *at;
    if (bytes.size > 0) {
        memcpy(start, bytes.data, bytes.size);
    }
    *at += bytes.size;
    return fabric_bytes(start, bytes.size);
}

state_value_t *state_value_new(const store_state_t *row)
{
    size_t size = sizeof(state_value_t) + row->type.size + row->entity.size + row->state.size;
    state_value_t *value = memory_cache_allocate(size);
    uint8_t *at = value->bytes;
    value->references = 1;
    value->total = NULL;
    value->size = size;
    value->row = *row;
    value->row.type = copy(&at, row->type);
    value->row.entity = copy(&at, row->entity);
    value->row.state = copy(&at, row->state);
    return value;
}

void state_value_count(state_value_t *value, uint64_t *total)
{
    assert(!value->total);
    value->total = total;
    *total += value->size;
}

state_value_t *state_value_share(state_value_t *value)
{
    if (value) {
        value->references++;
    }
    return value;
}

void state_value_drop(state_value_t **value)
{
    if (*value && --(*value)->references == 0) {
        if ((*value)->total) {
            *(*value)->total -= (*value)->size;
        }
        memory_cache_free(*value, (*value)->size);
    }
    *value = NULL;
}
