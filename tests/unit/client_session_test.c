/* The client session against a scripted broker, without sockets and clock: greeting, order,
 * resends, deadlines and bad bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/session_driver.h"

/* ---- greeting ---- */

static void nothing_but_a_hello_comes_first(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 0); /* no connection, no frame */
    session_connected(d->session, 0, d->now_ms);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_HELLO);
    assert_int_equal(d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull(d, 0), 0); /* nothing before the welcome */
    script_welcome(d, 0, 1, 0);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_REQUEST);
    assert_false(d->seen[0].request.flags & REQUEST_RESEND);
}

static void welcome_of_an_older_hello_is_dropped(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_connected(d->session, 0, d->now_ms);
    script_pull(d, 0);
    session_disconnected(d->session, 0, d->now_ms);
    session_connected(d->session, 0, d->now_ms);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].hello_connection, 2);
    script_welcome(d, 0, 1, 0);
    assert_false(session_is_welcome(d->session));
    script_welcome(d, 0, 2, 0);
    assert_true(session_is_welcome(d->session));
}

static void frames_of_an_older_connection_are_dropped(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    script_pull(d, 0);
    session_disconnected(d->session, 0, d->now_ms);
    session_connected(d->session, 0, d->now_ms);
    script_pull(d, 0);
    script_reply(d, 0, a, 50); /* of the former connection: the resend gets the reply again */
    assert_null(session_next_done(d->session));
    script_welcome(d, 0, 2, 0);
    assert_int_equal(script_pull(d, 0), 1);
    script_reply(d, 0, a, 50);
    script_expect_end(d, a, FABRIC_OK);
}

static void who_makes_it_say_hello_again(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t durable = script_ask(d, true, "a");
    uint64_t once = script_ask(d, false, "a");
    assert_int_equal(script_pull(d, 0), 2);
    script_who(d, 0);
    script_expect_end(d, once, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_HELLO);
    assert_int_equal(d->seen[0].hello_connection, 2);
    script_welcome(d, 0, 2, 0);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, durable);
    assert_true(d->seen[0].request.flags & REQUEST_RESEND);
}

static void refusal(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    const char *text = NULL;
    session_connected(d->session, 0, d->now_ms);
    script_pull(d, 0);
    assert_int_equal(session_refusal(d->session, &text), FABRIC_OK);
    message_refused_t refused = {FABRIC_ERROR_FOREIGN_CLUSTER, fabric_bytes_of("other")};
    script_frame(&d->out);
    message_put_refused(&d->out, &refused);
    script_deliver(d, 0);
    assert_int_equal(session_refusal(d->session, &text), FABRIC_ERROR_FOREIGN_CLUSTER);
    assert_string_equal(text, "other");
    script_advance(d, 2000); /* the client asks again later */
    session_action_t action;
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.kind, ACTION_REOPEN);
}

static void silence_reopens(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_action_t action;
    script_join(d, 0, 0);
    uint64_t once = script_ask(d, false, "a");
    script_pull(d, 0);
    script_advance(d, 1000);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_PING);
    script_pong(d, 0, 1, 1);
    script_advance(d, 2900);
    assert_false(session_next_action(d->session, &action));
    script_advance(d, 200);
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.kind, ACTION_REOPEN);
    assert_int_equal(action.peer, 0);
    script_expect_end(d, once, FABRIC_ERROR_OUTCOME_UNKNOWN);
}

/* ---- durable calls ---- */

