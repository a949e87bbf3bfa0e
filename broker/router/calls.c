/* What the router remembers of clients' calls: a ring for each client, from the oldest call that it has not settled on. */
#include <utlist.h>

#include "broker/router/admission.h"
#include "broker/router/router_state.h"

/* EVICT_TRIES: of the clients that are away longest, how many are looked at for one to be forgotten early.
 * OVERDUE_MS: how often a client's calls are looked through for those at their deadlines, at most. */
enum { RING_FIRST = 64, EVICT_TRIES = 8, CLIENT_SHARE = 4, OVERDUE_MS = 100 };

client_t *client_find(router_t *router, uint64_t number)
{
    client_t *client = NULL;
    HASH_FIND(by_number, router->clients, &number, sizeof number, client);
    return client;
}

client_t *client_of(router_t *router, const message_t *message)
{
    client_t *client = client_find(router, message->stored.call.client);
    bool durable = message->stored.flags & REQUEST_DURABLE;
    return client && (durable || client->life == message->life) ? client : NULL;
}

/* Whether a call is not committed yet: a resend would not find it in the store. */
static bool has_uncommitted_call(const client_t *client)
{
    if (client->settled_early > 0) {
        return true;
    }
    for (uint64_t i = 0; i < client->capacity; i++) {
        const call_t *call = &client->calls[i];
        if (call->state == CALL_OPEN && call->message->state == MESSAGE_IN_LANE) {
            return true;
        }
    }
    return false;
}

static void account(router_t *router, client_t *client, uint64_t added, uint64_t removed)
{
    client->bytes += added - removed;
    router->client_bytes += added - removed;
}

/* More clients than can be connected twice over: those away longest are forgotten before their time. */
static void make_room(router_t *router)
{
    client_t *client = router->away;
    for (int i = 0; i < EVICT_TRIES && client; i++) {
        client_t *next = client->away_next;
        if (HASH_CNT(by_number, router->clients) < 2 * (unsigned)router->config.peers_max) {
            return;
        }
        if (!client->waiting && !has_uncommitted_call(client)) {
            client_destroy(router, client);
        }
        client = next;
    }
}

client_t *client_add(router_t *router, uint64_t number)
{
    make_room(router);
    client_t *client = calloc(1, sizeof *client);
    call_t *calls = calloc(RING_FIRST, sizeof *calls);
    if (!client || !calls) {
        abort();
    }
    client->number = number;
    client->calls = calls;
    client->capacity = RING_FIRST;
    client->deadline_ms = UINT64_MAX;
    HASH_ADD(by_number, router->clients, number, sizeof client->number, client);
    client->away_since_ms = router->now_ms;
    DL_APPEND2(router->away, client, away_prev, away_next);
    account(router, client, sizeof *client + RING_FIRST * sizeof *calls, 0);
    return client;
}

/* ---- what is settled before it is committed ---- */

void call_settled_early(client_t *client, message_t *message)
{
    message->settled_early = true;
    client->settled_early++;
}

void call_left_lane(router_t *router, message_t *message)
{
    if (message->settled_early) {
        message->settled_early = false;
        client_find(router, message->stored.call.client)->settled_early--;
    }
}

/* ---- the ring ---- */

static void call_clear(router_t *router, client_t *client, call_t *call)
{
    message_t *message = call->message;
    *call = (call_t){0};
    if (message) {
        message->called = false;
        if (message->state == MESSAGE_IN_LANE) {
            call_settled_early(client, message);
        } else if (message->state == MESSAGE_ENDED) {
            account(router, client, 0, message->size);
            message_destroy(&message);
        }
    }
}

void client_settle(router_t *router, client_t *client, uint64_t settled)
{
    if (settled <= client->settled) {
        return;
    }
    uint64_t count = settled - client->settled;
    if (count > client->capacity) {
        count = client->capacity;
    }
    for (uint64_t i = 0; i < count; i++) {
        call_t *call = &client->calls[(client->settled + i) & (client->capacity - 1)];
        if (call->state != CALL_NONE && call->sequence < settled) {
            call_clear(router, client, call);
        }
    }
    client->settled = settled;
}

call_t *call_find(client_t *client, uint64_t sequence)
{
    call_t *call = &client->calls[sequence & (client->capacity - 1)];
    return call->state != CALL_NONE && call->sequence == sequence ? call : NULL;
}

static void ring_grow(router_t *router, client_t *client, uint64_t capacity)
{
    call_t *calls = calloc(capacity, sizeof *calls);
    if (!calls) {
        abort();
    }
    for (uint64_t i = 0; i < client->capacity; i++) {
        if (client->calls[i].state != CALL_NONE) {
            calls[client->calls[i].sequence & (capacity - 1)] = client->calls[i];
        }
    }
    free(client->calls);
    account(router, client, (capacity - client->capacity) * sizeof *calls, 0);
    client->calls = calls;
    client->capacity = capacity;
}

