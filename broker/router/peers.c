/* Peers: routing ids, phases, frames on their way out. What follows from the end of a connection is
 * in connections.c. */
#include "broker/router/protocol_violation.h"
#include "broker/router/router_state.h"
#include "core/memory.h"
#include "core/state_machine.h"

enum {
    UNIDENTIFIED_MS = 10000,
    SILENT_HEARTBEATS = 10, /* a client that is silent for so long is gone */
    DOCUMENTS_PER_TICK = 64,
    QUEUED_BYTES_MAX = 64 << 20,
    SPARE_FRAME_BYTES_MAX = 1 << 20,
    SPARE_FRAMES_MAX = 1024,
    CLOSING_TICKS = 2,   /* time for a refusal to be sent */
    TURNED_AWAY_MAX = 64 /* peers beyond peers_max that are told so, in one tick */
};

static const state_description_t phases[] = {
    [PEER_UNIDENTIFIED] = {"unidentified", STATE_BIT(PEER_CLIENT) | STATE_BIT(PEER_WORKER) |
                                               STATE_BIT(PEER_BROKER) | STATE_BIT(PEER_RETIRED) |
                                               STATE_BIT(PEER_CLOSING)},
    [PEER_CLIENT] = {"client", STATE_BIT(PEER_UNIDENTIFIED) | STATE_BIT(PEER_RETIRED) |
                                   STATE_BIT(PEER_CLOSING)},
    [PEER_WORKER] = {"worker", STATE_BIT(PEER_UNIDENTIFIED) | STATE_BIT(PEER_RETIRED) |
                                   STATE_BIT(PEER_CLOSING)},
    [PEER_BROKER] = {"broker", STATE_BIT(PEER_UNIDENTIFIED) | STATE_BIT(PEER_RETIRED) |
                                   STATE_BIT(PEER_CLOSING)},
    [PEER_RETIRED] = {"retired", STATE_BIT(PEER_CLIENT) | STATE_BIT(PEER_WORKER) |
                                     STATE_BIT(PEER_BROKER) | STATE_BIT(PEER_CLOSING)},
    [PEER_CLOSING] = {"closing", 0},
};
static const state_machine_t machine = {"peer", phases, sizeof phases / sizeof *phases};

/* The only way to change a peer's phase. */
static void set_phase(peer_t *peer, peer_phase_t phase)
{
    state_machine_check(&machine, peer->phase, phase);
    peer->phase = phase;
}

peer_t *peer_find(router_t *router, fabric_bytes_t routing_id)
{
    peer_t *peer = NULL;
    HASH_FIND(by_routing_id, router->peers_by_routing_id, routing_id.data, routing_id.size, peer);
    return peer;
}

static uint32_t free_handle(router_t *router)
{
    for (uint32_t i = 0; i < router->peer_capacity; i++) {
        if (!router->peers[i]) {
            return i;
        }
    }
    uint32_t before = router->peer_capacity;
    uint32_t capacity = before ? 2 * before : 64;
    peer_t **peers = memory_resize(router->peers, capacity, sizeof(peer_t *));
    memset(peers + before, 0, (capacity - before) * sizeof(peer_t *));
    router->peers = peers;
    router->peer_capacity = capacity;
    return before;
}

/* The peer is removed after a few ticks. */
static void close_soon(peer_t *peer)
{
    set_phase(peer, PEER_CLOSING);
    peer->closing_ticks = CLOSING_TICKS;
}

/* NULL: there are too many. */
static peer_t *peer_new(router_t *router)
{
    if (router->peer_count >= router->config.peers_max + TURNED_AWAY_MAX) {
        router->counters.refused++;
        return NULL;
    }
    peer_t *peer = memory_allocate_zeroed(1, sizeof *peer);
    peer->heard_ms = router->now_ms;
    peer->handle = free_handle(router);
    router->peers[peer->handle] = peer;
    router->peer_count++;
    return peer;
}

