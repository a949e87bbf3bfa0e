/* A mesh with a clock of its own, whose other brokers are played by a test. For one program: its
 * functions are static. */
#ifndef TESTS_UNIT_MESH_SCRIPT_H
#define TESTS_UNIT_MESH_SCRIPT_H

#include "broker/broker_proof.h"
#include "broker/mesh/mesh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/message.h"
#include "core/random.h"

enum { SELF = 0xa0, OTHER = 0xb0, THIRD = 0xc0, LEASE_MS = 3000, ORIGIN = 17 };

static const broker_credential_t self = {.broker = {{SELF}}, .secret = {{7, 8, 9}}};

typedef struct script {
    mesh_t *mesh;
    uint64_t now_ms;
    wire_writer_t in; /* the frame that was delivered last */
    mesh_event_t event;
    frame_head_t head; /* of the last frame pulled */
} script_t;

static map_broker_t broker_of(uint8_t number)
{
    map_broker_t broker = {.incarnation = {{number}}};
    snprintf(broker.router_endpoint, sizeof broker.router_endpoint, "tcp://127.0.0.1:%u", number);
    snprintf(broker.pub_endpoint, sizeof broker.pub_endpoint, "tcp://127.0.0.1:1%u", number);
    return broker;
}

static int open_script(void **state)
{
    script_t *s = calloc(1, sizeof *s);
    assert_non_null(s);
    mesh_config_t config = {
        .incarnation = self.broker, .secret = self.secret, .cluster_id = {1}, .lease_ms = LEASE_MS};
    s->now_ms = 1000;
    s->mesh = mesh_new(&config);
    map_broker_t brokers[] = {broker_of(SELF), broker_of(OTHER), broker_of(THIRD)};
    mesh_set_members(s->mesh, brokers, 3);
    *state = s;
    return 0;
}

static int close_script(void **state)
{
    script_t *s = *state;
    mesh_destroy(&s->mesh);
    wire_writer_destroy(&s->in);
    free(s);
    return 0;
}

/* ---- what the mesh wants ---- */

/* The link whose socket is to be opened to the broker. */
static uint32_t opened(const script_t *s, uint8_t number)
{
    uint32_t link;
    mesh_socket_t action;
    map_broker_t broker = broker_of(number);
    while (mesh_next_socket(s->mesh, &link, &action)) {
        if (action == MESH_SOCKET_OPEN &&
            strcmp(mesh_endpoint(s->mesh, link), broker.router_endpoint) == 0) {
            return link;
        }
    }
    fail();
    return 0;
}

static bool wants_socket(const script_t *s)
{
    uint32_t link;
    mesh_socket_t action;
    return mesh_next_socket(s->mesh, &link, &action);
}

/* Takes the next frame, which is for the link, and a message of this kind in it. False: there is no
 * frame. */
static bool next_frame(script_t *s, uint32_t link, wire_reader_t *reader)
{
    uint32_t taken;
    fabric_bytes_t frame;
    if (!mesh_next_frame(s->mesh, &taken, &frame)) {
        return false;
    }
    assert_int_equal(taken, link);
    assert_in_range(frame.size, 1, LIMIT_FRAME_BYTES_MAX);
    assert_int_equal(frame_open(frame, reader, &s->head), FABRIC_OK);
    return true;
}

/* Takes all frames for a link, and counts their messages of a kind; `last` gets the last one. */
static size_t pull(script_t *s, uint32_t link, message_kind_t wanted, wire_reader_t *last)
{
    static wire_writer_t kept;
    size_t count = 0;
    wire_reader_t reader;
    while (next_frame(s, link, &reader)) {
        wire_reader_t body;
        while (frame_next(&reader, &body)) {
            message_kind_t kind;
            assert_int_equal(message_open(&body, &kind), FABRIC_OK);
            if (kind == wanted) {
                count++;
                wire_writer_reset(&kept);
                wire_append(&kept, body.next, wire_left(&body));
            }
        }
        mesh_frame_sent(s->mesh, link);
    }
    if (last && count > 0) {
        *last = wire_reader(wire_writer_bytes(&kept));
    }
    return count;
}

/* The next event is of this kind. */
static const mesh_event_t *expect(script_t *s, mesh_event_kind_t kind)
{
    assert_true(mesh_next_event(s->mesh, &s->event));
    assert_int_equal(s->event.kind, kind);
    return &s->event;
}

static void expect_nothing(script_t *s)
{
    assert_false(mesh_next_event(s->mesh, &s->event));
}

/* ---- what happens ---- */

static void begin(script_t *s)
{
    wire_writer_reset(&s->in);
    frame_begin(&s->in, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
}

static void deliver(script_t *s, uint32_t link)
{
    mesh_receive(s->mesh, link, wire_writer_bytes(&s->in), s->now_ms);
}

static void pass(script_t *s, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        s->now_ms += 10;
        mesh_tick(s->mesh, s->now_ms);
    }
}

static void put_welcome(script_t *s, uint8_t number, uint64_t connection)
{
    static const uint8_t cluster[16] = {1};
    incarnation_t broker = {{number}};
    message_welcome_t welcome = {.protocol = LIMIT_PROTOCOL_VERSION,
                                 .cluster_id = fabric_bytes(cluster, 16),
                                 .broker = fabric_bytes(broker.bytes, 16),
                                 .connection = connection,
                                 .heartbeat_ms = 50,
                                 .map = fabric_bytes_of("map")};
    begin(s);
    message_put_welcome(&s->in, &welcome);
}

static message_hello_t pull_hello(script_t *s, uint32_t link)
{
    wire_reader_t body;
    message_hello_t hello;
    assert_int_equal(pull(s, link, KIND_HELLO, &body), 1);
    assert_int_equal(message_get_hello(&body, &hello), FABRIC_OK);
    assert_int_equal(hello.role, ROLE_BROKER);
    assert_int_equal(hello.incarnation.data[0], SELF);
    return hello;
}

/* Connects and returns the number of the hello. */
static uint64_t connect(script_t *s, uint32_t link)
{
    mesh_connected(s->mesh, link, s->now_ms);
    return pull_hello(s, link).connection;
}

static void welcome(script_t *s, uint32_t link, uint8_t number)
{
    put_welcome(s, number, connect(s, link));
    deliver(s, link);
    expect(s, MESH_REACHED);
    expect_nothing(s);
}

static uint32_t join(script_t *s, uint8_t number)
{
    uint32_t link = opened(s, number);
    welcome(s, link, number);
    mesh_tick(s->mesh, s->now_ms);
    (void)pull(s, link, KIND_PING, NULL);
    return link;
}

static void relay(script_t *s, uint64_t origin, uint8_t number, const char *frame)
{
    mesh_relay(s->mesh, origin, (incarnation_t){{number}}, fabric_bytes_of(frame));
}

/* Takes the only TUNNEL that waits, and returns its route. */
static uint64_t route_of(script_t *s, uint32_t link, const char *frame)
{
    wire_reader_t body;
    message_tunnel_t tunnel;
    assert_int_equal(pull(s, link, KIND_TUNNEL, &body), 1);
    assert_int_equal(message_get_tunnel(&body, &tunnel), FABRIC_OK);
    assert_true(fabric_bytes_equal(tunnel.frame, fabric_bytes_of(frame)));
    return tunnel.route;
}

static void deliver_tunnel(script_t *s, uint32_t link, uint64_t route, const char *frame)
{
    begin(s);
    message_put_tunnel(&s->in, &(message_tunnel_t){route, fabric_bytes_of(frame)});
    deliver(s, link);
}

#endif
