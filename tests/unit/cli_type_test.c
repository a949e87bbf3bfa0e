/* fabricctl type: types as text, as JSON and as JSON Schema. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/json_schema.h"
#include "cli/type_print.h"
#include "tests/unit/samples.h"

static void fill(message_description_t *message, const char *tag, const fabric_schema_t *request)
{
    snprintf(message->tag, sizeof message->tag, "%s", tag);
    message->durable = true;
    message->request = (fabric_schema_t *)(uintptr_t)request;
    message->reply = (fabric_schema_t *)(uintptr_t)&item_schema;
}

static const fabric_choice_t failure_items[] = {
    FABRIC_VARIANT(7, "Sold", item_schema, "Somebody was faster.")};
static const fabric_choices_t failures = FABRIC_CHOICES("AllFailure", failure_items);
static const fabric_field_t failure_field = {
    .name = "failure", .kind = FABRIC_FIELD_UNION, .choices = &failures};
static const fabric_schema_t failure_schema = {"Failures", 0, &failure_field, 1};

/* A type whose messages have a request of each sample. */
static const type_description_t *sample_type(void)
{
    static message_description_t messages[6];
    static type_description_t type = {.name = "Thing",
                                      .group = "default",
                                      .mailbox_capacity = 9,
                                      .concurrency = 2,
                                      .options = {.key_retention_ms = 60000, .tells = true}};
    if (!type.messages) {
        fill(&messages[0], "All", &all_schema);
        fill(&messages[1], "Ship", &shipment_schema);
        fill(&messages[2], "Write", &document_schema);
        fill(&messages[3], "Join", &profile_schema);
        fill(&messages[4], "Ask", &fabric_schema_empty);
        fill(&messages[5], "evil\033\xff", &fabric_schema_empty);
        messages[0].failures = (fabric_schema_t *)(uintptr_t)&failure_schema;
        messages[4].durable = false;
        messages[4].has_primary_key = true;
        type.messages = messages;
        type.message_count = sizeof messages / sizeof messages[0];
    }
    return &type;
}

/* ---- JSON Schema ---- */

static const json_t *at(const json_t *value, const char *const *path)
{
    for (; *path; path++) {
        value = json_object_get(value, *path);
        if (!value) {
            fail_msg("there is no %s", *path);
        }
    }
    return value;
}

#define AT(value, ...) at(value, (const char *const[]){__VA_ARGS__, NULL})

