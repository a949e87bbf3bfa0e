/* The durable calls of each shard: sent in order of their sequences, from the oldest that waits on.
 *
 * A queue of which a call waits is, until that call can be sent, one of
 *   held      nothing is sent before its time: a refusal that only time can cure
 *   timed     its own window is closed (the mailbox is full) until an answer or its time
 *   starved   the window of its peer is closed (the broker is full): it waits for its turn there
 *   or waits for its route, or for the end of the call before it.
 */
#include "libfabric_client/src/session_state.h"

/* ---- which calls wait ---- */

void session_queue_waits(session_t *session, call_t *call)
{
    shard_queue_t *queue = session_queue(session, call->shard);
    queue->waiting_count++;
    if (!queue->waiting || call->sequence < queue->waiting->sequence) {
        queue->waiting = call;
    }
}

bool session_is_behind(session_t *session, const call_t *call)
{
    if (!(call->flags & REQUEST_DURABLE)) {
        return false;
    }
    const shard_queue_t *queue = session_queue(session, call->shard);
    return queue->waiting && queue->waiting->sequence < call->sequence;
}

/* A call that waited will not any more, and is in the queue still. */
static void waits_no_more(shard_queue_t *queue, const call_t *call)
{
    queue->waiting_count--;
    if (queue->waiting == call) {
        call_t *next = queue->waiting_count > 0 ? call->queue.next : NULL;
        while (next && next->state != CALL_WAITING) {
            next = next->queue.next;
        }
        queue->waiting = next;
    }
}

/* ---- the lists of queues: by time, and for the room of a peer ---- */

static void set_timer(session_t *session, shard_queue_t *queue, uint64_t due_ms)
{
    if (!queue->timed) {
        queue->timed = true;
        queue->timed_previous = NULL;
        queue->timed_next = session->timed;
        if (session->timed) {
            session->timed->timed_previous = queue;
        }
        session->timed = queue;
    }
    queue->due_ms = due_ms;
    session->timed_due_ms = session_earlier(session->timed_due_ms, due_ms);
}

static void stop_timer(session_t *session, shard_queue_t *queue)
{
    if (!queue->timed) {
        return;
    }
    queue->timed = false;
    *(queue->timed_previous ? &queue->timed_previous->timed_next : &session->timed) =
        queue->timed_next;
    if (queue->timed_next) {
        queue->timed_next->timed_previous = queue->timed_previous;
    }
}

static void starve(session_t *session, shard_queue_t *queue, uint32_t index)
{
    peer_t *peer = &session->peers[index];
    queue->starved_at = index;
    queue->starved_next = NULL;
    queue->starved_previous = peer->starved_last;
    *(peer->starved_last ? &peer->starved_last->starved_next : &peer->starved) = queue;
    peer->starved_last = queue;
    session->room_due_ms = session_earlier(session->room_due_ms, peer->window.probe_at_ms);
}

static void unstarve(session_t *session, shard_queue_t *queue)
{
    if (queue->starved_at == NO_PEER) {
        return;
    }
    peer_t *peer = &session->peers[queue->starved_at];
    *(queue->starved_previous ? &queue->starved_previous->starved_next : &peer->starved) =
        queue->starved_next;
    *(queue->starved_next ? &queue->starved_next->starved_previous : &peer->starved_last) =
        queue->starved_previous;
    queue->starved_at = NO_PEER;
}

/* ---- entering and leaving ---- */

void session_queue_enter(session_t *session, call_t *call)
{
    shard_queue_t *queue = session_queue(session, call->shard);
    queue_list_insert_sorted(&queue->calls, call);
    if (call->state == CALL_WAITING) {
        session_queue_waits(session, call);
    } else {
        window_enter(&queue->window);
    }
}

void session_queue_leave(session_t *session, call_t *call)
{
    shard_queue_t *queue = session_queue(session, call->shard);
    assert(call->state != CALL_READY);
    if (call->state == CALL_WAITING) {
        waits_no_more(queue, call);
    } else if (call->state == CALL_SENT) {
        window_leave(&queue->window, false);
    }
    queue_list_remove(&queue->calls, call);
    if (!queue->calls.first) {
        queue->held = false;
        stop_timer(session, queue);
        unstarve(session, queue);
    }
}

