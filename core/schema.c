/* Schemas, from payloads to structs: decoding and checking. See <fabric/schema.h>. */
#include "core/schema.h"

#include <assert.h>

#include "core/iso8601.h"
#include "core/limits.h"
#include "core/schema_fault.h"
#include "core/schema_field.h"
#include "core/utf8.h"

const fabric_schema_t fabric_schema_empty = {"Empty", 0, NULL, 0};

/* The state of a walk through a payload. */
typedef struct decoder {
    wire_reader_t reader;
    fabric_schema_fault_t *fault;
    uint8_t *memory;   /* for the elements of lists that are views */
    size_t capacity;   /* of the memory */
    size_t used;       /* of the memory; where nothing is decoded: what would be used */
    bool lacks_memory; /* why decoding has ended */
    bool strict;       /* whether fields that are not known are refused, and not left out */
} decoder_t;

__attribute__((always_inline)) static inline bool decode_field(decoder_t *decoder,
                                                               const fabric_field_t *field,
                                                               const schema_path_t *outer,
                                                               unsigned depth, uint8_t *value);

static bool decode_struct(decoder_t *decoder, const fabric_schema_t *schema,
                          const schema_path_t *path, unsigned depth, uint8_t *value);

/* Reports that `field` does not take the bytes at `at`. */
__attribute__((cold)) static bool refuse(decoder_t *decoder, const schema_path_t *outer,
                                         const fabric_field_t *field, const uint8_t *at)
{
    if (decoder->fault) {
        wire_reader_t rest = {.next = at, .end = decoder->reader.end};
        schema_text_t expected;
        schema_text_t found;
        bool text = field->kind == FABRIC_FIELD_STRING;
        (void)schema_expected(field, false, &expected);
        (void)schema_found(rest, &found);
        /* The fault says that there is a string in a number's place, not what is in the string. */
        (void)schema_fault(decoder->fault, outer, field->name, "expected %s, found %s",
                           expected.text,
                           wire_peek(&rest) == WIRE_STR && !text ? "a string" : found.text);
    }
    return false;
}

__attribute__((always_inline)) static inline bool
decode_string(decoder_t *decoder, const fabric_field_t *field, uint8_t *member)
{
    fabric_bytes_t text = wire_get_str(&decoder->reader);
    if (decoder->reader.failed || text.size > field->max || !utf8_is_text(text)) {
        return false;
    }
    if (member && schema_is_view(field)) {
        memcpy(member, &text, sizeof text);
    } else if (member) { /* the struct was zeroed, so a terminator follows */
        memcpy(member, text.data, text.size);
    }
    return true;
}

__attribute__((always_inline)) static inline bool
decode_bytes(decoder_t *decoder, const fabric_field_t *field, uint8_t *member)
{
    fabric_bytes_t bytes = wire_get_bin(&decoder->reader);
    if (decoder->reader.failed || bytes.size > field->max) {
        return false;
    }
    if (member && schema_is_view(field)) {
        memcpy(member, &bytes, sizeof bytes);
    } else if (member) {
        uint32_t size = (uint32_t)bytes.size;
        memcpy(member, &size, sizeof size);
        memcpy(member + sizeof size, bytes.data, bytes.size);
    }
    return true;
}

static bool decode_enum(decoder_t *decoder, const fabric_field_t *field, uint8_t *member)
{
    int64_t number = wire_get_int(&decoder->reader);
    if (decoder->reader.failed || !schema_choice(field->choices, number)) {
        return false;
    }
    if (member) {
        int32_t choice = (int32_t)number;
        memcpy(member, &choice, sizeof choice);
    }
    return true;
}

static bool decode_timestamp(decoder_t *decoder, uint8_t *member)
{
    int64_t unix_ms = wire_get_int(&decoder->reader);
    if (decoder->reader.failed || unix_ms < ISO8601_MS_MIN || unix_ms > ISO8601_MS_MAX) {
        return false;
    }
    if (member) {
        memcpy(member, &unix_ms, sizeof unix_ms);
    }
    return true;
}

