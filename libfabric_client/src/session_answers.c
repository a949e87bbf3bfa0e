/* The brokers' answers to calls: accepted, reply, rejected, redirect, and the answer to a query. An
 * answer can do no more than end or delay the call that was sent to its sender. */
#include "libfabric_client/src/session_state.h"

#include "core/snowflake.h"

enum {
    RETRY_AFTER_MS_MAX = 10000, /* a broker's hint counts up to this */
    /* Request ids farther apart than that are doubted: no broker takes a floor so far ahead of its
     * ids. */
    ID_JUMP_MS = 1000
};

static uint64_t retry_delay(session_t *session, uint64_t hint_ms, uint32_t attempt)
{
    return hint_ms + jitter_backoff(&session->random, attempt);
}

static bool ids_are_near(uint64_t a, uint64_t b)
{
    int64_t apart_ms =
        snowflake_timestamp_ms((request_id_t){a}) - snowflake_timestamp_ms((request_id_t){b});
    return apart_ms <= ID_JUMP_MS && apart_ms >= -ID_JUMP_MS;
}

/* Brokers refuse calls whose floor is ahead of all ids, so one id that changed on the way must not
 * stay: an id that is far from the known one counts when it is heard a second time. Larger ids are
 * those of another broker: those of a broker that makes few may be heard in between. A floor that
 * is too low makes look-ups long, or impossible where entries are purged. */
void session_note_id(session_t *session, uint64_t id)
{
    uint64_t *doubted = id > session->high_id ? &session->doubted_high : &session->doubted_low;
    if (session->high_id == 0 || ids_are_near(id, session->high_id)) {
        session->high_id = id > session->high_id ? id : session->high_id;
        session->doubted_low = 0;
    } else if (*doubted != 0 && ids_are_near(id, *doubted)) {
        session->high_id = id;
        session->doubted_low = session->doubted_high = 0;
    } else {
        *doubted = id;
    }
}

/* The open call that a final answer may be about; the answer to a durable call may come from an
 * earlier home. NULL: it comes too late. */
static call_t *find_sent(session_t *session, uint32_t peer, uint64_t sequence)
{
    call_t *call = call_table_find(&session->calls, sequence);
    if (!call || call->query || (call->sends == 0 && !call->keyed) ||
        (call_is_volatile(call) && (call->state != CALL_SENT || call->peer != peer))) {
        session->stats.unexpected++;
        return NULL;
    }
    return call;
}

/* The open call whose last send a peer refuses. */
static call_t *find_refused(session_t *session, uint32_t peer, uint64_t sequence)
{
    call_t *call = call_table_find(&session->calls, sequence);
    bool sent = call && !call->query && call->state == CALL_SENT && call->peer == peer;
    session->stats.unexpected += !sent;
    return sent ? call : NULL;
}

/* A broker that takes a call of a type that our map does not know has a newer one. */
static void ask_for_map(session_t *session, uint32_t peer)
{
    if (session->now_ms >= session->map_ask_at_ms) {
        peers_set_due(&session->peers, peer, DUE_MAP_WANTED);
        session->map_ask_at_ms = session->now_ms + PROBE_MS;
    }
}

static void note_accepted(session_t *session, uint32_t peer, call_t *call, uint64_t request_id)
{
    if (shard_id_group(call->shard) == 0) {
        ask_for_map(session, peer);
    }
    session->stats.accepted += call_is_durable(call) && !call->accepted;
    call_note_accepted(call, request_id);
    /* The id of a volatile call is not stored: the next home may not know it. */
    if (request_id != 0 && call_is_durable(call)) {
        session_note_id(session, request_id);
    }
}

static void apply_accepted(session_t *session, uint32_t peer, const message_accepted_t *accepted)
{
    call_t *call = find_sent(session, peer, accepted->sequence);
    if (!call) {
        return;
    }
    note_accepted(session, peer, call, accepted->request_id);
    if ((call->flags & REQUEST_TELL) && !(call->flags & REQUEST_WANT_HANDLED)) {
        session_end_text(session, call, FABRIC_OK, NULL);
    }
}

