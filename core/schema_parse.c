/* Schemas from their descriptions: see schema.h.
 *
 * A description is read twice: once to check all of it and to count, once to fill one piece of
 * memory in.
 */
#include "core/schema.h"

#include <assert.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/schema_field.h"
#include "core/utf8.h"

#define TEXT_BYTES_MAX LIMIT_NAME_BYTES_MAX

/* One field as described, its schema left out. */
typedef struct field_row {
    fabric_bytes_t name;
    fabric_field_kind_t kind;
    uint32_t max;
    bool optional;
    fabric_field_kind_t element; /* of a list of anything but structs; else 0 */
    uint32_t element_max;
    uint32_t parts;      /* of its array */
    fabric_bytes_t json; /* empty: none */
    fabric_bytes_t doc;  /* empty: none */
    fabric_default_t fallback;
    fabric_bytes_t text; /* of a string's default */
} field_row_t;

typedef struct choice_row {
    int32_t number;
    fabric_bytes_t name;
    bool has_doc;
} choice_row_t;

/* How much memory a description takes. */
typedef struct totals {
    size_t schemas;
    size_t fields;
    size_t enums;
    size_t choices;
    size_t text_bytes;
} totals_t;

/* The piece of memory, handed out from the front of each of its parts. */
typedef struct arena {
    fabric_schema_t *schemas;
    fabric_field_t *fields;
    fabric_choices_t *enums;
    fabric_choice_t *choices;
    char *texts;
} arena_t;

/* ---- what both passes share ---- */

static bool is_text(fabric_bytes_t text)
{
    return text.size > 0 && text.size <= TEXT_BYTES_MAX && utf8_is_text(text);
}