/* Takes zeroed memory for the elements of a list that is a view. `*items` stays NULL where nothing
 * is decoded. */
static bool take_memory(decoder_t *decoder, const fabric_field_t *field, const schema_path_t *outer,
                        uint64_t size, uint8_t *value, uint8_t **items)
{
    enum { ALIGNMENT = 16 };
    static uint8_t nothing[1]; /* of structs without a member */
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > LIMIT_ELEMENTS_BYTES_MAX - decoder->used) {
        (void)schema_fault(decoder->fault, outer, field->name,
                           "expected elements of at most %d bytes once decoded, found more",
                           LIMIT_ELEMENTS_BYTES_MAX);
        return false;
    }
    size_t start = decoder->used;
    decoder->used += (size_t)size;
    if (!value) {
        return true;
    }
    if (decoder->used > decoder->capacity) {
        decoder->lacks_memory = true;
        (void)schema_fault(decoder->fault, outer, field->name,
                           "expected memory for %zu bytes of elements, found %zu", decoder->used,
                           decoder->capacity);
        return false;
    }
    *items = nothing;
    if (size > 0) {
        *items = decoder->memory + start;
        memset(*items, 0, (size_t)size);
    }
    memcpy(value + field->offset, items, sizeof *items);
    return true;
}

/* The elements of a list that is a view, or that are no structs. */
__attribute__((noinline)) static bool decode_items(decoder_t *decoder, const fabric_field_t *field,
                                                   const schema_path_t *outer, unsigned depth,
                                                   uint32_t count, uint8_t *value)
{
    fabric_field_t element = schema_element(field);
    size_t stride = field->element ? field->stride : field->schema->size;
    uint8_t *items = value ? value + field->offset : NULL;
    if (schema_is_view(field)) {
        items = NULL;
        if (!take_memory(decoder, field, outer, count * (uint64_t)stride, value, &items)) {
            return false;
        }
    }
    schema_path_t list = {outer, field->name, 0};
    for (uint32_t i = 0; i < count; i++) {
        schema_path_t path = {&list, NULL, i};
        uint8_t *item = items ? items + i * stride : NULL;
        if (field->element ? !decode_field(decoder, &element, &path, depth, item)
                           : !decode_struct(decoder, field->schema, &path, depth + 2, item)) {
            return false;
        }
    }
    return true;
}

__attribute__((always_inline)) static inline bool decode_list(decoder_t *decoder,
                                                              const fabric_field_t *field,
                                                              const schema_path_t *outer,
                                                              unsigned depth, uint8_t *value)
{
    const uint8_t *at = decoder->reader.next;
    uint32_t count = wire_get_array(&decoder->reader);
    if (decoder->reader.failed || count > field->max) {
        return refuse(decoder, outer, field, at);
    }
    if (value) {
        memcpy(value + field->count_offset, &count, sizeof count);
    }
    if (field->element || schema_is_view(field)) {
        return decode_items(decoder, field, outer, depth, count, value);
    }
    schema_path_t list = {outer, field->name, 0};
    for (uint32_t i = 0; i < count; i++) {
        schema_path_t path = {&list, NULL, i};
        uint8_t *element = value ? value + field->offset + i * field->schema->size : NULL;
        if (!decode_struct(decoder, field->schema, &path, depth + 2, element)) {
            return false;
        }
    }
    return true;
}

/* Keys ascend, so that a key that stands twice is found without memory. */
static bool check_key(decoder_t *decoder, const schema_path_t *map, fabric_bytes_t before,
                      fabric_bytes_t key)
{
    schema_key_t texts[2];
    int order = schema_compare_keys(before, key);
    if (order == 0) {
        (void)schema_fault(decoder->fault, map, NULL, "expected each key once, found \"%s\" twice",
                           schema_key_text(key, &texts[0]));
    } else if (order > 0) {
        (void)schema_fault(decoder->fault, map, NULL,
                           "expected keys in ascending order, found \"%s\" behind \"%s\"",
                           schema_key_text(key, &texts[0]), schema_key_text(before, &texts[1]));
    }
    return order < 0;
}

