/* The mesh's core: links to other brokers, routes of clients through them, and maps. */
#include "tests/unit/mesh_script.h"

/* ---- links ---- */

static void links_follow_the_members(void **state)
{
    script_t *s = *state;
    uint32_t link;
    mesh_socket_t action;
    uint32_t other = opened(s, OTHER);
    uint32_t third = opened(s, THIRD);
    assert_false(wants_socket(s)); /* none to itself */
    map_broker_t left = broker_of(THIRD);
    mesh_set_members(s->mesh, &left, 1);
    assert_true(mesh_next_socket(s->mesh, &link, &action));
    assert_int_equal(link, other);
    assert_int_equal(action, MESH_SOCKET_CLOSE);
    mesh_connected(s->mesh, other, s->now_ms); /* too late */
    assert_int_equal(pull(s, other, KIND_HELLO, NULL), 0);
    welcome(s, third, THIRD);
}

static void all_brokers_may_be_replaced_at_once(void **state)
{
    enum { OTHERS = MESH_LINKS_MAX - 1 };
    script_t *s = *state;
    uint32_t link;
    mesh_socket_t action;
    map_broker_t brokers[OTHERS];
    for (uint8_t turn = 0; turn < 3; turn++) {
        size_t opened_count = 0;
        for (uint8_t i = 0; i < OTHERS; i++) {
            brokers[i] = broker_of((uint8_t)(1 + i + (turn % 2) * OTHERS));
        }
        mesh_set_members(s->mesh, brokers, OTHERS);
        while (mesh_next_socket(s->mesh, &link, &action)) {
            opened_count += action == MESH_SOCKET_OPEN;
        }
        assert_int_equal(opened_count, OTHERS);
    }
}

static void brokers_beyond_the_machine_need_leave(void **state)
{
    script_t *s = *state;
    map_broker_t far = {.incarnation = {{0xf0}}, .router_endpoint = "tcp://192.0.2.1:1"};
    mesh_set_members(s->mesh, &far, 1);
    expect(s, MESH_PLAINTEXT);
    uint32_t link;
    mesh_socket_t action;
    while (mesh_next_socket(s->mesh, &link, &action)) {
        assert_int_equal(action, MESH_SOCKET_CLOSE);
    }
}

static bool proves(const message_hello_t *hello, uint8_t receiver)
{
    return broker_proof_holds(&self, (incarnation_t){{receiver}}, hello->connection, hello->proof);
}

static void only_a_hello_is_said_before_the_welcome(void **state)
{
    script_t *s = *state;
    uint32_t link = opened(s, OTHER);
    uint64_t first = connect(s, link);
    relay(s, ORIGIN, OTHER, "early");
    assert_int_equal(expect(s, MESH_RELAY_ENDED)->origin, ORIGIN);
    pass(s, 900);
    assert_int_equal(pull(s, link, KIND_PING, NULL), 0);
    pass(s, 200); /* no answer: hello is said again */
    message_hello_t hello = pull_hello(s, link);
    assert_true(hello.connection > first);
    assert_true(proves(&hello, OTHER));
    assert_false(proves(&hello, THIRD));
    put_welcome(s, OTHER, first); /* the answer to the first one */
    deliver(s, link);
    expect_nothing(s);
    put_welcome(s, OTHER, hello.connection);
    deliver(s, link);
    expect(s, MESH_REACHED);
    expect_nothing(s);
}

static void another_broker_at_the_endpoint_is_no_link(void **state)
{
    script_t *s = *state;
    uint32_t link = opened(s, OTHER), told = 0;
    for (int i = 0; i < 100; i++) { /* at 5 hellos a second, told every 10 s */
        put_welcome(s, 0xee, connect(s, link));
        deliver(s, link);
        while (mesh_next_event(s->mesh, &s->event)) {
            told += s->event.kind == MESH_REFUSED;
        }
    }
    assert_int_equal(told, 2);
    pass(s, 300);
    assert_int_equal(pull(s, link, KIND_HELLO, NULL), 1);
}

static void pings_carry_the_highest_id(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    mesh_note_id(s->mesh, 4711);
    for (int i = 0; i < 4; i++) {
        pass(s, 50);
        assert_int_equal(pull(s, link, KIND_PING, NULL), 1);
        assert_int_equal(s->head.high_id, 4711);
    }
}

