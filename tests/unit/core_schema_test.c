/* Schemas: structs to payloads and back, the payloads of schemas/vectors/, and the texts of
 * faults. */
#include "core/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/schema_memory.h"
#include "core/utf8.h"
#include "tests/unit/samples.h"
#include "tests/harness/vectors.h"

static uint8_t *copy_of(fabric_bytes_t bytes)
{
    uint8_t *copy = malloc(bytes.size ? bytes.size : 1);
    assert_non_null(copy);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return copy;
}

static all_t sample_all(void)
{
    all_t all;
    memset(&all, 0xee, sizeof all); /* what lies behind strings and counts must not matter */
    all.flag = true;
    all.small = INT32_MIN;
    all.large = INT64_MIN;
    all.count = UINT32_MAX;
    all.huge = UINT64_MAX;
    all.ratio = 0.5;
    (void)strcpy(all.name, "sixteen letters.");
    all.blob.size = 3;
    (void)strcpy(all.item.sku, "apple");
    all.item.quantity = 3;
    all.items_count = 1;
    all.items[0] = all.item;
    all.has_maybe = false;
    all.has_word = true;
    (void)strcpy(all.word, "\xe2\x82\xac");
    return all;
}

static void a_struct_comes_back(void **state)
{
    (void)state;
    all_t sent = sample_all();
    all_t got;
    uint8_t payload[256];
    size_t size = 0;
    memset(&got, 0xaa, sizeof got);
    assert_int_equal(fabric_schema_encode(&all_schema, &sent, payload, sizeof payload, NULL, &size),
                     FABRIC_OK);
    assert_int_equal(fabric_schema_decode(&all_schema, fabric_bytes(payload, size), NULL, &got),
                     FABRIC_OK);
    assert_true(got.flag);
    assert_int_equal(got.small, INT32_MIN);
    assert_true(got.large == INT64_MIN && got.count == UINT32_MAX && got.huge == UINT64_MAX);
    assert_true(got.ratio == 0.5);
    assert_string_equal(got.name, "sixteen letters.");
    assert_int_equal(got.blob.size, 3);
    assert_memory_equal(got.blob.data, sent.blob.data, 3);
    assert_int_equal(got.blob.data[3], 0);
    assert_string_equal(got.item.sku, "apple");
    assert_int_equal(got.items_count, 1);
    assert_int_equal(got.items[0].quantity, 3);
    assert_int_equal(got.items[1].quantity, 0);
    assert_false(got.has_maybe);
    assert_true(got.has_word);
    assert_string_equal(got.word, "\xe2\x82\xac");
}

static void a_payload_must_fit(void **state)
{
    (void)state;
    all_t sent = sample_all();
    uint8_t buffer[256];
    size_t size = 0;
    fabric_schema_fault_t fault;
    assert_int_equal(fabric_schema_encode(&all_schema, &sent, buffer, sizeof buffer, NULL, &size),
                     FABRIC_OK);
    for (size_t capacity = 0; capacity <= size; capacity++) {
        uint8_t *payload = capacity > 0 ? malloc(capacity) : NULL;
        size_t used = 4711;
        fabric_error_t error =
            fabric_schema_encode(&all_schema, &sent, payload, capacity, &fault, &used);
        assert_int_equal(error, capacity < size ? FABRIC_ERROR_LIMIT_EXCEEDED : FABRIC_OK);
        assert_int_equal(used, capacity < size ? 4711 : size);
        free(payload);
    }
}

static void the_empty_schema_needs_no_struct(void **state)
{
    (void)state;
    uint8_t payload[1];
    size_t size = 0;
    assert_int_equal(fabric_schema_encode(&fabric_schema_empty, NULL, payload, 1, NULL, &size),
                     FABRIC_OK);
    assert_int_equal(size, 1);
    assert_int_equal(payload[0], 0x90);
    assert_int_equal(
        fabric_schema_decode(&fabric_schema_empty, fabric_bytes(payload, 1), NULL, NULL),
        FABRIC_OK);
}

/* Absent fields at the end are not encoded, so that an older peer, which does not know them, can
 * read the payload. */