static bool decode_entries(decoder_t *decoder, const fabric_field_t *field,
                           const schema_path_t *map, unsigned depth, uint32_t count,
                           uint8_t *entries)
{
    const fabric_field_t *key_field = &field->schema->fields[0];
    fabric_field_t value_field = field->schema->fields[1];
    fabric_bytes_t before = {NULL, 0};
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *entry = entries ? entries + i * field->schema->size : NULL;
        wire_reader_t at = decoder->reader;
        if (!decode_field(decoder, key_field, map, depth, entry)) {
            return false;
        }
        schema_key_t text;
        fabric_bytes_t key = wire_get_str(&at);
        if (i > 0 && !check_key(decoder, map, before, key)) {
            return false;
        }
        before = key;
        value_field.name = schema_key_text(key, &text);
        if (!decode_field(decoder, &value_field, map, depth + 1, entry)) {
            return false;
        }
    }
    return true;
}

__attribute__((noinline)) static bool decode_map(decoder_t *decoder, const fabric_field_t *field,
                                                 const schema_path_t *outer, unsigned depth,
                                                 uint8_t *value)
{
    const uint8_t *at = decoder->reader.next;
    uint32_t count = wire_get_map(&decoder->reader);
    schema_path_t map = {outer, field->name, 0};
    if (decoder->reader.failed || count > field->max) {
        return refuse(decoder, outer, field, at);
    }
    if (depth >= LIMIT_DEPTH_MAX) {
        (void)schema_fault(decoder->fault, &map, NULL, "expected at most %d levels of nesting",
                           LIMIT_DEPTH_MAX);
        return false;
    }
    uint8_t *entries = value ? value + field->offset : NULL;
    if (schema_is_view(field)) {
        entries = NULL;
        if (!take_memory(decoder, field, outer, count * (uint64_t)field->schema->size, value,
                         &entries)) {
            return false;
        }
    }
    if (value) {
        memcpy(value + field->count_offset, &count, sizeof count);
    }
    return decode_entries(decoder, field, &map, depth, count, entries);
}

__attribute__((noinline)) static bool decode_union(decoder_t *decoder, const fabric_field_t *field,
                                                   const schema_path_t *outer, unsigned depth,
                                                   uint8_t *value)
{
    const uint8_t *at = decoder->reader.next;
    if (wire_get_array(&decoder->reader) != 2) {
        return refuse(decoder, outer, field, at);
    }
    at = decoder->reader.next;
    int64_t number = wire_get_int(&decoder->reader);
    const fabric_choice_t *variant =
        decoder->reader.failed ? NULL : schema_choice(field->choices, number);
    if (!variant) {
        return refuse(decoder, outer, field, at);
    }
    if (value) {
        memcpy(value + field->count_offset, &variant->number, sizeof variant->number);
    }
    schema_path_t tag = {outer, field->name, 0};
    schema_path_t path = {&tag, variant->name, 0};
    return decode_struct(decoder, variant->schema, &path, depth + 2,
                         value ? value + field->offset : NULL);
}

