/* Maps with string keys, and unions: round trips, the order of keys, nesting, and the texts of
 * faults. */
#include "core/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/schema_field.h"
#include "core/schema_memory.h"
#include "tests/unit/samples.h"

static uint8_t payload[65536];

static size_t encode(const profile_t *profile)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    if (fabric_schema_encode(&profile_schema, profile, payload, sizeof payload, &fault, &size)) {
        fail_msg("%s", fault.text);
    }
    return size;
}

static profile_t sample_profile(void)
{
    static const uint32_t values[] = {3, 1, 2};
    static const stock_t stock[] = {{{(const uint8_t *)"pear", 4}, {"p", 2}},
                                    {{(const uint8_t *)"apple", 5}, {"a", 1}}};
    profile_t profile = {
        .labels = {{"size", "XL"}, {"color", "red"}},
        .labels_count = 2,
        .stock = stock,
        .stock_count = 2,
        .scores = {{"me", values, 3}},
        .scores_count = 1,
        .first = {PAYMENT_CARD, {.card = {"1234", 2030}}},
        .payments = {{PAYMENT_TRANSFER, {.transfer = {fabric_bytes_of("DE-1")}}},
                     {PAYMENT_CASH, {.card = {"", 0}}}},
        .payments_count = 2,
        .has_last = true,
        .last_kind = PAYMENT_CARD,
        .last = {.card = {"5678", 2031}},
    };
    return profile;
}

/* Keys come back in their order, whatever order they were in. */
static void assert_profile(const profile_t *got)
{
    assert_int_equal(got->labels_count, 2);
    assert_string_equal(got->labels[0].key, "color");
    assert_string_equal(got->labels[0].value, "red");
    assert_string_equal(got->labels[1].key, "size");
    assert_string_equal(got->labels[1].value, "XL");
    assert_int_equal(got->stock_count, 2);
    assert_true(fabric_bytes_equal(got->stock[0].key, fabric_bytes_of("apple")));
    assert_int_equal(got->stock[0].item.quantity, 1);
    assert_int_equal(got->stock[1].item.quantity, 2);
    assert_int_equal(got->scores_count, 1);
    assert_int_equal(got->scores[0].values_count, 3);
    assert_int_equal(got->scores[0].values[2], 2);
    assert_int_equal(got->first.kind, PAYMENT_CARD);
    assert_string_equal(got->first.as.card.number, "1234");
    assert_int_equal(got->first.as.card.year, 2030);
    assert_int_equal(got->payments_count, 2);
    assert_int_equal(got->payments[0].kind, PAYMENT_TRANSFER);
    assert_true(fabric_bytes_equal(got->payments[0].as.transfer.account, fabric_bytes_of("DE-1")));
    assert_int_equal(got->payments[1].kind, PAYMENT_CASH);
    assert_true(got->has_last && !got->has_notes);
    assert_int_equal(got->last_kind, PAYMENT_CARD);
    assert_int_equal(got->last.card.year, 2031);
}

static void a_profile_comes_back(void **state)
{
    (void)state;
    profile_t sent = sample_profile();
    profile_t got;
    schema_memory_t memory = {0};
    char *json = NULL;
    uint8_t *again = NULL;
    size_t size = 0;
    fabric_bytes_t encoded = fabric_bytes(payload, encode(&sent));
    memset(&got, 0xaa, sizeof got);
    assert_int_equal(schema_decode_growing(&profile_schema, encoded, &memory, NULL, &got),
                     FABRIC_OK);
    assert_profile(&got);
    assert_int_equal(fabric_schema_to_json(&profile_schema, encoded, NULL, &json), FABRIC_OK);
    assert_string_equal(
        json, "{\"labels\": {\"color\": \"red\", \"size\": \"XL\"}, \"stock\": {\"apple\": "
              "{\"sku\": \"a\", \"quantity\": 1}, \"pear\": {\"sku\": \"p\", \"quantity\": 2}}, "
              "\"scores\": {\"me\": [3, 1, 2]}, \"first\": {\"by\": {\"card\": {\"number\": "
              "\"1234\", \"year\": 2030}}}, \"payments\": [{\"by\": {\"transfer\": {\"account\": "
              "\"DE-1\"}}}, {\"by\": {\"cash\": {}}}], \"last\": {\"card\": {\"number\": \"5678\", "
              "\"year\": 2031}}}");
    assert_int_equal(fabric_schema_from_json(&profile_schema, json, NULL, &again, &size),
                     FABRIC_OK);
    assert_true(fabric_bytes_equal(fabric_bytes(again, size), encoded));
    schema_memory_free(&memory);
    free(again);
    free(json);
}

