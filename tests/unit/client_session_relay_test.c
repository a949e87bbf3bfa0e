/* A session that reaches a broker by way of another one. Broker 1 is home of all shards; the
 * session is connected to broker 0 only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/limits.h"
#include "core/random.h"
#include "tests/unit/session_driver.h"

static int setup_auto(void **state)
{
    *state = session_driver_new_relaying(1000, SESSION_FORWARD_AUTO);
    return 0;
}

static int setup_always(void **state)
{
    *state = session_driver_new_relaying(1000, SESSION_FORWARD_ALWAYS);
    return 0;
}

static int setup_never(void **state)
{
    *state = session_driver_new_relaying(1000, SESSION_FORWARD_NEVER);
    return 0;
}

/* How many messages of a kind were seen in the last pull. */
static size_t seen(const session_driver_t *d, message_kind_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < d->seen_count; i++) {
        count += d->seen[i].kind == kind;
    }
    return count;
}

/* Lets time pass until the session says hello to broker 1 by way of broker 0; returns how long that
 * took, or UINT64_MAX after `most_ms`. */
static uint64_t wait_hello(session_driver_t *d, uint64_t most_ms)
{
    for (uint64_t passed_ms = 0; passed_ms <= most_ms; passed_ms += 10) {
        (void)script_pull(d, 1);
        if (seen(d, KIND_HELLO) > 0) {
            assert_int_equal(d->seen_count, 1);
            return passed_ms;
        }
        script_pong(d, 0, 1, 1); /* broker 0 lives */
        script_advance(d, 10);
    }
    return UINT64_MAX;
}

/* Joins broker 0, and broker 1 by way of it, for the sake of this call. */
static void reach(session_driver_t *d)
{
    script_join(d, 0, 1);
    uint64_t first = script_ask(d, false, "first");
    assert_true(wait_hello(d, 2000) != UINT64_MAX);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    script_reply(d, 1, first, 100);
    script_expect_end(d, first, FABRIC_OK);
}

static void relay_ended(session_driver_t *d)
{
    static const uint8_t broker[16] = {2};
    message_relay_ended_t ended = {fabric_bytes(broker, 16), FABRIC_ERROR_NOT_CONNECTED,
                                   fabric_bytes_of("gone")};
    script_frame(&d->out);
    message_put_relay_ended(&d->out, &ended);
    script_deliver(d, 0);
}

/* ---- when ---- */

static void a_broker_that_does_not_welcome_is_reached_by_way_of_another(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 1);
    uint64_t volatile_call = script_ask(d, false, "a");
    uint64_t durable_call = script_ask(d, true, "b");
    uint64_t waited_ms = wait_hello(d, 2000);
    assert_in_range(waited_ms, 500, 700);
    assert_int_equal(script_pull_requests(d, 1), 0); /* not before the welcome */
    script_welcome(d, 1, 2, 1);
    assert_int_equal(script_pull_requests(d, 1), 2);
    script_accepted(d, 1, durable_call, 50);
    script_reply(d, 1, volatile_call, 51);
    script_reply(d, 1, durable_call, 50);
    script_expect_end(d, volatile_call, FABRIC_OK);
    script_expect_end(d, durable_call, FABRIC_OK);
    assert_int_equal(session_stats(d->session).unexpected, 0);
    assert_int_equal(session_stats(d->session).malformed, 0);
}

static void always_means_at_once_and_without_another_connection(void **state)
{
    session_driver_t *d = *state;
    session_action_t action;
    script_connect(d, 0);
    script_welcome(d, 0, d->seen[0].hello_connection, 1);
    (void)script_ask(d, true, "a");
    assert_false(session_next_action(d->session, &action));
    assert_int_equal(wait_hello(d, 0), 0);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    assert_false(session_next_action(d->session, &action));
}

static void never_means_never(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 1);
    (void)script_ask(d, true, "a");
    assert_int_equal(wait_hello(d, 3000), UINT64_MAX);
}

