/* Enums, timestamps, defaults, optional fields of every kind, names in JSON and lines of
 * documentation: round trips, and the texts of faults. */
#include "core/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/iso8601.h"
#include "tests/unit/samples.h"

/* From the struct to a payload, JSON, another payload and the struct. */
static shipment_t round_trip(const shipment_t *sent)
{
    shipment_t got;
    uint8_t payload[512];
    size_t size = 0;
    char *json = NULL;
    uint8_t *again = NULL;
    fabric_schema_fault_t fault = {""};
    memset(&got, 0xaa, sizeof got);
    assert_int_equal(
        fabric_schema_encode(&shipment_schema, sent, payload, sizeof payload, &fault, &size),
        FABRIC_OK);
    assert_int_equal(
        fabric_schema_to_json(&shipment_schema, fabric_bytes(payload, size), &fault, &json),
        FABRIC_OK);
    assert_int_equal(fabric_schema_from_json(&shipment_schema, json, &fault, &again, &size),
                     FABRIC_OK);
    assert_int_equal(
        fabric_schema_decode(&shipment_schema, fabric_bytes(again, size), &fault, &got), FABRIC_OK);
    free(again);
    free(json);
    return got;
}

static shipment_t with_defaults(void)
{
    shipment_t shipment;
    static const uint8_t least[] = {0x92, 0x01, 0x05};
    memset(&shipment, 0xaa, sizeof shipment);
    assert_int_equal(
        fabric_schema_decode(&shipment_schema, fabric_bytes(least, sizeof least), NULL, &shipment),
        FABRIC_OK);
    return shipment;
}

static void what_a_payload_lacks_has_its_default(void **state)
{
    (void)state;
    shipment_t shipment = with_defaults();
    assert_int_equal(shipment.status, SHIPMENT_SENT);
    assert_int_equal(shipment.sent_at, 5);
    assert_int_equal(shipment.parcels, 1);
    assert_true(shipment.insured);
    assert_int_equal(shipment.floor, -2);
    assert_true(shipment.offset == INT64_MIN && shipment.serial == UINT64_MAX);
    assert_true(shipment.weight == 0.5);
    assert_string_equal(shipment.currency, "EUR");
    assert_int_equal(shipment.before, SHIPMENT_LOST);
    assert_true(shipment.due == 1735689600000);
    assert_false(shipment.has_flag || shipment.has_seen || shipment.has_items);
    assert_int_equal(shipment.seen, 0);
}

/* Defaults at the end are left out, so that a peer that does not know them can read the payload. */
static void defaults_at_the_end_are_left_out(void **state)
{
    (void)state;
    uint8_t payload[512];
    size_t size = 0;
    shipment_t shipment = with_defaults();
    assert_int_equal(
        fabric_schema_encode(&shipment_schema, &shipment, payload, sizeof payload, NULL, &size),
        FABRIC_OK);
    assert_int_equal(size, 3);
    assert_int_equal(payload[0], 0x92);
    (void)strcpy(shipment.currency, "EU");
    assert_int_equal(
        fabric_schema_encode(&shipment_schema, &shipment, payload, sizeof payload, NULL, &size),
        FABRIC_OK);
    assert_int_equal(payload[0], 0x99);
    (void)strcpy(shipment.currency, "EUR");
    shipment.has_flag = true;
    assert_int_equal(
        fabric_schema_encode(&shipment_schema, &shipment, payload, sizeof payload, NULL, &size),
        FABRIC_OK);
    assert_int_equal(payload[0], 0x9c);
}

static void every_kind_may_be_optional(void **state)
{
    (void)state;
    for (size_t i = 0; i < shipment_schema.field_count; i++) {
        const fabric_field_t *field = &shipment_schema.fields[i];
        shipment_t sent = with_defaults();
        if (!field->optional) {
            continue;
        }
        *((uint8_t *)&sent + field->present_offset) = true;
        sent.items_count = field->kind == FABRIC_FIELD_LIST ? 2 : 0;
        sent.items[1].quantity = field->kind == FABRIC_FIELD_LIST ? 7 : 0;
        shipment_t got = round_trip(&sent);
        for (size_t k = 0; k < shipment_schema.field_count; k++) {
            const fabric_field_t *other = &shipment_schema.fields[k];
            if (other->optional) {
                assert_int_equal(*((uint8_t *)&got + other->present_offset), i == k);
            }
        }
        assert_int_equal(got.items_count, sent.items_count);
        assert_int_equal(got.items[1].quantity, sent.items[1].quantity);
    }
}

