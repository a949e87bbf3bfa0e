/* How calls of the client session end: deadlines and what a caller may conclude, bounds, keys of
 * former calls, queries, closing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/limits.h"
#include "tests/unit/session_driver.h"

/* ---- deadlines ---- */

static void never_connected(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    uint64_t once = script_call(d, "a", 0, 60);
    assert_true(session_next_deadline(d->session) <= d->now_ms + 50);
    script_advance(d, 49);
    assert_null(session_next_done(d->session));
    script_advance(d, 1);
    script_expect_end(d, a, FABRIC_ERROR_NOT_CONNECTED);
    assert_null(session_next_done(d->session));
    script_advance(d, 10);
    script_expect_end(d, once, FABRIC_ERROR_NOT_CONNECTED);
    assert_int_equal(session_settled(d->session), once + 1);
}

static void no_home(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, -1);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 200);
    assert_int_equal(script_pull_requests(d, 0), 0);
    script_advance(d, 160);
    assert_int_equal(script_pull(d, 0), 1); /* a ping: it looks for a newer map */
    assert_int_equal(d->seen[0].kind, KIND_PING);
    script_advance(d, 40);
    script_expect_end(d, a, FABRIC_ERROR_TIMEOUT);
}

static void sent_and_unanswered_is_unknown(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    uint64_t once = script_call(d, "a", 0, 50);
    script_pull(d, 0);
    script_advance(d, 50);
    script_expect_end(d, a, FABRIC_ERROR_OUTCOME_UNKNOWN);
    script_expect_end(d, once, FABRIC_ERROR_OUTCOME_UNKNOWN);
    script_reply(d, 0, a, 5);                                           /* too late */
    session_receive(d->session, 0, fabric_bytes("\xc1", 1), d->now_ms); /* no frame at all */
    assert_null(session_next_done(d->session));
}

/* A broker may say why an accepted call waits: the caller hears the reason at the deadline. The
 * reason ends no call. */
