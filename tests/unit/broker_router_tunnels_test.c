/* Other brokers as peers of the router: their hellos, the clients that they carry, and what the
 * router's own clients exchange with other brokers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/random.h"
#include "core/snowflake.h"
#include "tests/unit/router_driver.h"

enum { OTHER = 0xb1, THIRD = 0xb2, ROUTE = 7 };

static driver_t *open_with_members(void)
{
    driver_t *driver = driver_open();
    broker_credential_t brokers[] = {
        {.broker = driver->config.incarnation}, driver_credential(OTHER), driver_credential(THIRD)};
    router_members(driver->router, brokers, 3, driver->now_ms);
    return driver;
}

static void join(driver_t *driver, const char *peer, unsigned number)
{
    driver_broker_hello(driver, peer, number, 1);
    driver_take(driver, peer, KIND_WELCOME);
}

/* ---- frames inside frames ---- */

typedef void put_fn(wire_writer_t *, const void *);

static void tunnel_bytes(driver_t *driver, const char *peer, uint64_t route, fabric_bytes_t frame)
{
    message_tunnel_t message = {route, frame};
    driver_send(driver, peer, tunnel, &message);
}

#define tunnel(driver, peer, route, name, message)                                                 \
    tunnel_(driver, peer, route, (put_fn *)message_put_##name, message)
static void tunnel_(driver_t *driver, const char *peer, uint64_t route, put_fn *put,
                    const void *message)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    put(&frame, message);
    tunnel_bytes(driver, peer, route, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

static void tunnelled_hello(driver_t *driver, const char *peer, uint64_t route, peer_role_t role,
                            uint64_t connection)
{
    incarnation_t incarnation = driver_incarnation(0x21);
    message_hello_t hello = {.protocol_min = LIMIT_PROTOCOL_VERSION,
                             .protocol_max = LIMIT_PROTOCOL_VERSION,
                             .role = role,
                             .incarnation = fabric_bytes(incarnation.bytes, 16),
                             .connection = connection,
                             .client_number = 0x21,
                             .window = 1};
    tunnel(driver, peer, route, hello, &hello);
}

/* Takes frames for the route until one has a message of this kind, whose body it returns. */
static wire_reader_t take_tunnelled(driver_t *driver, const char *peer, uint64_t route,
                                    message_kind_t wanted)
{
    for (;;) {
        const message_tunnel_t *tunnel = &driver_take(driver, peer, KIND_TUNNEL)->as.tunnel;
        wire_reader_t reader;
        wire_reader_t body;
        frame_head_t head;
        assert_int_equal(tunnel->route, route);
        assert_int_equal(frame_open(tunnel->frame, &reader, &head), FABRIC_OK);
        while (frame_next(&reader, &body)) {
            message_kind_t kind;
            assert_int_equal(message_open(&body, &kind), FABRIC_OK);
            if (kind == wanted) {
                return body;
            }
        }
    }
}

static void tunnelled_ping(driver_t *driver, const char *peer)
{
    message_ping_t ping = {.sequence = 1};
    tunnel(driver, peer, ROUTE, ping, &ping);
}

static void tunnelled_client(driver_t *driver, const char *peer, uint64_t route)
{
    tunnelled_hello(driver, peer, route, ROLE_CLIENT, 1);
    (void)take_tunnelled(driver, peer, route, KIND_WELCOME);
}

static fabric_error_t refused_through(driver_t *driver, const char *peer, uint64_t route)
{
    message_refused_t refused;
    wire_reader_t body = take_tunnelled(driver, peer, route, KIND_REFUSED);
    assert_int_equal(message_get_refused(&body, &refused), FABRIC_OK);
    return fabric_error_from_number(refused.error);
}

static void tunnelled_ask(driver_t *driver, const char *peer, uint64_t sequence, uint64_t flags)
{
    message_request_t request = driver_request(sequence, "e1", flags);
    tunnel(driver, peer, ROUTE, request, &request);
}

/* ---- hellos ---- */

static const router_order_t *find_order(const driver_t *driver, router_order_kind_t kind)
{
    for (size_t i = 0; i < driver->order_count; i++) {
        if (driver->orders[i].kind == kind) {
            return &driver->orders[i];
        }
    }
    return NULL;
}

static void only_members_are_welcomed(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    driver_broker_hello(driver, "x", 0xb9, 1);
    const message_refused_t *refused = &driver_take(driver, "x", KIND_REFUSED)->as.refused;
    assert_int_equal(refused->error, FABRIC_ERROR_NOT_CONNECTED);
    driver_broker_hello(driver, "b", OTHER, 1);
    const message_welcome_t *welcome = &driver_take(driver, "b", KIND_WELCOME)->as.welcome;
    assert_int_equal(welcome->heartbeat_ms, driver->config.worker_heartbeat_ms);
    driver_ping(driver, "b");
    driver_take(driver, "b", KIND_PONG);
    driver_close(&driver);
}

static fabric_error_t refusal(driver_t *driver, const char *peer)
{
    uint64_t refused = driver_counters(driver).refused;
    assert_int_equal(refused, 1);
    return fabric_error_from_number(driver_take(driver, peer, KIND_REFUSED)->as.refused.error);
}

/* The proof of a hello of OTHER. */
static broker_proof_t proof_of_other(incarnation_t receiver, uint64_t connection)
{
    broker_credential_t other = driver_credential(OTHER);
    return broker_proof_make(&other, receiver, connection);
}

static void hello_of_other(driver_t *driver, const char *peer, uint64_t connection,
                           const broker_proof_t *proof)
{
    driver_broker_hello_with(driver, peer, OTHER, connection,
                             fabric_bytes(proof->bytes, sizeof proof->bytes));
}

/* The incarnations of brokers stand in the map. */
static void a_broker_has_to_prove_its_membership(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    broker_credential_t third = driver_credential(THIRD);
    incarnation_t self = driver->config.incarnation;
    broker_proof_t proofs[] = {
        proof_of_other(third.broker, 1),    /* overheard by another broker */
        proof_of_other(self, 2),            /* of another connection */
        broker_proof_make(&third, self, 1), /* another member's */
        {{0}},
    };
    driver_broker_hello_with(driver, "x", OTHER, 1, fabric_bytes(NULL, 0));
    assert_int_equal(refusal(driver, "x"), FABRIC_ERROR_NOT_CONNECTED);
    for (size_t i = 0; i < sizeof proofs / sizeof proofs[0]; i++) {
        driver_t *fresh = open_with_members();
        hello_of_other(fresh, "x", 1, &proofs[i]);
        assert_int_equal(refusal(fresh, "x"), FABRIC_ERROR_NOT_CONNECTED);
        driver_send(fresh, "x", broker_state, &(message_broker_state_t){1});
        driver_take(fresh, "x", KIND_WHO); /* it is nobody */
        assert_null(find_order(fresh, ROUTER_BROKER_STATE));
        driver_close(&fresh);
    }
    join(driver, "b", OTHER); /* nothing of that has used up the number */
    driver_close(&driver);
}

/* Neither is a member that stores no secret believed: its proof could be made by anybody. */
static void a_member_without_a_secret_is_refused(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    broker_credential_t other = {.broker = driver_incarnation(OTHER)};
    router_members(driver->router, &other, 1, driver->now_ms);
    broker_proof_t proof = broker_proof_make(&other, driver->config.incarnation, 1);
    hello_of_other(driver, "x", 1, &proof);
    assert_int_equal(refusal(driver, "x"), FABRIC_ERROR_NOT_CONNECTED);
    driver_close(&driver);
}

/* Whoever overhears a hello may send its bytes to the same broker. */
static void a_hello_cannot_be_replayed(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    broker_proof_t first = proof_of_other(driver->config.incarnation, 1);
    broker_proof_t second = proof_of_other(driver->config.incarnation, 2);
    hello_of_other(driver, "b", 1, &first);
    driver_take(driver, "b", KIND_WELCOME);
    hello_of_other(driver, "b", 2, &second);
    driver_take(driver, "b", KIND_WELCOME);
    tunnelled_client(driver, "b", ROUTE);
    hello_of_other(driver, "x", 1, &first);
    assert_int_equal(driver_take(driver, "x", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_OUTDATED_CONNECTION);
    hello_of_other(driver, "x", 2, &second);
    assert_int_equal(driver_take(driver, "x", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_OUTDATED_CONNECTION);
    hello_of_other(driver, "x", 3, &second);
    assert_int_equal(driver_take(driver, "x", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_NOT_CONNECTED);
    driver_send(driver, "x", broker_state, &(message_broker_state_t){1});
    assert_null(find_order(driver, ROUTER_BROKER_STATE));
    tunnelled_ping(driver, "b"); /* the broker's own connection counts as before */
    (void)take_tunnelled(driver, "b", ROUTE, KIND_PONG);
    driver_gone(driver, "b");
    driver_ping(driver, "b"); /* its PONG cannot be sent: the connection ends */
    hello_of_other(driver, "x", 2, &second);
    assert_int_equal(driver_take(driver, "x", KIND_REFUSED)->as.refused.error,
                     FABRIC_ERROR_OUTDATED_CONNECTION);
    driver_close(&driver);
}

static void a_broker_that_is_no_member_any_more_is_asked_who_it_is(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    tunnelled_client(driver, "b", ROUTE);
    broker_credential_t left = driver_credential(THIRD);
    router_members(driver->router, &left, 1, driver->now_ms);
    driver_ping(driver, "b");
    driver_take(driver, "b", KIND_WHO);
    driver_close(&driver);
}

static void the_newest_connection_of_a_broker_counts(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    tunnelled_client(driver, "b", ROUTE);
    driver_broker_hello(driver, "b2", OTHER, 2);
    driver_take(driver, "b2", KIND_WELCOME);
    driver_forget(driver);
    tunnelled_ping(driver, "b");
    assert_int_equal(driver_count(driver, "b", KIND_TUNNEL), 0);
    driver_broker_hello(driver, "b", OTHER, 1);
    driver_take(driver, "b", KIND_REFUSED);
    tunnelled_ping(driver, "b2"); /* a route of the new connection */
    (void)take_tunnelled(driver, "b2", ROUTE, KIND_WHO);
    driver_close(&driver);
}

static void only_clients_come_by_way_of_brokers(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    tunnelled_hello(driver, "b", 1, ROLE_WORKER, 1);
    assert_int_equal(refused_through(driver, "b", 1), FABRIC_ERROR_UNKNOWN_KIND);
    tunnelled_hello(driver, "b", 2, ROLE_BROKER, 1);
    assert_int_equal(refused_through(driver, "b", 2), FABRIC_ERROR_UNKNOWN_KIND);
    driver_close(&driver);
}

static void a_silent_broker_is_given_up(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    driver_pass(driver, driver->config.lease_ms - 100);
    driver_ping(driver, "b");
    driver_pass(driver, driver->config.lease_ms - 100);
    driver_forget(driver);
    driver_ping(driver, "b");
    driver_take(driver, "b", KIND_PONG);
    driver_pass(driver, driver->config.lease_ms + 100);
    driver_ping(driver, "b");
    driver_take(driver, "b", KIND_WHO);
    driver_close(&driver);
}

/* ---- clients by way of a broker ---- */

static void calls_of_a_tunnelled_client_are_answered(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    driver_worker(driver, "w", 1);
    join(driver, "b", OTHER);
    tunnelled_client(driver, "b", ROUTE);
    tunnelled_ask(driver, "b", 1, REQUEST_DURABLE);
    driver_commit(driver);
    driver_result(driver, "w", driver_delivery(driver, "w"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    message_reply_t reply;
    wire_reader_t body = take_tunnelled(driver, "b", ROUTE, KIND_REPLY);
    assert_int_equal(message_get_reply(&body, &reply), FABRIC_OK);
    assert_int_equal(reply.sequence, 1);
    tunnelled_ask(driver, "b", 2, 0);
    driver_result(driver, "w", driver_delivery(driver, "w"), STATUS_OK, FABRIC_OK);
    body = take_tunnelled(driver, "b", ROUTE, KIND_REPLY);
    assert_int_equal(message_get_reply(&body, &reply), FABRIC_OK);
    assert_int_equal(reply.sequence, 2);
    driver_close(&driver);
}

/* A call goes on when its client comes by another way. */
static void a_client_may_come_by_another_way(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    driver_worker(driver, "w", 1);
    join(driver, "b", OTHER);
    tunnelled_client(driver, "b", ROUTE);
    tunnelled_ask(driver, "b", 1, REQUEST_DURABLE);
    driver_commit(driver);
    const message_deliver_t *delivery = driver_delivery(driver, "w");
    driver_gone(driver, "b");
    driver_ping(driver, "b"); /* its PONG cannot be sent */
    driver_client_hello(driver, "c", 0x21, 2);
    driver_take(driver, "c", KIND_WELCOME);
    driver_result(driver, "w", delivery, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    assert_int_equal(driver_replied(driver, "c", 1)->sequence, 1);
    driver_close(&driver);
}

static void the_end_of_a_route_ends_its_peer(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    tunnelled_client(driver, "b", ROUTE);
    driver_send(driver, "b", tunnel_ended, &(message_tunnel_ended_t){ROUTE});
    driver_send(driver, "b", tunnel_ended, &(message_tunnel_ended_t){99});
    assert_int_equal(driver_count(driver, "b", KIND_TUNNEL_ENDED), 0);
    tunnelled_ping(driver, "b");
    (void)take_tunnelled(driver, "b", ROUTE, KIND_WHO);
    driver_close(&driver);
}

static void the_carrier_is_told_that_a_silent_client_was_given_up(void **state)
{
    (void)state;
    static const char *const alive[] = {"b", NULL};
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    tunnelled_client(driver, "b", ROUTE);
    driver_pass_alive(driver, 11000, alive);
    const message_tunnel_ended_t *ended =
        &driver_take(driver, "b", KIND_TUNNEL_ENDED)->as.tunnel_ended;
    assert_int_equal(ended->route, ROUTE);
    driver_close(&driver);
}

/* Frames for a client wait while the broker that carries them takes none; beyond the bound the
 * client is given up, and the broker's own connection stays. */
static void a_client_that_does_not_read_is_given_up(void **state)
{
    (void)state;
    router_config_t config;
    driver_config(&config);
    config.memory_bytes_max = 4 << 20;
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    broker_credential_t left = driver_credential(OTHER);
    router_members(driver->router, &left, 1, driver->now_ms);
    join(driver, "b", OTHER);
    tunnelled_client(driver, "b", ROUTE);
    strcpy(driver->full, "b");
    message_query_t query = {.sequence = 5, .name = fabric_bytes_of("status")};
    for (int i = 0; i < 20000 && driver_counters(driver).overflowed == 0; i++) {
        tunnel(driver, "b", ROUTE, query, &query);
        driver_pass(driver, i % 256 == 0 ? 10 : 0);
    }
    assert_true(driver_counters(driver).overflowed > 0);
    driver->full[0] = '\0';
    driver_pass(driver, 100);
    driver_take(driver, "b", KIND_TUNNEL_ENDED);
    driver_forget(driver);
    driver_ping(driver, "b");
    driver_take(driver, "b", KIND_PONG);
    driver_close(&driver);
}

/* ---- what brokers tell ---- */

static uint64_t next_id(driver_t *driver, uint64_t sequence)
{
    driver_ask(driver, "c", sequence, "e1", REQUEST_DURABLE | REQUEST_WANT_ACCEPTED);
    driver_commit(driver);
    return driver_take(driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
}

static void hear_id(driver_t *driver, const char *peer, uint64_t high_id)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, high_id, 0});
    driver_send_bytes(driver, peer, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

static void ids_of_other_brokers_lift_the_ids(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    driver_client(driver, "c", 1);
    uint64_t id = next_id(driver, 1);
    uint64_t near = id + ((uint64_t)900 << 22);
    uint64_t far = id + ((uint64_t)5000 << 22);
    hear_id(driver, "c", near); /* a client lifts nothing */
    assert_true(next_id(driver, 2) < near);
    driver_broker_hello_with(driver, "x", OTHER, 9, fabric_bytes(NULL, 0));
    hear_id(driver, "x", near); /* neither does who only claims to be a broker */
    assert_true(next_id(driver, 3) < near);
    hear_id(driver, "b", near);
    assert_true(next_id(driver, 4) > near);
    hear_id(driver, "b", far);
    assert_true(next_id(driver, 5) < far);
    driver_close(&driver);
}

static void what_brokers_tell_becomes_orders(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    driver_send(driver, "b", broker_state, &(message_broker_state_t){1});
    driver_send(driver, "b", owners, &(message_owners_t){fabric_bytes_of("owners")});
    const router_order_t *order = find_order(driver, ROUTER_BROKER_STATE);
    assert_non_null(order);
    assert_true(order->draining && order->broker.bytes[0] == OTHER);
    order = find_order(driver, ROUTER_OWNERS);
    assert_non_null(order);
    assert_int_equal(order->owners_size, 6);
    assert_memory_equal(order->owners, "owners", 6);
    uint64_t malformed = driver_counters(driver).malformed;
    driver_send(driver, "b", broker_state, &(message_broker_state_t){2});
    assert_int_equal(driver_counters(driver).malformed, malformed + 1);
    driver_client(driver, "c", 1);
    driver_send(driver, "c", broker_state, &(message_broker_state_t){1}); /* only brokers do */
    assert_int_equal(driver_counters(driver).malformed, malformed + 2);
    driver_close(&driver);
}

/* ---- relays ---- */

static void frames_of_clients_are_relayed(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    driver_client(driver, "c", 1);
    incarnation_t other = driver_incarnation(OTHER);
    fabric_bytes_t broker = fabric_bytes(other.bytes, sizeof other.bytes);
    message_relay_t message = {broker, fabric_bytes_of("inner")};
    driver_send(driver, "c", relay, &message);
    router_relay_t relay;
    assert_true(router_next_relay(driver->router, &relay));
    assert_true(incarnation_equal(relay.broker, other));
    assert_int_equal(relay.frame.size, 5);
    assert_false(router_next_relay(driver->router, &relay));
    router_relayed(driver->router, relay.origin, other, fabric_bytes_of("answer"));
    router_relay_ended(driver->router, relay.origin, other, FABRIC_ERROR_NOT_CONNECTED, "gone");
    driver_pull(driver);
    const message_relayed_t *relayed = &driver_take(driver, "c", KIND_RELAYED)->as.relayed;
    assert_true(fabric_bytes_equal(relayed->broker, broker));
    assert_true(fabric_bytes_equal(relayed->frame, fabric_bytes_of("answer")));
    const message_relay_ended_t *ended =
        &driver_take(driver, "c", KIND_RELAY_ENDED)->as.relay_ended;
    assert_int_equal(ended->error, FABRIC_ERROR_NOT_CONNECTED);
    uint64_t origin;
    assert_false(router_next_gone(driver->router, &origin));
    driver_pass(driver, 11000); /* the client is silent */
    assert_true(router_next_gone(driver->router, &origin));
    assert_int_equal(origin, relay.origin);
    assert_false(router_next_gone(driver->router, &origin));
    router_relayed(driver->router, origin, other, fabric_bytes_of("late"));
    driver_close(&driver);
}

static void a_relay_is_no_way_to_a_third_broker(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    tunnelled_client(driver, "b", ROUTE);
    incarnation_t third = driver_incarnation(THIRD);
    message_relay_t relay = {fabric_bytes(third.bytes, 16), fabric_bytes_of("inner")};
    tunnel(driver, "b", ROUTE, relay, &relay);
    router_relay_t taken;
    assert_false(router_next_relay(driver->router, &taken));
    (void)take_tunnelled(driver, "b", ROUTE, KIND_RELAY_ENDED);
    driver_client(driver, "c", 1);
    message_relay_t nowhere = {fabric_bytes_of("short"), fabric_bytes_of("inner")};
    driver_send(driver, "c", relay, &nowhere);
    driver_take(driver, "c", KIND_RELAY_ENDED);
    driver_send(driver, "x", relay, &relay); /* it has not said hello */
    driver_take(driver, "x", KIND_WHO);
    assert_false(router_next_relay(driver->router, &taken));
    driver_close(&driver);
}

/* ---- random bytes ---- */

static void no_bytes_in_a_tunnel_do_harm(void **state)
{
    (void)state;
    driver_t *driver = open_with_members();
    join(driver, "b", OTHER);
    uint8_t bytes[300];
    for (int i = 0; i < 3000; i++) {
        wire_writer_t frame = {0};
        frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
        random_bytes(bytes, sizeof bytes);
        wire_put_bin(&frame, fabric_bytes(bytes, bytes[0]));
        wire_append(&frame, bytes, bytes[1]);
        size_t cut = i % 2 ? frame.size : bytes[2] % frame.size;
        tunnel_bytes(driver, "b", bytes[3] % 4, fabric_bytes(frame.data, cut));
        wire_writer_destroy(&frame);
        if (i % 100 == 0) {
            driver_pass(driver, 10);
            driver_forget(driver);
        }
    }
    driver_ping(driver, "b");
    driver_take(driver, "b", KIND_PONG);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_members_are_welcomed),
        cmocka_unit_test(a_broker_has_to_prove_its_membership),
        cmocka_unit_test(a_member_without_a_secret_is_refused),
        cmocka_unit_test(a_hello_cannot_be_replayed),
        cmocka_unit_test(a_broker_that_is_no_member_any_more_is_asked_who_it_is),
        cmocka_unit_test(the_newest_connection_of_a_broker_counts),
        cmocka_unit_test(only_clients_come_by_way_of_brokers),
        cmocka_unit_test(a_silent_broker_is_given_up),
        cmocka_unit_test(calls_of_a_tunnelled_client_are_answered),
        cmocka_unit_test(a_client_may_come_by_another_way),
        cmocka_unit_test(the_end_of_a_route_ends_its_peer),
        cmocka_unit_test(the_carrier_is_told_that_a_silent_client_was_given_up),
        cmocka_unit_test(a_client_that_does_not_read_is_given_up),
        cmocka_unit_test(ids_of_other_brokers_lift_the_ids),
        cmocka_unit_test(what_brokers_tell_becomes_orders),
        cmocka_unit_test(frames_of_clients_are_relayed),
        cmocka_unit_test(a_relay_is_no_way_to_a_third_broker),
        cmocka_unit_test(no_bytes_in_a_tunnel_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
