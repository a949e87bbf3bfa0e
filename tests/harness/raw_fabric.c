/* A raw peer that speaks Fabric: see raw_fabric.h. */
#include "tests/harness/raw_fabric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/limits.h"

enum { ANSWER_MS = 30000 };

raw_fabric_t raw_fabric_connect_as(const char *endpoint, fabric_bytes_t routing_id)
{
    raw_fabric_t fabric = {.peer = raw_peer_connect(endpoint)};
    assert_non_null(fabric.peer);
    assert_true(raw_handshake(fabric.peer, "DEALER", routing_id));
    return fabric;
}

raw_fabric_t raw_fabric_connect(const char *endpoint)
{
    return raw_fabric_connect_as(endpoint, fabric_bytes_of(""));
}

void raw_fabric_close(raw_fabric_t *fabric)
{
    raw_peer_destroy(&fabric->peer);
    *fabric = (raw_fabric_t){0};
}

bool raw_fabric_frame(raw_fabric_t *fabric, fabric_bytes_t frame)
{
    return raw_send_frame(fabric->peer, 0, frame);
}

bool raw_say_(raw_fabric_t *fabric, void (*put)(wire_writer_t *, const void *), const void *message)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    put(&frame, message);
    bool sent = raw_fabric_frame(fabric, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
    return sent;
}

/* The next message of any kind. */
static bool hear_any(raw_fabric_t *fabric, uint64_t deadline_ms, message_kind_t *kind,
                     wire_reader_t *body)
{
    for (;;) {
        if (fabric->reading && frame_next(&fabric->rest, body)) {
            assert_int_equal(message_open(body, kind), FABRIC_OK);
            return true;
        }
        fabric_bytes_t frame;
        frame_head_t head;
        uint64_t now_ms = clock_monotonic_ms();
        if (now_ms >= deadline_ms ||
            !raw_receive(fabric->peer, (uint32_t)(deadline_ms - now_ms), &frame)) {
            fabric->reading = false;
            return false;
        }
        assert_int_equal(frame_open(frame, &fabric->rest, &head), FABRIC_OK);
        fabric->reading = true;
    }
}

bool raw_hear(raw_fabric_t *fabric, message_kind_t kind, uint32_t timeout_ms, wire_reader_t *body)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    message_kind_t heard;
    while (hear_any(fabric, deadline_ms, &heard, body)) {
        if (heard == kind) {
            return true;
        }
    }
    return false;
}

bool raw_ping(raw_fabric_t *fabric)
{
    static uint64_t sequence;
    message_ping_t ping = {.sequence = ++sequence};
    message_pong_t pong = {0};
    wire_reader_t body;
    if (!raw_say(fabric, ping, &ping)) {
        return false;
    }
    while (pong.sequence != sequence) {
        if (!raw_hear(fabric, KIND_PONG, ANSWER_MS, &body)) {
            return false;
        }
        assert_int_equal(message_get_pong(&body, &pong), FABRIC_OK);
    }
    return true;
}

/* ---- hello ---- */

incarnation_t raw_incarnation(uint64_t number)
{
    incarnation_t incarnation = {{0xba, 0xd0}};
    memcpy(incarnation.bytes + 8, &number, sizeof number);
    return incarnation;
}

static fabric_bytes_t raw_types(void)
{
    static wire_writer_t types;
    wire_writer_reset(&types);
    wire_put_array(&types, 1);
    wire_put_array(&types, 5);
    wire_put_text(&types, "Raw");
    wire_put_text(&types, "default");
    wire_put_uint(&types, 100);
    wire_put_uint(&types, 1);
    wire_put_array(&types, 1);
    wire_put_array(&types, 5);
    wire_put_text(&types, "Ask");
    wire_put_bool(&types, false);
    wire_put_bool(&types, false);
    for (int i = 0; i < 2; i++) {
        wire_put_array(&types, 2);
        wire_put_text(&types, "Empty");
        wire_put_array(&types, 0);
    }
    return wire_writer_bytes(&types);
}

static message_hello_t any_hello(uint64_t number, uint64_t connection, peer_role_t role)
{
    static incarnation_t incarnation;
    incarnation = raw_incarnation(number);
    return (message_hello_t){.protocol_min = LIMIT_PROTOCOL_VERSION,
                             .protocol_max = LIMIT_PROTOCOL_VERSION,
                             .role = role,
                             .incarnation = fabric_bytes(incarnation.bytes, 16),
                             .connection = connection,
                             .name = fabric_bytes_of("raw")};
}

message_hello_t raw_client_hello(uint64_t number, uint64_t connection)
{
    message_hello_t hello = any_hello(number, connection, ROLE_CLIENT);
    hello.client_number = number;
    return hello;
}

message_hello_t raw_worker_hello(uint64_t number, uint64_t connection)
{
    message_hello_t hello = any_hello(number, connection, ROLE_WORKER);
    hello.window = 10;
    hello.types = raw_types();
    return hello;
}

fabric_error_t raw_hello(raw_fabric_t *fabric, const message_hello_t *hello)
{
    uint64_t deadline_ms = clock_monotonic_ms() + ANSWER_MS;
    message_kind_t kind;
    wire_reader_t body;
    assert_true(raw_say(fabric, hello, hello));
    while (hear_any(fabric, deadline_ms, &kind, &body)) {
        if (kind == KIND_WELCOME) {
            return FABRIC_OK;
        }
        if (kind == KIND_REFUSED) {
            message_refused_t refused;
            assert_int_equal(message_get_refused(&body, &refused), FABRIC_OK);
            return fabric_error_from_number(refused.error);
        }
    }
    fail_msg("a hello was not answered");
    return FABRIC_ERROR_TIMEOUT;
}

raw_fabric_t raw_client(const char *endpoint, uint64_t number)
{
    raw_fabric_t fabric = raw_fabric_connect(endpoint);
    message_hello_t hello = raw_client_hello(number, 1);
    assert_int_equal(raw_hello(&fabric, &hello), FABRIC_OK);
    return fabric;
}

raw_fabric_t raw_worker(const char *endpoint, uint64_t number)
{
    raw_fabric_t fabric = raw_fabric_connect(endpoint);
    message_hello_t hello = raw_worker_hello(number, 1);
    assert_int_equal(raw_hello(&fabric, &hello), FABRIC_OK);
    return fabric;
}

/* ---- calls ---- */

fabric_error_t raw_answer(raw_fabric_t *fabric, uint64_t sequence)
{
    uint64_t deadline_ms = clock_monotonic_ms() + ANSWER_MS;
    message_kind_t kind;
    wire_reader_t body;
    while (hear_any(fabric, deadline_ms, &kind, &body)) {
        message_rejected_t rejected;
        message_reply_t reply;
        message_accepted_t accepted;
        if (kind == KIND_REJECTED && message_get_rejected(&body, &rejected) == FABRIC_OK &&
            rejected.sequence == sequence) {
            return fabric_error_from_number(rejected.error);
        }
        if (kind == KIND_REPLY && message_get_reply(&body, &reply) == FABRIC_OK &&
            reply.sequence == sequence) {
            return reply.error ? fabric_error_from_number(reply.error) : FABRIC_OK;
        }
        if (kind == KIND_ACCEPTED && message_get_accepted(&body, &accepted) == FABRIC_OK &&
            accepted.sequence == sequence) {
            return FABRIC_OK;
        }
    }
    fail_msg("call %llu was not answered", (unsigned long long)sequence);
    return FABRIC_ERROR_TIMEOUT;
}