static void expect_json(const json_t *found, const char *wanted)
{
    json_t *value = json_loads(wanted, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    if (!json_equal(found, value)) {
        char *text = json_dumps(found, JSON_ENCODE_ANY);
        fail_msg("expected %s, found %s", wanted, text);
    }
    json_decref(value);
}

static void numbers_and_texts_have_their_bounds(void **state)
{
    (void)state;
    json_t *schema = json_schema_of(&all_schema);
    const json_t *fields = AT(schema, "properties");
    expect_json(AT(schema, "additionalProperties"), "false");
    expect_json(AT(fields, "flag"), "{\"type\": \"boolean\"}");
    expect_json(AT(fields, "small"),
                "{\"type\": \"integer\", \"minimum\": -2147483648, \"maximum\": 2147483647}");
    expect_json(AT(fields, "count"),
                "{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 4294967295}");
    expect_json(AT(fields, "large"),
                "{\"type\": [\"integer\", \"string\"], \"pattern\": \"^-?[0-9]+$\"}");
    expect_json(AT(fields, "huge"),
                "{\"type\": [\"integer\", \"string\"], \"minimum\": 0, \"pattern\": \"^[0-9]+$\"}");
    expect_json(AT(fields, "ratio"), "{\"type\": \"number\"}");
    expect_json(AT(fields, "name"), "{\"type\": \"string\", \"maxLength\": 16}");
    expect_json(AT(fields, "blob"),
                "{\"type\": \"string\", \"contentEncoding\": \"base64\", \"maxLength\": 8}");
    expect_json(AT(fields, "items", "maxItems"), "2");
    expect_json(AT(fields, "items", "items", "title"), "\"Item\"");
    expect_json(AT(fields, "maybe", "anyOf"),
                "[{\"type\": [\"integer\", \"string\"], \"pattern\": \"^-?[0-9]+$\"}, "
                "{\"type\": \"null\"}]");
    json_decref(schema);
}

static void defaults_documentation_and_names_are_in_it(void **state)
{
    (void)state;
    json_t *schema = json_schema_of(&shipment_schema);
    const json_t *fields = AT(schema, "properties");
    expect_json(AT(fields, "status", "description"), "\"Where it is.\"");
    assert_int_equal(json_array_size(AT(fields, "status", "oneOf")), shipment_statuses.count);
    expect_json(AT(fields, "sentAt"), "{\"type\": \"string\", \"format\": \"date-time\"}");
    expect_json(AT(fields, "parcelCount", "default"), "1");
    expect_json(AT(fields, "serial", "default"), "\"18446744073709551615\"");
    expect_json(AT(fields, "weight", "default"), "0.5");
    expect_json(AT(fields, "due", "default"), "\"2025-01-01T00:00:00.000Z\"");
    expect_json(AT(schema, "required"), "[\"status\", \"sentAt\"]");
    json_decref(schema);
}

static void maps_unions_and_lists_are_in_it(void **state)
{
    (void)state;
    json_t *schema = json_schema_of(&profile_schema);
    const json_t *labels = AT(schema, "properties", "labels");
    expect_json(labels, "{\"type\": \"object\", \"propertyNames\": {\"maxLength\": 8}, "
                        "\"additionalProperties\": {\"type\": \"string\", \"maxLength\": 16}, "
                        "\"maxProperties\": 3}");
    json_t *document = json_schema_of(&document_schema);
    expect_json(AT(document, "properties", "words"),
                "{\"type\": \"array\", \"items\": {\"type\": \"string\"}}");
    expect_json(AT(document, "properties", "tags", "items"),
                "{\"type\": \"string\", \"maxLength\": 8}");
    json_decref(document);
    json_decref(schema);
}

static void documents_define_all_messages(void **state)
{
    (void)state;
    const type_description_t *type = sample_type();
    type_description_t *const types[] = {NULL, (type_description_t *)(uintptr_t)type};
    json_t *all = json_schema_of_types(types, 2);
    assert_int_equal(json_object_size(AT(all, "$defs")), 2 * type->message_count + 1);
    expect_json(AT(all, "$defs", "Thing.All.failure", "title"), "\"AllFailure\"");
    expect_json(AT(all, "$defs", "Thing.All.reply", "title"), "\"Item\"");
    expect_json(AT(all, "$defs", "Thing.Ask.request", "properties"), "{}");
    AT(all, "$defs", "Thing.evil\\x1b\\xff.request");
    json_decref(all);
    json_t *one = json_schema_of_message(type, &type->messages[0]);
    expect_json(AT(one, "$schema"), "\"https://json-schema.org/draft/2020-12/schema\"");
    expect_json(AT(one, "title"), "\"Thing All\"");
    AT(one, "properties", "flag");
    expect_json(AT(one, "$defs", "reply", "title"), "\"Item\"");
    const json_t *sold = json_array_get(AT(one, "$defs", "failure", "oneOf"), 0);
    expect_json(AT(sold, "properties", "Sold", "title"), "\"Item\"");
    expect_json(AT(sold, "required"), "[\"Sold\"]");
    json_decref(one);
}

/* ---- text and JSON ---- */

static char *print(const char *tag)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    type_print_messages(sample_type(), tag, file);
    fclose(file);
    return text;
}

static void expect_line(const char *text, const char *line)
{
    if (!strstr(text, line)) {
        fail_msg("'%s' is not in:\n%s", line, text);
    }
}

