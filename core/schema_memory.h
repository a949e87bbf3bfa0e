/* Memory that grows for the elements of lists that are views.
 *
 * Threading: none of its own; an object belongs to one thread at a time.
 */
#ifndef CORE_SCHEMA_MEMORY_H
#define CORE_SCHEMA_MEMORY_H

#include <fabric/schema.h>

/* All zero is a valid, empty memory. */
typedef struct schema_memory {
    void *bytes;
    size_t capacity;
} schema_memory_t;

/* Decodes as fabric_schema_decode_in() does, into memory that is made as large as it has to be.
 * What was decoded into it before is lost. */
FABRIC_MUST_USE
fabric_error_t schema_decode_growing(const fabric_schema_t *schema, fabric_bytes_t payload,
                                     schema_memory_t *memory, fabric_schema_fault_t *fault,
                                     void *value);
void schema_memory_free(schema_memory_t *memory);

#endif
