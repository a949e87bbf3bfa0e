/* Documents: see document.h. */
#include "core/document.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json_text.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/utf8.h"
#include "core/wire.h"

/* Each function make_* returns a new reference, or NULL with the reader failed. */
static json_t *make_value(wire_reader_t *reader, int depth);

static json_t *fail(wire_reader_t *reader)
{
    reader->failed = true;
    return NULL;
}

static json_t *make_uint(wire_reader_t *reader)
{
    uint64_t value = wire_get_uint(reader);
    if (value <= INT64_MAX) {
        return json_integer((json_int_t)value);
    }
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, value);
    return json_string(digits);
}

/* Signed types d0..d3 may carry numbers that are not negative. */
static json_t *make_int(wire_reader_t *reader)
{
    return json_integer((json_int_t)wire_get_int(reader));
}

static char *hexadecimal(fabric_bytes_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = memory_allocate(2 * bytes.size + 1);
    for (size_t i = 0; i < bytes.size; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    text[2 * bytes.size] = '\0';
    return text;
}

static json_t *make_bin(wire_reader_t *reader)
{
    char *text = hexadecimal(wire_get_bin(reader));
    json_t *made = json_string(text);
    free(text);
    return made;
}

static json_t *make_str(wire_reader_t *reader)
{
    fabric_bytes_t text = wire_get_str(reader);
    if (reader->failed || !utf8_is_text(text)) {
        return fail(reader);
    }
    return json_stringn_nocheck((const char *)text.data, text.size);
}

static json_t *make_array(wire_reader_t *reader, int depth)
{
    uint32_t count = wire_get_array(reader);
    if (reader->failed || depth > LIMIT_DEPTH_MAX) {
        return fail(reader);
    }
    json_t *array = json_array();
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        json_t *element = make_value(reader, depth + 1);
        if (element && json_array_append_new(array, element) != 0) {
            abort();
        }
    }
    return array;
}

/* A key as a terminated string, which the caller frees, or NULL. */
static char *make_key(wire_reader_t *reader)
{
    wire_type_t type = wire_peek(reader);
    char *key = NULL;
    if (type == WIRE_STR) {
        fabric_bytes_t text = wire_get_str(reader);
        if (!reader->failed && utf8_is_text(text)) {
            key = strndup((const char *)text.data, text.size);
        }
    } else if (type == WIRE_BIN) {
        key = hexadecimal(wire_get_bin(reader));
    } else if (type == WIRE_UINT || type == WIRE_INT) {
        char digits[24];
        if (type == WIRE_UINT) {
            (void)snprintf(digits, sizeof digits, "%" PRIu64, wire_get_uint(reader));
        } else {
            (void)snprintf(digits, sizeof digits, "%" PRId64, wire_get_int(reader));
        }
        key = memory_copy_string(digits);
    }
    return key;
}

static json_t *make_map(wire_reader_t *reader, int depth)
{
    uint32_t count = wire_get_map(reader);
    if (reader->failed || depth > LIMIT_DEPTH_MAX) {
        return fail(reader);
    }
    json_t *object = json_object();
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        char *key = make_key(reader);
        if (!key || json_object_get(object, key)) {
            reader->failed = true;
        } else {
            json_t *member = make_value(reader, depth + 1);
            if (member && json_object_set_new_nocheck(object, key, member) != 0) {
                abort();
            }
        }
        free(key);
    }
    return object;
}

static json_t *make_value(wire_reader_t *reader, int depth)
{
    switch (wire_peek(reader)) {
    case WIRE_NIL:
        wire_get_nil(reader);
        return json_null();
    case WIRE_BOOL:
        return json_boolean(wire_get_bool(reader));
    case WIRE_UINT:
        return make_uint(reader);
    case WIRE_INT:
        return make_int(reader);
    case WIRE_DOUBLE:
        return json_real(wire_get_double(reader));
    case WIRE_STR:
        return make_str(reader);
    case WIRE_BIN:
        return make_bin(reader);
    case WIRE_ARRAY:
        return make_array(reader, depth);
    case WIRE_MAP:
        return make_map(reader, depth);
    case WIRE_NONE:
    case WIRE_OTHER:
        break;
    }
    return fail(reader);
}

fabric_error_t document_to_json(fabric_bytes_t document, char **json)
{
    if (document.size > LIMIT_FRAME_BYTES_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    wire_reader_t reader = wire_reader(document);
    json_t *value = make_value(&reader, 1);
    fabric_error_t error = wire_finish(&reader);
    if (error == FABRIC_OK) {
        *json = json_text(value, 2);
    }
    json_decref(value);
    return error;
}
