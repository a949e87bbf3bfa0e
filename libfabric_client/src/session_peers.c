/* Peers: learning endpoints, greeting, welcoming, breaking, and the map that they bring. */
#include "libfabric_client/src/session_state.h"

#include <stdio.h>

#include "core/endpoint.h"

/* ---- learning ---- */

static uint32_t find_endpoint(const session_t *session, const char *endpoint)
{
    for (uint32_t i = 0; i < session->peer_count; i++) {
        const peer_t *peer = &session->peers[i];
        if (peer->state != PEER_UNUSED && strcmp(peer->endpoint, endpoint) == 0) {
            return i;
        }
    }
    return NO_PEER;
}

static uint32_t add_peer(session_t *session, const char *endpoint)
{
    uint32_t index = 0;
    while (index < session->peer_count && session->peers[index].state != PEER_UNUSED) {
        index++;
    }
    if (index == SESSION_PEERS_MAX) {
        return NO_PEER;
    }
    if (index == session->peer_count) {
        session->peer_count++;
    }
    peer_t *peer = &session->peers[index];
    snprintf(peer->endpoint, sizeof peer->endpoint, "%s", endpoint);
    peer->state = PEER_CONNECTING;
    peer->reopen_at_ms = NEVER;
    peer->first_contact = false;
    peer->refusal = peer->rejection = FABRIC_OK;
    session_act(session, peer, ACTION_OPEN);
    return index;
}

uint32_t session_learn(session_t *session, const char *endpoint)
{
    uint32_t known = find_endpoint(session, endpoint);
    if (known != NO_PEER) {
        return known;
    }
    reason_t reason;
    if (endpoint_check(endpoint, &reason) != FABRIC_OK || strchr(endpoint, '*') ||
        !(session->allow_plaintext || endpoint_is_local(endpoint))) {
        return NO_PEER;
    }
    return add_peer(session, endpoint);
}

fabric_error_t session_add_endpoint(session_t *session, const char *endpoint, size_t *peer)
{
    uint32_t index = find_endpoint(session, endpoint);
    if (index == NO_PEER) {
        index = add_peer(session, endpoint);
    }
    if (index == NO_PEER) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    session->peers[index].first_contact = true;
    *peer = index;
    return FABRIC_OK;
}

uint32_t session_find_broker(const session_t *session, incarnation_t broker)
{
    for (uint32_t i = 0; i < session->peer_count; i++) {
        const peer_t *peer = &session->peers[i];
        if (peer->state == PEER_WELCOME && incarnation_equal(peer->broker, broker)) {
            return i;
        }
    }
    return NO_PEER;
}

/* Actions that the shell has not taken yet are joined into one. */
void session_act(session_t *session, peer_t *peer, session_action_kind_t action)
{
    if (!peer->action_due) {
        peer->action = action;
    } else if (action == ACTION_CLOSE) {
        if (peer->action == ACTION_OPEN) {
            peer->action_due = false;
            return;
        }
        peer->action = ACTION_CLOSE;
    } else if (peer->action == ACTION_CLOSE) {
        peer->action = ACTION_REOPEN; /* the old connection is still there */
    }
    peer->action_due = true;
    session->actions_due = true;
}

/* A client that knows one broker only would be blind when that one dies. */
static void keep_spare(session_t *session)
{
    size_t welcome = 0;
    for (size_t i = 0; i < session->peer_count; i++) {
        welcome += session->peers[i].state == PEER_WELCOME;
    }
    size_t count = shard_map_broker_count(session->map);
    if (welcome >= 2 || count == 0) {
        return;
    }
    size_t start = (size_t)session_random(session, count - 1);
    for (size_t i = 0; i < count; i++) {
        const map_broker_t *broker = shard_map_broker_at(session->map, (start + i) % count);
        if (session_find_broker(session, broker->incarnation) == NO_PEER &&
            find_endpoint(session, broker->router_endpoint) == NO_PEER &&
            session_learn(session, broker->router_endpoint) != NO_PEER) {
            return;
        }
    }
}

/* ---- breaking ---- */

static void take_back_sent(session_t *session, peer_t *peer, call_t *call)
{
    if (peer->frame.size > 0 && call->frame == peer->frame_number) {
        call->sends--; /* that frame never left */
    }
    bool durable = (call->flags & REQUEST_DURABLE) != 0;
    if (durable || call->query || call_certainly_not_accepted(call)) {
        session_take_back(session, call);
    } else {
        session_end_text(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN,
                         "the connection to the broker broke before its answer");
    }
}