static void a_redirect_to_a_broker_beyond_reach_is_followed_by_way_of_its_sender(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t call = script_ask(d, true, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_redirect(d, 0, call, script_endpoint(1));
    assert_int_equal(wait_hello(d, 0), 0);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
}

static void a_redirect_to_a_broker_that_no_map_names_is_followed_with_the_next_map(void **state)
{
    session_driver_t *d = *state;
    d->map_brokers = 1;
    script_join(d, 0, 0);
    uint64_t call = script_ask(d, true, "a");
    assert_int_equal(script_pull_requests(d, 0), 1);
    script_redirect(d, 0, call, script_endpoint(1));
    (void)script_pull(d, 0);
    assert_int_equal(seen(d, KIND_MAP_WANTED), 1);
    d->map_brokers = 2;
    script_map(d, 0, 1, 2, 1, true);
    assert_true(wait_hello(d, 100) != UINT64_MAX);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
}

static void a_cancel_goes_the_way_of_its_call(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    uint64_t call = script_ask(d, true, "b");
    assert_int_equal(script_pull_requests(d, 1), 1);
    session_cancel(d->session, call, d->now_ms);
    assert_int_equal(script_pull(d, 1), 1);
    assert_int_equal(d->seen[0].cancel_sequence, call);
    relay_ended(d);
    assert_true(wait_hello(d, 1000) != UINT64_MAX);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull(d, 1), 2);
    assert_int_equal(d->seen[0].request.sequence, call);
    assert_int_equal(d->seen[1].cancel_sequence, call);
}

/* ---- when it breaks ---- */

static void calls_of_a_broken_carrier_are_unknown_or_sent_again(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    uint64_t volatile_call = script_ask(d, false, "a");
    uint64_t durable_call = script_ask(d, true, "b");
    assert_int_equal(script_pull_requests(d, 1), 2);
    session_disconnected(d->session, 0, d->now_ms);
    script_expect_end(d, volatile_call, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_null(session_next_done(d->session));
    assert_false(session_is_welcome(d->session));
    script_join(d, 0, 1);
    assert_true(wait_hello(d, 1000) != UINT64_MAX);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    assert_int_equal(d->seen[0].request.sequence, durable_call);
    assert_true(d->seen[0].request.flags & REQUEST_RESEND);
}

static void a_relay_that_ended_is_begun_again(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    uint64_t volatile_call = script_ask(d, false, "a");
    uint64_t durable_call = script_ask(d, true, "b");
    assert_int_equal(script_pull_requests(d, 1), 2);
    relay_ended(d);
    relay_ended(d); /* said twice */
    script_expect_end(d, volatile_call, FABRIC_ERROR_OUTCOME_UNKNOWN);
    uint64_t waited_ms = wait_hello(d, 1000);
    assert_in_range(waited_ms, 10, 300);
    script_reply(d, 1, durable_call, 50); /* of the connection before */
    assert_null(session_next_done(d->session));
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    assert_int_equal(d->seen[0].request.sequence, durable_call);
}

static void a_broker_that_does_not_know_the_relayed_client_is_greeted_again(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    uint64_t call = script_ask(d, true, "b");
    assert_int_equal(script_pull_requests(d, 1), 1);
    script_who(d, 1);
    assert_int_equal(wait_hello(d, 0), 0);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    assert_int_equal(d->seen[0].request.sequence, call);
}

static void a_silent_broker_is_greeted_again(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    (void)script_ask(d, true, "b");
    uint64_t waited_ms = wait_hello(d, 5000);
    assert_in_range(waited_ms, 2500, 3300);
}

static void another_broker_is_not_welcome_in_its_place(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 1);
    (void)script_ask(d, true, "b");
    (void)wait_hello(d, 2000);
    d->by_way = false;
    script_who(d, 0); /* only to have a welcome of broker 0 in `out` below */
    assert_int_equal(script_pull(d, 0), 1);
    d->by_way = true;
    script_welcome(d, 0, d->seen[0].hello_connection, 1);
    wire_writer_t inner = d->out;
    d->out = (wire_writer_t){0};
    static const uint8_t broker[16] = {2};
    message_relayed_t relayed = {fabric_bytes(broker, 16), wire_writer_bytes(&inner)};
    script_frame(&d->out);
    message_put_relayed(&d->out, &relayed);
    script_deliver(d, 0);
    wire_writer_destroy(&inner);
    assert_int_equal(script_pull_requests(d, 1), 0);
}

static void a_connection_of_its_own_takes_the_place_of_a_relay(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    uint64_t call = script_ask(d, true, "b");
    assert_int_equal(script_pull_requests(d, 1), 1);
    d->by_way = false;
    session_connected(d->session, 1, d->now_ms);
    (void)script_pull(d, 1);
    assert_int_equal(seen(d, KIND_HELLO), 1);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    assert_int_equal(d->seen[0].request.sequence, call);
    d->by_way = true;
    script_reply(d, 1, call, 50); /* by way of broker 0: too late */
    assert_null(session_next_done(d->session));
    d->by_way = false;
    script_reply(d, 1, call, 50);
    script_expect_end(d, call, FABRIC_OK);
}