static void a_silent_broker_is_connected_anew(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    (void)opened(s, THIRD);
    relay(s, ORIGIN, OTHER, "one");
    (void)route_of(s, link, "one");
    pass(s, LEASE_MS - 100);
    begin(s);
    message_put_pong(&s->in, &(message_pong_t){1, 0, 0});
    deliver(s, link);
    expect_nothing(s);
    (void)pull(s, link, KIND_PING, NULL);
    pass(s, LEASE_MS - 100);
    expect_nothing(s);
    pass(s, 200);
    expect(s, MESH_LOST);
    assert_int_equal(expect(s, MESH_RELAY_ENDED)->origin, ORIGIN);
    assert_int_equal(opened(s, OTHER), link);
}

static void a_socket_that_does_not_connect_is_opened_anew(void **state)
{
    script_t *s = *state;
    uint32_t link = opened(s, OTHER);
    (void)opened(s, THIRD);
    pass(s, 4100);
    assert_int_equal(opened(s, OTHER), link);
}

static void a_broker_that_asks_is_greeted_again(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    relay(s, ORIGIN, OTHER, "one");
    uint64_t before = route_of(s, link, "one");
    begin(s);
    message_put_who(&s->in, &(message_who_t){LIMIT_PROTOCOL_VERSION});
    message_put_tunnel(&s->in, &(message_tunnel_t){before, fabric_bytes_of("late")});
    deliver(s, link);
    expect(s, MESH_LOST);
    assert_int_equal(expect(s, MESH_RELAY_ENDED)->origin, ORIGIN);
    expect_nothing(s);
    assert_int_equal(pull(s, link, KIND_HELLO, NULL), 1);
}

/* The connection broke after the hello, and was made anew. */
static void a_welcome_that_comes_late_is_no_fault(void **state)
{
    script_t *s = *state;
    uint32_t link = opened(s, OTHER);
    uint64_t first = connect(s, link);
    mesh_disconnected(s->mesh, link, s->now_ms);
    welcome(s, link, OTHER);
    put_welcome(s, OTHER, first);
    deliver(s, link);
    expect_nothing(s);
    relay(s, ORIGIN, OTHER, "one");
    (void)route_of(s, link, "one");
}

static void draining_is_told_to_all(void **state)
{
    script_t *s = *state;
    uint32_t other = opened(s, OTHER);
    uint32_t third = opened(s, THIRD);
    welcome(s, other, OTHER);
    wire_reader_t body;
    message_broker_state_t told;
    assert_int_equal(pull(s, other, KIND_BROKER_STATE, &body), 1);
    assert_int_equal(message_get_broker_state(&body, &told), FABRIC_OK);
    assert_int_equal(told.draining, 0);
    mesh_drain(s->mesh);
    assert_int_equal(pull(s, other, KIND_BROKER_STATE, &body), 1);
    assert_int_equal(message_get_broker_state(&body, &told), FABRIC_OK);
    assert_int_equal(told.draining, 1);
    welcome(s, third, THIRD);
    assert_int_equal(pull(s, third, KIND_BROKER_STATE, &body), 1);
    assert_int_equal(message_get_broker_state(&body, &told), FABRIC_OK);
    assert_int_equal(told.draining, 1);
}

static void owners_are_sent_to_a_broker_that_is_reached(void **state)
{
    script_t *s = *state;
    incarnation_t other = {{OTHER}};
    mesh_send_owners(s->mesh, other, fabric_bytes_of("early"));
    uint32_t link = join(s, OTHER);
    assert_int_equal(pull(s, link, KIND_OWNERS, NULL), 0);
    mesh_send_owners(s->mesh, other, fabric_bytes_of("owners"));
    assert_int_equal(pull(s, link, KIND_OWNERS, NULL), 1);
}

/* ---- maps ---- */

