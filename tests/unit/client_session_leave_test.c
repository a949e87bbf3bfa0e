/* A session whose broker says goodbye: nothing new is sent there, and what was sent is answered
 * before the session says goodbye in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/session_driver.h"

static int setup_relaying(void **state)
{
    *state = session_driver_new_relaying(1000, SESSION_FORWARD_ALWAYS);
    return 0;
}

static size_t pull(session_driver_t *d, size_t peer, message_kind_t kind)
{
    size_t count = 0;
    (void)script_pull(d, peer);
    for (size_t i = 0; i < d->seen_count; i++) {
        count += d->seen[i].kind == kind;
    }
    return count;
}

static void what_was_sent_is_answered_first(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t sent = script_ask(d, false, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    uint64_t ready = script_ask(d, false, "a");
    script_bye(d, 0);
    assert_null(session_next_done(d->session));
    assert_int_equal(pull(d, 0, KIND_BYE), 0);
    script_reply(d, 0, sent, 50);
    script_expect_end(d, sent, FABRIC_OK);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_BYE); /* and no request before it or after it */
    uint64_t later = script_ask(d, false, "b");
    assert_int_equal(script_pull(d, 0), 0);
    session_disconnected(d->session, 0, d->now_ms);
    assert_null(session_next_done(d->session));
    script_join(d, 0, 0);
    assert_int_equal(script_pull_requests(d, 0), 2);
    assert_int_equal(d->seen[0].request.sequence, ready);
    assert_int_equal(d->seen[1].request.sequence, later);
    assert_false(d->seen[0].request.flags & REQUEST_RESEND);
}

/* The request was on its way when the broker had given its lanes up. */
static void a_redirected_call_goes_to_the_next_broker(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    script_join(d, 1, 0);
    uint64_t call = script_ask(d, false, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_bye(d, 0);
    script_redirect(d, 0, call, script_endpoint(1));
    assert_int_equal(script_pull_requests(d, 1), 1);
    assert_int_equal(d->seen[0].request.sequence, call);
}

static void nothing_was_sent(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    (void)script_pull(d, 0);
    script_bye(d, 0);
    assert_int_equal(pull(d, 0, KIND_BYE), 1);
    script_bye(d, 0);
    assert_int_equal(pull(d, 0, KIND_BYE), 0);
}

/* The broker waits for answers on the client's behalf only while it hears of the client. */
static void pings_go_on_until_the_goodbye(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t call = script_ask(d, false, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_bye(d, 0);
    size_t pings = 0;
    for (int i = 0; i < 10; i++) {
        script_pong(d, 0, 1, 1);
        script_advance(d, 1000);
        pings += pull(d, 0, KIND_PING);
    }
    assert_in_range(pings, 9, 11);
    script_reply(d, 0, call, 50);
    script_expect_end(d, call, FABRIC_OK);
    assert_int_equal(pull(d, 0, KIND_BYE), 1);
}

static void a_call_that_ends_at_its_deadline_is_waited_for_no_more(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t call = script_call(d, "a", 0, 1000);
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_bye(d, 0);
    script_advance(d, 1100);
    script_expect_end(d, call, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(pull(d, 0, KIND_BYE), 1);
}

static void a_client_that_is_closed_says_goodbye_once(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t call = script_ask(d, false, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_bye(d, 0);
    session_close(d->session);
    script_expect_end(d, call, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(pull(d, 0, KIND_BYE), 1);
}

/* Broker 1 is reached by way of broker 0, which says goodbye. */
static void what_goes_by_way_of_a_broker_is_answered_before_it_is_left(void **state)
{
    session_driver_t *d = *state;
    script_connect(d, 0);
    script_welcome(d, 0, d->seen[0].hello_connection, 1);
    uint64_t volatile_call = script_ask(d, false, "a");
    uint64_t durable_call = script_ask(d, true, "b");
    assert_int_equal(pull(d, 1, KIND_HELLO), 1);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 2);
    script_bye(d, 0);
    uint64_t later = script_ask(d, false, "c");
    assert_int_equal(script_pull(d, 0), 0);
    assert_int_equal(script_pull_requests(d, 1), 0);
    script_reply(d, 1, volatile_call, 100);
    script_expect_end(d, volatile_call, FABRIC_OK);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_BYE);
    session_disconnected(d->session, 0, d->now_ms);
    assert_null(session_next_done(d->session));
    script_connect(d, 0);
    script_welcome(d, 0, d->seen[0].hello_connection, 1);
    script_advance(d, 200);
    assert_int_equal(pull(d, 1, KIND_HELLO), 1);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 2);
    for (size_t i = 0; i < 2; i++) {
        bool again = (d->seen[i].request.flags & REQUEST_RESEND) != 0;
        assert_int_equal(d->seen[i].request.sequence, again ? durable_call : later);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define UNIT(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, session_driver_setup, session_driver_teardown)
        UNIT(what_was_sent_is_answered_first),
        UNIT(a_redirected_call_goes_to_the_next_broker),
        UNIT(nothing_was_sent),
        UNIT(pings_go_on_until_the_goodbye),
        UNIT(a_call_that_ends_at_its_deadline_is_waited_for_no_more),
        UNIT(a_client_that_is_closed_says_goodbye_once),
        cmocka_unit_test_setup_teardown(what_goes_by_way_of_a_broker_is_answered_before_it_is_left,
                                        setup_relaying, session_driver_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
