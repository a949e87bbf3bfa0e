/* What is asked of a field: see schema_field.h. */
#include "core/schema_field.h"

#include <math.h>
#include <string.h>

#include "core/iso8601.h"
#include "core/utf8.h"

static bool variants_have_views(const fabric_choices_t *choices)
{
    for (size_t i = 0; i < choices->count; i++) {
        if (schema_has_views(choices->items[i].schema)) {
            return true;
        }
    }
    return false;
}

bool schema_is_entry(const fabric_schema_t *schema)
{
    return schema->field_count == 2 && schema->fields[0].kind == FABRIC_FIELD_STRING &&
           !schema_may_lack(&schema->fields[0]) && !schema_may_lack(&schema->fields[1]);
}

bool schema_has_views(const fabric_schema_t *schema)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        if (schema_is_view(field) || field->element_max == FABRIC_ANY_LENGTH ||
            (schema_has_schema(field) && schema_has_views(field->schema)) ||
            (field->kind == FABRIC_FIELD_UNION && variants_have_views(field->choices))) {
            return true;
        }
    }
    return false;
}

const fabric_choice_t *schema_choice(const fabric_choices_t *choices, int64_t number)
{
    /* Most enums begin at 0 and have no gap. */
    if (number >= 0 && (uint64_t)number < choices->count &&
        choices->items[number].number == number) {
        return &choices->items[number];
    }
    for (size_t i = 0; i < choices->count; i++) {
        if (choices->items[i].number == number) {
            return &choices->items[i];
        }
    }
    return NULL;
}

const fabric_choice_t *schema_choice_named(const fabric_choices_t *choices, const char *name)
{
    for (size_t i = 0; i < choices->count; i++) {
        if (strcmp(choices->items[i].name, name) == 0) {
            return &choices->items[i];
        }
    }
    return NULL;
}

bool schema_takes_default(fabric_field_kind_t kind)
{
    switch (kind) {
    case FABRIC_FIELD_BOOL:
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_I64:
    case FABRIC_FIELD_U32:
    case FABRIC_FIELD_U64:
    case FABRIC_FIELD_F64:
    case FABRIC_FIELD_STRING:
    case FABRIC_FIELD_ENUM:
    case FABRIC_FIELD_TIMESTAMP:
        return true;
    case FABRIC_FIELD_BYTES:
    case FABRIC_FIELD_STRUCT:
    case FABRIC_FIELD_LIST:
    case FABRIC_FIELD_MAP:
    case FABRIC_FIELD_UNION:
        return false;
    }
    return false;
}

bool schema_default_fits(const fabric_field_t *field)
{
    int64_t integer = field->fallback.as.integer;
    fabric_bytes_t text;
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        return integer == 0 || integer == 1;
    case FABRIC_FIELD_I32:
        return integer >= INT32_MIN && integer <= INT32_MAX;
    case FABRIC_FIELD_U32:
        return integer >= 0 && integer <= UINT32_MAX;
    case FABRIC_FIELD_I64:
    case FABRIC_FIELD_U64:
        return true;
    case FABRIC_FIELD_F64:
        return isfinite(field->fallback.as.real);
    case FABRIC_FIELD_STRING:
        text = fabric_bytes_of(schema_default_text(field));
        return text.size <= field->max && utf8_is_text(text);
    case FABRIC_FIELD_ENUM:
        return schema_choice(field->choices, integer) != NULL;
    case FABRIC_FIELD_TIMESTAMP:
        return integer >= ISO8601_MS_MIN && integer <= ISO8601_MS_MAX;
    case FABRIC_FIELD_BYTES:
    case FABRIC_FIELD_STRUCT:
    case FABRIC_FIELD_LIST:
    case FABRIC_FIELD_MAP:
    case FABRIC_FIELD_UNION:
        return false;
    }
    return false;
}

/* The member of a field that holds a number, as the integer of a default, and its size. */
static size_t number_of(const fabric_field_t *field, int64_t integer, uint8_t bytes[8])
{
    int32_t narrow = (int32_t)integer; /* the same bytes as of a uint32_t */
    bool truth = integer != 0;
    switch (field->kind) {
    case FABRIC_FIELD_BOOL:
        memcpy(bytes, &truth, sizeof truth);
        return sizeof truth;
    case FABRIC_FIELD_I32:
    case FABRIC_FIELD_U32:
    case FABRIC_FIELD_ENUM:
        memcpy(bytes, &narrow, sizeof narrow);
        return sizeof narrow;
    case FABRIC_FIELD_F64:
        memcpy(bytes, &field->fallback.as.real, sizeof(double));
        return sizeof(double);
    case FABRIC_FIELD_I64:
    case FABRIC_FIELD_U64:
    case FABRIC_FIELD_TIMESTAMP:
        memcpy(bytes, &integer, sizeof integer);
        return sizeof integer;
    case FABRIC_FIELD_STRING:
    case FABRIC_FIELD_BYTES:
    case FABRIC_FIELD_STRUCT:
    case FABRIC_FIELD_LIST:
    case FABRIC_FIELD_MAP:
    case FABRIC_FIELD_UNION:
        break;
    }
    return 0;
}

void schema_default_set(const fabric_field_t *field, uint8_t *value)
{
    uint8_t *member = value + field->offset;
    if (field->kind == FABRIC_FIELD_STRING && schema_is_view(field)) {
        fabric_bytes_t view = fabric_bytes_of(schema_default_text(field));
        memcpy(member, &view, sizeof view);
        return;
    }
    if (field->kind == FABRIC_FIELD_STRING) {
        const char *text = schema_default_text(field);
        memcpy(member, text, strlen(text) + 1);
        return;
    }
    uint8_t bytes[8];
    size_t size = number_of(field, field->fallback.as.integer, bytes);
    memcpy(member, bytes, size);
}

bool schema_default_is(const fabric_field_t *field, const uint8_t *value)
{
    const uint8_t *member = value + field->offset;
    if (field->kind == FABRIC_FIELD_STRING && schema_is_view(field)) {
        fabric_bytes_t view;
        memcpy(&view, member, sizeof view);
        return fabric_bytes_equal(view, fabric_bytes_of(schema_default_text(field)));
    }
    if (field->kind == FABRIC_FIELD_STRING) {
        return strncmp((const char *)member, schema_default_text(field), (size_t)field->max + 1) ==
               0;
    }
    uint8_t bytes[8];
    size_t size = number_of(field, field->fallback.as.integer, bytes);
    return size > 0 && memcmp(member, bytes, size) == 0;
}

bool schema_default_same(const fabric_field_t *one, const fabric_field_t *other)
{
    if (one->kind == FABRIC_FIELD_STRING) {
        return strcmp(schema_default_text(one), schema_default_text(other)) == 0;
    }
    /* Numbers are compared by their bits. */
    return one->fallback.as.integer == other->fallback.as.integer;
}