static void order_and_predecessor(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t once = script_ask(d, false, "a");
    uint64_t b = script_ask(d, true, "a");
    uint64_t c = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 4);
    assert_int_equal(d->head.settled, a);
    assert_int_equal(d->seen[0].request.predecessor, 0);
    assert_int_equal(d->seen[1].request.sequence, once);
    assert_int_equal(d->seen[1].request.predecessor, 0);
    assert_int_equal(d->seen[2].request.predecessor, a);
    assert_int_equal(d->seen[3].request.predecessor, b);
    script_reply(d, 0, b, 51);
    script_expect_end(d, b, FABRIC_OK);
    uint64_t e = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, e);
    assert_int_equal(d->seen[0].request.predecessor, c);
    assert_int_equal(d->seen[0].request.floor, 51);
    assert_int_equal(d->head.high_id, 51);
    assert_int_equal(d->head.settled, a);
    script_reply(d, 0, a, 50);
    script_expect_end(d, a, FABRIC_OK);
    assert_int_equal(session_settled(d->session), once);
    script_reply(d, 0, once, 0);
    script_reply(d, 0, c, 52);
    script_reply(d, 0, e, 53);
    assert_int_equal(session_settled(d->session), e + 1);
    assert_int_equal(session_open_calls(d->session), 0);
}

static void resend_in_order_after_reconnect(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    uint64_t sequences[6];
    script_join(d, 0, 0);
    for (int i = 0; i < 5; i++) {
        sequences[i] = script_ask(d, true, "a");
    }
    assert_int_equal(script_pull(d, 0), 5);
    session_disconnected(d->session, 0, d->now_ms);
    sequences[5] = script_ask(d, true, "a");
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(d->seen[i].request.sequence, sequences[i]);
        assert_int_equal((d->seen[i].request.flags & REQUEST_RESEND) != 0, i < 5);
    }
    assert_int_equal(session_stats(d->session).resent, 5);
}

static void tell_ends_when_accepted(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t tell = script_call(d, "a", REQUEST_DURABLE | REQUEST_TELL | REQUEST_WANT_ACCEPTED, 0);
    uint64_t ask = script_ask(d, true, "a");
    script_pull(d, 0);
    script_accepted(d, 0, tell, 70);
    script_accepted(d, 0, ask, 71); /* an ask ends with its reply */
    script_expect_end(d, tell, FABRIC_OK);
    assert_int_equal(session_open_calls(d->session), 1);
    script_reply(d, 0, ask, 71);
    script_expect_end(d, ask, FABRIC_OK);
    assert_int_equal(session_stats(d->session).accepted, 2);
}

static void rejections_are_final_by_class(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t b = script_ask(d, false, "a");
    script_pull(d, 0);
    script_reject(d, 0, a, FABRIC_ERROR_UNKNOWN_MESSAGE, 0);
    script_expect_end(d, a, FABRIC_ERROR_UNKNOWN_MESSAGE);
    script_reject(d, 0, b, FABRIC_ERROR_RUNNER_UNAVAILABLE, 0); /* volatile: the caller decides */
    script_expect_end(d, b, FABRIC_ERROR_RUNNER_UNAVAILABLE);
}

static void retry_then_predecessor_missing(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t b = script_ask(d, true, "a");
    uint64_t c = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 3);
    script_reject(d, 0, a, FABRIC_ERROR_PERSISTENCE, 100);
    script_reject(d, 0, b, FABRIC_ERROR_PREDECESSOR_MISSING, 0);
    script_reject(d, 0, c, FABRIC_ERROR_PREDECESSOR_MISSING, 0);
    uint64_t e = script_ask(d, true, "a"); /* waits behind the earlier calls */
    assert_int_equal(script_pull(d, 0), 0);
    script_advance(d, 99);
    assert_int_equal(script_pull(d, 0), 0);
    script_advance(d, 100);
    assert_int_equal(script_pull(d, 0), 4);
    uint64_t order[] = {a, b, c, e};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(d->seen[i].request.sequence, order[i]);
        assert_int_equal(d->seen[i].request.predecessor, i ? order[i - 1] : 0);
        assert_int_equal((d->seen[i].request.flags & REQUEST_RESEND) != 0, i < 3);
    }
}