static void why_it_waited_is_said_at_the_deadline(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    uint64_t b = script_call(d, "b", REQUEST_DURABLE, 50);
    script_pull(d, 0);
    script_accepted(d, 0, a, 5);
    script_wait_reason(d, 0, a, "first");
    script_wait_reason(d, 0, a, "nobody brings it");
    script_wait_reason(d, 0, b, "nobody brings it either");
    assert_null(session_next_done(d->session));
    script_reply(d, 0, b, 6);
    script_expect_end(d, b, FABRIC_OK);
    script_wait_reason(d, 0, b, "too late");
    script_advance(d, 50);
    const call_t *call = session_next_done(d->session);
    static const char text[] = "no answer before the deadline; it waited: nobody brings it";
    assert_non_null(call);
    assert_int_equal(call->sequence, a);
    assert_int_equal(call->error, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_true(fabric_bytes_equal(call->answer, fabric_bytes_of(text)));
    call_destroy((call_t **)&call);
}

static void refused_until_the_deadline_is_certain(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    script_pull(d, 0);
    script_reject(d, 0, a, FABRIC_ERROR_BUSY, 1000);
    script_advance(d, 50);
    script_expect_end(d, a, FABRIC_ERROR_BUSY);
}

/* The home of an accepted call tells it that the shard has another home now. The call is sent there
 * as a resend, and where it ends without an answer, nobody says that it was certainly refused. */
static void an_accepted_call_that_is_sent_elsewhere_stays_uncertain(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    script_join(d, 1, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 5000);
    script_pull(d, 0);
    script_accepted(d, 0, a, 5);
    script_redirect(d, 0, a, script_endpoint(1));
    assert_int_equal(script_pull_requests(d, 1), 1);
    assert_int_equal(d->seen[0].request.sequence, a);
    assert_true(d->seen[0].request.flags & REQUEST_RESEND);
    script_reject(d, 1, a, FABRIC_ERROR_PERSISTENCE, 10000); /* each send was refused now */
    script_advance(d, 5000);
    script_expect_end(d, a, FABRIC_ERROR_OUTCOME_UNKNOWN);
}

/* The text for the caller names the broker that refused the call last, and has that broker's
 * words. */
static void the_last_refusal_keeps_its_words(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    script_pull(d, 0);
    script_reject(d, 0, a, FABRIC_ERROR_PERSISTENCE, 1000);
    script_advance(d, 50);
    char expected[300];
    snprintf(expected, sizeof expected, "refused until the deadline by %s: no", script_endpoint(0));
    script_expect_end_saying(d, a, FABRIC_ERROR_PERSISTENCE, expected);
    uint64_t b = script_call(d, "a", REQUEST_DURABLE, 1000);
    script_pull(d, 0);
    script_reject(d, 0, b, FABRIC_ERROR_PERSISTENCE, 1);
    script_advance(d, 500);
    assert_int_equal(script_pull_requests(d, 0), 1); /* no broker answers this time */
    script_advance(d, 500);
    snprintf(expected, sizeof expected,
             "no answer before the deadline; an earlier try was refused by %s: no",
             script_endpoint(0));
    script_expect_end_saying(d, b, FABRIC_ERROR_OUTCOME_UNKNOWN, expected);
}

/* The last cause that a first contact gave, by refusal or by the shell. */
static void nobody_connected_says_why(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    reason_t reason;
    assert_int_equal(session_cause(d->session, &reason), FABRIC_ERROR_NOT_CONNECTED);
    assert_string_equal(reason.text, "");
    size_t other = 0;
    assert_int_equal(session_add_endpoint(d->session, "tcp://nowhere:5700", &other), FABRIC_OK);
    session_cannot_connect(d->session, other, "Name or service not known");
    assert_int_equal(session_cause(d->session, &reason), FABRIC_ERROR_NOT_CONNECTED);
    assert_string_equal(reason.text,
                        "tcp://nowhere:5700: NotConnected (22): Name or service not known");
    script_connect(d, 0);
    message_refused_t refused = {FABRIC_ERROR_BUSY,
                                 fabric_bytes_of("another process\nis connected")};
    script_frame(&d->out);
    message_put_refused(&d->out, &refused);
    script_deliver(d, 0);
    assert_int_equal(session_cause(d->session, &reason), FABRIC_ERROR_BUSY);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    script_advance(d, 50);
    char expected[300];
    snprintf(expected, sizeof expected,
             "no broker is connected: %s: Busy (11): another process?is connected; "
             "tcp://nowhere:5700: NotConnected (22): Name or service not known",
             script_endpoint(0));
    script_expect_end_saying(d, a, FABRIC_ERROR_NOT_CONNECTED, expected);
}

/* The text of a call that was never sent, as the broker was full, says so. */
static void full_until_the_deadline(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    assert_int_equal(script_pull(d, 0), 1);
    script_reject(d, 0, a, FABRIC_ERROR_BUSY, 1000);
    uint64_t b = script_call(d, "b", REQUEST_DURABLE, 50);
    assert_int_equal(script_pull(d, 0), 0);
    script_advance(d, 50);
    script_expect_end_saying(d, a, FABRIC_ERROR_BUSY, "the broker was full");
    script_expect_end_saying(d, b, FABRIC_ERROR_BUSY,
                             "this client did not send the call: the broker was full");
    uint64_t c = script_call(d, "b", REQUEST_DURABLE, 50);
    assert_int_equal(script_pull(d, 0), 0);
    script_advance(d, 1000);
    script_expect_end(d, c, FABRIC_ERROR_BUSY);
    uint64_t e = script_call(d, "a", REQUEST_DURABLE, 50);
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_reject(d, 0, e, FABRIC_ERROR_MAILBOX_FULL, 1000);
    uint64_t f = script_call(d, "a", REQUEST_DURABLE, 50);
    script_advance(d, 50);
    script_expect_end_saying(d, e, FABRIC_ERROR_MAILBOX_FULL, "the entity's mailbox was full");
    script_expect_end_saying(d, f, FABRIC_ERROR_MAILBOX_FULL,
                             "this client did not send the call: the entity's mailbox was full");
}

/* A call that waits for its broker does not end because a mailbox was full before. */
static void full_mailbox_at_a_lost_broker(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 1000);
    assert_int_equal(script_pull(d, 0), 1);
    script_reject(d, 0, a, FABRIC_ERROR_MAILBOX_FULL, 600);
    uint64_t b = script_call(d, "a", REQUEST_DURABLE, 1000);
    session_disconnected(d->session, 0, d->now_ms);
    script_advance(d, 900);
    assert_null(session_next_done(d->session));
    script_advance(d, 100);
    script_expect_end(d, a, FABRIC_ERROR_MAILBOX_FULL); /* the call was refused */
    script_expect_end(d, b, FABRIC_ERROR_NOT_CONNECTED);
}

