/* Where the client session sends calls: redirects, maps, and types that no map names. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/session_driver.h"

static void redirect_moves_all_in_order(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    script_join(d, 1, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t b = script_ask(d, true, "a");
    uint64_t once = script_ask(d, false, "a");
    assert_int_equal(script_pull(d, 0), 3);
    script_redirect(d, 0, a, script_endpoint(1));
    script_redirect(d, 0, b, script_endpoint(1));
    script_redirect(d, 0, once, script_endpoint(1)); /* certainly not taken: it may move */
    assert_int_equal(script_pull(d, 1), 3);
    bool found_once = false;
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        if (d->seen[i].request.sequence == once) {
            found_once = true;
        } else {
            assert_true(d->seen[i].request.sequence > last);
            last = d->seen[i].request.sequence;
        }
    }
    assert_true(found_once);
    script_redirect(d, 1, once,
                    script_endpoint(0)); /* the brokers point at one another: a backoff */
    assert_int_equal(script_pull_requests(d, 0), 0);
}

/* A redirect of a volatile call shows durable calls of the shard their route, too. */
static void redirect_of_a_volatile_call_moves_durable_ones(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    script_join(d, 1, 0);
    uint64_t a = script_ask(d, false, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_map(d, 0, 1, 2, -1, true);
    uint64_t b = script_ask(d, true, "a");
    assert_int_equal(script_pull_requests(d, 0), 0);
    script_redirect(d, 0, a, script_endpoint(1));
    assert_int_equal(script_pull_requests(d, 1), 2);
    assert_int_equal(d->seen[0].request.sequence, a);
    assert_int_equal(d->seen[1].request.sequence, b);
}

static void redirect_to_an_unknown_broker_connects(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_action_t action;
    script_join(d, 0, 0);
    uint64_t a = script_ask(d, true, "a");
    script_pull(d, 0);
    script_redirect(d, 0, a,
                    "tcp://10.0.0.1:1"); /* beyond this machine: not without allow_plaintext */
    assert_false(session_next_action(d->session, &action));
    script_advance(d, 20);
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_redirect(d, 0, a, script_endpoint(2));
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.kind, ACTION_OPEN);
    assert_string_equal(action.endpoint, script_endpoint(2));
}

static void map_update_changes_the_route(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, 0);
    script_join(d, 1, 0);
    uint64_t a = script_ask(d, true, "a");
    uint64_t once = script_ask(d, false, "a");
    assert_int_equal(script_pull(d, 0), 2);
    script_pong(d, 0, 1, 2); /* a newer map exists */
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_MAP_WANTED);
    script_map(d, 0, 1, 2, 1, true);
    assert_int_equal(script_pull(d, 1), 1); /* the durable one moves, the volatile one does not */
    assert_int_equal(d->seen[0].request.sequence, a);
    assert_true(d->seen[0].request.flags & REQUEST_RESEND);
    script_map(d, 0, 1, 1, 0, true); /* from a broker with an older map */
    script_map(d, 0, 0, 9, 0, true);
    script_ask(d, false, "a");
    assert_int_equal(script_pull(d, 1), 1);
    script_reply(d, 0, once, 0); /* the old home may still answer */
    script_expect_end(d, once, FABRIC_OK);
    script_reply(d, 0, a, 60);
    script_expect_end(d, a, FABRIC_OK);
}

/* No newer map comes. Any broker redirects the call, or takes it. */
static void a_call_without_a_route_asks_any_broker(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_join(d, 0, -1);
    uint64_t a = script_ask(d, true, "a");
    size_t requests = 0;
    for (int i = 0; i < 30; i++) {
        script_pong(d, 0, 1, 1);
        requests += script_pull_requests(d, 0);
        assert_true(i > 10 || requests == 0); /* a map may still come */
        script_advance(d, 100);
    }
    assert_int_equal(requests, 1);
    script_accepted(d, 0, a, 50);
    script_reply(d, 0, a, 50);
    script_expect_end(d, a, FABRIC_OK);
    script_map(d, 0, 1, 2, -1, true);
    script_ask(d, true, "a");
    script_advance(d, 500);
    assert_int_equal(script_pull_requests(d, 0), 0); /* another map may come soon */
}

