/* The scripted other ends of a worker's link: see link_driver.h. */
#include "tests/unit/link_driver.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "core/limits.h"

static const link_config_t config = {
    .incarnation = {{1, 2, 3}},
    .name = {(const uint8_t *)"w", 1},
    .types = {(const uint8_t *)"\x90", 1},
    .weight = 100,
    .window = 64,
    .grace_ms = LINK_DRIVER_GRACE_MS,
    .executors = 2,
    .stuck_ms = 1000,
};

int link_driver_setup(void **state)
{
    link_driver_t *d = (link_driver_t *)calloc(1, sizeof *d);
    assert_non_null(d);
    d->now_ms = 1000;
    d->link = link_new(&config, d->now_ms);
    assert_int_equal(link_add_endpoint(d->link, "tcp://127.0.0.1:1"), FABRIC_OK);
    talk_expect_socket(d, 0, LINK_SOCKET_OPEN);
    talk_pass(d, 0);
    *state = d;
    return 0;
}

int link_driver_teardown(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    link_destroy(&d->link);
    wire_writer_destroy(&d->said);
    wire_writer_destroy(&d->frame);
    free(d);
    return 0;
}

/* ---- what the link says ---- */

/* The next message to an endpoint other than PING; false: none. */
static bool next_message(link_driver_t *d, uint32_t endpoint, message_kind_t *kind)
{
    for (;;) {
        while (frame_next(&d->messages, &d->body)) {
            assert_int_equal(message_open(&d->body, kind), FABRIC_OK);
            if (*kind != KIND_PING) {
                return true;
            }
        }
        if (!link_next_frame(d->link, endpoint, &d->frame)) {
            d->messages = (wire_reader_t){0};
            return false;
        }
        frame_head_t head;
        assert_int_equal(frame_open(wire_writer_bytes(&d->frame), &d->messages, &head), FABRIC_OK);
    }
}

void talk_expect(link_driver_t *d, uint32_t endpoint, message_kind_t expected)
{
    message_kind_t kind = 0;
    assert_true(next_message(d, endpoint, &kind));
    assert_int_equal(kind, expected);
}

void talk_expect_silence(link_driver_t *d, uint32_t endpoint)
{
    message_kind_t kind = 0;
    assert_false(next_message(d, endpoint, &kind));
}

void talk_expect_hello(link_driver_t *d, uint32_t endpoint)
{
    message_hello_t hello;
    talk_expect(d, endpoint, KIND_HELLO);
    assert_int_equal(message_get_hello(&d->body, &hello), FABRIC_OK);
    assert_int_equal(hello.role, ROLE_WORKER);
    assert_int_equal(hello.window, config.window);
    assert_true(hello.connection > d->connection);
    d->connection = hello.connection;
    talk_expect_silence(d, endpoint);
}

void talk_expect_not_taken(link_driver_t *d, uint64_t request_id)
{
    message_result_t result;
    talk_expect(d, 0, KIND_RESULT);
    assert_int_equal(message_get_result(&d->body, &result), FABRIC_OK);
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.status, STATUS_NOT_TAKEN);
    assert_int_equal(result.error, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
}

void talk_expect_released(link_driver_t *d, uint64_t owner_sequence)
{
    message_released_t released;
    talk_expect(d, 0, KIND_RELEASED);
    assert_int_equal(message_get_released(&d->body, &released), FABRIC_OK);
    assert_int_equal(released.shard, LINK_DRIVER_SHARD);
    assert_int_equal(released.owner_sequence, owner_sequence);
}

bool talk_has_event(link_driver_t *d, link_event_kind_t kind, fabric_error_t error)
{
    link_event_t event;
    while (link_next_event(d->link, &event)) {
        if (event.kind == kind) {
            assert_int_equal(event.error, error);
            return true;
        }
    }
    return false;
}

void talk_expect_socket(link_driver_t *d, uint32_t expected, link_socket_t expected_action)
{
    uint32_t endpoint;
    link_socket_t action;
    assert_true(link_next_socket(d->link, &endpoint, &action));
    assert_int_equal(endpoint, expected);
    assert_int_equal(action, expected_action);
    talk_expect_no_socket(d);
}

void talk_expect_no_socket(link_driver_t *d)
{
    uint32_t endpoint;
    link_socket_t action;
    assert_false(link_next_socket(d->link, &endpoint, &action));
}

/* ---- what brokers say ---- */

void talk_pass(link_driver_t *d, uint64_t ms)
{
    d->now_ms += ms;
    link_tick(d->link, d->now_ms);
}

void talk_pass_to_deadline(link_driver_t *d)
{
    d->now_ms = link_next_deadline(d->link);
    link_tick(d->link, d->now_ms);
}

void talk_frame_begin(link_driver_t *d)
{
    frame_head_t head = {.version = LIMIT_PROTOCOL_VERSION};
    wire_writer_reset(&d->said);
    frame_begin(&d->said, &head);
}

void talk_receive(link_driver_t *d, uint32_t endpoint, fabric_bytes_t bytes)
{
    work_frame_t *frame = work_frame_copy(bytes);
    link_receive(d->link, endpoint, frame, d->now_ms);
    work_frame_drop(frame);
}

