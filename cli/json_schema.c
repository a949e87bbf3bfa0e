/* Schemas as JSON Schema: see json_schema.h. */
#include "cli/json_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/json.h"
#include "core/base64.h"
#include "core/failures.h"
#include "core/schema_field.h"
#include "core/schema_json.h"

#define DRAFT "https://json-schema.org/draft/2020-12/schema"

static json_t *make_value(const fabric_field_t *field);

static void set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) {
        abort();
    }
}

static json_t *make_typed(const char *type)
{
    json_t *made = json_object();
    set(made, "type", json_string(type));
    return made;
}

static void set_doc(json_t *object, const char *doc)
{
    if (doc) {
        set(object, "description", json_string(doc));
    }
}

/* A maximum, where there is one. */
static void set_max(json_t *object, const char *key, uint64_t max)
{
    if (max < FABRIC_ANY_LENGTH) {
        set(object, key, json_integer((json_int_t)max));
    }
}

/* ---- numbers and texts ---- */

static json_t *make_integer(int64_t min, int64_t max)
{
    json_t *made = make_typed("integer");
    set(made, "minimum", json_integer(min));
    set(made, "maximum", json_integer(max));
    return made;
}

/* 64 bits: a number, or a string of digits for programs that keep only 53 bits of a number. */
static json_t *make_long(bool negative)
{
    json_t *made = json_object();
    set(made, "type", json_pack("[s,s]", "integer", "string"));
    if (!negative) {
        set(made, "minimum", json_integer(0));
    }
    set(made, "pattern", json_string(negative ? "^-?[0-9]+$" : "^[0-9]+$"));
    return made;
}

static json_t *make_text(uint32_t max)
{
    json_t *made = make_typed("string");
    set_max(made, "maxLength", max);
    return made;
}

static json_t *make_bytes(uint32_t max)
{
    json_t *made = make_typed("string");
    set(made, "contentEncoding", json_string("base64"));
    set_max(made, "maxLength", max < FABRIC_ANY_LENGTH ? base64_size(max) : max);
    return made;
}

static json_t *make_time(void)
{
    json_t *made = make_typed("string");
    set(made, "format", json_string("date-time"));
    return made;
}

/* ---- choices ---- */

static json_t *make_enum(const fabric_choices_t *choices)
{
    json_t *made = make_typed("string");
    json_t *values = json_array();
    for (size_t i = 0; i < choices->count; i++) {
        json_t *value = json_object();
        set(value, "const", json_string(choices->items[i].name));
        set_doc(value, choices->items[i].doc);
        json_array_append_new(values, value);
    }
    set(made, "title", json_string(choices->name));
    set(made, "oneOf", values);
    return made;
}

/* An object with one member, the variant's name. */
static json_t *make_union(const fabric_choices_t *choices)
{
    json_t *made = make_typed("object");
    json_t *variants = json_array();
    for (size_t i = 0; i < choices->count; i++) {
        const fabric_choice_t *choice = &choices->items[i];
        json_t *variant = json_object();
        json_t *properties = json_object();
        set(properties, choice->name, json_schema_of(choice->schema));
        set_doc(variant, choice->doc);
        set(variant, "properties", properties);
        set(variant, "required", json_pack("[s]", choice->name));
        set(variant, "additionalProperties", json_false());
        json_array_append_new(variants, variant);
    }
    set(made, "title", json_string(choices->name));
    set(made, "oneOf", variants);
    return made;
}

/* ---- fields ---- */

static json_t *make_list(const fabric_field_t *field)
{
    json_t *made = make_typed("array");
    fabric_field_t element = schema_element(field);
    set(made, "items", field->element ? make_value(&element) : json_schema_of(field->schema));
    set_max(made, "maxItems", field->max);
    return made;
}

static json_t *make_map(const fabric_field_t *field)
{
    json_t *made = make_typed("object");
    json_t *names = json_object();
    set_max(names, "maxLength", field->schema->fields[0].max);
    set(made, "propertyNames", names);
    set(made, "additionalProperties", make_value(&field->schema->fields[1]));
    set_max(made, "maxProperties", field->max);
    return made;
}