void session_break(session_t *session, uint32_t index, peer_state_t next)
{
    peer_t *peer = &session->peers[index];
    peer->state = next;
    peer->reopen_at_ms = NEVER;
    peer->broker = (incarnation_t){{0}};
    peer->hello_due = peer->ping_due = peer->map_wanted_due = peer->bye_due = false;
    peer->blocked = false;
    for (call_t *call = session->open.first; call;) {
        call_t *following = call->open.next;
        if (call->peer == index && call->state == CALL_READY) {
            session_take_back(session, call);
        } else if (call->peer == index && call->state == CALL_SENT) {
            take_back_sent(session, peer, call);
        }
        call = following;
    }
    session_forget_room(session, index);
    wire_writer_reset(&peer->frame);
    peer->frame_number++;
    if (!session->closed) {
        keep_spare(session);
        session_reroute(session);
    }
}

static void close_peer(session_t *session, uint32_t index)
{
    peer_t *peer = &session->peers[index];
    bool first_contact = peer->first_contact;
    session_act(session, peer, ACTION_CLOSE);
    session_break(session, index, first_contact ? PEER_RESTING : PEER_UNUSED);
    peer->ping_at_ms = NEVER; /* until no broker is left: see session_tick_peers */
}

/* Lets a peer alone for a while. */
static void rest(session_t *session, uint32_t index)
{
    session_break(session, index, PEER_RESTING);
    session->peers[index].ping_at_ms =
        session->now_ms + REFUSED_RETRY_MS / 2 + session_random(session, REFUSED_RETRY_MS);
}

void session_unreadable(session_t *session, size_t index, uint64_t now_ms)
{
    assert(index < SESSION_PEERS_MAX);
    session->now_ms = now_ms;
    session->stats.malformed++;
    if (index < session->peer_count && session->peers[index].state != PEER_UNUSED &&
        !session->peers[index].action_due) {
        session_act(session, &session->peers[index], ACTION_CLOSE);
        rest(session, (uint32_t)index);
    }
}

/* ---- greeting and welcome ---- */

void session_greet(session_t *session, uint32_t index)
{
    peer_t *peer = &session->peers[index];
    peer->state = PEER_GREETING;
    peer->connection = ++session->connection;
    peer->hello_due = true;
    peer->heard_at_ms = session->now_ms;
}

static void keep_text(char kept[256], fabric_bytes_t text)
{
    size_t size = text.size < 256 ? text.size : 255;
    if (size > 0) {
        memcpy(kept, text.data, size);
    }
    kept[size] = '\0';
}

void session_refused(session_t *session, uint32_t index, fabric_error_t error, fabric_bytes_t text)
{
    peer_t *peer = &session->peers[index];
    keep_text(peer->refusal_text, text);
    peer->refusal = error;
    rest(session, index);
}

void session_cannot_connect(session_t *session, size_t index, const char *text)
{
    assert(index < SESSION_PEERS_MAX);
    peer_t *peer = &session->peers[index];
    keep_text(peer->refusal_text, fabric_bytes_of(text));
    peer->refusal = FABRIC_ERROR_NOT_CONNECTED;
}

void session_rejected(session_t *session, uint32_t index, call_t *call, fabric_error_t error,
                      fabric_bytes_t text)
{
    peer_t *peer = &session->peers[index];
    call->refusals++;
    call->refusal = error;
    call->refused_by = index;
    if (text.size > 0 || error != peer->rejection) {
        keep_text(peer->rejection_text, text);
    }
    peer->rejection = error;
}

/* Whether the welcome is of our cluster and protocol. */
static fabric_error_t check_welcome(const session_t *session, const message_welcome_t *welcome)
{
    uint32_t shards = shard_map_shards_per_group(session->map);
    if (welcome->protocol != LIMIT_PROTOCOL_VERSION) {
        return FABRIC_ERROR_UNSUPPORTED_VERSION;
    }
    if ((session->cluster_name[0] &&
         !fabric_bytes_equal(welcome->cluster_name, fabric_bytes_of(session->cluster_name))) ||
        (session->cluster_known &&
         !fabric_bytes_equal(welcome->cluster_id,
                             fabric_bytes(session->cluster_id, sizeof session->cluster_id)))) {
        return FABRIC_ERROR_FOREIGN_CLUSTER;
    }
    if (shards != 0 && shards != welcome->shards_per_group) {
        return FABRIC_ERROR_SHARDS_MISMATCH;
    }
    return FABRIC_OK;
}

static void learn_cluster(session_t *session, const message_welcome_t *welcome)
{
    memcpy(session->cluster_id, welcome->cluster_id.data, sizeof session->cluster_id);
    session->cluster_known = true;
    shard_map_set_shards_per_group(session->map, (uint32_t)welcome->shards_per_group);
    session->heartbeat_ms = welcome->heartbeat_ms;
    if (session->heartbeat_ms < HEARTBEAT_MS_MIN) {
        session->heartbeat_ms = HEARTBEAT_MS_MIN;
    } else if (session->heartbeat_ms > HEARTBEAT_MS_MAX) {
        session->heartbeat_ms = HEARTBEAT_MS_MAX;
    }
}

