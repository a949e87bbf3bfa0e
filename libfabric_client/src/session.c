/* The client session's making, connections as the shell sees them, and time: see session.h. */
#include "libfabric_client/src/session_state.h"

#include <stdio.h>
#include <stdlib.h>

#define BUCKETS_FIRST 1024

void *session_allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        abort();
    }
    return memory;
}

session_t *session_new(const session_config_t *config)
{
    session_t *session = session_allocate(1, sizeof *session);
    session->client_number = config->client_number;
    session->next_sequence = config->first_sequence ? config->first_sequence : 1;
    session->incarnation = config->incarnation;
    snprintf(session->name, sizeof session->name, "%s", config->name ? config->name : "");
    snprintf(session->cluster_name, sizeof session->cluster_name, "%s",
             config->cluster_name ? config->cluster_name : "");
    assert(config->pending_max >= 1 && config->pending_max <= LIMIT_PENDING_CALLS_MAX);
    session->pending_max = config->pending_max;
    session->allow_plaintext = config->allow_plaintext;
    session->random = config->seed;
    session->map = shard_map_new();
    session->route_generation = 1;
    session->map_generation = 1;
    session->heartbeat_ms = HEARTBEAT_MS;
    session->bucket_count = BUCKETS_FIRST;
    session->buckets = session_allocate(session->bucket_count, sizeof(call_t *));
    session->waiting_due_ms = NEVER;
    session->wheel_due_ms = NEVER;
    session->timed_due_ms = NEVER;
    session->room_due_ms = NEVER;
    session->probe_at_ms = NEVER;
    return session;
}