__attribute__((always_inline)) static inline bool
decode_number(wire_reader_t *reader, fabric_field_kind_t kind, uint8_t *member)
{
    union {
        int32_t i32;
        int64_t i64;
        uint32_t u32;
        uint64_t u64;
        double f64;
    } number;
    size_t size = 8;
    bool fits = true;
    if (kind == FABRIC_FIELD_I64) {
        number.i64 = wire_get_int(reader);
    } else if (kind == FABRIC_FIELD_U64) {
        number.u64 = wire_get_uint(reader);
    } else if (kind == FABRIC_FIELD_F64) {
        number.f64 = wire_get_double(reader);
    } else if (kind == FABRIC_FIELD_I32) {
        int64_t wide = wire_get_int(reader);
        fits = wide >= INT32_MIN && wide <= INT32_MAX;
        number.i32 = (int32_t)wide;
        size = 4;
    } else {
        uint64_t wide = wire_get_uint(reader);
        fits = wide <= UINT32_MAX;
        number.u32 = (uint32_t)wide;
        size = 4;
    }
    if (reader->failed || !fits) {
        return false;
    }
    if (member) {
        memcpy(member, &number, size);
    }
    return true;
}

/* Decodes one field that is there into `value`, the struct that has it, or only checks it where
 * `value` is NULL. */
__attribute__((always_inline)) static inline bool decode_field(decoder_t *decoder,
                                                               const fabric_field_t *field,
                                                               const schema_path_t *outer,
                                                               unsigned depth, uint8_t *value)
{
    const uint8_t *at = decoder->reader.next;
    uint8_t *member = value ? value + field->offset : NULL;
    bool good = false;
    switch (field->kind) {
    case FABRIC_FIELD_BOOL: {
        bool truth = wire_get_bool(&decoder->reader);
        good = !decoder->reader.failed;
        if (member) {
            memcpy(member, &truth, sizeof truth);
        }
        break;
    }
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_I64:
    case FABRIC_FIELD_U32:
    case FABRIC_FIELD_U64:
    case FABRIC_FIELD_F64:
        good = decode_number(&decoder->reader, field->kind, member);
        break;
    case FABRIC_FIELD_STRING:
        good = decode_string(decoder, field, member);
        break;
    case FABRIC_FIELD_BYTES:
        good = decode_bytes(decoder, field, member);
        break;
    case FABRIC_FIELD_STRUCT: {
        if (wire_peek(&decoder->reader) != WIRE_ARRAY) {
            break;
        }
        schema_path_t path = {outer, field->name, 0};
        return decode_struct(decoder, field->schema, &path, depth + 1, member);
    }
    case FABRIC_FIELD_LIST:
        return decode_list(decoder, field, outer, depth, value);
    case FABRIC_FIELD_MAP:
        return decode_map(decoder, field, outer, depth, value);
    case FABRIC_FIELD_UNION:
        return decode_union(decoder, field, outer, depth, value);
    case FABRIC_FIELD_ENUM:
        good = decode_enum(decoder, field, member);
        break;
    case FABRIC_FIELD_TIMESTAMP:
        good = decode_timestamp(decoder, member);
        break;
    }
    return good || refuse(decoder, outer, field, at);
}

/* Opens a struct's array. false: it is no array, too deep or too long. */
static bool open_struct(decoder_t *decoder, const fabric_schema_t *schema,
                        const schema_path_t *path, unsigned depth, uint32_t *count)
{
    const uint8_t *start = decoder->reader.next;
    *count = wire_get_array(&decoder->reader);
    if (decoder->reader.failed) {
        wire_reader_t rest = {.next = start, .end = decoder->reader.end};
        schema_text_t found;
        (void)schema_fault(decoder->fault, path, NULL, "expected an array (%.40s), found %s",
                           schema->name, schema_found(rest, &found));
        return false;
    }
    if (depth > LIMIT_DEPTH_MAX) {
        (void)schema_fault(decoder->fault, path, NULL, "expected at most %d levels of nesting",
                           LIMIT_DEPTH_MAX);
        return false;
    }
    if (*count > schema->field_count && decoder->strict) {
        (void)schema_fault(decoder->fault, path, NULL, "expected at most %zu fields, found %u",
                           schema->field_count, *count);
        return false;
    }
    return true;
}

