/* Schemas, from JSON to payloads: see <fabric/schema.h>. */
#include "core/schema.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base64.h"
#include "core/iso8601.h"
#include "core/json_load.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/schema_fault.h"
#include "core/schema_field.h"

typedef struct target {
    wire_writer_t payload;
    fabric_schema_fault_t *fault;
} target_t;

static bool put_object(target_t *target, const fabric_schema_t *schema, const schema_path_t *path,
                       unsigned depth, const json_t *object);
static bool put_field(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                      unsigned depth, const json_t *value);

static bool refuse(target_t *target, const schema_path_t *outer, const fabric_field_t *field,
                   const char *found)
{
    schema_text_t expected;
    (void)schema_fault(target->fault, outer, schema_json_name(field), "expected %s, found %s",
                       schema_expected(field, true, &expected), found);
    return false;
}

static const char *json_found(const json_t *value)
{
    if (json_large_integer(value)) {
        return "a number";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a number";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    }
    return "?";
}

/* Reads a string that consists of decimal digits, with a sign before them if `negative` is not
 * NULL. */
static bool parse_digits(const char *text, bool *negative, uint64_t *value)
{
    bool minus = negative && *text == '-';
    text += minus ? 1 : 0;
    if (*text == '\0' || strspn(text, "0123456789") != strlen(text)) {
        return false;
    }
    errno = 0;
    unsigned long long parsed = strtoull(text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    if (negative) {
        *negative = minus;
    }
    *value = parsed;
    return true;
}

/* 64-bit kinds may also be strings of digits: many JSON programs keep only 53 bits of a number. */
static bool put_unsigned(target_t *target, const fabric_field_t *field, const json_t *value)
{
    uint64_t number = 0;
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        number = (uint64_t)json_integer_value(value);
    } else if (!json_is_string(value) || field->kind != FABRIC_FIELD_U64 ||
               !parse_digits(json_string_value(value), NULL, &number)) {
        return false;
    }
    if (field->kind == FABRIC_FIELD_U32 && number > UINT32_MAX) {
        return false;
    }
    wire_put_uint(&target->payload, number);
    return true;
}

static bool put_signed(target_t *target, const fabric_field_t *field, const json_t *value)
{
    int64_t number = 0;
    bool negative = false;
    uint64_t digits = 0;
    if (json_is_integer(value)) {
        number = json_integer_value(value);
    } else if (json_is_string(value) && field->kind == FABRIC_FIELD_I64 &&
               parse_digits(json_string_value(value), &negative, &digits) &&
               digits <= (uint64_t)INT64_MAX + negative) {
        number = (int64_t)(negative ? 0 - digits : digits);
    } else {
        return false;
    }
    if (field->kind == FABRIC_FIELD_I32 && (number < INT32_MIN || number > INT32_MAX)) {
        return false;
    }
    wire_put_int(&target->payload, number);
    return true;
}

/* A whole number beyond json_int_t, which fits into some kinds. */
static bool put_large(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                      const char *digits)
{
    char found[48];
    uint64_t number = 0;
    double real = strtod(digits, NULL);
    if (field->kind == FABRIC_FIELD_U64 && parse_digits(digits, NULL, &number)) {
        wire_put_uint(&target->payload, number);
        return true;
    }
    if (field->kind == FABRIC_FIELD_F64 && isfinite(real)) {
        wire_put_double(&target->payload, real);
        return true;
    }
    (void)snprintf(found, sizeof found, "%.40s%s", digits, strlen(digits) > 40 ? "..." : "");
    return refuse(target, outer, field, found);
}

static bool put_base64(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                       const json_t *value)
{
    fabric_bytes_t text = fabric_bytes(json_string_value(value), json_string_length(value));
    uint8_t *bytes = memory_allocate(text.size / 4 * 3 + 1);
    size_t size = 0;
    bool good = true;
    if (!base64_decode(text, bytes, &size)) {
        good = refuse(target, outer, field, "a string that is not base64");
    } else if (size > field->max) {
        good = refuse(target, outer, field, "more");
    } else {
        wire_put_bin(&target->payload, fabric_bytes(bytes, size));
    }
    free(bytes);
    return good;
}

static bool put_list(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                     unsigned depth, const json_t *value)
{
    size_t count = json_array_size(value);
    if (count > field->max) {
        return refuse(target, outer, field, "more");
    }
    wire_put_array(&target->payload, (uint32_t)count);
    schema_path_t list = {outer, schema_json_name(field), 0};
    fabric_field_t element = schema_element(field);
    for (uint32_t i = 0; i < count; i++) {
        schema_path_t path = {&list, NULL, i};
        const json_t *item = json_array_get(value, i);
        if (field->element ? !put_field(target, &element, &path, depth, item)
                           : !put_object(target, field->schema, &path, depth + 2, item)) {
            return false;
        }
    }
    return true;
}

static bool put_string(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                       const json_t *value)
{
    size_t size = json_string_length(value);
    if (size > field->max) {
        char found[48];
        (void)snprintf(found, sizeof found, "a string of %zu bytes", size);
        return refuse(target, outer, field, found);
    }
    wire_put_str(&target->payload, fabric_bytes(json_string_value(value), size));
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of an object's members in the order of a payload, for the caller to free(). */
static const char **sorted_names(json_t *object)
{
    const char **names = memory_allocate((json_object_size(object) + 1) * sizeof *names);
    size_t count = 0;
    for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter)) {
        names[count++] = json_object_iter_key(iter);
    }
    qsort(names, count, sizeof *names, compare_names);
    return names;
}

