/* Views, which are strings, bytes and lists of any length, and lists of everything: round trips,
 * where the views point to, memory, and the texts of faults. */
#include "core/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/schema_field.h"
#include "core/schema_memory.h"
#include "tests/unit/samples.h"

enum { MANY = 1000 };

static item_t many_items[MANY];
static double many_samples[MANY];
static const uint32_t pages[] = {1, 70000, UINT32_MAX};
static const chapter_t chapters[] = {{{(const uint8_t *)"One", 3}, pages, 3}, {{NULL, 0}, NULL, 0}};
static const shipment_status_t history[] = {SHIPMENT_OPEN, SHIPMENT_LOST};
static const int64_t times[] = {0, -1};

static document_t sample_document(void)
{
    static fabric_bytes_t words[2];
    words[0] = fabric_bytes_of("word");
    words[1] = fabric_bytes_of("");
    for (uint32_t i = 0; i < MANY; i++) {
        many_items[i].quantity = i;
        (void)strcpy(many_items[i].sku, "apple");
        many_samples[i] = i / 4.0;
    }
    document_t document;
    memset(&document, 0xee, sizeof document);
    document.title = fabric_bytes_of("A title");
    document.body = fabric_bytes("\0\1\2", 3);
    document.items = many_items;
    document.items_count = MANY;
    document.chapters = chapters;
    document.chapters_count = 2;
    document.numbers[0] = INT64_MIN;
    document.numbers[1] = 7;
    document.numbers_count = 2;
    (void)strcpy(document.tags[0], "eight888");
    document.tags_count = 1;
    document.words = words;
    document.words_count = 2;
    document.samples = many_samples;
    document.samples_count = MANY;
    document.states[0] = SHIPMENT_ARRIVED;
    document.states_count = 1;
    document.flags[0] = true;
    document.flags_count = 1;
    document.times = times;
    document.times_count = 2;
    document.blobs[0] = fabric_bytes("\xff", 1);
    document.blobs_count = 1;
    document.note = fabric_bytes_of("none");
    document.has_history = true;
    document.history = history;
    document.history_count = 2;
    document.has_summary = false;
    return document;
}

static void assert_text(fabric_bytes_t text, const char *expected)
{
    assert_true(fabric_bytes_equal(text, fabric_bytes_of(expected)));
}

static void assert_document(const document_t *got)
{
    assert_text(got->title, "A title");
    assert_int_equal(got->body.size, 3);
    assert_int_equal(got->items_count, MANY);
    assert_int_equal(got->samples_count, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(got->items[i].quantity, i);
        assert_string_equal(got->items[i].sku, "apple");
        assert_true(got->samples[i] == i / 4.0);
    }
    assert_int_equal(got->chapters_count, 2);
    assert_text(got->chapters[0].title, "One");
    assert_int_equal(got->chapters[0].pages_count, 3);
    assert_int_equal(got->chapters[0].pages[2], UINT32_MAX);
    assert_int_equal(got->chapters[1].pages_count, 0);
    assert_true(got->numbers_count == 2 && got->numbers[0] == INT64_MIN && got->numbers[1] == 7);
    assert_int_equal(got->numbers[2], 0);
    assert_int_equal(got->tags_count, 1);
    assert_string_equal(got->tags[0], "eight888");
    assert_int_equal(got->words_count, 2);
    assert_text(got->words[0], "word");
    assert_int_equal(got->words[1].size, 0);
    assert_true(got->states_count == 1 && got->states[0] == SHIPMENT_ARRIVED);
    assert_true(got->flags_count == 1 && got->flags[0]);
    assert_true(got->times_count == 2 && got->times[1] == -1);
    assert_true(got->blobs_count == 1 && got->blobs[0].size == 1 && got->blobs[0].data[0] == 0xff);
    assert_text(got->note, "none");
    assert_true(got->has_history && got->history_count == 2);
    assert_int_equal(got->history[1], SHIPMENT_LOST);
    assert_false(got->has_summary);
}

static uint8_t payload[65536];

static size_t encode(const document_t *document)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    if (fabric_schema_encode(&document_schema, document, payload, sizeof payload, &fault, &size)) {
        fail_msg("%s", fault.text);
    }
    return size;
}

