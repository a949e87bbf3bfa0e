/* What the answers to calls of the client session say, and which of them are not believed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/session_driver.h"

static void failure_carries_code_and_text(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    script_pull(d, 0);
    char text[5000];
    memset(text, 'x', sizeof text);
    message_reply_t reply = {.sequence = a,
                             .request_id = 3,
                             .status = STATUS_FAILURE,
                             .error = FABRIC_ERROR_ENTITY_FAILURE,
                             .code = 42,
                             .payload = fabric_bytes(text, sizeof text)};
    script_frame(&d->out);
    message_put_reply(&d->out, &reply);
    script_deliver(d, 0);
    call_t *call = session_next_done(d->session);
    assert_non_null(call);
    assert_int_equal(call->error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(call->code, 42);
    assert_int_equal(call->request_id, 3);
    assert_int_equal(call->answer.size, sizeof text);
    assert_memory_equal(call->answer.data, text, sizeof text);
    call_destroy(&call);
}

static void a_typed_failure_carries_its_values(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    message_reply_t reply = {.sequence = script_ask(d, true, "a"),
                             .request_id = 3,
                             .status = STATUS_TYPED_FAILURE,
                             .error = FABRIC_ERROR_ENTITY_FAILURE,
                             .code = 7,
                             .payload = fabric_bytes("\x92\x05\x0c", 3)};
    script_pull(d, 0);
    script_frame(&d->out);
    message_put_reply(&d->out, &reply);
    script_deliver(d, 0);
    call_t *call = session_next_done(d->session);
    assert_non_null(call);
    assert_int_equal(call->error, FABRIC_ERROR_ENTITY_FAILURE);
    assert_true(call->typed);
    assert_int_equal(call->code, 7);
    assert_true(fabric_bytes_equal(call->answer, reply.payload));
    call_destroy(&call);
}

static void a_reply_that_contradicts_itself_says_nothing(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    const message_reply_t bad[] = {
        {.status = STATUS_OK, .error = FABRIC_ERROR_BUSY},
        {.status = STATUS_OK, .code = 7},
        {.status = STATUS_FAILURE},
        {.status = STATUS_FAILURE, .error = FABRIC_ERROR_BUSY, .code = 7},
        {.status = STATUS_TYPED_FAILURE, .code = 7},
        {.status = STATUS_FAILURE, .error = FABRIC_ERROR_CANCELLED, .code = 7},
        {.status = STATUS_TYPED_FAILURE, .error = FABRIC_ERROR_CANCELLED},
        {.status = STATUS_TYPED_FAILURE + 1, .error = FABRIC_ERROR_ENTITY_FAILURE},
        {.status = STATUS_DEFECT},
        {.status = STATUS_NOT_TAKEN, .error = FABRIC_ERROR_ENTITY_NOT_ASSIGNED},
    };
    script_join(d, 0, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        message_reply_t reply = bad[i];
        reply.sequence = script_ask(d, i % 2 == 0, "a");
        reply.request_id = 5;
        script_pull(d, 0);
        script_frame(&d->out);
        message_put_reply(&d->out, &reply);
        script_deliver(d, 0);
        script_expect_end(d, reply.sequence, FABRIC_ERROR_OUTCOME_UNKNOWN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(failure_carries_code_and_text),
        SESSION_TEST(a_typed_failure_carries_its_values),
        SESSION_TEST(a_reply_that_contradicts_itself_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