static void json_may_have_any_order(void **state)
{
    (void)state;
    uint8_t *one = NULL;
    uint8_t *other = NULL;
    size_t sizes[2] = {0, 0};
    const char *texts[] = {"{\"labels\":{\"b\":\"\",\"a\":\"\",\"c\":\"\"},\"stock\":{},"
                           "\"scores\":{},\"first\":{\"by\":{\"cash\":{}}},\"payments\":[]}",
                           "{\"payments\":[],\"first\":{\"by\":{\"cash\":{}}},\"scores\":{},"
                           "\"stock\":{},\"labels\":{\"c\":\"\",\"b\":\"\",\"a\":\"\"}}"};
    assert_int_equal(fabric_schema_from_json(&profile_schema, texts[0], NULL, &one, &sizes[0]),
                     FABRIC_OK);
    assert_int_equal(fabric_schema_from_json(&profile_schema, texts[1], NULL, &other, &sizes[1]),
                     FABRIC_OK);
    assert_true(fabric_bytes_equal(fabric_bytes(one, sizes[0]), fabric_bytes(other, sizes[1])));
    free(one);
    free(other);
}

static void many_entries_are_sorted(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    static stock_t stock[MANY];
    static char keys[MANY][8];
    profile_t sent = {.stock = stock, .stock_count = MANY};
    profile_t got;
    schema_memory_t memory = {0};
    for (uint32_t i = 0; i < MANY; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%04u", (i * 1999) % MANY);
        stock[i].key = fabric_bytes_of(keys[i]);
        stock[i].item.quantity = (i * 1999) % MANY;
    }
    size_t size = encode(&sent);
    assert_int_equal(
        schema_decode_growing(&profile_schema, fabric_bytes(payload, size), &memory, NULL, &got),
        FABRIC_OK);
    assert_int_equal(got.stock_count, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(got.stock[i].item.quantity, i);
    }
    schema_memory_free(&memory);
}

static void assert_not_encoded(const profile_t *profile, const char *text)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    assert_int_equal(
        fabric_schema_encode(&profile_schema, profile, payload, sizeof payload, &fault, &size),
        FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(fault.text, text);
}

static void profiles_that_break_their_schema_are_refused(void **state)
{
    (void)state;
    profile_t profile = {.labels = {{"b", ""}, {"a", ""}, {"b", ""}}, .labels_count = 3};
    assert_not_encoded(&profile, "labels: expected each key once, found \"b\" twice");
    profile.labels_count = 4;
    assert_not_encoded(&profile, "labels: expected a map of at most 3, found a larger count");
    profile = (profile_t){.labels = {{"a", "\xff"}}, .labels_count = 1};
    assert_not_encoded(
        &profile, "labels.a: expected a string of at most 16 bytes, found one that is not UTF-8");
    profile = (profile_t){.labels = {{"\xff", ""}}, .labels_count = 1};
    assert_not_encoded(
        &profile, "labels.key: expected a string of at most 8 bytes, found one that is not UTF-8");
    memset(profile.labels[0].key, 'x', sizeof profile.labels[0].key);
    assert_not_encoded(&profile, "labels.key: expected a string of at most 8 bytes, found one that "
                                 "is not terminated");
    profile = (profile_t){.stock_count = 1};
    assert_not_encoded(&profile, "stock: expected a map, found NULL");
    static const stock_t no_key[] = {{{NULL, 1}, {"", 0}}};
    profile = (profile_t){.stock = no_key, .stock_count = 1};
    assert_not_encoded(&profile, "stock.key: expected a string, found NULL");
    profile = (profile_t){.first = {(payment_kind_t)2, {.card = {"", 0}}}};
    assert_not_encoded(&profile,
                       "first.as: expected one of cash, card, transfer, found the number 2");
    profile = (profile_t){.first = {PAYMENT_CARD, {.card = {"\xff", 0}}}};
    assert_not_encoded(&profile, "first.as.card.number: expected a string of at most 8 bytes, "
                                 "found one that is not UTF-8");
}