static bool put_entry(target_t *target, const fabric_field_t *field, const schema_path_t *map,
                      unsigned depth, const char *name, const json_t *value)
{
    schema_key_t text;
    const fabric_field_t *key = &field->schema->fields[0];
    fabric_field_t value_field = field->schema->fields[1];
    fabric_bytes_t bytes = fabric_bytes_of(name);
    value_field.json = schema_key_text(bytes, &text);
    if (bytes.size > key->max) {
        (void)schema_fault(target->fault, map, value_field.json,
                           "expected a key of at most %" PRIu32 " bytes, found one of %zu",
                           key->max, bytes.size);
        return false;
    }
    wire_put_str(&target->payload, bytes);
    return put_field(target, &value_field, map, depth + 1, value);
}

static bool put_map(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                    unsigned depth, const json_t *value)
{
    size_t count = json_object_size(value);
    schema_path_t map = {outer, schema_json_name(field), 0};
    if (count > field->max) {
        return refuse(target, outer, field, "more");
    }
    if (depth >= LIMIT_DEPTH_MAX) {
        (void)schema_fault(target->fault, &map, NULL, "expected at most %d levels of nesting",
                           LIMIT_DEPTH_MAX);
        return false;
    }
    wire_put_map(&target->payload, (uint32_t)count);
    const char **names = sorted_names((json_t *)(uintptr_t)value);
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        good = put_entry(target, field, &map, depth, names[i], json_object_get(value, names[i]));
    }
    free(names);
    return good;
}

/* An object with one member, the variant's name. */
static bool put_union(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                      unsigned depth, const json_t *value)
{
    json_t *object = (json_t *)(uintptr_t)value;
    void *iter = json_object_iter(object);
    char found[64];
    if (json_object_size(object) != 1) {
        (void)snprintf(found, sizeof found, "an object of %zu members", json_object_size(object));
        return refuse(target, outer, field, found);
    }
    const char *name = json_object_iter_key(iter);
    const fabric_choice_t *variant = schema_choice_named(field->choices, name);
    if (!variant) {
        (void)snprintf(found, sizeof found, strlen(name) < 40 ? "\"%s\"" : "another name", name);
        return refuse(target, outer, field, found);
    }
    schema_path_t tag = {outer, schema_json_name(field), 0};
    schema_path_t path = {&tag, name, 0};
    wire_put_array(&target->payload, 2);
    wire_put_int(&target->payload, variant->number);
    return put_object(target, variant->schema, &path, depth + 2, json_object_iter_value(iter));
}

/* Short names are shown. */
static bool put_choice(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                       const char *name)
{
    const fabric_choice_t *choice = schema_choice_named(field->choices, name);
    if (choice) {
        wire_put_int(&target->payload, choice->number);
        return true;
    }
    char found[64];
    (void)snprintf(found, sizeof found, strlen(name) < 40 ? "\"%s\"" : "a string", name);
    return refuse(target, outer, field, found);
}

static bool put_timestamp(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                          const char *text)
{
    int64_t unix_ms;
    if (!iso8601_read(text, &unix_ms)) {
        return refuse(target, outer, field, "a string that is none");
    }
    wire_put_int(&target->payload, unix_ms);
    return true;
}

