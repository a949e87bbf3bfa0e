/* Connections to brokers: greeting, welcome, refusal, loss, silence, and the map that brokers
 * bring. */
#include "libfabric_client/src/session_state.h"

enum {
    REFUSED_RETRY_MS = 1000, /* before a broker that refused the client is asked again */
    RELAY_RETRY_MS = 100     /* before a broker is greeted by way of another one again */
};

/* A client that knows one broker only could not go on when that broker dies: it connects to a
 * second one. */
static void keep_spare(session_t *session)
{
    size_t count = shard_map_broker_count(session->map);
    if (peers_count_welcomed(&session->peers) >= 2 || count == 0) {
        return;
    }
    size_t start = (size_t)random_up_to(&session->random, count - 1);
    for (size_t i = 0; i < count; i++) {
        const map_broker_t *broker = shard_map_broker_at(session->map, (start + i) % count);
        if (peers_find_broker(&session->peers, broker->incarnation) == NO_PEER &&
            peers_find_endpoint(&session->peers, broker->router_endpoint) == NO_PEER &&
            peers_learn(&session->peers, broker->router_endpoint) != NO_PEER) {
            return;
        }
    }
}

/* ---- losing a connection ---- */

static void take_back_sent(session_t *session, call_t *call)
{
    if (session_is_in_frame(session, call)) {
        call_unsend(call);
    }
    if (call_is_durable(call) || call->query || call_certainly_not_accepted(call)) {
        session_take_back(session, call);
    } else {
        session_end_text(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN,
                         "the connection to the broker broke before its answer");
    }
}

static void close_connection(session_t *session, uint32_t index);

/* The peers that were reached by way of this one have to be reached anew. */
static void close_relayed(session_t *session, uint32_t carrier)
{
    for (uint32_t i = 0; i < session->peers.count; i++) {
        const peer_t *peer = &session->peers.list[i];
        if (peer->carrier == carrier) {
            if (peer->phase == PEER_WELCOMED) {
                session_tell(session, EVENT_DISCONNECTED, i, "the broker between is not connected",
                             (fabric_bytes_t){0});
            }
            close_connection(session, i);
        }
    }
}

/* What was under way on a connection that is gone, after its peer has left its phase. */
static void take_back_all(session_t *session, uint32_t index)
{
    close_relayed(session, index);
    for (call_t *call = session->calls.open.first; call;) {
        call_t *next = call->open.next;
        if (call->peer == index && call->state == CALL_READY) {
            session_take_back(session, call);
        } else if (call->peer == index && call->state == CALL_SENT) {
            take_back_sent(session, call);
        }
        call = next;
    }
    shard_queues_forget_line(&session->queues, index);
    session_drop_frame(session, index);
    if (!session->closed) {
        keep_spare(session);
        session_reroute(session);
    }
}

void session_lose_connection(session_t *session, uint32_t index, const char *why)
{
    if (peers_is_welcomed(&session->peers, index)) {
        session_tell(session, EVENT_DISCONNECTED, index, why, (fabric_bytes_t){0});
    }
    peers_disconnect(&session->peers, index);
    take_back_all(session, index);
}

/* A broker that is reached by way of another one is greeted again soon. */
static void rest_relayed(session_t *session, uint32_t index, const char *why, fabric_bytes_t words)
{
    if (peers_is_welcomed(&session->peers, index)) {
        session_tell(session, EVENT_DISCONNECTED, index, why, words);
    }
    uint64_t pause_ms = RELAY_RETRY_MS / 2 + random_up_to(&session->random, RELAY_RETRY_MS);
    peers_rest(&session->peers, index, session->now_ms + pause_ms);
    take_back_all(session, index);
}

void session_renew_connection(session_t *session, uint32_t index, const char *why)
{
    if (peer_is_relayed(&session->peers.list[index])) {
        rest_relayed(session, index, why, (fabric_bytes_t){0});
        return;
    }
    peers_act(&session->peers, index, ACTION_REOPEN);
    session_lose_connection(session, index, why);
}

static void close_connection(session_t *session, uint32_t index)
{
    peers_close(&session->peers, index);
    take_back_all(session, index);
}

