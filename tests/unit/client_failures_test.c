/* Typed failures in the client: from an ended call to the outcome and the struct of its values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "libfabric_client/src/request.h"
#include "tests/harness/account.h"

/* A call that ended with this failure. */
static call_t *failed(const fabric_message_type_t *message, uint64_t code, fabric_bytes_t values)
{
    call_t *call = call_new(values.size);
    call->message = message;
    call->flags = message->durable ? REQUEST_DURABLE : 0;
    call->error = FABRIC_ERROR_ENTITY_FAILURE;
    call_note_code(call, code, true);
    call->answer = values;
    return call;
}

static void values_are_decoded(void **state)
{
    (void)state;
    account_failure_t failure = {{0}};
    fabric_outcome_t outcome;
    call_t *call = failed(&account_volatile_withdraw, ACCOUNT_INSUFFICIENT_FUNDS,
                          fabric_bytes("\x92\x05\x0c", 3));
    outcome_of(call, 3, &outcome);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_ptr_equal(outcome.failure, &account_failure_items[0]);
    assert_ptr_equal(outcome_schema(call, &outcome), &account_insufficient_funds_schema);
    outcome_decode(call, NULL, &outcome);
    outcome_decode(call, &failure, &outcome);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcome.code, ACCOUNT_INSUFFICIENT_FUNDS);
    assert_int_equal(failure.insufficient_funds.balance, 5);
    assert_int_equal(failure.insufficient_funds.requested, 12);
    call_destroy(&call);
}

static void views_of_a_failure_point_into_the_copy(void **state)
{
    (void)state;
    account_noted_t noted;
    fabric_outcome_t outcome;
    call_t *call = failed(&account_note, ACCOUNT_NOTED, fabric_bytes("\x92\xa1n\xa3yes", 7));
    outcome_of(call, 3, &outcome);
    uint8_t *copy = outcome_decode_views(call, &noted, &outcome);
    assert_non_null(copy);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_string_equal(noted.note, "n");
    assert_true(fabric_bytes_equal(noted.long_note, fabric_bytes_of("yes")));
    assert_ptr_equal(noted.long_note.data, copy + 4);
    free(copy);
    call_destroy(&call);
}

static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    fabric_outcome_t outcome;
    call_t *call = failed(&account_volatile_withdraw, ACCOUNT_INSUFFICIENT_FUNDS,
                          fabric_bytes("\x92\x05\xc3", 3));
    outcome_of(call, 3, &outcome);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_null(outcome.failure);
    assert_null(outcome_schema(call, &outcome));
    outcome_decode(call, NULL, &outcome);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    call_destroy(&call);
}

/* A failure that only newer message types declare, and one that is none of them. */
static void other_failures_have_a_code(void **state)
{
    (void)state;
    fabric_outcome_t outcome;
    call_t *call = failed(&account_withdraw, 99, fabric_bytes("\x90", 1));
    outcome_of(call, 3, &outcome);
    assert_int_equal(outcome.error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(outcome.code, 99);
    assert_null(outcome.failure);
    call_note_code(call, ACCOUNT_CLOSED, false);
    call->answer = fabric_bytes_of("a text");
    outcome_of(call, 3, &outcome);
    assert_int_equal(outcome.code, ACCOUNT_CLOSED);
    assert_null(outcome.failure);
    assert_string_equal(outcome.text, "a text");
    call->message = &account_deposit; /* which declares none */
    call_note_code(call, ACCOUNT_CLOSED, true);
    outcome_of(call, 3, &outcome);
    assert_null(outcome.failure);
    call_destroy(&call);
}

static void a_failure_needs_memory(void **state)
{
    (void)state;
    account_failure_t failure;
    account_noted_t noted;
    reason_t reason = {""};
    fabric_call_t call = {
        .message = &account_withdraw, .failure = &failure, .failure_size = sizeof failure};
    assert_int_equal(request_check_structs(&call, NULL, false, &reason), FABRIC_OK);
    call.failure_size = 8;
    assert_int_equal(request_check_structs(&call, NULL, true, &reason),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(reason.text,
                        "failure_size is 8, but the values of InsufficientFunds have 16 bytes");
    call =
        (fabric_call_t){.message = &account_note, .failure = &noted, .failure_size = sizeof noted};
    assert_int_equal(request_check_structs(&call, NULL, false, &reason),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(reason.text, "the failure Noted has views: fabric_client_call() must give "
                                     "its payload, too, which they point into");
    assert_int_equal(request_check_structs(&call, NULL, true, &reason), FABRIC_OK);
    call.message = &account_deposit;
    call.failure_size = 0;
    assert_int_equal(request_check_structs(&call, NULL, false, &reason), FABRIC_OK);
    call.message = NULL; /* which is told elsewhere */
    assert_int_equal(request_check_structs(&call, NULL, false, &reason), FABRIC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_decoded),
        cmocka_unit_test(views_of_a_failure_point_into_the_copy),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(other_failures_have_a_code),
        cmocka_unit_test(a_failure_needs_memory),
    };
    return cmocka_run_group_tests_name("client_failures", tests, NULL, NULL);
}
