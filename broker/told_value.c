/* What handlers have told, in memory: see told_value.h. */
#include "broker/told_value.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

told_value_t *told_value_new(const journal_outgoing_t *outgoing, uint64_t *total)
{
    size_t size = sizeof(told_value_t) + outgoing->list.size;
    told_value_t *value = memory_allocate(size);
    value->total = total;
    value->size = size;
    *total += size;
    value->outgoing = *outgoing;
    value->outgoing.id = 0;
    memcpy(value->bytes, outgoing->list.data, outgoing->list.size);
    value->outgoing.list = fabric_bytes(value->bytes, outgoing->list.size);
    return value;
}

void told_value_destroy(told_value_t **value)
{
    if (*value) {
        *(*value)->total -= (*value)->size;
        free(*value);
        *value = NULL;
    }
}
