/* Which waiting calls may be sent now: the durable ones of each shard in the order of their
 * sequences, within the windows of their mailbox and their broker; volatile calls and queries as
 * soon as they have a route. */
#include "libfabric_client/src/session_state.h"

enum { CAPACITY_PROBE_MS = 50 }; /* before it is tried whether there is capacity again, at least */

/* ---- calls that are too late ---- */

/* A full broker or mailbox takes calls late. A call of which half of the time is over would be
 * taken too late and handled for nobody, at the cost of the calls after it. */
static bool is_late(const session_t *session, const call_t *call)
{
    return session->now_ms >= call->retry_until_ms && call_certainly_not_accepted(call);
}

void session_end_without_capacity(session_t *session, call_t *call, fabric_error_t error,
                                  const char *until)
{
    reason_t text;
    const char *whose = error == FABRIC_ERROR_BUSY ? "the broker" : "the entity's mailbox";
    (void)reason_set(&text, error,
                     call->refusal == error ? "%s was full %s"
                                            : "this client did not send the call: %s was full %s",
                     whose, until);
    session_end_text(session, call, error, text.text);
}

static void end_late(session_t *session, shard_queue_t *queue, const window_t *broker)
{
    while (queue->waiting && (queue->window.limited || broker->limited) &&
           is_late(session, queue->waiting)) {
        fabric_error_t error =
            queue->window.limited ? FABRIC_ERROR_MAILBOX_FULL : FABRIC_ERROR_BUSY;
        session_end_without_capacity(session, queue->waiting, error, "for half of the time");
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
    /* To name a call that was sent without a predecessor would leave out the calls before it. */
    bool nameless = (before->unlinked || before->keyed) && before->queue.previous;
    return !nameless || call_certainly_not_accepted(before);
}

/* Sends at most so many calls. `turn`: the queue has its turn in the line of its broker. */
static void send_some(session_t *session, shard_queue_t *queue, size_t most, bool turn)
{
    for (call_t *call = queue->waiting; call; call = queue->waiting, most--) {
        if (!may_follow(call)) {
            return;
        }
        uint32_t peer = session_route(session, call);
        if (!peers_is_welcomed(&session->peers, peer)) {
            session_look_for_route(session);
            return;
        }
        const broker_line_t *line = &session->queues.lines[peer];
        if ((queue->window.limited || line->window.limited) && is_late(session, call)) {
            shard_queues_set_timer(&session->queues, queue, session->now_ms);
            return;
        }
        if (!window_has_capacity(&queue->window)) {
            shard_queues_set_timer(&session->queues, queue, queue->window.probe_at_ms);
            return;
        }
        if (most == 0 || !window_has_capacity(&line->window) || (line->first && !turn)) {
            shard_queues_enter_line(&session->queues, queue, peer);
            return;
        }
        session_make_ready(session, call, peer);
    }
}

void session_dispatch_queue(session_t *session, shard_queue_t *queue)
{
    if (!queue->waiting || queue->held) {
        return;
    }
    if (queue->line != NO_PEER) {
        if (queue->line == session_route(session, queue->waiting)) {
            return; /* it will have its turn */
        }
        shard_queues_leave_line(&session->queues, queue);
    }
    send_some(session, queue, SIZE_MAX, false);
}

void session_dispatch(session_t *session, call_t *call)
{
    if (call_is_durable(call)) {
        session_dispatch_queue(session, session_queue_of(session, call));
        return;
    }
    if (call->query) {
        session_dispatch_query(session, call);
        return;
    }
    uint32_t peer = session_route(session, call);
    bool welcomed = peers_is_welcomed(&session->peers, peer);
    if (welcomed && peers_gives_way(&session->peers, peer)) {
        call_table_set_retry(&session->calls, call, 0); /* until the routes change */
    } else if (welcomed) {
        session_make_ready(session, call, peer);
    } else {
        call_table_set_retry(&session->calls, call, 0);
        session_look_for_route(session);
    }
}

void session_dispatch_released(session_t *session)
{
    shard_queue_t *queue;
    while ((queue = shard_queues_next_released(&session->queues))) {
        session_dispatch_queue(session, queue);
    }
}

/* ---- waiting for time or capacity ---- */

void session_hold(session_t *session, shard_queue_t *queue, uint64_t until_ms)
{
    if (queue->held) {
        return;
    }
    shard_queues_hold(&session->queues, queue, until_ms);
    for (call_t *call = queue->calls.first; call; call = call->queue.next) {
        if (call->state == CALL_READY) {
            session_take_back(session, call);
        }
    }
}

void session_wait_for_capacity(session_t *session, uint32_t peer, call_t *call,
                               fabric_error_t error, uint64_t hint_ms)
{
    shard_queue_t *queue = session_queue_of(session, call);
    window_t *window =
        error == FABRIC_ERROR_BUSY ? &session->queues.lines[peer].window : &queue->window;
    session_take_back(session, call);
    window_refused(window, session->now_ms,
                   hint_ms + jitter_backoff(&session->random, window->attempts));
    session_dispatch_queue(session, queue);
}

static void probe(session_t *session, window_t *window)
{
    window_probe(window, session->now_ms,
                 CAPACITY_PROBE_MS + jitter_backoff(&session->random, window->attempts));
}

/* Each queue of a line sends one call in its turn. */
static void share_capacity(session_t *session, broker_line_t *line)
{
    while (line->first && window_has_capacity(&line->window)) {
        shard_queue_t *queue = line->first;
        end_late(session, queue, &line->window);
        shard_queues_leave_line(&session->queues, queue);
        send_some(session, queue, 1, true);
    }
}

static void retry_lines(session_t *session)
{
    for (size_t i = 0; i < session->peers.count; i++) {
        broker_line_t *line = &session->queues.lines[i];
        share_capacity(session, line);
        if (line->first && session->now_ms >= line->window.probe_at_ms) {
            probe(session, &line->window);
            share_capacity(session, line);
        }
    }
    shard_queues_update_lines(&session->queues, session->peers.count, session->now_ms);
}

static void retry_queue(session_t *session, shard_queue_t *queue)
{
    shard_queues_resume(&session->queues, queue);
    uint32_t peer = queue->waiting ? session_route(session, queue->waiting) : NO_PEER;
    if (peers_is_welcomed(&session->peers, peer)) {
        end_late(session, queue, &session->queues.lines[peer].window);
        if (queue->waiting && !window_has_capacity(&queue->window) &&
            session->now_ms >= queue->window.probe_at_ms) {
            probe(session, &queue->window);
        }
    }
    session_dispatch_queue(session, queue);
}

static void retry_timed(session_t *session)
{
    for (shard_queue_t *queue = session->queues.timed; queue;) {
        shard_queue_t *next = queue->timed_next;
        if (queue->due_ms <= session->now_ms) {
            retry_queue(session, queue);
        }
        queue = next;
    }
    shard_queues_update_timed(&session->queues);
}

static void retry_parked(session_t *session)
{
    for (call_t *call = session->calls.parked.first; call;) {
        call_t *next = call->queue.next;
        if (call->retry_at_ms != 0 && call->retry_at_ms <= session->now_ms) {
            session_dispatch(session, call);
        }
        call = next;
    }
    call_table_update_parked(&session->calls);
}

void session_dispatch_due(session_t *session)
{
    if (session->now_ms >= session->queues.timed_due_ms) {
        retry_timed(session);
    }
    if (session->now_ms >= session->queues.lines_due_ms) {
        retry_lines(session);
    }
    if (session->now_ms >= session->calls.parked_due_ms) {
        retry_parked(session);
    }
    session_dispatch_released(session);
}

uint64_t session_dispatch_deadline(const session_t *session)
{
    uint64_t due_ms = earlier(session->queues.timed_due_ms, session->queues.lines_due_ms);
    return earlier(earlier(due_ms, session->calls.parked_due_ms), session->probe_at_ms);
}

/* ---- when routes change ---- */

/* A durable call moves with its shard's home, sent or not: the new home knows it by its key. So
 * does a query to the home, which changes nothing. A volatile call moves only while it is unsent.
 */
static void fetch_back(session_t *session, call_t *call)
{
    if (!call->query && shard_id_group(call->shard) == 0) {
        session_relocate(session, call);
    } else if (call_is_durable(call) &&
               session_queue_of(session, call)->joined_generation == session->route_generation) {
        call_note_passing(call);
    }
    uint32_t peer = session_route(session, call);
    bool moved = call->peer != peer;
    if ((call->state == CALL_READY && moved) ||
        (call->state == CALL_SENT && moved && (call_is_durable(call) || call_asks_home(call)) &&
         peers_is_welcomed(&session->peers, peer))) {
        session_take_back(session, call);
    }
}

void session_reroute(session_t *session)
{
    session_forget_routes(session);
    for (call_t *call = session->calls.open.first; call; call = call->open.next) {
        fetch_back(session, call);
    }
    for (call_t *call = session->calls.open.first; call;) {
        call_t *next = call->open.next;
        if (call->state == CALL_WAITING && (call_is_durable(call) || call->retry_at_ms == 0)) {
            session_dispatch(session, call);
        }
        call = next;
    }
}