/* Nobody waits for room, and there is some. */
static void lift_if_wide(window_t *window)
{
    if (window->limited && window_has_room(window)) {
        window_lift(window);
    }
}

void session_leave_windows(session_t *session, const call_t *call, bool answered)
{
    shard_queue_t *queue = session_queue(session, call->shard);
    peer_t *peer = &session->peers[call->peer];
    window_leave(&queue->window, answered);
    window_leave(&peer->window, answered);
    if (answered && !queue->waiting) {
        lift_if_wide(&queue->window);
    }
    if (answered && !peer->starved) {
        lift_if_wide(&peer->window);
    }
    if (peer->starved && window_has_room(&peer->window)) {
        session->room_due_ms = session->now_ms;
    }
}

/* ---- sending ---- */

/* Whether a call may be sent after the one before it, which was sent. */
static bool may_follow(const call_t *call)
{
    const call_t *before = call->queue.previous;
    if (!before) {
        return true;
    }
    if (shard_id_group(call->shard) == 0) {
        return false;
    }
    /* To name what was sent without a predecessor would leave out what is before it. */
    bool nameless = (before->unlinked || before->keyed) && before->queue.previous;
    return !nameless || call_certainly_not_accepted(before);
}

/* Where there is no room, what is taken now waits for long: calls of which half of the time is over would be
 * taken too late and done for nobody, at the cost of those that come after them. */
static bool is_late(const session_t *session, const call_t *call)
{
    return session->now_ms >= call->retry_until_ms && call_certainly_not_accepted(call);
}

/* Sends at most so many; `turn`: it is the queue's turn among those that wait for room with its peer. */
static void send_some(session_t *session, shard_queue_t *queue, size_t most, bool turn)
{
    for (call_t *call = queue->waiting; call; call = queue->waiting, most--) {
        if (!may_follow(call)) {
            return;
        }
        uint32_t index = session_route(session, call->shard);
        if (!session_peer_is_welcome(session, index)) {
            session_look_for_route(session);
            return;
        }
        peer_t *peer = &session->peers[index];
        if ((queue->window.limited || peer->window.limited) && is_late(session, call)) {
            set_timer(session, queue, session->now_ms);
            return;
        }
        if (!window_has_room(&queue->window)) {
            set_timer(session, queue, queue->window.probe_at_ms);
            return;
        }
        if (most == 0 || !window_has_room(&peer->window) || (peer->starved && !turn)) {
            starve(session, queue, index);
            return;
        }
        waits_no_more(queue, call);
        window_enter(&queue->window);
        window_enter(&peer->window);
        session_make_ready(session, call, index);
    }
}

void session_send_queue(session_t *session, shard_queue_t *queue)
{
    if (!queue->waiting || queue->held) {
        return;
    }
    if (queue->starved_at != NO_PEER) {
        if (queue->starved_at == session_route(session, queue->waiting->shard)) {
            return; /* its turn comes */
        }
        unstarve(session, queue);
    }
    send_some(session, queue, SIZE_MAX, false);
}

void session_hold(session_t *session, shard_queue_t *queue, uint64_t retry_at_ms)
{
    if (queue->held) {
        return;
    }
    queue->held = true;
    unstarve(session, queue);
    set_timer(session, queue, retry_at_ms);
    for (call_t *call = queue->calls.first; call; call = call->queue.next) {
        if (call->state == CALL_READY) {
            session_take_back(session, call);
        }
    }
}

/* ---- no room ---- */

void session_fall_behind(session_t *session, call_t *call)
{
    window_t *room = &session->peers[call->peer].window;
    session_take_back(session, call);
    window_follow(&session_queue(session, call->shard)->window);
    window_follow(room);
}

