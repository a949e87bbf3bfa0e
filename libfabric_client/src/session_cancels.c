/* Cancels: what a caller no longer wants is said to the broker that has it, and said again behind
 * each resend, until the call has ended (decision 27). They begin a frame: what its head settles on
 * is settled behind them. */
#include "libfabric_client/src/session_state.h"

/* Whether the call ends with its acceptance: nobody waits for the end of its message. */
static bool is_plain_tell(const call_t *call)
{
    return (call->flags & REQUEST_TELL) && !(call->flags & REQUEST_WANT_HANDLED);
}

void session_put_cancel(const call_t *call, wire_writer_t *frame)
{
    message_cancel_t cancel = {.sequence = call->sequence, .type = call->type, .id = call->id};
    message_put_cancel(frame, &cancel);
}

void session_tell_cancelled(session_t *session, const call_t *call)
{
    if (call->state == CALL_SENT && !call->query && !is_plain_tell(call)) {
        session_put_cancel(call, &session->frames[call->peer].cancels);
    }
}

bool session_end_if_cancelled(session_t *session, call_t *call)
{
    bool ends = call->cancelled && call_certainly_not_accepted(call);
    if (ends) {
        session_end_text(session, call, FABRIC_ERROR_CANCELLED,
                         "cancelled before a broker had taken it");
    }
    return ends;
}

void session_cancel(session_t *session, uint64_t sequence, uint64_t now_ms)
{
    session->now_ms = now_ms;
    call_t *call = call_table_find(&session->calls, sequence);
    if (!call || call->query || call->cancelled) {
        return;
    }
    if (is_plain_tell(call) && !call_certainly_not_accepted(call)) {
        return;
    }
    call_note_cancelled(call);
    if (!session_end_if_cancelled(session, call)) {
        session_tell_cancelled(session, call);
    }
}

bool session_cancels_fit(const session_t *session, size_t peer)
{
    const peer_frame_t *next = &session->frames[peer];
    bool fits = next->cancels.size - next->cancels_sent < LIMIT_FRAME_BYTES_GOAL / 2;
    return next->cancels.size == 0 || (fits && peer_answers(&session->peers.list[peer]));
}

/* As many as the frame takes. */
void session_put_cancels(session_t *session, size_t peer, wire_writer_t *frame)
{
    peer_frame_t *next = &session->frames[peer];
    fabric_bytes_t waiting = wire_writer_bytes(&next->cancels);
    wire_reader_t reader = wire_reader(
        fabric_bytes(waiting.data + next->cancels_sent, waiting.size - next->cancels_sent));
    while (frame->size < LIMIT_FRAME_BYTES_GOAL && wire_left(&reader) > 0) {
        wire_put_bin(frame, wire_get_bin(&reader));
    }
    next->cancels_sent = waiting.size - wire_left(&reader);
    if (next->cancels_sent == waiting.size) {
        session_drop_cancels(session, peer);
    }
}

void session_drop_cancels(session_t *session, size_t peer)
{
    wire_writer_destroy(&session->frames[peer].cancels);
    session->frames[peer].cancels_sent = 0;
}
