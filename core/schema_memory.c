/* Memory for the elements of lists: see schema_memory.h. */
#include "core/schema_memory.h"

#include <stdlib.h>

#include "core/memory.h"

fabric_error_t schema_decode_growing(const fabric_schema_t *schema, fabric_bytes_t payload,
                                     schema_memory_t *memory, fabric_schema_fault_t *fault,
                                     void *value)
{
    fabric_error_t error =
        fabric_schema_decode_in(schema, payload, memory->bytes, memory->capacity, fault, value);
    if (error != FABRIC_ERROR_LIMIT_EXCEEDED) {
        return error;
    }
    if (fault) {
        fault->text[0] = '\0'; /* it said that memory is lacking */
    }
    size_t capacity;
    error = fabric_schema_measure(schema, payload, fault, &capacity);
    if (error != FABRIC_OK) {
        return error; /* only what is behind the first list has been found to be wrong */
    }
    schema_memory_free(memory);
    memory->bytes = memory_allocate(capacity);
    memory->capacity = capacity;
    return fabric_schema_decode_in(schema, payload, memory->bytes, memory->capacity, fault, value);
}

void schema_memory_free(schema_memory_t *memory)
{
    free(memory->bytes);
    *memory = (schema_memory_t){0};
}
