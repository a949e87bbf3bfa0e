/* Decoding the frames of brokers. Every byte is validated. */
#include "libfabric_client/src/session_state.h"

/* ---- messages about the connection and the map ---- */

static fabric_error_t take_welcome(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_welcome_t welcome;
    fabric_error_t error = message_get_welcome(body, &welcome);
    if (!error) {
        session_welcomed(session, peer, &welcome);
    }
    return error;
}

static fabric_error_t take_refused(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_refused_t refused;
    fabric_error_t error = message_get_refused(body, &refused);
    if (!error) {
        session_refused(session, peer, fabric_error_from_number(refused.error), refused.text);
    }
    return error;
}

static fabric_error_t take_who(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_who_t who;
    fabric_error_t error = message_get_who(body, &who);
    if (error) {
        return error;
    }
    const peer_t *from = &session->peers.list[peer];
    if (peer_answers(from)) {
        session_lose_connection(session, peer, "the broker does not know this connection");
    } else if (from->due & DUE_HELLO) {
        return FABRIC_OK; /* the hello is about to be said */
    }
    session_greet(session, peer);
    return FABRIC_OK;
}

static fabric_error_t take_bye(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_bye_t bye;
    fabric_error_t error = message_get_bye(body, &bye);
    if (error) {
        return error;
    }
    session_leave(session, peer);
    return FABRIC_OK;
}

static void compare_map_version(session_t *session, uint32_t peer, uint64_t term, uint64_t sequence)
{
    map_version_t own = shard_map_version(session->map);
    if (term > own.term || (term == own.term && sequence > own.sequence)) {
        peers_set_due(&session->peers, peer, DUE_MAP_WANTED);
    }
}

static fabric_error_t take_ping(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_ping_t ping;
    fabric_error_t error = message_get_ping(body, &ping);
    if (!error) {
        compare_map_version(session, peer, ping.map_term, ping.map_sequence);
    }
    return error;
}

static fabric_error_t take_pong(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_pong_t pong;
    fabric_error_t error = message_get_pong(body, &pong);
    if (!error) {
        compare_map_version(session, peer, pong.map_term, pong.map_sequence);
    }
    return error;
}

static fabric_error_t take_map(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_map_t map;
    fabric_error_t error = message_get_map(body, &map);
    if (!error) {
        session_take_map(session, peer, map.map);
    }
    return error;
}

/* ---- frames of other brokers ---- */

static void receive_frame(session_t *session, uint32_t peer, fabric_bytes_t frame);

static fabric_error_t take_relayed(session_t *session, uint32_t carrier, wire_reader_t *body)
{
    message_relayed_t relayed;
    incarnation_t broker;
    fabric_error_t error = message_get_relayed(body, &relayed);
    if (error || relayed.broker.size != sizeof broker.bytes) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    memcpy(broker.bytes, relayed.broker.data, sizeof broker.bytes);
    uint32_t peer = peers_find_relayed(&session->peers, broker);
    if (peer == NO_PEER || session->peers.list[peer].carrier != carrier) {
        session->stats.unexpected++; /* the broker is reached by another way meanwhile */
    } else {
        receive_frame(session, peer, relayed.frame);
    }
    return FABRIC_OK;
}

static fabric_error_t take_relay_ended(session_t *session, uint32_t carrier, wire_reader_t *body)
{
    message_relay_ended_t ended;
    fabric_error_t error = message_get_relay_ended(body, &ended);
    if (!error) {
        session_relay_ended(session, carrier, &ended);
    }
    return error;
}

/* ---- frames ---- */

/* Before the welcome only messages that lead to it count: all others were meant for an older
 * connection. */
static bool is_expected(const peer_t *peer, message_kind_t kind)
{
    bool leads_to_welcome = kind == KIND_WELCOME || kind == KIND_REFUSED || kind == KIND_WHO;
    return peer_answers(peer) || (peer->phase == PEER_GREETING && leads_to_welcome);
}