static peer_t *refuse_surplus(router_t *router, peer_t *peer)
{
    if (router->peer_count > router->config.peers_max) {
        peer_refuse(router, peer, FABRIC_ERROR_BUSY,
                    "this broker has as many peers as it may have: see peers_max");
        close_soon(peer);
    }
    return peer;
}

peer_t *peer_find_or_add(router_t *router, fabric_bytes_t routing_id)
{
    peer_t *peer = peer_find(router, routing_id);
    if (peer) {
        return peer;
    }
    if (routing_id.size == 0 || routing_id.size > sizeof peer->routing_id) {
        router->counters.refused++;
        return NULL;
    }
    peer = peer_new(router);
    if (!peer) {
        return NULL;
    }
    memcpy(peer->routing_id, routing_id.data, routing_id.size);
    peer->routing_id_size = routing_id.size;
    HASH_ADD(by_routing_id, router->peers_by_routing_id, routing_id, peer->routing_id_size, peer);
    return refuse_surplus(router, peer);
}

peer_t *peer_find_tunnelled(const peer_t *carrier, uint64_t route)
{
    peer_t *peer = NULL;
    HASH_FIND(by_route, carrier->tunnelled, &route, sizeof route, peer);
    return peer;
}

peer_t *peer_find_or_add_tunnelled(router_t *router, peer_t *carrier, uint64_t route)
{
    peer_t *peer = peer_find_tunnelled(carrier, route);
    if (peer) {
        return peer;
    }
    peer = peer_new(router);
    if (!peer) {
        return NULL;
    }
    peer->carrier = carrier;
    peer->route = route;
    HASH_ADD(by_route, carrier->tunnelled, route, sizeof peer->route, peer);
    return refuse_surplus(router, peer);
}

/* ---- whom it connects ---- */

/* A closing peer stays closing until it is removed, whatever it connects. */
static void identify(peer_t *peer, peer_phase_t phase)
{
    if (peer->phase != phase && peer->phase != PEER_CLOSING) {
        set_phase(peer, phase);
    }
}

static void connect_nobody(peer_t *peer)
{
    if (peer->phase == PEER_CLIENT || peer->phase == PEER_WORKER || peer->phase == PEER_BROKER) {
        set_phase(peer, PEER_UNIDENTIFIED);
    }
}

void peer_set_client(peer_t *peer, client_t *client)
{
    peer->client = client;
    if (client) {
        identify(peer, PEER_CLIENT);
    } else {
        connect_nobody(peer);
    }
}

void peer_set_runner(peer_t *peer, runner_t *runner)
{
    peer->runner = runner;
    if (runner) {
        identify(peer, PEER_WORKER);
    } else {
        connect_nobody(peer);
    }
}

void peer_set_member(peer_t *peer, member_t *member)
{
    peer->member = member;
    if (member) {
        identify(peer, PEER_BROKER);
    } else {
        connect_nobody(peer);
    }
}

/* The handle of a peer is used again, so the number says which peer had it. */
uint64_t peer_origin(router_t *router, peer_t *peer)
{
    if (peer->origin == 0) {
        peer->origin = ++router->origins << 32 | peer->handle;
    }
    return peer->origin;
}

peer_t *peer_of_origin(const router_t *router, uint64_t origin)
{
    uint32_t handle = (uint32_t)origin;
    peer_t *peer = handle < router->peer_capacity ? router->peers[handle] : NULL;
    return peer && peer->origin == origin ? peer : NULL;
}

void peer_retire(peer_t *peer)
{
    identify(peer, PEER_RETIRED);
}

void peer_reinstate(peer_t *peer)
{
    identify(peer, peer->client ? PEER_CLIENT : peer->runner ? PEER_WORKER : PEER_BROKER);
}

void peer_heard(router_t *router, peer_t *peer)
{
    if (peer->phase != PEER_RETIRED && peer->phase != PEER_CLOSING) {
        peer->heard_ms = router->now_ms;
    }
}

/* ---- frames on their way out ---- */

static void offer(router_t *router, peer_t *peer)
{
    if (peer->offered || peer->blocked) {
        return;
    }
    peer->offered = true;
    peer->next_offered = NULL;
    if (router->offered) {
        router->offered_last->next_offered = peer;
    } else {
        router->offered = peer;
    }
    router->offered_last = peer;
}

