/* fabricctl entity events: how events are printed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/event_print.h"

typedef struct deposited {
    int64_t amount;
    uint64_t receipt;
} deposited_t;
static const fabric_field_t deposited_fields[] = {FABRIC_I64(deposited_t, amount),
                                                  FABRIC_U64(deposited_t, receipt)};
static const fabric_schema_t deposited_schema =
    FABRIC_SCHEMA("Deposited", deposited_t, deposited_fields);

static fabric_entity_event_t event_with(fabric_bytes_t tag, fabric_bytes_t payload)
{
    return (fabric_entity_event_t){.sequence = 12,
                                   .tag = tag,
                                   .version = 3,
                                   .recorded_ms = 1764442800123,
                                   .request_id = 99,
                                   .payload = payload};
}

static void expect_printed(fabric_entity_event_t event, const fabric_schema_t *schema, bool json,
                           const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    cli_event_print(&event, schema, json, file);
    fclose(file);
    assert_string_equal(text, expected);
    if (json) {
        json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(object);
        json_decref(object);
    }
    free(text);
}

static void an_event_is_printed_by_its_schema(void **state)
{
    (void)state;
    /* 5, and 2^63 */
    fabric_bytes_t payload = fabric_bytes("\x92\x05\xcf\x80\0\0\0\0\0\0\0", 11);
    fabric_entity_event_t event = event_with(fabric_bytes_of("Deposited"), payload);
    expect_printed(event, &deposited_schema, false,
                   "12  2025-11-29T19:00:00.123Z  Deposited 3  {\"amount\": 5, \"receipt\": "
                   "\"9223372036854775808\"}\n");
    expect_printed(event, &deposited_schema, true,
                   "{\"sequence\": 12, \"recorded_at\": \"2025-11-29T19:00:00.123Z\", "
                   "\"recorded_ms\": 1764442800123, \"request_id\": 99, \"tag\": \"Deposited\", "
                   "\"version\": 3, \"event\": {\"amount\": 5, \"receipt\": "
                   "\"9223372036854775808\"}}\n");
}

static void without_a_schema_bytes_are_printed(void **state)
{
    (void)state;
    fabric_entity_event_t event =
        event_with(fabric_bytes_of("Deposited"), fabric_bytes("\x91\xab", 2));
    for (int i = 0; i < 2; i++) { /* there is none, or the payload does not fit it */
        const fabric_schema_t *schema = i == 0 ? NULL : &deposited_schema;
        expect_printed(event, schema, false, "12  2025-11-29T19:00:00.123Z  Deposited 3  0x91ab\n");
        expect_printed(event, schema, true,
                       "{\"sequence\": 12, \"recorded_at\": \"2025-11-29T19:00:00.123Z\", "
                       "\"recorded_ms\": 1764442800123, \"request_id\": 99, "
                       "\"tag\": \"Deposited\", \"version\": 3, \"event\": null, "
                       "\"payload\": \"91ab\"}\n");
    }
}

static void a_tag_cannot_harm_a_terminal(void **state)
{
    (void)state;
    fabric_entity_event_t event = event_with(fabric_bytes("a\x1b\"\xff", 4), fabric_bytes("", 0));
    expect_printed(event, NULL, false, "12  2025-11-29T19:00:00.123Z  a\\x1b\"\\xff 3  0x\n");
    expect_printed(event, NULL, true,
                   "{\"sequence\": 12, \"recorded_at\": \"2025-11-29T19:00:00.123Z\", "
                   "\"recorded_ms\": 1764442800123, \"request_id\": 99, "
                   "\"tag\": \"a\\\\x1b\\\"\\\\xff\", \"version\": 3, \"event\": null, "
                   "\"payload\": \"\"}\n");
}

static void a_gap_is_said(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    cli_event_print_lost(5, 7, false, file);
    cli_event_print_lost(5, 7, true, file);
    fclose(file);
    assert_string_equal(text, "5 to 7 are lost: the record that had them is damaged\n"
                              "{\"lost\": {\"first\": 5, \"last\": 7}}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_printed_by_its_schema),
        cmocka_unit_test(without_a_schema_bytes_are_printed),
        cmocka_unit_test(a_tag_cannot_harm_a_terminal),
        cmocka_unit_test(a_gap_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