/* The broker does not take by way of broker 0 what comes after the direct hello. */
static void volatile_calls_are_answered_before_a_relay_gives_way(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    uint64_t under_way = script_ask(d, false, "b");
    assert_int_equal(script_pull_requests(d, 1), 1);
    d->by_way = false;
    session_connected(d->session, 1, d->now_ms);
    session_tick(d->session, d->now_ms);
    assert_int_equal(script_pull(d, 1), 0);
    d->by_way = true;
    uint64_t later = script_ask(d, false, "c");
    assert_int_equal(script_pull_requests(d, 1), 0);
    script_reply(d, 1, under_way, 50);
    script_expect_end(d, under_way, FABRIC_OK);
    session_tick(d->session, d->now_ms);
    d->by_way = false;
    (void)script_pull(d, 1);
    assert_int_equal(seen(d, KIND_HELLO), 1);
    uint64_t last = script_ask(d, false, "d");
    d->by_way = true;
    assert_int_equal(script_pull_requests(d, 1), 0);
    d->by_way = false;
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 2);
    script_reply(d, 1, later, 51);
    script_expect_end(d, later, FABRIC_OK);
    script_reply(d, 1, last, 52);
    script_expect_end(d, last, FABRIC_OK);
}

/* Lets time pass while both brokers live; returns how many requests were sent by way of broker 0,
 * and says whether a hello was said to broker 1 at its own endpoint. */
static size_t pass(session_driver_t *d, uint64_t ms, bool *hello)
{
    size_t requests = 0;
    *hello = false;
    for (uint64_t i = 0; i < ms; i += 10) {
        d->by_way = true;
        script_pong(d, 0, 1, 1);
        script_pong(d, 1, 1, 1);
        script_advance(d, 10);
        requests += script_ask(d, false, "c") > 0 ? script_pull_requests(d, 1) : 0;
        d->by_way = false;
        (void)script_pull(d, 1);
        *hello |= seen(d, KIND_HELLO) > 0;
    }
    return requests;
}

/* A call whose handler takes long keeps the relay. Other calls wait for it from time to time, and
 * not for long. */
static void a_long_call_keeps_the_relay_and_others_go_on(void **state)
{
    session_driver_t *d = *state;
    bool hello;
    reach(d);
    uint64_t under_way = script_ask(d, false, "b");
    assert_int_equal(script_pull_requests(d, 1), 1);
    d->by_way = false;
    session_connected(d->session, 1, d->now_ms);
    assert_in_range(pass(d, 90, &hello), 0, 0);
    assert_false(hello);
    assert_in_range(pass(d, 20, &hello), 9, 11);
    for (uint64_t ms = 0; ms < 5500; ms += 1100) {
        assert_in_range(pass(d, 1100, &hello), 100, 120);
        assert_false(hello);
    }
    assert_false(session_next_done(d->session)); /* nothing has ended */
    (void)under_way;
}