void talk_frame_end(link_driver_t *d, uint32_t endpoint)
{
    talk_receive(d, endpoint, wire_writer_bytes(&d->said));
}

void talk_join(link_driver_t *d, uint32_t endpoint, uint8_t broker)
{
    link_connected(d->link, endpoint, d->now_ms);
    talk_expect_hello(d, endpoint);
    talk_welcome(d, endpoint, broker, 1, d->connection);
    assert_true(talk_has_event(d, LINK_EVENT_WELCOMED, FABRIC_OK));
    talk_expect(d, endpoint, KIND_RUNNER_HEALTH);
}

void talk_welcome(link_driver_t *d, uint32_t endpoint, uint8_t broker, uint8_t cluster,
                  uint64_t connection)
{
    uint8_t broker_id[16] = {broker};
    uint8_t cluster_id[16] = {cluster};
    shard_map_t *map = shard_map_new();
    wire_writer_t snapshot = {0};
    shard_map_set_shards_per_group(map, LINK_DRIVER_SHARDS);
    shard_map_set_lanes(map, 2);
    shard_map_begin_term(map, 1);
    shard_map_encode_snapshot(map, &snapshot);
    talk_say(d, endpoint, welcome, .protocol = 1, .cluster_id = fabric_bytes(cluster_id, 16),
             .cluster_name = fabric_bytes_of("c"), .broker = fabric_bytes(broker_id, 16),
             .connection = connection, .shards_per_group = LINK_DRIVER_SHARDS,
             .lease_ms = LINK_DRIVER_LEASE_MS, .heartbeat_ms = LINK_DRIVER_HEARTBEAT_MS,
             .map = wire_writer_bytes(&snapshot));
    wire_writer_destroy(&snapshot);
    shard_map_destroy(&map);
}

void talk_assign_type(link_driver_t *d, uint32_t endpoint, const char *type, uint64_t epoch,
                      uint64_t owner_sequence)
{
    talk_say(d, endpoint, assign, .shard = LINK_DRIVER_SHARD, .home_epoch = epoch,
             .owner_sequence = owner_sequence, .type = fabric_bytes_of(type));
}

void talk_assign(link_driver_t *d, uint32_t endpoint, uint64_t epoch, uint64_t owner_sequence)
{
    talk_assign_type(d, endpoint, "T", epoch, owner_sequence);
}

void talk_own(link_driver_t *d)
{
    talk_join(d, 0, 1);
    talk_assign(d, 0, 1, 1);
    talk_expect_work(d, WORK_BEGIN, 1);
}

void talk_release(link_driver_t *d, uint64_t owner_sequence, uint64_t grace_ms)
{
    talk_say(d, 0, release, .shard = LINK_DRIVER_SHARD, .home_epoch = 1,
             .owner_sequence = owner_sequence, .grace_ms = grace_ms);
}

void talk_deliver(link_driver_t *d, uint64_t owner_sequence, uint64_t request_id)
{
    talk_say(d, 0, deliver, .shard = LINK_DRIVER_SHARD, .home_epoch = 1,
             .owner_sequence = owner_sequence, .activation = 1, .request_id = request_id,
             .delivery = 1, .attempt = 1, .flags = REQUEST_DURABLE, .type = fabric_bytes_of("T"),
             .id = fabric_bytes_of("i"), .tag = fabric_bytes_of("M"),
             .payload = fabric_bytes_of("payload"));
}

void talk_ping(link_driver_t *d, uint64_t map_term, uint64_t map_sequence)
{
    talk_say(d, 0, ping, .sequence = 1, .map_term = map_term, .map_sequence = map_sequence);
}

/* ---- executors ---- */

void talk_expect_work(link_driver_t *d, work_kind_t kind, uint64_t owner_sequence)
{
    work_t *work = link_next_work(d->link);
    assert_non_null(work);
    assert_int_equal(work->kind, kind);
    if (kind == WORK_DELIVERIES) {
        assert_true(fabric_bytes_equal(work->deliveries[0].payload, fabric_bytes_of("payload")));
    } else {
        assert_int_equal(work->shard.value, LINK_DRIVER_SHARD);
        assert_int_equal(work->token.owner_sequence, owner_sequence);
    }
    work_destroy(&work);
}

void talk_stopped(link_driver_t *d, uint64_t connection, uint64_t owner_sequence)
{
    work_output_t *output = work_output_new(OUTPUT_STOPPED, (work_source_t){0, connection});
    output->shard = (shard_id_t){LINK_DRIVER_SHARD};
    output->token = (token_t){1, owner_sequence};
    link_output(d->link, &output);
}

void talk_result(link_driver_t *d, uint64_t connection, uint64_t request_id)
{
    work_output_t *output = work_output_new(OUTPUT_RESULTS, (work_source_t){0, connection});
    message_result_t result = {.shard = LINK_DRIVER_SHARD, .request_id = request_id};
    message_put_result(&output->results, &result);
    link_output(d->link, &output);
}
