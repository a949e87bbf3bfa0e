/* The course of one call through the session's lists. Nothing here decides when a call is sent. */
#include "libfabric_client/src/session_state.h"

shard_queue_t *session_queue_of(session_t *session, const call_t *call)
{
    return shard_queues_get(&session->queues, call->shard);
}

size_t session_open_calls(const session_t *session)
{
    return session->calls.open.count;
}

uint64_t session_settled(const session_t *session)
{
    const call_t *oldest = session->calls.open.first;
    return oldest ? oldest->sequence : session->next_sequence;
}

void session_open_call(session_t *session, call_t *call)
{
    shard_id_t none = {0};
    call_begin(call, call->query ? none : session_locate(session, call), session->now_ms);
    call_table_add(&session->calls, call, session->now_ms);
    if (call_is_durable(call)) {
        shard_queues_enter(&session->queues, call);
    } else {
        call_table_park(&session->calls, call, 0);
    }
}

void session_make_ready(session_t *session, call_t *call, uint32_t peer)
{
    if (call_is_durable(call)) {
        shard_queues_send(&session->queues, call, peer);
    } else {
        call_table_unpark(&session->calls, call);
    }
    call_become_ready(call, peer);
    ready_list_append(&session->ready[peer], call);
}

void session_make_sent(session_t *session, call_t *call)
{
    session->stats.resent += call->sends > 0 && !call->query;
    ready_list_remove(&session->ready[call->peer], call);
    call_become_sent(call, session->frames[call->peer].number);
    session->sent[call->peer]++;
}

/* A call that was sent is not under way any more. */
static void count_back(session_t *session, const call_t *call)
{
    if (call->state == CALL_SENT) {
        session->sent[call->peer]--;
    }
}

void session_take_back(session_t *session, call_t *call)
{
    count_back(session, call);
    if (call->state == CALL_READY) {
        ready_list_remove(&session->ready[call->peer], call);
    }
    if (call_is_durable(call)) {
        shard_queues_return(&session->queues, call, false, session->now_ms);
    }
    call_become_waiting(call);
    if (call_is_durable(call)) {
        shard_queues_wait(&session->queues, call);
    } else {
        call_table_park(&session->calls, call, 0);
    }
}

bool session_is_behind(session_t *session, const call_t *call)
{
    return call_is_durable(call) && shard_queue_is_behind(session_queue_of(session, call), call);
}

void session_fall_behind(session_t *session, call_t *call)
{
    window_t *broker = &session->queues.lines[call->peer].window;
    session_take_back(session, call);
    window_follow(&session_queue_of(session, call)->window);
    window_follow(broker);
}

void session_relocate(session_t *session, call_t *call)
{
    shard_id_t shard = session_locate(session, call);
    if (shard_id_group(shard) == 0) {
        return;
    }
    if (!call_is_durable(call)) {
        call_relocate(call, shard);
        return;
    }
    if (call->state == CALL_READY) {
        session_take_back(session, call);
    }
    shard_queues_relocate(&session->queues, call, shard, session->route_generation);
}

/* The queue is released: the end of the call may let others go. */
static void leave_queue(session_t *session, call_t *call, bool answered)
{
    shard_queue_t *queue = session_queue_of(session, call);
    if (call->state == CALL_SENT) {
        shard_queues_return(&session->queues, call, answered, session->now_ms);
    }
    shard_queues_leave(&session->queues, call);
    if (answered) {
        shard_queue_answered(queue);
    }
    shard_queues_release(&session->queues, queue);
}

void session_end(session_t *session, call_t *call, fabric_error_t error, fabric_bytes_t answer)
{
    if (call->state == CALL_READY) {
        session_take_back(session, call);
    }
    if (call_is_durable(call)) {
        fabric_error_class_t class = fabric_error_class(error);
        leave_queue(session, call, class == FABRIC_CLASS_OK || class == FABRIC_CLASS_FAILURE);
    } else if (call->state == CALL_WAITING) {
        call_table_unpark(&session->calls, call);
    }
    call_table_remove(&session->calls, call);
    count_back(session, call);
    call_become_done(call, error, answer);
    call_table_add_done(&session->calls, call);
    session->stats.completed++;
}

void session_end_text(session_t *session, call_t *call, fabric_error_t error, const char *text)
{
    session_end(session, call, error, fabric_bytes_of(text));
}