/* Each answer shows capacity for one more call, long before the end of the backoff. */
static void an_answer_lets_the_next_go(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t b = script_ask(d, true, "a");
    uint64_t c = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 3);
    script_reject(d, 0, b, FABRIC_ERROR_BUSY, 500);
    script_reject(d, 0, c, FABRIC_ERROR_PREDECESSOR_MISSING, 0);
    assert_int_equal(script_pull(d, 0), 0);
    script_reply(d, 0, a, 77);
    script_expect_end(d, a, FABRIC_OK);
    assert_int_equal(script_pull(d, 0), 1); /* not both: there is capacity for one */
    assert_int_equal(d->seen[0].request.sequence, b);
    script_reject(d, 0, b, FABRIC_ERROR_BUSY, 500); /* another client was quicker */
    assert_int_equal(script_pull(d, 0), 0);
    script_advance(d, 520);
    assert_int_equal(script_pull(d, 0), 1);
    script_reply(d, 0, b, 78);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, c);
}

/* All shards of a broker share its capacity; a full mailbox delays only the calls of its own
 * entity. */
static void capacity_is_shared_by_shards(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t b = script_ask(d, true, "b");
    assert_int_equal(script_pull(d, 0), 2);
    script_reject(d, 0, b, FABRIC_ERROR_BUSY, 500);
    uint64_t c = script_ask(d, true, "c");
    assert_int_equal(script_pull(d, 0), 0);
    script_reply(d, 0, a, 77);             /* its shard is not one of those that wait */
    uint64_t e = script_ask(d, true, "e"); /* it is not the turn of this one */
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, b);
    script_reject(d, 0, b, FABRIC_ERROR_MAILBOX_FULL, 500);
    assert_int_equal(script_pull(d, 0), 1); /* the capacity is for the next in turn */
    assert_int_equal(d->seen[0].request.sequence, c);
    script_reply(d, 0, c, 78);
    assert_int_equal(script_pull(d, 0), 1);
    script_reply(d, 0, e, 78);
    script_advance(d, 600);
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_reply(d, 0, b, 79);
    assert_int_equal(script_pull(d, 0), 0);
    for (int i = 0; i < 10; i++) {
        (void)script_ask(d, true, i % 2 ? "a" : "b");
    }
    assert_int_equal(script_pull(d, 0), 10); /* no call waits, so the limit is lifted */
}

static void a_limit_that_no_call_waits_for_is_lifted(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t calls[4];
    for (int i = 0; i < 4; i++) {
        calls[i] = script_ask(d, true, "a");
    }
    assert_int_equal(script_pull(d, 0), 4);
    script_reject(d, 0, calls[3], FABRIC_ERROR_MAILBOX_FULL, 500);
    script_reply(d, 0, calls[0], 77);
    assert_int_equal(script_pull(d, 0), 1);
    script_reply(d, 0, calls[1], 78); /* more capacity than is wanted */
    (void)script_ask(d, true, "a");
    (void)script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 2);
}

static void a_broken_connection_lifts_the_limit(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 1);
    script_reject(d, 0, a, FABRIC_ERROR_BUSY, 500);
    (void)script_ask(d, true, "b");
    (void)script_ask(d, true, "c");
    assert_int_equal(script_pull(d, 0), 0);
    session_disconnected(d->session, 0, d->now_ms);
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 3);
}

/* A broker is asked again, whatever its retry hint is. */
static void hints_are_bounded(void **state)
{
    static const fabric_error_t errors[] = {FABRIC_ERROR_BUSY, FABRIC_ERROR_MAILBOX_FULL,
                                            FABRIC_ERROR_PERSISTENCE};
    static const uint64_t hints_ms[] = {3600000, UINT64_MAX - 1000, UINT64_MAX};
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    for (int i = 0; i < 9; i++) {
        uint64_t a = script_call(d, "a", REQUEST_DURABLE, 60000);
        assert_int_equal(script_pull_requests(d, 0), 1);
        script_reject(d, 0, a, errors[i / 3], hints_ms[i % 3]);
        for (int s = 0; s < 10; s++) {
            assert_int_equal(script_pull_requests(d, 0), 0);
            script_pong(d, 0, 1, 1);
            script_advance(d, 1000);
        }
        script_pong(d, 0, 1, 1);
        script_advance(d, 1000);
        assert_int_equal(script_pull_requests(d, 0), 1);
        script_reply(d, 0, a, 77);
        script_expect_end(d, a, FABRIC_OK);
    }
}

