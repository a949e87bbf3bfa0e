/* Failures that a message type declares: their descriptions, which one may take another's place,
 * their values as payloads and JSON. */
#include "core/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "core/outcome.h"
#include "core/type_description.h"
#include "tests/harness/account.h"

static fabric_schema_t *parsed(const fabric_choices_t *failures)
{
    fabric_schema_t *schema = NULL;
    wire_writer_t writer = {0};
    assert_true(failures_are_describable(failures));
    failures_describe(failures, &writer);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
    assert_int_equal(failures_parse(&reader, &schema), FABRIC_OK);
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    wire_writer_destroy(&writer);
    return schema;
}

static void what_was_declared_is_found(void **state)
{
    (void)state;
    fabric_schema_t *schema = parsed(&account_failures);
    const fabric_choices_t *failures = failures_of(schema);
    const fabric_choice_t *failure = failures_find(failures, ACCOUNT_INSUFFICIENT_FUNDS);
    assert_string_equal(failure->name, "InsufficientFunds");
    assert_string_equal(failure->doc, "The balance is too small.");
    assert_int_equal(failure->schema->field_count, 2);
    assert_string_equal(failures_find(failures, ACCOUNT_CLOSED)->name, "Closed");
    assert_null(failures_find(failures, 0));
    assert_null(failures_find(failures, (uint64_t)1 << 32 | ACCOUNT_CLOSED));
    assert_null(failures_find(failures, UINT64_MAX));
    assert_null(failures_find(NULL, ACCOUNT_CLOSED));
    assert_null(failures_of(NULL));
    assert_true(failures_are_describable(NULL));
    schema_destroy(&schema);
}

