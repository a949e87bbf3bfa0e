/* Questions of a session to brokers: to any one, to a certain one, directly or by way of another,
 * and what the session answers itself. Broker 1 is home of all shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

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

/* Asks the broker of an incarnation that begins with this byte; 0: any one. Returns its sequence.
 */
static uint64_t ask(session_driver_t *d, uint8_t broker, uint64_t timeout_ms)
{
    call_t *query = call_new(0);
    query->query = true;
    query->broker.bytes[0] = broker;
    query->tag = fabric_bytes_of("status");
    query->deadline_ms = d->now_ms + timeout_ms;
    session_submit(d->session, query, d->now_ms);
    return query->sequence;
}

static void answer(session_driver_t *d, size_t peer, uint64_t sequence)
{
    message_answer_t message = {.sequence = sequence, .document = fabric_bytes("abc", 3)};
    script_frame(&d->out);
    message_put_answer(&d->out, &message);
    script_deliver(d, peer);
}

/* How many messages of a kind the session has for a peer now. */
static size_t count(session_driver_t *d, size_t peer, message_kind_t kind)
{
    size_t found = 0;
    (void)script_pull(d, peer);
    for (size_t i = 0; i < d->seen_count; i++) {
        found += d->seen[i].kind == kind;
    }
    return found;
}

/* ---- a certain broker ---- */

static void a_connected_broker_is_asked_itself(void **state)
{
    session_driver_t *d = *state;
    d->by_way = false;
    script_join(d, 0, 1);
    script_join(d, 1, 1);
    uint64_t second = ask(d, 2, 1000);
    assert_int_equal(count(d, 1, KIND_QUERY), 1);
    answer(d, 0, second); /* another one's answer is none */
    assert_null(session_next_done(d->session));
    answer(d, 1, second);
    script_expect_end(d, second, FABRIC_OK);
    uint64_t first = ask(d, 1, 1000);
    assert_int_equal(count(d, 0, KIND_QUERY), 1);
    answer(d, 0, first);
    script_expect_end(d, first, FABRIC_OK);
}

static void a_broker_beyond_reach_is_asked_by_way_of_another(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t query = ask(d, 2, 5000);
    assert_int_equal(count(d, 1, KIND_HELLO), 1);
    script_welcome(d, 1, d->seen[0].hello_connection, 0);
    assert_int_equal(count(d, 1, KIND_QUERY), 1);
    answer(d, 1, query);
    script_expect_end(d, query, FABRIC_OK);
}

static void a_broker_that_does_not_welcome_is_asked_by_way_of_another_in_time(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t query = ask(d, 2, 5000);
    uint64_t waited_ms = 0;
    while (count(d, 1, KIND_HELLO) == 0) {
        assert_in_range(waited_ms, 0, 700);
        script_pong(d, 0, 1, 1);
        script_advance(d, 10);
        waited_ms += 10;
    }
    script_welcome(d, 1, d->seen[0].hello_connection, 0);
    assert_int_equal(count(d, 1, KIND_QUERY), 1);
    answer(d, 1, query);
    script_expect_end(d, query, FABRIC_OK);
}

/* Only a broker that a newer map does not have either is unknown. */
static void an_unknown_broker_is_not_found(void **state)
{
    session_driver_t *d = *state;
    uint64_t query = ask(d, 9, 5000);
    script_advance(d, 200);
    assert_null(session_next_done(d->session)); /* no broker is connected: nobody knows */
    script_connect(d, 0);
    script_welcome(d, 0, d->seen[0].hello_connection, 0);
    assert_int_equal(count(d, 0, KIND_MAP_WANTED), 1);
    assert_null(session_next_done(d->session));
    script_advance(d, 100);
    script_advance(d, 100);
    script_expect_end_saying(d, query, FABRIC_ERROR_NOT_FOUND, "no broker of the cluster");
}

static void a_broker_of_a_newer_map_is_found(void **state)
{
    session_driver_t *d = *state;
    session_action_t action;
    d->by_way = false;
    script_join(d, 0, 0);
    uint64_t query = ask(d, 3, 5000);
    assert_int_equal(count(d, 0, KIND_MAP_WANTED), 1);
    d->map_brokers = 3;
    script_map(d, 0, 1, 2, 0, true);
    script_advance(d, 100);
    assert_null(session_next_done(d->session));
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.peer, 2);
    script_join(d, 2, 0);
    assert_int_equal(count(d, 2, KIND_QUERY), 1);
    answer(d, 2, query);
    script_expect_end(d, query, FABRIC_OK);
}