void session_rest(session_t *session, uint32_t index)
{
    uint64_t pause_ms = REFUSED_RETRY_MS / 2 + random_up_to(&session->random, REFUSED_RETRY_MS);
    peers_rest(&session->peers, index, session->now_ms + pause_ms);
    take_back_all(session, index);
}

void session_relay_ended(session_t *session, uint32_t carrier, const message_relay_ended_t *ended)
{
    incarnation_t broker;
    if (ended->broker.size != sizeof broker.bytes) {
        session_note_malformed(session, carrier, FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    memcpy(broker.bytes, ended->broker.data, sizeof broker.bytes);
    uint32_t index = peers_find_relayed(&session->peers, broker);
    const peer_t *peer = &session->peers.list[index == NO_PEER ? carrier : index];
    if (peer->carrier == carrier && (peer->phase == PEER_GREETING || peer_answers(peer))) {
        rest_relayed(session, index, "the broker between has ended the connection", ended->text);
    } else {
        session->stats.unexpected++;
    }
}

/* ---- leaving ---- */

/* Calls that certainly have not left go elsewhere. By way of a carrier that leaves, also those that
 * may be sent again: the broker behind it may take long to answer them. */
static void take_back_for_leaving(session_t *session, uint32_t index, bool relayed)
{
    for (call_t *call = session->calls.open.first; call;) {
        call_t *next = call->open.next;
        bool again = relayed && (call_is_durable(call) || call->query);
        if (call->peer == index &&
            (call->state == CALL_READY || (call->state == CALL_SENT && again))) {
            session_take_back(session, call);
        }
        call = next;
    }
    shard_queues_forget_line(&session->queues, index);
}

static void leave_relayed(session_t *session, uint32_t carrier)
{
    static const char why[] = "the broker between has said goodbye";
    for (uint32_t i = 0; i < session->peers.count; i++) {
        const peer_t *peer = &session->peers.list[i];
        if (peer->carrier != carrier) {
            continue;
        }
        if (peer->phase == PEER_GREETING) {
            rest_relayed(session, i, why, (fabric_bytes_t){0});
        } else if (peer->phase == PEER_WELCOMED) {
            session_tell(session, EVENT_DISCONNECTED, i, why, (fabric_bytes_t){0});
            peers_leave(&session->peers, i, false);
            take_back_for_leaving(session, i, true);
        }
    }
}

void session_leave(session_t *session, uint32_t index)
{
    const peer_t *peer = &session->peers.list[index];
    if (peer->phase != PEER_WELCOMED) {
        return;
    }
    session_tell(session, EVENT_DISCONNECTED, index, "the broker has said goodbye",
                 (fabric_bytes_t){0});
    peers_leave(&session->peers, index, true);
    take_back_for_leaving(session, index, false);
    leave_relayed(session, index);
    keep_spare(session);
    session_reroute(session);
}

/* Whether a peer that leaves, and those that it carries, have answered all that they were sent. */
static bool owes_nothing(const session_t *session, uint32_t index)
{
    size_t sent = session->sent[index];
    for (uint32_t i = 0; i < session->peers.count; i++) {
        sent += session->peers.list[i].carrier == index ? session->sent[i] : 0;
    }
    return sent == 0;
}

void session_finish_leaving(session_t *session)
{
    for (uint32_t i = 0; i < session->peers.count; i++) {
        const peer_t *peer = &session->peers.list[i];
        if (peer->phase != PEER_LEAVING || !owes_nothing(session, i)) {
            continue;
        }
        if (peer->bye_wanted) {
            peers_set_due(&session->peers, i, DUE_BYE);
        } else if (peer_is_relayed(peer) && peer->ping_at_ms != NEVER) {
            peers_rest(&session->peers, i, session->now_ms);
            take_back_all(session, i);
        }
    }
}

/* ---- greeting and welcome ---- */

/* The relayed peer that serves, and is the broker at this peer's endpoint; NO_PEER: there is
 * none. */
static uint32_t find_relay_to(const session_t *session, uint32_t index)
{
    const peer_t *peer = &session->peers.list[index];
    for (uint32_t i = 0; i < session->peers.count && !peer_is_relayed(peer); i++) {
        const peer_t *relayed = &session->peers.list[i];
        const map_broker_t *broker = peer_is_relayed(relayed) && relayed->phase == PEER_WELCOMED
                                         ? shard_map_broker(session->map, relayed->target)
                                         : NULL;
        if (broker && strcmp(broker->router_endpoint, peer->endpoint) == 0) {
            return i;
        }
    }
    return NO_PEER;
}

/* Whether a volatile call is under way to the peer, so that the call would be lost with it. */
static bool owes_volatile(const session_t *session, uint32_t index)
{
    const call_t *call = session->calls.open.first;
    while (call && !(call->peer == index && call_is_volatile(call) &&
                     (call->state == CALL_READY || call->state == CALL_SENT))) {
        call = call->open.next;
    }
    return call != NULL;
}

/* From its hello on a broker takes nothing any more that comes by way of another one. */
void session_greet(session_t *session, uint32_t index)
{
    peers_greet(&session->peers, index, session->now_ms);
    uint32_t relayed = find_relay_to(session, index);
    if (relayed != NO_PEER) {
        peers_succeed(&session->peers, relayed, index, owes_volatile(session, relayed),
                      session->now_ms);
    }
}

/* The relayed peer's hello is answered while a later one is under way on a connection of its own.
 */
static void give_way_to_greeted(session_t *session, uint32_t relayed)
{
    const peer_t *peer = &session->peers.list[relayed];
    const map_broker_t *broker = shard_map_broker(session->map, peer->target);
    uint32_t direct =
        broker ? peers_find_endpoint(&session->peers, broker->router_endpoint) : NO_PEER;
    if (direct != NO_PEER && session->peers.list[direct].phase == PEER_GREETING &&
        session->peers.list[direct].connection > peer->connection) {
        peers_succeed(&session->peers, relayed, direct, false, session->now_ms);
    }
}

/* The hello waits until nothing is under way by way of the carrier. New calls wait, too, but for a
 * moment only: what is under way may take long. A carrier that leaves takes no new calls. */
static void tick_waiting_hello(session_t *session, uint32_t index)
{
    uint32_t relayed = peers_find_predecessor(&session->peers, index);
    bool turns = peers_hello_turns(&session->peers, index, session->now_ms);
    bool serves = peers_is_welcomed(&session->peers, relayed);
    if ((!serves && session->peers.list[index].hello_pauses) || relayed == NO_PEER ||
        !owes_volatile(session, relayed)) {
        session_greet(session, index);
    } else if (turns) {
        session_reroute(session);
    }
}

void session_refused(session_t *session, uint32_t index, fabric_error_t error, fabric_bytes_t text)
{
    fabric_error_class_t class = fabric_error_class(error);
    bool for_good = class == FABRIC_CLASS_REJECTED || class == FABRIC_CLASS_FATAL;
    if (peers_note_refusal(&session->peers, index, error, text)) {
        session_tell(session, for_good ? EVENT_REFUSED : EVENT_DEFERRED, index,
                     fabric_error_name(error), text);
    }
    session_rest(session, index);
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

static bool is_sound(const session_t *session, const message_welcome_t *welcome)
{
    return welcome->shards_per_group >= 1 &&
           welcome->shards_per_group <= LIMIT_SHARDS_PER_GROUP_MAX &&
           welcome->cluster_id.size == sizeof session->cluster_id &&
           welcome->broker.size == sizeof(incarnation_t);
}

static void learn_cluster(session_t *session, const message_welcome_t *welcome)
{
    memcpy(session->cluster_id, welcome->cluster_id.data, sizeof session->cluster_id);
    session->cluster_known = true;
    shard_map_set_shards_per_group(session->map, (uint32_t)welcome->shards_per_group);
    shard_queues_set_count(&session->queues, welcome->shards_per_group);
    peers_set_heartbeat(&session->peers, welcome->heartbeat_ms);
}

/* Another peer that is this broker. */
static uint32_t find_twin(const session_t *session, uint32_t index, incarnation_t broker)
{
    uint32_t twin = peers_find_broker(&session->peers, broker);
    return twin == NO_PEER && !peer_is_relayed(&session->peers.list[index])
               ? peers_find_relayed(&session->peers, broker)
               : twin;
}

/* Of two connections of one client a broker serves the later one; so does the client. A connection
 * of its own is better than a relay, and is made the later one. */
static void give_way(session_t *session, uint32_t index, uint32_t twin)
{
    if (peer_is_relayed(&session->peers.list[twin])) {
        session_greet(session, index);
    } else {
        close_connection(session, index);
    }
}

void session_welcomed(session_t *session, uint32_t index, const message_welcome_t *welcome)
{
    incarnation_t broker;
    if (!peers_expects_welcome(&session->peers, index, welcome->connection)) {
        session->stats.unexpected++; /* it answers an older hello */
        return;
    }
    fabric_error_t error = check_welcome(session, welcome);
    if (error) {
        session_refused(session, index, error, fabric_bytes_of(fabric_error_meaning(error)));
        return;
    }
    if (!is_sound(session, welcome)) {
        session_note_malformed(session, index, FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    memcpy(broker.bytes, welcome->broker.data, sizeof broker.bytes);
    const peer_t *peer = &session->peers.list[index];
    if (peer_is_relayed(peer) && !incarnation_equal(peer->target, broker)) {
        session_note_malformed(session, index, FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    uint32_t twin = find_twin(session, index, broker);
    if (twin != NO_PEER && peers_is_later(&session->peers, twin, index)) {
        give_way(session, index, twin);
        return;
    }
    learn_cluster(session, welcome);
    peers_welcome(&session->peers, index, broker, session->now_ms);
    session->probes = 0;
    session->stats.connections++;
    session_tell(session, EVENT_WELCOMED, index, "welcomed to cluster", welcome->cluster_name);
    if (twin != NO_PEER) {
        close_connection(session, twin);
    } else if (peer_is_relayed(peer)) {
        give_way_to_greeted(session, index);
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

static bool is_left_over(const session_t *session, const peer_t *peer)
{
    bool known = peer_is_relayed(peer) ? shard_map_broker(session->map, peer->target) != NULL
                                       : in_map(session, peer->endpoint);
    return !peer->first_contact && !known &&
           (peer->phase == PEER_CONNECTING || peer->phase == PEER_RESTING);
}

void session_take_map(session_t *session, uint32_t index, fabric_bytes_t map)
{
    bool changed = false;
    fabric_error_t error = shard_map_apply(session->map, map, &changed);
    if (error == FABRIC_ERROR_NOT_FOUND) {
        peers_set_due(&session->peers, index, DUE_MAP_WANTED);
    } else if (error) {
        session_note_malformed(session, index, error);
    }
    if (!changed) {
        return;
    }
    session->probes = 0;
    session_drop_overrides(session);
    for (uint32_t i = 0; i < session->peers.count; i++) {
        if (is_left_over(session, &session->peers.list[i])) {
            close_connection(session, i);
        }
    }
    keep_spare(session);
    session_reroute(session);
}

/* ---- time ---- */

/* A relayed peer that has rested is reached by way of any broker that may carry its frames. */
static void tick_relayed(session_t *session, uint32_t index)
{
    const peer_t *peer = &session->peers.list[index];
    if (peer->phase != PEER_RESTING) {
        peers_tick(&session->peers, index, false, session->now_ms);
    } else if (session->now_ms >= peer->reopen_at_ms) {
        uint32_t carrier = peers_find_carrier(&session->peers, peer->target);
        if (carrier == NO_PEER) {
            close_connection(session, index);
        } else {
            peers_relay_again(&session->peers, index, carrier, session->now_ms);
        }
    }
}

void session_tick_peers(session_t *session)
{
    if (session->closed) {
        return;
    }
    bool none_welcomed = peers_any_welcomed(&session->peers) == NO_PEER;
    for (uint32_t i = 0; i < session->peers.count; i++) {
        if (peers_is_silent(&session->peers, i, session->now_ms)) {
            session_renew_connection(session, i, "nothing was heard of the broker for too long");
        } else if (session->now_ms >= session->peers.list[i].reopen_at_ms &&
                   is_left_over(session, &session->peers.list[i])) {
            close_connection(session, i); /* the map had lost it before its connection broke */
        } else if (session->peers.list[i].hello_waits) {
            tick_waiting_hello(session, i);
        } else if (peer_is_relayed(&session->peers.list[i])) {
            tick_relayed(session, i);
        } else {
            peers_tick(&session->peers, i, none_welcomed, session->now_ms);
        }
    }
}
