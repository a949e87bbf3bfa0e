/* Types as text and as JSON: see type_print.h. */
#include "cli/type_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "core/failures.h"
#include "core/json_text.h"
#include "core/printable.h"
#include "core/schema_field.h"
#include "core/schema_json.h"

enum { NAME_WIDTH = 24, KIND_WIDTH = 28, KIND_SIZE = 512 };

static const char *kind_name(fabric_field_kind_t kind)
{
    static const char *const names[] = {[FABRIC_FIELD_BOOL] = "bool",
                                        [FABRIC_FIELD_I32] = "i32",
                                        [FABRIC_FIELD_I64] = "i64",
                                        [FABRIC_FIELD_U32] = "u32",
                                        [FABRIC_FIELD_U64] = "u64",
                                        [FABRIC_FIELD_F64] = "f64",
                                        [FABRIC_FIELD_STRING] = "string",
                                        [FABRIC_FIELD_BYTES] = "bytes",
                                        [FABRIC_FIELD_STRUCT] = "struct",
                                        [FABRIC_FIELD_LIST] = "list",
                                        [FABRIC_FIELD_ENUM] = "enum",
                                        [FABRIC_FIELD_MAP] = "map",
                                        [FABRIC_FIELD_TIMESTAMP] = "timestamp",
                                        [FABRIC_FIELD_UNION] = "union"};
    return names[kind];
}

static bool is_wanted(const message_description_t *message, const char *tag)
{
    return !tag || strcmp(message->tag, tag) == 0;
}

/* ---- JSON ---- */

static json_t *make_schema(const fabric_schema_t *schema);

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text) {
        json_object_set_new(object, key, json_string(text));
    }
}

static void set_max(json_t *object, const char *key, fabric_field_kind_t kind, uint32_t max)
{
    if (schema_has_max(kind) && max < FABRIC_ANY_LENGTH) {
        json_object_set_new(object, key, json_integer(max));
    }
}

static json_t *make_choices(const fabric_choices_t *choices)
{
    json_t *items = json_array();
    for (size_t i = 0; i < choices->count; i++) {
        const fabric_choice_t *choice = &choices->items[i];
        json_t *item = json_pack("{s:i,s:s}", "number", choice->number, "name", choice->name);
        set_text(item, "doc", choice->doc);
        if (choice->schema) {
            json_object_set_new(item, "schema", make_schema(choice->schema));
        }
        json_array_append_new(items, item);
    }
    return json_pack("{s:s,s:o}", "name", choices->name, "items", items);
}

static json_t *make_field(const fabric_field_t *field)
{
    json_t *made =
        json_pack("{s:s,s:s,s:s,s:b}", "name", field->name, "json", schema_json_name(field), "kind",
                  kind_name(field->kind), "optional", (int)field->optional);
    set_text(made, "doc", field->doc);
    set_max(made, "max", field->kind, field->max);
    if (field->element) {
        set_text(made, "element", kind_name(field->element));
        set_max(made, "element_max", field->element, field->element_max);
    }
    if (field->fallback.given) {
        json_object_set_new(made, "default", schema_default_to_json(field));
    }
    if (schema_has_schema(field)) {
        json_object_set_new(made, "schema", make_schema(field->schema));
    }
    if (schema_has_choices(field)) {
        json_object_set_new(made, "choices", make_choices(field->choices));
    }
    return made;
}

static json_t *make_schema(const fabric_schema_t *schema)
{
    json_t *fields = json_array();
    for (size_t i = 0; i < schema->field_count; i++) {
        json_array_append_new(fields, make_field(&schema->fields[i]));
    }
    return json_pack("{s:s,s:o}", "name", schema->name, "fields", fields);
}

static json_t *make_message(const message_description_t *message)
{
    json_t *made =
        json_pack("{s:o,s:b,s:b,s:o,s:o}", "tag", cli_json_text(message->tag), "durable",
                  (int)message->durable, "has_primary_key", (int)message->has_primary_key,
                  "request", make_schema(message->request), "reply", make_schema(message->reply));
    if (message->early) {
        json_object_set_new(made, "early_delivery", json_true());
    }
    if (message->failures) {
        json_object_set_new(made, "failures", make_choices(failures_of(message->failures)));
    }
    return made;
}

void type_add_json(const type_description_t *type, const char *tag, json_t *object)
{
    json_t *messages = json_array();
    for (size_t i = 0; i < type->message_count; i++) {
        if (is_wanted(&type->messages[i], tag)) {
            json_array_append_new(messages, make_message(&type->messages[i]));
        }
    }
    json_object_set_new(object, "group", cli_json_text(type->group));
    json_object_set_new(object, "mailbox_capacity", json_integer(type->mailbox_capacity));
    json_object_set_new(object, "concurrency", json_integer(type->concurrency));
    json_object_set_new(object, "key_retention_ms",
                        type->options.key_retention_ms > 0
                            ? json_integer((json_int_t)type->options.key_retention_ms)
                            : json_null());
    json_object_set_new(object, "tells", json_boolean(type->options.tells));
    json_object_set_new(object, "messages", messages);
}

/* ---- text ---- */

static void print_fields(const fabric_schema_t *schema, unsigned indent, FILE *file);