/* A call that has not left yet does not pass an earlier call that was refused. */
static void no_call_passes_an_earlier_refused_one(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    size_t peer;
    fabric_bytes_t frame;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 1);
    uint64_t b = script_ask(d, true, "b");
    assert_true(session_next_frame(d->session, d->now_ms, &peer, &frame)); /* holds b */
    session_frame_blocked(d->session, 0);
    uint64_t c = script_ask(d, true, "a");
    script_reject(d, 0, a, FABRIC_ERROR_MAILBOX_FULL, 500);
    session_writable(d->session, 0);
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, b);
    script_advance(d, 600);
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, a);
    script_reply(d, 0, a, 77);
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, c);
    assert_int_equal(d->seen[0].request.predecessor, 0);
}

static void predecessor_at_another_broker_is_fetched_back(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    script_join(d, 1, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t b = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 2);
    script_redirect(d, 0, b, script_endpoint(1)); /* a was taken before the shard moved */
    assert_int_equal(script_pull(d, 1), 1);
    assert_int_equal(d->seen[0].request.sequence, b);
    script_reject(d, 1, b, FABRIC_ERROR_PREDECESSOR_MISSING, 0);
    assert_int_equal(script_pull(d, 1), 2);
    assert_int_equal(d->seen[0].request.sequence, a);
    assert_true(d->seen[0].request.flags & REQUEST_RESEND);
    assert_int_equal(d->seen[1].request.sequence, b);
    assert_int_equal(d->seen[1].request.predecessor, a);
}

static void backoff_grows_and_is_bounded(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 1000000);
    uint64_t longest_ms = 0;
    assert_int_equal(script_pull_requests(d, 0), 1);
    for (int i = 0; i < 30; i++) {
        script_reject(d, 0, a, FABRIC_ERROR_PERSISTENCE, 0);
        uint64_t start_ms = d->now_ms;
        while (script_pull_requests(d, 0) == 0) {
            assert_true(d->now_ms - start_ms <= 2100);
            script_pong(d, 0, 1, 1);
            script_advance(d, 1);
        }
        if (d->now_ms - start_ms > longest_ms) {
            longest_ms = d->now_ms - start_ms;
        }
    }
    assert_true(longest_ms > 500);
}

/* ---- frames ---- */

static void blocked_frame_is_offered_again(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    size_t peer;
    fabric_bytes_t frame;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, false, "a");
    assert_true(session_next_frame(d->session, d->now_ms, &peer, &frame));
    assert_int_equal(peer, 0);
    session_frame_blocked(d->session, 0);
    assert_true(session_is_blocked(d->session, 0));
    assert_false(session_next_frame(d->session, d->now_ms, &peer, &frame));
    uint64_t b = script_ask(d, false, "a");
    session_writable(d->session, 0);
    assert_int_equal(script_pull(d, 0), 2);
    assert_int_equal(d->seen[0].request.sequence, a);
    assert_int_equal(d->seen[1].request.sequence, b);
}

/* A connection on which something unreadable came is closed at once, and opened again after a
 * while. */
static void what_no_broker_sends_closes(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_action_t action;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 1);
    session_unreadable(d->session, 0, d->now_ms);
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.kind, ACTION_CLOSE);
    assert_int_equal(session_stats(d->session).malformed, 1);
    script_advance(d, 400);
    assert_false(session_next_action(d->session, &action));
    script_advance(d, 1200);
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.kind, ACTION_REOPEN);
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, a);
}

static void unsent_frame_of_a_broken_connection(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    size_t peer;
    fabric_bytes_t frame;
    script_join(d, 0, 0);
    uint64_t once = script_ask(d, false, "a");
    uint64_t durable = script_ask(d, true, "a");
    assert_true(session_next_frame(d->session, d->now_ms, &peer, &frame));
    session_frame_blocked(d->session, 0);
    session_disconnected(d->session, 0, d->now_ms);
    assert_null(session_next_done(d->session));
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 2);
    assert_int_equal(d->seen[0].request.sequence, once);
    assert_int_equal(d->seen[1].request.sequence, durable);
    assert_false(d->seen[1].request.flags & REQUEST_RESEND);
}