/* A schema that is none of failures. */
static void other_schemas_are_refused(void **state)
{
    static const fabric_choice_t negative_items[] = {
        FABRIC_VARIANT(-1, "Negative", fabric_schema_empty, NULL)};
    static const fabric_choices_t negative = FABRIC_CHOICES("N", negative_items);
    const fabric_field_t unions[] = {
        {.name = "a", .kind = FABRIC_FIELD_UNION, .choices = &account_failures},
        {.name = "b", .kind = FABRIC_FIELD_UNION, .choices = &account_failures}};
    const fabric_field_t optional = {
        .name = "a", .kind = FABRIC_FIELD_UNION, .choices = &account_failures, .optional = true};
    const fabric_field_t below_0 = {.name = "a", .kind = FABRIC_FIELD_UNION, .choices = &negative};
    const fabric_schema_t wrong[] = {account_amount_schema,
                                     fabric_schema_empty,
                                     {"Two", 8, unions, 2},
                                     {"Optional", 8, &optional, 1},
                                     {"Negative", 8, &below_0, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fabric_schema_t *schema = NULL;
        wire_writer_t writer = {0};
        schema_describe(&wrong[i], &writer);
        wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
        assert_int_equal(failures_parse(&reader, &schema), FABRIC_ERROR_MALFORMED_MESSAGE);
        assert_true(reader.failed);
        assert_null(schema);
        wire_writer_destroy(&writer);
    }
    assert_false(failures_are_describable(&negative));
}

/* ---- versions ---- */

static void expect_merged(fabric_schema_t *known, fabric_schema_t *brought,
                          const fabric_schema_t *kept, const char *text)
{
    fabric_schema_t *request = (fabric_schema_t *)(uintptr_t)&account_amount_schema;
    message_description_t messages[2] = {
        {.tag = "Withdraw", .request = request, .reply = request, .failures = known},
        {.tag = "Withdraw", .request = request, .reply = request, .failures = brought}};
    type_description_t types[2];
    for (size_t i = 0; i < 2; i++) {
        types[i] = (type_description_t){.name = "Account",
                                        .group = "default",
                                        .mailbox_capacity = 1,
                                        .concurrency = 1,
                                        .messages = &messages[i],
                                        .message_count = 1};
    }
    fabric_schema_fault_t fault = {{0}};
    wire_writer_t merged = {0};
    fabric_error_t error = type_description_merge(&types[0], &types[1], &fault, &merged);
    assert_int_equal(error, text ? FABRIC_ERROR_TYPE_CONFLICT : FABRIC_OK);
    if (text) {
        assert_string_equal(fault.text, text);
    } else {
        type_description_t *got = NULL;
        wire_reader_t reader = wire_reader(wire_writer_bytes(&merged));
        assert_int_equal(type_description_parse(&reader, &got), FABRIC_OK);
        const fabric_choices_t *failures = failures_of(got->messages[0].failures);
        assert_int_equal(failures->count, failures_of(kept)->count);
        type_description_destroy(&got);
    }
    wire_writer_destroy(&merged);
}

static void versions_may_add_failures(void **state)
{
    (void)state;
    const fabric_choices_t fewer = {"WithdrawFailure", account_failure_items, 1};
    fabric_schema_t *older = parsed(&fewer);
    fabric_schema_t *newer = parsed(&account_failures);
    expect_merged(NULL, older, older, NULL);
    expect_merged(older, NULL, older, NULL);
    expect_merged(older, newer, newer, NULL);
    expect_merged(newer, older, newer, NULL);
    schema_destroy(&older);
    schema_destroy(&newer);
}

static void contradictions_are_told_by_name(void **state)
{
    const fabric_choice_t renamed_items[] = {
        {ACCOUNT_INSUFFICIENT_FUNDS, "Poor", NULL, &account_insufficient_funds_schema},
        account_failure_items[1]};
    const fabric_choice_t changed_items[] = {
        {ACCOUNT_INSUFFICIENT_FUNDS, "InsufficientFunds", NULL, &account_noted_schema},
        account_failure_items[1]};
    const fabric_choices_t renamed = {"WithdrawFailure", renamed_items, 2};
    const fabric_choices_t changed = {"WithdrawFailure", changed_items, 2};
    const fabric_choices_t other = {"WithdrawFailure", &account_failure_items[1], 1};
    const fabric_choices_t one = {"WithdrawFailure", account_failure_items, 1};
    (void)state;
    fabric_schema_t *known = parsed(&account_failures);
    fabric_schema_t *brought = parsed(&renamed);
    expect_merged(known, brought, NULL,
                  "Withdraw: failure: expected InsufficientFunds with the number 7 as before, "
                  "found Poor");
    schema_destroy(&brought);
    brought = parsed(&changed);
    expect_merged(known, brought, NULL,
                  "Withdraw: failure.InsufficientFunds.note: expected kind u64 as before, found "
                  "string");
    schema_destroy(&brought);
    schema_destroy(&known);
    known = parsed(&one);
    brought = parsed(&other);
    expect_merged(known, brought, NULL,
                  "Withdraw: failure: expected InsufficientFunds with the number 7 as before, "
                  "found none");
    schema_destroy(&known);
    schema_destroy(&brought);
}

/* ---- values ---- */

static const account_insufficient_funds_t funds = {5, 12};

static void values_are_payloads(void **state)
{
    (void)state;
    uint8_t buffer[16];
    size_t size = 99;
    fabric_schema_fault_t fault = {{0}};
    assert_int_equal(failure_encode(&account_failures, ACCOUNT_INSUFFICIENT_FUNDS, &funds, buffer,
                                    sizeof buffer, &fault, &size),
                     FABRIC_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(buffer, "\x92\x05\x0c", 3);
    assert_int_equal(failure_encode(&account_failures, ACCOUNT_CLOSED, NULL, buffer, sizeof buffer,
                                    &fault, &size),
                     FABRIC_OK);
    assert_int_equal(size, 1);
    assert_int_equal(
        failure_encode(&account_failures, 1, &funds, buffer, sizeof buffer, &fault, &size),
        FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(fault.text, "failure: the message declares none with the number 1");
    assert_int_equal(failure_encode(NULL, -1, &funds, buffer, sizeof buffer, NULL, &size),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(failure_encode(&account_failures, ACCOUNT_INSUFFICIENT_FUNDS, &funds, buffer,
                                    2, &fault, &size),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_int_equal(size, 1); /* as it was */
}

static void values_are_json_by_the_failures_name(void **state)
{
    (void)state;
    fabric_schema_fault_t fault = {{0}};
    char *json = NULL;
    assert_int_equal(failure_to_json(&account_failures, ACCOUNT_INSUFFICIENT_FUNDS,
                                     fabric_bytes("\x92\x05\x0c", 3), &fault, &json),
                     FABRIC_OK);
    assert_string_equal(json,
                        "{\"failure\": {\"InsufficientFunds\": {\"balance\": 5, \"requested\": "
                        "12}}}");
    free(json);
    assert_int_equal(
        failure_to_json(&account_failures, ACCOUNT_CLOSED, fabric_bytes("\x90", 1), &fault, &json),
        FABRIC_OK);
    assert_string_equal(json, "{\"failure\": {\"Closed\": {}}}");
    free(json);
    assert_int_equal(
        failure_to_json(&account_failures, ACCOUNT_CLOSED, fabric_bytes("\x92", 1), &fault, &json),
        FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_null(json);
    assert_int_equal(failure_to_json(&account_failures, 3, fabric_bytes("\x90", 1), &fault, &json),
                     FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_null(json);
}

/* ---- outcomes ---- */

static fabric_outcome_t outcome_with(uint64_t code, const char *values, size_t size)
{
    fabric_outcome_t outcome = {.error = FABRIC_ERROR_ENTITY_FAILURE, .code = code};
    outcome_set_failure(&outcome, &account_failures, fabric_bytes(values, size));
    return outcome;
}

static void outcomes_name_the_failure(void **state)
{
    (void)state;
    fabric_outcome_t outcome = outcome_with(ACCOUNT_INSUFFICIENT_FUNDS, "\x92\x05\x0c", 3);
    assert_ptr_equal(outcome.failure, &account_failure_items[0]);
    assert_string_equal(outcome.text, "InsufficientFunds {\"balance\": 5, \"requested\": 12}");
    outcome = outcome_with(ACCOUNT_INSUFFICIENT_FUNDS, "\x93\x05\x0c\xc3", 4);
    assert_ptr_equal(outcome.failure, &account_failure_items[0]); /* a newer worker's */
    assert_string_equal(outcome.text, "InsufficientFunds");
    outcome = outcome_with(ACCOUNT_INSUFFICIENT_FUNDS, "\x92\x05\xc3", 3);
    assert_null(outcome.failure);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(outcome.code, 0);
    assert_non_null(strstr(outcome.text, "requested: "));
    outcome = outcome_with(10, "\x90", 1);
    assert_null(outcome.failure);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcome.code, 10);
    assert_string_equal(outcome.text, "the entity answered with failure 10, which is not declared "
                                      "here: its message type is newer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_declared_is_found),
        cmocka_unit_test(other_schemas_are_refused),
        cmocka_unit_test(versions_may_add_failures),
        cmocka_unit_test(contradictions_are_told_by_name),
        cmocka_unit_test(values_are_payloads),
        cmocka_unit_test(values_are_json_by_the_failures_name),
        cmocka_unit_test(outcomes_name_the_failure),
    };
    return cmocka_run_group_tests_name("core_failures", tests, NULL, NULL);
}