static void only_the_holder_of_the_term_sends_maps(void **state)
{
    script_t *s = *state;
    assert_null(mesh_pub_endpoint(s->mesh));
    mesh_set_holder(s->mesh, (incarnation_t){{OTHER}});
    assert_string_equal(mesh_pub_endpoint(s->mesh), broker_of(OTHER).pub_endpoint);
    uint32_t other = opened(s, OTHER);
    uint32_t third = opened(s, THIRD);
    put_welcome(s, OTHER, connect(s, other));
    deliver(s, other);
    bool map = false;
    for (int i = 0; i < 2; i++) {
        assert_true(mesh_next_event(s->mesh, &s->event));
        map |= s->event.kind == MESH_MAP && s->event.bytes.size == 3;
    }
    assert_true(map);
    expect_nothing(s);
    (void)pull(s, other, KIND_PING, NULL);
    welcome(s, third, THIRD);
    begin(s);
    message_put_map(&s->in, &(message_map_t){fabric_bytes_of("delta")});
    deliver(s, third);
    expect_nothing(s);
    deliver(s, other);
    assert_int_equal(expect(s, MESH_MAP)->bytes.size, 5);
    expect_nothing(s);
    mesh_receive_published(s->mesh, wire_writer_bytes(&s->in));
    assert_int_equal(expect(s, MESH_MAP)->bytes.size, 5);
    expect_nothing(s);
}

/* Its welcome brought no map that counted, and what it was told before may be missing there. */
static void who_is_welcomed_before_it_holds_the_term_is_asked_for_its_map(void **state)
{
    script_t *s = *state;
    incarnation_t other = {{OTHER}};
    uint32_t link = join(s, OTHER);
    assert_int_equal(pull(s, link, KIND_MAP_WANTED, NULL), 0);
    mesh_set_holder(s->mesh, other);
    assert_int_equal(pull(s, link, KIND_MAP_WANTED, NULL), 1);
    s->now_ms += 1000;
    mesh_tick(s->mesh, s->now_ms);
    mesh_set_holder(s->mesh, other); /* as before */
    assert_int_equal(pull(s, link, KIND_MAP_WANTED, NULL), 0);
}

static void a_newer_map_is_asked_for(void **state)
{
    script_t *s = *state;
    mesh_set_holder(s->mesh, (incarnation_t){{OTHER}});
    uint32_t link = opened(s, OTHER);
    put_welcome(s, OTHER, connect(s, link));
    deliver(s, link);
    while (mesh_next_event(s->mesh, &s->event)) {
    }
    mesh_note_map(s->mesh, (map_version_t){3, 7});
    (void)pull(s, link, KIND_PING, NULL);
    begin(s);
    message_put_pong(&s->in, &(message_pong_t){1, 3, 7});
    deliver(s, link);
    expect_nothing(s);
    assert_int_equal(pull(s, link, KIND_MAP_WANTED, NULL), 0);
    begin(s);
    message_put_ping(&s->in, &(message_ping_t){1, 3, 8});
    for (int i = 0; i < 5; i++) { /* asked for once in a while */
        mesh_receive_published(s->mesh, wire_writer_bytes(&s->in));
        expect_nothing(s);
    }
    assert_int_equal(pull(s, link, KIND_MAP_WANTED, NULL), 1);
    pass(s, 110);
    mesh_want_map(s->mesh);
    assert_int_equal(pull(s, link, KIND_MAP_WANTED, NULL), 1);
}

/* ---- routes ---- */

static void frames_go_through_routes(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    relay(s, 1, OTHER, "one");
    uint64_t first = route_of(s, link, "one");
    relay(s, 2, OTHER, "two");
    uint64_t second = route_of(s, link, "two");
    assert_true(first != second);
    relay(s, 1, OTHER, "three");
    assert_int_equal(route_of(s, link, "three"), first);
    deliver_tunnel(s, link, second, "answer");
    const mesh_event_t *event = expect(s, MESH_RELAYED);
    assert_int_equal(event->origin, 2);
    assert_int_equal(event->broker.bytes[0], OTHER);
    assert_true(fabric_bytes_equal(event->bytes, fabric_bytes_of("answer")));
    expect_nothing(s);
    deliver_tunnel(s, link, 99, "nobody's");
    expect_nothing(s);
}

