/* Encoding: what is due to a peer, straight into that peer's frame. */
#include "libfabric_client/src/session_state.h"

static void put_hello(session_t *session, peer_t *peer)
{
    message_hello_t hello = {
        .protocol_min = LIMIT_PROTOCOL_VERSION,
        .protocol_max = LIMIT_PROTOCOL_VERSION,
        .role = ROLE_CLIENT,
        .cluster_id = fabric_bytes(session->cluster_id,
                                   session->cluster_known ? sizeof session->cluster_id : 0),
        .cluster_name = fabric_bytes_of(session->cluster_name),
        .incarnation = fabric_bytes(session->incarnation.bytes, sizeof session->incarnation.bytes),
        .connection = peer->connection,
        .client_number = session->client_number,
        .name = fabric_bytes_of(session->name),
    };
    message_put_hello(&peer->frame, &hello);
    peer->hello_due = false;
}

static void put_map_messages(session_t *session, peer_t *peer)
{
    map_version_t version = shard_map_version(session->map);
    if (peer->ping_due) {
        message_ping_t ping = {++peer->ping_sequence, version.term, version.sequence};
        message_put_ping(&peer->frame, &ping);
        peer->ping_due = false;
    }
    if (peer->map_wanted_due) {
        message_map_wanted_t wanted = {version.term, version.sequence};
        message_put_map_wanted(&peer->frame, &wanted);
        peer->map_wanted_due = false;
    }
}

/* The sequence that a home must have seen before this call. */
static uint64_t predecessor(const call_t *call)
{
    bool ordered = (call->flags & REQUEST_DURABLE) && shard_id_group(call->shard) != 0;
    return ordered && call->queue.previous ? call->queue.previous->sequence : 0;
}

static void put_request(session_t *session, peer_t *peer, call_t *call)
{
    bool first = call->sends == 0 && !call->keyed;
    if (first) {
        call->floor = session->high_id;
    }
    uint64_t left_ms =
        call->deadline_ms > session->now_ms ? call->deadline_ms - session->now_ms : 1;
    message_request_t request = {
        .sequence = call->sequence,
        .flags = call->flags | (first ? 0u : (uint64_t)REQUEST_RESEND),
        .type = call->type,
        .id = call->id,
        .tag = call->tag,
        .payload = call->payload,
        .predecessor = predecessor(call),
        .floor = call->floor,
        .primary_key = call->primary_key,
        .deadline_ms = left_ms,
        .traceparent = call->traceparent,
        .headers = call->headers,
    };
    if (call_certainly_not_accepted(call)) {
        call->unlinked = shard_id_group(call->shard) == 0;
    }
    message_put_request(&peer->frame, &request);
}

/* Its answers come under sequence 0, which no call has. */
static void put_waits_query(peer_t *peer)
{
    message_query_t query = {.name = fabric_bytes_of("waits")};
    message_put_query(&peer->frame, &query);
    peer->waits_due = false;
}

static void put_call(session_t *session, peer_t *peer, call_t *call)
{
    if (peer->waits_due && (call->flags & (REQUEST_DURABLE | REQUEST_TELL)) == REQUEST_DURABLE) {
        put_waits_query(peer);
    }
    if (call->query) {
        message_query_t query = {call->sequence, call->tag, call->payload};
        message_put_query(&peer->frame, &query);
    } else {
        put_request(session, peer, call);
    }
    session->stats.resent += call->sends > 0 && !call->query;
    call->sends++;
    call->frame = peer->frame_number;
    ready_list_remove(&peer->ready, call);
    call->state = CALL_SENT;
}

/* The next call to be sent; NULL: none. What has been ready since before an earlier call of its shard came
 * back waits behind that one. */
static call_t *next_ready(session_t *session, peer_t *peer)
{
    while (peer->ready.first && session_is_behind(session, peer->ready.first)) {
        session_fall_behind(session, peer->ready.first);
    }
    return peer->ready.first;
}

static bool is_due(session_t *session, peer_t *peer)
{
    return peer->hello_due || peer->bye_due ||
           (peer->state == PEER_WELCOME &&
            (next_ready(session, peer) || peer->ping_due || peer->map_wanted_due));
}

static void build_frame(session_t *session, peer_t *peer)
{
    frame_head_t head = {LIMIT_PROTOCOL_VERSION, session->high_id, session_settled(session)};
    frame_begin(&peer->frame, &head);
    if (peer->hello_due) {
        put_hello(session, peer);
    }
    if (peer->state == PEER_WELCOME) {
        put_map_messages(session, peer);
        while (next_ready(session, peer) && peer->frame.size < LIMIT_FRAME_BYTES_GOAL) {
            put_call(session, peer, peer->ready.first);
        }
    }
    if (peer->bye_due) {
        message_bye_t bye = {fabric_bytes_of("the client was closed")};
        message_put_bye(&peer->frame, &bye);
        peer->bye_due = false;
    }
}

bool session_next_frame(session_t *session, uint64_t now_ms, size_t *index, fabric_bytes_t *frame)
{
    session->now_ms = now_ms;
    session_retry_due(session);
    for (size_t i = 0; i < session->peer_count; i++) {
        size_t turn = (session->frame_turn + i) % session->peer_count;
        peer_t *peer = &session->peers[turn];
        if (peer->blocked || peer->action_due) {
            continue;
        }
        if (peer->frame.size == 0 && is_due(session, peer)) {
            build_frame(session, peer);
        }
        if (peer->frame.size > 0) {
            session->frame_turn = turn;
            *index = turn;
            *frame = wire_writer_bytes(&peer->frame);
            return true;
        }
    }
    return false;
}

void session_frame_sent(session_t *session, size_t index)
{
    assert(index < session->peer_count);
    peer_t *peer = &session->peers[index];
    wire_writer_reset(&peer->frame);
    peer->frame_number++;
    session->frame_turn = index + 1;
}

void session_frame_blocked(session_t *session, size_t index)
{
    assert(index < session->peer_count);
    session->peers[index].blocked = true;
}
