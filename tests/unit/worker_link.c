/* The worker's link: hello, tokens, release, reconnects, leases, leaving, bad bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "worker/link.h"

#define SHARD 0x10003u

typedef struct fixture {
    link_t *link;
    uint64_t now_ms;
    wire_writer_t frame; /* the last one pulled */
    wire_reader_t messages;
    wire_reader_t body;
    uint64_t connection; /* of the last hello that was seen */
} fixture_t;

static const link_config_t config = {
    .incarnation = {{1, 2, 3}},
    .name = {(const uint8_t *)"w", 1},
    .types = {(const uint8_t *)"\x90", 1},
    .weight = 100,
    .window = 64,
    .grace_ms = 500,
    .executors = 2,
};

static int setup(void **state)
{
    fixture_t *f = (fixture_t *)calloc(1, sizeof *f);
    f->now_ms = 1000;
    f->link = link_new(&config, f->now_ms);
    assert_int_equal(link_add_endpoint(f->link, "tcp://127.0.0.1:1"), FABRIC_OK);
    uint32_t endpoint;
    link_socket_t action;
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(action, LINK_SOCKET_OPEN);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    link_destroy(&f->link);
    wire_writer_destroy(&f->frame);
    free(f);
    return 0;
}

/* ---- what the link says ---- */

/* The next message to an endpoint other than PING; false: none. */
static bool next_message(fixture_t *f, uint32_t endpoint, message_kind_t *kind)
{
    for (;;) {
        while (frame_next(&f->messages, &f->body)) {
            assert_int_equal(message_open(&f->body, kind), FABRIC_OK);
            if (*kind != KIND_PING) {
                return true;
            }
        }
        if (!link_next_frame(f->link, endpoint, &f->frame)) {
            f->messages = (wire_reader_t){0};
            return false;
        }
        frame_head_t head;
        assert_int_equal(frame_open(wire_writer_bytes(&f->frame), &f->messages, &head), FABRIC_OK);
    }
}

static void expect_kind(fixture_t *f, uint32_t endpoint, message_kind_t expected)
{
    message_kind_t kind = 0;
    assert_true(next_message(f, endpoint, &kind));
    assert_int_equal(kind, expected);
}

static void expect_silence(fixture_t *f, uint32_t endpoint)
{
    message_kind_t kind = 0;
    assert_false(next_message(f, endpoint, &kind));
}

static void expect_hello(fixture_t *f, uint32_t endpoint)
{
    message_hello_t hello;
    expect_kind(f, endpoint, KIND_HELLO);
    assert_int_equal(message_get_hello(&f->body, &hello), FABRIC_OK);
    assert_int_equal(hello.role, ROLE_WORKER);
    assert_int_equal(hello.window, 64);
    assert_true(hello.connection > f->connection);
    f->connection = hello.connection;
    expect_silence(f, endpoint);
}

static void expect_not_taken(fixture_t *f, uint64_t request_id)
{
    message_result_t result;
    expect_kind(f, 0, KIND_RESULT);
    assert_int_equal(message_get_result(&f->body, &result), FABRIC_OK);
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.status, STATUS_NOT_TAKEN);
    assert_int_equal(result.error, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
}

static void expect_released(fixture_t *f, uint64_t owner_sequence)
{
    message_released_t released;
    expect_kind(f, 0, KIND_RELEASED);
    assert_int_equal(message_get_released(&f->body, &released), FABRIC_OK);
    assert_int_equal(released.shard, SHARD);
    assert_int_equal(released.owner_sequence, owner_sequence);
}

static bool expect_event(fixture_t *f, link_event_kind_t kind, fabric_error_t error)
{
    link_event_t event;
    while (link_next_event(f->link, &event)) {
        if (event.kind == kind) {
            assert_int_equal(event.error, error);
            return true;
        }
    }
    return false;
}

/* ---- what brokers say ---- */

