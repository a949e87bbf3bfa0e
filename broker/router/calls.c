/* The calls of each client: a ring of calls, from the oldest that the client has not settled on. */
#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "core/memory.h"
#include "core/state_machine.h"

/* CLIENT_SHARE: one client may take this part of the memory for messages.
 * OVERDUE_MS: how often a client's calls are looked through for those at their deadlines, at
 * most. */
enum {
    RING_FIRST = 64,
    RING_OUTGOING = 4,
    CLIENT_SHARE = 4,
    OVERDUE_MS = 100,
    BUSY_RETRY_MS = 100,
    FETCH_AHEAD = 4
};

static const state_description_t states[] = {
    [CALL_NONE] = {"none",
                   STATE_BIT(CALL_WAITING) | STATE_BIT(CALL_OPEN) | STATE_BIT(CALL_REFUSED)},
    [CALL_WAITING] = {"waiting", STATE_BIT(CALL_NONE) | STATE_BIT(CALL_OPEN) |
                                     STATE_BIT(CALL_ENDED) | STATE_BIT(CALL_REFUSED)},
    [CALL_OPEN] = {"open", STATE_BIT(CALL_NONE) | STATE_BIT(CALL_ENDED)},
    [CALL_ENDED] = {"ended", STATE_BIT(CALL_NONE)},
    [CALL_REFUSED] = {"refused", STATE_BIT(CALL_NONE)},
};
static const state_machine_t machine = {"call", states, sizeof states / sizeof *states};

/* The only way to change a call's state. */
static void set_state(call_t *call, call_state_t state)
{
    state_machine_check(&machine, call->state, state);
    call->state = state;
}

void calls_account(router_t *router, client_t *client, uint64_t added, uint64_t removed)
{
    client->calls.bytes += added - removed;
    router->client_bytes += added - removed;
}

void calls_init(router_t *router, client_t *client)
{
    size_t capacity = client->outgoing ? RING_OUTGOING : RING_FIRST;
    client->calls = (call_table_t){
        .ring = memory_allocate_zeroed(capacity, sizeof(call_t)),
        .capacity = capacity,
        .settled = client->outgoing ? CALL_OUTGOING : 0,
        .deadline_ms = UINT64_MAX,
    };
    calls_account(router, client, sizeof *client + capacity * sizeof(call_t), 0);
}

/* ---- messages that the client settles on before they are committed ---- */

void call_settled_early(client_t *client, message_t *message)
{
    message->settled_early = true;
    client->calls.settled_early++;
}

void call_left_lane(client_t *client, message_t *message)
{
    if (message->settled_early) {
        message->settled_early = false;
        client->calls.settled_early--;
    }
}

bool calls_are_uncommitted(const client_t *client)
{
    const call_table_t *calls = &client->calls;
    if (calls->settled_early > 0) {
        return true;
    }
    for (uint64_t i = 0; i < calls->capacity; i++) {
        const call_t *call = &calls->ring[i];
        if (call->state == CALL_OPEN && message_is_unstored(call->message)) {
            return true;
        }
    }
    return false;
}

/* ---- a call and its message ---- */

static void attach(router_t *router, client_t *client, call_t *call, message_t *message)
{
    waiter_t *waiter = message_add_waiter(message, (call_key_t){client->number, call->sequence});
    waiter->called = true;
    call->message = message;
    if (waiter != &message->waiter) {
        calls_account(router, client, sizeof *waiter, 0);
    }
}

static void detach(router_t *router, client_t *client, call_t *call)
{
    message_t *message = call->message;
    waiter_t *waiter = message_find_waiter(message, (call_key_t){client->number, call->sequence});
    waiter->called = false;
    call->message = NULL;
    if (waiter != &message->waiter) {
        calls_account(router, client, 0, sizeof *waiter);
        message_remove_waiter(message, waiter);
    }
}

void call_refer(call_t *call, message_t *message)
{
    call->message = message;
}

/* Whether a look-up of the call has to find the message. */
static bool brought(const client_t *client, const call_t *call, const message_t *message)
{
    return message->stored.call.client == client->number &&
           message->stored.call.sequence == call->sequence;
}

/* Frees the place of a call, and the call's ended message where no other call keeps it. */
static void clear(router_t *router, client_t *client, call_t *call)
{
    message_t *message = call->message;
    if (message) {
        detach(router, client, call);
    }
    if (message && message->state == MESSAGE_ENDED) {
        calls_account(router, client, 0, message->size);
        if (!message_is_called(message)) {
            message_destroy(&message);
        }
    } else if (message && message->state == MESSAGE_STORED && !message_has_callers(message)) {
        message_remove(router, message);
        message_destroy(&message);
    } else if (message && message_is_unstored(message) && brought(client, call, message)) {
        call_settled_early(client, message);
    }
    if (call->state != CALL_NONE) {
        call_forget(call);
    }
}

