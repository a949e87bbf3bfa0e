/* Payloads under a schema: see payload.h. */
#include "tests/fuzz/payload.h"

#include <stdlib.h>
#include <string.h>

#include "core/limits.h"

static void *struct_new(const fabric_schema_t *schema)
{
    void *value = malloc(schema->size ? schema->size : 1);
    assert_non_null(value);
    memset(value, 0xa5, schema->size);
    return value;
}

static void expect_decoded(const fabric_schema_t *schema, fabric_bytes_t payload, const void *value)
{
    void *again = struct_new(schema);
    fabric_schema_fault_t fault = {""};
    if (fabric_schema_decode(schema, payload, &fault, again)) {
        fail_msg("%s", fault.text);
    }
    assert_memory_equal(again, value, schema->size);
    free(again);
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
    fabric_schema_fault_t checked = {""};
    fabric_schema_fault_t decoded = {""};
    fabric_schema_fault_t shown = {""};
    fabric_error_t error = fabric_schema_check(schema, payload, &checked);
    assert_int_equal(fabric_schema_decode(schema, payload, &decoded, value), error);
    assert_int_equal(fabric_schema_to_json(schema, payload, &shown, &json), error);
    assert_string_equal(checked.text, decoded.text);
    assert_string_equal(checked.text, shown.text);
    assert_true(error == FABRIC_OK || checked.text[0]);
    if (!error) {
        check_encoding(schema, value);
        check_json(schema, json, value);
    }
    free(json);
    free(value);
}