fabric_error_t session_take_accepted(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_accepted_t accepted;
    fabric_error_t error = message_get_accepted(body, &accepted);
    if (error) {
        return error;
    }
    apply_accepted(session, peer, &accepted);
    return FABRIC_OK;
}

/* Whether status, error, code and size belong together. */
static bool reply_is_sound(const message_reply_t *reply)
{
    bool fits = reply->payload.size <= LIMIT_PAYLOAD_BYTES_MAX;
    if (reply->status == STATUS_OK) {
        return fits && reply->error == 0 && reply->code == 0;
    }
    if (reply->status == STATUS_FAILURE && reply->error == FABRIC_ERROR_CANCELLED) {
        return fits && reply->code == 0;
    }
    if (reply->status == STATUS_FAILURE || reply->status == STATUS_TYPED_FAILURE) {
        return fits && reply->error == FABRIC_ERROR_ENTITY_FAILURE;
    }
    return fits && reply->status == STATUS_DEFECT && reply->error != 0;
}

static void apply_reply(session_t *session, uint32_t peer, const message_reply_t *reply)
{
    call_t *call = find_sent(session, peer, reply->sequence);
    if (!call) {
        return;
    }
    if (!reply_is_sound(reply)) {
        session_note_malformed(session, peer, FABRIC_ERROR_MALFORMED_MESSAGE);
        session_end_text(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN,
                         "the broker's reply contradicts itself");
        return;
    }
    note_accepted(session, peer, call, reply->request_id);
    call_note_code(call, reply->code, reply->status == STATUS_TYPED_FAILURE);
    if ((call->flags & REQUEST_TELL) && !(call->flags & REQUEST_WANT_HANDLED)) {
        session_end_text(session, call, FABRIC_OK, NULL); /* handled, so it had been accepted */
    } else if (reply->status == STATUS_OK) {
        session_end(session, call, FABRIC_OK, reply->payload);
    } else {
        session_end(session, call, fabric_error_from_number(reply->error), reply->payload);
    }
}

fabric_error_t session_take_reply(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_reply_t reply;
    fabric_error_t error = message_get_reply(body, &reply);
    if (error) {
        return error;
    }
    apply_reply(session, peer, &reply);
    return FABRIC_OK;
}

/* ---- refusals ---- */

/* The predecessor of the call has not arrived at the peer. Where the predecessor waits too, the
 * call follows it. Otherwise earlier calls that are with another broker are fetched back. Those
 * that are on their way to this peer only need time, but not for ever. */
static void resend_from_oldest(session_t *session, uint32_t peer, call_t *call, uint64_t hint_ms)
{
    enum { WAITS_MAX = 3 };
    shard_queue_t *queue = session_queue_of(session, call);
    if (!queue->held && shard_queue_is_behind(queue, call)) {
        session_fall_behind(session, call);
        return;
    }
    session_take_back(session, call);
    if (queue->held) {
        return;
    }
    uint32_t attempt = call_next_attempt(call);
    bool elsewhere = false;
    for (call_t *before = call->queue.previous; before; before = before->queue.previous) {
        if (before->state == CALL_SENT && (before->peer != peer || attempt >= WAITS_MAX)) {
            elsewhere |= before->peer != peer;
            session_take_back(session, before);
        }
    }
    bool at_once = (attempt == 0 || elsewhere) && hint_ms == 0;
    session_hold(session, queue,
                 session->now_ms + (at_once ? 0 : retry_delay(session, hint_ms, attempt)));
}

