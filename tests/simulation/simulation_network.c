/* The simulated network. See simulation_network.h. */
#include "tests/simulation/simulation_network.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/message.h"
#include "tests/simulation/simulation_steps.h"
#include "tests/simulation/simulation_faults.h"
#include "tests/simulation/simulation_reporter.h"

enum {
    DELAY_US_MIN = 50,
    CONNECT_US_MAX = 3000,
    RECONNECT_US_MIN = 8000,
    RECONNECT_US_MAX = 30000,
    DIE_US_MAX = 3000, /* until the other end of a dead process's connection learns it */
    FULL_US_MAX = 20000,
    REPEAT_US_MAX = 100000
};

static channel_t **connections;
static size_t connection_count, connection_capacity;

const char *network_endpoint(unsigned broker)
{
    static const char *const endpoints[BROKERS_MAX] = {
        "tcp://127.0.0.1:7000", "tcp://127.0.0.1:7001", "tcp://127.0.0.1:7002",
        "tcp://127.0.0.1:7003", "tcp://127.0.0.1:7004"};
    return endpoints[broker];
}

static process_t *broker_at(const char *endpoint)
{
    for (unsigned i = 0; i < BROKERS_MAX; i++) {
        if (strcmp(endpoint, network_endpoint(i)) == 0) {
            return world.brokers[i];
        }
    }
    world_fail("a connection to %s, where nobody ever was", endpoint);
    return world.brokers[0];
}

/* ---- frames ---- */

static uint64_t frame_hash(fabric_bytes_t frame)
{
    return XXH3_64bits(frame.data, frame.size) & 0xffffffff;
}

static void on_frame(event_t *event);

/* Marks beside the number of a frame. */
#define FRAME_LATE     (UINT64_C(1) << 63) /* it arrives in spite of a cut */
#define FRAME_REPEATED (UINT64_C(1) << 62) /* likewise, for the second time */

static event_t *copy_frame(const event_t *event, uint64_t marks)
{
    event_t *copy = event_new(event->process, on_frame, event->subject, event->size);
    copy->life = event->life;
    copy->number = event->number;
    copy->extra = event->extra | marks;
    memcpy(copy->bytes, event->bytes, event->size);
    return copy;
}

/* The frames in flight that arrive in spite of a cut: the first ones, late. A repeated one comes
 * behind all of them, also where its broker was frozen meanwhile. */
static bool is_lost_or_late(event_t *event, channel_t *connection, size_t direction)
{
    uint64_t late_us = world.now_us + connection->late_us[direction];
    if (event->extra & FRAME_REPEATED &&
        connection->arrived[direction] < (event->extra & UINT32_MAX)) {
        event_schedule(copy_frame(event, 0), late_us);
        return true;
    }
    if (!connection->cut || event->extra & FRAME_LATE) {
        return false;
    }
    if (event->extra > connection->survive[direction]) {
        world_note("frame.lost", connection->routing, direction, event->extra);
        world.result->lost_frames++;
        return true;
    }
    event_schedule(copy_frame(event, FRAME_LATE), late_us);
    return true;
}

/* A fault may wait for one of the messages. */
static void note_steps(process_t *process, step_kind_t step, fabric_bytes_t frame)
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    if (!steps_wait_for_frames() || frame_open(frame, &reader, &head)) {
        return;
    }
    while (frame_next(&reader, &body)) {
        if (!message_open(&body, &kind)) {
            steps_pass(process, step, (unsigned)kind);
        }
    }
}

static void on_frame(event_t *event)
{
    channel_t *connection = event->subject;
    size_t direction = event->number;
    fabric_bytes_t frame = fabric_bytes(event->bytes, event->size);
    if (is_lost_or_late(event, connection, direction)) {
        return;
    }
    process_t *process = event->process;
    const dealer_t *dealer = &process->dealers[connection->dealer];
    if (direction == TO_PEER && dealer->generation != connection->generation) {
        return; /* the socket that it was for is closed */
    }
    world.result->late += connection->cut;
    connection->arrived[direction]++;
    connection->heard_us = direction == TO_PEER ? world.now_us : connection->heard_us;
    world_note(direction == TO_BROKER ? "frame.to_broker" : "frame.to_peer", connection->routing,
               event->extra & 0xffffffff, frame_hash(frame));
    network_trace("got", connection, direction, frame);
    note_steps(process, STEP_FRAME_ARRIVED, frame);
    process->receive(process, connection->dealer, connection, frame);
    process_touch(process);
}

/* Peers themselves send again what is durable; nobody does that with a volatile message, by
 * whichever way it goes. */
