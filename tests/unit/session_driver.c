/* The scripted side of a client session: see session_driver.h. */
#include "tests/unit/session_driver.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"

#define SHARDS 64

static session_driver_t *new_driver(uint32_t pending_max, session_forward_t forward)
{
    session_config_t config = {
        .client_number = 77,
        .incarnation = {{9}},
        .name = "test",
        .cluster_name = "test",
        .pending_max = pending_max,
        .seed = 1,
        .forward = forward,
        .events = true,
    };
    session_driver_t *d = (session_driver_t *)calloc(1, sizeof *d);
    size_t peer;
    assert_non_null(d);
    d->now_ms = 5000;
    d->map_brokers = 2;
    d->session = session_new(&config);
    assert_int_equal(session_add_endpoint(d->session, script_endpoint(0), &peer), FABRIC_OK);
    assert_int_equal(peer, 0);
    session_action_t action;
    assert_true(session_next_action(d->session, &action));
    assert_int_equal(action.kind, ACTION_OPEN);
    return d;
}

session_driver_t *session_driver_new_with(uint32_t pending_max)
{
    return new_driver(pending_max, SESSION_FORWARD_NEVER);
}

session_driver_t *session_driver_new_relaying(uint32_t pending_max, session_forward_t forward)
{
    session_driver_t *d = new_driver(pending_max, forward);
    d->by_way = true;
    return d;
}

void session_driver_destroy(session_driver_t **driver)
{
    session_destroy(&(*driver)->session);
    wire_writer_destroy(&(*driver)->out);
    free(*driver);
    *driver = NULL;
}

int session_driver_setup(void **state)
{
    *state = session_driver_new_with(1000);
    return 0;
}

int session_driver_teardown(void **state)
{
    session_driver_t *d = (session_driver_t *)*state;
    session_driver_destroy(&d);
    return 0;
}

/* ---- what the session says ---- */

static void keep(session_driver_t *d, wire_reader_t *body)
{
    seen_message_t seen = {.frame = d->frames, .settled = d->head.settled};
    message_hello_t hello;
    message_query_t query;
    assert_int_equal(message_open(body, &seen.kind), FABRIC_OK);
    if (seen.kind == KIND_REQUEST) {
        assert_int_equal(message_get_request(body, &seen.request), FABRIC_OK);
    } else if (seen.kind == KIND_HELLO) {
        assert_int_equal(message_get_hello(body, &hello), FABRIC_OK);
        seen.hello_connection = hello.connection;
    } else if (seen.kind == KIND_QUERY) {
        assert_int_equal(message_get_query(body, &query), FABRIC_OK);
        seen.query_sequence = query.sequence;
        if (query.sequence == 0) {
            return; /* the client asks why its calls wait */
        }
    }
    if (seen.kind == KIND_CANCEL) {
        message_cancel_t cancel;
        assert_int_equal(message_get_cancel(body, &cancel), FABRIC_OK);
        assert_true(fabric_bytes_equal(cancel.type, fabric_bytes_of("Counter")));
        assert_true(cancel.id.size > 0);
        seen.cancel_sequence = cancel.sequence;
    }
    assert_true(d->seen_count < SEEN_MAX);
    d->seen[d->seen_count++] = seen;
}

static bool is_relay(wire_reader_t body, message_relay_t *relay)
{
    message_kind_t kind;
    return message_open(&body, &kind) == FABRIC_OK && kind == KIND_RELAY &&
           message_get_relay(&body, relay) == FABRIC_OK;
}

/* Keeps the messages of a frame that are for the peer itself, or, of a frame to broker 0, those
 * that it is to relay to broker 1. */
static void keep_frame(session_driver_t *d, fabric_bytes_t frame, bool relayed)
{
    wire_reader_t reader;
    wire_reader_t body;
    message_relay_t relay;
    frame_head_t head;
    assert_int_equal(frame_open(frame, &reader, &head), FABRIC_OK);
    d->frames++;
    while (frame_next(&reader, &body)) {
        if (is_relay(body, &relay)) {
            assert_int_equal(relay.broker.data[0], 2);
            if (relayed) {
                keep_frame(d, relay.frame, false);
            }
        } else if (!relayed) {
            d->head = head;
            keep(d, &body);
        }
    }
    assert_false(reader.failed);
}

size_t script_pull(session_driver_t *d, size_t peer)
{
    size_t to;
    fabric_bytes_t frame;
    d->seen_count = 0;
    while (session_next_frame(d->session, d->now_ms, &to, &frame)) {
        if (to == peer) {
            keep_frame(d, frame, false);
        } else if (d->by_way && to == 0 && peer == 1) {
            keep_frame(d, frame, true);
        }
        session_frame_sent(d->session, to);
    }
    return d->seen_count;
}

size_t script_pull_requests(session_driver_t *d, size_t peer)
{
    size_t all = script_pull(d, peer);
    d->seen_count = 0;
    for (size_t i = 0; i < all; i++) {
        if (d->seen[i].kind == KIND_REQUEST) {
            d->seen[d->seen_count++] = d->seen[i];
        }
    }
    return d->seen_count;
}

