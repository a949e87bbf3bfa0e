/* The memory and the simple truths of a call. */
#include "libfabric_client/src/call.h"

#include <stdlib.h>

#define CALL_BYTES_MIN 192 /* room for most answers, so that they need no second allocation */

call_t *call_new(size_t capacity)
{
    if (capacity < CALL_BYTES_MIN) {
        capacity = CALL_BYTES_MIN;
    }
    call_t *call = malloc(sizeof *call + capacity);
    if (!call) {
        abort();
    }
    memset(call, 0, sizeof *call);
    call->capacity = capacity;
    return call;
}

void call_destroy(call_t **call)
{
    if (*call) {
        free((*call)->spare);
        free((*call)->wait_reason);
        free(*call);
        *call = NULL;
    }
}

void call_set_answer(call_t *call, fabric_bytes_t answer)
{
    uint8_t *room = call->bytes;
    if (answer.size > call->capacity) {
        room = realloc(call->spare, answer.size);
        if (!room) {
            abort();
        }
        call->spare = room;
    }
    if (answer.size > 0) {
        memcpy(room, answer.data, answer.size);
    }
    call->answer = fabric_bytes(room, answer.size);
}

void call_set_wait_reason(call_t *call, fabric_bytes_t reason)
{
    char *text = malloc(reason.size + 1);
    if (!text) {
        abort();
    }
    if (reason.size > 0) {
        memcpy(text, reason.data, reason.size);
    }
    text[reason.size] = '\0';
    free(call->wait_reason);
    call->wait_reason = text;
}

/* Counts instead of looking at the last answer alone: a send that a broken connection swallowed
 * stays possible, whatever a later broker says. */
bool call_certainly_not_accepted(const call_t *call)
{
    return !call->accepted && !call->keyed && call->sends == call->refusals;
}
