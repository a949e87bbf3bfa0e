/* Cancels in the client session: what is said to which broker, and how the calls end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/limits.h"
#include "tests/unit/session_driver.h"

enum { TELL = REQUEST_DURABLE | REQUEST_TELL | REQUEST_WANT_ACCEPTED, MANY = 8000 };

static void cancel(session_driver_t *d, uint64_t sequence)
{
    session_cancel(d->session, sequence, d->now_ms);
}

/* The next messages to the peer are one of each of these kinds (0: no more), of this call. */
static void expect(session_driver_t *d, size_t peer, uint64_t sequence, message_kind_t first,
                   message_kind_t second)
{
    size_t count = script_pull(d, peer);
    assert_int_equal(count, (first != 0) + (second != 0));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(d->seen[i].kind, i == 0 ? first : second);
        assert_int_equal(d->seen[i].kind == KIND_CANCEL ? d->seen[i].cancel_sequence
                                                        : d->seen[i].request.sequence,
                         sequence);
    }
}

static void replied_cancelled(session_driver_t *d, size_t peer, uint64_t sequence)
{
    message_reply_t reply = {.sequence = sequence,
                             .request_id = 100,
                             .status = STATUS_FAILURE,
                             .error = FABRIC_ERROR_CANCELLED,
                             .payload = fabric_bytes_of("cancelled")};
    script_frame(&d->out);
    message_put_reply(&d->out, &reply);
    script_deliver(d, peer);
}

static void a_call_that_was_sent_is_cancelled_once(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    for (int durable = 0; durable < 2; durable++) {
        uint64_t sequence = script_ask(d, durable, "a");
        expect(d, 0, sequence, KIND_REQUEST, 0);
        cancel(d, sequence);
        cancel(d, sequence);
        expect(d, 0, sequence, KIND_CANCEL, 0);
        replied_cancelled(d, 0, sequence);
        script_expect_end(d, sequence, FABRIC_ERROR_CANCELLED);
        cancel(d, sequence); /* it has ended */
        expect(d, 0, sequence, 0, 0);
    }
}

static void a_call_that_was_not_sent_ends_at_once(void **state)
{
    session_driver_t *d = *state;
    static const uint32_t flags[] = {0, REQUEST_DURABLE, TELL};
    for (int i = 0; i < 3; i++) {
        uint64_t sequence = script_call(d, "a", flags[i], 0);
        cancel(d, sequence);
        script_expect_end(d, sequence, FABRIC_ERROR_CANCELLED);
    }
    script_join(d, 0, 0);
    for (int i = 0; i < 3; i++) {
        uint64_t sequence = script_call(d, "a", flags[i], 0); /* ready, and in no frame yet */
        cancel(d, sequence);
        script_expect_end(d, sequence, FABRIC_ERROR_CANCELLED);
    }
    expect(d, 0, 0, 0, 0);
}

/* A broker may hold a stored call when the connection breaks: it is sent again, and cancelled
 * again, in one frame. */
static void it_is_cancelled_again_behind_each_resend(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t sequence = script_ask(d, true, "a");
    expect(d, 0, sequence, KIND_REQUEST, 0);
    cancel(d, sequence);
    expect(d, 0, sequence, KIND_CANCEL, 0);
    for (uint64_t connection = 2; connection <= 3; connection++) {
        session_disconnected(d->session, 0, d->now_ms);
        script_connect(d, 0);
        script_welcome(d, 0, connection, 0);
        expect(d, 0, sequence, KIND_REQUEST, KIND_CANCEL);
        assert_true(d->seen[0].request.flags & REQUEST_RESEND);
    }
    replied_cancelled(d, 0, sequence);
    script_expect_end(d, sequence, FABRIC_ERROR_CANCELLED);
}

/* The cancel that waits for its frame is dropped with the connection, and not said twice. */
static void a_cancel_that_has_not_left_goes_with_the_resend(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t sequence = script_ask(d, true, "a");
    expect(d, 0, sequence, KIND_REQUEST, 0);
    cancel(d, sequence);
    session_disconnected(d->session, 0, d->now_ms);
    script_connect(d, 0);
    script_welcome(d, 0, 2, 0);
    expect(d, 0, sequence, KIND_REQUEST, KIND_CANCEL);
}

static void the_next_home_hears_of_it(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t sequence = script_ask(d, true, "a");
    expect(d, 0, sequence, KIND_REQUEST, 0);
    script_accepted(d, 0, sequence, 100);
    cancel(d, sequence);
    expect(d, 0, sequence, KIND_CANCEL, 0);
    script_redirect(d, 0, sequence, script_endpoint(1));
    (void)script_pull(d, 0);
    script_join(d, 1, 1);
    expect(d, 1, sequence, KIND_REQUEST, KIND_CANCEL);
}

/* Nobody has taken it, and nobody is asked again. */
static void a_refused_call_that_was_cancelled_ends(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    for (int durable = 0; durable < 2; durable++) {
        uint64_t sequence = script_ask(d, durable, "a");
        expect(d, 0, sequence, KIND_REQUEST, 0);
        cancel(d, sequence);
        expect(d, 0, sequence, KIND_CANCEL, 0);
        script_reject(d, 0, sequence, FABRIC_ERROR_NOT_HOME, 0);
        script_expect_end(d, sequence, FABRIC_ERROR_CANCELLED);
    }
}

static void a_refusal_may_say_that_it_was_cancelled(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t sequence = script_ask(d, false, "a");
    expect(d, 0, sequence, KIND_REQUEST, 0);
    cancel(d, sequence);
    script_reject(d, 0, sequence, FABRIC_ERROR_CANCELLED, 0);
    script_expect_end(d, sequence, FABRIC_ERROR_CANCELLED);
}