static bool is_repeatable(fabric_bytes_t frame)
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    message_request_t request;
    if (frame_open(frame, &reader, &head)) {
        return false;
    }
    while (frame_next(&reader, &body)) {
        if (message_open(&body, &kind)) {
            continue;
        }
        wire_reader_t carrier = body;
        fabric_bytes_t inner = network_inner_frame(kind, &carrier);
        bool is_volatile = kind == KIND_REQUEST && !message_get_request(&body, &request) &&
                           !(request.flags & REQUEST_DURABLE);
        if (is_volatile || (inner.size > 0 && !is_repeatable(inner))) {
            return false;
        }
    }
    return true;
}

/* A frame on its way arrives again, as one of a connection that was cut behind it. */
static void repeat_frame(const event_t *event, channel_t *connection)
{
    event_t *again = copy_frame(event, FRAME_LATE | FRAME_REPEATED);
    connection->repeats = false;
    network_cut(connection, (cut_t){world_between(0, DIE_US_MAX), world_between(0, DIE_US_MAX)});
    connection->survive[TO_BROKER] = connection->sent[TO_BROKER];
    /* Not before the frames that were sent earlier, which come late now. */
    uint64_t behind_us = event->at_us + connection->late_us[TO_BROKER];
    event_schedule(again, behind_us + world_between(0, REPEAT_US_MAX));
}

static void send_frame(channel_t *connection, size_t direction, fabric_bytes_t frame)
{
    uint64_t number = ++connection->sent[direction];
    network_trace("put", connection, direction, frame);
    process_t *to = direction == TO_BROKER ? connection->broker : connection->peer;
    process_t *from = direction == TO_BROKER ? connection->peer : connection->broker;
    note_steps(from, STEP_FRAME_SENT, frame);
    if (connection->cut) {
        world.result->lost_frames++;
        return; /* the receiver has ended, and the sender does not know yet */
    }
    event_t *event = event_new(to, on_frame, connection, frame.size);
    event->life = direction == TO_BROKER ? connection->broker_life : connection->peer_life;
    event->number = direction;
    event->extra = number;
    memcpy(event->bytes, frame.data, frame.size);
    uint64_t at_us = world.now_us + world_between(DELAY_US_MIN, world.plan.delay_us);
    uint64_t passable_us = partition_until_us(from, to);
    at_us = at_us > connection->last_us[direction] ? at_us : connection->last_us[direction];
    at_us = at_us > passable_us ? at_us : passable_us;
    connection->last_us[direction] = at_us;
    event_schedule(event, at_us);
    if (connection->repeats && direction == TO_BROKER && is_repeatable(frame)) {
        repeat_frame(event, connection);
    }
}

/* Now and then a pipe is full for a while. */
static bool is_full(channel_t *connection, size_t direction)
{
    if (world.now_us < connection->full_until_us[direction]) {
        return true;
    }
    if (!world.calm && world_chance(world.plan.full)) {
        connection->full_until_us[direction] = world.now_us + world_between(100, FULL_US_MAX);
        world_note("frame.full", connection->routing, direction, 0);
        return true;
    }
    return false;
}

/* ---- connecting ---- */

static void attempt_later(process_t *process, size_t index, uint64_t after_us);

static bool is_current(const event_t *event)
{
    const dealer_t *dealer = &event->process->dealers[event->number];
    return dealer->open && dealer->generation == event->extra;
}

static channel_t *connection_new(process_t *peer, size_t index)
{
    if (connection_count == connection_capacity) {
        connection_capacity = connection_capacity ? 2 * connection_capacity : 64;
        connections = realloc(connections, connection_capacity * sizeof *connections);
    }
    channel_t *connection = calloc(1, sizeof *connection);
    if (!connections || !connection) {
        abort();
    }
    dealer_t *dealer = &peer->dealers[index];
    *connection = (channel_t){.peer = peer,
                              .peer_life = peer->life,
                              .dealer = index,
                              .generation = dealer->generation,
                              .broker = dealer->broker,
                              .broker_life = dealer->broker->life,
                              .routing = connection_count + 1};
    connections[connection_count++] = connection;
    return connection;
}

/* The handshake is done, as seen by the peer. */
static void on_connected(event_t *event)
{
    process_t *process = event->process;
    channel_t *connection = event->subject;
    dealer_t *dealer = &process->dealers[event->number];
    if (!is_current(event)) {
        network_cut(connection, (cut_t){UINT64_MAX, world_between(100, DIE_US_MAX)});
        return;
    }
    if (connection->cut) {
        attempt_later(process, event->number, world_between(RECONNECT_US_MIN, RECONNECT_US_MAX));
        return;
    }
    world_note("connected", process->kind * 100 + process->index, connection->routing, 0);
    dealer->connection = connection;
    dealer->attempts = 0;
    process->connected(process, event->number);
    process_touch(process);
}

