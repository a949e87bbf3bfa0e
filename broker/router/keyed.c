/* Requests with primary keys: see keyed.h.
 *
 * The home of the key's lane decides, in one thread. It knows a key from memory, or has looked it
 * up in the store since memory last forgot one: then memory and the look-up together know all keys
 * that stand. A key that the list of the store's keys excludes needs no look-up. Crossing
 * duplicates are looked up each by itself; the first whose turn comes is accepted, and the others
 * find it in memory.
 */
#include "broker/router/keyed.h"

#include "broker/router/acceptance.h"
#include "broker/router/answers.h"
#include "broker/router/cancels.h"
#include "broker/router/ghosts.h"
#include "broker/router/messages.h"
#include "broker/router/router_state.h"

/* SETTLED_WAITERS_MAX: calls of one message that their clients have settled on. */
enum { RETRY_MS = 100, SETTLED_WAITERS_MAX = 256 };

static lane_keys_t *keys_of(router_t *router, const message_t *message)
{
    return &lane_of(router, message->stored.shard)->keys;
}

/* What is known of the request's key, which memory does not have. */
static key_outcome_t looked_up(router_t *router, const message_t *message)
{
    bool current = message->key_forgotten == keys_of(router, message)->forgotten;
    bool over = message->key_outcome != KEY_UNASKED && message->key_outcome != KEY_ASKED;
    return over && (current || message->key_outcome == KEY_FAILED)
               ? (key_outcome_t)message->key_outcome
               : KEY_UNASKED;
}

bool keyed_stands(router_t *router, const message_t *message)
{
    key_outcome_t outcome = looked_up(router, message);
    return keys_find(keys_of(router, message), message->stored.key_hash) ||
           outcome == KEY_PENDING || outcome == KEY_ENDED;
}

/* The call's place in its client's table; NULL: the client has settled on it, or has no room. */
static call_t *call_of(router_t *router, client_t *client, const message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    call_t *call = call_find(client, sequence);
    return call || sequence < client->calls.settled ? call : call_add(router, client, sequence);
}

static void refuse(router_t *router, client_t *client, message_t *message, fabric_error_t error,
                   const char *text)
{
    call_t *call = call_of(router, client, message);
    if (call && fabric_error_class(error) != FABRIC_CLASS_RETRY) {
        call_refuse(call, message->predecessor, error);
    } else if (call && call->state != CALL_NONE) {
        call_forget(call);
    }
    request_reject(router, client, message->stored.call.sequence, error, RETRY_MS, text);
    message_destroy(&message);
}

/* ---- the message has ended ---- */

static void answer(router_t *router, client_t *client, message_t *message)
{
    call_t *call = call_of(router, client, message);
    message_set_state(message, MESSAGE_ENDED);
    if (message->stored.flags & REQUEST_TELL) {
        message_send_accepted(router, message);
    } else {
        message_send_reply(router, message);
    }
    if (!call) {
        message_destroy(&message);
        return;
    }
    if (call->state == CALL_NONE) {
        call_wait(client, call, 0);
    }
    call_end(router, client, call, message);
}

/* ---- the message is pending ---- */

/* Whether the pending message with this id, which is not in memory, may be in the store. A key does
 * not say whether its message has a time of delivery: then it is among the scheduled ones, or its
 * position is above its id. */
static bool may_be_stored(router_t *router, const message_t *message, request_id_t id)
{
    const router_lane_t *lane = lane_of(router, message->stored.shard);
    if (clears_cover(&lane->clears, message->entity_hash, message->stored.type,
                     message->stored.entity, id)) {
        return false;
    }
    return lane->schedule.stored > 0 ||
           overflow_reaches(&lane->overflows, message->entity_hash, id.value);
}

/* The record of the pending message with this id, or a ghost of it; NULL: there is no such message.
 */
static message_t *pending_of(router_t *router, const message_t *message, request_id_t id)
{
    message_t *pending = message_find(router, id);
    if (pending || !may_be_stored(router, message, id)) {
        return pending;
    }
    store_message_t stored = message->stored;
    stored.id = id;
    stored.call = (call_key_t){0, 0}; /* another one has brought it */
    return ghost_add(router, &stored, 0);
}

/* The client has settled on the call, and sends it again: it waits without a place in its client's
 * table. false: too many do. */