/* ---- the ring ---- */

/* The place of a call with this sequence. */
static call_t *call_at(const call_table_t *calls, uint64_t sequence)
{
    return &calls->ring[sequence & (calls->capacity - 1)];
}

void calls_settle(router_t *router, client_t *client, uint64_t settled)
{
    call_table_t *calls = &client->calls;
    if (settled <= calls->settled) {
        return;
    }
    uint64_t count = settled - calls->settled;
    if (count > calls->capacity) {
        count = calls->capacity;
    }
    for (uint64_t i = 0; i < count; i++) {
        const call_t *later = call_at(calls, calls->settled + i + FETCH_AHEAD);
        memory_prefetch(later->message, MESSAGE_HEAD_BYTES);
        call_t *call = call_at(calls, calls->settled + i);
        if (call->sequence < settled) {
            clear(router, client, call);
        }
    }
    calls->settled = settled;
}

void calls_destroy(router_t *router, client_t *client)
{
    call_table_t *calls = &client->calls;
    for (uint64_t i = 0; i < calls->capacity; i++) {
        clear(router, client, &calls->ring[i]);
    }
    free(calls->ring);
    router->client_bytes -= calls->bytes;
    *calls = (call_table_t){0};
}

call_t *call_find(const client_t *client, uint64_t sequence)
{
    call_t *call = call_at(&client->calls, sequence);
    return call->state != CALL_NONE && call->sequence == sequence ? call : NULL;
}

static void grow(router_t *router, client_t *client, uint64_t capacity)
{
    call_table_t *calls = &client->calls;
    call_t *ring = memory_allocate_zeroed(capacity, sizeof *ring);
    for (uint64_t i = 0; i < calls->capacity; i++) {
        if (calls->ring[i].state != CALL_NONE) {
            ring[calls->ring[i].sequence & (capacity - 1)] = calls->ring[i];
        }
    }
    free(calls->ring);
    calls_account(router, client, (capacity - calls->capacity) * sizeof *ring, 0);
    calls->ring = ring;
    calls->capacity = capacity;
}

/* One client that does not settle its calls must not take the memory of all. */
static bool may_take(const router_t *router, const client_t *client, uint64_t bytes)
{
    return client->calls.bytes + bytes <= router->config.memory_bytes_max / CLIENT_SHARE &&
           !router_memory_is_full(router);
}

call_t *call_add(router_t *router, client_t *client, uint64_t sequence)
{
    call_table_t *calls = &client->calls;
    uint64_t capacity = calls->capacity;
    while (sequence - calls->settled >= capacity) {
        if (capacity >= UINT64_C(2) * LIMIT_PENDING_CALLS_MAX) {
            return NULL;
        }
        capacity *= 2;
    }
    if (capacity != calls->capacity) {
        if (!may_take(router, client, (capacity - calls->capacity) * sizeof(call_t))) {
            return NULL;
        }
        grow(router, client, capacity);
    }
    call_t *call = call_at(calls, sequence);
    clear(router, client, call);
    call->sequence = sequence;
    return call;
}

/* ---- the states of a call ---- */

void call_wait(client_t *client, call_t *call, uint64_t deadline_ms)
{
    set_state(call, CALL_WAITING);
    call_set_deadline(client, call, deadline_ms);
}

void call_open(router_t *router, client_t *client, call_t *call, message_t *message)
{
    set_state(call, CALL_OPEN);
    attach(router, client, call, message);
}

void call_end(router_t *router, client_t *client, call_t *call, message_t *message)
{
    set_state(call, CALL_ENDED);
    if (!call->message) {
        attach(router, client, call, message);
    }
    calls_account(router, client, message->size, 0);
}

void call_refuse(call_t *call, uint64_t predecessor, fabric_error_t error)
{
    set_state(call, CALL_REFUSED);
    call->error = error;
    call->predecessor = predecessor < call->sequence ? predecessor : 0;
}

void call_drop(router_t *router, client_t *client, call_t *call)
{
    detach(router, client, call);
    call_forget(call);
}

void call_forget(call_t *call)
{
    set_state(call, CALL_NONE);
    call->error = FABRIC_OK;
    call->deadline_ms = 0;
}

/* A deadline is rounded up, so that a client's calls are looked through once for all deadlines of
 * the same time. */
