/* Schemas and JSON: the payloads of schemas/vectors/ in both directions, base64, and the texts of
 * faults. */
#include "core/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/json_text.h"
#include "core/limits.h"
#include "tests/unit/samples.h"
#include "tests/harness/vectors.h"

static void check_json(const fabric_schema_t *schema, const vector_t *vector)
{
    char *text = NULL;
    uint8_t *payload = NULL;
    size_t size = 0;
    fabric_schema_fault_t fault = {{0}};
    fabric_error_t error = fabric_schema_to_json(schema, vector->bytes, &fault, &text);
    if (!vector->valid) {
        assert_string_equal(fabric_error_name(error), vector->expected);
        assert_null(text);
        return;
    }
    assert_int_equal(error, FABRIC_OK);
    json_t *expected = json_loads(vector->expected, 0, NULL);
    json_t *got = json_loads(text, 0, NULL);
    assert_non_null(expected);
    assert_non_null(got);
    assert_true(json_equal(expected, got));
    json_decref(expected);
    json_decref(got);
    assert_int_equal(fabric_schema_from_json(schema, text, &fault, &payload, &size), FABRIC_OK);
    free(text);
    bool other = strstr(vector->name, "wide_integer") || strstr(vector->name, "optional_nil") ||
                 strstr(vector->name, "float_32") || strstr(vector->name, "double_as_integer") ||
                 strstr(vector->name, "defaults_");
    assert_int_equal(!other, fabric_bytes_equal(fabric_bytes(payload, size), vector->bytes));
    free(payload);
}

static void visit(const vector_t *vector, void *context)
{
    (void)context;
    char name[64];
    assert_int_equal(sscanf(vector->name, "%63[^/]", name), 1);
    const fabric_schema_t *schema = sample_schema(name);
    if (schema) {
        check_json(schema, vector);
    }
}

static void payloads_become_json_and_payloads_again(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/payloads.txt", visit, NULL);
}

static void json_keeps_the_order_of_fields(void **state)
{
    (void)state;
    uint8_t *payload = NULL;
    size_t size = 0;
    char *text = NULL;
    assert_int_equal(fabric_schema_from_json(&item_schema, " {\"quantity\": 3, \"sku\": \"a\"} ",
                                             NULL, &payload, &size),
                     FABRIC_OK);
    assert_int_equal(fabric_schema_to_json(&item_schema, fabric_bytes(payload, size), NULL, &text),
                     FABRIC_OK);
    assert_string_equal(text, "{\"sku\": \"a\", \"quantity\": 3}");
    free(text);
    free(payload);
}

/* The member `name` of the sample All, given as `value`, and the JSON that fabric_schema_to_json
 * makes of the payload. */
static void assert_through(const char *name, const char *value, const char *expected)
{
    char json[600];
    char *text = NULL;
    uint8_t *payload = NULL;
    size_t size = 0;
    fabric_schema_fault_t fault = {{0}};
    json_t *all =
        json_loads("{\"flag\":true,\"small\":0,\"large\":0,\"count\":0,\"huge\":0,\"ratio\":0,"
                   "\"name\":\"\",\"blob\":\"\",\"item\":{\"sku\":\"\",\"quantity\":0},"
                   "\"items\":[]}",
                   0, NULL);
    json_t *given = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(given);
    assert_int_equal(json_object_set_new(all, name, given), 0);
    assert_true(json_dumpb(all, json, sizeof json - 1, 0) < sizeof json - 1);
    json[json_dumpb(all, json, sizeof json - 1, 0)] = '\0';
    json_decref(all);
    if (fabric_schema_from_json(&all_schema, json, &fault, &payload, &size) != FABRIC_OK) {
        assert_string_equal(fault.text, expected);
        assert_null(payload);
        return;
    }
    assert_int_equal(fabric_schema_to_json(&all_schema, fabric_bytes(payload, size), NULL, &text),
                     FABRIC_OK);
    json_t *got = json_loads(text, 0, NULL);
    json_t *printed = json_object_get(got, name);
    char *member = printed ? json_text(printed, 0) : strdup("absent");
    assert_string_equal(member, expected);
    free(member);
    json_decref(got);
    free(text);
    free(payload);
}