static void assert_not_decoded(const char *bytes, size_t size, const char *text)
{
    fabric_schema_fault_t fault = {""};
    assert_int_equal(fabric_schema_check(&profile_schema, fabric_bytes(bytes, size), &fault),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(fault.text, text);
}

/* Bytes follow, so that counts may be true. */
#define NOT_DECODED(bytes, text)                                                                   \
    assert_not_decoded(bytes "\0\0\0\0\0\0\0\0\0\0\0\0", sizeof(bytes) + 11, text)

static void faults_name_the_key(void **state)
{
    (void)state;
    NOT_DECODED("\x95\x82\xa1z\xa0\xa1y\xa0",
                "labels: expected keys in ascending order, found \"y\" behind \"z\"");
    NOT_DECODED("\x95\x82\xa1y\xa0\xa1y\xa0", "labels: expected each key once, found \"y\" twice");
    NOT_DECODED("\x95\x81\xa1y\x05",
                "labels.y: expected a string of at most 16 bytes, found the number 5");
    NOT_DECODED("\x95\x81\x05\xa1y",
                "labels.key: expected a string of at most 8 bytes, found the number 5");
    NOT_DECODED("\x95\x84", "labels: expected a map of at most 3, found a map of 4");
    NOT_DECODED("\x95\x90", "labels: expected a map of at most 3, found an array of 0");
    NOT_DECODED("\x95\x80\x81\xa1y\x92\xa1x\xff",
                "stock.y.quantity: expected a number from 0 to 4294967295, found the number -1");
    NOT_DECODED("\x95\x80\x81\xa1y\x05", "stock.y: expected an array (Item), found the number 5");
    NOT_DECODED("\x95\x80\x80\x81\xa1y\x91\xff",
                "scores.y[0]: expected a number from 0 to 4294967295, found the number -1");
    NOT_DECODED("\x95\x80\x80\x80\x91\x92\x02\x90",
                "first.as: expected one of cash, card, transfer, found the number 2");
    NOT_DECODED("\x95\x80\x80\x80\x91\x05",
                "first.as: expected one of cash, card, transfer, found the number 5");
    NOT_DECODED("\x95\x80\x80\x80\x91\x92\x01\x92\xa1x\xff",
                "first.as.card.year: expected a number from 0 to 4294967295, found the number -1");
    NOT_DECODED("\x95\x80\x80\x80\x91\x92\x00\x91\x01",
                "first.as.cash: expected at most 0 fields, found 1");
}

/* Long keys are cut between characters. */
static void long_keys_are_cut(void **state)
{
    (void)state;
    char bytes[128] = "\x95\x80\x81\xd9\x33";
    memset(bytes + 5, 'k', 39);
    (void)strcpy(bytes + 5 + 39, "\xe2\x82\xac"
                                 "123456789");
    bytes[5 + 51] = 5;
    assert_not_decoded(bytes, sizeof bytes,
                       "stock.kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...: expected an array "
                       "(Item), found the number 5");
}

static void json_names_the_key(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"labels\":{\"nine99999\":\"\"}",
         "labels.nine99999: expected a key of at most 8 bytes, found one of 9"},
        {"\"labels\":{\"a\":1}", "labels.a: expected a string of at most 16 bytes, found 1"},
        {"\"labels\":{\"a\":null}", "labels.a: expected a string of at most 16 bytes, found null"},
        {"\"labels\":{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\"}",
         "labels: expected an object of at most 3, found more"},
        {"\"labels\":[]", "labels: expected an object of at most 3, found an array"},
        {"\"labels\":{},\"stock\":{\"a\":{\"sku\":\"\",\"quantity\":-1}},\"scores\":{}",
         "stock.a.quantity: expected a number from 0 to 4294967295, found -1"},
        {"\"labels\":{},\"stock\":{},\"scores\":{},\"first\":{\"by\":{}}",
         "first.by: expected one of cash, card, transfer, found an object of 0 members"},
        {"\"labels\":{},\"stock\":{},\"scores\":{},\"first\":{\"by\":{\"cash\":{},\"card\":{}}}",
         "first.by: expected one of cash, card, transfer, found an object of 2 members"},
        {"\"labels\":{},\"stock\":{},\"scores\":{},\"first\":{\"by\":{\"gold\":{}}}",
         "first.by: expected one of cash, card, transfer, found \"gold\""},
        {"\"labels\":{},\"stock\":{},\"scores\":{},\"first\":{\"by\":\"cash\"}",
         "first.by: expected one of cash, card, transfer, found a string"},
        {"\"labels\":{},\"stock\":{},\"scores\":{},\"first\":{\"by\":{\"card\":{\"year\":1}}}",
         "first.by.card.number: expected a string of at most 8 bytes, found nothing"},
        {"\"labels\":{},\"stock\":{},\"scores\":{},\"first\":{\"by\":{\"cash\":5}}",
         "first.by.cash: expected an object (Empty), found a number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[256];
        uint8_t *made = NULL;
        size_t size = 0;
        fabric_schema_fault_t fault = {""};
        (void)snprintf(json, sizeof json, "{%s}", cases[i][0]);
        assert_int_equal(fabric_schema_from_json(&profile_schema, json, &fault, &made, &size),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_string_equal(fault.text, cases[i][1]);
        assert_null(made);
    }
}

/* A map of maps of maps ... which a schema in C can make endless. */
static void maps_count_as_levels(void **state)
{
    (void)state;
    typedef struct endless {
        const void *entries;
        uint32_t count;
        char key[2];
    } endless_t;
    static fabric_field_t fields[2] = {
        {.name = "key", .kind = FABRIC_FIELD_STRING, .max = 1, .offset = offsetof(endless_t, key)},
        {.name = "value",
         .kind = FABRIC_FIELD_MAP,
         .max = FABRIC_ANY_LENGTH,
         .offset = offsetof(endless_t, entries),
         .count_offset = offsetof(endless_t, count)}};
    static const fabric_schema_t entry = {"Entry", sizeof(endless_t), fields, 2};
    fields[1].schema = &entry;
    const fabric_schema_t schema = {"S", sizeof(endless_t), &fields[1], 1};
    assert_false(schema_is_describable(&schema));
    uint8_t bytes[1 + 3 * (LIMIT_DEPTH_MAX + 4)];
    for (unsigned maps = 1; maps <= LIMIT_DEPTH_MAX; maps++) {
        size_t size = 0;
        fabric_schema_fault_t fault = {""};
        bytes[size++] = 0x91;
        for (unsigned i = 1; i < maps; i++) {
            bytes[size++] = 0x81;
            bytes[size++] = 0xa1;
            bytes[size++] = 'k';
        }
        bytes[size++] = 0x80;
        assert_int_equal(fabric_schema_check(&schema, fabric_bytes(bytes, size), &fault),
                         maps < LIMIT_DEPTH_MAX ? FABRIC_OK : FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_int_equal(strstr(fault.text, "expected at most 16 levels of nesting") != NULL,
                         maps == LIMIT_DEPTH_MAX);
    }
    endless_t values[LIMIT_DEPTH_MAX + 1];
    memset(values, 0, sizeof values);
    for (unsigned i = 0; i < LIMIT_DEPTH_MAX; i++) {
        values[i].entries = &values[i + 1];
        values[i].count = 1;
    }
    size_t size = 0;
    assert_int_equal(fabric_schema_encode(&schema, values, bytes, sizeof bytes, NULL, &size),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(fabric_schema_encode(&schema, values + 2, bytes, sizeof bytes, NULL, &size),
                     FABRIC_OK);
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

static void variants_stay_and_may_be_added(void **state)
{
    (void)state;
    static const fabric_field_t year[] = {{.name = "number", .kind = FABRIC_FIELD_U32}};
    static const fabric_schema_t other_card = {"Card", 4, year, 1};
    fabric_field_t before = profile_schema.fields[5]; /* last */
    fabric_field_t after = before;
    fabric_choice_t items[4];
    memcpy(items, before.choices->items, 3 * sizeof *items);
    items[3] = (fabric_choice_t){8, "gold", NULL, &fabric_schema_empty};
    fabric_choices_t choices = {"Kind", items, 4};
    after.choices = &choices;
    assert_compatible(before, after, "");
    assert_compatible(after, before, "last: expected gold with the number 8 as before, found none");
    items[1].schema = &other_card;
    assert_compatible(before, after, "last.card.number: expected kind string as before, found u32");
    assert_compatible(before, profile_schema.fields[6],
                      "notes: expected kind union as before, found map");
    assert_compatible(profile_schema.fields[0], profile_schema.fields[6],
                      "notes: expected a maximum of at least 3 as before, found 1");
    fabric_field_t stock = profile_schema.fields[1];
    assert_compatible(profile_schema.fields[0], stock,
                      "stock.item: expected kind string as before, found struct");
}

static void views_are_found(void **state)
{
    (void)state;
    assert_true(schema_has_views(&profile_schema));
    const fabric_schema_t labels = {"S", 64, profile_schema.fields, 1};
    const fabric_schema_t last = {"S", 64, &profile_schema.fields[5], 1};
    assert_false(schema_has_views(&labels));
    assert_true(schema_has_views(&last));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_comes_back),
        cmocka_unit_test(json_may_have_any_order),
        cmocka_unit_test(many_entries_are_sorted),
        cmocka_unit_test(profiles_that_break_their_schema_are_refused),
        cmocka_unit_test(faults_name_the_key),
        cmocka_unit_test(long_keys_are_cut),
        cmocka_unit_test(json_names_the_key),
        cmocka_unit_test(maps_count_as_levels),
        cmocka_unit_test(variants_stay_and_may_be_added),
        cmocka_unit_test(views_are_found),
    };
    return cmocka_run_group_tests_name("core_schema_maps", tests, NULL, NULL);
}
