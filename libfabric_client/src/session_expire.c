/* Calls that end at their deadline, and what is said of why they got no answer. */
#include "libfabric_client/src/session_state.h"

#include <stdio.h>

/* Ends a call that was refused; the text says how, and which peer refused it last, in which
 * words. */
static void end_refused(session_t *session, call_t *call, fabric_error_t error, const char *how)
{
    reason_t text;
    const peer_t *peer = &session->peers.list[call->refused_by];
    const char *words = peer->rejection == call->refusal ? peer->rejection_text : "";
    (void)reason_set(&text, error, "%s by %s%s%s", how, peer->endpoint, words[0] ? ": " : "",
                     words);
    session_end_text(session, call, error, text.text);
}

static void end_unconnected(session_t *session, call_t *call)
{
    reason_t cause;
    reason_t text;
    (void)peers_cause(&session->peers, &cause);
    (void)reason_set(&text, FABRIC_ERROR_NOT_CONNECTED, "no broker is connected%s%.450s",
                     cause.text[0] ? ": " : "", cause.text);
    session_end_text(session, call, FABRIC_ERROR_NOT_CONNECTED, text.text);
}

static void end_waited(session_t *session, call_t *call)
{
    char text[LIMIT_TEXT_BYTES_MAX + 64];
    snprintf(text, sizeof text, "no answer before the deadline; it waited: %s", call->wait_reason);
    session_end_text(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN, text);
}

static void end_unknown(session_t *session, call_t *call)
{
    if (call->wait_reason) {
        end_waited(session, call);
    } else if (call->refusal) {
        end_refused(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN,
                    "no answer before the deadline; an earlier try was refused");
    } else {
        session_end_text(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN,
                         "no answer before the deadline");
    }
}

/* What is full, where that is why a call waits; else FABRIC_OK. */
static fabric_error_t lacking_capacity(session_t *session, const call_t *call)
{
    if (!call_is_durable(call) || call->state != CALL_WAITING) {
        return FABRIC_OK;
    }
    const shard_queue_t *queue = session_queue_of(session, call);
    if (queue->line != NO_PEER) {
        return FABRIC_ERROR_BUSY;
    }
    bool full = queue->timed && !queue->held && queue->window.limited;
    return full ? FABRIC_ERROR_MAILBOX_FULL : FABRIC_OK;
}

static void end_not_accepted(session_t *session, call_t *call)
{
    fabric_error_t full = lacking_capacity(session, call);
    if (call->query && !incarnation_is_none(call->broker)) {
        session_end_unanswered(session, call);
    } else if (full) {
        session_end_without_capacity(session, call, full, "until the deadline");
    } else if (call->refusal) {
        end_refused(session, call, call->refusal, "refused until the deadline");
    } else if (peers_any_welcomed(&session->peers) != NO_PEER) {
        session_end_text(session, call, FABRIC_ERROR_TIMEOUT, "no broker took it in time");
    } else {
        end_unconnected(session, call);
    }
}

void session_expire(session_t *session)
{
    call_t *call;
    if (session->now_ms < session->calls.wheel_due_ms) {
        return;
    }
    call_table_expire(&session->calls, session->now_ms);
    while ((call = session->calls.expired.first)) {
        if (call->query || call_certainly_not_accepted(call)) {
            end_not_accepted(session, call);
        } else {
            if (call->flags & REQUEST_GIVE_UP && !call->cancelled) {
                session_tell_cancelled(session, call);
            }
            end_unknown(session, call);
        }
    }
}