static void text_shows_fields_with_their_documentation(void **state)
{
    (void)state;
    char *text = print(NULL);
    expect_line(text, "\nShip                      durable\n");
    expect_line(text, "    status                enum Status                   Where it is.\n");
    expect_line(text, "parcelCount           u32, default 1                How many parcels");
    expect_line(text, "    currency              string, at most 3 bytes, default \"EUR\"\n");
    expect_line(text, "    serial                u64, default \"18446744073709551615\"\n");
    expect_line(text, "    blob                  bytes, at most 4 bytes\n");
    expect_line(text, "    items                 list of Item, at most 2 elements\n"
                      "      sku                 string, at most 12 bytes\n");
    expect_line(text, "    tags                  list of string, at most 8 bytes, at most 3 ");
    expect_line(text, "    labels                map to string, at most 16 bytes, at most 3 ");
    expect_line(text,
                "\nAsk                       volatile                      has a primary key\n"
                "  request                 nothing\n");
    expect_line(text, "evil\\x1b\\xff");
    expect_line(text,
                "  failures\n    Sold                  Item                          Somebody ");
    free(text);
    text = print("Ask");
    assert_null(strstr(text, "Ship"));
    free(text);
}

static void json_has_all_that_a_description_has(void **state)
{
    (void)state;
    json_t *object = json_object();
    type_add_json(sample_type(), "Ship", object);
    expect_json(AT(object, "group"), "\"default\"");
    expect_json(AT(object, "mailbox_capacity"), "9");
    expect_json(AT(object, "concurrency"), "2");
    expect_json(AT(object, "key_retention_ms"), "60000");
    expect_json(AT(object, "tells"), "true");
    assert_int_equal(json_array_size(AT(object, "messages")), 1);
    const json_t *message = json_array_get(AT(object, "messages"), 0);
    expect_json(AT(message, "durable"), "true");
    const json_t *fields = AT(message, "request", "fields");
    expect_json(cli_find(fields, "name", "parcels"),
                "{\"name\": \"parcels\", \"json\": \"parcelCount\", \"kind\": \"u32\", "
                "\"optional\": false, \"doc\": \"How many parcels there are.\", \"default\": 1}");
    const json_t *status = cli_find(fields, "name", "status");
    assert_int_equal(json_array_size(AT(status, "choices", "items")), shipment_statuses.count);
    expect_json(AT(cli_find(fields, "name", "name"), "max"), "8");
    expect_json(AT(cli_find(fields, "name", "items"), "schema", "name"), "\"Item\"");
    assert_null(json_object_get(message, "failures"));
    type_add_json(sample_type(), "All", object);
    const json_t *failing = json_array_get(AT(object, "messages"), 0);
    const json_t *sold = json_array_get(AT(failing, "failures", "items"), 0);
    expect_json(AT(sold, "number"), "7");
    expect_json(AT(sold, "schema", "name"), "\"Item\"");
    json_decref(object);
}

static void rows_name_runners_messages_and_what_waits(void **state)
{
    (void)state;
    type_description_t *const types[] = {(type_description_t *)(uintptr_t)sample_type(), NULL};
    json_t *merged = json_loads(
        "{\"runners\": [{\"incarnation\": \"aa\", \"name\": \"one\"}], \"types\": ["
        "{\"name\": \"Thing\", \"group\": \"default\", \"runners\": [\"aa\", \"bb\"], "
        "\"waiting\": 3}, "
        "{\"name\": \"Gone\", \"group\": \"default\", \"runners\": [], \"waiting\": 0}]}",
        0, NULL);
    json_t *rows = cli_type_rows(merged, types);
    expect_json(rows, "[{\"name\": \"Thing\", \"group\": \"default\", \"runners\": "
                      "[\"one\", \"bb\"], \"waiting\": 3, \"messages\": [\"All\", \"Ship\", "
                      "\"Write\", \"Join\", \"Ask\", \"evil\\\\x1b\\\\xff\"]}, "
                      "{\"name\": \"Gone\", \"group\": \"default\", \"runners\": [], "
                      "\"waiting\": 0, \"messages\": []}]");
    json_decref(rows);
    json_decref(merged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_texts_have_their_bounds),
        cmocka_unit_test(defaults_documentation_and_names_are_in_it),
        cmocka_unit_test(maps_unions_and_lists_are_in_it),
        cmocka_unit_test(documents_define_all_messages),
        cmocka_unit_test(text_shows_fields_with_their_documentation),
        cmocka_unit_test(json_has_all_that_a_description_has),
        cmocka_unit_test(rows_name_runners_messages_and_what_waits),
    };
    return cmocka_run_group_tests_name("type", tests, NULL, NULL);
}