static void a_document_comes_back(void **state)
{
    (void)state;
    document_t sent = sample_document();
    document_t got;
    schema_memory_t memory = {0};
    fabric_schema_fault_t fault = {""};
    char *json = NULL;
    uint8_t *again = NULL;
    fabric_bytes_t encoded = fabric_bytes(payload, encode(&sent));
    memset(&got, 0xaa, sizeof got);
    assert_int_equal(schema_decode_growing(&document_schema, encoded, &memory, &fault, &got),
                     FABRIC_OK);
    assert_document(&got);
    assert_string_equal(fault.text, "");
    /* Strings are not copied. */
    assert_true(got.title.data > payload && got.title.data < payload + encoded.size);
    assert_true(got.words[0].data > payload && got.words[0].data < payload + encoded.size);
    size_t size = 0;
    assert_int_equal(fabric_schema_to_json(&document_schema, encoded, NULL, &json), FABRIC_OK);
    assert_int_equal(fabric_schema_from_json(&document_schema, json, NULL, &again, &size),
                     FABRIC_OK);
    assert_int_equal(
        schema_decode_growing(&document_schema, fabric_bytes(again, size), &memory, NULL, &got),
        FABRIC_OK);
    assert_document(&got);
    schema_memory_free(&memory);
    free(again);
    free(json);
}