static void on_attempt(event_t *event)
{
    /* The peer's kernel may answer for a frozen broker, but no handshake is done. */
    process_t *process = event->process;
    size_t index = event->number;
    dealer_t *dealer = &process->dealers[index];
    if (!is_current(event) || dealer->connection) {
        return;
    }
    bool is_reachable = world.now_us >= partition_of_both_us(process, dealer->broker);
    if (!dealer->broker->accepting || dealer->broker->frozen || !is_reachable) {
        uint32_t doublings = dealer->attempts++ < 4 ? dealer->attempts : 4;
        attempt_later(process, index,
                      world_between(RECONNECT_US_MIN, RECONNECT_US_MAX) << doublings);
        return;
    }
    event_t *connected = event_new(process, on_connected, connection_new(process, index), 0);
    connected->number = index;
    connected->extra = dealer->generation;
    event_schedule(connected, world.now_us + world_between(100, CONNECT_US_MAX));
}

static void attempt_later(process_t *process, size_t index, uint64_t after_us)
{
    event_t *event = event_new(process, on_attempt, NULL, 0);
    event->number = index;
    event->extra = process->dealers[index].generation;
    event_schedule(event, world.now_us + after_us);
}

void dealer_open(process_t *process, size_t index, const char *endpoint)
{
    dealer_t *dealer = &process->dealers[index];
    if (dealer->open) {
        dealer_close(process, index);
    }
    *dealer = (dealer_t){
        .open = true, .generation = dealer->generation + 1, .broker = broker_at(endpoint)};
    attempt_later(process, index, world_between(50, 500));
}

void dealer_close(process_t *process, size_t index)
{
    dealer_t *dealer = &process->dealers[index];
    if (dealer->connection) {
        network_cut(dealer->connection, (cut_t){UINT64_MAX, world_between(100, DIE_US_MAX)});
    }
    dealer->open = false;
    dealer->connection = NULL;
    dealer->generation++;
}

bool dealer_is_writable(const process_t *process, size_t index)
{
    const channel_t *connection = process->dealers[index].connection;
    return connection && world.now_us >= connection->full_until_us[TO_BROKER];
}

static void on_writable(event_t *event)
{
    process_touch(event->process);
}

bool dealer_send(process_t *process, size_t index, fabric_bytes_t frame)
{
    dealer_t *dealer = &process->dealers[index];
    if (!dealer->connection) {
        return false;
    }
    if (is_full(dealer->connection, TO_BROKER)) {
        event_schedule(event_new(process, on_writable, NULL, 0),
                       dealer->connection->full_until_us[TO_BROKER]);
        return false;
    }
    send_frame(dealer->connection, TO_BROKER, frame);
    return true;
}

/* ---- brokers ---- */

fabric_bytes_t network_routing_id(const channel_t *connection, uint8_t bytes[5])
{
    bytes[0] = 0;
    for (size_t i = 0; i < 4; i++) {
        bytes[1 + i] = (uint8_t)(connection->routing >> (24 - 8 * i));
    }
    return fabric_bytes(bytes, 5);
}

channel_t *network_connection(fabric_bytes_t routing_id)
{
    uint64_t number = 0;
    for (size_t i = 0; i < routing_id.size; i++) {
        number = number << 8 | routing_id.data[i];
    }
    return number >= 1 && number <= connection_count ? connections[number - 1] : NULL;
}

routed_t network_route(process_t *broker, fabric_bytes_t routing_id, fabric_bytes_t frame)
{
    channel_t *connection = network_connection(routing_id);
    if (!connection || connection->broker != broker || connection->broker_life != broker->life ||
        connection->broker_told) {
        return ROUTED_UNREACHABLE;
    }
    if (is_full(connection, TO_PEER)) {
        return ROUTED_BLOCKED;
    }
    send_frame(connection, TO_PEER, frame);
    return ROUTED;
}

/* ---- faults ---- */

static void on_peer_told(event_t *event)
{
    process_t *process = event->process;
    channel_t *connection = event->subject;
    dealer_t *dealer = &process->dealers[connection->dealer];
    if (!dealer->open || dealer->connection != connection) {
        return;
    }
    world_note("disconnected", process->kind * 100 + process->index, connection->routing, 0);
    dealer->connection = NULL;
    process->disconnected(process, connection->dealer);
    process_touch(process);
    attempt_later(process, connection->dealer, world_between(RECONNECT_US_MIN, RECONNECT_US_MAX));
}