#define SAY(f, endpoint, kind, ...)                                                                \
    do {                                                                                           \
        wire_writer_t frame_ = {0};                                                                \
        frame_head_t head_ = {.version = LIMIT_PROTOCOL_VERSION};                                  \
        message_##kind##_t message_ = {__VA_ARGS__};                                               \
        frame_begin(&frame_, &head_);                                                              \
        message_put_##kind(&frame_, &message_);                                                    \
        link_receive((f)->link, (endpoint), wire_writer_bytes(&frame_), (f)->now_ms);              \
        wire_writer_destroy(&frame_);                                                              \
    } while (0)

static void say_welcome_as(fixture_t *f, uint32_t endpoint, uint8_t broker, uint8_t cluster,
                           uint64_t connection)
{
    uint8_t broker_id[16] = {broker};
    uint8_t cluster_id[16] = {cluster};
    shard_map_t *map = shard_map_new();
    wire_writer_t snapshot = {0};
    shard_map_set_shards_per_group(map, 300);
    shard_map_begin_term(map, 1);
    shard_map_encode_snapshot(map, &snapshot);
    SAY(f, endpoint, welcome, .protocol = 1, .cluster_id = fabric_bytes(cluster_id, 16),
        .cluster_name = fabric_bytes_of("c"), .broker = fabric_bytes(broker_id, 16),
        .connection = connection, .shards_per_group = 300, .lease_ms = 3000, .heartbeat_ms = 50,
        .map = wire_writer_bytes(&snapshot));
    wire_writer_destroy(&snapshot);
    shard_map_destroy(&map);
}

static void connect_and_welcome(fixture_t *f, uint32_t endpoint, uint8_t broker)
{
    link_connected(f->link, endpoint, f->now_ms);
    expect_hello(f, endpoint);
    say_welcome_as(f, endpoint, broker, 1, f->connection);
    assert_true(expect_event(f, LINK_EVENT_WELCOMED, FABRIC_OK));
}

static void say_assign(fixture_t *f, uint32_t endpoint, uint64_t epoch, uint64_t owner_sequence)
{
    SAY(f, endpoint, assign, .shard = SHARD, .home_epoch = epoch, .owner_sequence = owner_sequence);
}

static void say_deliver(fixture_t *f, uint64_t owner_sequence, uint64_t request_id)
{
    SAY(f, 0, deliver, .shard = SHARD, .home_epoch = 1, .owner_sequence = owner_sequence,
        .activation = 1, .request_id = request_id, .delivery = 1, .attempt = 1,
        .flags = REQUEST_DURABLE, .type = fabric_bytes_of("T"), .id = fabric_bytes_of("i"),
        .tag = fabric_bytes_of("M"), .payload = fabric_bytes_of("payload"));
}

static void say_ping(fixture_t *f)
{
    SAY(f, 0, ping, .sequence = 1, .map_term = 1, .map_sequence = 1);
}

static void expect_work(fixture_t *f, work_kind_t kind, uint64_t owner_sequence)
{
    work_t *work = link_next_work(f->link);
    assert_non_null(work);
    assert_int_equal(work->kind, kind);
    if (kind == WORK_DELIVERIES) {
        assert_true(fabric_bytes_equal(work->deliveries[0].payload, fabric_bytes_of("payload")));
    } else {
        assert_int_equal(work->shard.value, SHARD);
        assert_int_equal(work->token.owner_sequence, owner_sequence);
    }
    work_destroy(&work);
}

static void give_stopped(fixture_t *f, uint64_t connection, uint64_t owner_sequence)
{
    work_output_t *output = work_output_new(OUTPUT_STOPPED, (work_source_t){0, connection});
    output->shard = (shard_id_t){SHARD};
    output->token = (token_t){1, owner_sequence};
    link_output(f->link, &output);
}

static void give_result(fixture_t *f, uint64_t connection, uint64_t request_id)
{
    work_output_t *output = work_output_new(OUTPUT_RESULTS, (work_source_t){0, connection});
    message_result_t result = {.shard = SHARD, .request_id = request_id};
    message_put_result(&output->results, &result);
    link_output(f->link, &output);
}

