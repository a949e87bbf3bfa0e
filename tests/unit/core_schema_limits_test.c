/* Every integer kind at its limits and one beyond them, from JSON, from a payload and back. */
#include "core/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"

typedef union number {
    int32_t i32;
    int64_t i64;
    uint32_t u32;
    uint64_t u64;
    double f64;
} number_t;

static const fabric_field_t i32_fields[] = {FABRIC_I32(number_t, i32)};
static const fabric_field_t i64_fields[] = {FABRIC_I64(number_t, i64)};
static const fabric_field_t u32_fields[] = {FABRIC_U32(number_t, u32)};
static const fabric_field_t u64_fields[] = {FABRIC_U64(number_t, u64)};
static const fabric_field_t f64_fields[] = {FABRIC_F64(number_t, f64)};
static const fabric_schema_t i32 = FABRIC_SCHEMA("I32", number_t, i32_fields);
static const fabric_schema_t i64 = FABRIC_SCHEMA("I64", number_t, i64_fields);
static const fabric_schema_t u32 = FABRIC_SCHEMA("U32", number_t, u32_fields);
static const fabric_schema_t u64 = FABRIC_SCHEMA("U64", number_t, u64_fields);
static const fabric_schema_t f64 = FABRIC_SCHEMA("F64", number_t, f64_fields);

/* What a number is, and whether it fits. */
static const struct {
    const fabric_schema_t *schema;
    const char *digits;
    bool fits;
} cases[] = {
    {&i32, "-2147483649", false},
    {&i32, "-2147483648", true},
    {&i32, "-1", true},
    {&i32, "2147483647", true},
    {&i32, "2147483648", false},
    {&i32, "4294967295", false},
    {&i32, "-9223372036854775808", false},
    {&i32, "9223372036854775807", false},
    {&i32, "9223372036854775808", false},
    {&i32, "18446744073709551615", false},
    {&i64, "-9223372036854775809", false},
    {&i64, "-9223372036854775808", true},
    {&i64, "9223372036854775807", true},
    {&i64, "9223372036854775808", false},
    {&i64, "18446744073709551615", false},
    {&u32, "-1", false},
    {&u32, "0", true},
    {&u32, "4294967295", true},
    {&u32, "4294967296", false},
    {&u32, "9223372036854775807", false},
    {&u32, "18446744073709551615", false},
    {&u64, "-1", false},
    {&u64, "-9223372036854775808", false},
    {&u64, "0", true},
    {&u64, "9223372036854775807", true},
    {&u64, "9223372036854775808", true},
    {&u64, "18446744073709551615", true},
    {&u64, "18446744073709551616", false},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static const char *member_of(const fabric_schema_t *schema)
{
    return schema->fields[0].name;
}

static void assert_number(const fabric_schema_t *schema, fabric_bytes_t payload, const char *digits)
{
    number_t number = {0};
    char text[32] = "";
    assert_int_equal(fabric_schema_decode(schema, payload, NULL, &number), FABRIC_OK);
    if (schema == &i32) {
        snprintf(text, sizeof text, "%ld", (long)number.i32);
    } else if (schema == &i64) {
        snprintf(text, sizeof text, "%lld", (long long)number.i64);
    } else if (schema == &u32) {
        snprintf(text, sizeof text, "%lu", (unsigned long)number.u32);
    } else {
        snprintf(text, sizeof text, "%llu", (unsigned long long)number.u64);
    }
    assert_string_equal(text, digits);
}

static void from_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        const fabric_schema_t *schema = cases[i].schema;
        char json[64];
        char found[64];
        uint8_t *payload = NULL;
        size_t size = 0;
        fabric_schema_fault_t fault = {""};
        snprintf(json, sizeof json, "{\"%s\": %s}", member_of(schema), cases[i].digits);
        fabric_error_t error = fabric_schema_from_json(schema, json, &fault, &payload, &size);
        if (cases[i].fits) {
            assert_int_equal(error, FABRIC_OK);
            assert_number(schema, fabric_bytes(payload, size), cases[i].digits);
        } else {
            assert_int_equal(error, FABRIC_ERROR_MALFORMED_MESSAGE);
            assert_null(payload);
            snprintf(found, sizeof found, "found %s", cases[i].digits);
            assert_non_null(strstr(fault.text, found));
        }
        free(payload);
    }
}

