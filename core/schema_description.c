/* Schemas as data: their descriptions, and whether one schema can take another's place. See
 * schema.h.
 *
 * A description is read twice: once to check all of it and to count, once to fill one piece of
 * memory in.
 */
#include "core/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/schema_fault.h"
#include "core/utf8.h"

#define NAME_BYTES_MAX LIMIT_NAME_BYTES_MAX

/* One field as described, its schema left out. */
typedef struct field_row {
    fabric_bytes_t name;
    fabric_field_kind_t kind;
    uint32_t max;
    bool optional;
} field_row_t;

/* How much memory a description takes. */
typedef struct totals {
    size_t schemas;
    size_t fields;
    size_t name_bytes;
} totals_t;

/* The piece of memory, handed out from the front of each of its three parts. */
typedef struct arena {
    fabric_schema_t *schemas;
    fabric_field_t *fields;
    char *names;
} arena_t;

/* ---- describing ---- */

static bool has_schema(fabric_field_kind_t kind)
{
    return kind == FABRIC_FIELD_STRUCT || kind == FABRIC_FIELD_LIST;
}

static bool has_max(fabric_field_kind_t kind)
{
    return kind == FABRIC_FIELD_STRING || kind == FABRIC_FIELD_BYTES || kind == FABRIC_FIELD_LIST;
}

static bool has_members(const fabric_schema_t *schema, unsigned depth, size_t *fields_left)
{
    if (!schema || !schema->name || (schema->field_count > 0 && !schema->fields) ||
        depth > LIMIT_DEPTH_MAX || schema->field_count > *fields_left) {
        return false;
    }
    *fields_left -= schema->field_count;
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        if (!field->name ||
            (has_schema(field->kind) && !has_members(field->schema, depth + 1, fields_left))) {
            return false;
        }
    }
    return true;
}

bool schema_is_describable(const fabric_schema_t *schema)
{
    size_t fields_left = SCHEMA_FIELDS_TOTAL_MAX;
    return has_members(schema, 1, &fields_left);
}

void schema_describe(const fabric_schema_t *schema, wire_writer_t *writer)
{
    wire_put_array(writer, 2);
    wire_put_text(writer, schema->name);
    wire_put_array(writer, (uint32_t)schema->field_count);
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        wire_put_array(writer, 5);
        wire_put_text(writer, field->name);
        wire_put_uint(writer, (uint64_t)field->kind);
        wire_put_uint(writer, field->max);
        wire_put_bool(writer, field->present_offset != FABRIC_ALWAYS);
        if (has_schema(field->kind)) {
            schema_describe(field->schema, writer);
        } else {
            wire_put_nil(writer);
        }
    }
}

/* ---- reading: what both passes share ---- */

static fabric_bytes_t read_name(wire_reader_t *reader)
{
    fabric_bytes_t name = wire_get_str(reader);
    if (name.size == 0 || name.size > NAME_BYTES_MAX || !utf8_is_text(name)) {
        reader->failed = true;
    }
    return name;
}

/* Reads a schema up to its first field. */
static uint32_t read_head(wire_reader_t *reader, fabric_bytes_t *name)
{
    if (wire_get_array(reader) != 2) {
        reader->failed = true;
    }
    *name = read_name(reader);
    return wire_get_array(reader);
}

/* Reads a field up to its schema or nil, which stays unread. */
static field_row_t read_field(wire_reader_t *reader)
{
    field_row_t row = {0};
    if (wire_get_array(reader) != 5) {
        reader->failed = true;
    }
    row.name = read_name(reader);
    uint64_t kind = wire_get_uint(reader);
    uint64_t max = wire_get_uint(reader);
    row.optional = wire_get_bool(reader);
    if (kind < FABRIC_FIELD_BOOL || kind > FABRIC_FIELD_LIST) {
        reader->failed = true;
        return row;
    }
    row.kind = (fabric_field_kind_t)kind;
    row.max = (uint32_t)max;
    if (max > (has_max(row.kind) ? LIMIT_PAYLOAD_BYTES_MAX : 0)) {
        reader->failed = true;
    }
    return row;
}

/* ---- first pass ---- */