static void a_tell_that_was_sent_goes_on(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t sequence = script_call(d, "a", TELL, 0);
    expect(d, 0, sequence, KIND_REQUEST, 0);
    cancel(d, sequence);
    expect(d, 0, sequence, 0, 0);
    script_accepted(d, 0, sequence, 100);
    script_expect_end(d, sequence, FABRIC_OK);
    sequence = script_call(d, "a", REQUEST_TELL | REQUEST_WANT_HANDLED, 0);
    expect(d, 0, sequence, KIND_REQUEST, 0);
    cancel(d, sequence);
    expect(d, 0, sequence, KIND_CANCEL, 0);
}

/* What follows a call in its shard goes on. */
static void the_calls_behind_it_go_on(void **state)
{
    session_driver_t *d = *state;
    uint64_t first = script_ask(d, true, "a");
    uint64_t second = script_ask(d, true, "a");
    cancel(d, first);
    script_expect_end(d, first, FABRIC_ERROR_CANCELLED);
    script_join(d, 0, 0);
    expect(d, 0, second, KIND_REQUEST, 0);
    assert_int_equal(d->seen[0].request.predecessor, 0);
}

static void cancels_of_many_calls_take_several_frames(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t first = 0;
    for (size_t i = 0; i < MANY; i++) {
        uint64_t sequence = script_ask(d, false, "a");
        first = first ? first : sequence;
    }
    assert_int_equal(script_pull_requests(d, 0), MANY);
    for (size_t i = 0; i < MANY; i++) {
        cancel(d, first + i);
    }
    assert_int_equal(script_pull(d, 0), MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(d->seen[i].cancel_sequence, first + i);
    }
    expect(d, 0, 0, 0, 0);
}

static uint64_t give_up_within(session_driver_t *d, uint64_t ms)
{
    call_t *call = call_new(8);
    call->flags = REQUEST_DURABLE | REQUEST_GIVE_UP;
    call->deadline_ms = d->now_ms + ms;
    memcpy(call->bytes, "Countera", 8);
    call->type = fabric_bytes(call->bytes, 7);
    call->id = fabric_bytes(call->bytes + 7, 1);
    call->tag = fabric_bytes_of("Add");
    session_submit(d->session, call, d->now_ms);
    return call->sequence;
}

/* The call ends at its deadline as any other, and the broker is told once. */
static void a_call_that_gives_up_is_cancelled_at_its_deadline(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t sequence = give_up_within(d, 500);
    expect(d, 0, sequence, KIND_REQUEST, 0);
    script_accepted(d, 0, sequence, 100);
    script_advance(d, 600);
    script_expect_end(d, sequence, FABRIC_ERROR_OUTCOME_UNKNOWN);
    expect(d, 0, sequence, KIND_CANCEL, 0);
}

/* A broker finds the call only while the client has not settled on it: so its cancel goes with the
 * frame that does, and before the next requests. */
static void a_frame_settles_on_the_calls_that_it_cancels(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t first = give_up_within(d, 500);
    expect(d, 0, first, KIND_REQUEST, 0);
    script_accepted(d, 0, first, 100);
    script_advance(d, 600);
    script_expect_end(d, first, FABRIC_ERROR_OUTCOME_UNKNOWN);
    uint64_t second = script_ask(d, true, "b");
    assert_int_equal(script_pull(d, 0), 2);
    assert_int_equal(d->seen[0].kind, KIND_CANCEL);
    assert_int_equal(d->seen[0].cancel_sequence, first);
    assert_int_equal(d->seen[1].request.sequence, second);
    assert_true(d->seen[0].settled > first);
}

/* Also where one frame does not take all of them. */
static void no_frame_settles_on_what_a_later_one_cancels(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t first = 0;
    for (size_t i = 0; i < MANY; i++) {
        uint64_t sequence = give_up_within(d, 500);
        first = first ? first : sequence;
    }
    assert_int_equal(script_pull_requests(d, 0), MANY);
    script_advance(d, 600);
    assert_int_equal(script_pull(d, 0), MANY);
    assert_true(d->seen[0].settled <= first);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(d->seen[i].cancel_sequence, first + i);
        assert_true(d->seen[i].settled <= first || d->seen[i].frame == d->seen[MANY - 1].frame);
    }
    assert_int_equal(d->seen[MANY - 1].settled, first + MANY);
}

static int setup_many(void **state)
{
    *state = session_driver_new_with(MANY);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(a_call_that_was_sent_is_cancelled_once),
        SESSION_TEST(a_call_that_was_not_sent_ends_at_once),
        SESSION_TEST(it_is_cancelled_again_behind_each_resend),
        SESSION_TEST(a_cancel_that_has_not_left_goes_with_the_resend),
        SESSION_TEST(the_next_home_hears_of_it),
        SESSION_TEST(a_refused_call_that_was_cancelled_ends),
        SESSION_TEST(a_refusal_may_say_that_it_was_cancelled),
        SESSION_TEST(a_tell_that_was_sent_goes_on),
        SESSION_TEST(the_calls_behind_it_go_on),
        cmocka_unit_test_setup_teardown(cancels_of_many_calls_take_several_frames, setup_many,
                                        session_driver_teardown),
        SESSION_TEST(a_call_that_gives_up_is_cancelled_at_its_deadline),
        SESSION_TEST(a_frame_settles_on_the_calls_that_it_cancels),
        cmocka_unit_test_setup_teardown(no_frame_settles_on_what_a_later_one_cancels, setup_many,
                                        session_driver_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
