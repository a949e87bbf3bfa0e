/* The calls of a session: opening, finding, ending them, and their deadlines. */
#include "libfabric_client/src/session_state.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- finding: chained buckets by the low bits of the sequence, so that neighbours never collide
 * ---- */

call_t *session_find(const session_t *session, uint64_t sequence)
{
    call_t *call = session->buckets[sequence & (session->bucket_count - 1)];
    while (call && call->sequence != sequence) {
        call = call->bucket_next;
    }
    return call;
}

static void add_to_bucket(session_t *session, call_t *call)
{
    call_t **bucket = &session->buckets[call->sequence & (session->bucket_count - 1)];
    call->bucket_next = *bucket;
    *bucket = call;
}

static void grow_buckets(session_t *session)
{
    free(session->buckets);
    session->bucket_count *= 2;
    session->buckets = session_allocate(session->bucket_count, sizeof(call_t *));
    for (call_t *call = session->open.first; call; call = call->open.next) {
        add_to_bucket(session, call);
    }
}

static void remove_from_bucket(session_t *session, call_t *call)
{
    call_t **link = &session->buckets[call->sequence & (session->bucket_count - 1)];
    while (*link != call) {
        assert(*link);
        link = &(*link)->bucket_next;
    }
    *link = call->bucket_next;
}

/* ---- deadlines: a wheel of slots, looked at only when the earliest deadline may have come ---- */

static call_list_t *wheel_slot(session_t *session, uint64_t time_ms)
{
    return &session->wheel[time_ms / WHEEL_SLOT_MS % WHEEL_SLOTS];
}

static void start_timer(session_t *session, call_t *call)
{
    if (session->open.count == 1) { /* the wheel was empty: nothing to be caught up with */
        session->wheel_done_ms = session->now_ms;
    }
    if (call->deadline_ms < session->wheel_done_ms) { /* its slot was passed already */
        call->deadline_ms = session->wheel_done_ms;
    }
    timer_list_append(wheel_slot(session, call->deadline_ms), call);
    if (call->deadline_ms < session->wheel_due_ms) {
        session->wheel_due_ms = call->deadline_ms;
    }
}

/* Ends a call that was refused; `how` says how, and who refused it last, in which words, follows. */
static void end_refused(session_t *session, call_t *call, fabric_error_t error, const char *how)
{
    reason_t text;
    const peer_t *peer = &session->peers[call->refused_by];
    const char *words = peer->rejection == call->refusal ? peer->rejection_text : "";
    (void)reason_set(&text, error, "%s by %s%s%s", how, peer->endpoint, words[0] ? ": " : "",
                     words);
    session_end_text(session, call, error, text.text);
}

static void end_unconnected(session_t *session, call_t *call)
{
    reason_t cause;
    reason_t text;
    (void)session_cause(session, &cause);
    (void)reason_set(&text, FABRIC_ERROR_NOT_CONNECTED, "no broker is connected%s%.450s",
                     cause.text[0] ? ": " : "", cause.text);
    session_end_text(session, call, FABRIC_ERROR_NOT_CONNECTED, text.text);
}

void session_end_for_room(session_t *session, call_t *call, fabric_error_t error, const char *until)
{
    reason_t text;
    const char *whose = error == FABRIC_ERROR_BUSY ? "the broker" : "the entity's mailbox";
    (void)reason_set(&text, error,
                     call->refusal == error
                         ? "%s had no room for it %s"
                         : "this client did not send it: %s had no room for calls before it, %s",
                     whose, until);
    session_end_text(session, call, error, text.text);
}

static void end_waited(session_t *session, call_t *call)
{
    char text[LIMIT_TEXT_BYTES_MAX + 64];
    snprintf(text, sizeof text, "no answer before the deadline; it waited: %s", call->wait_reason);
    session_end_text(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN, text);
}

static void end_by_deadline(session_t *session, call_t *call)
{
    fabric_error_t no_room = session_no_room(session, call);
    bool unknown = !call_certainly_not_accepted(call) && !call->query;
    if (unknown && call->wait_reason) {
        end_waited(session, call);
    } else if (unknown && call->refusal) {
        end_refused(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN,
                    "no answer before the deadline; an earlier try was refused");
    } else if (unknown) {
        session_end_text(session, call, FABRIC_ERROR_OUTCOME_UNKNOWN,
                         "no answer before the deadline");
    } else if (no_room) {
        session_end_for_room(session, call, no_room, "before the deadline");
    } else if (call->refusal) {
        end_refused(session, call, call->refusal, "refused until the deadline");
    } else if (session_is_welcome(session)) {
        session_end_text(session, call, FABRIC_ERROR_TIMEOUT, "no broker took it in time");
    } else {
        end_unconnected(session, call);
    }
}

