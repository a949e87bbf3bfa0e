/* Results that a former home may not have committed: see executor_kept_state.h. */
#include "worker/executor_kept_state.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* Whether the result ends its message; if not, the message is to be handled again. */
static bool is_final(const message_result_t *result)
{
    return reply_status_is_answer(result->status) ||
           (result->status == STATUS_DEFECT && result->error == FABRIC_ERROR_MALFORMED_MESSAGE);
}

static kept_result_t *find(const kept_results_t *kept, uint64_t request_id)
{
    kept_result_t *found = NULL;
    HASH_FIND(hh, kept->by_request, &request_id, sizeof request_id, found);
    return found;
}

static void forget(kept_results_t *kept, kept_result_t *one)
{
    HASH_DEL(kept->by_request, one);
    free(one);
}

static kept_result_t *add(kept_results_t *kept, const message_result_t *result)
{
    kept_result_t *one = (kept_result_t *)memory_allocate(sizeof *one + result->payload.size);
    memset(one, 0, sizeof *one);
    one->request_id = result->request_id;
    one->home_epoch = result->home_epoch;
    one->status = result->status;
    one->error = result->error;
    one->code = result->code;
    one->payload_size = (uint32_t)result->payload.size;
    if (result->payload.size > 0) {
        memcpy(one->payload, result->payload.data, result->payload.size);
    }
    HASH_ADD(hh, kept->by_request, request_id, sizeof one->request_id, one);
    return one;
}

static void add_sent(kept_results_t *kept, const message_result_t *result)
{
    kept_result_t *before = find(kept, result->request_id);
    if (before && before->held) {
        return;
    }
    if (before) {
        forget(kept, before); /* the home has delivered the message again since */
    }
    if (is_final(result)) {
        (void)add(kept, result);
    }
}

void kept_results_add_sent(kept_results_t *kept, fabric_bytes_t messages, uint64_t until_ms)
{
    wire_reader_t reader = wire_reader(messages);
    wire_reader_t body;
    kept->until_ms = until_ms;
    while (frame_next(&reader, &body)) {
        message_kind_t kind;
        message_result_t result;
        if (!message_open(&body, &kind) && kind == KIND_RESULT &&
            !message_get_result(&body, &result)) {
            add_sent(kept, &result);
        }
    }
}

void kept_results_hold(kept_results_t *kept, const message_result_t *result)
{
    kept_result_t *before = find(kept, result->request_id);
    if (before) {
        forget(kept, before);
    }
    add(kept, result)->held = true;
}

bool kept_results_have(const kept_results_t *kept, uint64_t request_id)
{
    return kept->by_request && find(kept, request_id);
}

kept_result_t *kept_results_take(kept_results_t *kept, uint64_t request_id, uint64_t now_ms)
{
    if (kept->by_request && now_ms >= kept->until_ms) {
        kept_results_clear(kept);
    }
    kept_result_t *found = kept->by_request ? find(kept, request_id) : NULL;
    if (found) {
        HASH_DEL(kept->by_request, found);
    }
    return found;
}

void kept_results_forget(kept_results_t *kept, uint64_t request_id, uint64_t home_epoch)
{
    kept_result_t *found = kept->by_request ? find(kept, request_id) : NULL;
    if (found && found->home_epoch == home_epoch) {
        forget(kept, found);
    }
}

void kept_results_clear(kept_results_t *kept)
{
    kept_result_t *one, *next;
    HASH_ITER(hh, kept->by_request, one, next)
    {
        forget(kept, one);
    }
}
