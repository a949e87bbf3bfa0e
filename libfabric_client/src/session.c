/* The client session: making, connections as the shell sees them, calls that begin, and time. See
 * session.h. */
#include "libfabric_client/src/session_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"

session_t *session_new(const session_config_t *config)
{
    assert(config->pending_max >= 1 && config->pending_max <= LIMIT_PENDING_CALLS_MAX);
    session_t *session = memory_allocate_zeroed(1, sizeof *session);
    session->client_number = config->client_number;
    session->next_sequence = config->first_sequence ? config->first_sequence : 1;
    session->incarnation = config->incarnation;
    snprintf(session->name, sizeof session->name, "%s", config->name ? config->name : "");
    snprintf(session->cluster_name, sizeof session->cluster_name, "%s",
             config->cluster_name ? config->cluster_name : "");
    session->pending_max = config->pending_max;
    session->random = config->seed;
    session->map = shard_map_new();
    session->route_generation = 1;
    session->probe_at_ms = NEVER;
    peers_init(&session->peers, config->allow_plaintext, config->forward);
    call_table_init(&session->calls);
    shard_queues_init(&session->queues);
    session->events.wanted = config->events;
    return session;
}

void session_destroy(session_t **session)
{
    session_t *self = *session;
    if (!self) {
        return;
    }
    call_table_clear(&self->calls);
    shard_queues_clear(&self->queues);
    for (size_t i = 0; i < SESSION_PEERS_MAX; i++) {
        wire_writer_destroy(&self->frames[i].writer);
        wire_writer_destroy(&self->frames[i].cancels);
    }
    shard_map_destroy(&self->map);
    free(self);
    *session = NULL;
}

/* ---- connections ---- */

fabric_error_t session_add_endpoint(session_t *session, const char *endpoint, size_t *peer)
{
    uint32_t index = peers_add(&session->peers, endpoint);
    if (index == NO_PEER) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    peers_make_first_contact(&session->peers, index);
    *peer = index;
    return FABRIC_OK;
}

bool session_next_action(session_t *session, session_action_t *action)
{
    return peers_next_action(&session->peers, action);
}

void session_connected(session_t *session, size_t index, uint64_t now_ms)
{
    uint32_t peer = (uint32_t)index;
    session->now_ms = now_ms;
    if (!peers_is_current(&session->peers, index) || session->closed) {
        return;
    }
    switch (session->peers.list[peer].phase) {
    case PEER_UNUSED:
    case PEER_RESTING:
        return;
    case PEER_GREETING:
    case PEER_WELCOMED:
    case PEER_LEAVING:
        session_lose_connection(session, peer, "the connection was made anew");
        break;
    case PEER_CONNECTING:
        break;
    }
    session_greet(session, peer);
}

void session_disconnected(session_t *session, size_t index, uint64_t now_ms)
{
    session->now_ms = now_ms;
    if (!peers_is_current(&session->peers, index)) {
        return;
    }
    const peer_t *peer = &session->peers.list[index];
    if (peer->phase == PEER_GREETING || peer_answers(peer)) {
        session_lose_connection(session, (uint32_t)index, "the connection broke");
    }
}

void session_unreadable(session_t *session, size_t index, uint64_t now_ms)
{
    session->now_ms = now_ms;
    session_note_malformed(session, (uint32_t)index, FABRIC_ERROR_MALFORMED_MESSAGE);
    if (peers_is_current(&session->peers, index) &&
        session->peers.list[index].phase != PEER_UNUSED) {
        peers_act(&session->peers, (uint32_t)index, ACTION_CLOSE);
        session_rest(session, (uint32_t)index);
    }
}

void session_cannot_connect(session_t *session, size_t index, const char *text)
{
    assert(index < session->peers.count);
    fabric_bytes_t words = fabric_bytes_of(text);
    if (peers_note_refusal(&session->peers, (uint32_t)index, FABRIC_ERROR_NOT_CONNECTED, words)) {
        session_tell(session, EVENT_UNRESOLVED, (uint32_t)index, "not connected", words);
    }
}

