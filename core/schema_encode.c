/* Schemas, from structs to payloads: see <fabric/schema.h>. */
#include "core/schema.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/iso8601.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/schema_fault.h"
#include "core/schema_field.h"
#include "core/utf8.h"

/* The caller's buffer. Bytes that do not fit are left out and remembered, so that only the end has
 * to check. */
typedef struct output {
    uint8_t *next;
    uint8_t *end;
    bool full;
    fabric_schema_fault_t *fault;
} output_t;

static inline void append(output_t *out, const void *data, size_t size)
{
    if ((size_t)(out->end - out->next) < size) {
        out->full = true;
        return;
    }
    if (size > 0) {
        memcpy(out->next, data, size);
        out->next += size;
    }
}

/* msgpack-c's packing templates, instantiated on the caller's buffer: see msgpack/pack_template.h.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <msgpack/pack_define.h>
#include <msgpack/timestamp.h>
#define msgpack_pack_inline_func(name)        static inline void out_pack##name
#define msgpack_pack_inline_func_cint(name)   static inline void out_pack##name
#define msgpack_pack_inline_func_fixint(name) static inline void out_pack_fix##name
/* The template that packs a timestamp calls this one by its full name. */
#define msgpack_pack_ext                           out_pack_ext
#define msgpack_pack_user                          output_t *
#define msgpack_pack_append_buffer(user, buf, len) append((user), (buf), (len))
#include <msgpack/pack_template.h>
#undef msgpack_pack_ext
#pragma GCC diagnostic pop

static bool encode_struct(output_t *out, const fabric_schema_t *schema, const schema_path_t *path,
                          unsigned depth, const uint8_t *value);
__attribute__((always_inline)) static inline bool
encode_field(output_t *out, const fabric_field_t *field, const schema_path_t *outer, unsigned depth,
             const uint8_t *value);

__attribute__((cold)) static bool refuse(output_t *out, const schema_path_t *outer,
                                         const fabric_field_t *field, const char *found)
{
    schema_text_t expected;
    (void)schema_fault(out->fault, outer, field->name, "expected %s, found %s",
                       schema_expected(field, false, &expected), found);
    return false;
}

/* A member of type bool is read as a byte: a struct that was never initialised may hold any
 * value. */
static bool is_true(const uint8_t *member)
{
    return *member != 0;
}

/* Views are as long as they say. One that no payload can hold is left out, which makes the output
 * full. */
__attribute__((noinline)) static bool encode_view(output_t *out, const fabric_field_t *field,
                                                  const schema_path_t *outer, const uint8_t *member)
{
    fabric_bytes_t view;
    memcpy(&view, member, sizeof view);
    if (!view.data && view.size > 0) {
        return refuse(out, outer, field, "NULL");
    }
    if (view.size > LIMIT_PAYLOAD_BYTES_MAX) {
        out->full = true;
        return true;
    }
    if (field->kind == FABRIC_FIELD_BYTES) {
        out_pack_bin(out, view.size);
    } else if (utf8_is_text(view)) {
        out_pack_str(out, view.size);
    } else {
        return refuse(out, outer, field, "one that is not UTF-8");
    }
    append(out, view.data, view.size);
    return true;
}

__attribute__((always_inline)) static inline bool encode_string(output_t *out,
                                                                const fabric_field_t *field,
                                                                const schema_path_t *outer,
                                                                const uint8_t *member)
{
    if (schema_is_view(field)) {
        return encode_view(out, field, outer, member);
    }
    size_t size = strnlen((const char *)member, (size_t)field->max + 1);
    if (size > field->max) {
        return refuse(out, outer, field, "one that is not terminated");
    }
    if (!utf8_is_text(fabric_bytes(member, size))) {
        return refuse(out, outer, field, "one that is not UTF-8");
    }
    out_pack_str(out, size);
    append(out, member, size);
    return true;
}

__attribute__((always_inline)) static inline bool encode_bytes(output_t *out,
                                                               const fabric_field_t *field,
                                                               const schema_path_t *outer,
                                                               const uint8_t *member)
{
    if (schema_is_view(field)) {
        return encode_view(out, field, outer, member);
    }
    uint32_t size;
    memcpy(&size, member, sizeof size);
    if (size > field->max) {
        return refuse(out, outer, field, "a larger size");
    }
    out_pack_bin(out, size);
    append(out, member + sizeof size, size);
    return true;
}