static void full_for_half_of_the_time(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 1000);
    uint64_t b =
        script_call(d, "a", REQUEST_DURABLE, 1000); /* waits behind a, and is late as well */
    uint64_t c = script_call(d, "a", REQUEST_DURABLE, 9000); /* is not late */
    uint32_t tries = 0;
    while (d->now_ms < 60000 && session_open_calls(d->session) > 1) {
        tries += script_pull_requests(d, 0) > 0;
        script_reject(d, 0, a, FABRIC_ERROR_MAILBOX_FULL, 10);
        script_reject(d, 0, b,
                      session_open_calls(d->session) == 3 ? FABRIC_ERROR_PREDECESSOR_MISSING
                                                          : FABRIC_ERROR_MAILBOX_FULL,
                      10);
        script_reject(d, 0, c, FABRIC_ERROR_PREDECESSOR_MISSING, 10);
        script_pong(d, 0, 1, 1);
        script_advance(d, 1);
    }
    assert_true(tries > 3);
    script_expect_end(d, a, FABRIC_ERROR_MAILBOX_FULL);
    script_expect_end(d, b, FABRIC_ERROR_MAILBOX_FULL);
    assert_int_equal(session_open_calls(d->session), 1);
}

/* The first send may have been accepted before its connection broke, whatever a broker says about
 * the second one. */
static void refused_after_a_lost_send_is_unknown(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    script_pull(d, 0);
    session_disconnected(d->session, 0, d->now_ms);
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 1);
    script_reject(d, 0, a, FABRIC_ERROR_BUSY, 1000);
    script_advance(d, 50);
    script_expect_end(d, a, FABRIC_ERROR_OUTCOME_UNKNOWN);
}

/* The same where the entity type was forgotten after the message had been handled. */
static void a_lost_send_to_a_forgotten_type_is_unknown(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 5000);
    script_pull(d, 0);
    session_disconnected(d->session, 0, d->now_ms);
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 1);
    script_reject(d, 0, a, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, 0);
    script_expect_end_saying(d, a, FABRIC_ERROR_OUTCOME_UNKNOWN,
                             "its entity type was forgotten since it was sent first");
    uint64_t b = script_call(d, "a", REQUEST_DURABLE, 5000);
    script_pull(d, 0);
    script_reject(d, 0, b, FABRIC_ERROR_RUNNER_NOT_REGISTERED, 10);
    script_advance(d, 1000);
    script_pull(d, 0);
    script_reject(d, 0, b, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, 0);
    script_expect_end(d, b, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
}

static void accepted_is_never_certainly_not(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", REQUEST_DURABLE, 50);
    script_pull(d, 0);
    script_accepted(d, 0, a, 9);
    script_reject(d, 0, a, FABRIC_ERROR_BUSY, 1000);
    script_advance(d, 50);
    script_expect_end(d, a, FABRIC_ERROR_OUTCOME_UNKNOWN);
}

/* libzmq gives a connection up for good after bytes that are no ZMTP. */
static void sockets_that_do_not_connect_are_opened_anew(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_action_t action;
    script_join(d, 0, 0);
    session_disconnected(d->session, 0, d->now_ms);
    script_advance(d, 1);
    while (session_next_action(d->session, &action)) {
    }
    script_advance(d, 4000);
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.kind, ACTION_REOPEN);
    assert_int_equal(action.peer, 0);
}

static void hear_id(session_driver_t *d, uint64_t high_id)
{
    wire_writer_reset(&d->out);
    frame_begin(&d->out, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION, .high_id = high_id});
    script_deliver(d, 0);
}