/* ---- tests ---- */

static void says_nothing_but_hello_before_welcome(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    expect_silence(f, 0);
    link_connected(f->link, 0, f->now_ms);
    expect_hello(f, 0);
    say_assign(f, 0, 1, 1); /* not before the welcome */
    say_deliver(f, 1, 5);
    f->now_ms += 200;
    link_tick(f->link, f->now_ms);
    expect_silence(f, 0);
    assert_null(link_next_work(f->link));
    say_welcome_as(f, 0, 1, 1, f->connection + 1); /* answers no hello of ours */
    assert_false(expect_event(f, LINK_EVENT_WELCOMED, FABRIC_OK));
    say_welcome_as(f, 0, 1, 1, f->connection);
    assert_true(expect_event(f, LINK_EVENT_WELCOMED, FABRIC_OK));
}

static void unanswered_hello_is_said_again(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint32_t endpoint;
    link_socket_t action;
    link_connected(f->link, 0, f->now_ms);
    expect_hello(f, 0);
    for (int i = 0; i < 4; i++) {
        f->now_ms = link_next_deadline(f->link);
        link_tick(f->link, f->now_ms);
        expect_hello(f, 0);
        expect_event(f, LINK_EVENT_ABSENT, FABRIC_ERROR_NOT_CONNECTED);
    }
    f->now_ms = link_next_deadline(f->link);
    link_tick(f->link, f->now_ms);
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(action, LINK_SOCKET_REOPEN);
}

static void absence_is_said_once(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    link_event_t event;
    f->now_ms = link_next_deadline(f->link);
    link_tick(f->link, f->now_ms);
    assert_true(link_next_event(f->link, &event));
    assert_int_equal(event.kind, LINK_EVENT_ABSENT);
    f->now_ms += 100000;
    link_tick(f->link, f->now_ms);
    assert_false(link_next_event(f->link, &event));
}

static void tokens(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    say_deliver(f, 2, 10); /* nothing assigned yet */
    expect_not_taken(f, 10);
    say_assign(f, 0, 1, 2);
    expect_work(f, WORK_BEGIN, 2);
    assert_int_equal(link_shards(f->link), 1);
    say_assign(f, 0, 1, 2); /* again */
    say_assign(f, 0, 1, 1); /* older */
    assert_null(link_next_work(f->link));
    say_deliver(f, 1, 11);
    expect_not_taken(f, 11);
    say_deliver(f, 3, 12);
    expect_not_taken(f, 12);
    say_deliver(f, 2, 13);
    expect_work(f, WORK_DELIVERIES, 0);
    say_assign(f, 0, 1, 3);
    expect_work(f, WORK_STOP, 2);
    expect_work(f, WORK_BEGIN, 3);
    assert_int_equal(link_shards(f->link), 1);
    SAY(f, 0, assign, .shard = 0x1ffffu, .home_epoch = 1,
        .owner_sequence = 1); /* number too large */
    SAY(f, 0, assign, .shard = UINT64_MAX, .home_epoch = 1, .owner_sequence = 1);
    assert_true(expect_event(f, LINK_EVENT_MALFORMED, FABRIC_ERROR_INVALID_ARGUMENT));
    assert_int_equal(link_shards(f->link), 1);
    expect_silence(f, 0);
}

