/* Replies with views: they are decoded next to a copy of their payload, and nowhere else. */
#include "libfabric_client/src/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/samples.h"

static const fabric_message_type_t message = {
    "Get", &fabric_schema_empty, &document_schema, false, NULL, NULL, false, false};

static void views_point_into_the_copy(void **state)
{
    (void)state;
    item_t items[3] = {{.quantity = 1}, {.quantity = 2}, {.quantity = 3}};
    document_t sent = {.title = fabric_bytes_of("title"), .items = items, .items_count = 3};
    document_t got;
    uint8_t payload[256];
    size_t size = 0;
    fabric_outcome_t outcome = {.error = FABRIC_OK};
    assert_int_equal(
        fabric_schema_encode(&document_schema, &sent, payload, sizeof payload, NULL, &size),
        FABRIC_OK);
    call_t *call = call_new(0);
    call->message = &message;
    call->answer = fabric_bytes(payload, size);
    uint8_t *copy = outcome_decode_views(call, &got, &outcome);
    assert_non_null(copy);
    assert_int_equal(outcome.error, FABRIC_OK);
    assert_memory_equal(copy, payload, size);
    memset(payload, 0, sizeof payload); /* the answer is gone */
    assert_true(fabric_bytes_equal(got.title, fabric_bytes_of("title")));
    assert_true(got.title.data > copy && got.title.data < copy + size);
    assert_int_equal(got.items_count, 3);
    assert_int_equal(got.items[2].quantity, 3);
    free(copy);
    call_destroy(&call);
}

static void a_reply_that_does_not_fit_is_told(void **state)
{
    (void)state;
    document_t got;
    fabric_outcome_t outcome = {.error = FABRIC_OK};
    call_t *call = call_new(0);
    call->message = &message;
    call->answer = fabric_bytes("\x91\x01", 2);
    assert_null(outcome_decode_views(call, &got, &outcome));
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_string_equal(outcome.text, "title: expected a string, found the number 1");
    call_destroy(&call);
}

/* A newer worker answers with one field more. */
static void unknown_fields_of_a_reply_are_left_out(void **state)
{
    (void)state;
    static const fabric_message_type_t plain = {
        "Get", &fabric_schema_empty, &item_schema, false, NULL, NULL, false, false};
    item_t item;
    fabric_outcome_t outcome = {.error = FABRIC_OK};
    call_t *call = call_new(0);
    call->message = &plain;
    call->answer = fabric_bytes("\x93\xa1x\x07\xc3", 5);
    outcome_decode(call, &item, &outcome);
    assert_int_equal(outcome.error, FABRIC_OK);
    assert_int_equal(item.quantity, 7);
    outcome_decode(call, NULL, &outcome);
    assert_int_equal(outcome.error, FABRIC_OK);
    call->answer = fabric_bytes("\x93\xa1x\x07", 4);
    outcome_decode(call, NULL, &outcome);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    call_destroy(&call);
}

static void views_need_a_payload(void **state)
{
    (void)state;
    reason_t reason = {""};
    document_t reply = {0};
    fabric_call_t call = {.message = &message};
    assert_int_equal(request_check_structs(&call, &reply, false, &reason),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(reason.text, "the reply has views: fabric_client_call() must give its "
                                     "payload, too, which they point into");
    assert_int_equal(request_check_structs(&call, NULL, false, &reason), FABRIC_OK);
    static const fabric_message_type_t plain = {
        "Get", &fabric_schema_empty, &item_schema, false, NULL, NULL, false, false};
    call.message = &plain;
    assert_int_equal(request_check_structs(&call, &reply, false, &reason), FABRIC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_point_into_the_copy),
        cmocka_unit_test(a_reply_that_does_not_fit_is_told),
        cmocka_unit_test(unknown_fields_of_a_reply_are_left_out),
        cmocka_unit_test(views_need_a_payload),
    };
    return cmocka_run_group_tests_name("client_views", tests, NULL, NULL);
}