static void withdraw(router_t *router, peer_t *peer)
{
    if (!peer->offered) {
        return;
    }
    peer_t **at = &router->offered;
    peer_t *before = NULL;
    while (*at != peer) {
        before = *at;
        at = &(*at)->next_offered;
    }
    *at = peer->next_offered;
    if (router->offered_last == peer) {
        router->offered_last = before;
    }
    peer->offered = false;
}

static out_frame_t *frame_new(router_t *router)
{
    out_frame_t *frame = router->spare_frames;
    if (frame) {
        router->spare_frames = frame->next;
        router->spare_count--;
        wire_writer_reset(&frame->writer);
    } else {
        frame = memory_allocate_zeroed(1, sizeof *frame);
    }
    frame->next = NULL;
    /* The highest id that other homes may also know: clients name it as the floor of their
     * calls. */
    frame_begin(&frame->writer, &(frame_head_t){LIMIT_PROTOCOL_VERSION, router->high_id_stored, 0});
    return frame;
}

static void frame_spare(router_t *router, out_frame_t *frame)
{
    if (frame->writer.capacity > SPARE_FRAME_BYTES_MAX) {
        wire_writer_destroy(&frame->writer);
    }
    if (router->spare_count == SPARE_FRAMES_MAX) {
        wire_writer_destroy(&frame->writer);
        free(frame);
        return;
    }
    router->spare_count++;
    frame->next = router->spare_frames;
    router->spare_frames = frame;
}

/* Counts the bytes that were put into the last frame since the previous call. */
static void count_last(router_t *router, peer_t *peer)
{
    size_t size = peer->last ? peer->last->writer.size : 0;
    router->queued_bytes += size - peer->last_bytes;
    peer->queued_bytes += size - peer->last_bytes;
    peer->last_bytes = size;
}

/* Whether one part in so many of its bounds is reached: its own frames are too many, or the frames
 * of all peers are, and it holds more than its share. A broker holds frames of many clients. */
static bool reaches(const router_t *router, const peer_t *peer, unsigned part)
{
    uint64_t shared = router->config.memory_bytes_max / 2 / part;
    return peer->queued_bytes > QUEUED_BYTES_MAX / part ||
           (router->queued_bytes > shared && !peer->member &&
            peer->queued_bytes > shared / router->peer_count);
}

/* Whether the peer reads too slowly. */
static bool overflows(const router_t *router, const peer_t *peer)
{
    return reaches(router, peer, 1);
}

bool peer_is_filling(const router_t *router, const peer_t *peer)
{
    return reaches(router, peer, 4);
}

wire_writer_t *peer_long_writer(router_t *router, peer_t *peer, size_t bytes)
{
    count_last(router, peer);
    if (peer->phase != PEER_CLOSING && overflows(router, peer)) {
        close_soon(peer);
        router->counters.overflowed++;
        violation_note(router, peer, FABRIC_ERROR_BUSY, "it does not read what it is sent");
    }
    if (peer->phase == PEER_CLOSING) {
        router->counters.unsent++;
        wire_writer_reset(&router->scratch);
        return &router->scratch;
    }
    offer(router, peer);
    if (!peer->last) {
        peer->first = peer->last = frame_new(router);
    } else if (peer->last->writer.size >= LIMIT_FRAME_BYTES_GOAL ||
               peer->last->writer.size + bytes > LIMIT_FRAME_BYTES_MAX) {
        peer->last_bytes = 0;
        peer->last->next = frame_new(router);
        peer->last = peer->last->next;
    }
    return &peer->last->writer;
}

wire_writer_t *peer_writer(router_t *router, peer_t *peer)
{
    return peer_long_writer(router, peer, 0);
}

