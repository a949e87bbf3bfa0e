/* Documents: msgpack values of no fixed form as JSON. */
#include "core/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/wire.h"
#include "tests/harness/vectors.h"

static void assert_json(wire_writer_t *writer, const char *expected)
{
    char *json = NULL;
    assert_int_equal(document_to_json(wire_writer_bytes(writer), &json), FABRIC_OK);
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    char *compact = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(compact, expected);
    free(compact);
    json_decref(value);
    free(json);
    wire_writer_destroy(writer);
}

static void every_kind_of_value_is_shown(void **state)
{
    (void)state;
    wire_writer_t writer = {0};
    wire_put_map(&writer, 11);
    wire_put_text(&writer, "nil");
    wire_put_nil(&writer);
    wire_put_text(&writer, "bool");
    wire_put_bool(&writer, true);
    wire_put_text(&writer, "uint");
    wire_put_uint(&writer, 9007199254740993u);
    wire_put_text(&writer, "huge");
    wire_put_uint(&writer, UINT64_MAX);
    wire_put_text(&writer, "int");
    wire_put_int(&writer, INT64_MIN);
    wire_put_text(&writer, "double");
    wire_put_double(&writer, 0.5);
    wire_put_text(&writer, "str");
    wire_put_text(&writer, "\xe2\x82\xac");
    wire_put_text(&writer, "bin");
    wire_put_bin(&writer, fabric_bytes("\x00\x9f\xff", 3));
    wire_put_text(&writer, "array");
    wire_put_array(&writer, 2);
    wire_put_array(&writer, 0);
    wire_put_map(&writer, 0);
    wire_put_int(&writer, -5);
    wire_put_nil(&writer);
    wire_put_bin(&writer, fabric_bytes("\xab", 1));
    wire_put_bool(&writer, false);
    assert_json(&writer, "{\"nil\":null,\"bool\":true,\"uint\":9007199254740993,"
                         "\"huge\":\"18446744073709551615\",\"int\":-9223372036854775808,"
                         "\"double\":0.5,\"str\":\"\xe2\x82\xac\",\"bin\":\"009fff\","
                         "\"array\":[[],{}],\"-5\":null,\"ab\":false}");
}

static void a_single_value_is_a_document(void **state)
{
    (void)state;
    wire_writer_t writer = {0};
    wire_put_uint(&writer, 7);
    assert_json(&writer, "7");
    wire_put_text(&writer, "");
    assert_json(&writer, "\"\"");
}

static void check_value(const vector_t *vector, void *context)
{
    (void)context;
    char *json = NULL;
    fabric_error_t error = document_to_json(vector->bytes, &json);
    if (vector->valid) {
        assert_int_equal(error, FABRIC_OK);
        assert_non_null(json);
    } else {
        assert_string_equal(fabric_error_name(error), vector->expected);
        assert_null(json);
    }
    free(json);
}

static void values_are_shown_or_refused(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/values.txt", check_value, NULL);
}

static void assert_refused(const char *bytes, size_t size, fabric_error_t expected)
{
    char *json = NULL;
    assert_int_equal(document_to_json(fabric_bytes(bytes, size), &json), expected);
    assert_null(json);
}

static void what_json_cannot_hold_is_refused(void **state)
{
    (void)state;
    assert_refused("\xa1\xff", 2, FABRIC_ERROR_MALFORMED_MESSAGE);         /* not UTF-8 */
    assert_refused("\xa1\x00", 2, FABRIC_ERROR_MALFORMED_MESSAGE);         /* NUL */
    assert_refused("\x81\xa1\x00\xc0", 4, FABRIC_ERROR_MALFORMED_MESSAGE); /* NUL in a key */
    assert_refused("\x81\xc0\xc0", 3, FABRIC_ERROR_MALFORMED_MESSAGE);     /* nil as a key */
    assert_refused("\x81\x90\xc0", 3, FABRIC_ERROR_MALFORMED_MESSAGE);     /* array as a key */
    assert_refused("\x82\xa1\x61\xc0\xa1\x61\xc0", 7, FABRIC_ERROR_MALFORMED_MESSAGE); /* twice */
    assert_refused("\x82\x05\xc0\xa1\x35\xc0", 6, FABRIC_ERROR_MALFORMED_MESSAGE); /* 5 and "5" */
    assert_refused("\x81\xa1\x61", 3, FABRIC_ERROR_MALFORMED_MESSAGE);             /* cut off */
}

static void a_document_has_a_limit(void **state)
{
    (void)state;
    size_t size = LIMIT_FRAME_BYTES_MAX + 1;
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    assert_refused(bytes, size, FABRIC_ERROR_LIMIT_EXCEEDED);
    memset(bytes, 0x91, size);
    assert_refused(bytes, size - 1, FABRIC_ERROR_MALFORMED_MESSAGE);
    free(bytes);
}

static void damaged_documents_do_no_harm(void **state)
{
    (void)state;
    srand(20250101);
    for (int round = 0; round < 50000; round++) {
        size_t size = 1 + (size_t)rand() % 40;
        uint8_t *bytes = malloc(size);
        assert_non_null(bytes);
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(rand() % 3 ? 0x80 | rand() % 0x24 : rand());
        }
        char *json = NULL;
        if (document_to_json(fabric_bytes(bytes, size), &json) == FABRIC_OK) {
            json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
            assert_non_null(value);
            json_decref(value);
        }
        free(json);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_shown),
        cmocka_unit_test(a_single_value_is_a_document),
        cmocka_unit_test(values_are_shown_or_refused),
        cmocka_unit_test(what_json_cannot_hold_is_refused),
        cmocka_unit_test(a_document_has_a_limit),
        cmocka_unit_test(damaged_documents_do_no_harm),
    };
    return cmocka_run_group_tests_name("core_document", tests, NULL, NULL);
}