static fabric_error_t measure(wire_reader_t *reader, unsigned depth, totals_t *totals)
{
    fabric_bytes_t name;
    uint32_t count = read_head(reader, &name);
    if (reader->failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    totals->schemas++;
    totals->fields += count;
    totals->name_bytes += name.size + 1;
    if (depth > LIMIT_DEPTH_MAX || count > LIMIT_FIELDS_MAX ||
        totals->fields > SCHEMA_FIELDS_TOTAL_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    for (uint32_t i = 0; i < count; i++) {
        field_row_t row = read_field(reader);
        if (reader->failed) {
            return FABRIC_ERROR_MALFORMED_MESSAGE;
        }
        totals->name_bytes += row.name.size + 1;
        if (!has_schema(row.kind)) {
            wire_get_nil(reader);
            continue;
        }
        fabric_error_t error =
            measure(reader, depth + (row.kind == FABRIC_FIELD_LIST ? 2 : 1), totals);
        if (error != FABRIC_OK) {
            return error;
        }
    }
    return reader->failed ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_OK;
}

/* ---- second pass ---- */

static const char *keep_name(arena_t *arena, fabric_bytes_t name)
{
    char *kept = arena->names;
    memcpy(kept, name.data, name.size);
    kept[name.size] = '\0';
    arena->names += name.size + 1;
    return kept;
}

/* Adds a member at the end of a struct. False if the struct would get too large. */
static bool place(size_t *struct_size, uint64_t size, size_t align, size_t *offset)
{
    size_t start = (*struct_size + align - 1) / align * align;
    if (size > SCHEMA_STRUCT_BYTES_MAX || start + size > SCHEMA_STRUCT_BYTES_MAX) {
        return false;
    }
    *offset = start;
    *struct_size = start + (size_t)size;
    return true;
}

/* Lays a field out behind the `size` bytes of its struct. Structs are aligned to eight bytes,
 * whatever they hold. */
static bool lay_out(fabric_field_t *field, bool optional, size_t *size)
{
    bool fits = true;
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        fits = place(size, sizeof(bool), sizeof(bool), &field->offset);
        break;
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_U32:
        fits = place(size, 4, 4, &field->offset);
        break;
    case FABRIC_FIELD_I64:
    case FABRIC_FIELD_U64:
    case FABRIC_FIELD_F64:
        fits = place(size, 8, 8, &field->offset);
        break;
    case FABRIC_FIELD_STRING:
        fits = place(size, (uint64_t)field->max + 1, 1, &field->offset);
        break;
    case FABRIC_FIELD_BYTES:
        fits = place(size, (uint64_t)field->max + 4, 4, &field->offset);
        break;
    case FABRIC_FIELD_STRUCT:
        fits = place(size, field->schema->size, 8, &field->offset);
        break;
    case FABRIC_FIELD_LIST: /* neither factor is above its limit: no overflow in 64 bits */
        fits = place(size, 4, 4, &field->count_offset) &&
               place(size, (uint64_t)field->max * field->schema->size, 8, &field->offset);
        break;
    }
    if (fits && optional) {
        fits = place(size, sizeof(bool), sizeof(bool), &field->present_offset);
    }
    return fits;
}

static bool is_repeated(const fabric_field_t *fields, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(fields[i].name, fields[index].name) == 0) {
            return true;
        }
    }
    return false;
}

static fabric_error_t fill(wire_reader_t *reader, arena_t *arena, const fabric_schema_t **filled);

static fabric_error_t fill_field(wire_reader_t *reader, arena_t *arena, fabric_field_t *field,
                                 size_t *size)
{
    field_row_t row = read_field(reader);
    *field =
        (fabric_field_t){keep_name(arena, row.name), row.kind, 0, row.max, NULL, 0, FABRIC_ALWAYS};
    if (has_schema(row.kind)) {
        fabric_error_t error = fill(reader, arena, &field->schema);
        if (error != FABRIC_OK) {
            return error;
        }
    } else {
        wire_get_nil(reader);
    }
    return lay_out(field, row.optional, size) ? FABRIC_OK : FABRIC_ERROR_LIMIT_EXCEEDED;
}

/* Fills in a schema whose form `measure` has found to be good. */
static fabric_error_t fill(wire_reader_t *reader, arena_t *arena, const fabric_schema_t **filled)
{
    fabric_bytes_t name;
    fabric_schema_t *schema = arena->schemas++;
    schema->field_count = read_head(reader, &name);
    schema->name = keep_name(arena, name);
    fabric_field_t *fields = arena->fields;
    schema->fields = fields;
    arena->fields += schema->field_count;
    size_t size = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        fabric_error_t error = fill_field(reader, arena, &fields[i], &size);
        if (error != FABRIC_OK) {
            return error;
        }
        if (is_repeated(fields, i)) {
            return FABRIC_ERROR_MALFORMED_MESSAGE;
        }
    }
    schema->size = (size + 7) / 8 * 8;
    *filled = schema;
    return FABRIC_OK;
}