void script_expect_end(session_driver_t *d, uint64_t sequence, fabric_error_t error)
{
    script_expect_end_saying(d, sequence, error, "");
}

void script_expect_end_saying(session_driver_t *d, uint64_t sequence, fabric_error_t error,
                              const char *text)
{
    char said[512];
    call_t *call = session_next_done(d->session);
    assert_non_null(call);
    assert_int_equal(call->sequence, sequence);
    assert_string_equal(fabric_error_name(call->error), fabric_error_name(error));
    snprintf(said, sizeof said, "%.*s", (int)call->answer.size, (const char *)call->answer.data);
    if (!strstr(said, text)) {
        fail_msg("call %llu says '%s', not '%s'", (unsigned long long)sequence, said, text);
    }
    call_destroy(&call);
}

/* ---- calls ---- */

static uint64_t call_of_type(session_driver_t *d, const char *type, const char *id, uint32_t flags,
                             uint64_t timeout_ms)
{
    call_t *call = call_new(0);
    call->type = fabric_bytes_of(type);
    call->id = fabric_bytes_of(id);
    call->tag = fabric_bytes_of("tag");
    call->payload = fabric_bytes("\x90", 1);
    call->flags = flags;
    call->deadline_ms = d->now_ms + (timeout_ms ? timeout_ms : 30000);
    session_submit(d->session, call, d->now_ms);
    return call->sequence;
}

uint64_t script_call(session_driver_t *d, const char *id, uint32_t flags, uint64_t timeout_ms)
{
    return call_of_type(d, "Counter", id, flags, timeout_ms);
}

uint64_t script_ask_other(session_driver_t *d, const char *id)
{
    return call_of_type(d, "Other", id, REQUEST_DURABLE, 0);
}

uint64_t script_ask(session_driver_t *d, bool durable, const char *id)
{
    return script_call(d, id, durable ? REQUEST_DURABLE : 0, 0);
}

/* ---- events ---- */

void script_advance(session_driver_t *d, uint64_t ms)
{
    d->now_ms += ms;
    session_tick(d->session, d->now_ms);
}

void script_connect(session_driver_t *d, size_t peer)
{
    session_connected(d->session, peer, d->now_ms);
    assert_int_equal(script_pull(d, peer), 1);
    assert_int_equal(d->seen[0].kind, KIND_HELLO);
}

void script_join(session_driver_t *d, size_t peer, int home)
{
    session_action_t action;
    script_connect(d, peer);
    script_welcome(d, peer, d->seen[0].hello_connection, home);
    while (session_next_action(d->session, &action)) {
        assert_int_equal(action.kind, ACTION_OPEN);
    }
}

const char *script_endpoint(size_t broker)
{
    static const char *const endpoints[] = {"tcp://127.0.0.1:1001", "tcp://127.0.0.1:1002",
                                            "tcp://127.0.0.1:1003"};
    assert_true(broker < 3);
    return endpoints[broker];
}

static void put_map(const session_driver_t *d, wire_writer_t *out, uint64_t term, uint64_t sequence,
                    int home, bool type)
{
    shard_map_t *map = shard_map_new();
    map_broker_t brokers[3] = {
        {.incarnation = {{1}}}, {.incarnation = {{2}}}, {.incarnation = {{3}}}};
    wire_writer_t scratch = {0};
    fabric_error_t error = FABRIC_OK;
    shard_map_set_shards_per_group(map, SHARDS);
    error |= shard_map_add_group(map, 1, fabric_bytes_of("default"));
    error |= shard_map_add_type(map, fabric_bytes_of("Other"), 1);
    if (type) {
        error |= shard_map_add_type(map, fabric_bytes_of("Counter"), 1);
    }
    for (size_t i = 0; i < d->map_brokers; i++) {
        snprintf(brokers[i].router_endpoint, sizeof brokers[i].router_endpoint, "%s",
                 script_endpoint(i));
    }
    shard_map_set_brokers(map, brokers, d->map_brokers);
    shard_map_set_lanes(map, 2);
    for (uint32_t i = 0; home >= 0 && i < 2; i++) {
        map_lane_t lane = {.number = i, .home = brokers[home].incarnation, .epoch = 1};
        shard_map_set_lane(map, &lane);
    }
    assert_int_equal(error, FABRIC_OK);
    shard_map_begin_term(map, term);
    while (shard_map_version(map).sequence < sequence) {
        shard_map_encode_delta(map, &scratch);
    }
    shard_map_encode_snapshot(map, out);
    wire_writer_destroy(&scratch);
    shard_map_destroy(&map);
}

static void welcome_with(session_driver_t *d, size_t peer, size_t number, uint64_t connection,
                         fabric_bytes_t map)
{
    static const uint8_t cluster_id[16] = {7};
    incarnation_t broker = {{(uint8_t)(number + 1)}};
    message_welcome_t welcome = {
        .protocol = LIMIT_PROTOCOL_VERSION,
        .cluster_id = fabric_bytes(cluster_id, sizeof cluster_id),
        .cluster_name = fabric_bytes_of("test"),
        .broker = fabric_bytes(broker.bytes, sizeof broker.bytes),
        .connection = connection,
        .shards_per_group = SHARDS,
        .lease_ms = 3000,
        .heartbeat_ms = 1000,
        .map = map,
    };
    script_frame(&d->out);
    message_put_welcome(&d->out, &welcome);
    script_deliver(d, peer);
}