static void release(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    message_result_t result;
    connect_and_welcome(f, 0, 1);
    say_assign(f, 0, 1, 1);
    expect_work(f, WORK_BEGIN, 1);
    SAY(f, 0, release, .shard = SHARD, .home_epoch = 1, .owner_sequence = 9, .grace_ms = 1);
    expect_released(f, 9); /* not held: nothing to wait for */
    SAY(f, 0, release, .shard = SHARD, .home_epoch = 1, .owner_sequence = 1, .grace_ms = 700);
    work_t *work = link_next_work(f->link);
    assert_int_equal(work->kind, WORK_STOP);
    assert_int_equal(work->deadline_ms, f->now_ms + 700);
    work_destroy(&work);
    expect_silence(f, 0); /* until the executor confirms */
    give_result(f, f->connection, 77);
    give_stopped(f, f->connection, 1);
    expect_kind(f, 0, KIND_RESULT);
    assert_int_equal(message_get_result(&f->body, &result), FABRIC_OK);
    assert_int_equal(result.request_id, 77);
    expect_released(f, 1);
    assert_int_equal(link_shards(f->link), 0);
    say_deliver(f, 1, 14);
    expect_not_taken(f, 14);
    say_assign(f, 0, 1, 1); /* late, of the token that was given back */
    assert_int_equal(link_shards(f->link), 0);
}

static void reconnect_loses_the_shards(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    uint64_t old_connection = f->connection;
    say_assign(f, 0, 1, 1);
    expect_work(f, WORK_BEGIN, 1);
    link_disconnected(f->link, 0, f->now_ms);
    assert_true(expect_event(f, LINK_EVENT_DISCONNECTED, FABRIC_OK));
    expect_work(f, WORK_STOP, 1);
    assert_int_equal(link_shards(f->link), 0);
    give_result(f, old_connection, 5);
    connect_and_welcome(f, 0, 1);
    give_result(f, old_connection, 6); /* of the broken connection */
    give_stopped(f, old_connection, 1);
    expect_silence(f, 0);
    say_assign(f, 0, 1, 2);
    expect_work(f, WORK_BEGIN, 2);
    give_result(f, f->connection, 7);
    expect_kind(f, 0, KIND_RESULT);
}

static void who_means_hello_again(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    say_assign(f, 0, 1, 1);
    expect_work(f, WORK_BEGIN, 1);
    SAY(f, 0, who, .protocol = 1);
    expect_work(f, WORK_STOP, 1);
    expect_hello(f, 0);
    SAY(f, 0, who, .protocol = 1); /* one answer is enough */
    expect_silence(f, 0);
}

static void lease(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint32_t endpoint;
    link_socket_t action;
    connect_and_welcome(f, 0, 1);
    say_assign(f, 0, 1, 1);
    work_t *work = link_next_work(f->link);
    const work_lease_t *lease_of = work->lease;
    assert_int_equal(atomic_load(&lease_of->start_until_ms), f->now_ms + 1500);
    work_destroy(&work);
    f->now_ms += 1000;
    say_ping(f);
    assert_int_equal(atomic_load(&lease_of->start_until_ms), f->now_ms + 1500);
    f->now_ms += 2999;
    link_tick(f->link, f->now_ms);
    assert_int_equal(link_shards(f->link), 1);
    f->now_ms += 1;
    link_tick(f->link, f->now_ms);
    assert_int_equal(link_shards(f->link), 0);
    assert_true(expect_event(f, LINK_EVENT_SILENT, FABRIC_OK));
    expect_work(f, WORK_STOP, 1);
    assert_int_equal(atomic_load(&lease_of->start_until_ms), 0);
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(action, LINK_SOCKET_REOPEN);
}

static void frames_found_after_a_freeze_renew_nothing(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    say_assign(f, 0, 1, 1);
    expect_work(f, WORK_BEGIN, 1);
    f->now_ms += 5000;
    say_deliver(f, 1, 20);
    expect_work(f, WORK_STOP, 1);
    assert_null(link_next_work(f->link));
    assert_int_equal(link_shards(f->link), 0);
}

