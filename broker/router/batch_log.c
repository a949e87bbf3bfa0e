/* What an append leaves for the log: see batch_log.h. */
#include "broker/router/batch_log.h"

#define LINES_PER_S 10u

static void log_dead_letter(const batch_end_t *end, uint32_t left_out)
{
    const store_message_t *message = end->message;
    log_event(LOG_WARN_LEVEL, "message.dead_letter", log_uint("request_id", message->id.value),
              log_bytes("type", message->type), log_bytes("entity", message->entity),
              log_bytes("tag", message->tag),
              log_uint("attempts", end->attempts.attempts + end->attempts.crashes),
              log_text("error", fabric_error_name(fabric_error_from_number(end->cause))),
              log_bytes("text", end->text), log_uint("left_out", left_out));
}

void batch_log_committed(log_limiter_t *log, const lane_batch_t *batch, uint64_t now_ms)
{
    uint32_t left_out = 0;
    for (size_t i = 0; i < batch->end_count; i++) {
        if (batch->ends[i].dead && log_limiter_pass(log, LINES_PER_S, now_ms, &left_out)) {
            log_dead_letter(&batch->ends[i], left_out);
        }
    }
}