/* A message that comes too late, or from an older connection, is dropped and counted. */
static void what_nobody_waits_for_is_counted(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_connect(d, 0);
    script_pong(d, 0, 1, 1); /* before the welcome */
    script_welcome(d, 0, d->seen[0].hello_connection + 1, 0);
    assert_int_equal(session_stats(d->session).unexpected, 2);
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t once = script_ask(d, false, "a");
    script_pull(d, 0);
    script_reply(d, 0, a, 5);
    script_expect_end(d, a, FABRIC_OK);
    script_reply(d, 0, once, 6);
    script_expect_end(d, once, FABRIC_OK);
    uint64_t before = session_stats(d->session).unexpected;
    script_reply(d, 0, a, 5);
    script_accepted(d, 0, a, 5);
    script_reject(d, 0, a, FABRIC_ERROR_OUTCOME_UNKNOWN, 0);
    script_redirect(d, 0, once, script_endpoint(1));
    assert_int_equal(session_stats(d->session).unexpected, before + 4);
    assert_int_equal(session_stats(d->session).malformed, 0);
}

static void bad_bytes_hurt_nobody_else(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    script_pull(d, 0);
    message_reply_t unknown = {.sequence = a + 1000, .status = STATUS_OK};
    message_request_t backwards = {.sequence = a}; /* brokers send no requests */
    message_reply_t reply = {.sequence = a, .request_id = 5, .status = STATUS_OK};
    script_frame(&d->out);
    wire_put_bin(&d->out, fabric_bytes("\x93\x12\x01", 3)); /* a reply cut short */
    wire_put_bin(&d->out, fabric_bytes("", 0));
    message_put_reply(&d->out, &unknown);
    message_put_request(&d->out, &backwards);
    message_put_reply(&d->out, &reply);
    wire_append(&d->out, "\xc6\xff", 2); /* a length beyond the end */
    session_receive(d->session, 0, wire_writer_bytes(&d->out), d->now_ms);
    script_expect_end(d, a, FABRIC_OK);
    assert_int_equal(session_stats(d->session).malformed, 4);
    assert_int_equal(session_stats(d->session).unexpected, 1);
    session_receive(d->session, 0, fabric_bytes("GET / HTTP/1.1", 14), d->now_ms);
    session_receive(d->session, 0, fabric_bytes(NULL, 0), d->now_ms);
    session_receive(d->session, 0, fabric_bytes("\x93\x03\x00\x00", 4), d->now_ms); /* version 3 */
    assert_int_equal(session_stats(d->session).malformed, 7);
    assert_true(session_is_welcome(d->session));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(nothing_but_a_hello_comes_first),
        SESSION_TEST(welcome_of_an_older_hello_is_dropped),
        SESSION_TEST(frames_of_an_older_connection_are_dropped),
        SESSION_TEST(who_makes_it_say_hello_again),
        SESSION_TEST(refusal),
        SESSION_TEST(silence_reopens),
        SESSION_TEST(order_and_predecessor),
        SESSION_TEST(resend_in_order_after_reconnect),
        SESSION_TEST(tell_ends_when_accepted),
        SESSION_TEST(rejections_are_final_by_class),
        SESSION_TEST(retry_then_predecessor_missing),
        SESSION_TEST(an_answer_lets_the_next_go),
        SESSION_TEST(capacity_is_shared_by_shards),
        SESSION_TEST(a_limit_that_no_call_waits_for_is_lifted),
        SESSION_TEST(a_broken_connection_lifts_the_limit),
        SESSION_TEST(hints_are_bounded),
        SESSION_TEST(no_call_passes_an_earlier_refused_one),
        SESSION_TEST(predecessor_at_another_broker_is_fetched_back),
        SESSION_TEST(backoff_grows_and_is_bounded),
        SESSION_TEST(blocked_frame_is_offered_again),
        SESSION_TEST(what_no_broker_sends_closes),
        SESSION_TEST(unsent_frame_of_a_broken_connection),
        SESSION_TEST(what_nobody_waits_for_is_counted),
        SESSION_TEST(bad_bytes_hurt_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