static fabric_bytes_t read_name(wire_reader_t *reader)
{
    fabric_bytes_t name = wire_get_str(reader);
    if (!is_text(name)) {
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

/* Reads a text or nil, for which there are no bytes. */
static fabric_bytes_t read_text_or_nil(wire_reader_t *reader)
{
    if (wire_peek(reader) == WIRE_NIL) {
        wire_get_nil(reader);
        return fabric_bytes(NULL, 0);
    }
    return read_name(reader);
}

static bool is_max(fabric_field_kind_t kind, uint64_t max)
{
    return schema_has_max(kind) ? max <= LIMIT_PAYLOAD_BYTES_MAX || max == FABRIC_ANY_LENGTH
                                : max == 0;
}

/* Reads a field up to its schema, choices or nil, which stay unread. */
static field_row_t read_field(wire_reader_t *reader)
{
    field_row_t row = {0};
    row.parts = wire_get_array(reader);
    if (row.parts < 5 || row.parts > 8) {
        reader->failed = true;
    }
    row.name = read_name(reader);
    uint64_t kind = wire_get_uint(reader);
    uint64_t max = wire_get_uint(reader);
    row.optional = wire_get_bool(reader);
    if (kind < FABRIC_FIELD_BOOL || kind > FABRIC_FIELD_UNION) {
        reader->failed = true;
        return row;
    }
    row.kind = (fabric_field_kind_t)kind;
    row.max = (uint32_t)max;
    if (!is_max(row.kind, max)) {
        reader->failed = true;
    }
    return row;
}

/* Reads what the elements of a list are, up to their choices or nil. A list of structs has a
 * schema there, which stays unread. */
static void read_element(wire_reader_t *reader, field_row_t *row)
{
    wire_reader_t cursor = *reader;
    if (row->kind != FABRIC_FIELD_LIST || wire_get_array(&cursor) != 3) {
        return;
    }
    uint64_t kind = wire_get_uint(&cursor);
    uint64_t max = wire_get_uint(&cursor);
    if (cursor.failed || kind < FABRIC_FIELD_BOOL || kind > FABRIC_FIELD_TIMESTAMP ||
        kind == FABRIC_FIELD_STRUCT || kind == FABRIC_FIELD_LIST ||
        !is_max((fabric_field_kind_t)kind, max)) {
        reader->failed = true;
        return;
    }
    row->element = (fabric_field_kind_t)kind;
    row->element_max = (uint32_t)max;
    *reader = cursor;
}

/* Reads a default, of which the text of a string stays in `text`. Whether it fits its field is
 * looked at when the field is known. */
static void read_default(wire_reader_t *reader, field_row_t *row)
{
    fabric_default_t *fallback = &row->fallback;
    fallback->given = true;
    if (row->optional || !schema_takes_default(row->kind)) {
        reader->failed = true;
    } else if (row->kind == FABRIC_FIELD_BOOL) {
        fallback->as.integer = wire_get_bool(reader);
    } else if (row->kind == FABRIC_FIELD_F64) {
        fallback->as.real = wire_get_double(reader);
    } else if (row->kind == FABRIC_FIELD_STRING) {
        row->text = wire_get_str(reader);
        if (!utf8_is_text(row->text)) {
            reader->failed = true;
        }
    } else if (row->kind == FABRIC_FIELD_U64) {
        fallback->as.integer = (int64_t)wire_get_uint(reader);
    } else {
        fallback->as.integer = wire_get_int(reader);
    }
}

/* Reads what may follow a field's schema, choices or nil. */
static void read_tail(wire_reader_t *reader, field_row_t *row)
{
    if (row->parts > 5) {
        row->json = read_text_or_nil(reader);
    }
    if (row->parts > 6) {
        row->doc = read_text_or_nil(reader);
    }
    if (row->parts > 7) {
        read_default(reader, row);
    }
}

/* Reads choices up to the first one. */
static uint32_t read_choices_head(wire_reader_t *reader, fabric_bytes_t *name)
{
    uint32_t count = read_head(reader, name);
    if (count == 0) {
        reader->failed = true;
    }
    return count;
}

/* Reads a choice up to its line of documentation, or a variant up to its schema. */
static choice_row_t read_choice(wire_reader_t *reader, bool variant)
{
    choice_row_t row = {0};
    uint32_t parts = wire_get_array(reader);
    uint32_t least = variant ? 3 : 2;
    int64_t number = wire_get_int(reader);
    row.name = read_name(reader);
    row.has_doc = parts == least + 1;
    if (parts < least || parts > least + 1 || number < INT32_MIN || number > INT32_MAX) {
        reader->failed = true;
        return row;
    }
    row.number = (int32_t)number;
    return row;
}

/* ---- first pass ---- */

static fabric_error_t measure(wire_reader_t *reader, unsigned depth, totals_t *totals);

static fabric_error_t measure_choices(wire_reader_t *reader, bool variants, unsigned depth,
                                      totals_t *totals)
{
    fabric_bytes_t name;
    uint32_t count = read_choices_head(reader, &name);
    if (reader->failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    totals->enums++;
    totals->choices += count;
    totals->text_bytes += name.size + 1;
    if (count > LIMIT_CHOICES_MAX || totals->choices > SCHEMA_CHOICES_TOTAL_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    for (uint32_t i = 0; i < count; i++) {
        choice_row_t row = read_choice(reader, variants);
        if (reader->failed) {
            return FABRIC_ERROR_MALFORMED_MESSAGE;
        }
        fabric_error_t error = variants ? measure(reader, depth + 2, totals) : FABRIC_OK;
        if (error != FABRIC_OK) {
            return error;
        }
        fabric_bytes_t doc = row.has_doc ? read_name(reader) : fabric_bytes(NULL, 0);
        totals->text_bytes += row.name.size + 1 + doc.size + 1;
    }
    return reader->failed ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_OK;
}

static fabric_error_t measure_field(wire_reader_t *reader, unsigned depth, totals_t *totals)
{
    fabric_error_t error = FABRIC_OK;
    field_row_t row = read_field(reader);
    read_element(reader, &row);
    if (reader->failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    fabric_field_t field = {.kind = row.kind, .element = row.element};
    if (schema_has_schema(&field)) {
        error = measure(reader, depth + (row.kind == FABRIC_FIELD_LIST ? 2 : 1), totals);
    } else if (schema_has_choices(&field)) {
        error = measure_choices(reader, row.kind == FABRIC_FIELD_UNION, depth, totals);
    } else {
        wire_get_nil(reader);
    }
    if (error == FABRIC_OK) {
        read_tail(reader, &row);
        totals->text_bytes += row.name.size + row.json.size + row.doc.size + row.text.size + 4;
    }
    return error;
}

static fabric_error_t measure(wire_reader_t *reader, unsigned depth, totals_t *totals)
{
    fabric_bytes_t name;
    uint32_t count = read_head(reader, &name);
    if (reader->failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    totals->schemas++;
    totals->fields += count;
    totals->text_bytes += name.size + 1;
    if (depth > LIMIT_DEPTH_MAX || count > LIMIT_FIELDS_MAX ||
        totals->fields > SCHEMA_FIELDS_TOTAL_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    for (uint32_t i = 0; i < count; i++) {
        fabric_error_t error = measure_field(reader, depth, totals);
        if (error != FABRIC_OK) {
            return error;
        }
    }
    return reader->failed ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_OK;
}

/* ---- second pass ---- */

static const char *keep(arena_t *arena, fabric_bytes_t text)
{
    char *kept = arena->texts;
    if (text.size > 0) {
        memcpy(kept, text.data, text.size);
    }
    kept[text.size] = '\0';
    arena->texts += text.size + 1;
    return kept;
}

static const char *keep_if_any(arena_t *arena, fabric_bytes_t text)
{
    return text.size > 0 ? keep(arena, text) : NULL;
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

static uint64_t largest(const fabric_choices_t *choices)
{
    size_t size = 0;
    for (size_t i = 0; i < choices->count; i++) {
        size_t one = choices->items[i].schema->size;
        size = one > size ? one : size;
    }
    return size;
}

/* The size and alignment of a field that is no list, or of a list's element. Structs are aligned
 * to eight bytes, whatever they hold. */
static uint64_t size_of(const fabric_field_t *field, size_t *align)
{
    *align = 8;
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        *align = sizeof(bool);
        return sizeof(bool);
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_U32:
    case FABRIC_FIELD_ENUM:
        *align = 4;
        return 4;
    case FABRIC_FIELD_I64:
    case FABRIC_FIELD_U64:
    case FABRIC_FIELD_F64:
    case FABRIC_FIELD_TIMESTAMP:
        return 8;
    case FABRIC_FIELD_STRING:
        *align = schema_is_view(field) ? _Alignof(fabric_bytes_t) : 1;
        return schema_is_view(field) ? sizeof(fabric_bytes_t) : (uint64_t)field->max + 1;
    case FABRIC_FIELD_BYTES:
        *align = schema_is_view(field) ? _Alignof(fabric_bytes_t) : 4;
        return schema_is_view(field) ? sizeof(fabric_bytes_t)
                                     : ((uint64_t)field->max + 4 + 3) / 4 * 4;
    case FABRIC_FIELD_STRUCT: /* an element that is a struct has no field of its own */
        return field->schema ? field->schema->size : 0;
    case FABRIC_FIELD_UNION:
        return largest(field->choices);
    case FABRIC_FIELD_LIST:
    case FABRIC_FIELD_MAP:
        break;
    }
    return 0;
}

static bool lay_out_list(fabric_field_t *field, size_t *size)
{
    size_t align = 8;
    uint64_t stride = 0;
    if (field->element) {
        fabric_field_t element = schema_element(field);
        stride = size_of(&element, &align);
        field->stride = (size_t)stride;
    } else {
        stride = field->schema->size;
    }
    /* Neither factor is above its limit: no overflow in 64 bits. */
    uint64_t elements = schema_is_view(field) ? sizeof(void *) : (uint64_t)field->max * stride;
    return stride <= SCHEMA_STRUCT_BYTES_MAX && place(size, 4, 4, &field->count_offset) &&
           place(size, elements, schema_is_view(field) ? _Alignof(void *) : align, &field->offset);
}

/* Lays a field out behind the `size` bytes of its struct. */
static bool lay_out(fabric_field_t *field, size_t *size)
{
    size_t align;
    uint64_t bytes = size_of(field, &align);
    bool is_list = field->kind == FABRIC_FIELD_LIST || field->kind == FABRIC_FIELD_MAP;
    bool fits = field->kind != FABRIC_FIELD_UNION || place(size, 4, 4, &field->count_offset);
    fits =
        fits && (is_list ? lay_out_list(field, size) : place(size, bytes, align, &field->offset));
    if (fits && field->optional) {
        fits = place(size, sizeof(bool), sizeof(bool), &field->present_offset);
    }
    return fits;
}

/* Names and JSON names must differ. */
static bool is_repeated(const fabric_field_t *fields, size_t index)
{
    const fabric_field_t *field = &fields[index];
    for (size_t i = 0; i < index; i++) {
        if (strcmp(fields[i].name, field->name) == 0 ||
            strcmp(schema_json_name(&fields[i]), schema_json_name(field)) == 0) {
            return true;
        }
    }
    return false;
}

static fabric_error_t fill(wire_reader_t *reader, arena_t *arena, const fabric_schema_t **filled);

static fabric_error_t fill_choices(wire_reader_t *reader, arena_t *arena, bool variants,
                                   const fabric_choices_t **filled)
{
    fabric_bytes_t name;
    fabric_choices_t *choices = arena->enums++;
    uint32_t count = read_choices_head(reader, &name);
    fabric_choice_t *items = arena->choices;
    *choices = (fabric_choices_t){keep(arena, name), items, 0};
    arena->choices += count;
    for (uint32_t i = 0; i < count; i++) {
        choice_row_t row = read_choice(reader, variants);
        const char *name_kept = keep(arena, row.name);
        const fabric_schema_t *schema = NULL;
        fabric_error_t error = variants ? fill(reader, arena, &schema) : FABRIC_OK;
        if (error != FABRIC_OK) {
            return error;
        }
        const char *doc = row.has_doc ? keep(arena, read_name(reader)) : NULL;
        items[i] = (fabric_choice_t){row.number, name_kept, doc, schema};
        if (schema_choice(choices, row.number) || schema_choice_named(choices, items[i].name)) {
            return FABRIC_ERROR_MALFORMED_MESSAGE;
        }
        choices->count++;
    }
    *filled = choices;
    return FABRIC_OK;
}

static fabric_error_t fill_field(wire_reader_t *reader, arena_t *arena, fabric_field_t *field,
                                 size_t *size)
{
    fabric_error_t error = FABRIC_OK;
    field_row_t row = read_field(reader);
    read_element(reader, &row);
    *field = (fabric_field_t){.name = keep(arena, row.name),
                              .kind = row.kind,
                              .max = row.max,
                              .element = row.element,
                              .element_max = row.element_max,
                              .optional = row.optional};
    if (schema_has_schema(field)) {
        error = fill(reader, arena, &field->schema);
    } else if (schema_has_choices(field)) {
        error = fill_choices(reader, arena, row.kind == FABRIC_FIELD_UNION, &field->choices);
    } else {
        wire_get_nil(reader);
    }
    if (error != FABRIC_OK) {
        return error;
    }
    if (row.kind == FABRIC_FIELD_MAP && !schema_is_entry(field->schema)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    read_tail(reader, &row);
    field->json = keep_if_any(arena, row.json);
    field->doc = keep_if_any(arena, row.doc);
    field->fallback = row.fallback;
    if (row.fallback.given && row.kind == FABRIC_FIELD_STRING) {
        field->fallback.as.text = keep(arena, row.text);
    }
    if (row.fallback.given && !schema_default_fits(field)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    return lay_out(field, size) ? FABRIC_OK : FABRIC_ERROR_LIMIT_EXCEEDED;
}

/* Fills in a schema whose form `measure` has found to be good. */
static fabric_error_t fill(wire_reader_t *reader, arena_t *arena, const fabric_schema_t **filled)
{
    fabric_bytes_t name;
    fabric_schema_t *schema = arena->schemas++;
    schema->field_count = read_head(reader, &name);
    schema->name = keep(arena, name);
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
    /* Everything but the texts is aligned as pointers are. */
    size_t schemas_end = totals.schemas * sizeof(fabric_schema_t);
    size_t fields_end = schemas_end + totals.fields * sizeof(fabric_field_t);
    size_t enums_end = fields_end + totals.enums * sizeof(fabric_choices_t);
    size_t choices_end = enums_end + totals.choices * sizeof(fabric_choice_t);
    char *memory = memory_allocate_zeroed(1, choices_end + totals.text_bytes);
    arena_t arena = {(fabric_schema_t *)(void *)memory,
                     (fabric_field_t *)(void *)(memory + schemas_end),
                     (fabric_choices_t *)(void *)(memory + fields_end),
                     (fabric_choice_t *)(void *)(memory + enums_end), memory + choices_end};
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
