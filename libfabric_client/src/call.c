/* The memory and the course of a call: see call.h. */
#include "libfabric_client/src/call.h"

#include <stdlib.h>

#include "core/memory.h"
#include "core/state_machine.h"

#define CALL_BYTES_MIN 192 /* enough for most answers, so that they need no second allocation */

static const state_description_t states[] = {
    [CALL_WAITING] = {"waiting", STATE_BIT(CALL_READY) | STATE_BIT(CALL_DONE)},
    [CALL_READY] = {"ready", STATE_BIT(CALL_SENT) | STATE_BIT(CALL_WAITING)},
    [CALL_SENT] = {"sent", STATE_BIT(CALL_WAITING) | STATE_BIT(CALL_DONE)},
    [CALL_DONE] = {"done", 0},
};
static const state_machine_t machine = {"client call", states, sizeof states / sizeof *states};

static void set_state(call_t *call, call_state_t next)
{
    state_machine_check(&machine, call->state, next);
    call->state = next;
}

/* ---- memory ---- */

call_t *call_new(size_t capacity)
{
    if (capacity < CALL_BYTES_MIN) {
        capacity = CALL_BYTES_MIN;
    }
    call_t *call = memory_allocate(sizeof *call + capacity);
    memset(call, 0, sizeof *call);
    call->peer = NO_PEER;
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

static void set_answer(call_t *call, fabric_bytes_t answer)
{
    uint8_t *bytes = call->bytes;
    if (answer.size > call->capacity) {
        bytes = memory_resize(call->spare, answer.size, 1);
        call->spare = bytes;
    }
    if (answer.size > 0) {
        memcpy(bytes, answer.data, answer.size);
    }
    call->answer = fabric_bytes(bytes, answer.size);
}

/* ---- from state to state ---- */

void call_begin(call_t *call, shard_id_t shard, uint64_t now_ms)
{
    call->shard = shard;
    call->retry_until_ms = now_ms;
    if (call->deadline_ms > now_ms) {
        call->retry_until_ms += (call->deadline_ms - now_ms) / 2;
    }
}

void call_relocate(call_t *call, shard_id_t shard)
{
    call->shard = shard;
}

void call_note_passing(call_t *call)
{
    call->unlinked |= !call_certainly_not_accepted(call);
}

void call_become_ready(call_t *call, uint32_t peer)
{
    set_state(call, CALL_READY);
    call->peer = peer;
}

bool call_begin_send(call_t *call, uint64_t high_id)
{
    bool first = call->sends == 0 && !call->keyed;
    if (first) {
        call->floor = high_id;
    }
    if (call_certainly_not_accepted(call)) {
        call->unlinked = shard_id_group(call->shard) == 0;
    }
    return first;
}

void call_become_sent(call_t *call, uint64_t frame)
{
    set_state(call, CALL_SENT);
    call->sends++;
    call->frame = frame;
}

void call_unsend(call_t *call)
{
    call->sends--;
}

void call_become_waiting(call_t *call)
{
    set_state(call, CALL_WAITING);
    call->peer = NO_PEER;
}

void call_become_done(call_t *call, fabric_error_t error, fabric_bytes_t answer)
{
    set_state(call, CALL_DONE);
    call->error = error;
    set_answer(call, answer);
}

/* ---- what brokers say of it ---- */

void call_note_accepted(call_t *call, uint64_t request_id)
{
    call->accepted = true;
    if (request_id != 0) {
        call->request_id = request_id;
    }
}

void call_note_code(call_t *call, uint64_t code, bool typed)
{
    call->code = code;
    call->typed = typed;
}

void call_note_refused(call_t *call, fabric_error_t error, uint32_t peer)
{
    call->refusals++;
    call->refusal = error;
    call->refused_by = peer;
}

void call_note_wait_reason(call_t *call, fabric_bytes_t reason)
{
    char *text = memory_allocate(reason.size + 1);
    if (reason.size > 0) {
        memcpy(text, reason.data, reason.size);
    }
    text[reason.size] = '\0';
    free(call->wait_reason);
    call->wait_reason = text;
}

void call_note_cancelled(call_t *call)
{
    call->cancelled = true;
}

uint32_t call_next_attempt(call_t *call)
{
    return call->attempts++;
}