/* One client that does not settle its calls must not take the memory of all. */
static bool may_take(const router_t *router, const client_t *client, uint64_t bytes)
{
    return client->bytes + bytes <= router->config.memory_bytes_max / CLIENT_SHARE &&
           !router_memory_is_full(router);
}

void client_keep(router_t *router, client_t *client, const message_t *message)
{
    account(router, client, message->size, 0);
}

call_t *call_add(router_t *router, client_t *client, uint64_t sequence)
{
    uint64_t capacity = client->capacity;
    while (sequence - client->settled >= capacity) {
        if (capacity >= UINT64_C(2) * LIMIT_PENDING_CALLS_MAX) {
            return NULL;
        }
        capacity *= 2;
    }
    if (capacity != client->capacity) {
        if (!may_take(router, client, (capacity - client->capacity) * sizeof(call_t))) {
            return NULL;
        }
        ring_grow(router, client, capacity);
    }
    call_t *call = &client->calls[sequence & (client->capacity - 1)];
    call_clear(router, client, call);
    call->sequence = sequence;
    return call;
}

void call_open(call_t *call, message_t *message)
{
    call->state = CALL_OPEN;
    call->message = message;
    message->called = true;
}

/* ---- answers ---- */

/* A durable call's answer waits in the store for whoever asks again; a volatile one's is lost without its peer. */
static peer_t *peer_of(router_t *router, const message_t *message)
{
    const client_t *client = client_of(router, message);
    peer_t *peer = client ? client->peer : NULL;
    router->counters.unsent += !peer && !(message->stored.flags & REQUEST_DURABLE);
    return peer;
}

void call_send_accepted(router_t *router, const message_t *message)
{
    peer_t *peer = peer_of(router, message);
    if (peer) {
        message_accepted_t accepted = {.sequence = message->stored.call.sequence,
                                       .request_id = message->stored.id.value};
        message_put_accepted(peer_writer(router, peer), &accepted);
    }
}

void call_send_reply(router_t *router, const message_t *message)
{
    peer_t *peer = peer_of(router, message);
    if (peer) {
        message_reply_t reply = {.sequence = message->stored.call.sequence,
                                 .request_id = message->stored.id.value,
                                 .status = message->reply.status,
                                 .error = message->reply.error,
                                 .code = message->reply.code,
                                 .payload = message->reply.payload};
        message_put_reply(peer_writer(router, peer), &reply);
    }
}

bool call_same_contents(const store_message_t *a, const store_message_t *b)
{
    return fabric_bytes_equal(a->entity, b->entity) && fabric_bytes_equal(a->type, b->type) &&
           fabric_bytes_equal(a->tag, b->tag) && fabric_bytes_equal(a->payload, b->payload);
}

/* Answers a resend of a call that is known here: at once, or when the call's own answer is there. */
static void call_answer_again(router_t *router, client_t *client, call_t *call,
                              const message_t *again)
{
    const message_t *message = call->message;
    call_set_deadline(client, call, again->deadline_ms);
    if (call->state == CALL_REFUSED) {
        request_reject(router, client, call->sequence, call->error, 0, "");
    } else if (message && !call_same_contents(&message->stored, &again->stored)) {
        request_reject(router, client, call->sequence, FABRIC_ERROR_ALREADY_PROCESSING, 0,
                       "the call key stands for a message with other contents");
    } else if (message && call->state == CALL_ENDED && !(message->stored.flags & REQUEST_TELL)) {
        call_send_reply(router, message);
    } else if (message && message->stored.flags & (REQUEST_TELL | REQUEST_WANT_ACCEPTED) &&
               message->state != MESSAGE_IN_LANE) {
        call_send_accepted(router, message);
    }
}

/* ---- callers whose patience is over ---- */

/* Rounded up, so that a client's calls are looked through once for all of the same time. */
void call_set_deadline(client_t *client, call_t *call, uint64_t deadline_ms)
{
    call->deadline_ms = deadline_ms > 0 ? deadline_ms - deadline_ms % OVERDUE_MS + OVERDUE_MS : 0;
    if (deadline_ms > 0 && call->deadline_ms < client->deadline_ms) {
        client->deadline_ms = call->deadline_ms;
    }
}

/* What is stored will be handled; what is not may be stored yet. */
static void tell_overdue(router_t *router, client_t *client, const call_t *call)
{
    const message_t *message = call->message;
    if (!message || message->state == MESSAGE_IN_LANE) {
        request_reject(router, client, call->sequence, FABRIC_ERROR_OUTCOME_UNKNOWN, 0,
                       "the deadline has passed, and it is not known yet whether it is stored");
    } else if (!(message->stored.flags & (REQUEST_TELL | REQUEST_WANT_ACCEPTED))) {
        call_send_accepted(router, message);
    }
}