static void on_broker_told(event_t *event)
{
    channel_t *connection = event->subject;
    connection->broker_told = true;
}

static void draw_survivors(channel_t *connection, size_t direction)
{
    uint64_t arrived = connection->arrived[direction];
    connection->survive[direction] =
        world_chance(5000) ? arrived : world_between(arrived, connection->sent[direction]);
    connection->late_us[direction] =
        world_chance(5000) ? world_between(0, 2000) : world_between(0, 100000);
}

/* Each end learns of the cut, but not through a partition. */
static void tell_of_cut(channel_t *connection, cut_t cut)
{
    uint64_t to_peer_us = partition_until_us(connection->broker, connection->peer);
    uint64_t to_broker_us = partition_until_us(connection->peer, connection->broker);
    uint64_t least_us = to_peer_us > world.now_us ? to_peer_us : world.now_us;
    if (cut.peer_us != UINT64_MAX) {
        event_t *told = event_new(connection->peer, on_peer_told, connection, 0);
        told->life = connection->peer_life;
        event_schedule(told, least_us + cut.peer_us);
    }
    if (cut.broker_us != UINT64_MAX) {
        least_us = to_broker_us > world.now_us ? to_broker_us : world.now_us;
        event_schedule(event_new(NULL, on_broker_told, connection, 0), least_us + cut.broker_us);
    }
}

void network_cut(channel_t *connection, cut_t cut)
{
    if (connection->cut) {
        return;
    }
    world_note("cut", connection->routing, cut.peer_us, cut.broker_us);
    connection->cut = true;
    draw_survivors(connection, TO_BROKER);
    draw_survivors(connection, TO_PEER);
    tell_of_cut(connection, cut);
}

void network_repeat(channel_t *connection)
{
    connection->repeats = true;
}

void network_deliver_all(process_t *broker)
{
    for (size_t i = 0; i < connection_count; i++) {
        channel_t *connection = connections[i];
        if (connection->broker == broker && connection->broker_life == broker->life &&
            !connection->cut) {
            uint64_t last_us = connection->last_us[TO_PEER];
            uint64_t left_us = last_us > world.now_us ? last_us - world.now_us : 0;
            network_cut(connection, (cut_t){left_us + world_between(100, DIE_US_MAX), 0});
            connection->survive[TO_PEER] = connection->sent[TO_PEER];
            connection->late_us[TO_PEER] = 0;
        }
    }
}

void network_cut_all(process_t *process)
{
    for (size_t i = 0; i < connection_count; i++) {
        channel_t *connection = connections[i];
        bool ours = (connection->peer == process && connection->peer_life == process->life) ||
                    (connection->broker == process && connection->broker_life == process->life);
        if (ours) {
            network_cut(connection,
                        (cut_t){world_between(100, DIE_US_MAX), world_between(100, DIE_US_MAX)});
        }
    }
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        process->dealers[i].open = false;
        process->dealers[i].connection = NULL;
        process->dealers[i].generation++;
    }
}

unsigned network_lasting(const process_t *worker)
{
    unsigned standing = 0;
    unsigned others = 0;
    for (size_t i = 0; i < connection_count; i++) {
        const channel_t *connection = connections[i];
        const process_t *broker = connection->broker;
        unsigned bit = 1u << broker->index;
        if (connection->peer != worker || connection->peer_life != worker->life ||
            connection->dealer >= REPORTER_SOCKET) {
            continue;
        }
        bool stands = !connection->cut && connection->broker_life == broker->life;
        others |= stands ? standing & bit : bit;
        standing |= stands ? bit : 0;
    }
    return standing & ~others;
}

bool network_reaches(const process_t *process, const process_t *broker)
{
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        const channel_t *connection = process->dealers[i].connection;
        if (connection && connection->broker == broker && !connection->cut &&
            connection->broker_life == broker->life && connection->arrived[TO_PEER] >= 2) {
            return true;
        }
    }
    return false;
}

channel_t *network_pick(void)
{
    channel_t *picked = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < connection_count; i++) {
        channel_t *connection = connections[i];
        dealer_t *dealer = &connection->peer->dealers[connection->dealer];
        if (!connection->cut && dealer->connection == connection && world_random() % ++seen == 0) {
            picked = connection;
        }
    }
    return picked;
}

void network_free_all(void)
{
    for (size_t i = 0; i < connection_count; i++) {
        free(connections[i]);
    }
    free(connections);
    connections = NULL;
    connection_count = connection_capacity = 0;
}