static bool wait_without_call(router_t *router, client_t *client, message_t *pending,
                              call_key_t call)
{
    unsigned count = 0;
    for (const waiter_t *waiter = &pending->waiter; waiter; waiter = waiter->next) {
        count += !waiter->called;
    }
    if (count > SETTLED_WAITERS_MAX && !message_find_waiter(pending, call)) {
        return false;
    }
    settled_call_came_again(router, client, pending, message_add_waiter(pending, call));
    return true;
}

static bool wait_for(router_t *router, client_t *client, const message_t *message,
                     message_t *pending)
{
    call_t *call = call_of(router, client, message);
    if (call) {
        call_open(router, client, call, pending);
        call_set_deadline(client, call, message->deadline_ms);
        return true;
    }
    return message->stored.call.sequence < client->calls.settled &&
           wait_without_call(router, client, pending, message->stored.call);
}

static void join(router_t *router, client_t *client, message_t *message, request_id_t id)
{
    message_t *pending = pending_of(router, message, id);
    if (!pending) {
        refuse(router, client, message, FABRIC_ERROR_OUTCOME_UNKNOWN,
               "the message with this primary key has ended, and the record of its end is damaged");
        return;
    }
    if (!wait_for(router, client, message, pending)) {
        refuse(router, client, message, FABRIC_ERROR_BUSY, "");
        return;
    }
    uint8_t flags = (uint8_t)message->stored.flags;
    message_find_waiter(pending, message->stored.call)->flags = flags;
    if (!message_is_unstored(pending) && flags & (REQUEST_TELL | REQUEST_WANT_ACCEPTED)) {
        message->stored.id = id;
        message_send_accepted(router, message);
    }
    if (message->cancelled) {
        message_cancel(router, pending, message->stored.call);
    }
    message_destroy(&message);
}

/* ---- arrival ---- */

/* Memory knows the key. */
static void follow(router_t *router, client_t *client, message_t *message, const primary_key_t *key)
{
    if (!key->row.ended) {
        join(router, client, message, key->row.reply.id);
        return;
    }
    message->stored.id = key->row.reply.id;
    message_set_reply(message, &key->row.reply);
    answer(router, client, message);
}

static void look_up(router_t *router, client_t *client, message_t *message)
{
    call_t *call = call_of(router, client, message);
    bool waits = call && call->state == CALL_WAITING;
    if (!waits && router_is_full(router)) {
        refuse(router, client, message, FABRIC_ERROR_BUSY, "");
        return;
    }
    request_hold(router, client, message, waits ? NULL : call);
    lookup_add(router, client, message, false);
}

/* The lane may have been dropped while the request was held. */
static bool is_served(router_t *router, const message_t *message)
{
    const shard_t *shard = shard_find(router, message->stored.shard);
    return shard && shard_serves(router, shard);
}

void keyed_arrived(router_t *router, client_t *client, message_t *message)
{
    const primary_key_t *key = keys_find(keys_of(router, message), message->stored.key_hash);
    key_outcome_t outcome = looked_up(router, message);
    if (!is_served(router, message)) {
        durable_accept(router, client, message); /* refuses it */
        return;
    }
    message->key_outcome = KEY_UNASKED;
    if (key) {
        follow(router, client, message, key);
        return;
    }
    switch (outcome) {
    case KEY_UNASKED:
    case KEY_ASKED:
        if (keys_exclude(keys_of(router, message), message->stored.key_hash)) {
            durable_accept(router, client, message);
        } else {
            look_up(router, client, message);
        }
        break;
    case KEY_FREE:
        durable_accept(router, client, message);
        break;
    case KEY_PENDING:
        join(router, client, message, message->stored.id);
        break;
    case KEY_ENDED:
        answer(router, client, message);
        break;
    case KEY_FAILED:
        refuse(router, client, message, FABRIC_ERROR_PERSISTENCE,
               lane_cause(router, message->stored.shard, FABRIC_ERROR_PERSISTENCE));
        break;
    }
}

void keyed_held(router_t *router, client_t *client, message_t *message)
{
    const lane_keys_t *keys = keys_of(router, message);
    const uint8_t *hash = message->stored.key_hash;
    if (is_served(router, message) && looked_up(router, message) == KEY_UNASKED &&
        !keys_find(keys, hash) && !keys_exclude(keys, hash)) {
        lookup_add(router, client, message, false);
    }
}