void session_welcomed(session_t *session, uint32_t index, const message_welcome_t *welcome)
{
    peer_t *peer = &session->peers[index];
    if (peer->state != PEER_GREETING || peer->hello_due ||
        welcome->connection != peer->connection) {
        session->stats.unexpected++; /* it answers an older hello */
        return;
    }
    fabric_error_t error = check_welcome(session, welcome);
    if (error) {
        session_refused(session, index, error, fabric_bytes_of(fabric_error_meaning(error)));
        return;
    }
    incarnation_t broker;
    if (welcome->shards_per_group < 1 || welcome->shards_per_group > LIMIT_SHARDS_PER_GROUP_MAX ||
        welcome->cluster_id.size != sizeof session->cluster_id ||
        welcome->broker.size != sizeof broker.bytes) {
        session->stats.malformed++;
        return;
    }
    memcpy(broker.bytes, welcome->broker.data, sizeof broker.bytes);
    /* A broker counts the later of two connections of one client; so do we. */
    uint32_t twin = session_find_broker(session, broker);
    learn_cluster(session, welcome);
    peer->state = PEER_WELCOME;
    peer->broker = broker;
    peer->refusal = FABRIC_OK;
    peer->waits_due = true;
    peer->ping_at_ms = session->now_ms + session->heartbeat_ms;
    session->stats.connections++;
    if (twin != NO_PEER) {
        close_peer(session, twin);
    }
    if (welcome->map.size > 0) {
        session_take_map(session, index, welcome->map);
    }
    keep_spare(session);
    session_reroute(session);
}

/* ---- the map ---- */

static bool in_map(const session_t *session, const char *endpoint)
{
    for (size_t i = 0; i < shard_map_broker_count(session->map); i++) {
        if (strcmp(shard_map_broker_at(session->map, i)->router_endpoint, endpoint) == 0) {
            return true;
        }
    }
    return false;
}

/* Redirects came from the map of before. */
static void drop_overrides(session_t *session)
{
    for (uint16_t group = 0; group <= LIMIT_GROUPS_MAX; group++) {
        size_t count =
            group == 0 ? UNLOCATED_QUEUES : shard_map_shards_per_group(session->map) + 1u;
        for (size_t i = 0; session->queues[group] && i < count; i++) {
            session->queues[group][i].override = NO_PEER;
        }
    }
}

void session_take_map(session_t *session, uint32_t peer, fabric_bytes_t map)
{
    bool changed = false;
    fabric_error_t error = shard_map_apply(session->map, map, &changed);
    if (error == FABRIC_ERROR_NOT_FOUND) {
        session->peers[peer].map_wanted_due = true;
    } else if (error) {
        session->stats.malformed++;
    }
    if (!changed) {
        return;
    }
    drop_overrides(session);
    for (uint32_t i = 0; i < session->peer_count; i++) {
        const peer_t *other = &session->peers[i];
        if (!other->first_contact && !in_map(session, other->endpoint) &&
            (other->state == PEER_CONNECTING || other->state == PEER_RESTING)) {
            close_peer(session, i);
        }
    }
    keep_spare(session);
    session_reroute(session);
}

/* ---- time ---- */

static void tick_peer(session_t *session, uint32_t index, bool alone)
{
    peer_t *peer = &session->peers[index];
    uint64_t now_ms = session->now_ms;
    bool silent = now_ms >= peer->heard_at_ms + SILENT_HEARTBEATS * session->heartbeat_ms;
    switch (peer->state) {
    case PEER_UNUSED:
        break;
    case PEER_CONNECTING:
        if (now_ms >= peer->reopen_at_ms) {
            session_act(session, peer, ACTION_REOPEN);
            peer->reopen_at_ms = NEVER;
        }
        if (peer->reopen_at_ms == NEVER) {
            peer->reopen_at_ms = now_ms + CONNECTING_MS;
        }
        break;
    case PEER_GREETING:
    case PEER_WELCOME:
        if (silent) {
            session_act(session, peer, ACTION_REOPEN);
            session_break(session, index, PEER_CONNECTING);
        } else if (peer->state == PEER_WELCOME && now_ms >= peer->ping_at_ms) {
            peer->ping_due = true;
            peer->ping_at_ms = now_ms + session->heartbeat_ms;
        }
        break;
    case PEER_RESTING:
        if (now_ms >= peer->ping_at_ms || (alone && peer->ping_at_ms == NEVER)) {
            peer->state = PEER_CONNECTING;
            peer->reopen_at_ms = NEVER;
            session_act(session, peer, ACTION_REOPEN);
        }
        break;
    }
}

void session_tick_peers(session_t *session)
{
    if (session->closed) {
        return;
    }
    bool alone = !session_is_welcome(session);
    for (uint32_t i = 0; i < session->peer_count; i++) {
        tick_peer(session, i, alone);
    }
}