fabric_error_t session_no_room(session_t *session, const call_t *call)
{
    const shard_queue_t *queue = session_queue(session, call->shard);
    if (!(call->flags & REQUEST_DURABLE) || call->state != CALL_WAITING) {
        return FABRIC_OK;
    }
    if (queue->starved_at != NO_PEER) {
        return FABRIC_ERROR_BUSY;
    }
    bool full = queue->timed && !queue->held && queue->window.limited;
    return full ? FABRIC_ERROR_MAILBOX_FULL : FABRIC_OK;
}

void session_refused_for_room(session_t *session, uint32_t index, call_t *call,
                              fabric_error_t error, uint64_t hint_ms)
{
    shard_queue_t *queue = session_queue(session, call->shard);
    window_t *window = error == FABRIC_ERROR_BUSY ? &session->peers[index].window : &queue->window;
    session_take_back(session, call);
    window_refused(window, session->now_ms, hint_ms + session_backoff(session, window->attempts));
    session_send_queue(session, queue);
}

static void end_late(session_t *session, shard_queue_t *queue, const window_t *room)
{
    while (queue->waiting && (queue->window.limited || room->limited) &&
           is_late(session, queue->waiting)) {
        fabric_error_t error =
            queue->window.limited ? FABRIC_ERROR_MAILBOX_FULL : FABRIC_ERROR_BUSY;
        session_end_for_room(session, queue->waiting, error, "for half of its time");
    }
}

static uint64_t probe_delay(session_t *session, const window_t *window)
{
    return ROOM_PROBE_MS + session_backoff(session, window->attempts);
}

/* Each queue in its turn sends one. */
static void share_room(session_t *session, peer_t *peer)
{
    while (peer->starved && window_has_room(&peer->window)) {
        shard_queue_t *queue = peer->starved;
        end_late(session, queue, &peer->window);
        unstarve(session, queue);
        send_some(session, queue, 1, true);
    }
}

static void retry_starved(session_t *session)
{
    session->room_due_ms = NEVER;
    for (size_t i = 0; i < session->peer_count; i++) {
        peer_t *peer = &session->peers[i];
        if (!peer->starved) {
            continue;
        }
        share_room(session, peer);
        if (peer->starved && session->now_ms >= peer->window.probe_at_ms) {
            window_probe(&peer->window, session->now_ms, probe_delay(session, &peer->window));
            share_room(session, peer);
        }
        if (peer->starved) {
            session->room_due_ms = session_earlier(session->room_due_ms, peer->window.probe_at_ms);
        }
    }
}

static void retry_queue(session_t *session, shard_queue_t *queue)
{
    stop_timer(session, queue);
    queue->held = false;
    uint32_t peer = queue->waiting ? session_route(session, queue->waiting->shard) : NO_PEER;
    if (!session_peer_is_welcome(session, peer)) {
        session_send_queue(session, queue);
        return;
    }
    end_late(session, queue, &session->peers[peer].window);
    if (queue->waiting && !window_has_room(&queue->window) &&
        session->now_ms >= queue->window.probe_at_ms) {
        window_probe(&queue->window, session->now_ms, probe_delay(session, &queue->window));
    }
    session_send_queue(session, queue);
}

static void retry_timed(session_t *session)
{
    session->timed_due_ms = NEVER;
    for (shard_queue_t *queue = session->timed; queue;) {
        shard_queue_t *next = queue->timed_next;
        if (queue->due_ms <= session->now_ms) {
            retry_queue(session, queue);
        } else {
            session->timed_due_ms = session_earlier(session->timed_due_ms, queue->due_ms);
        }
        queue = next;
    }
}

void session_retry_queues(session_t *session)
{
    if (session->now_ms >= session->timed_due_ms) {
        retry_timed(session);
    }
    if (session->now_ms >= session->room_due_ms) {
        retry_starved(session);
    }
}

void session_forget_room(session_t *session, uint32_t index)
{
    peer_t *peer = &session->peers[index];
    while (peer->starved) {
        unstarve(session, peer->starved);
    }
    window_lift(&peer->window);
}