/* Broker 0 takes no new calls any more, so the others do not wait for the long one. */
static void a_long_call_does_not_keep_a_relay_whose_carrier_leaves(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    uint64_t under_way = script_ask(d, false, "b");
    assert_int_equal(script_pull_requests(d, 1), 1);
    d->by_way = false;
    session_connected(d->session, 1, d->now_ms);
    script_bye(d, 0);
    uint64_t later = script_ask(d, false, "c");
    script_advance(d, 90);
    assert_int_equal(script_pull(d, 1), 0);
    script_advance(d, 20);
    (void)script_pull(d, 1);
    assert_int_equal(seen(d, KIND_HELLO), 1);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    script_expect_end(d, under_way, FABRIC_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(script_pull_requests(d, 1), 1);
    script_reply(d, 1, later, 51);
    script_expect_end(d, later, FABRIC_OK);
}

/* The relayed hello was said before the direct one and is answered after it was said. */
static void a_relay_that_is_late_gives_way_at_once(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 1);
    uint64_t call = script_ask(d, false, "a");
    assert_true(wait_hello(d, 2000) != UINT64_MAX);
    uint64_t relayed = d->seen[0].hello_connection;
    d->by_way = false;
    session_connected(d->session, 1, d->now_ms);
    (void)script_pull(d, 1);
    assert_int_equal(seen(d, KIND_HELLO), 1);
    uint64_t direct = d->seen[0].hello_connection;
    assert_true(direct > relayed);
    d->by_way = true;
    script_welcome(d, 1, relayed, 1);
    assert_int_equal(script_pull_requests(d, 1), 0);
    d->by_way = false;
    script_welcome(d, 1, direct, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    script_reply(d, 1, call, 50);
    script_expect_end(d, call, FABRIC_OK);
}

/* The calls that waited for it go by way of broker 0 again. */
static void a_relay_goes_on_when_the_connection_breaks_before_the_welcome(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    d->by_way = false;
    session_connected(d->session, 1, d->now_ms);
    (void)script_pull(d, 1);
    assert_int_equal(seen(d, KIND_HELLO), 1);
    uint64_t call = script_ask(d, false, "b");
    d->by_way = true;
    assert_int_equal(script_pull_requests(d, 1), 0);
    session_disconnected(d->session, 1, d->now_ms);
    assert_int_equal(script_pull_requests(d, 1), 1);
    script_reply(d, 1, call, 50);
    script_expect_end(d, call, FABRIC_OK);
}

/* The broker has welcomed the direct connection before it has got the relayed hello, which is the
 * later one: it serves the relayed connection from then on. */
static void hellos_that_cross_do_not_make_the_broker_silent(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 1);
    d->by_way = false;
    uint64_t call = script_ask(d, true, "a");
    script_connect(d, 1);
    uint64_t direct = d->seen[0].hello_connection;
    d->by_way = true;
    assert_true(wait_hello(d, 2000) != UINT64_MAX);
    uint64_t relayed = d->seen[0].hello_connection;
    d->by_way = false;
    script_welcome(d, 1, direct, 1);
    assert_int_equal(script_pull(d, 1), 1); /* nothing but a hello */
    assert_int_equal(d->seen[0].kind, KIND_HELLO);
    assert_true(d->seen[0].hello_connection > relayed);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    assert_int_equal(d->seen[0].request.sequence, call);
}

/* The same after the broker has welcomed the relayed client. */
static void a_relay_serves_until_a_later_hello_is_welcome(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 1);
    d->by_way = false;
    uint64_t call = script_ask(d, true, "a");
    script_connect(d, 1);
    uint64_t direct = d->seen[0].hello_connection;
    d->by_way = true;
    assert_true(wait_hello(d, 2000) != UINT64_MAX);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    assert_int_equal(script_pull_requests(d, 1), 1);
    d->by_way = false;
    script_welcome(d, 1, direct, 1);
    assert_int_equal(script_pull(d, 1), 1);
    assert_int_equal(d->seen[0].kind, KIND_HELLO);
    d->by_way = true;
    script_reply(d, 1, call, 50);
    script_expect_end(d, call, FABRIC_OK);
}

/* A relay that rests is not begun again when the broker has welcomed the client meanwhile. */
static void a_resting_relay_ends_with_a_connection(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    relay_ended(d);
    d->by_way = false;
    session_connected(d->session, 1, d->now_ms);
    (void)script_pull(d, 1);
    assert_int_equal(seen(d, KIND_HELLO), 1);
    script_welcome(d, 1, d->seen[0].hello_connection, 1);
    d->by_way = true;
    assert_int_equal(wait_hello(d, 1000), UINT64_MAX);
}

/* The map has lost the broker before the broker between notices. */
static void a_relay_to_a_broker_that_is_gone_is_not_begun_again(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    d->map_brokers = 1;
    script_map(d, 0, 1, 2, 0, true);
    relay_ended(d);
    assert_int_equal(wait_hello(d, 1000), UINT64_MAX);
}

static void both_brokers_hear_of_the_end(void **state)
{
    session_driver_t *d = *state;
    size_t to;
    fabric_bytes_t frame;
    reach(d);
    session_close(d->session);
    for (int i = 0; i < 2; i++) { /* first the broker behind the other one */
        wire_reader_t reader;
        wire_reader_t body;
        frame_head_t head;
        message_kind_t kind;
        assert_true(session_next_frame(d->session, d->now_ms, &to, &frame));
        assert_int_equal(to, 0);
        assert_int_equal(frame_open(frame, &reader, &head), FABRIC_OK);
        assert_true(frame_next(&reader, &body));
        assert_int_equal(message_open(&body, &kind), FABRIC_OK);
        assert_int_equal(kind, i == 0 ? KIND_RELAY : KIND_BYE);
        session_frame_sent(d->session, 0);
    }
    assert_false(session_next_frame(d->session, d->now_ms, &to, &frame));
}

/* ---- bounds ---- */

