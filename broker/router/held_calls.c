/* Held requests by their calls: see held_calls.h. */
#include "broker/router/held_calls.h"

#include <stdlib.h>

#include "core/hash.h"
#include "core/memory.h"

struct held_call {
    uint64_t sequence;
    message_t *message; /* the only one; NULL: there were more, as a call that its client has
                         * settled on may come again while it is held */
    size_t count;
    UT_hash_handle hh;
};

static held_call_t *find(const held_calls_t *calls, uint64_t sequence)
{
    held_call_t *call = NULL;
    HASH_FIND(hh, calls->by_sequence, &sequence, sizeof sequence, call);
    return call;
}

size_t held_call_bytes(void)
{
    return sizeof(held_call_t);
}

void held_calls_add(held_calls_t *calls, message_t *message)
{
    held_call_t *call = find(calls, message->stored.call.sequence);
    if (call) {
        call->message = NULL;
        call->count++;
        return;
    }
    call = memory_allocate_zeroed(1, sizeof *call);
    call->sequence = message->stored.call.sequence;
    call->message = message;
    call->count = 1;
    HASH_ADD(hh, calls->by_sequence, sequence, sizeof call->sequence, call);
}

void held_calls_remove(held_calls_t *calls, const message_t *message)
{
    held_call_t *call = find(calls, message->stored.call.sequence);
    if (--call->count == 0) {
        HASH_DEL(calls->by_sequence, call);
        free(call);
    }
}

message_t *held_calls_find(const held_calls_t *calls, uint64_t sequence, bool *several)
{
    const held_call_t *call = find(calls, sequence);
    *several = call && !call->message;
    return call ? call->message : NULL;
}