static void enums_and_times_come_back(void **state)
{
    (void)state;
    static const shipment_status_t statuses[] = {SHIPMENT_LOST, SHIPMENT_OPEN, SHIPMENT_SENT,
                                                 SHIPMENT_ARRIVED};
    static const int64_t times[] = {ISO8601_MS_MIN, -1, 0, 1735689600001, ISO8601_MS_MAX};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 5; k++) {
            shipment_t sent = with_defaults();
            sent.status = sent.before = sent.maybe = statuses[i];
            sent.sent_at = sent.due = sent.seen = times[k];
            sent.has_status = sent.has_seen = true;
            shipment_t got = round_trip(&sent);
            assert_true(got.status == statuses[i] && got.before == statuses[i] &&
                        got.maybe == statuses[i]);
            assert_true(got.sent_at == times[k] && got.due == times[k] && got.seen == times[k]);
        }
    }
}

static void assert_not_encoded(const shipment_t *shipment, const char *text)
{
    uint8_t payload[512];
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    assert_int_equal(
        fabric_schema_encode(&shipment_schema, shipment, payload, sizeof payload, &fault, &size),
        FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(fault.text, text);
}

static void what_is_no_value_is_not_encoded(void **state)
{
    (void)state;
    shipment_t shipment = with_defaults();
    shipment.status = (shipment_status_t)2;
    assert_not_encoded(&shipment,
                       "status: expected one of OPEN, SENT, LOST, ARRIVED, found the number 2");
    shipment = with_defaults();
    shipment.sent_at = ISO8601_MS_MAX + 1;
    assert_not_encoded(&shipment, "sent_at: expected Unix milliseconds of years 1 to 9999, found "
                                  "the number 253402300800000");
}

static void assert_not_decoded(const char *bytes, size_t size, const char *text)
{
    fabric_schema_fault_t fault = {""};
    assert_int_equal(fabric_schema_check(&shipment_schema, fabric_bytes(bytes, size), &fault),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(fault.text, text);
}

static void faults_say_which_values_there_are(void **state)
{
    (void)state;
    assert_not_decoded("\x92\x02\x05", 3,
                       "status: expected one of OPEN, SENT, LOST, ARRIVED, found the number 2");
    assert_not_decoded("\x92\xa4SENT\x05", 7,
                       "status: expected one of OPEN, SENT, LOST, ARRIVED, found a string");
    assert_not_decoded("\x91\x01", 2,
                       "sent_at: expected Unix milliseconds of years 1 to 9999, found nothing");
    assert_not_decoded("\x92\x01\xa1x", 4,
                       "sent_at: expected Unix milliseconds of years 1 to 9999, found a string");
    assert_not_decoded("\x93\x01\x05\xc2", 4,
                       "parcels: expected a number from 0 to 4294967295, found false");
}

/* Many choices do not all fit into a text. */
static void many_choices_are_cut(void **state)
{
    (void)state;
    enum { MANY = 40 };
    char names[MANY][24];
    fabric_choice_t items[MANY];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(names[i], sizeof names[i], "CHOICE_%d", i);
        items[i] = (fabric_choice_t){i, names[i], NULL, NULL};
    }
    const fabric_choices_t choices = {"Many", items, MANY};
    const fabric_field_t fields[] = {
        {.name = "many", .kind = FABRIC_FIELD_ENUM, .choices = &choices}};
    const fabric_schema_t schema = {"S", 4, fields, 1};
    fabric_schema_fault_t fault = {""};
    assert_int_equal(fabric_schema_check(&schema, fabric_bytes("\x91\x7f", 2), &fault),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(fault.text,
                        "many: expected one of CHOICE_0, CHOICE_1, CHOICE_2, CHOICE_3, CHOICE_4, "
                        "CHOICE_5, CHOICE_6, CHOICE_7, ..., found the number 127");
}

static void assert_json_refused(const char *json, const char *text)
{
    uint8_t *payload = NULL;
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    assert_int_equal(fabric_schema_from_json(&shipment_schema, json, &fault, &payload, &size),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_null(payload);
    assert_string_equal(fault.text, text);
}

static void json_has_names_of_its_own(void **state)
{
    (void)state;
    assert_json_refused("{\"status\":\"SENT\",\"sent_at\":\"2025-01-01T00:00:00Z\"}",
                        "sent_at: Shipment has no such field");
    assert_json_refused("{\"status\":\"SENT\"}",
                        "sentAt: expected an ISO 8601 time such as \"2025-01-31T23:59:59.000Z\", "
                        "found nothing");
    assert_json_refused("{\"status\":\"SENT\",\"sentAt\":1735689600000}",
                        "sentAt: expected an ISO 8601 time such as \"2025-01-31T23:59:59.000Z\", "
                        "found 1735689600000");
    assert_json_refused("{\"status\":\"SENT\",\"sentAt\":\"2025-02-29T00:00:00Z\"}",
                        "sentAt: expected an ISO 8601 time such as \"2025-01-31T23:59:59.000Z\", "
                        "found a string that is none");
    assert_json_refused("{\"status\":\"SOLD\",\"sentAt\":\"2025-01-01T00:00:00Z\"}",
                        "status: expected one of OPEN, SENT, LOST, ARRIVED, found \"SOLD\"");
    assert_json_refused("{\"status\":1,\"sentAt\":\"2025-01-01T00:00:00Z\"}",
                        "status: expected one of OPEN, SENT, LOST, ARRIVED, found 1");
    assert_json_refused("{\"status\":\"SENT\",\"sentAt\":\"2025-01-01T00:00:00Z\","
                        "\"parcelCount\":-1}",
                        "parcelCount: expected a number from 0 to 4294967295, found -1");
}

/* ---- compatibility ---- */

static void assert_compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                              const char *text)
{
    fabric_schema_fault_t fault = {""};
    assert_int_equal(schema_compatible(before, after, &fault),
                     *text ? FABRIC_ERROR_TYPE_CONFLICT : FABRIC_OK);
    assert_string_equal(fault.text, text);
}

/* The sample Shipment with one of its first fields changed. */
static fabric_schema_t changed(fabric_field_t fields[32], const fabric_field_t *field, size_t index)
{
    memcpy(fields, shipment_schema.fields, shipment_schema.field_count * sizeof *fields);
    fields[index] = *field;
    return (fabric_schema_t){"Shipment", sizeof(shipment_t), fields, shipment_schema.field_count};
}

static void choices_stay_and_may_be_added(void **state)
{
    (void)state;
    fabric_field_t fields[32];
    static const fabric_choice_t more[] = {{0, "OPEN", NULL, NULL},
                                           {1, "SENT", NULL, NULL},
                                           {2, "HELD", NULL, NULL},
                                           {-7, "LOST", NULL, NULL},
                                           {200, "ARRIVED", NULL, NULL}};
    static const fabric_choices_t added = {"Status", more, 5};
    static const fabric_choice_t renamed[] = {{0, "OPEN", NULL, NULL},
                                              {1, "GONE", NULL, NULL},
                                              {-7, "LOST", NULL, NULL},
                                              {200, "ARRIVED", NULL, NULL}};
    static const fabric_choices_t other = {"Status", renamed, 4};
    fabric_field_t field = shipment_schema.fields[0];
    field.choices = &added;
    fabric_schema_t schema = changed(fields, &field, 0);
    assert_compatible(&shipment_schema, &schema, "");
    assert_compatible(&schema, &shipment_schema,
                      "status: expected HELD with the number 2 as before, found none");
    field.choices = &other;
    schema = changed(fields, &field, 0);
    assert_compatible(&shipment_schema, &schema,
                      "status: expected SENT with the number 1 as before, found GONE");
}

static void defaults_stay(void **state)
{
    (void)state;
    fabric_field_t fields[32];
    fabric_field_t field = shipment_schema.fields[2];
    field.doc = NULL; /* words may change */
    field.json = "parcels";
    fabric_schema_t schema = changed(fields, &field, 2);
    assert_compatible(&shipment_schema, &schema, "");
    field.fallback.as.integer = 2;
    schema = changed(fields, &field, 2);
    assert_compatible(&shipment_schema, &schema,
                      "parcels: expected the default as before, found another one");
    field.fallback.given = false;
    schema = changed(fields, &field, 2);
    assert_compatible(&shipment_schema, &schema,
                      "parcels: expected the default as before, found none");
    assert_compatible(&schema, &shipment_schema, ""); /* one may be added */
    field.optional = true;
    schema = changed(fields, &field, 2);
    assert_compatible(&shipment_schema, &schema,
                      "parcels: expected the default as before, found none");
    assert_compatible(&schema, &shipment_schema, "");
    field = shipment_schema.fields[8];
    field.fallback.as.text = "USD";
    schema = changed(fields, &field, 8);
    assert_compatible(&shipment_schema, &schema,
                      "currency: expected the default as before, found another one");
}

static void new_fields_may_have_a_default(void **state)
{
    (void)state;
    fabric_schema_t before = shipment_schema;
    before.field_count = 2;
    fabric_schema_t after = shipment_schema;
    assert_compatible(&before, &after, "");
    before.field_count = 1; /* sent_at has none */
    assert_compatible(&before, &after,
                      "sent_at: expected a new field to be optional or to have a default, found "
                      "one that must be there");
}

/* ---- what cannot be described ---- */

static void defaults_must_fit(void **state)
{
    (void)state;
    static const fabric_choices_t none = {"None", NULL, 0};
    static const struct {
        fabric_field_t field;
        bool good;
    } cases[] = {
        {{.name = "f", .kind = FABRIC_FIELD_I32, FABRIC_DEFAULT(INT32_MIN)}, true},
        {{.name = "f", .kind = FABRIC_FIELD_I32, FABRIC_DEFAULT(INT32_MAX + INT64_C(1))}, false},
        {{.name = "f", .kind = FABRIC_FIELD_U32, FABRIC_DEFAULT(-1)}, false},
        {{.name = "f", .kind = FABRIC_FIELD_U32, FABRIC_DEFAULT(UINT32_MAX)}, true},
        {{.name = "f", .kind = FABRIC_FIELD_BOOL, FABRIC_DEFAULT(2)}, false},
        {{.name = "f", .kind = FABRIC_FIELD_F64, FABRIC_DEFAULT_F64(1e300)}, true},
        {{.name = "f", .kind = FABRIC_FIELD_F64, FABRIC_DEFAULT_F64(1e300 * 1e300)}, false},
        {{.name = "f", .kind = FABRIC_FIELD_STRING, .max = 2, FABRIC_DEFAULT_STRING("ab")}, true},
        {{.name = "f", .kind = FABRIC_FIELD_STRING, .max = 2, FABRIC_DEFAULT_STRING("abc")}, false},
        {{.name = "f", .kind = FABRIC_FIELD_STRING, .max = 2, FABRIC_DEFAULT_STRING("\xff")},
         false},
        {{.name = "f", .kind = FABRIC_FIELD_BYTES, .max = 2, FABRIC_DEFAULT_STRING("")}, false},
        {{.name = "f", .kind = FABRIC_FIELD_TIMESTAMP, FABRIC_DEFAULT(INT64_MAX)}, false},
        {{.name = "f", .kind = FABRIC_FIELD_ENUM, .choices = &shipment_statuses, FABRIC_DEFAULT(2)},
         false},
        {{.name = "f", .kind = FABRIC_FIELD_ENUM, .choices = &shipment_statuses}, true},
        {{.name = "f", .kind = FABRIC_FIELD_ENUM, .choices = &none}, false},
        {{.name = "f", .kind = FABRIC_FIELD_ENUM}, false},
        {{.name = "f", .kind = FABRIC_FIELD_I32, .optional = true, FABRIC_DEFAULT(1)}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const fabric_schema_t schema = {"S", 16, &cases[i].field, 1};
        if (schema_is_describable(&schema) != cases[i].good) {
            fail_msg("case %zu", i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_payload_lacks_has_its_default),
        cmocka_unit_test(defaults_at_the_end_are_left_out),
        cmocka_unit_test(every_kind_may_be_optional),
        cmocka_unit_test(enums_and_times_come_back),
        cmocka_unit_test(what_is_no_value_is_not_encoded),
        cmocka_unit_test(faults_say_which_values_there_are),
        cmocka_unit_test(many_choices_are_cut),
        cmocka_unit_test(json_has_names_of_its_own),
        cmocka_unit_test(choices_stay_and_may_be_added),
        cmocka_unit_test(defaults_stay),
        cmocka_unit_test(new_fields_may_have_a_default),
        cmocka_unit_test(defaults_must_fit),
    };
    return cmocka_run_group_tests_name("core_schema_kinds", tests, NULL, NULL);
}