/* Steps over what a newer schema has behind the known fields. */
__attribute__((noinline)) static bool skip_fields(decoder_t *decoder, const fabric_schema_t *schema,
                                                  const schema_path_t *path, uint32_t count)
{
    for (size_t i = schema->field_count; i < count; i++) {
        wire_reader_t rest = decoder->reader;
        wire_skip(&decoder->reader);
        if (decoder->reader.failed) {
            schema_text_t found;
            (void)schema_fault(decoder->fault, path, NULL,
                               "expected a value behind the %zu known fields, found %s",
                               schema->field_count, schema_found(rest, &found));
            return false;
        }
    }
    return true;
}

static void set_default(const fabric_field_t *field, uint8_t *value)
{
    if (value && field->fallback.given) {
        schema_default_set(field, value);
    }
}

static bool decode_struct(decoder_t *decoder, const fabric_schema_t *schema,
                          const schema_path_t *path, unsigned depth, uint8_t *value)
{
    uint32_t count = 0;
    if (!open_struct(decoder, schema, path, depth, &count)) {
        return false;
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        bool may_lack = schema_may_lack(field);
        if (i >= count) {
            if (may_lack) {
                set_default(field, value);
                continue;
            }
            /* At the end of the array: a missing field is told apart from one that is nil. */
            return refuse(decoder, path, field, decoder->reader.end);
        }
        if (may_lack) {
            if (wire_peek(&decoder->reader) == WIRE_NIL) {
                wire_get_nil(&decoder->reader);
                set_default(field, value);
                continue;
            }
            if (value && field->optional) {
                value[field->present_offset] = true;
            }
        }
        if (!decode_field(decoder, field, path, depth, value)) {
            return false;
        }
    }
    return count <= schema->field_count || skip_fields(decoder, schema, path, count);
}

static fabric_error_t decode(const fabric_schema_t *schema, fabric_bytes_t payload,
                             decoder_t *decoder, uint8_t *value)
{
    schema_path_t path = {NULL, schema->name, 0};
    decoder->reader = wire_reader(payload);
    if (!decode_struct(decoder, schema, &path, 1, value)) {
        return decoder->lacks_memory ? FABRIC_ERROR_LIMIT_EXCEEDED : FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (wire_left(&decoder->reader) > 0) {
        return schema_fault(decoder->fault, &path, NULL, "expected the end, found %zu more bytes",
                            wire_left(&decoder->reader));
    }
    return FABRIC_OK;
}

fabric_error_t fabric_schema_decode_in(const fabric_schema_t *schema, fabric_bytes_t payload,
                                       void *memory, size_t capacity, fabric_schema_fault_t *fault,
                                       void *value)
{
    assert(schema && (value || schema->size == 0) && (memory || capacity == 0));
    if (schema->size > 0) {
        memset(value, 0, schema->size);
    }
    decoder_t decoder = {.fault = fault, .memory = memory, .capacity = capacity};
    return decode(schema, payload, &decoder, value);
}

fabric_error_t fabric_schema_decode(const fabric_schema_t *schema, fabric_bytes_t payload,
                                    fabric_schema_fault_t *fault, void *value)
{
    return fabric_schema_decode_in(schema, payload, NULL, 0, fault, value);
}

fabric_error_t fabric_schema_measure(const fabric_schema_t *schema, fabric_bytes_t payload,
                                     fabric_schema_fault_t *fault, size_t *capacity)
{
    assert(schema);
    decoder_t decoder = {.fault = fault};
    fabric_error_t error = decode(schema, payload, &decoder, NULL);
    if (error == FABRIC_OK) {
        *capacity = decoder.used;
    }
    return error;
}

fabric_error_t fabric_schema_check(const fabric_schema_t *schema, fabric_bytes_t payload,
                                   fabric_schema_fault_t *fault)
{
    assert(schema);
    decoder_t decoder = {.fault = fault, .strict = true};
    return decode(schema, payload, &decoder, NULL);
}