static void memory_is_measured(void **state)
{
    (void)state;
    document_t sent = sample_document();
    document_t got;
    size_t capacity = 0;
    fabric_schema_fault_t fault = {""};
    fabric_bytes_t encoded = fabric_bytes(payload, encode(&sent));
    assert_int_equal(fabric_schema_measure(&document_schema, encoded, NULL, &capacity), FABRIC_OK);
    assert_true(capacity >= MANY * (sizeof(item_t) + sizeof(double)));
    uint8_t *memory = malloc(capacity);
    assert_non_null(memory);
    assert_int_equal(
        fabric_schema_decode_in(&document_schema, encoded, memory, capacity, &fault, &got),
        FABRIC_OK);
    assert_document(&got);
    assert_true((const uint8_t *)got.items >= memory &&
                (const uint8_t *)(got.history + 2) <= memory + capacity);
    assert_int_equal(
        fabric_schema_decode_in(&document_schema, encoded, memory, capacity - 1, &fault, &got),
        FABRIC_ERROR_LIMIT_EXCEEDED);
    free(memory);
    assert_int_equal(fabric_schema_decode(&document_schema, encoded, &fault, &got),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(fault.text, "items: expected memory for 20000 bytes of elements, found 0");
}

/* Views of strings and bytes, and empty lists, need no memory. */
static void strings_need_no_memory(void **state)
{
    (void)state;
    document_t sent = {.title = fabric_bytes_of("t"), .has_summary = true};
    document_t got;
    size_t capacity = 1;
    fabric_bytes_t encoded = fabric_bytes(payload, encode(&sent));
    assert_int_equal(fabric_schema_measure(&document_schema, encoded, NULL, &capacity), FABRIC_OK);
    assert_int_equal(capacity, 0);
    assert_int_equal(fabric_schema_decode(&document_schema, encoded, NULL, &got), FABRIC_OK);
    assert_text(got.title, "t");
    assert_text(got.note, "");
    assert_true(got.has_summary && got.summary.size == 0 && got.items_count == 0);
}

static void the_default_of_a_view(void **state)
{
    (void)state;
    document_t sent = {.note = fabric_bytes_of("none")};
    document_t got;
    fabric_bytes_t encoded = fabric_bytes(payload, encode(&sent));
    assert_int_equal(payload[0], 0x9c);
    assert_int_equal(fabric_schema_decode(&document_schema, encoded, NULL, &got), FABRIC_OK);
    assert_text(got.note, "none");
}

static void assert_not_encoded(const document_t *document, const char *text)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    assert_int_equal(
        fabric_schema_encode(&document_schema, document, payload, sizeof payload, &fault, &size),
        FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(fault.text, text);
}

static void documents_that_break_their_schema_are_refused(void **state)
{
    (void)state;
    static const fabric_bytes_t words[] = {{(const uint8_t *)"\xff", 1}};
    static const double samples[] = {1, INFINITY};
    document_t document = {.title = {NULL, 1}};
    assert_not_encoded(&document, "title: expected a string, found NULL");
    document = (document_t){.title = fabric_bytes("\xff", 1)};
    assert_not_encoded(&document, "title: expected a string, found one that is not UTF-8");
    document = (document_t){.title = fabric_bytes("a\0b", 3)};
    assert_not_encoded(&document, "title: expected a string, found one that is not UTF-8");
    document = (document_t){.body = {NULL, 1}};
    assert_not_encoded(&document, "body: expected bytes, found NULL");
    document = (document_t){.items_count = 1};
    assert_not_encoded(&document, "items: expected a list, found NULL");
    document = (document_t){.numbers_count = 5};
    assert_not_encoded(&document, "numbers: expected a list of at most 4, found a larger count");
    document = (document_t){.words = words, .words_count = 1};
    assert_not_encoded(&document, "words[0]: expected a string, found one that is not UTF-8");
    document = (document_t){.samples = samples, .samples_count = 2};
    assert_not_encoded(&document,
                       "samples[1]: expected a finite number, found one that is not finite");
    document = (document_t){.states = {SHIPMENT_OPEN, (shipment_status_t)3}, .states_count = 2};
    assert_not_encoded(&document,
                       "states[1]: expected one of OPEN, SENT, LOST, ARRIVED, found the number 3");
    document = (document_t){.tags_count = 1};
    memset(document.tags[0], 'x', sizeof document.tags[0]);
    assert_not_encoded(&document, "tags[0]: expected a string of at most 8 bytes, found one that "
                                  "is not terminated");
}

/* A view that no payload can hold, and a list that never ends. */
static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    document_t document = {.body = {payload, SIZE_MAX}};
    assert_int_equal(
        fabric_schema_encode(&document_schema, &document, payload, sizeof payload, &fault, &size),
        FABRIC_ERROR_LIMIT_EXCEEDED);
    document = (document_t){.samples = many_samples, .samples_count = MANY};
    assert_int_equal(fabric_schema_encode(&document_schema, &document, payload, 100, &fault, &size),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(fault.text, "Document: expected at most 100 bytes, found more");
}

static void assert_not_decoded(const char *bytes, size_t size, const char *text)
{
    fabric_schema_fault_t fault = {""};
    assert_int_equal(fabric_schema_check(&document_schema, fabric_bytes(bytes, size), &fault),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(fault.text, text);
}

/* Bytes follow, so that counts of arrays may be true. */
#define NOT_DECODED(bytes, text)                                                                   \
    assert_not_decoded(bytes "\0\0\0\0\0\0\0\0\0\0\0\0", sizeof(bytes) + 11, text)

static void faults_name_the_element(void **state)
{
    (void)state;
    NOT_DECODED("\x9c\x01", "title: expected a string, found the number 1");
    NOT_DECODED("\x9c\xa0\xa0", "body: expected bytes, found a string");
    NOT_DECODED("\x9c\xa0\xc4\0\x01", "items: expected a list, found the number 1");
    NOT_DECODED("\x9c\xa0\xc4\0\x90\x91\x92\xa1x\x92\x01\xff",
                "chapters[0].pages[1]: expected a number from 0 to 4294967295, found the number "
                "-1");
    NOT_DECODED("\x9c\xa0\xc4\0\x90\x90\x95\x01\x01\x01\x01\x01",
                "numbers: expected a list of at most 4, found an array of 5");
    NOT_DECODED("\x9c\xa0\xc4\0\x90\x90\x90\x91\xa9nine99999",
                "tags[0]: expected a string of at most 8 bytes, found a string of 9 bytes");
    NOT_DECODED("\x9c\xa0\xc4\0\x90\x90\x90\x90\x92\xa1x\x02",
                "words[1]: expected a string, found the number 2");
}

static void json_names_the_element(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"numbers\":[1,2.5]", "numbers[1]: expected a number from -9223372036854775808 to "
                                "9223372036854775807, found a number with a fraction or exponent"},
        {"\"numbers\":[1,2,3,4,5]", "numbers: expected a list of at most 4, found more"},
        {"\"numbers\":1", "numbers: expected a list of at most 4, found 1"},
        {"\"numbers\":[null]", "numbers[0]: expected a number from -9223372036854775808 to "
                               "9223372036854775807, found null"},
        {"\"numbers\":[],\"tags\":[\"nine99999\"]",
         "tags[0]: expected a string of at most 8 bytes, found a string of 9 bytes"},
        {"\"numbers\":[],\"tags\":[],\"words\":{}", "words: expected a list, found an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[256];
        uint8_t *made = NULL;
        size_t size = 0;
        fabric_schema_fault_t fault = {""};
        (void)snprintf(json, sizeof json,
                       "{\"title\":\"\",\"body\":\"\",\"items\":[],\"chapters\":[],%s}",
                       cases[i][0]);
        assert_int_equal(fabric_schema_from_json(&document_schema, json, &fault, &made, &size),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_string_equal(fault.text, cases[i][1]);
        assert_null(made);
    }
}

/* Small payloads cannot ask for much memory. */
static void elements_have_a_limit(void **state)
{
    (void)state;
    typedef struct large {
        char text[4096];
    } large_t;
    typedef struct list {
        const large_t *items;
        uint32_t items_count;
    } list_t;
    static const fabric_field_t large_fields[] = {FABRIC_STRING(large_t, text)};
    static const fabric_schema_t large_schema = FABRIC_SCHEMA("Large", large_t, large_fields);
    static const fabric_field_t fields[] = {
        FABRIC_LIST_VIEW(list_t, items, items_count, large_schema)};
    static const fabric_schema_t schema = FABRIC_SCHEMA("List", list_t, fields);
    enum { FIT = LIMIT_ELEMENTS_BYTES_MAX / sizeof(large_t) };
    static uint8_t bytes[4 + 2 * (FIT + 1)];
    for (uint32_t count = FIT; count <= FIT + 1; count++) {
        size_t capacity = 0;
        fabric_schema_fault_t fault = {""};
        bytes[0] = 0x91;
        bytes[1] = 0xdc;
        bytes[2] = (uint8_t)(count >> 8);
        bytes[3] = (uint8_t)count;
        for (uint32_t i = 0; i < count; i++) {
            bytes[4 + 2 * i] = 0x91;
            bytes[5 + 2 * i] = 0xa0;
        }
        fabric_bytes_t many = fabric_bytes(bytes, 4 + 2 * count);
        assert_int_equal(fabric_schema_measure(&schema, many, &fault, &capacity),
                         count == FIT ? FABRIC_OK : FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_string_equal(fault.text, count == FIT ? ""
                                                     : "items: expected elements of at most "
                                                       "16777216 bytes once decoded, found more");
        list_t list;
        assert_int_equal(fabric_schema_decode(&schema, many, NULL, &list),
                         count == FIT ? FABRIC_ERROR_LIMIT_EXCEEDED
                                      : FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

/* Structs without a member take no memory, and are counted all the same. */
static void empty_structs_are_counted(void **state)
{
    (void)state;
    typedef struct list {
        const void *items;
        uint32_t items_count;
    } list_t;
    static const fabric_field_t fields[] = {{.name = "items",
                                             .kind = FABRIC_FIELD_LIST,
                                             .max = FABRIC_ANY_LENGTH,
                                             .offset = offsetof(list_t, items),
                                             .schema = &fabric_schema_empty,
                                             .count_offset = offsetof(list_t, items_count)}};
    static const fabric_schema_t schema = FABRIC_SCHEMA("List", list_t, fields);
    list_t list;
    size_t size = 0;
    assert_int_equal(
        fabric_schema_decode(&schema, fabric_bytes("\x91\x92\x90\x90", 4), NULL, &list), FABRIC_OK);
    assert_int_equal(list.items_count, 2);
    assert_int_equal(fabric_schema_encode(&schema, &list, payload, sizeof payload, NULL, &size),
                     FABRIC_OK);
    assert_int_equal(size, 4);
}

static void views_are_found(void **state)
{
    (void)state;
    assert_true(schema_has_views(&document_schema));
    assert_false(schema_has_views(&shipment_schema));
    assert_false(schema_has_views(&all_schema));
    static const fabric_field_t fields[] = {
        {.name = "inner", .kind = FABRIC_FIELD_STRUCT, .schema = &document_schema}};
    static const fabric_schema_t outer = {"Outer", sizeof(document_t), fields, 1};
    assert_true(schema_has_views(&outer));
}

static void assert_compatible(fabric_field_t before, fabric_field_t after, const char *text)
{
    const fabric_schema_t old = {"S", 32, &before, 1};
    const fabric_schema_t new = {"S", 32, &after, 1};
    fabric_schema_fault_t fault = {""};
    assert_int_equal(schema_compatible(&old, &new, &fault),
                     *text ? FABRIC_ERROR_TYPE_CONFLICT : FABRIC_OK);
    assert_string_equal(fault.text, text);
}

static void maxima_may_go(void **state)
{
    (void)state;
    fabric_field_t string = {.name = "f", .kind = FABRIC_FIELD_STRING, .max = 9};
    fabric_field_t any = string;
    any.max = FABRIC_ANY_LENGTH;
    assert_compatible(string, any, "");
    assert_compatible(any, string, "f: expected a length without a maximum as before, found 9");
    fabric_field_t list = document_schema.fields[5]; /* tags */
    fabric_field_t words = document_schema.fields[6];
    assert_compatible(list, words, "");
    words.max = 3;
    assert_compatible(words, list,
                      "tags: expected elements with a length without a maximum as before, found 8");
    fabric_field_t shorter = list;
    shorter.element_max = 7;
    assert_compatible(list, shorter,
                      "tags: expected elements with a maximum of at least 8 as before, found 7");
    assert_compatible(document_schema.fields[4], list,
                      "tags: expected a maximum of at least 4 as "
                      "before, found 3");
    words = document_schema.fields[7];
    assert_compatible(list, words, "samples: expected a list of string as before, found f64");
    assert_compatible(list, document_schema.fields[2],
                      "items: expected a list of string as before, found struct");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_comes_back),
        cmocka_unit_test(memory_is_measured),
        cmocka_unit_test(strings_need_no_memory),
        cmocka_unit_test(the_default_of_a_view),
        cmocka_unit_test(documents_that_break_their_schema_are_refused),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(faults_name_the_element),
        cmocka_unit_test(json_names_the_element),
        cmocka_unit_test(elements_have_a_limit),
        cmocka_unit_test(empty_structs_are_counted),
        cmocka_unit_test(views_are_found),
        cmocka_unit_test(maxima_may_go),
    };
    return cmocka_run_group_tests_name("core_schema_views", tests, NULL, NULL);
}
