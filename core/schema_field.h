/* What the walks through a struct, a payload and JSON ask of a field.
 *
 * Threading: pure functions, for any thread.
 */
#ifndef CORE_SCHEMA_FIELD_H
#define CORE_SCHEMA_FIELD_H

#include <fabric/schema.h>

/* Whether a payload may lack the field, or have nil in its place. */
static inline bool schema_may_lack(const fabric_field_t *field)
{
    return field->optional | field->fallback.given;
}

static inline const char *schema_json_name(const fabric_field_t *field)
{
    return field->json ? field->json : field->name;
}

static inline const char *schema_default_text(const fabric_field_t *field)
{
    return field->fallback.as.text ? field->fallback.as.text : "";
}

/* Whether a field has a schema of its own. */
static inline bool schema_has_schema(const fabric_field_t *field)
{
    return field->kind == FABRIC_FIELD_STRUCT || field->kind == FABRIC_FIELD_MAP ||
           (field->kind == FABRIC_FIELD_LIST && !field->element);
}

/* Whether a schema can be that of a map's entries. */
bool schema_is_entry(const fabric_schema_t *schema);

/* Whether a field, or the elements of a list, have choices. */
static inline bool schema_has_choices(const fabric_field_t *field)
{
    return field->kind == FABRIC_FIELD_ENUM || field->kind == FABRIC_FIELD_UNION ||
           field->element == FABRIC_FIELD_ENUM;
}

/* Whether a kind has a maximum. */
static inline bool schema_has_max(fabric_field_kind_t kind)
{
    return kind == FABRIC_FIELD_STRING || kind == FABRIC_FIELD_BYTES || kind == FABRIC_FIELD_LIST ||
           kind == FABRIC_FIELD_MAP;
}

/* Whether the field is a view: of a string or bytes, or a pointer to a list's elements. */
static inline bool schema_is_view(const fabric_field_t *field)
{
    return field->max == FABRIC_ANY_LENGTH;
}

/* The elements of a list that are not structs, as fields. */
static inline fabric_field_t schema_element(const fabric_field_t *list)
{
    return (fabric_field_t){
        .kind = list->element, .max = list->element_max, .choices = list->choices};
}

/* Whether a struct by the schema has views. */
bool schema_has_views(const fabric_schema_t *schema);

/* NULL: there is no such choice. */
const fabric_choice_t *schema_choice(const fabric_choices_t *choices, int64_t number);
const fabric_choice_t *schema_choice_named(const fabric_choices_t *choices, const char *name);

/* Whether a field of this kind may have a default. */
bool schema_takes_default(fabric_field_kind_t kind);
/* Whether the field's default is one of its values. */
bool schema_default_fits(const fabric_field_t *field);
/* Writes the field's default to `value`, the struct that has it and is zeroed. */
void schema_default_set(const fabric_field_t *field, uint8_t *value);
/* Whether the struct has the default. */
bool schema_default_is(const fabric_field_t *field, const uint8_t *value);
/* Whether two fields of one kind have the same default. */
bool schema_default_same(const fabric_field_t *one, const fabric_field_t *other);

#endif