/* The earliest deadline of the next slots, or where the search ended. */
static uint64_t next_timer(session_t *session)
{
    uint64_t start_ms = session->now_ms - session->now_ms % WHEEL_SLOT_MS;
    for (uint64_t i = 0; i < WHEEL_SCAN_SLOTS; i++) {
        uint64_t slot_ms = start_ms + i * WHEEL_SLOT_MS;
        uint64_t first_ms = NEVER;
        const call_t *call = wheel_slot(session, slot_ms)->first;
        for (; call; call = call->timer.next) {
            if (call->deadline_ms < first_ms) {
                first_ms = call->deadline_ms;
            }
        }
        if (first_ms < slot_ms + WHEEL_SLOT_MS) { /* else it is for a later turn of the wheel */
            return first_ms;
        }
    }
    return start_ms + (uint64_t)WHEEL_SCAN_SLOTS * WHEEL_SLOT_MS;
}

void session_expire(session_t *session)
{
    uint64_t slots = session->now_ms / WHEEL_SLOT_MS - session->wheel_done_ms / WHEEL_SLOT_MS + 1;
    if (slots > WHEEL_SLOTS) {
        slots = WHEEL_SLOTS;
    }
    for (uint64_t i = 0; i < slots && session->open.count > 0; i++) {
        call_t *call = wheel_slot(session, session->wheel_done_ms + i * WHEEL_SLOT_MS)->first;
        while (call) {
            call_t *next = call->timer.next;
            if (call->deadline_ms <= session->now_ms) {
                end_by_deadline(session, call);
            }
            call = next;
        }
    }
    session->wheel_done_ms = session->now_ms;
    session->wheel_due_ms = session->open.count > 0 ? next_timer(session) : NEVER;
}

/* ---- opening ---- */

/* A call that cannot be opened ends at once, and not by a broker's word. */
static void refuse(session_t *session, call_t *call, fabric_error_t error, const char *text)
{
    call->state = CALL_DONE;
    call->error = error;
    call_set_answer(call, fabric_bytes_of(text));
    ready_list_append(&session->done, call);
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
    } else if (session->open.count >= session->pending_max) {
        refuse(session, call, FABRIC_ERROR_BUSY,
               "this client has as many calls open as its pending_max");
    } else if (session_find(session, call->sequence)) {
        refuse(session, call, FABRIC_ERROR_ALREADY_PROCESSING,
               "a call with this key is open on this client");
    } else {
        call->state = CALL_WAITING;
        call->peer = NO_PEER;
        call->retry_until_ms = now_ms;
        if (call->deadline_ms > now_ms) {
            call->retry_until_ms += (call->deadline_ms - now_ms) / 2;
        }
        open_list_insert_sorted(&session->open, call);
        add_to_bucket(session, call);
        if (session->open.count > session->bucket_count) {
            grow_buckets(session);
        }
        start_timer(session, call);
        call->shard = call->query ? (shard_id_t){0} : session_locate(session, call);
        if (call->flags & REQUEST_DURABLE) {
            session_queue_enter(session, call);
        } else {
            session_park(session, call, 0);
        }
        session_dispatch(session, call);
    }
}

/* ---- ending ---- */

static void leave_queue(session_t *session, call_t *call, bool answered)
{
    shard_queue_t *queue = session_queue(session, call->shard);
    if (call->state == CALL_SENT) {
        session_leave_windows(session, call, answered);
        call->state = CALL_DONE;
    }
    session_queue_leave(session, call);
    if (answered) {
        queue->attempts = 0;
    }
    session_send_queue(session, queue);
}

void session_end(session_t *session, call_t *call, fabric_error_t error, fabric_bytes_t answer)
{
    assert(call->state != CALL_DONE);
    if (call->state == CALL_READY) {
        session_take_back(session, call);
    }
    if (call->flags & REQUEST_DURABLE) {
        fabric_error_class_t class = fabric_error_class(error);
        leave_queue(session, call, class == FABRIC_CLASS_OK || class == FABRIC_CLASS_FAILURE);
    } else if (call->state == CALL_WAITING) {
        queue_list_remove(&session->waiting, call);
    }
    call->state = CALL_DONE;
    call->error = error;
    call_set_answer(call, answer);
    open_list_remove(&session->open, call);
    remove_from_bucket(session, call);
    timer_list_remove(wheel_slot(session, call->deadline_ms), call);
    ready_list_append(&session->done, call);
    session->stats.completed++;
}

void session_end_text(session_t *session, call_t *call, fabric_error_t error, const char *text)
{
    session_end(session, call, error, fabric_bytes_of(text));
}

call_t *session_next_done(session_t *session)
{
    call_t *call = session->done.first;
    if (call) {
        ready_list_remove(&session->done, call);
    }
    return call;
}

void session_close(session_t *session)
{
    session->closed = true;
    while (session->open.first) {
        call_t *call = session->open.first;
        bool certain = call->query || call_certainly_not_accepted(call);
        session_end_text(session, call,
                         certain ? FABRIC_ERROR_CLOSED : FABRIC_ERROR_OUTCOME_UNKNOWN,
                         "the client was closed");
    }
    for (size_t i = 0; i < session->peer_count; i++) {
        session->peers[i].bye_due = session->peers[i].state == PEER_WELCOME;
    }
}
