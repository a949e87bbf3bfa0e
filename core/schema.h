/* Schemas inside Fabric: how schemas travel. The public part is <fabric/schema.h>.
 *
 * A description is msgpack: schema = array [name, [field...]]; field = array [name, kind, max,
 * optional, schema or element or choices or nil, name in JSON or nil, line of documentation or
 * nil, default], where the last three are left out from the end; element = array [kind, max,
 * choices or nil]; choices = array [name, [choice...]]; choice = array [number, name, schema of
 * a variant, line of documentation or left out].
 */
#ifndef CORE_SCHEMA_H
#define CORE_SCHEMA_H

#include <fabric/schema.h>

#include "core/wire.h"

/* Bounds of a schema that is read from a description, so that a short description cannot ask for
 * much memory. */
enum {
    SCHEMA_FIELDS_TOTAL_MAX = 1024,    /* fields of a schema and all schemas within it */
    SCHEMA_CHOICES_TOTAL_MAX = 4096,   /* choices of all its enums and unions */
    SCHEMA_STRUCT_BYTES_MAX = 4194304, /* bytes of the struct, as laid out by schema_parse */
};

/* Whether schema_describe can describe the schema: it has no NULL in place of a name, fields,
 * choices or a schema, its defaults are values of their fields, and its nesting ends. */
bool schema_is_describable(const fabric_schema_t *schema);
/* Appends the description of a schema. */
void schema_describe(const fabric_schema_t *schema, wire_writer_t *writer);
/* Reads a description into a schema that is one piece of memory, with a computed struct layout, so
 * that it can be used for decoding too. The caller frees the result with schema_destroy.
 * MALFORMED_MESSAGE; LIMIT_EXCEEDED for more than LIMIT_FIELDS_MAX fields, more than
 * LIMIT_DEPTH_MAX levels, or beyond the bounds above. On an error the reader has failed too. Names
 * and lines of documentation are UTF-8 of 1 to LIMIT_NAME_BYTES_MAX bytes; no two fields of a
 * schema have the same name or the same name in JSON, and no two choices the same number or
 * name. */
FABRIC_MUST_USE
fabric_error_t schema_parse(wire_reader_t *reader, fabric_schema_t **schema);
void schema_destroy(fabric_schema_t **schema);
/* Whether payloads of `before` can be read by `after`: the same kinds in the same places, maxima
 * not smaller, no choice less, the same defaults, new fields only at the end and optional or with
 * a default. If not: TYPE_CONFLICT, and a fault that
 * names the field. */
FABRIC_MUST_USE
fabric_error_t schema_compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                                 fabric_schema_fault_t *fault);

#endif
