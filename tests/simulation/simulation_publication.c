/* What brokers publish: the map of the broker with the term, which all others publish too, and
 * heartbeats with its version. Brokers subscribe to the broker with the term; in some seeds clients
 * and workers subscribe to all brokers that they are connected to. A PUB keeps the order of what it
 * sends, and drops what does not get through.
 */
#include "core/message.h"
#include "tests/simulation/simulation_broker.h"

enum { HEARTBEAT_US = 1000000 };

/* ---- subscribers ---- */

static void on_published(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    if (broker_life_serves(life)) {
        broker_mesh_receive_published(life, fabric_bytes(event->bytes, event->size));
        process_touch(event->process);
    }
}

/* On the connection to the publisher, of which the event tells the number. The frame must not hide
 * that the connection is silent. */
static void on_published_to_peer(event_t *event)
{
    process_t *process = event->process;
    const dealer_t *dealer = &process->dealers[event->number];
    uint64_t silent_us = world.plan.lease_ms * UINT64_C(1000) / 3;
    if (dealer->open && dealer->generation == event->extra && dealer->connection &&
        dealer->connection->heard_us + silent_us > world.now_us) {
        process->receive_published(process, event->number, fabric_bytes(event->bytes, event->size));
        process_touch(process);
    }
}

static const dealer_t *dealer_to(const process_t *process, const process_t *broker, size_t *index)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        const dealer_t *dealer = &process->dealers[i];
        if (dealer->open && dealer->broker == broker && dealer->connection) {
            *index = i;
            return dealer;
        }
    }
    return NULL;
}

/* The event of the frame's arrival; NULL: the process does not subscribe. */
static event_t *arrival(const broker_life_t *life, process_t *subscriber, fabric_bytes_t frame,
                        bool is_map)
{
    event_t *event = NULL;
    size_t index = 0;
    if (subscriber->kind == PROCESS_BROKER) {
        if (is_map && subscriber != life->process && subscriber->up &&
            broker_life_serves(broker_life_now(subscriber)) &&
            broker_mesh_subscribes(broker_life_now(subscriber), life->process)) {
            event = event_new(subscriber, on_published, NULL, frame.size);
        }
    } else if (world.plan.subscribes && subscriber->up &&
               !(subscriber->kind == PROCESS_CLIENT &&
                 world.plan.mapless & 1u << subscriber->index)) {
        const dealer_t *dealer = dealer_to(subscriber, life->process, &index);
        if (dealer) {
            event = event_new(subscriber, on_published_to_peer, NULL, frame.size);
            event->number = index;
            event->extra = dealer->generation;
        }
    }
    if (event) {
        memcpy(event->bytes, frame.data, frame.size);
    }
    return event;
}

/* ---- publishing ---- */

static void publish(broker_life_t *life, fabric_bytes_t frame, bool is_map)
{
    process_t *subscriber;
    for (size_t i = 0; (subscriber = world_process(i)); i++) {
        event_t *event = arrival(life, subscriber, frame, is_map);
        if (!event) {
            continue;
        }
        uint64_t at_us = world.now_us + world_between(50, world.plan.delay_us);
        uint64_t *last_us = &life->published_us[i];
        bool is_lost = world.now_us < partition_until_us(life->process, subscriber) ||
                       (!world.calm && world_chance(world.plan.published_lost));
        world.result->lost_frames += is_lost;
        if (is_lost) {
            event_drop(event);
            continue;
        }
        *last_us = at_us > *last_us ? at_us : *last_us;
        event_schedule(event, *last_us);
    }
}

void broker_publish(broker_life_t *life, fabric_bytes_t map)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_map(&frame, &(message_map_t){.map = map});
    publish(life, wire_writer_bytes(&frame), true);
    wire_writer_destroy(&frame);
}

void broker_publish_heartbeat(broker_life_t *life)
{
    if (!world.plan.subscribes || world.now_us < life->heartbeat_us) {
        return;
    }
    wire_writer_t frame = {0};
    life->heartbeat_us = world.now_us + HEARTBEAT_US;
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_ping(&frame, &(message_ping_t){.sequence = ++life->heartbeats,
                                               .map_term = life->map_version.term,
                                               .map_sequence = life->map_version.sequence});
    publish(life, wire_writer_bytes(&frame), false);
    wire_writer_destroy(&frame);
}

/* ---- clients without maps ---- */

fabric_bytes_t publication_strip(fabric_bytes_t frame, wire_writer_t *rest)
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    if (frame_open(frame, &reader, &head)) {
        return frame;
    }
    frame_begin(rest, &head);
    while (frame_next(&reader, &body)) {
        fabric_bytes_t message = {body.next, wire_left(&body)};
        message_welcome_t welcome;
        if (message_open(&body, &kind) || kind == KIND_MAP) {
            continue;
        }
        if (kind == KIND_WELCOME && world.plan.mapless_welcomes &&
            !message_get_welcome(&body, &welcome)) {
            welcome.map = (fabric_bytes_t){NULL, 0};
            message_put_welcome(rest, &welcome);
        } else {
            wire_put_bin(rest, message);
        }
    }
    return wire_writer_bytes(rest);
}
