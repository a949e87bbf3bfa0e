/* Connections of the router: routing ids, frames on their way out, who is alive. */
#include "broker/router/hello.h"
#include "broker/router/membership.h"
#include "broker/router/poison.h"
#include "broker/router/protocol_violation.h"
#include "broker/router/router_state.h"

enum {
    UNIDENTIFIED_MS = 10000,
    QUEUED_BYTES_MAX = 64 << 20,
    SPARE_FRAME_BYTES_MAX = 1 << 20,
    SPARE_FRAMES_MAX = 1024,
    CLOSING_TICKS = 2,   /* so that a refusal gets out */
    TURNED_AWAY_MAX = 64 /* peers beyond peers_max that are told so, in one tick */
};

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
    peer_t **peers = realloc(router->peers, capacity * sizeof(peer_t *));
    if (!peers) {
        abort();
    }
    memset(peers + before, 0, (capacity - before) * sizeof(peer_t *));
    router->peers = peers;
    router->peer_capacity = capacity;
    return before;
}

peer_t *peer_find_or_add(router_t *router, fabric_bytes_t routing_id)
{
    peer_t *peer = peer_find(router, routing_id);
    if (peer || router->peer_count >= router->config.peers_max + TURNED_AWAY_MAX ||
        routing_id.size == 0 || routing_id.size > sizeof peer->routing_id) {
        router->counters.refused += !peer;
        return peer;
    }
    peer = calloc(1, sizeof *peer);
    if (!peer) {
        abort();
    }
    memcpy(peer->routing_id, routing_id.data, routing_id.size);
    peer->routing_id_size = routing_id.size;
    peer->heard_ms = router->now_ms;
    peer->handle = free_handle(router);
    router->peers[peer->handle] = peer;
    router->peer_count++;
    HASH_ADD(by_routing_id, router->peers_by_routing_id, routing_id, peer->routing_id_size, peer);
    if (router->peer_count > router->config.peers_max) {
        peer_refuse(router, peer, FABRIC_ERROR_BUSY,
                    "this broker has as many peers as it may have: see peers_max");
        peer->retired = true;
        peer->closing = CLOSING_TICKS;
    }
    return peer;
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
    } else if (!(frame = calloc(1, sizeof *frame))) {
        abort();
    }
    frame->next = NULL;
    /* Only what the next home will know, too: clients name it as floors of their calls. */
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

/* Counts what was put into the last frame since the last time. */
static void count_last(router_t *router, peer_t *peer)
{
    size_t size = peer->last ? peer->last->writer.size : 0;
    router->queued_bytes += size - peer->last_bytes;
    peer->queued_bytes += size - peer->last_bytes;
    peer->last_bytes = size;
}

/* Whether it reads too slowly: by itself, or together with others that do not read either, of whom it holds more than its share. */
static bool overflows(const router_t *router, const peer_t *peer)
{
    uint64_t shared = router->config.memory_bytes_max / 2;
    return peer->queued_bytes > QUEUED_BYTES_MAX ||
           (router->queued_bytes > shared && peer->queued_bytes > shared / router->peer_count);
}

wire_writer_t *peer_writer(router_t *router, peer_t *peer)
{
    count_last(router, peer);
    if (peer->closing == 0 && overflows(router, peer)) {
        peer->retired = true; /* whoever it was has to say hello again */
        peer->closing = CLOSING_TICKS;
        router->counters.overflowed++;
        violation(router, peer, FABRIC_ERROR_BUSY, "it does not read what it is sent");
    }
    if (peer->closing > 0) {
        router->counters.unsent++;
        wire_writer_reset(&router->scratch);
        return &router->scratch;
    }
    offer(router, peer);
    if (!peer->last) {
        peer->first = peer->last = frame_new(router);
    } else if (peer->last->writer.size >= LIMIT_FRAME_BYTES_GOAL) {
        peer->last_bytes = 0;
        peer->last->next = frame_new(router);
        peer->last = peer->last->next;
    }
    return &peer->last->writer;
}

