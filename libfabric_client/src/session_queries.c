/* Queries: which broker is asked, what the session answers itself, and what is said of a broker
 * that does not answer. */
#include "libfabric_client/src/session_state.h"

/* The brokers of the map: a msgpack array of [incarnation bin, name str, router endpoint str]. */
static void answer_members(session_t *session, call_t *query)
{
    wire_writer_t document = {0};
    size_t count = shard_map_broker_count(session->map);
    wire_put_array(&document, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const map_broker_t *broker = shard_map_broker_at(session->map, i);
        wire_put_array(&document, 3);
        wire_put_bin(&document,
                     fabric_bytes(broker->incarnation.bytes, sizeof broker->incarnation.bytes));
        wire_put_text(&document, broker->name);
        wire_put_text(&document, broker->router_endpoint);
    }
    session_end(session, query, FABRIC_OK, wire_writer_bytes(&document));
    wire_writer_destroy(&document);
}

/* The map may be older than what the caller knows: a broker that it does not have counts as unknown
 * after a newer map was asked for. */
static void look_for_broker(session_t *session, call_t *query)
{
    if (call_next_attempt(query) > 0) {
        session_end_text(session, query, FABRIC_ERROR_NOT_FOUND,
                         "no broker of the cluster has this incarnation");
        return;
    }
    peers_set_due(&session->peers, peers_any_welcomed(&session->peers), DUE_MAP_WANTED);
    call_table_set_retry(&session->calls, query, session->now_ms + PROBE_MS);
}

void session_dispatch_query(session_t *session, call_t *query)
{
    bool has_map = shard_map_broker_count(session->map) > 0;
    bool welcome = peers_any_welcomed(&session->peers) != NO_PEER;
    uint32_t peer = session_route(session, query);
    if (query->members && has_map) {
        answer_members(session, query);
    } else if (!query->members && peers_is_welcomed(&session->peers, peer)) {
        session_make_ready(session, query, peer);
    } else if (has_map && welcome && !incarnation_is_none(query->broker) &&
               !shard_map_broker(session->map, query->broker)) {
        look_for_broker(session, query);
    } else {
        call_table_set_retry(&session->calls, query, 0);
        session_look_for_route(session);
    }
}

void session_query_refused(session_t *session, uint32_t peer, call_t *query, fabric_error_t error,
                           fabric_bytes_t text)
{
    call_note_refused(query, error, peer);
    peers_note_rejection(&session->peers, peer, error, text);
    session_take_back(session, query);
    if (error == FABRIC_ERROR_NOT_HOME) {
        peers_set_due(&session->peers, peer, DUE_MAP_WANTED);
    }
    call_table_set_retry(&session->calls, query,
                         session->now_ms + 1 +
                             jitter_backoff(&session->random, call_next_attempt(query)));
}

/* Why the broker is not connected, in the words of whoever said it last; maybe empty. */
static const char *refusal_of(session_t *session, const map_broker_t *broker)
{
    uint32_t peer = broker ? session_reach(session, broker) : NO_PEER;
    return peer == NO_PEER || session->peers.list[peer].refusal == FABRIC_OK
               ? ""
               : session->peers.list[peer].refusal_text;
}

void session_end_unanswered(session_t *session, call_t *query)
{
    reason_t text;
    const map_broker_t *broker = shard_map_broker(session->map, query->broker);
    const char *endpoint = broker ? broker->router_endpoint : "the broker";
    if (query->state == CALL_WAITING) {
        const char *words = refusal_of(session, broker);
        (void)reason_set(&text, FABRIC_ERROR_NOT_CONNECTED, "%s cannot be reached%s%s", endpoint,
                         words[0] ? ": " : "", words);
        session_end_text(session, query, FABRIC_ERROR_NOT_CONNECTED, text.text);
    } else {
        (void)reason_set(&text, FABRIC_ERROR_TIMEOUT, "%s is connected and does not answer",
                         endpoint);
        session_end_text(session, query, FABRIC_ERROR_TIMEOUT, text.text);
    }
}