/* ---- calls ---- */

/* A call that cannot be opened ends at once. */
static void refuse(session_t *session, call_t *call, fabric_error_t error, const char *text)
{
    call_become_done(call, error, fabric_bytes_of(text));
    call_table_add_done(&session->calls, call);
    session->stats.completed++;
}

static void take_sequence(session_t *session, call_t *call)
{
    if (call->sequence == 0) {
        call->sequence = session->next_sequence;
    }
    if (!call->keyed) {
        assert(call->sequence >= session->next_sequence);
        session->next_sequence = call->sequence + 1;
    }
}

void session_submit(session_t *session, call_t *call, uint64_t now_ms)
{
    session->now_ms = now_ms;
    session->stats.started++;
    take_sequence(session, call);
    if (session->closed) {
        refuse(session, call, FABRIC_ERROR_CLOSED, "the client is closed");
    } else if (session->calls.open.count >= session->pending_max) {
        refuse(session, call, FABRIC_ERROR_BUSY,
               "this client has as many calls open as its pending_max");
    } else if (call_table_find(&session->calls, call->sequence)) {
        refuse(session, call, FABRIC_ERROR_ALREADY_PROCESSING,
               "a call with this key is open on this client");
    } else {
        session_open_call(session, call);
        session_dispatch(session, call);
    }
}

call_t *session_next_done(session_t *session)
{
    return call_table_take_done(&session->calls);
}

static void set_due_to_welcomed(session_t *session, peer_due_t due)
{
    for (uint32_t i = 0; i < session->peers.count; i++) {
        if (peers_is_welcomed(&session->peers, i)) {
            peers_set_due(&session->peers, i, due);
        }
    }
}

void session_close(session_t *session)
{
    session->closed = true;
    while (session->calls.open.first) {
        call_t *call = session->calls.open.first;
        bool certain = call->query || call_certainly_not_accepted(call);
        session_end_text(session, call,
                         certain ? FABRIC_ERROR_CLOSED : FABRIC_ERROR_OUTCOME_UNKNOWN,
                         "the client was closed");
    }
    for (uint32_t i = 0; i < session->peers.count; i++) {
        const peer_t *peer = &session->peers.list[i];
        if (peer->phase == PEER_WELCOMED || peer->bye_wanted) {
            peers_set_due(&session->peers, i, DUE_BYE);
        }
    }
}

/* ---- frames and time ---- */

bool session_next_frame(session_t *session, uint64_t now_ms, size_t *peer, fabric_bytes_t *frame)
{
    session->now_ms = now_ms;
    session_dispatch_due(session);
    return session_build_next_frame(session, peer, frame);
}

void session_tick(session_t *session, uint64_t now_ms)
{
    session->now_ms = now_ms;
    session_expire(session);
    session_finish_leaving(session);
    session_dispatch_due(session);
    session_tick_peers(session);
    if (session_take_probe(session)) {
        set_due_to_welcomed(session, DUE_PING); /* pongs tell of newer maps */
        session_reroute(session);
    }
}

uint64_t session_next_deadline(const session_t *session)
{
    uint64_t due_ms = earlier(session->calls.wheel_due_ms, session_dispatch_deadline(session));
    return earlier(due_ms, peers_deadline(&session->peers));
}

/* ---- state for the shell ---- */

session_stats_t session_stats(const session_t *session)
{
    return session->stats;
}

bool session_is_welcome(const session_t *session)
{
    return peers_any_welcomed(&session->peers) != NO_PEER;
}

fabric_error_t session_refusal(const session_t *session, const char **text)
{
    return peers_refusal(&session->peers, text);
}

fabric_error_t session_cause(const session_t *session, reason_t *reason)
{
    return peers_cause(&session->peers, reason);
}
