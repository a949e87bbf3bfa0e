/* Encoding: what is due to a peer, straight into that peer's frame. */
#include "libfabric_client/src/session_state.h"

/* ---- messages ---- */

static void put_hello(session_t *session, const peer_t *peer, wire_writer_t *frame)
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
    message_put_hello(frame, &hello);
}

static void put_map_messages(session_t *session, peer_t *peer, wire_writer_t *frame)
{
    map_version_t version = shard_map_version(session->map);
    if (peer_take_due(peer, DUE_PING)) {
        message_ping_t ping = {peer_next_ping(peer), version.term, version.sequence};
        message_put_ping(frame, &ping);
    }
    if (peer_take_due(peer, DUE_MAP_WANTED)) {
        message_map_wanted_t wanted = {version.term, version.sequence};
        message_put_map_wanted(frame, &wanted);
    }
}

/* The sequence that a home must have seen before this call. */
static uint64_t predecessor(const call_t *call)
{
    bool ordered = call_is_durable(call) && shard_id_group(call->shard) != 0;
    return ordered && call->queue.previous ? call->queue.previous->sequence : 0;
}

static void put_request(session_t *session, call_t *call, wire_writer_t *frame)
{
    bool first = call_begin_send(call, session->high_id);
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
        .deliver_at_ms = call->deliver_at_ms,
        .deadline_ms = left_ms,
        .traceparent = call->traceparent,
        .headers = call->headers,
    };
    message_put_request(frame, &request);
}

/* Its answers come under sequence 0, which no call has. */
static void put_waits_query(wire_writer_t *frame)
{
    message_query_t query = {.name = fabric_bytes_of("waits")};
    message_put_query(frame, &query);
}

static void put_call(session_t *session, peer_t *peer, call_t *call, wire_writer_t *frame)
{
    bool durable_ask = (call->flags & (REQUEST_DURABLE | REQUEST_TELL)) == REQUEST_DURABLE;
    if (durable_ask && peer_take_due(peer, DUE_WAITS_QUERY)) {
        put_waits_query(frame);
    }
    if (call->query) {
        message_query_t query = {call->sequence, call->tag, call->payload};
        message_put_query(frame, &query);
    } else {
        put_request(session, call, frame);
    }
    if (call->cancelled) {
        session_put_cancel(call, frame);
    }
    session_make_sent(session, call);
}

/* ---- frames ---- */

/* The next call to be sent; NULL: none. A call that has been ready since before an earlier call of
 * its shard came back waits behind that call. */
static call_t *next_ready(session_t *session, size_t index)
{
    const call_list_t *ready = &session->ready[index];
    while (ready->first && session_is_behind(session, ready->first)) {
        session_fall_behind(session, ready->first);
    }
    return ready->first;
}

static bool is_due(session_t *session, size_t index)
{
    const peer_t *peer = &session->peers.list[index];
    /* The last frame to a peer stands behind those to the peers that it carries. */
    bool bye =
        (peer->due & DUE_BYE) != 0 && !peers_carries_due(&session->peers, (uint32_t)index, DUE_BYE);
    return ((peer->due & DUE_HELLO) != 0 && !peer->hello_waits) || bye ||
           (peer_answers(peer) &&
            ((peer->due & (DUE_PING | DUE_MAP_WANTED)) != 0 ||
             session->frames[index].cancels.size > 0 || next_ready(session, index)));
}

/* `cancels`: all CANCEL messages for the peer are in the frame. A broker finds a call that its
 * client has settled on only by searching, so it hears of both at once. */
static void begin_frame(session_t *session, size_t index, bool cancels, wire_writer_t *frame)
{
    peer_frame_t *own = &session->frames[index];
    own->settled = cancels ? session_settled(session) : own->settled;
    frame_begin(frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, session->high_id, own->settled});
}

static void build_frame(session_t *session, size_t index)
{
    peer_t *peer = &session->peers.list[index];
    wire_writer_t *frame = &session->frames[index].writer;
    begin_frame(session, index, session_cancels_fit(session, index), frame);
    if (!peer->hello_waits && peer_take_due(peer, DUE_HELLO)) {
        put_hello(session, peer, frame);
    }
    if (peer_answers(peer)) {
        if (session->frames[index].cancels.size > 0) {
            session_put_cancels(session, index, frame);
        }
        put_map_messages(session, peer, frame);
        call_t *call;
        while (frame->size < LIMIT_FRAME_BYTES_GOAL && (call = next_ready(session, index))) {
            put_call(session, peer, call, frame);
        }
    }
    if (!peers_carries_due(&session->peers, (uint32_t)index, DUE_BYE) && peer_take_bye(peer)) {
        message_bye_t bye = {
            fabric_bytes_of(session->closed ? "the client was closed" : "all answers have come")};
        message_put_bye(frame, &bye);
    }
}

static void next_number(peer_frame_t *frame)
{
    wire_writer_reset(&frame->writer);
    frame->number++;
}

/* Puts the frame to a relayed peer into one to its carrier. What is in it counts as sent. */
static void wrap_frame(session_t *session, size_t index)
{
    const peer_t *peer = &session->peers.list[index];
    wire_writer_t *frame = &session->frames[peer->carrier].writer;
    begin_frame(session, peer->carrier, session->frames[peer->carrier].cancels.size == 0, frame);
    message_relay_t relay = {fabric_bytes(peer->target.bytes, sizeof peer->target.bytes),
                             wire_writer_bytes(&session->frames[index].writer)};
    message_put_relay(frame, &relay);
    next_number(&session->frames[index]);
}

/* The peer whose connection takes the frames to this one. */
static size_t connection_of(const session_t *session, size_t index)
{
    const peer_t *peer = &session->peers.list[index];
    return peer_is_relayed(peer) ? peer->carrier : index;
}

bool session_build_next_frame(session_t *session, size_t *index, fabric_bytes_t *frame)
{
    for (size_t i = 0; i < session->peers.count; i++) {
        size_t turn = (session->frame_turn + i) % session->peers.count;
        size_t connection = connection_of(session, turn);
        peer_frame_t *next = &session->frames[connection];
        if (next->blocked || session->peers.list[connection].action_due) {
            continue;
        }
        if (next->writer.size == 0 && is_due(session, turn)) {
            build_frame(session, turn);
            if (connection != turn) {
                wrap_frame(session, turn);
            }
            next->turn = turn;
        }
        if (next->writer.size > 0) {
            session->frame_turn = turn;
            *index = connection;
            *frame = wire_writer_bytes(&next->writer);
            return true;
        }
    }
    return false;
}

void session_drop_frame(session_t *session, uint32_t peer)
{
    next_number(&session->frames[peer]);
    session->frames[peer].blocked = false;
    session_drop_cancels(session, peer);
}

bool session_is_in_frame(const session_t *session, const call_t *call)
{
    const peer_frame_t *frame = &session->frames[call->peer];
    return frame->writer.size > 0 && call->frame == frame->number;
}

/* ---- what the shell says of them ---- */

void session_frame_sent(session_t *session, size_t index)
{
    assert(index < session->peers.count);
    next_number(&session->frames[index]);
    session->frame_turn = session->frames[index].turn + 1;
}

void session_frame_blocked(session_t *session, size_t index)
{
    assert(index < session->peers.count);
    session->frames[index].blocked = true;
}

void session_writable(session_t *session, size_t index)
{
    assert(index < SESSION_PEERS_MAX);
    session->frames[index].blocked = false;
}

bool session_is_blocked(const session_t *session, size_t index)
{
    assert(index < SESSION_PEERS_MAX);
    return session->frames[index].blocked;
}