static void routes_take_turns(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    char *bulk = calloc(1, 100001);
    assert_non_null(bulk);
    memset(bulk, 'x', 100000);
    for (int i = 0; i < 20; i++) {
        relay(s, 1, OTHER, bulk);
    }
    free(bulk);
    relay(s, 2, OTHER, "short");
    wire_reader_t reader;
    wire_reader_t body;
    size_t before = 0; /* long frames before the short one */
    for (bool found = false; !found; mesh_frame_sent(s->mesh, link)) {
        assert_true(next_frame(s, link, &reader));
        while (frame_next(&reader, &body)) {
            message_kind_t kind;
            message_tunnel_t tunnel;
            assert_int_equal(message_open(&body, &kind), FABRIC_OK);
            assert_int_equal(message_get_tunnel(&body, &tunnel), FABRIC_OK);
            found |= tunnel.frame.size == 5;
            before += tunnel.frame.size > 5;
        }
    }
    assert_in_range(before, 0, 2);
}

static void a_client_that_is_gone_ends_its_route(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    relay(s, ORIGIN, OTHER, "one");
    uint64_t route = route_of(s, link, "one");
    relay(s, ORIGIN, OTHER, "last");
    mesh_forget(s->mesh, ORIGIN);
    wire_reader_t reader;
    wire_reader_t body;
    message_kind_t kind;
    assert_true(next_frame(s, link, &reader)); /* what it sent before leaves before the end */
    assert_true(frame_next(&reader, &body));
    assert_int_equal(message_open(&body, &kind), FABRIC_OK);
    assert_int_equal(kind, KIND_TUNNEL);
    assert_true(frame_next(&reader, &body));
    assert_int_equal(message_open(&body, &kind), FABRIC_OK);
    assert_int_equal(kind, KIND_TUNNEL_ENDED);
    mesh_frame_sent(s->mesh, link);
    deliver_tunnel(s, link, route, "answer");
    expect_nothing(s);
    relay(s, ORIGIN, OTHER, "again");
    assert_true(route_of(s, link, "again") != route);
}

static void the_other_broker_ends_a_route(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    relay(s, ORIGIN, OTHER, "one");
    uint64_t route = route_of(s, link, "one");
    begin(s);
    message_put_tunnel_ended(&s->in, &(message_tunnel_ended_t){route});
    deliver(s, link);
    const mesh_event_t *event = expect(s, MESH_RELAY_ENDED);
    assert_int_equal(event->origin, ORIGIN);
    assert_int_equal(event->error, FABRIC_ERROR_NOT_CONNECTED);
    expect_nothing(s);
    assert_int_equal(pull(s, link, KIND_TUNNEL_ENDED, NULL), 0);
}

static void routes_end_with_their_link(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    relay(s, 1, OTHER, "one");
    relay(s, 2, OTHER, "two");
    mesh_disconnected(s->mesh, link, s->now_ms);
    expect(s, MESH_LOST);
    expect(s, MESH_RELAY_ENDED);
    expect(s, MESH_RELAY_ENDED);
    expect_nothing(s);
    welcome(s, link, OTHER);
    assert_int_equal(pull(s, link, KIND_TUNNEL, NULL), 0); /* nothing of before is sent */
}

enum { BULK_BYTES = 1000000 };

/* The other broker reads nothing from now on. Returns a frame for it. */
static char *block(script_t *s, uint32_t link)
{
    fabric_bytes_t frame;
    uint32_t taken;
    char *bulk = calloc(1, BULK_BYTES + 1);
    assert_non_null(bulk);
    memset(bulk, 'x', BULK_BYTES);
    relay(s, 2, OTHER, "small");
    assert_true(mesh_next_frame(s->mesh, &taken, &frame));
    mesh_frame_blocked(s->mesh, link);
    assert_false(mesh_next_frame(s->mesh, &taken, &frame));
    return bulk;
}

static void a_route_that_overflows_ends(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    char *bulk = block(s, link);
    size_t taken_in = 0;
    while (!mesh_next_event(s->mesh, &s->event)) {
        relay(s, 1, OTHER, bulk);
        assert_in_range(++taken_in, 1, 20);
    }
    free(bulk);
    assert_int_equal(s->event.kind, MESH_RELAY_ENDED);
    assert_int_equal(s->event.error, FABRIC_ERROR_BUSY);
    assert_int_equal(s->event.origin, 1);
    relay(s, 2, OTHER, "more");
    mesh_writable(s->mesh, link);
    assert_int_equal(pull(s, link, KIND_TUNNEL, NULL), 2); /* of the other client */
    expect_nothing(s);
}

