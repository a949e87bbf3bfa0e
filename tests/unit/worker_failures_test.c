/* Typed failures in the worker: one entity, alone and without a cluster. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fabric/testing.h>

#include "core/limits.h"
#include "core/reason.h"
#include "tests/harness/account_module.c"
#include "worker/type_table.h"

static fabric_testing_t *open_account(uint64_t balance)
{
    fabric_testing_t *test;
    account_amount_t amount = {balance};
    account_balance_t reply;
    assert_int_equal(fabric_testing_open(&account_type, "a-1", &test, NULL), FABRIC_OK);
    assert_int_equal(fabric_testing_send(test, &account_deposit, &amount, &reply, NULL),
                     FABRIC_REPLY);
    return test;
}

static fabric_result_t handle(fabric_testing_t *test, const fabric_message_type_t *message,
                              uint64_t amount, fabric_outcome_t *outcome)
{
    account_balance_t reply;
    return fabric_testing_send(test, message, &(account_amount_t){amount}, &reply, outcome);
}

/* The entity and its state go on. */
static void expect_unharmed(fabric_testing_t *test, uint64_t balance, uint64_t handled)
{
    account_balance_t reply;
    assert_int_equal(
        fabric_testing_send(test, &account_deposit, &(account_amount_t){0}, &reply, NULL),
        FABRIC_REPLY);
    assert_int_equal(reply.balance, balance);
    assert_int_equal(reply.handled, handled);
}

static void expect_insufficient(fabric_testing_t *test, const fabric_message_type_t *message)
{
    fabric_outcome_t outcome;
    assert_int_equal(handle(test, message, 12, &outcome), FABRIC_FAILURE);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcome.code, ACCOUNT_INSUFFICIENT_FUNDS);
    assert_ptr_equal(outcome.failure, &account_failure_items[0]);
    assert_string_equal(outcome.text, "InsufficientFunds {\"balance\": 5, \"requested\": 12}");
    const account_insufficient_funds_t *values =
        (const account_insufficient_funds_t *)fabric_testing_failure(test);
    assert_non_null(values);
    assert_int_equal(values->balance, 5);
    assert_int_equal(values->requested, 12);
}

static void a_failure_has_its_values(void **state)
{
    (void)state;
    fabric_testing_t *test = open_account(5);
    fabric_outcome_t outcome;
    expect_insufficient(test, &account_withdraw);
    expect_insufficient(test, &account_volatile_withdraw);
    assert_int_equal(handle(test, &account_withdraw, 0, &outcome), FABRIC_FAILURE);
    assert_int_equal(outcome.code, ACCOUNT_CLOSED);
    assert_string_equal(outcome.failure->name, "Closed");
    assert_string_equal(outcome.text, "Closed");
    assert_null(fabric_testing_failure(test)); /* it has none */
    assert_int_equal(handle(test, &account_withdraw, 2, &outcome), FABRIC_REPLY);
    assert_null(outcome.failure);
    expect_unharmed(test, 3, 6);
    fabric_testing_close(&test);
}