static void heartbeats(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    link_tick(f->link, f->now_ms);
    wire_writer_t frame = {0};
    assert_true(link_next_frame(f->link, 0, &frame));
    assert_int_equal(link_next_deadline(f->link), f->now_ms + 50);
    link_tick(f->link, f->now_ms + 49);
    assert_false(link_next_frame(f->link, 0, &frame));
    link_tick(f->link, f->now_ms + 50);
    assert_true(link_next_frame(f->link, 0, &frame));
    wire_writer_destroy(&frame);
    SAY(f, 0, ping, .sequence = 1, .map_term = 1, .map_sequence = 9); /* a newer map */
    expect_kind(f, 0, KIND_MAP_WANTED);
    SAY(f, 0, ping, .sequence = 2, .map_term = 1, .map_sequence = 9); /* asked for already */
    expect_silence(f, 0);
}

static void leaving(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    say_assign(f, 0, 1, 1);
    expect_work(f, WORK_BEGIN, 1);
    assert_false(link_left(f->link, f->now_ms));
    link_leave(f->link, fabric_bytes_of("test"), f->now_ms);
    expect_kind(f, 0, KIND_BYE);
    assert_false(link_left(f->link, f->now_ms));
    SAY(f, 0, release, .shard = SHARD, .home_epoch = 1, .owner_sequence = 1, .grace_ms = 500);
    expect_work(f, WORK_STOP, 1);
    give_stopped(f, f->connection, 1);
    expect_released(f, 1);
    SAY(f, 0, bye, .reason = fabric_bytes_of("bye"));
    assert_true(link_left(f->link, f->now_ms));
}

static void leaving_has_a_deadline(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    link_leave(f->link, fabric_bytes_of("test"), f->now_ms);
    for (int i = 0; i < 10 && !link_left(f->link, f->now_ms); i++) {
        f->now_ms += 250;
        say_ping(f);
        assert_true(link_next_deadline(f->link) <= 1000 + 500 + 2000);
    }
    assert_true(link_left(f->link, f->now_ms));
    assert_int_equal(f->now_ms, 1000 + 500 + 2000);
}

static void leaving_without_a_broker_is_immediate(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    link_leave(f->link, fabric_bytes_of("test"), f->now_ms);
    assert_true(link_left(f->link, f->now_ms));
}

/* A connection that is seen to come, though the one before was not seen to break, is a new one. */
static void leaving_says_nothing_on_a_new_connection(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    say_assign(f, 0, 1, 1);
    expect_work(f, WORK_BEGIN, 1);
    link_leave(f->link, fabric_bytes_of("test"), f->now_ms);
    expect_kind(f, 0, KIND_BYE);
    link_connected(f->link, 0, f->now_ms);
    give_result(f, f->connection, 5);
    expect_silence(f, 0);
}

static void refusals(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    link_event_t event;
    link_connected(f->link, 0, f->now_ms);
    expect_hello(f, 0);
    SAY(f, 0, refused, .error = FABRIC_ERROR_BUSY, .text = fabric_bytes_of("later"));
    assert_true(link_next_event(f->link, &event));
    assert_false(event.final);
    f->now_ms = link_next_deadline(f->link);
    link_tick(f->link, f->now_ms);
    expect_hello(f, 0);
    SAY(f, 0, refused, .error = FABRIC_ERROR_TYPE_CONFLICT, .text = fabric_bytes_of("group"));
    while (link_next_event(f->link, &event) && event.error != FABRIC_ERROR_TYPE_CONFLICT) {
    }
    assert_true(event.final);
    assert_string_equal(event.text, "group");
    f->now_ms += 100000;
    link_tick(f->link, f->now_ms);
    expect_silence(f, 0);
}

/* A byte that changed on the way can make any refusal of a good hello. */
static void a_worker_that_was_welcome_asks_again(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    SAY(f, 0, who, .protocol = 1);
    expect_hello(f, 0);
    SAY(f, 0, refused, .error = FABRIC_ERROR_FOREIGN_CLUSTER, .text = fabric_bytes_of("no"));
    f->now_ms += 1000;
    link_tick(f->link, f->now_ms);
    expect_hello(f, 0);
}