/* A request id far ahead of all others would give each call a floor that brokers refuse. */
static void one_wrong_id_is_not_believed(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    const uint64_t minute = UINT64_C(60000) << 22;
    script_join(d, 0, 0);
    hear_id(d, 51);
    hear_id(d, 99 * minute);
    hear_id(d, minute / 30); /* 2 s ahead is too far */
    script_ask(d, true, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->head.high_id, 51);
    assert_int_equal(d->seen[0].request.floor, 51);
    hear_id(d, 200 * minute); /* another far id does not count either */
    script_ask(d, true, "b");
    script_pull_requests(d, 0);
    assert_int_equal(d->head.high_id, 51);
    hear_id(d, 200 * minute + 5); /* an id near the last one counts */
    script_ask(d, true, "c");
    script_pull_requests(d, 0);
    assert_int_equal(d->head.high_id, 200 * minute + 5);
}

/* Frames of a broker that has made no ids for long come in between. */
static void a_far_id_is_believed_when_it_is_heard_again(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    const uint64_t minute = UINT64_C(60000) << 22;
    script_join(d, 0, 0);
    hear_id(d, 51);
    hear_id(d, 99 * minute);
    hear_id(d, 51);
    hear_id(d, 99 * minute + 5);
    hear_id(d, 51);
    hear_id(d, 99 * minute + 5);
    script_ask(d, true, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.floor, 99 * minute + 5);
    hear_id(d, 51);
    hear_id(d, 52); /* the brokers have lost ids */
    script_ask(d, true, "b");
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.floor, 52);
}

/* The next home of a shard does not know the ids that a former home gave to volatile messages, and
 * would refuse them as floors. */
static void ids_of_volatile_messages_are_no_floors(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    hear_id(d, 51);
    uint64_t once = script_ask(d, false, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_reply(d, 0, once, 90);
    script_ask(d, true, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.floor, 51);
}

static void deadlines_far_and_near(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    static const uint64_t timeouts_ms[] = {100000, 3, 5000, 4097, 1, 12000, 4096, 700};
    enum { COUNT = sizeof timeouts_ms / sizeof timeouts_ms[0] };
    uint64_t start_ms = d->now_ms;
    uint64_t first = 0;
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t sequence = script_call(d, "a", i % 2 ? REQUEST_DURABLE : 0, timeouts_ms[i]);
        first = i == 0 ? sequence : first;
    }
    for (size_t ended = 0; ended < COUNT;) {
        uint64_t due_ms = session_next_deadline(d->session);
        assert_true(due_ms > d->now_ms && due_ms <= start_ms + 100000);
        script_advance(d, due_ms - d->now_ms);
        for (call_t *call = session_next_done(d->session); call;
             call = session_next_done(d->session)) {
            assert_int_equal(d->now_ms - start_ms, timeouts_ms[call->sequence - first]);
            call_destroy(&call);
            ended++;
        }
    }
    assert_int_equal(session_next_deadline(d->session) > d->now_ms, 1);
}

/* ---- volatile ---- */

/* A worker may bring the type yet: such a call ends with its deadline, and with the reason. */
static void volatile_waits_for_a_type_that_nobody_has_registered(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_call(d, "a", 0, 2000);
    unsigned sends = 0;
    for (unsigned i = 0; i < 200; i++) {
        if (script_pull_requests(d, 0) == 1) {
            sends++;
            script_reject(d, 0, a, FABRIC_ERROR_RUNNER_NOT_REGISTERED, 50);
        }
        assert_true(i > 195 || !session_next_done(d->session));
        script_advance(d, 10);
    }
    assert_in_range(sends, 3, 40);
    script_advance(d, 50);
    script_expect_end_saying(d, a, FABRIC_ERROR_RUNNER_NOT_REGISTERED,
                             "refused until the deadline");
}

static void volatile_is_never_resent(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t once = script_ask(d, false, "a");
    script_pull(d, 0);
    session_disconnected(d->session, 0, d->now_ms);
    script_expect_end(d, once, FABRIC_ERROR_OUTCOME_UNKNOWN);
    uint64_t waiting = script_ask(d, false, "a"); /* not sent yet: it may wait */
    assert_null(session_next_done(d->session));
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, waiting);
    script_reject(d, 0, waiting, FABRIC_ERROR_NOT_HOME, 0); /* certainly not taken */
    for (int i = 0; i < 20 && script_pull_requests(d, 0) == 0; i++) {
        script_advance(d, 1);
    }
    assert_int_equal(d->seen_count, 1);
    assert_int_equal(d->seen[0].request.sequence, waiting);
}