void session_destroy(session_t **session)
{
    session_t *self = *session;
    if (!self) {
        return;
    }
    for (call_t *call = self->open.first; call;) {
        call_t *next = call->open.next;
        call_destroy(&call);
        call = next;
    }
    for (call_t *call = session_next_done(self); call; call = session_next_done(self)) {
        call_destroy(&call);
    }
    for (size_t i = 0; i < self->peer_count; i++) {
        wire_writer_destroy(&self->peers[i].frame);
    }
    for (size_t i = 0; i <= LIMIT_GROUPS_MAX; i++) {
        free(self->queues[i]);
    }
    free(self->buckets);
    shard_map_destroy(&self->map);
    free(self);
    *session = NULL;
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
uint64_t session_random(session_t *session, uint64_t bound)
{
    session->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = session->random;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return bound == UINT64_MAX ? x : x % (bound + 1);
}

uint64_t session_backoff(session_t *session, uint32_t attempt)
{
    uint64_t bound = BACKOFF_MAX_MS;
    if (attempt < 16 && (uint64_t)BACKOFF_FIRST_MS << attempt < BACKOFF_MAX_MS) {
        bound = (uint64_t)BACKOFF_FIRST_MS << attempt;
    }
    return session_random(session, bound);
}

/* ---- connections ---- */

bool session_next_action(session_t *session, session_action_t *action)
{
    if (!session->actions_due) {
        return false;
    }
    for (size_t i = 0; i < session->peer_count; i++) {
        peer_t *peer = &session->peers[i];
        if (peer->action_due) {
            peer->action_due = false;
            action->kind = peer->action;
            action->peer = i;
            memcpy(action->endpoint, peer->endpoint, sizeof action->endpoint);
            return true;
        }
    }
    session->actions_due = false;
    return false;
}

/* What the shell says of a peer counts only while no action on its connection is due: until then it
 * speaks of a connection that the session has given up. */
static bool is_current(const session_t *session, size_t peer)
{
    assert(peer < SESSION_PEERS_MAX);
    return peer < session->peer_count && !session->peers[peer].action_due;
}

void session_connected(session_t *session, size_t peer, uint64_t now_ms)
{
    session->now_ms = now_ms;
    if (!is_current(session, peer) || session->closed) {
        return;
    }
    switch (session->peers[peer].state) {
    case PEER_UNUSED:
    case PEER_RESTING:
        return;
    case PEER_GREETING:
    case PEER_WELCOME:
        session_break(session, (uint32_t)peer, PEER_CONNECTING);
        break;
    case PEER_CONNECTING:
        break;
    }
    session_greet(session, (uint32_t)peer);
}

void session_disconnected(session_t *session, size_t peer, uint64_t now_ms)
{
    session->now_ms = now_ms;
    if (!is_current(session, peer)) {
        return;
    }
    peer_state_t state = session->peers[peer].state;
    if (state == PEER_GREETING || state == PEER_WELCOME) {
        session_break(session, (uint32_t)peer, PEER_CONNECTING);
    }
}

void session_writable(session_t *session, size_t peer)
{
    assert(peer < SESSION_PEERS_MAX);
    session->peers[peer].blocked = false;
}

bool session_is_blocked(const session_t *session, size_t peer)
{
    assert(peer < SESSION_PEERS_MAX);
    return session->peers[peer].blocked;
}

/* ---- time ---- */

void session_tick(session_t *session, uint64_t now_ms)
{
    session->now_ms = now_ms;
    if (now_ms >= session->wheel_due_ms) {
        session_expire(session);
    }
    session_retry_due(session);
    session_tick_peers(session);
    if (now_ms >= session->probe_at_ms) {
        session->probe_at_ms = NEVER;
        for (size_t i = 0; i < session->peer_count; i++) {
            session->peers[i].ping_due |= session->peers[i].state == PEER_WELCOME;
        }
        session_reroute(session);
    }
}

uint64_t session_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t session_next_deadline(const session_t *session)
{
    uint64_t due = session_earlier(session->wheel_due_ms, session->probe_at_ms);
    due = session_earlier(due, session_earlier(session->timed_due_ms, session->room_due_ms));
    due = session_earlier(due, session->waiting_due_ms);
    for (size_t i = 0; i < session->peer_count; i++) {
        const peer_t *peer = &session->peers[i];
        uint64_t silent_ms = peer->heard_at_ms + SILENT_HEARTBEATS * session->heartbeat_ms;
        switch (peer->state) {
        case PEER_UNUSED:
            break;
        case PEER_CONNECTING:
            due = session_earlier(due, peer->reopen_at_ms);
            break;
        case PEER_GREETING:
            due = session_earlier(due, silent_ms);
            break;
        case PEER_WELCOME:
            due = session_earlier(due, session_earlier(silent_ms, peer->ping_at_ms));
            break;
        case PEER_RESTING:
            due = session_earlier(due, peer->ping_at_ms);
            break;
        }
    }
    return due;
}

/* ---- state for the shell ---- */

session_stats_t session_stats(const session_t *session)
{
    return session->stats;
}

bool session_is_welcome(const session_t *session)
{
    for (size_t i = 0; i < session->peer_count; i++) {
        if (session->peers[i].state == PEER_WELCOME) {
            return true;
        }
    }
    return false;
}

fabric_error_t session_refusal(const session_t *session, const char **text)
{
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; i < session->peer_count; i++) {
        const peer_t *peer = &session->peers[i];
        if (!peer->first_contact) {
            continue;
        }
        fabric_error_class_t class = fabric_error_class(peer->refusal);
        if (class != FABRIC_CLASS_REJECTED && class != FABRIC_CLASS_FATAL) {
            return FABRIC_OK;
        }
        error = peer->refusal;
        *text = peer->refusal_text;
    }
    return error;
}

fabric_error_t session_cause(const session_t *session, reason_t *reason)
{
    fabric_error_t error = FABRIC_ERROR_NOT_CONNECTED;
    char text[sizeof reason->text] = "";
    for (size_t i = 0; i < session->peer_count; i++) {
        const peer_t *peer = &session->peers[i];
        if (!peer->first_contact || peer->refusal == FABRIC_OK) {
            continue;
        }
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s: %s (%d)%s%s", used ? "; " : "",
                 peer->endpoint, fabric_error_name(peer->refusal), (int)peer->refusal,
                 peer->refusal_text[0] ? ": " : "", peer->refusal_text);
        error = error == FABRIC_ERROR_NOT_CONNECTED ? peer->refusal : error;
    }
    return reason_set(reason, error, "%s", text);
}

size_t session_open_calls(const session_t *session)
{
    return session->open.count;
}

uint64_t session_settled(const session_t *session)
{
    return session->open.first ? session->open.first->sequence : session->next_sequence;
}
