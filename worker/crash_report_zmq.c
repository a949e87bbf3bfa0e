/* Reports a crash to brokers: see crash_report_zmq.h. */
#include "worker/crash_report_zmq.h"

#include <stdlib.h>

#include <zmq.h>

#include "core/clock.h"
#include "core/connector_zmq.h"
#include "core/context_zmq.h"
#include "core/memory.h"
#include "core/message.h"

enum { REPORT_MS = 250, REPEAT_MS = 50, POLL_MS = 10, SOCKETS_MAX = 1023 };

/* One broker that is to be told. */
typedef struct listener {
    connector_t connector;
    uint64_t send_ms; /* when to send the report next */
    bool done;        /* it has answered, or cannot */
} listener_t;

typedef struct report {
    incarnation_t incarnation;
    wire_writer_t frame;
    connector_host_t host;
    uint32_t count;
    listener_t *listeners;
    zmq_pollitem_t *items;
} report_t;

static void encode(report_t *report, const crash_notes_t *notes)
{
    uint64_t culprits[CRASH_SLOTS_MAX];
    wire_writer_t list = {0};
    frame_head_t head = {.version = LIMIT_PROTOCOL_VERSION};
    uint32_t count = crash_notes_culprits(notes, culprits);
    wire_put_array(&list, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_put_uint(&list, culprits[i]);
    }
    message_crashed_t crashed = {
        .incarnation = fabric_bytes(report->incarnation.bytes, sizeof report->incarnation.bytes),
        .culprits = wire_writer_bytes(&list),
        .text = fabric_bytes_of(crash_notes_text(notes)),
    };
    frame_begin(&report->frame, &head);
    message_put_crashed(&report->frame, &crashed);
    wire_writer_destroy(&list);
}

static bool is_answer(const report_t *report, fabric_bytes_t frame)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    message_kind_t kind;
    message_crash_noted_t noted;
    if (frame_open(frame, &reader, &head) != FABRIC_OK) {
        return false;
    }
    while (frame_next(&reader, &body)) {
        if (message_open(&body, &kind) == FABRIC_OK && kind == KIND_CRASH_NOTED &&
            message_get_crash_noted(&body, &noted) == FABRIC_OK &&
            fabric_bytes_equal(noted.incarnation, fabric_bytes(report->incarnation.bytes, 16))) {
            return true;
        }
    }
    return false;
}

/* Takes one message. Nothing is read after the first part of a message of several parts, which no
 * broker sends: see take_frame() in link_zmq.c. */
static bool receive(const report_t *report, listener_t *listener)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    bool received = zmq_msg_recv(&part, listener->connector.socket, ZMQ_DONTWAIT) >= 0;
    if (received && (zmq_msg_more(&part) ||
                     is_answer(report, fabric_bytes(zmq_msg_data(&part), zmq_msg_size(&part))))) {
        listener->done = true;
    }
    zmq_msg_close(&part);
    return received;
}

static void serve(report_t *report, listener_t *listener, uint64_t now_ms)
{
    reason_t reason;
    (void)connector_tick(&listener->connector, &report->host, now_ms, &reason);
    while (connector_next_event(&listener->connector, now_ms) != CONNECTOR_NOTHING) {
    }
    if (!listener->connector.socket) {
        return;
    }
    while (!listener->done && receive(report, listener)) {
    }
    if (!listener->done && now_ms >= listener->send_ms &&
        zmq_send(listener->connector.socket, report->frame.data, report->frame.size,
                 ZMQ_DONTWAIT) >= 0) { /* else it is not connected yet */
        listener->send_ms = now_ms + REPEAT_MS;
    }
}

/* Returns how many have yet to answer. */
static uint32_t serve_all(report_t *report)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint32_t left = 0;
    int items = 0;
    for (uint32_t i = 0; i < report->count; i++) {
        listener_t *listener = &report->listeners[i];
        if (listener->done) {
            continue;
        }
        serve(report, listener, now_ms);
        left += !listener->done;
        if (!listener->done && listener->connector.socket) {
            bool due = now_ms >= listener->send_ms;
            report->items[items++] =
                (zmq_pollitem_t){.socket = listener->connector.socket,
                                 .events = (short)(ZMQ_POLLIN | (due ? ZMQ_POLLOUT : 0))};
        }
    }
    if (left > 0) {
        (void)zmq_poll(report->items, items, POLL_MS);
    }
    return left;
}

/* A look-up has ended: the poll, which lasts POLL_MS, is not cut short. */
static void ignore_wake(void *context)
{
    (void)context;
}

static void run(report_t *report, const crash_notes_t *notes)
{
    uint64_t until_ms = clock_monotonic_ms() + REPORT_MS;
    report->count = crash_notes_broker_count(notes);
    report->listeners =
        (listener_t *)memory_allocate_zeroed(report->count, sizeof *report->listeners);
    report->items = (zmq_pollitem_t *)memory_allocate_zeroed(report->count, sizeof *report->items);
    for (uint32_t i = 0; i < report->count; i++) {
        connector_open(&report->listeners[i].connector, &report->host, crash_notes_broker(notes, i),
                       clock_monotonic_ms());
    }
    while (serve_all(report) > 0 && clock_monotonic_ms() < until_ms) {
    }
    for (uint32_t i = 0; i < report->count; i++) {
        connector_close(&report->listeners[i].connector, 0);
    }
    free(report->items);
    free(report->listeners);
}

fabric_error_t crash_report_send(const crash_notes_t *notes, reason_t *reason)
{
    report_t report = {.incarnation = crash_notes_incarnation(notes),
                       .host = {.wake = ignore_wake}};
    if (crash_notes_broker_count(notes) == 0) {
        return FABRIC_OK;
    }
    fabric_error_t error = context_open(SOCKETS_MAX, reason, &report.host.zmq);
    if (error != FABRIC_OK) {
        return error;
    }
    encode(&report, notes);
    run(&report, notes);
    wire_writer_destroy(&report.frame);
    context_close(&report.host.zmq);
    return FABRIC_OK;
}
