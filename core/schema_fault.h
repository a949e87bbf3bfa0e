/* Schema faults: the texts that say which field of a payload, struct or JSON object is wrong, and
 * how.
 *
 * A path is a chain of nodes on the stack of the code that walks a value. A node is made only for a
 * struct or list, so that values without a fault pay next to nothing for it.
 */
#ifndef CORE_SCHEMA_FAULT_H
#define CORE_SCHEMA_FAULT_H

#include <fabric/schema.h>

#include "core/wire.h"

/* A place in a value. The outermost node has the schema's name, which is shown only if there is no
 * field to name. */
typedef struct schema_path {
    const struct schema_path *outer; /* NULL for the outermost */
    const char *name;                /* a field's name; NULL for an element of a list */
    uint32_t index;                  /* of the element */
} schema_path_t;

/* The text of what was expected or found. */
typedef struct schema_text {
    char text[96];
} schema_text_t;

/* The beginning of a map's key. */
typedef struct schema_key {
    char text[48];
} schema_key_t;

/* Copies a key, cut between characters where it is long. Returns text->text. */
const char *schema_key_text(fabric_bytes_t key, schema_key_t *text);
/* By bytes: below, equal to or above 0. */
int schema_compare_keys(fabric_bytes_t a, fabric_bytes_t b);

/* Writes "PATH.NAME: TEXT" to `fault`, which may be NULL; `name` may be NULL for the path itself.
 * Returns FABRIC_ERROR_MALFORMED_MESSAGE. */
FABRIC_PRINTF(4, 5)
fabric_error_t schema_fault(fabric_schema_fault_t *fault, const schema_path_t *outer,
                            const char *name, const char *format, ...);
/* What a field takes, such as "a number from 0 to 4294967295"; in JSON, structs are objects.
 * Returns text->text. */
const char *schema_expected(const fabric_field_t *field, bool json, schema_text_t *text);
/* What is next in a payload, such as "a string"; numbers are told with their value. Returns
 * text->text. */
const char *schema_found(wire_reader_t reader, schema_text_t *text);

#endif