static void integers_keep_every_digit(void **state)
{
    (void)state;
    assert_through("large", "9007199254740993", "9007199254740993");
    assert_through("large", "\"9007199254740993\"", "9007199254740993");
    assert_through("large", "9223372036854775807", "9223372036854775807");
    assert_through("large", "-9223372036854775808", "-9223372036854775808");
    assert_through("large", "\"-9223372036854775808\"", "-9223372036854775808");
    assert_through("large", "\"-5\"", "-5");
    assert_through("huge", "9223372036854775807", "9223372036854775807");
    assert_through("huge", "\"9223372036854775808\"", "\"9223372036854775808\"");
    assert_through("huge", "\"18446744073709551615\"", "\"18446744073709551615\"");
    assert_through("maybe", "null", "absent");
    assert_through("maybe", "-7", "-7");
    assert_through("ratio", "3", "3.0");
    assert_through("ratio", "0.1", "0.1");
    assert_through("blob", "\"AAH/gA==\"", "\"AAH/gA==\"");
}

#define I64_EXPECTED "expected a number from -9223372036854775808 to 9223372036854775807, found "
#define U64_EXPECTED "expected a number from 0 to 18446744073709551615, found "

static void wrong_members_are_refused(void **state)
{
    (void)state;
    assert_through("large", "\"9223372036854775808\"", "large: " I64_EXPECTED "a string");
    assert_through("large", "\"-9223372036854775809\"", "large: " I64_EXPECTED "a string");
    assert_through("large", "\"\"", "large: " I64_EXPECTED "a string");
    assert_through("large", "\"1 \"", "large: " I64_EXPECTED "a string");
    assert_through("large", "1.0", "large: " I64_EXPECTED "a number with a fraction or exponent");
    assert_through("huge", "-1", "huge: " U64_EXPECTED "-1");
    assert_through("huge", "\"-1\"", "huge: " U64_EXPECTED "a string");
    assert_through("huge", "\"18446744073709551616\"", "huge: " U64_EXPECTED "a string");
    assert_through("huge", "true", "huge: " U64_EXPECTED "true");
    assert_through("count", "4294967296",
                   "count: expected a number from 0 to 4294967295, found 4294967296");
    assert_through("count", "\"5\"",
                   "count: expected a number from 0 to 4294967295, found a string");
    assert_through("small", "-2147483649",
                   "small: expected a number from -2147483648 to 2147483647, found -2147483649");
    assert_through("flag", "null", "flag: expected true or false, found null");
    assert_through("flag", "1", "flag: expected true or false, found 1");
    assert_through("ratio", "\"1\"", "ratio: expected a finite number, found a string");
    assert_through("name", "\"12345678901234567\"",
                   "name: expected a string of at most 16 bytes, found a string of 17 bytes");
    assert_through("name", "[]", "name: expected a string of at most 16 bytes, found an array");
    assert_through("blob", "\"AAECAwQ=\"", "blob: expected base64 of at most 4 bytes, found more");
    assert_through("blob", "\"AA\"",
                   "blob: expected base64 of at most 4 bytes, found a string that is not base64");
    assert_through("item", "5", "item: expected an object (Item), found a number");
    assert_through("items", "{}", "items: expected a list of at most 2, found an object");
    assert_through("items", "[{},{},{}]", "items: expected a list of at most 2, found more");
    assert_through("items", "[{\"sku\":\"a\",\"quantity\":1},{\"sku\":\"b\"}]",
                   "items[1].quantity: expected a number from 0 to 4294967295, found nothing");
    assert_through("items", "[{\"sku\":\"a\",\"quantity\":1,\"qantity\":1}]",
                   "items[0].qantity: Item has no such field");
    assert_through("itme", "5", "itme: All has no such field");
}