/* The elements of a list that is a view, or that are no structs. */
__attribute__((noinline)) static bool encode_items(output_t *out, const fabric_field_t *field,
                                                   const schema_path_t *outer, unsigned depth,
                                                   uint32_t count, const uint8_t *value)
{
    fabric_field_t element = schema_element(field);
    size_t stride = field->element ? field->stride : field->schema->size;
    const uint8_t *items = value + field->offset;
    if (schema_is_view(field)) {
        memcpy(&items, value + field->offset, sizeof items);
        if (!items && count > 0) {
            return refuse(out, outer, field, "NULL");
        }
    }
    out_pack_array(out, count);
    schema_path_t list = {outer, field->name, 0};
    for (uint32_t i = 0; i < count && !out->full; i++) {
        schema_path_t path = {&list, NULL, i};
        const uint8_t *item = items + i * stride;
        if (field->element ? !encode_field(out, &element, &path, depth, item)
                           : !encode_struct(out, field->schema, &path, depth + 2, item)) {
            return false;
        }
    }
    return true;
}

__attribute__((always_inline)) static inline bool encode_list(output_t *out,
                                                              const fabric_field_t *field,
                                                              const schema_path_t *outer,
                                                              unsigned depth, const uint8_t *value)
{
    uint32_t count;
    memcpy(&count, value + field->count_offset, sizeof count);
    if (count > field->max) {
        return refuse(out, outer, field, "a larger count");
    }
    if (field->element || schema_is_view(field)) {
        return encode_items(out, field, outer, depth, count, value);
    }
    out_pack_array(out, count);
    schema_path_t list = {outer, field->name, 0};
    for (uint32_t i = 0; i < count; i++) {
        schema_path_t path = {&list, NULL, i};
        if (!encode_struct(out, field->schema, &path, depth + 2,
                           value + field->offset + i * field->schema->size)) {
            return false;
        }
    }
    return true;
}

/* ---- maps and unions ---- */

typedef struct entry {
    fabric_bytes_t key;
    const uint8_t *value; /* the struct of both */
} entry_t;

/* A key that is not terminated is as long as it may be; encoding it tells. */
static entry_t entry_at(const fabric_field_t *field, const uint8_t *entries, uint32_t index)
{
    const fabric_field_t *key = &field->schema->fields[0];
    entry_t entry = {{NULL, 0}, entries + index * field->schema->size};
    const uint8_t *member = entry.value + key->offset;
    if (schema_is_view(key)) {
        memcpy(&entry.key, member, sizeof entry.key);
        entry.key.size = entry.key.data ? entry.key.size : 0;
    } else {
        entry.key = fabric_bytes(member, strnlen((const char *)member, key->max));
    }
    return entry;
}

static int compare_entries(const void *a, const void *b)
{
    return schema_compare_keys(((const entry_t *)a)->key, ((const entry_t *)b)->key);
}

static bool encode_entry(output_t *out, const fabric_field_t *field, const schema_path_t *map,
                         unsigned depth, const entry_t *entry)
{
    schema_key_t text;
    fabric_field_t value_field = field->schema->fields[1];
    if (!encode_field(out, &field->schema->fields[0], map, depth, entry->value)) {
        return false;
    }
    value_field.name = schema_key_text(entry->key, &text);
    return encode_field(out, &value_field, map, depth + 1, entry->value);
}

/* The entries in the order of their keys. NULL: they are in that order already. */
static entry_t *sort_entries(const fabric_field_t *field, const uint8_t *entries, uint32_t count)
{
    bool sorted = true;
    for (uint32_t i = 1; i < count && sorted; i++) {
        entry_t before = entry_at(field, entries, i - 1);
        entry_t entry = entry_at(field, entries, i);
        sorted = compare_entries(&before, &entry) < 0;
    }
    if (sorted) {
        return NULL;
    }
    entry_t *made = memory_allocate(count * sizeof *made);
    for (uint32_t i = 0; i < count; i++) {
        made[i] = entry_at(field, entries, i);
    }
    qsort(made, count, sizeof *made, compare_entries);
    return made;
}