static void a_broker_that_is_not_reached_in_time(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t query = ask(d, 2, 300);
    (void)script_pull(d, 0);
    script_advance(d, 299);
    assert_null(session_next_done(d->session));
    script_advance(d, 1);
    script_expect_end_saying(d, query, FABRIC_ERROR_NOT_CONNECTED, script_endpoint(1));
}

static void a_broker_that_is_reached_and_silent(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 0);
    uint64_t query = ask(d, 1, 300);
    assert_int_equal(count(d, 0, KIND_QUERY), 1);
    script_advance(d, 300);
    script_expect_end_saying(d, query, FABRIC_ERROR_TIMEOUT, script_endpoint(0));
}

static void a_question_is_asked_again_on_the_next_connection(void **state)
{
    session_driver_t *d = *state;
    d->by_way = false;
    script_join(d, 0, 0);
    script_join(d, 1, 0);
    uint64_t query = ask(d, 2, 5000);
    assert_int_equal(count(d, 1, KIND_QUERY), 1);
    session_disconnected(d->session, 1, d->now_ms);
    assert_int_equal(count(d, 0, KIND_QUERY), 0); /* no other broker can answer */
    script_join(d, 1, 0);
    assert_int_equal(count(d, 1, KIND_QUERY), 1);
    answer(d, 1, query);
    script_expect_end(d, query, FABRIC_OK);
}

/* ---- the home of an entity ---- */

static uint64_t ask_home(session_driver_t *d, const char *type, uint64_t timeout_ms)
{
    call_t *query = call_new(0);
    query->query = true;
    query->type = fabric_bytes_of(type);
    query->id = fabric_bytes_of("c1");
    query->tag = fabric_bytes_of("events");
    query->deadline_ms = d->now_ms + timeout_ms;
    session_submit(d->session, query, d->now_ms);
    return query->sequence;
}

static void refuse(session_driver_t *d, size_t peer, uint64_t sequence, fabric_error_t error)
{
    message_answer_t message = {
        .sequence = sequence, .error = error, .text = fabric_bytes_of("not now")};
    script_frame(&d->out);
    message_put_answer(&d->out, &message);
    script_deliver(d, peer);
}

/* Until the session asks the peer again; it does so within its longest pause. */
static void wait_for_query(session_driver_t *d, size_t peer)
{
    uint64_t waited_ms = 0;
    while (count(d, peer, KIND_QUERY) == 0) {
        assert_in_range(waited_ms, 0, 1000);
        script_advance(d, 10);
        waited_ms += 10;
    }
}

static void join_two(session_driver_t *d)
{
    d->by_way = false;
    script_join(d, 0, 0);
    script_join(d, 1, 0);
}

static void the_home_of_an_entity_is_asked(void **state)
{
    session_driver_t *d = *state;
    d->by_way = false;
    script_join(d, 0, 1);
    uint64_t query = ask_home(d, "Counter", 5000);
    assert_int_equal(count(d, 0, KIND_QUERY), 0); /* it is not the home */
    script_join(d, 1, 1);
    assert_int_equal(count(d, 1, KIND_QUERY), 1);
    answer(d, 1, query);
    script_expect_end(d, query, FABRIC_OK);
}