static json_t *make_value(const fabric_field_t *field)
{
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        return make_typed("boolean");
    case FABRIC_FIELD_I32:
        return make_integer(INT32_MIN, INT32_MAX);
    case FABRIC_FIELD_U32:
        return make_integer(0, UINT32_MAX);
    case FABRIC_FIELD_I64:
        return make_long(true);
    case FABRIC_FIELD_U64:
        return make_long(false);
    case FABRIC_FIELD_F64:
        return make_typed("number");
    case FABRIC_FIELD_STRING:
        return make_text(field->max);
    case FABRIC_FIELD_BYTES:
        return make_bytes(field->max);
    case FABRIC_FIELD_STRUCT:
        return json_schema_of(field->schema);
    case FABRIC_FIELD_LIST:
        return make_list(field);
    case FABRIC_FIELD_MAP:
        return make_map(field);
    case FABRIC_FIELD_UNION:
        return make_union(field->choices);
    case FABRIC_FIELD_ENUM:
        return make_enum(field->choices);
    case FABRIC_FIELD_TIMESTAMP:
        return make_time();
    }
    return NULL;
}

/* A field that may be missing may be null as well. */
static json_t *make_property(const fabric_field_t *field)
{
    json_t *made = make_value(field);
    if (schema_may_lack(field)) {
        made = json_pack("{s:[o,{s:s}]}", "anyOf", made, "type", "null");
    }
    set_doc(made, field->doc);
    if (field->fallback.given) {
        set(made, "default", schema_default_to_json(field));
    }
    return made;
}

json_t *json_schema_of(const fabric_schema_t *schema)
{
    json_t *made = make_typed("object");
    json_t *properties = json_object();
    json_t *required = json_array();
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        set(properties, schema_json_name(field), make_property(field));
        if (!schema_may_lack(field)) {
            json_array_append_new(required, json_string(schema_json_name(field)));
        }
    }
    set(made, "title", json_string(schema->name));
    set(made, "properties", properties);
    set(made, "required", required);
    set(made, "additionalProperties", json_false());
    return made;
}

/* ---- documents ---- */

/* Takes the definition. */
static void define(json_t *definitions, const char *type, const char *tag, const char *what,
                   json_t *definition)
{
    char *key = NULL;
    if (asprintf(&key, "%s.%s.%s", type, tag, what) < 0) {
        abort();
    }
    json_t *text = cli_json_text(key);
    set(definitions, json_string_value(text), definition);
    json_decref(text);
    free(key);
}

json_t *json_schema_of_types(type_description_t *const *types, size_t count)
{
    json_t *definitions = json_object();
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; types[i] && k < types[i]->message_count; k++) {
            const message_description_t *message = &types[i]->messages[k];
            const char *type = types[i]->name;
            define(definitions, type, message->tag, "request", json_schema_of(message->request));
            define(definitions, type, message->tag, "reply", json_schema_of(message->reply));
            if (message->failures) {
                define(definitions, type, message->tag, "failure",
                       make_union(failures_of(message->failures)));
            }
        }
    }
    return json_pack("{s:s,s:o}", "$schema", DRAFT, "$defs", definitions);
}

json_t *json_schema_of_message(const type_description_t *type, const message_description_t *message)
{
    json_t *document = json_pack("{s:s}", "$schema", DRAFT);
    json_t *request = json_schema_of(message->request);
    json_object_update(document, request);
    json_decref(request);
    char *title = NULL;
    if (asprintf(&title, "%s %s", type->name, message->tag) < 0) {
        abort();
    }
    json_object_set_new(document, "title", cli_json_text(title));
    free(title);
    json_t *definitions = json_pack("{s:o}", "reply", json_schema_of(message->reply));
    if (message->failures) {
        set(definitions, "failure", make_union(failures_of(message->failures)));
    }
    set(document, "$defs", definitions);
    return document;
}