static bool encode_entries(output_t *out, const fabric_field_t *field, const schema_path_t *map,
                           unsigned depth, uint32_t count, const uint8_t *entries)
{
    entry_t *sorted = sort_entries(field, entries, count);
    bool good = true;
    for (uint32_t i = 0; i < count && good && !out->full; i++) {
        entry_t entry = sorted ? sorted[i] : entry_at(field, entries, i);
        if (sorted && i > 0 && compare_entries(&sorted[i - 1], &entry) == 0) {
            schema_key_t text;
            (void)schema_fault(out->fault, map, NULL, "expected each key once, found \"%s\" twice",
                               schema_key_text(entry.key, &text));
            good = false;
        } else {
            good = encode_entry(out, field, map, depth, &entry);
        }
    }
    free(sorted);
    return good;
}

__attribute__((noinline)) static bool encode_map(output_t *out, const fabric_field_t *field,
                                                 const schema_path_t *outer, unsigned depth,
                                                 const uint8_t *value)
{
    uint32_t count;
    schema_path_t map = {outer, field->name, 0};
    const uint8_t *entries = value + field->offset;
    memcpy(&count, value + field->count_offset, sizeof count);
    if (count > field->max) {
        return refuse(out, outer, field, "a larger count");
    }
    if (schema_is_view(field)) {
        memcpy(&entries, value + field->offset, sizeof entries);
    }
    if (!entries && count > 0) {
        return refuse(out, outer, field, "NULL");
    }
    if (depth >= LIMIT_DEPTH_MAX) {
        (void)schema_fault(out->fault, &map, NULL, "expected at most %d levels of nesting",
                           LIMIT_DEPTH_MAX);
        return false;
    }
    if (count > LIMIT_PAYLOAD_BYTES_MAX) { /* of entries of two bytes or more */
        out->full = true;
        return true;
    }
    out_pack_map(out, count);
    return encode_entries(out, field, &map, depth, count, entries);
}

__attribute__((noinline)) static bool encode_union(output_t *out, const fabric_field_t *field,
                                                   const schema_path_t *outer, unsigned depth,
                                                   const uint8_t *value)
{
    int32_t number;
    memcpy(&number, value + field->count_offset, sizeof number);
    const fabric_choice_t *variant = schema_choice(field->choices, number);
    if (!variant) {
        char found[32];
        (void)snprintf(found, sizeof found, "the number %" PRId32, number);
        return refuse(out, outer, field, found);
    }
    schema_path_t tag = {outer, field->name, 0};
    schema_path_t path = {&tag, variant->name, 0};
    out_pack_array(out, 2);
    out_pack_int32(out, number);
    return encode_struct(out, variant->schema, &path, depth + 2, value + field->offset);
}

__attribute__((always_inline)) static inline void
encode_integer(output_t *out, fabric_field_kind_t kind, const uint8_t *member)
{
    if (kind == FABRIC_FIELD_I64) {
        int64_t number;
        memcpy(&number, member, sizeof number);
        out_pack_int64(out, number);
    } else if (kind == FABRIC_FIELD_U64) {
        uint64_t number;
        memcpy(&number, member, sizeof number);
        out_pack_uint64(out, number);
    } else if (kind == FABRIC_FIELD_I32) {
        int32_t number;
        memcpy(&number, member, sizeof number);
        out_pack_int32(out, number);
    } else {
        uint32_t number;
        memcpy(&number, member, sizeof number);
        out_pack_uint32(out, number);
    }
}

/* An enum with any other number would be refused by whoever reads it. */
static bool encode_enum(output_t *out, const fabric_field_t *field, const schema_path_t *outer,
                        const uint8_t *member)
{
    int32_t number;
    char found[32];
    memcpy(&number, member, sizeof number);
    if (!schema_choice(field->choices, number)) {
        (void)snprintf(found, sizeof found, "the number %" PRId32, number);
        return refuse(out, outer, field, found);
    }
    out_pack_int32(out, number);
    return true;
}