/* libzmq gives a connection up for good after bytes that are no ZMTP. */
static void sockets_that_do_not_connect_are_opened_anew(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint32_t endpoint = 9;
    link_socket_t action;
    connect_and_welcome(f, 0, 1);
    link_disconnected(f->link, 0, f->now_ms);
    assert_int_equal(link_next_deadline(f->link), f->now_ms + 4000);
    assert_false(link_next_socket(f->link, &endpoint, &action));
    f->now_ms += 4000;
    assert_true(link_next_deadline(f->link) <= f->now_ms);
    link_tick(f->link, f->now_ms);
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(endpoint, 0);
    assert_int_equal(action, LINK_SOCKET_REOPEN);
}

static void junk_is_no_sign_of_life(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint32_t endpoint = 9;
    link_socket_t action;
    connect_and_welcome(f, 0, 1);
    for (int i = 0; i < 31; i++) {
        f->now_ms += 100;
        link_receive(f->link, 0, fabric_bytes_of("junk"), f->now_ms);
        link_tick(f->link, f->now_ms);
    }
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(action, LINK_SOCKET_REOPEN);
}

static void foreign_cluster_is_refused(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    link_disconnected(f->link, 0, f->now_ms);
    link_connected(f->link, 0, f->now_ms);
    expect_hello(f, 0);
    say_welcome_as(f, 0, 1, 2, f->connection); /* another cluster on the same address */
    assert_true(expect_event(f, LINK_EVENT_REFUSED, FABRIC_ERROR_FOREIGN_CLUSTER));
}

static void second_way_to_one_broker_is_closed(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint32_t endpoint;
    link_socket_t action;
    assert_int_equal(link_add_endpoint(f->link, "tcp://localhost:1"), FABRIC_OK);
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(endpoint, 1);
    connect_and_welcome(f, 0, 1);
    connect_and_welcome(f, 1, 1);
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(endpoint, 0);
    assert_int_equal(action, LINK_SOCKET_CLOSE);
}

static void takeover_by_another_home(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint32_t endpoint;
    link_socket_t action;
    assert_int_equal(link_add_endpoint(f->link, "tcp://127.0.0.1:2"), FABRIC_OK);
    assert_true(link_next_socket(f->link, &endpoint, &action));
    connect_and_welcome(f, 0, 1);
    connect_and_welcome(f, 1, 2);
    say_assign(f, 0, 1, 1);
    expect_work(f, WORK_BEGIN, 1);
    say_assign(f, 1, 2, 1);
    expect_work(f, WORK_STOP, 1);
    expect_work(f, WORK_BEGIN, 1);
    say_deliver(f, 1, 30); /* of the deposed home */
    expect_not_taken(f, 30);
    say_assign(f, 0, 1, 2);
    assert_null(link_next_work(f->link));
    assert_int_equal(link_shards(f->link), 1);
}

static void brokers_of_the_map_are_connected(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    uint32_t endpoint;
    link_socket_t action;
    connect_and_welcome(f, 0, 1);
    shard_map_t *map = shard_map_new();
    wire_writer_t snapshot = {0};
    map_broker_t brokers[3] = {
        {{{1}}, "tcp://127.0.0.1:1", "tcp://127.0.0.1:11"},
        {{{2}}, "tcp://127.0.0.1:2", "tcp://127.0.0.1:12"},
        {{{3}}, "tcp://10.0.0.1:3", "tcp://10.0.0.1:13"}, /* beyond this machine */
    };
    shard_map_set_shards_per_group(map, 300);
    shard_map_begin_term(map, 2);
    shard_map_set_brokers(map, brokers, 3);
    shard_map_encode_snapshot(map, &snapshot);
    SAY(f, 0, map, .map = wire_writer_bytes(&snapshot));
    wire_writer_destroy(&snapshot);
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(action, LINK_SOCKET_OPEN);
    assert_string_equal(link_endpoint_name(f->link, endpoint), "tcp://127.0.0.1:2");
    assert_false(link_next_socket(f->link, &endpoint, &action));
    assert_true(expect_event(f, LINK_EVENT_PLAINTEXT, FABRIC_ERROR_PLAINTEXT_REFUSED));
    shard_map_begin_term(map, 3);
    shard_map_set_brokers(map, brokers, 1);
    shard_map_encode_snapshot(map, &snapshot);
    SAY(f, 0, map, .map = wire_writer_bytes(&snapshot));
    assert_true(link_next_socket(f->link, &endpoint, &action));
    assert_int_equal(action, LINK_SOCKET_CLOSE);
    wire_writer_destroy(&snapshot);
    shard_map_destroy(&map);
}

