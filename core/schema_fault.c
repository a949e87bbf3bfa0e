/* Schema faults: see schema_fault.h. */
#include "core/schema_fault.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/json_text.h"
#include "core/utf8.h"

/* Appends to a text that has `*size` of `capacity` bytes; text that does not fit is cut off. */
__attribute__((format(printf, 4, 5))) static void append(char *text, size_t capacity, size_t *size,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text + *size, capacity - *size, format, arguments);
    va_end(arguments);
    if (added > 0) {
        *size += (size_t)added < capacity - *size ? (size_t)added : capacity - *size - 1;
    }
}

/* Paths are as deep as values may be nested, which is bounded. */
static void append_path(char *text, size_t capacity, size_t *size, const schema_path_t *path)
{
    if (!path || !path->outer) {
        return;
    }
    append_path(text, capacity, size, path->outer);
    if (path->name) {
        append(text, capacity, size, "%s%s", *size > 0 ? "." : "", path->name);
    } else {
        append(text, capacity, size, "[%" PRIu32 "]", path->index);
    }
}

const char *schema_key_text(fabric_bytes_t key, schema_key_t *text)
{
    enum { SHOWN_MAX = 40 };
    size_t size = key.size;
    if (size > SHOWN_MAX) {
        size = SHOWN_MAX;
        while (size > 0 && (key.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    (void)snprintf(text->text, sizeof text->text, "%.*s%s", (int)size, (const char *)key.data,
                   size < key.size ? "..." : "");
    return text->text;
}

int schema_compare_keys(fabric_bytes_t a, fabric_bytes_t b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

fabric_error_t schema_fault(fabric_schema_fault_t *fault, const schema_path_t *outer,
                            const char *name, const char *format, ...)
{
    if (!fault) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    /* A long path is cut, so that what is wrong still fits. */
    size_t size = 0;
    size_t path_capacity = sizeof fault->text / 2;
    fault->text[0] = '\0';
    append_path(fault->text, path_capacity, &size, outer);
    if (name) {
        append(fault->text, path_capacity, &size, "%s%s", size > 0 ? "." : "", name);
    }
    if (size == 0 && outer) {
        while (outer->outer) {
            outer = outer->outer;
        }
        append(fault->text, path_capacity, &size, "%s", outer->name);
    }
    append(fault->text, sizeof fault->text, &size, ": ");
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault->text + size, sizeof fault->text - size, format, arguments);
    va_end(arguments);
    return FABRIC_ERROR_MALFORMED_MESSAGE;
}

static void append_choices(const fabric_choices_t *choices, char *out, size_t capacity)
{
    size_t size = 0;
    out[0] = '\0';
    append(out, capacity, &size, "%s", choices->count > 1 ? "one of " : "");
    for (size_t i = 0; i < choices->count; i++) {
        const char *name = choices->items[i].name;
        bool last = i + 1 == choices->count;
        /* Room is left for what says that there are more. */
        if (size + strlen(name) + sizeof ", ..." > capacity) {
            append(out, capacity, &size, "...");
            return;
        }
        append(out, capacity, &size, "%s%s", name, last ? "" : ", ");
    }
}

/* A view has no maximum of its own: then it is just `any`. */
static void describe_max(schema_text_t *text, const char *what, const char *unit, const char *any,
                         uint32_t max)
{
    if (max == FABRIC_ANY_LENGTH) {
        (void)snprintf(text->text, sizeof text->text, "%s", any);
    } else {
        (void)snprintf(text->text, sizeof text->text, "%sat most %" PRIu32 "%s", what, max, unit);
    }
}

const char *schema_expected(const fabric_field_t *field, bool json, schema_text_t *text)
{
    char *out = text->text;
    size_t capacity = sizeof text->text;
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        (void)snprintf(out, capacity, "true or false");
        break;
    case FABRIC_FIELD_I32:
        (void)snprintf(out, capacity, "a number from %" PRId32 " to %" PRId32, INT32_MIN,
                       INT32_MAX);
        break;
    case FABRIC_FIELD_I64:
        (void)snprintf(out, capacity, "a number from %" PRId64 " to %" PRId64, INT64_MIN,
                       INT64_MAX);
        break;
    case FABRIC_FIELD_U32:
        (void)snprintf(out, capacity, "a number from 0 to %" PRIu32, UINT32_MAX);
        break;
    case FABRIC_FIELD_U64:
        (void)snprintf(out, capacity, "a number from 0 to %" PRIu64, UINT64_MAX);
        break;
    case FABRIC_FIELD_F64:
        (void)snprintf(out, capacity, "a finite number");
        break;
    case FABRIC_FIELD_STRING:
        describe_max(text, "a string of ", " bytes", "a string", field->max);
        break;
    case FABRIC_FIELD_BYTES:
        describe_max(text, json ? "base64 of " : "", " bytes", json ? "base64" : "bytes",
                     field->max);
        break;
    case FABRIC_FIELD_STRUCT:
        (void)snprintf(out, capacity, "%s (%.40s)", json ? "an object" : "an array",
                       field->schema->name);
        break;
    case FABRIC_FIELD_LIST:
        describe_max(text, "a list of ", "", "a list", field->max);
        break;
    case FABRIC_FIELD_MAP:
        describe_max(text, json ? "an object of " : "a map of ", "", json ? "an object" : "a map",
                     field->max);
        break;
    case FABRIC_FIELD_UNION:
    case FABRIC_FIELD_ENUM:
        append_choices(field->choices, out, capacity);
        break;
    case FABRIC_FIELD_TIMESTAMP:
        (void)snprintf(out, capacity,
                       json ? "an ISO 8601 time such as \"2025-01-31T23:59:59.000Z\""
                            : "Unix milliseconds of years 1 to 9999");
        break;
    }
    return out;
}

static void describe_string(fabric_bytes_t value, schema_text_t *text)
{
    if (utf8_is_text(value)) {
        (void)snprintf(text->text, sizeof text->text, "a string of %zu bytes", value.size);
    } else {
        (void)snprintf(text->text, sizeof text->text,
                       "a string with NUL or bytes that are not UTF-8");
    }
}

/* Each case checks whether the reader has failed: a value may begin and not end. */
const char *schema_found(wire_reader_t reader, schema_text_t *text)
{
    char *out = text->text;
    size_t capacity = sizeof text->text;
    wire_type_t type = wire_peek(&reader);
    fabric_bytes_t bytes;
    (void)snprintf(out, capacity, "nothing");
    switch (type) {
    case WIRE_NONE:
        return out;
    case WIRE_NIL:
        (void)snprintf(out, capacity, "nil");
        return out;
    case WIRE_BOOL:
        (void)snprintf(out, capacity, "%s", wire_get_bool(&reader) ? "true" : "false");
        return out;
    case WIRE_UINT:
        (void)snprintf(out, capacity, "the number %" PRIu64, wire_get_uint(&reader));
        break;
    case WIRE_INT:
        (void)snprintf(out, capacity, "the number %" PRId64, wire_get_int(&reader));
        break;
    case WIRE_DOUBLE: {
        bool whole = wire_left(&reader) >= (*reader.next == 0xca ? 5 : 9);
        char number[JSON_NUMBER_SIZE];
        double value = wire_get_double(&reader);
        if (whole && reader.failed) {
            (void)snprintf(out, capacity, "a number that is not finite");
            return out;
        }
        json_number(value, number);
        (void)snprintf(out, capacity, "the number %s", number);
        break;
    }
    case WIRE_STR:
        bytes = wire_get_str(&reader);
        describe_string(bytes, text);
        break;
    case WIRE_BIN:
        bytes = wire_get_bin(&reader);
        (void)snprintf(out, capacity, "%zu bytes", bytes.size);
        break;
    case WIRE_ARRAY:
        (void)snprintf(out, capacity, "an array of %" PRIu32, wire_get_array(&reader));
        break;
    case WIRE_MAP:
        (void)snprintf(out, capacity, "a map of %" PRIu32, wire_get_map(&reader));
        break;
    case WIRE_OTHER:
        (void)snprintf(out, capacity, "an extension type");
        return out;
    }
    if (reader.failed) {
        (void)snprintf(out, capacity, "a value that is cut off");
    }
    return out;
}