static bool encode_timestamp(output_t *out, const fabric_field_t *field, const schema_path_t *outer,
                             const uint8_t *member)
{
    int64_t unix_ms;
    char found[48];
    memcpy(&unix_ms, member, sizeof unix_ms);
    if (unix_ms < ISO8601_MS_MIN || unix_ms > ISO8601_MS_MAX) {
        (void)snprintf(found, sizeof found, "the number %" PRId64, unix_ms);
        return refuse(out, outer, field, found);
    }
    out_pack_int64(out, unix_ms);
    return true;
}

__attribute__((always_inline)) static inline bool encode_field(output_t *out,
                                                               const fabric_field_t *field,
                                                               const schema_path_t *outer,
                                                               unsigned depth, const uint8_t *value)
{
    const uint8_t *member = value + field->offset;
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        if (is_true(member)) {
            out_pack_true(out);
        } else {
            out_pack_false(out);
        }
        return true;
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_I64:
    case FABRIC_FIELD_U32:
    case FABRIC_FIELD_U64:
        encode_integer(out, field->kind, member);
        return true;
    case FABRIC_FIELD_F64: {
        double number;
        memcpy(&number, member, sizeof number);
        if (!isfinite(number)) {
            return refuse(out, outer, field, "one that is not finite");
        }
        out_pack_double(out, number);
        return true;
    }
    case FABRIC_FIELD_STRING:
        return encode_string(out, field, outer, member);
    case FABRIC_FIELD_BYTES:
        return encode_bytes(out, field, outer, member);
    case FABRIC_FIELD_STRUCT: {
        schema_path_t path = {outer, field->name, 0};
        return encode_struct(out, field->schema, &path, depth + 1, member);
    }
    case FABRIC_FIELD_LIST:
        return encode_list(out, field, outer, depth, value);
    case FABRIC_FIELD_MAP:
        return encode_map(out, field, outer, depth, value);
    case FABRIC_FIELD_UNION:
        return encode_union(out, field, outer, depth, value);
    case FABRIC_FIELD_ENUM:
        return encode_enum(out, field, outer, member);
    case FABRIC_FIELD_TIMESTAMP:
        return encode_timestamp(out, field, outer, member);
    }
    return refuse(out, outer, field, "a kind that does not exist");
}

static bool is_absent(const fabric_field_t *field, const uint8_t *value)
{
    return field->optional && !is_true(value + field->present_offset);
}

static bool can_leave_out(const fabric_field_t *field, const uint8_t *value)
{
    return field->fallback.given ? schema_default_is(field, value) : is_absent(field, value);
}

/* Absent fields and defaults at the end are left out, so that a peer that does not know them yet
 * can read the payload. */
static bool encode_struct(output_t *out, const fabric_schema_t *schema, const schema_path_t *path,
                          unsigned depth, const uint8_t *value)
{
    if (depth > LIMIT_DEPTH_MAX) {
        (void)schema_fault(out->fault, path, NULL, "expected at most %d levels of nesting",
                           LIMIT_DEPTH_MAX);
        return false;
    }
    size_t count = schema->field_count;
    while (count > 0 && can_leave_out(&schema->fields[count - 1], value)) {
        count--;
    }
    out_pack_array(out, count);
    for (size_t i = 0; i < count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        if (is_absent(field, value)) {
            out_pack_nil(out);
        } else if (!encode_field(out, field, path, depth, value)) {
            return false;
        }
    }
    return true;
}

fabric_error_t fabric_schema_encode(const fabric_schema_t *schema, const void *value,
                                    uint8_t *payload, size_t capacity, fabric_schema_fault_t *fault,
                                    size_t *size)
{
    assert(schema && (value || schema->field_count == 0) && (payload || capacity == 0));
    uint8_t nothing[1];
    uint8_t *start = payload ? payload : nothing;
    output_t out = {start, start + capacity, false, fault};
    schema_path_t path = {NULL, schema->name, 0};
    if (!encode_struct(&out, schema, &path, 1, value)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (out.full) {
        (void)schema_fault(fault, &path, NULL, "expected at most %zu bytes, found more", capacity);
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    *size = (size_t)(out.next - start);
    return FABRIC_OK;
}