/* Whatever a broker's bytes are, the link goes on; and a malformed message spares its neighbours. */
static void malformed_frames(void **state)
{
    fixture_t *f = (fixture_t *)*state;
    connect_and_welcome(f, 0, 1);
    say_assign(f, 0, 1, 1);
    expect_work(f, WORK_BEGIN, 1);
    link_receive(f->link, 0, (fabric_bytes_t){0}, f->now_ms);
    assert_true(expect_event(f, LINK_EVENT_MALFORMED, FABRIC_ERROR_MALFORMED_MESSAGE));
    link_receive(f->link, 0, fabric_bytes_of("GET / HTTP/1.0\r\n\r\n"), f->now_ms);
    assert_false(expect_event(f, LINK_EVENT_MALFORMED, FABRIC_ERROR_MALFORMED_MESSAGE)); /* once */

    wire_writer_t frame = {0};
    frame_head_t head = {.version = LIMIT_PROTOCOL_VERSION};
    frame_begin(&frame, &head);
    wire_put_bin(&frame, fabric_bytes_of("junk"));
    message_deliver_t delivery = {.shard = SHARD,
                                  .home_epoch = 1,
                                  .owner_sequence = 1,
                                  .request_id = 50,
                                  .type = fabric_bytes_of("T"),
                                  .id = fabric_bytes_of("i"),
                                  .tag = fabric_bytes_of("M"),
                                  .payload = fabric_bytes_of("payload")};
    message_put_deliver(&frame, &delivery);
    delivery.id = (fabric_bytes_t){0};
    message_put_deliver(&frame, &delivery);
    for (size_t size = 0; size < frame.size; size++) { /* each cut */
        link_receive(f->link, 0, fabric_bytes(frame.data, size), f->now_ms);
    }
    while (link_next_frame(f->link, 0, &f->frame)) {
    }
    for (work_t *work; (work = link_next_work(f->link));) {
        work_destroy(&work);
    }
    link_receive(f->link, 0, wire_writer_bytes(&frame), f->now_ms);
    wire_writer_destroy(&frame);
    expect_work(f, WORK_DELIVERIES, 0);
    assert_null(link_next_work(f->link));
    expect_kind(f, 0, KIND_RESULT); /* the one without an id is not taken */
    expect_silence(f, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_nothing_but_hello_before_welcome),
        TEST(unanswered_hello_is_said_again),
        TEST(absence_is_said_once),
        TEST(tokens),
        TEST(release),
        TEST(reconnect_loses_the_shards),
        TEST(who_means_hello_again),
        TEST(lease),
        TEST(frames_found_after_a_freeze_renew_nothing),
        TEST(heartbeats),
        TEST(leaving),
        TEST(leaving_has_a_deadline),
        TEST(leaving_without_a_broker_is_immediate),
        TEST(leaving_says_nothing_on_a_new_connection),
        TEST(refusals),
        TEST(a_worker_that_was_welcome_asks_again),
        TEST(sockets_that_do_not_connect_are_opened_anew),
        TEST(junk_is_no_sign_of_life),
        TEST(foreign_cluster_is_refused),
        TEST(second_way_to_one_broker_is_closed),
        TEST(takeover_by_another_home),
        TEST(brokers_of_the_map_are_connected),
        TEST(malformed_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