static void hold_refused(session_t *session, uint32_t peer, call_t *call, fabric_error_t error,
                         uint64_t hint_ms)
{
    shard_queue_t *queue = session_queue_of(session, call);
    session_take_back(session, call);
    if (error == FABRIC_ERROR_NOT_HOME) {
        session_override_route(session, queue, NO_PEER);
        peers_set_due(&session->peers, peer, DUE_MAP_WANTED);
    }
    if (!queue->held) {
        uint32_t attempt = shard_queue_next_attempt(queue);
        session_hold(session, queue, session->now_ms + retry_delay(session, hint_ms, attempt));
    }
}

static void retry_durable(session_t *session, uint32_t peer, call_t *call, fabric_error_t error,
                          uint64_t hint_ms)
{
    if (error == FABRIC_ERROR_PREDECESSOR_MISSING) {
        resend_from_oldest(session, peer, call, hint_ms);
    } else if (error == FABRIC_ERROR_BUSY || error == FABRIC_ERROR_MAILBOX_FULL) {
        session_wait_for_capacity(session, peer, call, error, hint_ms);
    } else {
        hold_refused(session, peer, call, error, hint_ms);
    }
}

static void retry_volatile(session_t *session, uint32_t peer, call_t *call, uint64_t hint_ms)
{
    session_take_back(session, call);
    peers_set_due(&session->peers, peer, DUE_MAP_WANTED);
    call_table_set_retry(&session->calls, call,
                         session->now_ms + 1 +
                             retry_delay(session, hint_ms, call_next_attempt(call)));
}

static void note_refused(session_t *session, uint32_t peer, call_t *call, fabric_error_t error,
                         fabric_bytes_t text)
{
    call_note_refused(call, error, peer);
    peers_note_rejection(&session->peers, peer, error, text);
}

/* Brokers look at no calls of a type that is not registered. So where a former send was not
 * answered, the message may have been handled before an operator let the type be forgotten. */
static bool is_of_a_forgotten_type(const call_t *call, fabric_error_t error)
{
    return error == FABRIC_ERROR_UNKNOWN_ENTITY_TYPE && call_is_durable(call) &&
           (call->accepted || call->sends > call->refusals + 1);
}

static void apply_rejected(session_t *session, uint32_t peer, const message_rejected_t *rejected)
{
    call_t *call = find_refused(session, peer, rejected->sequence);
    if (!call) {
        return;
    }
    fabric_error_t error = fabric_error_from_number(rejected->error);
    if (error == FABRIC_OK) {
        session_note_malformed(session, peer, FABRIC_ERROR_MALFORMED_MESSAGE);
        return;
    }
    if (is_of_a_forgotten_type(call, error)) {
        session_end_text(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN,
                         "its entity type was forgotten since it was sent first");
        return;
    }
    if (fabric_error_class(error) != FABRIC_CLASS_RETRY) {
        session_end(session, call, error, rejected->text);
        return;
    }
    uint64_t hint_ms = earlier(rejected->retry_after_ms, RETRY_AFTER_MS_MAX);
    note_refused(session, peer, call, error, rejected->text);
    if (session_end_if_cancelled(session, call)) {
        return;
    }
    if (!call_is_volatile(call)) {
        retry_durable(session, peer, call, error, hint_ms);
    } else if (error == FABRIC_ERROR_NOT_HOME || error == FABRIC_ERROR_RUNNER_NOT_REGISTERED) {
        retry_volatile(session, peer, call, hint_ms);
    } else {
        session_end(session, call, error, rejected->text);
    }
}

fabric_error_t session_take_rejected(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_rejected_t rejected;
    fabric_error_t error = message_get_rejected(body, &rejected);
    if (error) {
        return error;
    }
    apply_rejected(session, peer, &rejected);
    return FABRIC_OK;
}