bool router_next_frame(router_t *router, router_frame_t *frame)
{
    peer_t *peer = router->offered;
    if (!peer) {
        return false;
    }
    *frame = (router_frame_t){
        .routing_id = fabric_bytes(peer->routing_id, peer->routing_id_size),
        .bytes = wire_writer_bytes(&peer->first->writer),
        .peer = peer->handle,
    };
    return true;
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

/* ---- the end of a connection ---- */

void peer_detach(router_t *router, peer_t *peer)
{
    if (peer->client) {
        client_leave(router, peer->client);
    }
    if (peer->runner) {
        runner_unlinked(router, peer->runner);
    }
}

void peer_remove(router_t *router, peer_t *peer)
{
    peer_detach(router, peer);
    withdraw(router, peer);
    while (peer->first) {
        router->counters.unsent++;
        drop_first_frame(router, peer);
    }
    HASH_DELETE(by_routing_id, router->peers_by_routing_id, peer);
    router->peers[peer->handle] = NULL;
    router->peer_count--;
    free(peer);
}

void router_frame_sent(router_t *router, uint32_t handle)
{
    peer_t *peer = router->peers[handle];
    if (!peer || !peer->first) {
        return; /* it was removed meanwhile */
    }
    drop_first_frame(router, peer);
    if (!peer->first) {
        withdraw(router, peer);
        if (peer->closing > 0) { /* it has been told why */
            peer_remove(router, peer);
        }
    }
}

void router_frame_unreachable(router_t *router, uint32_t handle, uint64_t now_ms)
{
    router->now_ms = now_ms;
    peer_t *peer = router->peers[handle];
    if (!peer) {
        return;
    }
    if (peer->runner) {
        runner_note_unreachable(peer->runner); /* it is not given up because it takes nothing */
        poison_runner_unreachable(router, peer->runner);
    }
    peer_remove(router, peer);
}

void peers_sweep(router_t *router)
{
    for (uint32_t i = 0; i < router->peer_capacity; i++) {
        peer_t *peer = router->peers[i];
        if (!peer) {
            continue;
        }
        if (peer->blocked) {
            peer->blocked = false;
            if (peer->first) {
                offer(router, peer);
            }
        }
        uint64_t silent_ms = router->now_ms - peer->heard_ms;
        bool unidentified = !peer->client && !peer->runner;
        if ((unidentified && silent_ms > UNIDENTIFIED_MS) ||
            (peer->closing > 0 && --peer->closing == 0) ||
            (peer->client && silent_ms > 10 * (uint64_t)router->config.client_heartbeat_ms)) {
            peer_remove(router, peer);
            continue;
        }
        if (peer->map_due) {
            peer_send_map(router, peer);
        }
        if (peer->client && router->now_ms >= peer->client->deadline_ms) {
            client_tell_overdue(router, peer->client);
        }
    }
}

bool document_allowed(router_t *router)
{
    return router->documents < DOCUMENTS_PER_TICK && ++router->documents > 0;
}

void peer_send_map(router_t *router, peer_t *peer)
{
    peer->map_due = !document_allowed(router);
    if (!peer->map_due) {
        wire_writer_t map = {0};
        shard_map_encode_snapshot(router->map, &map);
        message_map_t message = {.map = wire_writer_bytes(&map)};
        message_put_map(peer_writer(router, peer), &message);
        wire_writer_destroy(&map);
    }
}

void peers_destroy(router_t *router)
{
    for (uint32_t i = 0; i < router->peer_capacity; i++) {
        peer_t *peer = router->peers[i];
        if (peer) {
            if (peer->runner) {
                runner_disconnect(peer->runner);
            }
            peer_remove(router, peer);
        }
    }
    free(router->peers);
    while (router->spare_frames) {
        out_frame_t *frame = router->spare_frames;
        router->spare_frames = frame->next;
        wire_writer_destroy(&frame->writer);
        free(frame);
    }
}