static void what_is_no_object_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "Item: expected JSON: line 1: "},
        {"{\"sku\":\"a\",", "Item: expected JSON: line 1: "},
        {"{\"sku\":\"a\",\"sku\":\"b\",\"quantity\":1}", "Item: expected JSON: line 1: duplicate"},
        {"{\"sku\":\"a\\u0000\",\"quantity\":1}", "Item: expected JSON: line 1: "},
        {"{\"sku\":\"\xff\",\"quantity\":1}", "Item: expected JSON: line 1: "},
        {"{\"sku\":\"a\",\"quantity\":18446744073709551616}",
         "quantity: expected a number from 0 to 4294967295, found 18446744073709551616"},
        {"{\"sku\":\"\\u0000\",\"quantity\":18446744073709551616}",
         "Item: expected JSON: line 1: "},
        {"{\"sku\":18446744073709551616,\"quantity\":1}",
         "sku: expected a string of at most 12 bytes, found 18446744073709551616"},
        {"{18446744073709551616:1}", "Item: expected JSON: line 1: "},
        {"{\"sku\":\"a\",\"quantity\":1e999}", "Item: expected JSON: line 1: "},
        {"18446744073709551616", "Item: expected an object (Item), found a number"},
        {"[]", "Item: expected an object (Item), found an array"},
        {"null", "Item: expected an object (Item), found null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *payload = NULL;
        size_t size = 0;
        fabric_schema_fault_t fault;
        assert_int_equal(
            fabric_schema_from_json(&item_schema, cases[i][0], &fault, &payload, &size),
            FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_null(payload);
        assert_memory_equal(fault.text, cases[i][1], strlen(cases[i][1]));
    }
}

static void a_payload_from_json_has_a_limit(void **state)
{
    (void)state;
    typedef struct large {
        char text[LIMIT_PAYLOAD_BYTES_MAX + 1];
    } large_t;
    static const fabric_field_t fields[] = {FABRIC_STRING(large_t, text)};
    static const fabric_schema_t schema = FABRIC_SCHEMA("Large", large_t, fields);
    char *json = malloc(sizeof(large_t) + 20);
    assert_non_null(json);
    for (size_t size = LIMIT_PAYLOAD_BYTES_MAX - 6; size < LIMIT_PAYLOAD_BYTES_MAX; size++) {
        int used = sprintf(json, "{\"text\":\"");
        memset(json + used, 'x', size);
        (void)strcpy(json + used + size, "\"}");
        uint8_t *payload = NULL;
        size_t payload_size = 0;
        bool fits = size + 6 <= LIMIT_PAYLOAD_BYTES_MAX;
        assert_int_equal(fabric_schema_from_json(&schema, json, NULL, &payload, &payload_size),
                         fits ? FABRIC_OK : FABRIC_ERROR_LIMIT_EXCEEDED);
        assert_int_equal(payload != NULL, fits);
        free(payload);
    }
    free(json);
}

static void base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff\xbf", "+/+/"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16];
        uint8_t bytes[16];
        size_t size = 0;
        fabric_bytes_t plain = fabric_bytes_of(cases[i][0]);
        base64_encode(plain, text);
        assert_string_equal(text, cases[i][1]);
        assert_int_equal(strlen(text), base64_size(plain.size));
        assert_true(base64_decode(fabric_bytes_of(text), bytes, &size));
        assert_true(fabric_bytes_equal(fabric_bytes(bytes, size), plain));
    }
    static const char *const wrong[] = {"Z",    "Zg",       "Zg=",       "Zh==",  "Zm9=",
                                        "====", "Z===",     "Zg=v",      "Zm9v=", "Zm-v",
                                        "Zm v", "Zg==Zg==", "Zm9v\nZg=", "=m9v"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t bytes[16];
        size_t size = 0;
        if (base64_decode(fabric_bytes_of(wrong[i]), bytes, &size)) {
            fail_msg("%s was decoded", wrong[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_become_json_and_payloads_again),
        cmocka_unit_test(json_keeps_the_order_of_fields),
        cmocka_unit_test(integers_keep_every_digit),
        cmocka_unit_test(wrong_members_are_refused),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(a_payload_from_json_has_a_limit),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
    };
    return cmocka_run_group_tests_name("core_schema_json", tests, NULL, NULL);
}
