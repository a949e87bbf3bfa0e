/* What a commit leaves for the log: see batch_log.h. */
#include "broker/router/batch_log.h"

#define LINES_PER_S 10u

/* What one item of a batch is about. */
typedef struct item {
    const char *kind;
    request_id_t id;
    const store_message_t *message; /* NULL: not known */
} item_t;

static item_t item_of(const store_batch_t *batch, const store_rejection_t *rejection)
{
    const store_message_t *message = NULL;
    switch (rejection->item) {
    case STORE_ITEM_MESSAGE:
        message = batch->messages[rejection->index];
        return (item_t){"message", message->id, message};
    case STORE_ITEM_REPLY:
        message = &message_of_reply(batch->replies[rejection->index])->stored;
        return (item_t){"reply", message->id, message};
    case STORE_ITEM_ATTEMPT:
        return (item_t){"attempt", batch->attempts[rejection->index].id, NULL};
    case STORE_ITEM_DEAD_LETTER:
        message = batch->dead_letters[rejection->index].message;
        return (item_t){"dead_letter", message->id, message};
    case STORE_ITEM_UNKNOWN:
        break;
    }
    return (item_t){"unknown", {0}, NULL};
}

static void log_rejection(const store_batch_t *batch, const store_rejection_t *rejection,
                          uint32_t left_out)
{
    static const store_message_t nothing = {.flags = 0};
    item_t item = item_of(batch, rejection);
    const store_message_t *message = item.message ? item.message : &nothing;
    log_event(LOG_WARN_LEVEL, "store.rejected", log_text("item", item.kind),
              log_uint("request_id", item.id.value), log_bytes("type", message->type),
              log_bytes("entity", message->entity), log_bytes("tag", message->tag),
              log_text("cause", rejection->reason.text), log_uint("left_out", left_out));
}

static void log_dead_letter(const store_dead_letter_t *letter, uint32_t left_out)
{
    const store_message_t *message = letter->message;
    log_event(LOG_WARN_LEVEL, "message.dead_letter", log_uint("request_id", message->id.value),
              log_bytes("type", message->type), log_bytes("entity", message->entity),
              log_bytes("tag", message->tag), log_uint("attempts", letter->attempts),
              log_text("error", fabric_error_name(fabric_error_from_number(letter->error))),
              log_bytes("text", letter->text), log_uint("left_out", left_out));
}

static bool is_rejected(const lane_rejections_t *rejected, size_t dead_letter)
{
    for (size_t i = 0; i < rejected->count; i++) {
        if (rejected->items[i].item == STORE_ITEM_DEAD_LETTER &&
            rejected->items[i].index == dead_letter) {
            return true;
        }
    }
    return false;
}

void batch_log_committed(batch_log_t *log, const store_batch_t *batch,
                         const lane_rejections_t *rejected, uint64_t now_ms)
{
    uint32_t left_out = 0;
    for (size_t i = 0; i < rejected->count; i++) {
        if (log_limiter_pass(&log->rejections, LINES_PER_S, now_ms, &left_out)) {
            log_rejection(batch, &rejected->items[i], left_out);
        }
    }
    for (size_t i = 0; i < batch->dead_letter_count; i++) {
        if (!is_rejected(rejected, i) &&
            log_limiter_pass(&log->dead_letters, LINES_PER_S, now_ms, &left_out)) {
            log_dead_letter(&batch->dead_letters[i], left_out);
        }
    }
}
