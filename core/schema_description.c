/* Schemas as data: their descriptions. See schema.h. */
#include "core/schema.h"

#include "core/limits.h"
#include "core/schema_field.h"

static bool has_members(const fabric_schema_t *schema, unsigned depth, size_t *fields_left);

/* The variants of a union have schemas, values of an enum have none. */
static bool has_choices(const fabric_field_t *field, unsigned depth, size_t *fields_left)
{
    const fabric_choices_t *choices = field->choices;
    bool good = choices && choices->name && choices->items && choices->count > 0;
    for (size_t i = 0; good && i < choices->count; i++) {
        const fabric_choice_t *choice = &choices->items[i];
        good = choice->name && (field->kind == FABRIC_FIELD_UNION
                                    ? has_members(choice->schema, depth + 1, fields_left)
                                    : !choice->schema);
    }
    return good;
}

/* A default is refused by whoever reads the description, unless it fits; an optional field has
 * none. */
static bool is_describable(const fabric_field_t *field, unsigned depth, size_t *fields_left)
{
    return field->name && (!schema_has_choices(field) || has_choices(field, depth, fields_left)) &&
           (!field->fallback.given ||
            (!field->optional && schema_takes_default(field->kind) && schema_default_fits(field)));
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
        if (!is_describable(field, depth, fields_left) ||
            (schema_has_schema(field) && !has_members(field->schema, depth + 1, fields_left)) ||
            (field->kind == FABRIC_FIELD_MAP && !schema_is_entry(field->schema))) {
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

static void put_text_or_nil(wire_writer_t *writer, const char *text)
{
    if (text) {
        wire_put_text(writer, text);
    } else {
        wire_put_nil(writer);
    }
}

static void put_default(wire_writer_t *writer, const fabric_field_t *field)
{
    if (field->kind == FABRIC_FIELD_BOOL) {
        wire_put_bool(writer, field->fallback.as.integer != 0);
    } else if (field->kind == FABRIC_FIELD_F64) {
        wire_put_double(writer, field->fallback.as.real);
    } else if (field->kind == FABRIC_FIELD_STRING) {
        wire_put_text(writer, schema_default_text(field));
    } else if (field->kind == FABRIC_FIELD_U64) {
        wire_put_uint(writer, (uint64_t)field->fallback.as.integer);
    } else {
        wire_put_int(writer, field->fallback.as.integer);
    }
}

static void put_choices(wire_writer_t *writer, const fabric_choices_t *choices)
{
    wire_put_array(writer, 2);
    wire_put_text(writer, choices->name);
    wire_put_array(writer, (uint32_t)choices->count);
    for (size_t i = 0; i < choices->count; i++) {
        const fabric_choice_t *choice = &choices->items[i];
        wire_put_array(writer, 2u + (choice->schema != NULL) + (choice->doc != NULL));
        wire_put_int(writer, choice->number);
        wire_put_text(writer, choice->name);
        if (choice->schema) {
            schema_describe(choice->schema, writer);
        }
        if (choice->doc) {
            wire_put_text(writer, choice->doc);
        }
    }
}

static void put_choices_or_nil(wire_writer_t *writer, const fabric_field_t *field)
{
    if (schema_has_choices(field)) {
        put_choices(writer, field->choices);
    } else {
        wire_put_nil(writer);
    }
}

/* What a field does not have is left out at the end, as in payloads. */
static void put_field(wire_writer_t *writer, const fabric_field_t *field)
{
    uint32_t parts = field->fallback.given ? 8 : field->doc ? 7 : field->json ? 6 : 5;
    wire_put_array(writer, parts);
    wire_put_text(writer, field->name);
    wire_put_uint(writer, (uint64_t)field->kind);
    wire_put_uint(writer, field->max);
    wire_put_bool(writer, field->optional);
    if (schema_has_schema(field)) {
        schema_describe(field->schema, writer);
    } else if (field->element) {
        wire_put_array(writer, 3);
        wire_put_uint(writer, (uint64_t)field->element);
        wire_put_uint(writer, field->element_max);
        put_choices_or_nil(writer, field);
    } else {
        put_choices_or_nil(writer, field);
    }
    if (parts > 5) {
        put_text_or_nil(writer, field->json);
    }
    if (parts > 6) {
        put_text_or_nil(writer, field->doc);
    }
    if (parts > 7) {
        put_default(writer, field);
    }
}

void schema_describe(const fabric_schema_t *schema, wire_writer_t *writer)
{
    wire_put_array(writer, 2);
    wire_put_text(writer, schema->name);
    wire_put_array(writer, (uint32_t)schema->field_count);
    for (size_t i = 0; i < schema->field_count; i++) {
        put_field(writer, &schema->fields[i]);
    }
}