/* Else what is to be said of brokers and owners would heap up without a bound. */
static void a_broker_that_takes_nothing_for_a_lease_is_left(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    free(block(s, link));
    for (unsigned half = 0; half < 2; half++) {
        pass(s, LEASE_MS / 2 - 50);
        begin(s); /* it is heard of, nevertheless */
        message_put_pong(&s->in, &(message_pong_t){0});
        deliver(s, link);
        expect_nothing(s);
    }
    pass(s, 100);
    expect(s, MESH_LOST);
    expect(s, MESH_RELAY_ENDED);
    assert_int_equal(opened(s, OTHER), link);
}

/* Clients come, send 10 MB, and go. */
static void what_clients_leave_behind_is_bounded(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    char *bulk = block(s, link);
    for (uint64_t i = 0; i < 120; i++) {
        relay(s, 100 + i / 10, OTHER, bulk);
        if (i % 10 == 9) {
            mesh_forget(s->mesh, 100 + i / 10);
        }
    }
    free(bulk);
    mesh_writable(s->mesh, link);
    assert_in_range(pull(s, link, KIND_TUNNEL, NULL), 50, 80);
    expect_nothing(s);
}

/* ---- outgoing messages ---- */

static bool send_outgoing(script_t *s, uint64_t sequence, size_t size)
{
    static const uint8_t payload[LIMIT_PAYLOAD_BYTES_MAX];
    message_outgoing_t message = {
        .source = 77, .sequence = sequence, .payload = fabric_bytes(payload, size)};
    return mesh_send_outgoing(s->mesh, (incarnation_t){{OTHER}}, &message);
}

static void outgoing_messages_are_sent_to_a_broker_that_is_reached(void **state)
{
    script_t *s = *state;
    wire_reader_t body;
    message_outgoing_t last;
    assert_false(send_outgoing(s, 1, 10));
    uint32_t link = join(s, OTHER);
    assert_true(send_outgoing(s, 2, 10));
    assert_true(send_outgoing(s, 3, LIMIT_PAYLOAD_BYTES_MAX));
    assert_true(send_outgoing(s, 4, 10));
    assert_int_equal(pull(s, link, KIND_OUTGOING, &body), 3);
    assert_int_equal(message_get_outgoing(&body, &last), FABRIC_OK);
    assert_int_equal(last.sequence, 4);
    assert_int_equal(last.source, 77);
    assert_true(send_outgoing(s, 5, 10));
    mesh_disconnected(s->mesh, link, s->now_ms);
    expect(s, MESH_LOST);
    assert_false(send_outgoing(s, 6, 10));
    welcome(s, link, OTHER);
    assert_int_equal(pull(s, link, KIND_OUTGOING, NULL), 0); /* nothing of before is sent */
    assert_true(send_outgoing(s, 7, 10));
    map_broker_t left = broker_of(THIRD);
    mesh_set_members(s->mesh, &left, 1);
    assert_int_equal(expect(s, MESH_LOST)->broker.bytes[0], OTHER); /* what was taken is dropped */
    expect_nothing(s);
}

static void outgoing_messages_that_wait_are_bounded(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    free(block(s, link));
    uint64_t taken = 0;
    while (send_outgoing(s, taken + 1, LIMIT_PAYLOAD_BYTES_MAX)) {
        assert_in_range(++taken, 1, 20);
    }
    assert_in_range(taken, 10, 20);
    mesh_writable(s->mesh, link);
    relay(s, 3, OTHER, "between");
    uint32_t sent;
    fabric_bytes_t frame;
    for (unsigned i = 0; i < 3; i++) { /* what a route has does not wait for all of them */
        assert_true(mesh_next_frame(s->mesh, &sent, &frame));
        if (memmem(frame.data, frame.size, "between", 7)) {
            break;
        }
        assert_in_range(i, 0, 1);
        mesh_frame_sent(s->mesh, link);
    }
    assert_in_range(pull(s, link, KIND_OUTGOING, NULL), 8, taken);
    assert_true(send_outgoing(s, taken + 1, LIMIT_PAYLOAD_BYTES_MAX));
}