static void drop_first_frame(router_t *router, peer_t *peer)
{
    out_frame_t *frame = peer->first;
    size_t counted = frame == peer->last ? peer->last_bytes : frame->writer.size;
    peer->first = frame->next;
    peer->queued_bytes -= counted;
    router->queued_bytes -= counted;
    if (!peer->first) {
        peer->last = NULL;
        peer->last_bytes = 0;
    }
    frame_spare(router, frame);
}

void router_frame_blocked(router_t *router, uint32_t handle)
{
    peer_t *peer = router->peers[handle];
    if (peer) {
        withdraw(router, peer);
        peer->blocked = true;
    }
}

void peer_offer_later(router_t *router, peer_t *peer)
{
    withdraw(router, peer);
    offer(router, peer);
}

void peer_drop_frame(router_t *router, peer_t *peer)
{
    drop_first_frame(router, peer);
    if (!peer->first) {
        withdraw(router, peer);
    }
}

void peer_refuse(router_t *router, peer_t *peer, fabric_error_t error, const char *text)
{
    message_refused_t refused = {.error = (uint64_t)error, .text = fabric_bytes_of(text)};
    message_put_refused(peer_writer(router, peer), &refused);
    router->counters.refused++;
    violation_note(router, peer, error, text);
}

/* ---- the map and other long documents ---- */

void documents_tick(router_t *router)
{
    router->documents = 0;
}

bool document_allowed(router_t *router)
{
    if (router->documents == DOCUMENTS_PER_TICK) {
        return false;
    }
    router->documents++;
    return true;
}

void peer_want_map(peer_t *peer)
{
    peer->map_due = true;
}

void peer_send_map(router_t *router, peer_t *peer)
{
    if (peer->map_due && document_allowed(router)) {
        peer->map_due = false;
        wire_writer_t map = {0};
        shard_map_encode_snapshot(router->map, &map);
        message_map_t message = {.map = wire_writer_bytes(&map)};
        message_put_map(peer_writer(router, peer), &message);
        wire_writer_destroy(&map);
    }
}

/* ---- the end of a peer ---- */

bool peer_frame_sent(router_t *router, peer_t *peer)
{
    if (!peer->first) {
        return false;
    }
    peer_drop_frame(router, peer);
    return !peer->first && peer->phase == PEER_CLOSING; /* the peer has been told why */
}

bool peer_tick(router_t *router, peer_t *peer)
{
    if (peer->blocked) {
        peer->blocked = false;
        if (peer->first) {
            offer(router, peer);
        }
    }
    uint64_t silent_ms = router->now_ms - peer->heard_ms;
    uint64_t client_ms = SILENT_HEARTBEATS * (uint64_t)router->config.client_heartbeat_ms;
    bool unidentified = !peer->client && !peer->runner && !peer->member;
    return (unidentified && silent_ms > UNIDENTIFIED_MS) ||
           (peer->phase == PEER_CLOSING && --peer->closing_ticks == 0) ||
           (peer->client && silent_ms > client_ms) ||
           (peer->member && silent_ms > router->config.lease_ms);
}

void peer_remove(router_t *router, peer_t *peer)
{
    withdraw(router, peer);
    while (peer->first) {
        router->counters.unsent++;
        drop_first_frame(router, peer);
    }
    if (peer->carrier) {
        HASH_DELETE(by_route, peer->carrier->tunnelled, peer);
    } else {
        HASH_DELETE(by_routing_id, router->peers_by_routing_id, peer);
    }
    router->peers[peer->handle] = NULL;
    router->peer_count--;
    free(peer);
}

/* Tunnelled peers go before the peers that carry them. */
static void remove_all(router_t *router, bool tunnelled)
{
    for (uint32_t i = 0; i < router->peer_capacity; i++) {
        peer_t *peer = router->peers[i];
        if (peer && (peer->carrier != NULL) == tunnelled) {
            peer_remove(router, peer);
        }
    }
}

void peers_destroy(router_t *router)
{
    remove_all(router, true);
    remove_all(router, false);
    free(router->peers);
    while (router->spare_frames) {
        out_frame_t *frame = router->spare_frames;
        router->spare_frames = frame->next;
        wire_writer_destroy(&frame->writer);
        free(frame);
    }
}