static void unknown_type_goes_one_at_a_time(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_connect(d, 0);
    script_map_welcome(d, 0, 1, 1, 0, false);
    uint64_t a = script_ask(d, true, "a");
    uint64_t b = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, a);
    script_map(d, 0, 1, 2, 0, true); /* now the type is known */
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, b);
    assert_int_equal(d->seen[0].request.predecessor, a);
}

/* Calls of another type may have passed calls of a type that the map did not know, and name none of
 * these. What is sent afterwards waits for them. */
static void calls_of_an_unknown_type_are_not_passed(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_connect(d, 0);
    script_map_welcome(d, 0, 1, 1, 0, false);
    uint64_t first = script_ask_other(d, "a");
    uint64_t a = script_ask(d, true, "a");
    assert_int_equal(script_pull_requests(d, 0), 2);
    script_reject(d, 0, a, FABRIC_ERROR_RUNNER_NOT_REGISTERED, 100);
    uint64_t passing = script_ask_other(d, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, passing);
    script_map(d, 0, 1, 2, 0, true); /* now the type is known */
    uint64_t b = script_ask(d, true, "a");
    script_advance(d, 1000);
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, a);
    script_reply(d, 0, first, 50);
    script_reply(d, 0, passing, 51);
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, b);
    assert_int_equal(d->seen[0].request.predecessor, a);
}

/* A broker that takes a call of a type has a map that lists the type. The client asks for that map,
 * so that calls of the type need not go one at a time until the next heartbeat. */
static void unknown_type_that_is_served_asks_for_the_map(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    script_connect(d, 0);
    script_map_welcome(d, 0, 1, 1, 0, false);
    uint64_t a = script_ask(d, true, "a");
    uint64_t b = script_ask(d, true, "a");
    uint64_t c = script_ask(d, true, "a");
    assert_int_equal(script_pull(d, 0), 1);
    script_accepted(d, 0, a, 50);
    assert_int_equal(script_pull(d, 0), 1);
    assert_int_equal(d->seen[0].kind, KIND_MAP_WANTED);
    script_reply(d, 0, a, 50);
    assert_int_equal(script_pull(d, 0), 1); /* not with each answer */
    assert_int_equal(d->seen[0].request.sequence, b);
    script_advance(d, 150);
    script_reply(d, 0, b, 51);
    assert_int_equal(script_pull_requests(d, 0), 1);
    assert_int_equal(d->seen[0].request.sequence, c);
    script_map(d, 0, 1, 2, 0, true);
    script_pull(d, 0);
    script_advance(d, 150);
    script_reply(d, 0, c, 52);
    assert_int_equal(script_pull(d, 0), 0); /* the type is known now */
}

/* Broker 0 answers at two endpoints. Its welcome of the earlier connection comes later; it serves
 * the later connection. */
static void of_two_connections_to_a_broker_the_later_one_stays(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_action_t action;
    script_join(d, 0, 0);
    script_connect(d, 1);
    uint64_t earlier = d->seen[0].hello_connection;
    d->map_brokers = 1;
    script_map(d, 0, 1, 2, 0, true);
    script_who(d, 0);
    assert_int_equal(script_pull(d, 0), 1);
    assert_true(d->seen[0].hello_connection > earlier);
    script_welcome(d, 0, d->seen[0].hello_connection, 0);
    uint64_t call = script_ask(d, true, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_welcome_as(d, 1, 0, earlier, 0);
    assert_int_equal(script_pull(d, 1), 0);
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.kind, ACTION_CLOSE);
    assert_int_equal(action.peer, 1);
    script_reply(d, 0, call, 50);
    script_expect_end(d, call, FABRIC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(redirect_moves_all_in_order),
        SESSION_TEST(redirect_of_a_volatile_call_moves_durable_ones),
        SESSION_TEST(redirect_to_an_unknown_broker_connects),
        SESSION_TEST(map_update_changes_the_route),
        SESSION_TEST(a_call_without_a_route_asks_any_broker),
        SESSION_TEST(unknown_type_goes_one_at_a_time),
        SESSION_TEST(calls_of_an_unknown_type_are_not_passed),
        SESSION_TEST(unknown_type_that_is_served_asks_for_the_map),
        SESSION_TEST(of_two_connections_to_a_broker_the_later_one_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