/* One line: a name, what it is, and a line of documentation, each of which may be missing. */
static void print_line(unsigned indent, const char *name, const char *kind, const char *doc,
                       FILE *file)
{
    char safe_name[PRINTABLE_SIZE(256)];
    char safe_kind[PRINTABLE_SIZE(KIND_SIZE)];
    char safe_doc[PRINTABLE_SIZE(256)];
    printable_copy(name, safe_name, sizeof safe_name);
    printable_copy(kind, safe_kind, sizeof safe_kind);
    printable_copy(doc ? doc : "", safe_doc, sizeof safe_doc);
    int width = indent + 8 < NAME_WIDTH ? (int)(NAME_WIDTH - indent) : 8;
    bool ends = *safe_kind == '\0' && *safe_doc == '\0';
    fprintf(file, "%*s%-*s%s", (int)indent, "", ends ? 0 : width, safe_name, ends ? "" : "  ");
    fprintf(file, "%-*s%s%s\n", *safe_doc ? KIND_WIDTH : 0, safe_kind, *safe_doc ? "  " : "",
            safe_doc);
}

static void append(char *text, const char *before, const char *what)
{
    size_t size = strlen(text);
    (void)snprintf(text + size, KIND_SIZE - size, "%s%s", before, what);
}

static void append_max(char *text, uint32_t max, const char *unit)
{
    char number[48];
    if (max < FABRIC_ANY_LENGTH) {
        snprintf(number, sizeof number, "%" PRIu32 " %s", max, unit);
        append(text, ", at most ", number);
    }
}

/* What a value is: "string, at most 31 bytes", "list of Line", "enum Size". */
static void append_kind(char *text, const fabric_field_t *field)
{
    fabric_field_t element = schema_element(field);
    const fabric_schema_t *schema = schema_has_schema(field) ? field->schema : NULL;
    append(text, "", kind_name(field->kind));
    if (field->kind == FABRIC_FIELD_LIST && field->element) {
        append(text, " of ", "");
        append_kind(text, &element);
    } else if (schema && field->kind == FABRIC_FIELD_MAP) {
        append(text, " to ", "");
        append_kind(text, &schema->fields[1]);
    } else if (schema) {
        append(text, field->kind == FABRIC_FIELD_LIST ? " of " : " ", schema->name);
    } else if (schema_has_choices(field)) {
        append(text, " ", field->choices->name);
    }
    if (schema_has_max(field->kind)) {
        bool text_or_bytes =
            field->kind == FABRIC_FIELD_STRING || field->kind == FABRIC_FIELD_BYTES;
        append_max(text, field->max, text_or_bytes ? "bytes" : "elements");
    }
}

static void append_default(char *text, const fabric_field_t *field)
{
    json_t *value = schema_default_to_json(field);
    char *shown = json_text(value, 0);
    append(text, ", default ", shown);
    free(shown);
    json_decref(value);
}

static void print_choices(const fabric_choices_t *choices, unsigned indent, FILE *file)
{
    for (size_t i = 0; i < choices->count; i++) {
        const fabric_choice_t *choice = &choices->items[i];
        bool holds = choice->schema && choice->schema->field_count > 0;
        print_line(indent, choice->name, holds ? choice->schema->name : "", choice->doc, file);
        if (holds) {
            print_fields(choice->schema, indent + 2, file);
        }
    }
}

/* What a field consists of. */
static void print_parts(const fabric_field_t *field, unsigned indent, FILE *file)
{
    if (schema_has_choices(field)) {
        print_choices(field->choices, indent, file);
    } else if (field->kind == FABRIC_FIELD_MAP) {
        print_parts(&field->schema->fields[1], indent, file);
    } else if (schema_has_schema(field)) {
        print_fields(field->schema, indent, file);
    }
}

static void print_fields(const fabric_schema_t *schema, unsigned indent, FILE *file)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        char kind[KIND_SIZE] = "";
        append_kind(kind, field);
        if (field->optional) {
            append(kind, ", optional", "");
        }
        if (field->fallback.given) {
            append_default(kind, field);
        }
        print_line(indent, schema_json_name(field), kind, field->doc, file);
        print_parts(field, indent + 2, file);
    }
}

static void print_schema(const char *what, const fabric_schema_t *schema, FILE *file)
{
    print_line(2, what, schema->field_count > 0 ? schema->name : "nothing", NULL, file);
    print_fields(schema, 4, file);
}

static void print_failures(const fabric_choices_t *failures, FILE *file)
{
    if (failures) {
        print_line(2, "failures", "", NULL, file);
        print_choices(failures, 4, file);
    }
}

void type_print_messages(const type_description_t *type, const char *tag, FILE *file)
{
    for (size_t i = 0; i < type->message_count; i++) {
        const message_description_t *message = &type->messages[i];
        if (is_wanted(message, tag)) {
            fputc('\n', file);
            const char *kind = message->early     ? "durable, delivered early"
                               : message->durable ? "durable"
                                                  : "volatile";
            print_line(0, message->tag, kind, message->has_primary_key ? "has a primary key" : NULL,
                       file);
            print_schema("request", message->request, file);
            print_schema("reply", message->reply, file);
            print_failures(failures_of(message->failures), file);
        }
    }
}