void call_set_deadline(client_t *client, call_t *call, uint64_t deadline_ms)
{
    call->deadline_ms = deadline_ms > 0 ? deadline_ms - deadline_ms % OVERDUE_MS + OVERDUE_MS : 0;
    if (deadline_ms > 0 && call->deadline_ms < client->calls.deadline_ms) {
        client->calls.deadline_ms = call->deadline_ms;
    }
}

call_t *calls_next_overdue(client_t *client, uint64_t now_ms, uint64_t *place)
{
    call_table_t *calls = &client->calls;
    if (*place == 0) {
        calls->deadline_ms = UINT64_MAX;
    }
    while (*place < calls->capacity) {
        call_t *call = &calls->ring[(*place)++];
        if (call->deadline_ms == 0 || (call->state != CALL_WAITING && call->state != CALL_OPEN)) {
            continue;
        }
        if (call->deadline_ms <= now_ms) {
            call->deadline_ms = 0;
            return call;
        }
        if (call->deadline_ms < calls->deadline_ms) {
            calls->deadline_ms = call->deadline_ms;
        }
    }
    return NULL;
}

/* ---- arrival ---- */

/* Whether the call's message is in a batch that is being appended for a lane that was dropped: only
 * the batch's answer, or a look-up after the lane has been adopted again, says whether it is
 * stored. */
static bool is_orphaned(const call_t *call)
{
    return call->state == CALL_OPEN && call->message->orphaned;
}

/* A call that waits, or whose message is orphaned, counts as unknown: it may be refused yet, and
 * what arrived after it must not come before it. A call that was refused does not stand for its own
 * predecessor. */
bool call_predecessor_is_known(const client_t *client, uint64_t predecessor)
{
    while (predecessor != 0 && predecessor >= client->calls.settled) {
        const call_t *call = call_find(client, predecessor);
        if (!call || call->state != CALL_REFUSED) {
            return call && call->state != CALL_WAITING && !is_orphaned(call);
        }
        predecessor = call->predecessor;
    }
    return true;
}

bool call_same_contents(const store_message_t *a, const store_message_t *b)
{
    return fabric_bytes_equal(a->entity, b->entity) && fabric_bytes_equal(a->type, b->type) &&
           fabric_bytes_equal(a->tag, b->tag) && fabric_bytes_equal(a->payload, b->payload);
}

static call_decision_t refuse(fabric_error_t error, const char *text)
{
    return (call_decision_t){.arrival = ARRIVAL_REFUSE,
                             .error = error,
                             .retry_after_ms = error == FABRIC_ERROR_BUSY ? BUSY_RETRY_MS : 0,
                             .text = text};
}

/* Whether an earlier home of the lane may have stored the call, though this is its first send: that
 * may have been under way until now, and its client have sent it again elsewhere. */
static bool may_be_stored(router_t *router, const message_t *first_send)
{
    return first_send->floor < lane_of(router, first_send->stored.shard)->adopted_id;
}

call_decision_t call_arrived(router_t *router, client_t *client, const message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    bool resend = message->stored.flags & REQUEST_RESEND;
    bool settled = sequence < client->calls.settled;
    call_t *call = call_find(client, sequence);
    if (call && resend && is_orphaned(call)) {
        call_drop(router, client, call);
        call = NULL;
    }
    if (call) {
        return (call_decision_t){.arrival = ARRIVAL_KNOWN, .call = call};
    }
    bool taken = may_take(router, client, message->size);
    if (taken && !settled) {
        call = call_add(router, client, sequence);
        taken = call != NULL;
    }
    if (!taken) {
        return refuse(FABRIC_ERROR_BUSY, "too many unsettled calls of one client");
    }
    bool looked_up = resend || (!settled && may_be_stored(router, message));
    bool held = looked_up || (call && client->held.first);
    if (held && router_is_full(router)) {
        return refuse(FABRIC_ERROR_BUSY, "");
    }
    if (looked_up) {
        return (call_decision_t){.arrival = ARRIVAL_LOOKUP, .call = call};
    }
    if (settled) { /* an earlier process under this client number may have sent the call */
        return refuse(FABRIC_ERROR_OUTCOME_UNKNOWN,
                      "a first send of a call that the client has settled: its sequence, or the "
                      "client number, was used before");
    }
    if (held) {
        return (call_decision_t){.arrival = ARRIVAL_HOLD, .call = call};
    }
    if (!call_predecessor_is_known(client, message->predecessor)) {
        return refuse(FABRIC_ERROR_PREDECESSOR_MISSING, "");
    }
    return (call_decision_t){.arrival = ARRIVAL_ACCEPT, .call = call};
}