/* ---- bounds ---- */

static void busy_window(void **state)
{
    (void)state;
    session_driver_t *d = session_driver_new_with(2);
    script_ask(d, true, "a");
    script_ask(d, false, "a");
    uint64_t c = script_ask(d, true, "a");
    script_expect_end_saying(d, c, FABRIC_ERROR_BUSY, "this client has as many calls open as");
    assert_int_equal(session_open_calls(d->session), 2);
    session_driver_destroy(&d);
}

static void frames_end_at_the_goal(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    session_driver_t *d = session_driver_new_with(COUNT);
    size_t frames = 0;
    size_t peer;
    fabric_bytes_t frame;
    script_join(d, 0, 0);
    for (size_t i = 0; i < COUNT; i++) {
        (void)script_call(d, "an id of some length, so that there are several frames",
                          i % 2 ? REQUEST_DURABLE : 0, 0);
    }
    while (session_next_frame(d->session, d->now_ms, &peer, &frame)) {
        assert_true(frame.size < LIMIT_FRAME_BYTES_GOAL + 1000);
        session_frame_sent(d->session, peer);
        frames++;
    }
    assert_true(frames >= 2 && frames <= 4);
    for (uint64_t i = 1; i <= COUNT; i++) {
        script_reply(d, 0, i, i);
        script_expect_end(d, i, FABRIC_OK);
    }
    assert_int_equal(session_open_calls(d->session), 0);
    session_driver_destroy(&d);
}

static void many_redirects_and_rejections_of_one_shard(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    session_driver_t *d = session_driver_new_with(COUNT);
    size_t peer;
    fabric_bytes_t frame;
    script_join(d, 0, 0);
    for (size_t i = 0; i < COUNT; i++) {
        (void)script_ask(d, true, "a");
    }
    while (session_next_frame(d->session, d->now_ms, &peer, &frame)) {
        session_frame_sent(d->session, peer);
    }
    script_reject(d, 0, 1, FABRIC_ERROR_PERSISTENCE, 10);
    for (uint64_t i = 2; i <= COUNT; i++) { /* quadratic work would take minutes */
        script_reject(d, 0, i, FABRIC_ERROR_PREDECESSOR_MISSING, 0);
    }
    script_advance(d, 30);
    while (session_next_frame(d->session, d->now_ms, &peer, &frame)) {
        session_frame_sent(d->session, peer);
    }
    assert_int_equal(session_stats(d->session).resent, COUNT);
    session_driver_destroy(&d);
}

/* ---- keys of former calls ---- */

static call_t *former_call(session_driver_t *d, uint64_t sequence, uint64_t timeout_ms)
{
    call_t *call = call_new(0);
    call->type = fabric_bytes_of("Counter");
    call->id = fabric_bytes_of("a");
    call->tag = fabric_bytes_of("tag");
    call->flags = REQUEST_DURABLE;
    call->deadline_ms = d->now_ms + timeout_ms;
    call->sequence = sequence;
    call->keyed = true;
    return call;
}

static void former_call_is_a_resend_from_the_start(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    script_pull(d, 0);
    script_reply(d, 0, a, 1000);
    script_expect_end(d, a, FABRIC_OK);
    uint64_t b = script_ask(d, true, "a");
    script_pull(d, 0);
    session_submit(d->session, former_call(d, a, 50), d->now_ms);
    assert_int_equal(session_settled(d->session), a);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, a);
    assert_true(d->seen[0].request.flags & REQUEST_RESEND);
    assert_int_equal(d->seen[0].request.floor, 0);
    session_submit(d->session, former_call(d, b, 50), d->now_ms); /* b is still open */
    script_expect_end(d, b, FABRIC_ERROR_ALREADY_PROCESSING);
    script_reject(d, 0, a, FABRIC_ERROR_BUSY, 1000);
    script_advance(d, 50);
    script_expect_end(d, a, FABRIC_ERROR_OUTCOME_UNKNOWN); /* a former process had sent it */
}