static void older_peers_read_what_leaves_new_fields_out(void **state)
{
    (void)state;
    fabric_schema_t older = {"Order", sizeof(order_t), order_schema.fields, 3};
    order_t order = {.id = "o-1"};
    order_t got;
    uint8_t payload[64];
    size_t size = 0;
    assert_int_equal(
        fabric_schema_encode(&order_schema, &order, payload, sizeof payload, NULL, &size),
        FABRIC_OK);
    assert_int_equal(fabric_schema_decode(&older, fabric_bytes(payload, size), NULL, &got),
                     FABRIC_OK);
    order.has_note = true;
    assert_int_equal(
        fabric_schema_encode(&order_schema, &order, payload, sizeof payload, NULL, &size),
        FABRIC_OK);
    assert_int_equal(fabric_schema_check(&older, fabric_bytes(payload, size), NULL),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    got.has_note = false;
    assert_int_equal(fabric_schema_decode(&older, fabric_bytes(payload, size), NULL, &got),
                     FABRIC_OK);
    assert_false(got.has_note);
    assert_string_equal(got.id, "o-1");
    size_t before = 0;
    assert_int_equal(fabric_schema_encode(&older, &order, payload, sizeof payload, NULL, &before),
                     FABRIC_OK);
    got.has_note = true;
    assert_int_equal(fabric_schema_decode(&order_schema, fabric_bytes(payload, before), NULL, &got),
                     FABRIC_OK);
    assert_false(got.has_note);
}

/* Fields of a newer schema are left out at every level; what is behind them still counts. */
static void unknown_fields_are_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *text; /* NULL: it is decoded */
    } cases[] = {
        {"\x94\xa1o\xc3\x91\x94\xa1x\x05\x81\xa1k\x90\xc0\xc0", 15, NULL},
        {"\x96\xa1o\xc3\x90\xc0\xc4\x01\x00\x93\x01\x02\x03", 13, NULL},
        {"\x95\xa1o\xc3\x90\xc0\xd4\x00\x00", 9,
         "Order: expected a value behind the 4 known fields, found an extension type"},
        {"\x95\xa1o\xc3\x90\xc0\xcd\x00", 8,
         "Order: expected a value behind the 4 known fields, found a value that is cut off"},
        {"\x95\xa1o\xc3\x90\xc0\x01\x02", 8, "Order: expected the end, found 1 more bytes"},
        {"\x95\xa1o\xc3\x90\x07\x01", 7,
         "note: expected a string of at most 8 bytes, found the number 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        order_t order;
        fabric_schema_fault_t fault = {""};
        fabric_bytes_t payload = fabric_bytes(cases[i].bytes, cases[i].size);
        assert_int_equal(fabric_schema_decode(&order_schema, payload, &fault, &order),
                         cases[i].text ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_OK);
        assert_string_equal(fault.text, cases[i].text ? cases[i].text : "");
        assert_int_equal(fabric_schema_check(&order_schema, payload, NULL),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

static void assert_not_encoded(const all_t *all, const char *text)
{
    uint8_t payload[256];
    size_t size = 4711;
    fabric_schema_fault_t fault;
    assert_int_equal(fabric_schema_encode(&all_schema, all, payload, sizeof payload, &fault, &size),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(size, 4711);
    assert_string_equal(fault.text, text);
    assert_int_equal(fabric_schema_encode(&all_schema, all, payload, sizeof payload, NULL, &size),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
}

static void structs_that_break_their_schema_are_refused(void **state)
{
    (void)state;
    all_t all = sample_all();
    all.ratio = NAN;
    assert_not_encoded(&all, "ratio: expected a finite number, found one that is not finite");
    all = sample_all();
    memset(all.name, 'x', sizeof all.name);
    assert_not_encoded(
        &all, "name: expected a string of at most 16 bytes, found one that is not terminated");
    all = sample_all();
    (void)strcpy(all.items[0].sku, "\xff");
    assert_not_encoded(
        &all, "items[0].sku: expected a string of at most 12 bytes, found one that is not UTF-8");
    all = sample_all();
    (void)strcpy(all.item.sku, "\xed\xa0\x80");
    assert_not_encoded(
        &all, "item.sku: expected a string of at most 12 bytes, found one that is not UTF-8");
    all = sample_all();
    all.items_count = 3;
    assert_not_encoded(&all, "items: expected a list of at most 2, found a larger count");
    all = sample_all();
    all.blob.size = 5;
    assert_not_encoded(&all, "blob: expected at most 4 bytes, found a larger size");
}

typedef struct fault_case {
    const fabric_schema_t *schema;
    const char *bytes;
    size_t size;
    const char *text;
} fault_case_t;

#define FAULT_CASE(schema, bytes, text)                                                            \
    {                                                                                              \
        &(schema), (bytes), sizeof(bytes) - 1, (text)                                              \
    }

static void faults_name_the_field(void **state)
{
    (void)state;
    static const fault_case_t cases[] = {
        FAULT_CASE(order_schema, "\x93\xa1o\xc3\x93\x92\xa1x\x01\x92\xa1y\x02\x92\xa1z\xa1q",
                   "items[2].quantity: expected a number from 0 to 4294967295, found a string"),
        FAULT_CASE(item_schema, "\x92\xa1x\xff",
                   "quantity: expected a number from 0 to 4294967295, found the number -1"),
        FAULT_CASE(item_schema, "\x92\xa1x\xcf\0\0\0\1\0\0\0\0",
                   "quantity: expected a number from 0 to 4294967295, found the number 4294967296"),
        FAULT_CASE(item_schema, "\x92\xa1x\xc0",
                   "quantity: expected a number from 0 to 4294967295, found nil"),
        FAULT_CASE(item_schema, "\x91\xa1x",
                   "quantity: expected a number from 0 to 4294967295, found nothing"),
        FAULT_CASE(
            item_schema, "\x92\xa1x\xcd\x01",
            "quantity: expected a number from 0 to 4294967295, found a value that is cut off"),
        FAULT_CASE(item_schema,
                   "\x92\xad"
                   "1234567890123"
                   "\x01",
                   "sku: expected a string of at most 12 bytes, found a string of 13 bytes"),
        FAULT_CASE(
            item_schema, "\x92\xa1\xff\x01",
            "sku: expected a string of at most 12 bytes, found a string with NUL or bytes that "
            "are not UTF-8"),
        FAULT_CASE(item_schema, "\x93\xa1x\x01\x01", "Item: expected at most 2 fields, found 3"),
        FAULT_CASE(item_schema, "\x92\xa1x\x01\x01\x01",
                   "Item: expected the end, found 2 more bytes"),
        FAULT_CASE(item_schema, "\x05", "Item: expected an array (Item), found the number 5"),
        FAULT_CASE(item_schema, "", "Item: expected an array (Item), found nothing"),
        FAULT_CASE(order_schema, "\x93\xa1o\xc3\x94\x01\x01\x01\x01",
                   "items: expected a list of at most 3, found an array of 4"),
        FAULT_CASE(order_schema, "\x93\xa1o\xc3\x91\xc2",
                   "items[0]: expected an array (Item), found false"),
        FAULT_CASE(order_schema, "\x92\xa1o\x80",
                   "express: expected true or false, found a map of 0"),
        FAULT_CASE(fabric_schema_empty, "\x91\xc0", "Empty: expected at most 0 fields, found 1"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fabric_schema_fault_t fault = {{0}};
        fabric_bytes_t payload = fabric_bytes(cases[i].bytes, cases[i].size);
        assert_int_equal(fabric_schema_check(cases[i].schema, payload, &fault),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_string_equal(fault.text, cases[i].text);
        assert_int_equal(fabric_schema_check(cases[i].schema, payload, NULL),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

/* Long names and deep paths cut the path, never what is wrong with it. */
static void faults_stay_within_their_size(void **state)
{
    (void)state;
    static char name[400];
    memset(name, 'n', sizeof name - 1);
    const fabric_field_t fields[] = {
        {.name = name, .kind = FABRIC_FIELD_BOOL},
    };
    const fabric_schema_t schema = {name, 1, fields, 1};
    fabric_schema_fault_t fault;
    assert_int_equal(fabric_schema_check(&schema, fabric_bytes("\x91\x01", 2), &fault),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_non_null(strstr(fault.text, "n: expected true or false, found the number 1"));
}

static fabric_schema_t *parse_schema(const char *name)
{
    size_t size = 0;
    uint8_t *bytes = vectors_find("schemas/vectors/schemas.txt", name, &size);
    wire_reader_t reader = wire_reader(fabric_bytes(bytes, size));
    fabric_schema_t *schema = NULL;
    assert_int_equal(schema_parse(&reader, &schema), FABRIC_OK);
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    free(bytes);
    return schema;
}

/* Decodes and encodes it under one schema. */
static void check_payload(const fabric_schema_t *schema, const vector_t *vector)
{
    void *value = malloc(schema->size ? schema->size : 1);
    assert_non_null(value);
    fabric_schema_fault_t fault = {{0}};
    schema_memory_t memory = {0};
    fabric_error_t error = schema_decode_growing(schema, vector->bytes, &memory, &fault, value);
    if (!error && !vector->valid) { /* decoding leaves out what is behind the known fields */
        error = fabric_schema_check(schema, vector->bytes, &fault);
        assert_non_null(strstr(fault.text, " fields, found "));
    }
    assert_int_equal(fabric_schema_check(schema, vector->bytes, NULL), error);
    if ((error == FABRIC_OK) != vector->valid) {
        fail_msg("%s: decoding went %s %s", vector->name, error ? "wrong:" : "well", fault.text);
    }
    if (!vector->valid) {
        assert_string_equal(fabric_error_name(error), vector->expected);
        assert_true(strlen(fault.text) > 0);
    } else {
        uint8_t again[2048];
        size_t size = 0;
        assert_int_equal(fabric_schema_encode(schema, value, again, sizeof again, &fault, &size),
                         FABRIC_OK);
        /* Other encodings are read; there is but one that is written. */
        bool other = strstr(vector->name, "wide_integer") || strstr(vector->name, "optional_nil") ||
                     strstr(vector->name, "float_32") ||
                     strstr(vector->name, "double_as_integer") ||
                     strstr(vector->name, "defaults_nil");
        assert_int_equal(!other, fabric_bytes_equal(fabric_bytes(again, size), vector->bytes));
    }
    for (size_t size = 0; vector->valid && size < vector->bytes.size; size++) {
        uint8_t *part = copy_of(fabric_bytes(vector->bytes.data, size));
        assert_int_equal(
            schema_decode_growing(schema, fabric_bytes(part, size), &memory, NULL, value),
            FABRIC_ERROR_MALFORMED_MESSAGE);
        free(part);
    }
    schema_memory_free(&memory);
    free(value);
}

static void visit_payload(const vector_t *vector, void *context)
{
    (void)context;
    char name[64];
    assert_int_equal(sscanf(vector->name, "%63[^/]", name), 1);
    const fabric_schema_t *sample = sample_schema(name);
    if (sample) {
        check_payload(sample, vector);
    }
    fabric_schema_t *parsed = parse_schema(name);
    check_payload(parsed, vector);
    schema_destroy(&parsed);
}

static void payloads_are_read_or_refused(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/payloads.txt", visit_payload, NULL);
}

/* A schema one level deeper than payloads may be. */
static void test_so_01_nesting_is_limited(void **state)
{
    (void)state;
    static const fabric_field_t leaf[] = {{.name = "f", .kind = FABRIC_FIELD_BOOL}};
    fabric_schema_t schemas[LIMIT_DEPTH_MAX + 1];
    fabric_field_t fields[LIMIT_DEPTH_MAX + 1];
    uint8_t bytes[LIMIT_DEPTH_MAX + 2];
    for (size_t i = 0; i <= LIMIT_DEPTH_MAX; i++) {
        bool last = i == LIMIT_DEPTH_MAX;
        fields[i] = (fabric_field_t){
            .name = "s", .kind = FABRIC_FIELD_STRUCT, .schema = &schemas[last ? i : i + 1]};
        schemas[i] = (fabric_schema_t){"S", 1, last ? leaf : &fields[i], 1};
        bytes[i] = 0x91;
    }
    bytes[LIMIT_DEPTH_MAX + 1] = 0xc3;
    uint8_t value[1];
    uint8_t payload[64];
    size_t size = 0;
    fabric_bytes_t deep = fabric_bytes(bytes, sizeof bytes);
    fabric_bytes_t deepest = fabric_bytes(bytes + 1, sizeof bytes - 1);
    assert_int_equal(fabric_schema_decode(&schemas[1], deepest, NULL, value), FABRIC_OK);
    assert_int_equal(fabric_schema_encode(&schemas[1], value, payload, 64, NULL, &size), FABRIC_OK);
    assert_int_equal(fabric_schema_decode(&schemas[0], deep, NULL, value),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(fabric_schema_encode(&schemas[0], value, payload, 64, NULL, &size),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
}

/* A list takes two levels: seven of them around a struct are let through, eight are not. */
static void lists_count_as_two_levels(void **state)
{
    (void)state;
    /* Each struct is its count and then its one element, so that the value is counts alone. */
    fabric_field_t fields[9];
    fabric_schema_t schemas[9];
    for (size_t i = 0; i < 9; i++) {
        fields[i] = (fabric_field_t){.name = "s",
                                     .kind = FABRIC_FIELD_LIST,
                                     .max = 1,
                                     .offset = sizeof(uint32_t),
                                     .schema = i < 8 ? &schemas[i + 1] : &fabric_schema_empty};
        /* The innermost is a struct without fields. */
        schemas[i] = (fabric_schema_t){"S", 4 * (9 - i), &fields[i], i < 8 ? 1 : 0};
    }
    uint32_t value[10] = {1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
    uint8_t payload[64];
    size_t size = 0;
    uint8_t bytes[17];
    memset(bytes, 0x91, sizeof bytes);
    bytes[16] = 0x90;
    assert_int_equal(fabric_schema_check(&schemas[1], fabric_bytes(bytes + 2, 15), NULL),
                     FABRIC_OK);
    assert_int_equal(fabric_schema_check(&schemas[0], fabric_bytes(bytes, 17), NULL),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(fabric_schema_encode(&schemas[1], value, payload, sizeof payload, NULL, &size),
                     FABRIC_OK);
    assert_int_equal(size, 15);
    assert_int_equal(fabric_schema_encode(&schemas[0], value, payload, sizeof payload, NULL, &size),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
}

/* What stands behind a text could have completed it, but is not of it. */
static void text_ends_where_its_view_ends(void **state)
{
    (void)state;
    static const char *const texts[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                        "letters \xe2\x82\xac"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t size = strlen(texts[i]);
        assert_true(utf8_is_text(fabric_bytes(texts[i], size)));
        assert_false(utf8_is_text(fabric_bytes(texts[i], size - 1)));
        assert_false(utf8_is_text(fabric_bytes(texts[i], size + 1))); /* its NUL */
    }
    assert_true(utf8_is_text(fabric_bytes(NULL, 0)));
}

static void read_damaged(fabric_bytes_t damaged)
{
    all_t all;
    fabric_schema_fault_t fault;
    if (fabric_schema_decode(&all_schema, damaged, &fault, &all) == FABRIC_OK) {
        uint8_t again[2048];
        size_t size = 0;
        assert_int_equal(fabric_schema_encode(&all_schema, &all, again, sizeof again, NULL, &size),
                         FABRIC_OK);
    }
}

static void damage(const vector_t *vector, void *context)
{
    (void)context;
    if (strncmp(vector->name, "All/", 4) == 0) {
        vectors_damage(vector, 1000, read_damaged);
    }
}

static void damaged_payloads_do_no_harm(void **state)
{
    (void)state;
    srand(20250101);
    vectors_visit("schemas/vectors/payloads.txt", damage, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_struct_comes_back),
        cmocka_unit_test(a_payload_must_fit),
        cmocka_unit_test(the_empty_schema_needs_no_struct),
        cmocka_unit_test(older_peers_read_what_leaves_new_fields_out),
        cmocka_unit_test(unknown_fields_are_left_out),
        cmocka_unit_test(structs_that_break_their_schema_are_refused),
        cmocka_unit_test(faults_name_the_field),
        cmocka_unit_test(faults_stay_within_their_size),
        cmocka_unit_test(payloads_are_read_or_refused),
        cmocka_unit_test(test_so_01_nesting_is_limited),
        cmocka_unit_test(lists_count_as_two_levels),
        cmocka_unit_test(text_ends_where_its_view_ends),
        cmocka_unit_test(damaged_payloads_do_no_harm),
    };
    return cmocka_run_group_tests_name("core_schema", tests, NULL, NULL);
}
