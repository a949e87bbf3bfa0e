/* A fake broker: see fake_broker.h. */
#include "tests/harness/fake_broker.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <zmq.h>

#include "core/limits.h"
#include "core/message.h"
#include "core/shard_map.h"

struct fake_broker {
    void *context;
    pthread_t thread;
    bool running;
    char endpoint[256];
    uint64_t life; /* 1, 2, ...: also the term of its map */
    void *socket;  /* the thread's, while it runs */
    wire_writer_t out;
    wire_writer_t map;
    atomic_bool stopping;
    atomic_bool foreign;
    atomic_uint_least64_t requests;
    atomic_uint_least64_t resends;
    atomic_uint_least64_t byes;
    atomic_uint_least64_t frames;
};

static bool is(fabric_bytes_t bytes, const char *text)
{
    return fabric_bytes_equal(bytes, fabric_bytes_of(text));
}

static void make_map(fake_broker_t *broker)
{
    shard_map_t *map = shard_map_new();
    map_broker_t self = {.incarnation = {{(uint8_t)broker->life}}};
    snprintf(self.router_endpoint, sizeof self.router_endpoint, "%s", broker->endpoint);
    shard_map_set_shards_per_group(map, 8);
    fabric_error_t error = shard_map_add_group(map, 1, fabric_bytes_of("default"));
    error |= shard_map_add_type(map, fabric_bytes_of("Counter"), 1);
    shard_map_set_brokers(map, &self, 1);
    assert(error == FABRIC_OK);
    shard_map_set_lanes(map, 1);
    shard_map_set_lane(map, &(map_lane_t){.home = self.incarnation, .epoch = 1});
    shard_map_begin_term(map, broker->life);
    wire_writer_reset(&broker->map);
    shard_map_encode_snapshot(map, &broker->map);
    shard_map_destroy(&map);
}

static void take_hello(fake_broker_t *broker, wire_reader_t *body)
{
    static const uint8_t cluster_id[16] = {7};
    message_hello_t hello;
    if (message_get_hello(body, &hello) != FABRIC_OK) {
        return;
    }
    if (atomic_load(&broker->foreign)) {
        message_refused_t refused = {FABRIC_ERROR_FOREIGN_CLUSTER,
                                     fabric_bytes_of("this is cluster other")};
        message_put_refused(&broker->out, &refused);
        return;
    }
    incarnation_t self = {{(uint8_t)broker->life}};
    message_welcome_t welcome = {
        .protocol = LIMIT_PROTOCOL_VERSION,
        .cluster_id = fabric_bytes(cluster_id, sizeof cluster_id),
        .cluster_name = fabric_bytes_of("test"),
        .broker = fabric_bytes(self.bytes, sizeof self.bytes),
        .connection = hello.connection,
        .shards_per_group = 8,
        .lease_ms = 3000,
        .heartbeat_ms = 1000,
        .map = wire_writer_bytes(&broker->map),
    };
    message_put_welcome(&broker->out, &welcome);
}

static void take_request(fake_broker_t *broker, wire_reader_t *body)
{
    message_request_t request;
    if (message_get_request(body, &request) != FABRIC_OK) {
        return;
    }
    uint64_t number = atomic_fetch_add(&broker->requests, 1) + 1;
    atomic_fetch_add(&broker->resends, (request.flags & REQUEST_RESEND) != 0);
    if (is(request.tag, "silent")) {
        return;
    }
    if (request.flags & REQUEST_WANT_ACCEPTED) {
        message_accepted_t accepted = {request.sequence, number};
        message_put_accepted(&broker->out, &accepted);
        return;
    }
    if (is(request.tag, "busy")) {
        message_rejected_t rejected = {request.sequence, FABRIC_ERROR_MAILBOX_FULL, 0,
                                       fabric_bytes_of("full")};
        message_put_rejected(&broker->out, &rejected);
        return;
    }
    message_reply_t reply = {request.sequence, number, STATUS_OK, 0, 0, request.payload};
    if (is(request.tag, "fail")) {
        reply = (message_reply_t){
            request.sequence,     number, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE, 42,
            fabric_bytes_of("no")};
    }
    message_put_reply(&broker->out, &reply);
}

/* ---- events ---- */

static uint64_t event_sequence(uint32_t index)
{
    return index < 2 ? index + 1 : index + 2;
}

static void put_event(uint32_t index, bool sound, wire_writer_t *document)
{
    uint8_t payload[2] = {0x91, (uint8_t)event_sequence(index)};
    wire_put_array(document, sound ? 6 : 5);
    wire_put_uint(document, event_sequence(index));
    wire_put_text(document, "Added");
    wire_put_uint(document, 2);
    wire_put_uint(document, 1700000000000 + index);
    wire_put_uint(document, 4096 + index);
    if (sound) {
        wire_put_bin(document, fabric_bytes(payload, sizeof payload));
    }
}

static void put_events(fabric_bytes_t argument, wire_writer_t *document)
{
    wire_reader_t reader = wire_reader(argument);
    (void)wire_get_array(&reader);
    (void)wire_get_bin(&reader);
    bool sound = !is(wire_get_bin(&reader), "broken");
    uint64_t after = wire_get_uint(&reader);
    uint64_t limit = wire_get_uint(&reader);
    uint32_t first = 0;
    while (first < FAKE_EVENTS && event_sequence(first) <= after) {
        first++;
    }
    uint32_t count = FAKE_EVENTS - first;
    count = count < 2 ? count : 2;
    count = limit > 0 && limit < count ? (uint32_t)limit : count;
    wire_put_map(document, 3);
    wire_put_text(document, "events");
    wire_put_array(document, count);
    for (uint32_t i = first; i < first + count; i++) {
        put_event(i, sound, document);
    }
    wire_put_text(document, "of a later release");
    wire_put_nil(document);
    wire_put_text(document, "more");
    wire_put_bool(document, first + count < FAKE_EVENTS);
}

