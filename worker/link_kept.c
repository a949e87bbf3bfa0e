/* The frames that a connection keeps: see link_kept_state.h. */
#include "worker/link_kept_state.h"

#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/memory.h"

static void forget_first(link_kept_t *kept)
{
    kept_frame_t *frame = kept->first;
    kept->first = frame->next;
    kept->bytes -= sizeof *frame + frame->size;
    free(frame);
}

void link_kept_begin(link_kept_t *kept)
{
    while (kept->first) {
        forget_first(kept);
    }
    *kept = (link_kept_t){0};
}

/* Copies all messages but those with states, events or told messages, or only adds them up (NULL).
 * Returns their size. */
static size_t copy_stateless(fabric_bytes_t messages, uint8_t *to)
{
    size_t size = 0;
    wire_reader_t reader = wire_reader(messages);
    wire_reader_t body;
    for (const uint8_t *from = reader.next; frame_next(&reader, &body); from = reader.next) {
        message_kind_t kind;
        size_t step = (size_t)(reader.next - from);
        if (message_open(&body, &kind) || kind == KIND_RESULT_STATE || kind == KIND_RESULT_EVENTS ||
            kind == KIND_RESULT_TOLD) {
            continue;
        }
        if (to) {
            memcpy(to + size, from, step);
        }
        size += step;
    }
    return size;
}

static void append(link_kept_t *kept, fabric_bytes_t messages, bool states)
{
    size_t size = states ? copy_stateless(messages, NULL) : messages.size;
    kept_frame_t *frame = (kept_frame_t *)memory_allocate(sizeof *frame + size);
    frame->next = NULL;
    frame->number = kept->sent;
    frame->size = size;
    if (states) {
        (void)copy_stateless(messages, frame->messages);
    } else {
        memcpy(frame->messages, messages.data, size);
    }
    if (kept->first) {
        kept->last->next = frame;
    } else {
        kept->first = frame;
    }
    kept->last = frame;
    kept->bytes += sizeof *frame + frame->size;
}

bool link_kept_add(link_kept_t *kept, fabric_bytes_t messages, bool states)
{
    kept->sent++;
    if (messages.size == 0) {
        return false;
    }
    append(kept, messages, states);
    bool first = kept->let_go == 0;
    while (kept->first && kept->bytes > LIMIT_KEPT_RESULT_BYTES_MAX) {
        kept->let_go = kept->first->number;
        forget_first(kept);
    }
    return first && kept->let_go > 0;
}

bool link_kept_settle(link_kept_t *kept, uint64_t frames)
{
    if (frames > kept->sent) {
        return false;
    }
    kept->settled = frames > kept->settled ? frames : kept->settled;
    while (kept->first && kept->first->number <= frames) {
        forget_first(kept);
    }
    return true;
}

bool link_kept_is_whole(const link_kept_t *kept)
{
    return kept->let_go <= kept->settled;
}