/* ---- queries ---- */

static void query_is_asked_again_after_a_break(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    call_t *query = call_new(0);
    query->query = true;
    query->tag = fabric_bytes_of("status");
    query->deadline_ms = d->now_ms + 1000;
    session_submit(d->session, query, d->now_ms);
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_QUERY);
    session_disconnected(d->session, 0, d->now_ms);
    script_join(d, 0, 0);
    assert_int_equal(script_pull(d, 0), 1);
    message_answer_t answer = {.sequence = d->seen[0].query_sequence,
                               .document = fabric_bytes("abc", 3)};
    script_frame(&d->out);
    message_put_answer(&d->out, &answer);
    script_deliver(d, 0);
    call_t *done = session_next_done(d->session);
    assert_ptr_equal(done, query);
    assert_int_equal(done->error, FABRIC_OK);
    assert_int_equal(done->answer.size, 3);
    assert_memory_equal(done->answer.data, "abc", 3);
    call_destroy(&done);
}

/* ---- closing ---- */

static void close(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    uint64_t sent = script_ask(d, true, "a");
    script_pull(d, 0);
    uint64_t unsent = script_ask(d, true, "a");
    session_close(d->session);
    script_expect_end(d, sent, FABRIC_ERROR_OUTCOME_UNKNOWN);
    script_expect_end(d, unsent, FABRIC_ERROR_CLOSED);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_BYE);
    uint64_t late = script_ask(d, true, "a");
    script_expect_end(d, late, FABRIC_ERROR_CLOSED);
}

/* The map loses a broker, whose connection breaks later. */
static void a_broker_that_is_gone_is_forgotten(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_action_t action;
    script_join(d, 0, 1);
    script_join(d, 1, 1);
    d->map_brokers = 1;
    script_map(d, 0, 1, 2, 0, true);
    assert_false(session_next_action(d->session, &action));
    session_disconnected(d->session, 1, d->now_ms);
    unsigned closed = 0;
    for (int i = 0; i < 20; i++) {
        script_pong(d, 0, 1, 2);
        script_advance(d, 500);
        while (session_next_action(d->session, &action)) {
            assert_int_equal(action.kind, ACTION_CLOSE);
            assert_int_equal(action.peer, 1);
            closed++;
        }
    }
    assert_int_equal(closed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(never_connected),
        SESSION_TEST(no_home),
        SESSION_TEST(sent_and_unanswered_is_unknown),
        SESSION_TEST(why_it_waited_is_said_at_the_deadline),
        SESSION_TEST(refused_until_the_deadline_is_certain),
        SESSION_TEST(an_accepted_call_that_is_sent_elsewhere_stays_uncertain),
        SESSION_TEST(the_last_refusal_keeps_its_words),
        SESSION_TEST(nobody_connected_says_why),
        SESSION_TEST(full_until_the_deadline),
        SESSION_TEST(full_mailbox_at_a_lost_broker),
        SESSION_TEST(full_for_half_of_the_time),
        SESSION_TEST(refused_after_a_lost_send_is_unknown),
        SESSION_TEST(a_lost_send_to_a_forgotten_type_is_unknown),
        SESSION_TEST(accepted_is_never_certainly_not),
        SESSION_TEST(sockets_that_do_not_connect_are_opened_anew),
        SESSION_TEST(a_broker_that_is_gone_is_forgotten),
        SESSION_TEST(one_wrong_id_is_not_believed),
        SESSION_TEST(a_far_id_is_believed_when_it_is_heard_again),
        SESSION_TEST(ids_of_volatile_messages_are_no_floors),
        SESSION_TEST(deadlines_far_and_near),
        SESSION_TEST(volatile_is_never_resent),
        SESSION_TEST(volatile_waits_for_a_type_that_nobody_has_registered),
        cmocka_unit_test(busy_window),
        cmocka_unit_test(frames_end_at_the_goal),
        cmocka_unit_test(many_redirects_and_rejections_of_one_shard),
        SESSION_TEST(former_call_is_a_resend_from_the_start),
        SESSION_TEST(query_is_asked_again_after_a_break),
        SESSION_TEST(close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