static void take_query(fake_broker_t *broker, wire_reader_t *body)
{
    message_query_t query;
    if (message_get_query(body, &query) == FABRIC_OK) {
        bool nothing = is(query.name, "nothing");
        wire_writer_t events = {0};
        message_answer_t answer = {query.sequence, nothing ? FABRIC_ERROR_NOT_FOUND : 0,
                                   fabric_bytes_of(""), query.argument};
        if (is(query.name, "events")) {
            put_events(query.argument, &events);
            answer.document = wire_writer_bytes(&events);
        }
        message_put_answer(&broker->out, &answer);
        wire_writer_destroy(&events);
    }
}

static void take_ping(fake_broker_t *broker, wire_reader_t *body)
{
    message_ping_t ping;
    if (message_get_ping(body, &ping) == FABRIC_OK) {
        message_pong_t pong = {ping.sequence, broker->life, 1};
        message_put_pong(&broker->out, &pong);
    }
}

static void take_message(fake_broker_t *broker, wire_reader_t *body)
{
    message_kind_t kind;
    if (message_open(body, &kind) != FABRIC_OK) {
        return;
    }
    if (kind == KIND_HELLO) {
        take_hello(broker, body);
    } else if (kind == KIND_REQUEST) {
        take_request(broker, body);
    } else if (kind == KIND_QUERY) {
        take_query(broker, body);
    } else if (kind == KIND_PING) {
        take_ping(broker, body);
    } else if (kind == KIND_BYE) {
        atomic_fetch_add(&broker->byes, 1);
    }
}

static void take_frame(fake_broker_t *broker, fabric_bytes_t frame)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    frame_head_t own = {LIMIT_PROTOCOL_VERSION, 0, 0};
    wire_writer_reset(&broker->out);
    frame_begin(&broker->out, &own);
    if (frame_open(frame, &reader, &head) == FABRIC_OK) {
        atomic_fetch_add(&broker->frames, 1);
        while (frame_next(&reader, &body)) {
            take_message(broker, &body);
        }
    }
}

static void *run(void *argument)
{
    fake_broker_t *broker = (fake_broker_t *)argument;
    zmq_msg_t id;
    zmq_msg_t frame;
    zmq_msg_init(&id);
    zmq_msg_init(&frame);
    while (!atomic_load(&broker->stopping)) {
        if (zmq_msg_recv(&id, broker->socket, 0) < 0 || /* a receive timeout looks at `stopping` */
            zmq_msg_recv(&frame, broker->socket, 0) < 0) {
            continue;
        }
        take_frame(broker, fabric_bytes(zmq_msg_data(&frame), zmq_msg_size(&frame)));
        if (broker->out.size > 8) { /* more than a head */
            (void)zmq_send(broker->socket, zmq_msg_data(&id), zmq_msg_size(&id), ZMQ_SNDMORE);
            (void)zmq_send(broker->socket, broker->out.data, broker->out.size, 0);
        }
    }
    zmq_msg_close(&id);
    zmq_msg_close(&frame);
    return NULL;
}

void fake_broker_revive(fake_broker_t *broker)
{
    int none = 0;
    int wait_max_ms = 10;
    int tries = 0;
    broker->life++;
    broker->socket = zmq_socket(broker->context, ZMQ_ROUTER);
    zmq_setsockopt(broker->socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(broker->socket, ZMQ_RCVTIMEO, &wait_max_ms, sizeof wait_max_ms);
    while (zmq_bind(broker->socket, broker->endpoint) != 0) { /* libzmq closes it later */
        assert(++tries < 1000);
        zmq_poll(NULL, 0, wait_max_ms);
    }
    size_t size = sizeof broker->endpoint;
    zmq_getsockopt(broker->socket, ZMQ_LAST_ENDPOINT, broker->endpoint, &size);
    make_map(broker);
    atomic_store(&broker->stopping, false);
    broker->running = pthread_create(&broker->thread, NULL, run, broker) == 0;
    assert(broker->running);
}

fake_broker_t *fake_broker_start(void)
{
    fake_broker_t *broker = (fake_broker_t *)calloc(1, sizeof *broker);
    assert(broker);
    broker->context = zmq_ctx_new();
    snprintf(broker->endpoint, sizeof broker->endpoint, "tcp://127.0.0.1:*");
    fake_broker_revive(broker);
    return broker;
}

const char *fake_broker_endpoint(const fake_broker_t *broker)
{
    return broker->endpoint;
}

void fake_broker_be_foreign(fake_broker_t *broker, bool foreign)
{
    atomic_store(&broker->foreign, foreign);
}

void fake_broker_kill(fake_broker_t *broker)
{
    if (broker->running) {
        atomic_store(&broker->stopping, true);
        pthread_join(broker->thread, NULL);
        zmq_close(broker->socket);
        broker->running = false;
    }
}

void fake_broker_destroy(fake_broker_t **broker)
{
    if (!*broker) {
        return;
    }
    fake_broker_kill(*broker);
    zmq_ctx_term((*broker)->context);
    wire_writer_destroy(&(*broker)->out);
    wire_writer_destroy(&(*broker)->map);
    free(*broker);
    *broker = NULL;
}

uint64_t fake_broker_requests(const fake_broker_t *broker)
{
    return atomic_load(&broker->requests);
}

uint64_t fake_broker_resends(const fake_broker_t *broker)
{
    return atomic_load(&broker->resends);
}

uint64_t fake_broker_byes(const fake_broker_t *broker)
{
    return atomic_load(&broker->byes);
}

uint64_t fake_broker_frames(const fake_broker_t *broker)
{
    return atomic_load(&broker->frames);
}