static fabric_error_t take_kind(session_t *session, uint32_t peer, message_kind_t kind,
                                wire_reader_t *body)
{
    switch (kind) {
    case KIND_WELCOME:
        return take_welcome(session, peer, body);
    case KIND_REFUSED:
        return take_refused(session, peer, body);
    case KIND_WHO:
        return take_who(session, peer, body);
    case KIND_PING:
        return take_ping(session, peer, body);
    case KIND_PONG:
        return take_pong(session, peer, body);
    case KIND_BYE:
        return take_bye(session, peer, body);
    case KIND_MAP:
        return take_map(session, peer, body);
    case KIND_ACCEPTED:
        return session_take_accepted(session, peer, body);
    case KIND_REPLY:
        return session_take_reply(session, peer, body);
    case KIND_REJECTED:
        return session_take_rejected(session, peer, body);
    case KIND_REDIRECT:
        return session_take_redirect(session, peer, body);
    case KIND_ANSWER:
        return session_take_answer(session, peer, body);
    case KIND_RELAYED:
        return take_relayed(session, peer, body);
    case KIND_RELAY_ENDED:
        return take_relay_ended(session, peer, body);
    case KIND_HELLO:
    case KIND_MAP_WANTED:
    case KIND_REQUEST:
    case KIND_QUERY:
    case KIND_ASSIGN:
    case KIND_RELEASE:
    case KIND_RELEASED:
    case KIND_DELIVER:
    case KIND_RESULT:
    case KIND_CRASHED:
    case KIND_CRASH_NOTED:
    case KIND_RUNNER_ORDER:
    case KIND_RUNNER_STANDING:
    case KIND_RUNNER_HEALTH:
    case KIND_SETTLED:
    case KIND_ALONE_READY:
    case KIND_ALONE_GO:
    case KIND_ALONE_OVER:
    case KIND_INTERRUPT:
    case KIND_ENTITY_STATE:
    case KIND_RESULT_STATE:
    case KIND_ENTITY_EVENTS:
    case KIND_RESULT_EVENTS:
    case KIND_RESULT_TOLD:
    case KIND_ALIVE:
    case KIND_RELAY:
    case KIND_CANCEL:
    case KIND_TUNNEL:
    case KIND_TUNNEL_ENDED:
    case KIND_BROKER_STATE:
    case KIND_OWNERS:
    case KIND_OUTGOING:
    case KIND_OUTGOING_ANSWER:
        break;
    }
    return FABRIC_ERROR_UNKNOWN_KIND; /* not for clients */
}

static void take_message(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_kind_t kind;
    fabric_error_t error = message_open(body, &kind);
    if (!error && is_expected(&session->peers.list[peer], kind)) {
        error = take_kind(session, peer, kind, body);
    } else if (!error) {
        session->stats.unexpected++;
    }
    if (error) {
        session_note_malformed(session, peer, error);
    }
}

static void receive_frame(session_t *session, uint32_t peer, fabric_bytes_t frame)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    fabric_error_t error = frame_open(frame, &reader, &head);
    if (error) {
        session_note_malformed(session, peer, error);
        return;
    }
    peers_heard(&session->peers, peer, session->now_ms);
    if (peers_is_welcomed(&session->peers, peer)) {
        session_note_id(session, head.high_id);
    }
    while (!session->peers.list[peer].action_due && frame_next(&reader, &body)) {
        take_message(session, peer, &body);
    }
    if (reader.failed) {
        session_note_malformed(session, peer, FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

void session_receive(session_t *session, size_t index, fabric_bytes_t frame, uint64_t now_ms)
{
    session->now_ms = now_ms;
    if (!peers_is_current(&session->peers, index) || session->closed) {
        return; /* of a connection that was given up: its calls wait, or have ended */
    }
    receive_frame(session, (uint32_t)index, frame);
    session_finish_leaving(session);
    session_dispatch_released(session);
}