static void a_failure_may_come_later(void **state)
{
    (void)state;
    fabric_testing_t *test = open_account(5);
    fabric_outcome_t outcome;
    fabric_pending_t *none = NULL;
    expect_insufficient(test, &account_withdraw_later);
    assert_int_equal(handle(test, &account_withdraw_later, 0, &outcome), FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(outcome.text, "failure: the message declares none with the number 9");
    assert_int_equal(handle(test, &account_withdraw_later, 1, &outcome), FABRIC_REPLY);
    expect_unharmed(test, 4, 5);
    fabric_pending_fail_with(&none, 1, NULL);
    fabric_testing_close(&test);
}

/* SH-04, IP-08: values that cannot be encoded make a defect that names MalformedMessage. */
static void test_sh_04_ip_08_values_that_do_not_fit_end_their_message_alone(void **state)
{
    (void)state;
    fabric_testing_t *test = open_account(5);
    fabric_outcome_t outcome;
    assert_int_equal(handle(test, &account_note, 0, &outcome), FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_non_null(strstr(outcome.text, "note: "));
    assert_null(outcome.failure);
    assert_null(fabric_testing_failure(test));
    assert_int_equal(handle(test, &account_note, LIMIT_PAYLOAD_BYTES_MAX, &outcome), FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    expect_unharmed(test, 5, 4);
    fabric_testing_close(&test);
}

/* Larger than a text may be, and with views. */
static void values_may_be_large(void **state)
{
    (void)state;
    fabric_testing_t *test = open_account(5);
    fabric_outcome_t outcome;
    assert_int_equal(handle(test, &account_note, 5000, &outcome), FABRIC_FAILURE);
    assert_string_equal(outcome.text, "Noted"); /* the values would not fit */
    const account_noted_t *values = (const account_noted_t *)fabric_testing_failure(test);
    assert_string_equal(values->note, "noted");
    assert_int_equal(values->long_note.size, 5000);
    assert_int_equal(values->long_note.data[4999], 'n');
    fabric_testing_close(&test);
}

/* ---- what a handler may do wrong, and what a description may ---- */

static fabric_result_t fail_without_values(fabric_context_t *context, void *state,
                                           const void *request, void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    return fabric_fail_with(context, ACCOUNT_INSUFFICIENT_FUNDS, NULL);
}

static fabric_result_t fail_twice(fabric_context_t *context, void *state, const void *request,
                                  void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    (void)fabric_fail_with(context, 77, NULL);
    return fabric_fail(context, 3, "the last one counts");
}

static fabric_result_t fail_undeclared(fabric_context_t *context, void *state, const void *request,
                                       void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    return fabric_fail_with(context, ACCOUNT_CLOSED, NULL);
}

static void a_handler_that_fails_wrongly_is_told(void **state)
{
    static const fabric_handler_t odd_handlers[] = {{&account_withdraw, fail_without_values},
                                                    {&account_withdraw_later, fail_twice},
                                                    {&account_deposit, fail_undeclared}};
    static const fabric_entity_type_t odd = {
        .name = "Odd", .handlers = odd_handlers, .handler_count = 3};
    (void)state;
    fabric_testing_t *test;
    fabric_outcome_t outcome;
    assert_int_equal(fabric_testing_open(&odd, "o-1", &test, NULL), FABRIC_OK);
    assert_int_equal(handle(test, &account_withdraw, 1, &outcome), FABRIC_DEFECT);
    assert_string_equal(outcome.text, "failure: there are no values for the one with the number 7");
    assert_int_equal(handle(test, &account_withdraw_later, 1, &outcome), FABRIC_FAILURE);
    assert_int_equal(outcome.code, 3);
    assert_null(outcome.failure);
    assert_string_equal(outcome.text, "the last one counts");
    assert_int_equal(handle(test, &account_deposit, 1, &outcome), FABRIC_DEFECT);
    assert_string_equal(outcome.text, "failure: the message declares none with the number 8");
    fabric_testing_close(&test);
}

static void wrong_declarations_are_refused(void **state)
{
    static const fabric_choice_t items[] = {
        {-1, "Negative", NULL, &fabric_schema_empty},
        {1, NULL, NULL, &fabric_schema_empty},
        {1, "NoSchema", NULL, NULL},
        {INT32_MAX, "Good", "A line.", &account_noted_schema},
        {INT32_MAX, "SameNumber", NULL, &fabric_schema_empty},
    };
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        const fabric_choices_t failures = {"Failures", &items[i], i == 3 ? 2 : 1};
        fabric_message_type_t message = account_withdraw;
        message.failures = &failures;
        const fabric_handler_t handler = {&message, withdraw};
        const fabric_entity_type_t type = {.name = "Odd", .handlers = &handler, .handler_count = 1};
        type_table_t *types = type_table_new();
        reason_t reason = {""};
        fabric_error_t error = type_table_add(types, &type, &reason);
        assert_int_equal(error, i == 4 ? FABRIC_OK : FABRIC_ERROR_INVALID_ARGUMENT);
        if (i < 3) {
            assert_string_equal(reason.text, "entity type Odd: the failures of message Withdraw "
                                             "lack a name or a schema, or have a negative number");
        }
        type_table_destroy(&types);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_has_its_values),
        cmocka_unit_test(a_failure_may_come_later),
        cmocka_unit_test(test_sh_04_ip_08_values_that_do_not_fit_end_their_message_alone),
        cmocka_unit_test(values_may_be_large),
        cmocka_unit_test(a_handler_that_fails_wrongly_is_told),
        cmocka_unit_test(wrong_declarations_are_refused),
    };
    return cmocka_run_group_tests_name("worker_failures", tests, NULL, NULL);
}
