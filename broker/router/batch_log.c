/* What an append leaves for the log: see batch_log.h. */
#include "broker/router/batch_log.h"

#define LINES_PER_S 10u

static void log_dead_letter(const store_message_t *message, uint32_t attempts, uint32_t cause,
                            fabric_bytes_t text, uint32_t left_out)
{
    log_event(LOG_WARN_LEVEL, "message.dead_letter", log_uint("request_id", message->id.value),
              log_bytes("type", message->type), log_bytes("entity", message->entity),
              log_bytes("tag", message->tag), log_uint("attempts", attempts),
              log_text("error", fabric_error_name(fabric_error_from_number(cause))),
              log_bytes("text", text), log_uint("left_out", left_out));
}

void batch_log_committed(log_limiter_t *log, const lane_batch_t *batch, uint64_t now_ms)
{
    uint32_t left_out = 0;
    for (size_t i = 0; i < batch->end_count; i++) {
        const batch_end_t *end = &batch->ends[i];
        if (end->dead && log_limiter_pass(log, LINES_PER_S, now_ms, &left_out)) {
            log_dead_letter(end->message, end->attempts.attempts + end->attempts.crashes,
                            end->cause, end->text, left_out);
        }
    }
    for (size_t i = 0; i < batch->sent_count; i++) {
        const batch_sent_t *sent = &batch->sents[i];
        if (sent->dead && log_limiter_pass(log, LINES_PER_S, now_ms, &left_out)) {
            log_dead_letter(sent->dead, 0, sent->end.cause, sent->reply->payload, left_out);
        }
    }
}
