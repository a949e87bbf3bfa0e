/* Payloads under a schema: see payload.h. */
#include "tests/fuzz/payload.h"

#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/schema_field.h"
#include "core/schema_memory.h"

static void *struct_new(const fabric_schema_t *schema)
{
    void *value = malloc(schema->size ? schema->size : 1);
    assert_non_null(value);
    memset(value, 0xa5, schema->size);
    return value;
}

/* Structs with views are equal if their payloads are. */
static void expect_same(const fabric_schema_t *schema, const void *value, const void *other)
{
    static uint8_t encoded[2][LIMIT_PAYLOAD_BYTES_MAX];
    size_t sizes[2] = {0, 0};
    if (!schema_has_views(schema)) {
        assert_memory_equal(value, other, schema->size);
        return;
    }
    assert_int_equal(
        fabric_schema_encode(schema, value, encoded[0], sizeof encoded[0], NULL, &sizes[0]),
        FABRIC_OK);
    assert_int_equal(
        fabric_schema_encode(schema, other, encoded[1], sizeof encoded[1], NULL, &sizes[1]),
        FABRIC_OK);
    assert_true(
        fabric_bytes_equal(fabric_bytes(encoded[0], sizes[0]), fabric_bytes(encoded[1], sizes[1])));
}

static void expect_decoded(const fabric_schema_t *schema, fabric_bytes_t payload, const void *value)
{
    void *again = struct_new(schema);
    schema_memory_t memory = {0};
    fabric_schema_fault_t fault = {""};
    if (schema_decode_growing(schema, payload, &memory, &fault, again)) {
        fail_msg("%s", fault.text);
    }
    expect_same(schema, again, value);
    schema_memory_free(&memory);
    free(again);
}

/* Memory of just the right size is enough, and less is not. */
static void check_memory(const fabric_schema_t *schema, fabric_bytes_t payload)
{
    size_t capacity = 0;
    assert_int_equal(fabric_schema_measure(schema, payload, NULL, &capacity), FABRIC_OK);
    assert_true(capacity <= LIMIT_ELEMENTS_BYTES_MAX);
    void *value = struct_new(schema);
    uint8_t *memory = malloc(capacity ? capacity : 1);
    assert_non_null(memory);
    assert_int_equal(fabric_schema_decode_in(schema, payload, memory, capacity, NULL, value),
                     FABRIC_OK);
    if (capacity > 0) {
        assert_int_equal(
            fabric_schema_decode_in(schema, payload, memory, capacity - 1, NULL, value),
            FABRIC_ERROR_LIMIT_EXCEEDED);
    }
    free(memory);
    free(value);
}

static void check_encoding(const fabric_schema_t *schema, const void *value)
{
    static uint8_t encoded[LIMIT_PAYLOAD_BYTES_MAX];
    fabric_schema_fault_t fault = {""};
    size_t size = 0;
    if (fabric_schema_encode(schema, value, encoded, sizeof encoded, &fault, &size)) {
        fail_msg("%s", fault.text);
    }
    expect_decoded(schema, fabric_bytes(encoded, size), value);
    if (size > 0) {
        size_t less = 0;
        assert_int_equal(fabric_schema_encode(schema, value, encoded, size - 1, NULL, &less),
                         FABRIC_ERROR_LIMIT_EXCEEDED);
    }
}

static void check_json(const fabric_schema_t *schema, char *json, const void *value)
{
    uint8_t *payload = NULL;
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    if (fabric_schema_from_json(schema, json, &fault, &payload, &size)) {
        fail_msg("%s: %s", fault.text, json);
    }
    expect_decoded(schema, fabric_bytes(payload, size), value);
    free(payload);
}

void payload_check(const fabric_schema_t *schema, fabric_bytes_t payload)
{
    void *value = struct_new(schema);
    char *json = NULL;
    schema_memory_t memory = {0};
    fabric_schema_fault_t checked = {""};
    fabric_schema_fault_t decoded = {""};
    fabric_schema_fault_t shown = {""};
    /* Decoding leaves out what is behind the known fields, which the check refuses. */
    fabric_error_t strict = fabric_schema_check(schema, payload, &shown);
    size_t capacity = 0;
    fabric_error_t error = fabric_schema_measure(schema, payload, &checked, &capacity);
    assert_true(strict || !error);
    bool surplus = strict && strstr(shown.text, " fields, found ");
    assert_true(surplus || strict == error);
    assert_int_equal(schema_decode_growing(schema, payload, &memory, &decoded, value), error);
    assert_int_equal(fabric_schema_to_json(schema, payload, &shown, &json), strict);
    assert_string_equal(checked.text, decoded.text);
    assert_true(surplus || strcmp(checked.text, shown.text) == 0);
    assert_true(error == FABRIC_OK || checked.text[0]);
    if (!error) {
        check_encoding(schema, value);
        check_memory(schema, payload);
        if (json) {
            check_json(schema, json, value);
        }
    }
    free(json);
    schema_memory_free(&memory);
    free(value);
}