static void a_relayed_frame_is_below_the_limit(void **state)
{
    session_driver_t *d = *state;
    reach(d);
    static uint8_t bulk[LIMIT_PAYLOAD_BYTES_MAX];
    for (int i = 0; i < 8; i++) {
        call_t *call = call_new(0);
        call->type = fabric_bytes_of("Counter");
        call->id = fabric_bytes_of("a");
        call->tag = fabric_bytes_of("tag");
        call->payload = fabric_bytes(bulk, sizeof bulk);
        call->deadline_ms = d->now_ms + 30000;
        session_submit(d->session, call, d->now_ms);
    }
    size_t to;
    size_t frames = 0;
    fabric_bytes_t frame;
    while (session_next_frame(d->session, d->now_ms, &to, &frame)) {
        frames++;
        assert_int_equal(to, 0);
        assert_in_range(frame.size, 1, LIMIT_FRAME_BYTES_MAX - 128);
        session_frame_blocked(d->session, 0);
        assert_false(session_next_frame(d->session, d->now_ms, &to, &frame));
        session_writable(d->session, 0);
        assert_true(session_next_frame(d->session, d->now_ms, &to, &frame));
        session_frame_sent(d->session, 0);
    }
    assert_in_range(frames, 8, 9);
}

static void no_relayed_bytes_do_harm(void **state)
{
    session_driver_t *d = *state;
    session_action_t action;
    session_event_t event;
    reach(d);
    uint8_t bytes[200];
    for (int i = 0; i < 5000; i++) {
        random_bytes(bytes, sizeof bytes);
        script_frame(&d->out);
        wire_put_bin(&d->out, fabric_bytes(bytes, bytes[0] % 100));
        d->out.data[bytes[1] % d->out.size] ^= bytes[2];
        script_deliver(d, 1);
        script_frame(&d->out);
        message_put_relay_ended(&d->out, &(message_relay_ended_t){fabric_bytes(bytes, 16), bytes[0],
                                                                  fabric_bytes(bytes, 20)});
        d->out.data[bytes[3] % d->out.size] ^= bytes[4];
        script_deliver(d, 0);
        script_advance(d, 1);
        (void)script_pull(d, 0);
        while (session_next_action(d->session, &action)) {
        }
        while (session_next_event(d->session, &event)) {
        }
    }
}

#define RELAY_TEST(name, setup)                                                                    \
    cmocka_unit_test_setup_teardown(name, setup, session_driver_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELAY_TEST(a_broker_that_does_not_welcome_is_reached_by_way_of_another, setup_auto),
        RELAY_TEST(always_means_at_once_and_without_another_connection, setup_always),
        RELAY_TEST(never_means_never, setup_never),
        RELAY_TEST(a_redirect_to_a_broker_beyond_reach_is_followed_by_way_of_its_sender,
                   setup_always),
        RELAY_TEST(a_redirect_to_a_broker_that_no_map_names_is_followed_with_the_next_map,
                   setup_always),
        RELAY_TEST(a_cancel_goes_the_way_of_its_call, setup_auto),
        RELAY_TEST(calls_of_a_broken_carrier_are_unknown_or_sent_again, setup_auto),
        RELAY_TEST(a_relay_that_ended_is_begun_again, setup_auto),
        RELAY_TEST(a_broker_that_does_not_know_the_relayed_client_is_greeted_again, setup_auto),
        RELAY_TEST(a_silent_broker_is_greeted_again, setup_auto),
        RELAY_TEST(another_broker_is_not_welcome_in_its_place, setup_auto),
        RELAY_TEST(a_connection_of_its_own_takes_the_place_of_a_relay, setup_auto),
        RELAY_TEST(volatile_calls_are_answered_before_a_relay_gives_way, setup_auto),
        RELAY_TEST(a_long_call_keeps_the_relay_and_others_go_on, setup_auto),
        RELAY_TEST(a_long_call_does_not_keep_a_relay_whose_carrier_leaves, setup_auto),
        RELAY_TEST(a_relay_that_is_late_gives_way_at_once, setup_auto),
        RELAY_TEST(a_relay_goes_on_when_the_connection_breaks_before_the_welcome, setup_auto),
        RELAY_TEST(hellos_that_cross_do_not_make_the_broker_silent, setup_auto),
        RELAY_TEST(a_relay_serves_until_a_later_hello_is_welcome, setup_auto),
        RELAY_TEST(a_resting_relay_ends_with_a_connection, setup_auto),
        RELAY_TEST(a_relay_to_a_broker_that_is_gone_is_not_begun_again, setup_always),
        RELAY_TEST(both_brokers_hear_of_the_end, setup_always),
        RELAY_TEST(a_relayed_frame_is_below_the_limit, setup_always),
        RELAY_TEST(no_relayed_bytes_do_harm, setup_always),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
