/* Schemas inside Fabric: how schemas travel. The public part is <fabric/schema.h>.
 *
 * A description is msgpack: schema = array [name, [field...]]; field = array [name, kind, max,
 * optional, schema or nil].
 */
#ifndef CORE_SCHEMA_H
#define CORE_SCHEMA_H

#include <fabric/schema.h>

#include "core/wire.h"

/* Bounds of a schema that is read from a description, so that a short one cannot ask for much memory. */
enum {
    SCHEMA_FIELDS_TOTAL_MAX = 1024,    /* fields of a schema and all schemas within it */
    SCHEMA_STRUCT_BYTES_MAX = 4194304, /* bytes of the struct, as laid out by schema_parse */
};

/* Whether nothing that schema_describe needs is missing: no NULL where a name, fields or a schema must
 * be, and an end to the nesting. */
bool schema_is_describable(const fabric_schema_t *schema);
/* Appends the description of a schema. */
void schema_describe(const fabric_schema_t *schema, wire_writer_t *writer);
/* Reads a description into a schema allocated as one piece; its struct layout is computed, so that
 * it can be used for decoding too. The result is the caller's, for schema_destroy. MALFORMED_MESSAGE, or LIMIT_EXCEEDED for more than
 * LIMIT_FIELDS_MAX fields, LIMIT_DEPTH_MAX levels or the bounds above; then the reader has failed too. Names are UTF-8 of
 * 1 to LIMIT_NAME_BYTES_MAX bytes, no two of a schema's fields the same. */
FABRIC_MUST_USE fabric_error_t schema_parse(wire_reader_t *reader, fabric_schema_t **schema);
void schema_destroy(fabric_schema_t **schema);
/* Whether payloads of `before` can be read by `after`: the same kinds in the same places, maxima
 * not smaller, fields added only at the end and only optional. TYPE_CONFLICT and a fault that names
 * the field where not. */
FABRIC_MUST_USE fabric_error_t schema_compatible(const fabric_schema_t *before,
                                                 const fabric_schema_t *after,
                                                 fabric_schema_fault_t *fault);

#endif