/* 64-bit kinds are taken as strings of digits too, others are not. */
static void from_digits(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        const fabric_schema_t *schema = cases[i].schema;
        bool wide = schema == &i64 || schema == &u64;
        char json[64];
        uint8_t *payload = NULL;
        size_t size = 0;
        snprintf(json, sizeof json, "{\"%s\": \"%s\"}", member_of(schema), cases[i].digits);
        fabric_error_t error = fabric_schema_from_json(schema, json, NULL, &payload, &size);
        assert_int_equal(error, cases[i].fits && wide ? FABRIC_OK : FABRIC_ERROR_MALFORMED_MESSAGE);
        if (!error) {
            assert_number(schema, fabric_bytes(payload, size), cases[i].digits);
        }
        free(payload);
    }
}

/* Puts a number as short as it may be, or as msgpack's widest. */
static bool put(wire_writer_t *writer, const char *digits, bool widest)
{
    bool negative = *digits == '-';
    uint64_t magnitude = strtoull(digits + negative, NULL, 10);
    bool exists = strcmp(digits, "18446744073709551616") != 0 &&
                  (!negative || magnitude <= UINT64_C(1) << 63);
    uint64_t bits = negative ? 0 - magnitude : magnitude;
    wire_writer_reset(writer);
    wire_put_array(writer, 1);
    if (widest) {
        uint8_t bytes[9] = {negative ? 0xd3 : 0xcf};
        for (int i = 0; i < 8; i++) {
            bytes[1 + i] = (uint8_t)(bits >> (56 - 8 * i));
        }
        wire_append(writer, bytes, sizeof bytes);
    } else if (negative) {
        wire_put_int(writer, (int64_t)bits);
    } else {
        wire_put_uint(writer, magnitude);
    }
    return exists;
}

static void from_a_payload(void **state)
{
    (void)state;
    wire_writer_t writer = {0};
    for (size_t i = 0; i < 2 * (size_t)CASES; i++) {
        const fabric_schema_t *schema = cases[i / 2].schema;
        const char *digits = cases[i / 2].digits;
        fabric_error_t expected = cases[i / 2].fits ? FABRIC_OK : FABRIC_ERROR_MALFORMED_MESSAGE;
        number_t number;
        char *json = NULL;
        if (!put(&writer, digits, i % 2)) {
            continue;
        }
        fabric_bytes_t payload = wire_writer_bytes(&writer);
        assert_int_equal(fabric_schema_check(schema, payload, NULL), expected);
        assert_int_equal(fabric_schema_decode(schema, payload, NULL, &number), expected);
        assert_int_equal(fabric_schema_to_json(schema, payload, NULL, &json), expected);
        if (!expected) {
            assert_number(schema, payload, digits);
            assert_non_null(strstr(json, digits));
        }
        free(json);
    }
    wire_writer_destroy(&writer);
}

static void whole_numbers_become_real_ones(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        double value;
    } reals[] = {
        {"{\"f64\": 9223372036854775808}", 0x1p63},
        {"{\"f64\": -9223372036854775809}", -0x1p63},
        {"{\"f64\": 18446744073709551616}", 0x1p64},
        {"{\"f64\": 100000000000000000000000000000000000000000000000000}", 1e50},
    };
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++) {
        uint8_t *payload = NULL;
        size_t size = 0;
        number_t number = {0};
        assert_int_equal(fabric_schema_from_json(&f64, reals[i].json, NULL, &payload, &size),
                         FABRIC_OK);
        assert_int_equal(fabric_schema_decode(&f64, fabric_bytes(payload, size), NULL, &number),
                         FABRIC_OK);
        assert_true(number.f64 == reals[i].value);
        free(payload);
    }
}

/* Numbers within texts, and many large ones in one text. */
static void only_numbers_are_numbers(void **state)
{
    (void)state;
    typedef struct text {
        char text[64];
        uint64_t a, b;
    } text_t;
    static const fabric_field_t fields[] = {FABRIC_STRING(text_t, text), FABRIC_U64(text_t, a),
                                            FABRIC_U64(text_t, b)};
    static const fabric_schema_t schema = FABRIC_SCHEMA("Text", text_t, fields);
    uint8_t *payload = NULL;
    size_t size = 0;
    text_t text;
    assert_int_equal(fabric_schema_from_json(
                         &schema,
                         "{\"a\":18446744073709551615,\"text\":\"\\\"18446744073709551615\\\\\","
                         "\"b\":18446744073709551614}",
                         NULL, &payload, &size),
                     FABRIC_OK);
    assert_int_equal(fabric_schema_decode(&schema, fabric_bytes(payload, size), NULL, &text),
                     FABRIC_OK);
    assert_string_equal(text.text, "\"18446744073709551615\\");
    assert_true(text.a == UINT64_MAX && text.b == UINT64_MAX - 1);
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_json),
        cmocka_unit_test(from_digits),
        cmocka_unit_test(from_a_payload),
        cmocka_unit_test(whole_numbers_become_real_ones),
        cmocka_unit_test(only_numbers_are_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