fabric_error_t schema_parse(wire_reader_t *reader, fabric_schema_t **schema)
{
    wire_reader_t cursor = *reader;
    totals_t totals = {0};
    fabric_error_t error = measure(&cursor, 1, &totals);
    if (error != FABRIC_OK) {
        reader->failed = true;
        return error;
    }
    size_t schemas_size = totals.schemas * sizeof(fabric_schema_t);
    size_t fields_size = totals.fields * sizeof(fabric_field_t);
    char *memory = memory_allocate_zeroed(1, schemas_size + fields_size + totals.name_bytes);
    arena_t arena = {(fabric_schema_t *)(void *)memory,
                     (fabric_field_t *)(void *)(memory + schemas_size),
                     memory + schemas_size + fields_size};
    cursor = *reader;
    const fabric_schema_t *filled = NULL;
    error = fill(&cursor, &arena, &filled);
    if (error != FABRIC_OK) {
        free(memory);
        reader->failed = true;
        return error;
    }
    assert(!cursor.failed);
    *reader = cursor;
    *schema = (fabric_schema_t *)(void *)memory; /* the outermost is the first */
    return FABRIC_OK;
}

void schema_destroy(fabric_schema_t **schema)
{
    if (schema) {
        free(*schema);
        *schema = NULL;
    }
}

/* ---- comparing ---- */

static const char *kind_name(fabric_field_kind_t kind)
{
    switch (kind) {
    case FABRIC_FIELD_BOOL:
        return "bool";
    case FABRIC_FIELD_I32:
        return "i32";
    case FABRIC_FIELD_I64:
        return "i64";
    case FABRIC_FIELD_U32:
        return "u32";
    case FABRIC_FIELD_U64:
        return "u64";
    case FABRIC_FIELD_F64:
        return "f64";
    case FABRIC_FIELD_STRING:
        return "string";
    case FABRIC_FIELD_BYTES:
        return "bytes";
    case FABRIC_FIELD_STRUCT:
        return "struct";
    case FABRIC_FIELD_LIST:
        return "list";
    }
    return "?";
}

static bool compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                       const schema_path_t *path, fabric_schema_fault_t *fault);

static bool field_compatible(const fabric_field_t *before, const fabric_field_t *after,
                             const schema_path_t *path, fabric_schema_fault_t *fault)
{
    if (after->kind != before->kind) {
        (void)schema_fault(fault, path, after->name, "expected kind %s as before, found %s",
                           kind_name(before->kind), kind_name(after->kind));
        return false;
    }
    if (after->max < before->max) {
        (void)schema_fault(fault, path, after->name,
                           "expected a maximum of at least %" PRIu32 " as before, found %" PRIu32,
                           before->max, after->max);
        return false;
    }
    if (before->present_offset != FABRIC_ALWAYS && after->present_offset == FABRIC_ALWAYS) {
        (void)schema_fault(fault, path, after->name,
                           "expected an optional field as before, found one that must be there");
        return false;
    }
    schema_path_t inner = {path, after->name, 0};
    return !has_schema(before->kind) || compatible(before->schema, after->schema, &inner, fault);
}

static bool compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                       const schema_path_t *path, fabric_schema_fault_t *fault)
{
    for (size_t i = 0; i < before->field_count; i++) {
        if (i >= after->field_count) {
            (void)schema_fault(fault, path, before->fields[i].name,
                               "expected a field as before, found none");
            return false;
        }
        if (!field_compatible(&before->fields[i], &after->fields[i], path, fault)) {
            return false;
        }
    }
    for (size_t i = before->field_count; i < after->field_count; i++) {
        if (after->fields[i].present_offset == FABRIC_ALWAYS) {
            (void)schema_fault(fault, path, after->fields[i].name,
                               "expected a new field to be optional, found one that must be there");
            return false;
        }
    }
    return true;
}

fabric_error_t schema_compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                                 fabric_schema_fault_t *fault)
{
    schema_path_t path = {NULL, after->name, 0};
    return compatible(before, after, &path, fault) ? FABRIC_OK : FABRIC_ERROR_TYPE_CONFLICT;
}