static void answers_to_outgoing_messages_are_told(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    begin(s);
    message_outgoing_answer_t answer = {.source = 77, .sequence = 2, .request_id = 4711};
    message_put_outgoing_answer(&s->in, &answer);
    answer = (message_outgoing_answer_t){
        .source = 77, .sequence = 3, .error = FABRIC_ERROR_BUSY, .retry_after_ms = 50};
    message_put_outgoing_answer(&s->in, &answer);
    deliver(s, link);
    const mesh_event_t *event = expect(s, MESH_OUTGOING_ANSWER);
    assert_true(incarnation_equal(event->broker, (incarnation_t){{OTHER}}));
    assert_int_equal(event->answer.source, 77);
    assert_int_equal(event->answer.sequence, 2);
    assert_int_equal(event->answer.error, FABRIC_OK);
    assert_int_equal(event->answer.request_id, 4711);
    event = expect(s, MESH_OUTGOING_ANSWER);
    assert_int_equal(event->answer.sequence, 3);
    assert_int_equal(event->answer.error, FABRIC_ERROR_BUSY);
    assert_int_equal(event->answer.retry_after_ms, 50);
    expect_nothing(s);
}

/* ---- random bytes ---- */

static void no_bytes_do_harm(void **state)
{
    script_t *s = *state;
    uint32_t link = join(s, OTHER);
    uint8_t bytes[200];
    for (int i = 0; i < 20000; i++) {
        begin(s);
        random_bytes(bytes, sizeof bytes);
        message_put_tunnel(&s->in, &(message_tunnel_t){1, fabric_bytes(bytes, bytes[0] % 50)});
        s->in.data[bytes[1] % s->in.size] ^= bytes[2];
        wire_append(&s->in, bytes, bytes[3] % 20);
        deliver(s, link);
        while (mesh_next_event(s->mesh, &s->event)) {
        }
        if (i % 1000 == 0) {
            relay(s, ORIGIN, OTHER, "one");
            pass(s, 10);
            (void)pull(s, link, KIND_PING, NULL);
        }
    }
    mesh_unreadable(s->mesh, link, s->now_ms);
    mesh_receive(s->mesh, link, fabric_bytes_of("old"), s->now_ms);
    while (mesh_next_event(s->mesh, &s->event)) {
    }
    assert_int_equal(opened(s, OTHER), link);
}

#define MESH_TEST(name) cmocka_unit_test_setup_teardown(name, open_script, close_script)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MESH_TEST(links_follow_the_members),
        MESH_TEST(all_brokers_may_be_replaced_at_once),
        MESH_TEST(brokers_beyond_the_machine_need_leave),
        MESH_TEST(only_a_hello_is_said_before_the_welcome),
        MESH_TEST(another_broker_at_the_endpoint_is_no_link),
        MESH_TEST(pings_carry_the_highest_id),
        MESH_TEST(a_silent_broker_is_connected_anew),
        MESH_TEST(a_socket_that_does_not_connect_is_opened_anew),
        MESH_TEST(a_broker_that_asks_is_greeted_again),
        MESH_TEST(a_welcome_that_comes_late_is_no_fault),
        MESH_TEST(draining_is_told_to_all),
        MESH_TEST(owners_are_sent_to_a_broker_that_is_reached),
        MESH_TEST(only_the_holder_of_the_term_sends_maps),
        MESH_TEST(who_is_welcomed_before_it_holds_the_term_is_asked_for_its_map),
        MESH_TEST(a_newer_map_is_asked_for),
        MESH_TEST(frames_go_through_routes),
        MESH_TEST(routes_take_turns),
        MESH_TEST(a_client_that_is_gone_ends_its_route),
        MESH_TEST(the_other_broker_ends_a_route),
        MESH_TEST(routes_end_with_their_link),
        MESH_TEST(a_route_that_overflows_ends),
        MESH_TEST(a_broker_that_takes_nothing_for_a_lease_is_left),
        MESH_TEST(what_clients_leave_behind_is_bounded),
        MESH_TEST(outgoing_messages_are_sent_to_a_broker_that_is_reached),
        MESH_TEST(outgoing_messages_that_wait_are_bounded),
        MESH_TEST(answers_to_outgoing_messages_are_told),
        MESH_TEST(no_bytes_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