static bool refuse_value(target_t *target, const schema_path_t *outer, const fabric_field_t *field,
                         const json_t *value)
{
    char number[48];
    const char *found = json_found(value);
    if (json_is_integer(value)) {
        (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        found = number;
    }
    return refuse(target, outer, field, found);
}

/* Puts one field that is there. */
static bool put_field(target_t *target, const fabric_field_t *field, const schema_path_t *outer,
                      unsigned depth, const json_t *value)
{
    bool good = false;
    const char *large = json_large_integer(value);
    if (large) {
        return put_large(target, field, outer, large);
    }
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        good = json_is_boolean(value);
        wire_put_bool(&target->payload, json_is_true(value));
        break;
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_I64:
        good = put_signed(target, field, value);
        break;
    case FABRIC_FIELD_U32:
    case FABRIC_FIELD_U64:
        good = put_unsigned(target, field, value);
        break;
    case FABRIC_FIELD_F64:
        good = json_is_number(value);
        wire_put_double(&target->payload, json_number_value(value));
        break;
    case FABRIC_FIELD_STRING:
        if (json_is_string(value)) {
            return put_string(target, field, outer, value);
        }
        break;
    case FABRIC_FIELD_BYTES:
        if (json_is_string(value)) {
            return put_base64(target, field, outer, value);
        }
        break;
    case FABRIC_FIELD_STRUCT: {
        schema_path_t path = {outer, schema_json_name(field), 0};
        return put_object(target, field->schema, &path, depth + 1, value);
    }
    case FABRIC_FIELD_LIST:
        if (json_is_array(value)) {
            return put_list(target, field, outer, depth, value);
        }
        break;
    case FABRIC_FIELD_MAP:
        if (json_is_object(value)) {
            return put_map(target, field, outer, depth, value);
        }
        break;
    case FABRIC_FIELD_UNION:
        if (json_is_object(value)) {
            return put_union(target, field, outer, depth, value);
        }
        break;
    case FABRIC_FIELD_ENUM:
        if (json_is_string(value)) {
            return put_choice(target, field, outer, json_string_value(value));
        }
        break;
    case FABRIC_FIELD_TIMESTAMP:
        if (json_is_string(value)) {
            return put_timestamp(target, field, outer, json_string_value(value));
        }
        break;
    }
    return good || refuse_value(target, outer, field, value);
}

/* Whether every member of the object is one of the schema's fields. */
static bool know_members(target_t *target, const fabric_schema_t *schema, const schema_path_t *path,
                         json_t *object)
{
    for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter)) {
        const char *name = json_object_iter_key(iter);
        bool known = false;
        for (size_t i = 0; i < schema->field_count && !known; i++) {
            known = strcmp(schema_json_name(&schema->fields[i]), name) == 0;
        }
        if (!known) {
            (void)schema_fault(target->fault, path, name, "%.40s has no such field", schema->name);
            return false;
        }
    }
    return true;
}

/* The member for a field, or NULL where it is absent: not there, or null. */
static const json_t *member_of(const json_t *object, const fabric_field_t *field)
{
    const json_t *member = json_object_get(object, schema_json_name(field));
    return json_is_null(member) ? NULL : member;
}

/* Absent fields at the end are left out, and defaults that are not given, as fabric_schema_encode
 * does. */
static bool put_object(target_t *target, const fabric_schema_t *schema, const schema_path_t *path,
                       unsigned depth, const json_t *object)
{
    if (!json_is_object(object)) {
        (void)schema_fault(target->fault, path, NULL, "expected an object (%.40s), found %s",
                           schema->name, json_found(object));
        return false;
    }
    if (depth > LIMIT_DEPTH_MAX) {
        (void)schema_fault(target->fault, path, NULL, "expected at most %d levels of nesting",
                           LIMIT_DEPTH_MAX);
        return false;
    }
    if (!know_members(target, schema, path, (json_t *)(uintptr_t)object)) {
        return false;
    }
    size_t count = schema->field_count;
    while (count > 0 && schema_may_lack(&schema->fields[count - 1]) &&
           !member_of(object, &schema->fields[count - 1])) {
        count--;
    }
    wire_put_array(&target->payload, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        const json_t *member = member_of(object, field);
        if (!member && !schema_may_lack(field)) {
            return refuse(target, path, field,
                          json_object_get(object, schema_json_name(field)) ? "null" : "nothing");
        }
        if (!member) {
            wire_put_nil(&target->payload);
        } else if (!put_field(target, field, path, depth, member)) {
            return false;
        }
    }
    return true;
}

fabric_error_t fabric_schema_from_json(const fabric_schema_t *schema, const char *json,
                                       fabric_schema_fault_t *fault, uint8_t **payload,
                                       size_t *size)
{
    assert(schema && json);
    *payload = NULL;
    schema_path_t path = {NULL, schema->name, 0};
    json_error_t parse_error;
    json_t *object = json_load_text(json, &parse_error);
    if (!object) {
        return schema_fault(fault, &path, NULL, "expected JSON: line %d: %s", parse_error.line,
                            parse_error.text);
    }
    target_t target = {{0}, fault};
    bool good = put_object(&target, schema, &path, 1, object);
    json_decref(object);
    fabric_error_t error = good ? FABRIC_OK : FABRIC_ERROR_MALFORMED_MESSAGE;
    if (good && target.payload.size > LIMIT_PAYLOAD_BYTES_MAX) {
        (void)schema_fault(fault, &path, NULL, "expected a payload of at most %d bytes, found %zu",
                           LIMIT_PAYLOAD_BYTES_MAX, target.payload.size);
        error = FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (error != FABRIC_OK) {
        wire_writer_destroy(&target.payload);
        return error;
    }
    *payload = target.payload.data;
    *size = target.payload.size;
    return FABRIC_OK;
}