/* The peer that a redirect names; NO_PEER where it names none that may be used. */
static uint32_t redirect_target(session_t *session, fabric_bytes_t endpoint)
{
    char text[LIMIT_ENDPOINT_BYTES_MAX + 1];
    if (endpoint.size == 0 || endpoint.size >= sizeof text ||
        memchr(endpoint.data, 0, endpoint.size)) {
        return NO_PEER;
    }
    memcpy(text, endpoint.data, endpoint.size);
    text[endpoint.size] = '\0';
    for (size_t i = 0; i < shard_map_broker_count(session->map); i++) {
        const map_broker_t *broker = shard_map_broker_at(session->map, i);
        if (strcmp(broker->router_endpoint, text) == 0) {
            return session_reach(session, broker);
        }
    }
    return peers_learn(&session->peers, text);
}

/* A first redirect is followed at once; brokers that point at one another are asked again after a
 * backoff. */
static void apply_redirect(session_t *session, uint32_t peer, const message_redirect_t *redirect)
{
    call_t *call = find_refused(session, peer, redirect->sequence);
    if (!call) {
        return;
    }
    note_refused(session, peer, call, FABRIC_ERROR_NOT_HOME, (fabric_bytes_t){NULL, 0});
    if (session_end_if_cancelled(session, call)) {
        return;
    }
    uint32_t target = redirect_target(session, redirect->endpoint);
    shard_queue_t *queue = session_queue_of(session, call);
    session_override_route(session, queue, target == peer ? NO_PEER : target);
    peers_set_due(&session->peers, peer, DUE_MAP_WANTED);
    bool at_once = queue->route.override != NO_PEER && call->attempts == 0;
    if (call_is_volatile(call) && !at_once) {
        retry_volatile(session, peer, call, 0);
    } else if (call_is_volatile(call)) {
        (void)call_next_attempt(call);
        session_take_back(session, call);
        session_dispatch(session, call);
    } else {
        uint32_t attempt = call_next_attempt(call);
        session_take_back(session, call);
        session_hold(session, queue,
                     session->now_ms + (at_once ? 0 : retry_delay(session, 0, attempt)));
    }
    session_dispatch_queue(session, queue); /* durable calls may have waited for this route, too */
}

fabric_error_t session_take_redirect(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_redirect_t redirect;
    fabric_error_t error = message_get_redirect(body, &redirect);
    if (error) {
        return error;
    }
    apply_redirect(session, peer, &redirect);
    return FABRIC_OK;
}

/* ---- queries ---- */

/* Why an accepted call waits; `document` is its sequence. Nothing follows from it but what its
 * caller hears at its deadline. */
static void apply_wait_reason(session_t *session, uint32_t peer, const message_answer_t *answer)
{
    wire_reader_t reader = wire_reader(answer->document);
    uint64_t sequence = wire_get_uint(&reader);
    call_t *call = wire_finish(&reader) ? NULL : call_table_find(&session->calls, sequence);
    if (call && !call->query && call->state == CALL_SENT && call->peer == peer &&
        answer->text.size > 0 && answer->text.size <= LIMIT_TEXT_BYTES_MAX) {
        call_note_wait_reason(call, answer->text);
    }
}

static void apply_answer(session_t *session, uint32_t peer, const message_answer_t *answer)
{
    if (answer->sequence == 0) { /* of DUE_WAITS_QUERY */
        apply_wait_reason(session, peer, answer);
        return;
    }
    call_t *call = call_table_find(&session->calls, answer->sequence);
    if (!call || !call->query || call->state != CALL_SENT || call->peer != peer) {
        session->stats.unexpected++;
        return;
    }
    fabric_error_t error = answer->error == 0 ? FABRIC_OK : fabric_error_from_number(answer->error);
    if (call_asks_home(call) && fabric_error_class(error) == FABRIC_CLASS_RETRY) {
        session_query_refused(session, peer, call, error, answer->text);
        return;
    }
    session_end(session, call, error, error ? answer->text : answer->document);
}

fabric_error_t session_take_answer(session_t *session, uint32_t peer, wire_reader_t *body)
{
    message_answer_t answer;
    fabric_error_t error = message_get_answer(body, &answer);
    if (error) {
        return error;
    }
    apply_answer(session, peer, &answer);
    return FABRIC_OK;
}