static void any_broker_is_asked_about_an_entity_of_an_unknown_type(void **state)
{
    session_driver_t *d = *state;
    script_join(d, 0, 1);
    uint64_t query = ask_home(d, "Unheard", 5000);
    assert_int_equal(count(d, 0, KIND_QUERY), 1);
    refuse(d, 0, query, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    script_expect_end_saying(d, query, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, "not now");
}

/* A home that lives on, but is the home no more, does not have to answer. */
static void a_query_moves_with_the_home(void **state)
{
    session_driver_t *d = *state;
    join_two(d);
    uint64_t query = ask_home(d, "Counter", 5000);
    assert_int_equal(count(d, 0, KIND_QUERY), 1);
    script_map(d, 0, 1, 2, 1, true);
    assert_int_equal(count(d, 1, KIND_QUERY), 1);
    answer(d, 0, query); /* too late */
    assert_null(session_next_done(d->session));
    answer(d, 1, query);
    script_expect_end(d, query, FABRIC_OK);
}

static void a_query_waits_until_there_is_a_home(void **state)
{
    session_driver_t *d = *state;
    join_two(d);
    uint64_t query = ask_home(d, "Counter", 5000);
    assert_int_equal(count(d, 0, KIND_QUERY), 1);
    session_disconnected(d->session, 0, d->now_ms);
    assert_int_equal(count(d, 1, KIND_QUERY), 0);
    script_map(d, 1, 1, 2, -1, true);
    assert_int_equal(count(d, 1, KIND_QUERY), 0);
    script_map(d, 1, 1, 3, 1, true);
    assert_int_equal(count(d, 1, KIND_QUERY), 1);
    answer(d, 1, query);
    script_expect_end(d, query, FABRIC_OK);
}

static void a_broker_that_is_not_the_home_tells_where_it_is(void **state)
{
    session_driver_t *d = *state;
    join_two(d);
    uint64_t query = ask_home(d, "Counter", 5000);
    assert_int_equal(count(d, 0, KIND_QUERY), 1);
    refuse(d, 0, query, FABRIC_ERROR_NOT_HOME);
    assert_int_equal(count(d, 0, KIND_MAP_WANTED), 1);
    assert_null(session_next_done(d->session));
    script_map(d, 0, 1, 2, 1, true);
    wait_for_query(d, 1);
    answer(d, 1, query);
    script_expect_end(d, query, FABRIC_OK);
}

static void a_busy_home_is_asked_again_until_the_deadline(void **state)
{
    session_driver_t *d = *state;
    join_two(d);
    uint64_t query = ask_home(d, "Counter", 2000);
    uint64_t deadline_ms = d->now_ms + 2000;
    assert_int_equal(count(d, 0, KIND_QUERY), 1);
    refuse(d, 0, query, FABRIC_ERROR_BUSY);
    wait_for_query(d, 0);
    refuse(d, 0, query, FABRIC_ERROR_BUSY);
    assert_null(session_next_done(d->session));
    script_advance(d, deadline_ms - d->now_ms);
    script_expect_end_saying(d, query, FABRIC_ERROR_BUSY, "not now");
}

/* ---- the session itself ---- */

static void the_members_are_those_of_the_map(void **state)
{
    session_driver_t *d = *state;
    call_t *query = call_new(0);
    query->query = query->members = true;
    query->tag = fabric_bytes_of("members");
    query->deadline_ms = d->now_ms + 5000;
    session_submit(d->session, query, d->now_ms);
    assert_null(session_next_done(d->session)); /* there is no map yet */
    script_join(d, 0, 0);
    assert_int_equal(count(d, 0, KIND_QUERY), 0);
    assert_ptr_equal(session_next_done(d->session), query);
    assert_int_equal(query->error, FABRIC_OK);
    wire_reader_t reader = wire_reader(query->answer);
    assert_int_equal(wire_get_array(&reader), 2);
    for (uint8_t i = 0; i < 2; i++) {
        assert_int_equal(wire_get_array(&reader), 3);
        fabric_bytes_t incarnation = wire_get_bin(&reader);
        assert_int_equal(incarnation.size, 16);
        assert_int_equal(incarnation.data[0], i + 1);
        (void)wire_get_str(&reader);
        assert_true(fabric_bytes_equal(wire_get_str(&reader), fabric_bytes_of(script_endpoint(i))));
    }
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    call_destroy(&query);
}

static void without_a_map_nobody_knows_the_members(void **state)
{
    session_driver_t *d = *state;
    call_t *query = call_new(0);
    query->query = query->members = true;
    query->tag = fabric_bytes_of("members");
    query->deadline_ms = d->now_ms + 100;
    session_submit(d->session, query, d->now_ms);
    script_advance(d, 100);
    script_expect_end(d, query->sequence, FABRIC_ERROR_NOT_CONNECTED);
}

#define QUERY_TEST(name, setup)                                                                    \
    cmocka_unit_test_setup_teardown(name, setup, session_driver_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUERY_TEST(the_home_of_an_entity_is_asked, setup_auto),
        QUERY_TEST(any_broker_is_asked_about_an_entity_of_an_unknown_type, setup_auto),
        QUERY_TEST(a_query_moves_with_the_home, setup_auto),
        QUERY_TEST(a_query_waits_until_there_is_a_home, setup_auto),
        QUERY_TEST(a_broker_that_is_not_the_home_tells_where_it_is, setup_auto),
        QUERY_TEST(a_busy_home_is_asked_again_until_the_deadline, setup_auto),
        QUERY_TEST(a_connected_broker_is_asked_itself, setup_auto),
        QUERY_TEST(a_broker_beyond_reach_is_asked_by_way_of_another, setup_always),
        QUERY_TEST(a_broker_that_does_not_welcome_is_asked_by_way_of_another_in_time, setup_auto),
        QUERY_TEST(an_unknown_broker_is_not_found, setup_auto),
        QUERY_TEST(a_broker_of_a_newer_map_is_found, setup_auto),
        QUERY_TEST(a_broker_that_is_not_reached_in_time, setup_auto),
        QUERY_TEST(a_broker_that_is_reached_and_silent, setup_auto),
        QUERY_TEST(a_question_is_asked_again_on_the_next_connection, setup_auto),
        QUERY_TEST(the_members_are_those_of_the_map, setup_auto),
        QUERY_TEST(without_a_map_nobody_knows_the_members, setup_auto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