void script_welcome_as(session_driver_t *d, size_t peer, size_t broker, uint64_t connection,
                       int home)
{
    wire_writer_t map = {0};
    put_map(d, &map, 1, 1, home, true);
    welcome_with(d, peer, broker, connection, wire_writer_bytes(&map));
    wire_writer_destroy(&map);
}

void script_welcome(session_driver_t *d, size_t peer, uint64_t connection, int home)
{
    script_welcome_as(d, peer, peer, connection, home);
}

void script_map_welcome(session_driver_t *d, size_t peer, uint64_t term, uint64_t sequence,
                        int home, bool type)
{
    wire_writer_t map = {0};
    put_map(d, &map, term, sequence, home, type);
    welcome_with(d, peer, peer, d->seen[0].hello_connection, wire_writer_bytes(&map));
    wire_writer_destroy(&map);
}

/* ---- frames from brokers ---- */

void script_frame(wire_writer_t *out)
{
    frame_head_t head = {LIMIT_PROTOCOL_VERSION, 0, 0};
    wire_writer_reset(out);
    frame_begin(out, &head);
}

void script_deliver(session_driver_t *d, size_t peer)
{
    if (!d->by_way || peer != 1) {
        session_receive(d->session, peer, wire_writer_bytes(&d->out), d->now_ms);
        return;
    }
    static const uint8_t broker[16] = {2};
    wire_writer_t frame = {0};
    message_relayed_t relayed = {fabric_bytes(broker, 16), wire_writer_bytes(&d->out)};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_relayed(&frame, &relayed);
    session_receive(d->session, 0, wire_writer_bytes(&frame), d->now_ms);
    wire_writer_destroy(&frame);
}

void script_bye(session_driver_t *d, size_t peer)
{
    message_bye_t bye = {fabric_bytes_of("stopping")};
    script_frame(&d->out);
    message_put_bye(&d->out, &bye);
    script_deliver(d, peer);
}

void script_who(session_driver_t *d, size_t peer)
{
    message_who_t who = {LIMIT_PROTOCOL_VERSION};
    script_frame(&d->out);
    message_put_who(&d->out, &who);
    script_deliver(d, peer);
}

void script_pong(session_driver_t *d, size_t peer, uint64_t term, uint64_t sequence)
{
    message_pong_t pong = {1, term, sequence};
    script_frame(&d->out);
    message_put_pong(&d->out, &pong);
    script_deliver(d, peer);
}

void script_map(session_driver_t *d, size_t peer, uint64_t term, uint64_t sequence, int home,
                bool type)
{
    wire_writer_t map = {0};
    put_map(d, &map, term, sequence, home, type);
    message_map_t message = {wire_writer_bytes(&map)};
    script_frame(&d->out);
    message_put_map(&d->out, &message);
    script_deliver(d, peer);
    wire_writer_destroy(&map);
}

void script_accepted(session_driver_t *d, size_t peer, uint64_t sequence, uint64_t request_id)
{
    message_accepted_t accepted = {sequence, request_id};
    script_frame(&d->out);
    message_put_accepted(&d->out, &accepted);
    script_deliver(d, peer);
}

void script_reply(session_driver_t *d, size_t peer, uint64_t sequence, uint64_t request_id)
{
    message_reply_t reply = {.sequence = sequence,
                             .request_id = request_id,
                             .status = STATUS_OK,
                             .payload = fabric_bytes("\x90", 1)};
    script_frame(&d->out);
    message_put_reply(&d->out, &reply);
    script_deliver(d, peer);
}

void script_reject(session_driver_t *d, size_t peer, uint64_t sequence, fabric_error_t error,
                   uint64_t retry_after_ms)
{
    message_rejected_t rejected = {sequence, error, retry_after_ms, fabric_bytes_of("no")};
    script_frame(&d->out);
    message_put_rejected(&d->out, &rejected);
    script_deliver(d, peer);
}

void script_wait_reason(session_driver_t *d, size_t peer, uint64_t sequence, const char *text)
{
    wire_writer_t document = {0};
    wire_put_uint(&document, sequence);
    message_answer_t answer = {.error = FABRIC_ERROR_RUNNER_NOT_REGISTERED,
                               .text = fabric_bytes_of(text),
                               .document = wire_writer_bytes(&document)};
    script_frame(&d->out);
    message_put_answer(&d->out, &answer);
    script_deliver(d, peer);
    wire_writer_destroy(&document);
}

void script_redirect(session_driver_t *d, size_t peer, uint64_t sequence, const char *endpoint)
{
    message_redirect_t redirect = {sequence, shard_id_make(1, 1).value, fabric_bytes_of(endpoint)};
    script_frame(&d->out);
    message_put_redirect(&d->out, &redirect);
    script_deliver(d, peer);
}
