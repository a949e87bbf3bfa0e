/* Schemas, from payloads to JSON: see <fabric/schema.h>. */
#include "core/schema_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base64.h"
#include "core/iso8601.h"
#include "core/json_text.h"
#include "core/memory.h"
#include "core/schema.h"
#include "core/schema_field.h"

/* Payloads were checked before: each value that is read has the type that the schema names. */

static json_t *make_object(wire_reader_t *reader, const fabric_schema_t *schema);
static json_t *make_field(wire_reader_t *reader, const fabric_field_t *field);

static json_t *make_base64(fabric_bytes_t bytes)
{
    char *text = memory_allocate(base64_size(bytes.size) + 1);
    base64_encode(bytes, text);
    json_t *made = json_string_nocheck(text);
    free(text);
    return made;
}

/* jansson's integers end at INT64_MAX. A larger number becomes a string of digits, which
 * fabric_schema_from_json takes too. */
static json_t *make_u64(uint64_t value)
{
    if (value <= INT64_MAX) {
        return json_integer((json_int_t)value);
    }
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, value);
    return json_string(digits);
}

static json_t *make_list(wire_reader_t *reader, const fabric_field_t *field)
{
    json_t *list = json_array();
    fabric_field_t element = schema_element(field);
    uint32_t count = wire_get_array(reader);
    for (uint32_t i = 0; i < count; i++) {
        json_t *made =
            field->element ? make_field(reader, &element) : make_object(reader, field->schema);
        if (json_array_append_new(list, made) != 0) {
            abort();
        }
    }
    return list;
}

static void set_member(json_t *object, const char *name, json_t *member)
{
    if (json_object_set_new_nocheck(object, name, member) != 0) {
        abort();
    }
}

static json_t *make_map(wire_reader_t *reader, const fabric_field_t *field)
{
    json_t *object = json_object();
    uint32_t count = wire_get_map(reader);
    for (uint32_t i = 0; i < count; i++) {
        fabric_bytes_t key = wire_get_str(reader);
        char *name = memory_allocate(key.size + 1);
        memcpy(name, key.data, key.size);
        name[key.size] = '\0';
        set_member(object, name, make_field(reader, &field->schema->fields[1]));
        free(name);
    }
    return object;
}

static json_t *make_union(wire_reader_t *reader, const fabric_field_t *field)
{
    json_t *object = json_object();
    (void)wire_get_array(reader);
    const fabric_choice_t *variant = schema_choice(field->choices, wire_get_int(reader));
    set_member(object, variant->name, make_object(reader, variant->schema));
    return object;
}

static json_t *make_choice(const fabric_field_t *field, int64_t number)
{
    return json_string_nocheck(schema_choice(field->choices, number)->name);
}

static json_t *make_timestamp(int64_t unix_ms)
{
    char text[ISO8601_SIZE];
    iso8601_write(unix_ms, text);
    return json_string_nocheck(text);
}

json_t *schema_default_to_json(const fabric_field_t *field)
{
    int64_t integer = field->fallback.as.integer;
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        return json_boolean(integer != 0);
    case FABRIC_FIELD_U64:
        return make_u64((uint64_t)integer);
    case FABRIC_FIELD_F64:
        return json_real(field->fallback.as.real);
    case FABRIC_FIELD_STRING:
        return json_string_nocheck(schema_default_text(field));
    case FABRIC_FIELD_ENUM:
        return make_choice(field, integer);
    case FABRIC_FIELD_TIMESTAMP:
        return make_timestamp(integer);
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_I64:
    case FABRIC_FIELD_U32:
    case FABRIC_FIELD_BYTES:
    case FABRIC_FIELD_STRUCT:
    case FABRIC_FIELD_LIST:
    case FABRIC_FIELD_MAP:
    case FABRIC_FIELD_UNION:
        break;
    }
    return json_integer(integer);
}

static json_t *make_field(wire_reader_t *reader, const fabric_field_t *field)
{
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        return json_boolean(wire_get_bool(reader));
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_I64:
        return json_integer((json_int_t)wire_get_int(reader));
    case FABRIC_FIELD_U32:
    case FABRIC_FIELD_U64:
        return make_u64(wire_get_uint(reader));
    case FABRIC_FIELD_F64:
        return json_real(wire_get_double(reader));
    case FABRIC_FIELD_STRING: {
        fabric_bytes_t text = wire_get_str(reader);
        return json_stringn_nocheck((const char *)text.data, text.size);
    }
    case FABRIC_FIELD_BYTES:
        return make_base64(wire_get_bin(reader));
    case FABRIC_FIELD_STRUCT:
        return make_object(reader, field->schema);
    case FABRIC_FIELD_LIST:
        return make_list(reader, field);
    case FABRIC_FIELD_MAP:
        return make_map(reader, field);
    case FABRIC_FIELD_UNION:
        return make_union(reader, field);
    case FABRIC_FIELD_ENUM:
        return make_choice(field, wire_get_int(reader));
    case FABRIC_FIELD_TIMESTAMP:
        return make_timestamp(wire_get_int(reader));
    }
    return NULL;
}

static json_t *make_object(wire_reader_t *reader, const fabric_schema_t *schema)
{
    json_t *object = json_object();
    uint32_t count = wire_get_array(reader);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        bool there = i < count;
        if (there && schema_may_lack(field) && wire_peek(reader) == WIRE_NIL) {
            wire_get_nil(reader);
            there = false;
        }
        json_t *made = there                   ? make_field(reader, field)
                       : field->fallback.given ? schema_default_to_json(field)
                                               : NULL;
        if (made) {
            set_member(object, schema_json_name(field), made);
        }
    }
    return object;
}

fabric_error_t fabric_schema_to_json(const fabric_schema_t *schema, fabric_bytes_t payload,
                                     fabric_schema_fault_t *fault, char **json)
{
    *json = NULL;
    fabric_error_t error = fabric_schema_check(schema, payload, fault);
    if (error != FABRIC_OK) {
        return error;
    }
    wire_reader_t reader = wire_reader(payload);
    json_t *object = make_object(&reader, schema);
    *json = json_text(object, 0);
    json_decref(object);
    return FABRIC_OK;
}