void client_tell_overdue(router_t *router, client_t *client)
{
    client->deadline_ms = UINT64_MAX;
    for (uint64_t i = 0; i < client->capacity; i++) {
        call_t *call = &client->calls[i];
        if (call->deadline_ms == 0 || (call->state != CALL_WAITING && call->state != CALL_OPEN)) {
            continue;
        }
        if (call->deadline_ms <= router->now_ms) {
            call->deadline_ms = 0;
            tell_overdue(router, client, call);
        } else if (call->deadline_ms < client->deadline_ms) {
            client->deadline_ms = call->deadline_ms;
        }
    }
}

/* ---- arrival ---- */

/* A call that still waits is not known: it may be refused yet, and what waits after it must not come before it. */
bool call_predecessor_known(client_t *client, uint64_t predecessor)
{
    if (predecessor == 0 || predecessor < client->settled) {
        return true;
    }
    const call_t *call = call_find(client, predecessor);
    return call && call->state != CALL_WAITING;
}

static void hold(router_t *router, client_t *client, message_t *message, call_t *call)
{
    if (call) {
        call->state = CALL_WAITING;
        call_set_deadline(client, call, message->deadline_ms);
    }
    router->held++;
    account(router, client, message->size, 0);
    message->chain = NULL;
    if (client->waiting) {
        client->waiting_last->chain = message;
    } else {
        client->waiting = message;
    }
    client->waiting_last = message;
}

message_t *client_take_held(router_t *router, client_t *client)
{
    message_t *first = client->waiting;
    for (const message_t *message = first; message; message = message->chain) {
        router->held--;
        account(router, client, 0, message->size);
    }
    client->waiting = client->waiting_last = NULL;
    return first;
}

void call_arrived(router_t *router, client_t *client, message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    bool resend = message->stored.flags & REQUEST_RESEND;
    call_t *call = sequence >= client->settled ? call_find(client, sequence) : NULL;
    if (call) {
        call_answer_again(router, client, call, message);
        message_destroy(&message);
        return;
    }
    bool room = may_take(router, client, message->size);
    if (room && sequence >= client->settled) {
        call = call_add(router, client, sequence);
        room = call != NULL;
    }
    if (!room) {
        request_reject(router, client, sequence, FABRIC_ERROR_BUSY, 100,
                       "too many unsettled calls of one client");
        message_destroy(&message);
        return;
    }
    bool waits = resend || (call && client->waiting);
    if (waits && router_is_full(router)) {
        request_reject(router, client, sequence, FABRIC_ERROR_BUSY, 100, "");
        message_destroy(&message);
        return;
    }
    if (resend) {
        router_lane_t *lane = lane_of(router, message->stored.shard);
        if (!call &&
            batch_find_call(
                lane,
                message->stored
                    .call)) { /* settled as unknown, and not committed yet: its answers will come */
            message_destroy(&message);
            return;
        }
        hold(router, client, message, call);
        lookup_add(router, client, message);
        return;
    }
    if (!call) { /* it may have been sent before, by an earlier process under this client number */
        request_reject(router, client, sequence, FABRIC_ERROR_OUTCOME_UNKNOWN, 0,
                       "a first send of a call that the client has settled: its sequence, or the "
                       "client number, was used before");
        message_destroy(&message);
    } else if (client->waiting) {
        hold(router, client, message, call);
    } else if (!call_predecessor_known(client, message->predecessor)) {
        request_reject(router, client, sequence, FABRIC_ERROR_PREDECESSOR_MISSING, 0, "");
        message_destroy(&message);
    } else {
        durable_accept(router, client, message);
    }
}

/* ---- clients that are gone ---- */

void client_destroy(router_t *router, client_t *client)
{
    for (uint64_t i = 0; i < client->capacity; i++) {
        call_clear(router, client, &client->calls[i]);
    }
    message_t *held = client_take_held(router, client);
    while (held) {
        message_t *message = held;
        held = message->chain;
        message_destroy(&message);
    }
    if (client->peer) {
        client->peer->client = NULL;
    } else {
        DL_DELETE2(router->away, client, away_prev, away_next);
    }
    HASH_DELETE(by_number, router->clients, client);
    router->client_bytes -= client->bytes;
    free(client->calls);
    free(client);
}

void client_leave(router_t *router, client_t *client)
{
    client->peer->client = NULL;
    client->peer = NULL;
    client->hears_waits = false;
    client->away_since_ms = router->now_ms;
    DL_APPEND2(router->away, client, away_prev, away_next);
}

void client_ends_life(client_t *client)
{
    client->life++;
}

void client_return(router_t *router, client_t *client, peer_t *peer)
{
    if (!client->peer) {
        DL_DELETE2(router->away, client, away_prev, away_next);
    }
    client->peer = peer;
    peer->client = client;
}

void clients_sweep(router_t *router)
{
    client_t *client, *next;
    DL_FOREACH_SAFE2(router->away, client, next, away_next)
    {
        if (router->now_ms - client->away_since_ms <= router->config.client_memory_ms) {
            return;
        }
        if (!client->waiting && !has_uncommitted_call(client)) {
            client_destroy(router, client);
        }
    }
}
