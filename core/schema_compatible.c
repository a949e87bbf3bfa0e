/* Whether one schema can take another's place: see schema.h. */
#include <inttypes.h>

#include "core/schema.h"
#include "core/schema_fault.h"
#include "core/schema_field.h"

static const char *kind_name(fabric_field_kind_t kind)
{
    switch (kind) {
    case FABRIC_FIELD_BOOL:
        return "bool";
    case FABRIC_FIELD_I32:
        return "i32";
    case FABRIC_FIELD_I64:
        return "i64";
    case FABRIC_FIELD_U32:
        return "u32";
    case FABRIC_FIELD_U64:
        return "u64";
    case FABRIC_FIELD_F64:
        return "f64";
    case FABRIC_FIELD_STRING:
        return "string";
    case FABRIC_FIELD_BYTES:
        return "bytes";
    case FABRIC_FIELD_STRUCT:
        return "struct";
    case FABRIC_FIELD_LIST:
        return "list";
    case FABRIC_FIELD_ENUM:
        return "enum";
    case FABRIC_FIELD_TIMESTAMP:
        return "timestamp";
    case FABRIC_FIELD_MAP:
        return "map";
    case FABRIC_FIELD_UNION:
        return "union";
    }
    return "?";
}

static bool compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                       const schema_path_t *path, fabric_schema_fault_t *fault);

/* Choices may be added; none may go, or get another number. */
static bool choices_compatible(const fabric_field_t *before, const fabric_field_t *after,
                               const schema_path_t *path, fabric_schema_fault_t *fault)
{
    for (size_t i = 0; i < before->choices->count; i++) {
        const fabric_choice_t *old = &before->choices->items[i];
        const fabric_choice_t *now = schema_choice(after->choices, old->number);
        if (!now || strcmp(now->name, old->name) != 0) {
            (void)schema_fault(fault, path, after->name,
                               "expected %.40s with the number %" PRId32 " as before, found %.40s",
                               old->name, old->number, now ? now->name : "none");
            return false;
        }
        schema_path_t field = {path, after->name, 0};
        schema_path_t variant = {&field, now->name, 0};
        if (old->schema && !compatible(old->schema, now->schema, &variant, fault)) {
            return false;
        }
    }
    return true;
}

/* A payload that lacks the field must mean what it meant. */
static bool lack_compatible(const fabric_field_t *before, const fabric_field_t *after,
                            const schema_path_t *path, fabric_schema_fault_t *fault)
{
    if (before->optional && !schema_may_lack(after)) {
        (void)schema_fault(fault, path, after->name,
                           "expected an optional field as before, found one that must be there");
        return false;
    }
    if (before->fallback.given && (!after->fallback.given || !schema_default_same(before, after))) {
        (void)schema_fault(fault, path, after->name, "expected the default as before, found %s",
                           after->fallback.given ? "another one" : "none");
        return false;
    }
    return true;
}

static const char *element_name(const fabric_field_t *list)
{
    return kind_name(list->element ? list->element : FABRIC_FIELD_STRUCT);
}

static bool max_compatible(uint32_t before, uint32_t after, const char *what, const char *name,
                           const schema_path_t *path, fabric_schema_fault_t *fault)
{
    if (after < before && before == FABRIC_ANY_LENGTH) {
        (void)schema_fault(fault, path, name,
                           "expected %s length without a maximum as before, found %" PRIu32, what,
                           after);
    } else if (after < before) {
        (void)schema_fault(fault, path, name,
                           "expected %s maximum of at least %" PRIu32 " as before, found %" PRIu32,
                           what, before, after);
    }
    return after >= before;
}

static bool field_compatible(const fabric_field_t *before, const fabric_field_t *after,
                             const schema_path_t *path, fabric_schema_fault_t *fault)
{
    if (after->kind != before->kind) {
        (void)schema_fault(fault, path, after->name, "expected kind %s as before, found %s",
                           kind_name(before->kind), kind_name(after->kind));
        return false;
    }
    if (!max_compatible(before->max, after->max, "a", after->name, path, fault)) {
        return false;
    }
    if (after->element != before->element) {
        (void)schema_fault(fault, path, after->name, "expected a list of %s as before, found %s",
                           element_name(before), element_name(after));
        return false;
    }
    if (!max_compatible(before->element_max, after->element_max, "elements with a", after->name,
                        path, fault)) {
        return false;
    }
    if (!lack_compatible(before, after, path, fault) ||
        (schema_has_choices(before) && !choices_compatible(before, after, path, fault))) {
        return false;
    }
    schema_path_t inner = {path, after->name, 0};
    return !schema_has_schema(before) || compatible(before->schema, after->schema, &inner, fault);
}

static bool compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                       const schema_path_t *path, fabric_schema_fault_t *fault)
{
    for (size_t i = 0; i < before->field_count; i++) {
        if (i >= after->field_count) {
            (void)schema_fault(fault, path, before->fields[i].name,
                               "expected a field as before, found none");
            return false;
        }
        if (!field_compatible(&before->fields[i], &after->fields[i], path, fault)) {
            return false;
        }
    }
    for (size_t i = before->field_count; i < after->field_count; i++) {
        if (!schema_may_lack(&after->fields[i])) {
            (void)schema_fault(
                fault, path, after->fields[i].name,
                "expected a new field to be optional or to have a default, found one that "
                "must be there");
            return false;
        }
    }
    return true;
}

fabric_error_t schema_compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                                 fabric_schema_fault_t *fault)
{
    schema_path_t path = {NULL, after->name, 0};
    return compatible(before, after, &path, fault) ? FABRIC_OK : FABRIC_ERROR_TYPE_CONFLICT;
}
