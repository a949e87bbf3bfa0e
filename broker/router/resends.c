/* Resends of calls that only the store may know: what follows from a look-up in the store, for them
 * and for the requests that were held meanwhile. See lookup_state.h. */
#include "broker/router/resends.h"

#include "broker/router/acceptance.h"
#include "broker/router/admission.h"
#include "broker/router/answers.h"
#include "broker/router/cancels.h"
#include "broker/router/damaged_rows.h"
#include "broker/router/ghosts.h"
#include "broker/router/keyed.h"
#include "broker/router/messages.h"
#include "broker/router/router_state.h"

/* CUT_SHORT_RETRY_MS: such a look-up is long. */
enum { FAILED_RETRY_MS = 100, ENDED_RETRY_MS = 50, CUT_SHORT_RETRY_MS = 5000 };

static const char damaged_text[] = "the stored reply is damaged";

/* What is told instead of a stored reply that is none. */
static const store_reply_t damaged = {
    .status = STATUS_DEFECT,
    .error = FABRIC_ERROR_ENTITY_DEFECT,
    .payload = {(const uint8_t *)damaged_text, sizeof damaged_text - 1}};

void router_lookup_key(router_t *router, uint32_t number, const store_key_t *key)
{
    const fabric_bytes_t unknown = {NULL, 0};
    store_key_t sound = *key;
    store_message_t message = {.id = key->reply.id, .shard = key->reply.shard};
    if (key->ended && !stored_reply_is_sound(router, &message, &key->reply)) {
        sound.reply = damaged;
        sound.reply.id = key->reply.id;
        sound.reply.shard = key->reply.shard;
    }
    router_lane_t *lane = &router->lanes[number];
    if (clears_cover(&lane->clears, key->entity_hash, unknown, unknown, key->reply.id)) {
        return; /* the row is going to be deleted */
    }
    lookup_key_found(router, &lane->lookup_current, &sound, lane->checkpoint.number);
}

void router_lookup_listed(router_t *router, uint32_t number, const store_key_name_t *names,
                          size_t count, bool ended)
{
    router_lane_t *lane = &router->lanes[number];
    keys_listed(router, &lane->keys, lane->lookup_current.list, names, count, ended);
}

void router_lookup_found(router_t *router, uint32_t number, const router_found_t *found)
{
    router_found_t sound = *found;
    if (found->reply && !stored_reply_is_sound(router, found->message, found->reply)) {
        sound.reply = &damaged;
    }
    lookup_found(router, &router->lanes[number].lookup_current, &sound);
}

/* ---- what each outcome leads to ---- */

/* The call has ended: its reply is what the store has. */
static void answer_ended(router_t *router, client_t *client, message_t *message)
{
    call_t *call = call_find(client, message->stored.call.sequence);
    message_set_state(message, MESSAGE_ENDED);
    if (message->stored.flags & REQUEST_TELL) {
        message_send_accepted(router, message);
    } else {
        message_send_reply(router, message);
    }
    if (call) {
        call_end(router, client, call, message);
    } else {
        message_destroy(&message);
    }
}

/* Whether only the store has the pending message that a look-up has found. Then its position is in
 * its entity's gap, or its time behind the lane's horizon; so it has not come into memory since it
 * was read, and has not ended. */
static bool is_stored(router_t *router, const message_t *request)
{
    const router_lane_t *lane = lane_of(router, request->stored.shard);
    if (clears_cover_message(&lane->clears, request) ||
        early_end_has(&lane->early_ends, request->stored.id)) {
        return false;
    }
    return message_is_scheduled(request)
               ? schedule_has(&lane->schedule, message_due_key(request))
               : overflow_has(&lane->overflows, request->entity_hash, request->position);
}

/* The call (NULL: the client has settled on it) waits for its message, of which a ghost is made if
 * there is none. */
static message_t *wait_for(router_t *router, client_t *client, call_t *call,
                           const message_t *message, message_t *pending)
{
    if (!pending) {
        pending = ghost_add(router, &message->stored, journal_contents_hash(&message->stored));
        ghost_set_place(pending, message);
    }
    if (call) {
        call_open(router, client, call, pending);
    }
    waiter_t *waiter = message_add_waiter(pending, message->stored.call);
    waiter->flags = (uint8_t)message->stored.flags;
    if (!call) {
        settled_call_came_again(router, client, pending, waiter);
    }
    return pending;
}

/* The call is accepted and has not ended: its pending message, or a ghost of that, answers it. A
 * settled tell is over. */
static void attach_pending(router_t *router, client_t *client, message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    message_t *pending = message_find(router, message->stored.id);
    call_t *call = call_find(client, sequence);
    if (!pending && !is_stored(router, message)) {
        if (call) { /* the message has ended meanwhile: the next look-up tells */
            call_forget(call);
        }
        request_reject(router, client, sequence, FABRIC_ERROR_NOT_HOME, ENDED_RETRY_MS, "");
        message_destroy(&message);
        return;
    }
    if (call || !(message->stored.flags & REQUEST_TELL)) {
        pending = wait_for(router, client, call, message, pending);
    }
    if (message->stored.flags & (REQUEST_TELL | REQUEST_WANT_ACCEPTED)) {
        message_send_accepted(router, message);
    }
    if (pending) {
        pending->deadline_ms = message->deadline_ms;
    }
    if (pending && message->cancelled) {
        message_cancel(router, pending, message->stored.call);
    }
    message_destroy(&message);
}

static void refuse(router_t *router, client_t *client, message_t *message, fabric_error_t error)
{
    const char *text = error == FABRIC_ERROR_OUTCOME_UNKNOWN
                           ? "the call is older than the messages that may be looked through for it"
                           : lane_cause(router, message->stored.shard, error);
    uint64_t sequence = message->stored.call.sequence;
    call_t *call = call_find(client, sequence);
    if (call && fabric_error_class(error) == FABRIC_CLASS_RETRY) {
        call_forget(call);
    } else if (call) {
        call_refuse(call, message->predecessor, error);
    }
    request_reject(router, client, sequence, error, FAILED_RETRY_MS, text);
    message_destroy(&message);
}

/* The message may have been accepted, and a later look-up may find it. */
static void put_off(router_t *router, client_t *client, message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    call_t *call = call_find(client, sequence);
    if (call) {
        call_forget(call);
    }
    request_reject(router, client, sequence, FABRIC_ERROR_PERSISTENCE, CUT_SHORT_RETRY_MS,
                   "a look-up of the call takes too long");
    message_destroy(&message);
}

/* This broker is not the home of the call's shard any more. */
static void send_away(router_t *router, client_t *client, message_t *message)
{
    call_t *call = call_find(client, message->stored.call.sequence);
    if (call) {
        call_forget(call);
    }
    request_redirect(router, client, message->stored.call.sequence, message->stored.shard);
    message_destroy(&message);
}

/* The store does not know the call: it is accepted now, or joins the message with its key, in its
 * turn: what follows it takes it for one behind its predecessor. */
static void accept_in_turn(router_t *router, client_t *client, message_t *message)
{
    const lane_batches_t *lane = &lane_of(router, message->stored.shard)->batches;
    const call_t *call = call_find(client, message->stored.call.sequence);
    if (!call && batch_find_call(lane, message->stored.call)) {
        message_destroy(&message); /* the same call was looked up twice */
    } else if (!call_predecessor_is_known(client, message->predecessor)) {
        refuse(router, client, message, FABRIC_ERROR_PREDECESSOR_MISSING);
    } else if (message->stored.key_hash) {
        keyed_arrived(router, client, message);
    } else {
        durable_accept(router, client, message);
    }
}

/* The request arrived after requests whose look-ups are over now: it is treated as if it arrived
 * now. Its lane may have been dropped meanwhile. */
static void arrive_again(router_t *router, client_t *client, message_t *message)
{
    const shard_t *shard = shard_find(router, message->stored.shard);
    if (!shard || !shard_is_home(shard)) {
        send_away(router, client, message);
        return;
    }
    call_t *call = call_find(client, message->stored.call.sequence);
    if (call && call->state == CALL_WAITING) {
        call_forget(call);
    }
    durable_arrived(router, client, message);
}

static void act_on(router_t *router, client_t *client, message_t *message, lookup_outcome_t outcome)
{
    switch (outcome) {
    case LOOKUP_NONE:
        arrive_again(router, client, message);
        break;
    case LOOKUP_NOT_FOUND:
        accept_in_turn(router, client, message);
        break;
    case LOOKUP_PENDING:
        attach_pending(router, client, message);
        break;
    case LOOKUP_ENDED:
        answer_ended(router, client, message);
        break;
    case LOOKUP_CONFLICT:
        refuse(router, client, message, FABRIC_ERROR_ALREADY_PROCESSING);
        break;
    case LOOKUP_UNKNOWN:
    case LOOKUP_CUT_SHORT:
        if (message->stored.key_hash && keyed_stands(router, message)) {
            accept_in_turn(router, client, message); /* primary keys stand longer than calls */
        } else if (outcome == LOOKUP_CUT_SHORT) {
            put_off(router, client, message);
        } else {
            refuse(router, client, message, FABRIC_ERROR_OUTCOME_UNKNOWN);
        }
        break;
    case LOOKUP_FAILED:
        refuse(router, client, message, FABRIC_ERROR_PERSISTENCE);
        break;
    case LOOKUP_MOVED:
        send_away(router, client, message);
        break;
    }
}

/* What was found for a held request of the lane has been acted upon. */
static void acted_on(router_t *router, uint32_t number, uint8_t round)
{
    if (lookup_acted_on(&router->lanes[number], round)) {
        early_ends_forget(router, number);
        clears_read(router, number);
    }
}

/* Held requests of the client go on, in the order in which they arrived, up to the first one whose
 * key is still looked up. One that is held again stays before those that were not taken. */
static void resume(router_t *router, client_t *client)
{
    message_t *ready = requests_take_ready(router, client);
    message_t *first = client->held.first;
    message_t *last = client->held.last;
    client->held.first = client->held.last = NULL;
    while (ready) {
        message_t *message = ready;
        ready = message->chain;
        message->chain = NULL;
        uint32_t lane = lane_number(router, message->stored.shard);
        lookup_outcome_t outcome = (lookup_outcome_t)message->lookup_outcome;
        uint8_t round = message->lookup_round;
        message->lookup_outcome = LOOKUP_NONE;
        act_on(router, client, message, outcome);
        if (outcome != LOOKUP_NONE) {
            acted_on(router, lane, round);
        }
    }
    if (first) {
        *(client->held.last ? &client->held.last->chain : &client->held.first) = first;
        client->held.last = last;
    }
}

/* The clients of the look-up's first items go on, where no other look-up holds them. */
static void resume_all(router_t *router, const lookup_t *lookup, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        client_t *client = lookup->items[i].client;
        if (client->held.lookups == 0 && client->held.first) {
            resume(router, client);
        }
    }
}

void router_lookup_cut_short(router_t *router, uint32_t number, request_id_t lost)
{
    router->lanes[number].lookup_current.lost = lost.value;
}

void router_lookup_done(router_t *router, uint32_t number, fabric_error_t error,
                        request_id_t reached, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router_lane_t *lane = &router->lanes[number];
    lookup_t *lookup = &lane->lookup_current;
    resume_all(router, lookup, lookup_end(router, lookup, error, reached));
    early_ends_forget(router, number);
    keys_read(router, &lane->keys);
    clears_read(router, number);
}

void requests_send_away(router_t *router, router_lane_t *lane)
{
    lookup_abandon_found(router, lane);
    size_t current = lookup_abandon(router, &lane->lookup_current);
    size_t next = lookup_abandon(router, &lane->lookup_next);
    resume_all(router, &lane->lookup_current, current);
    resume_all(router, &lane->lookup_next, next);
}
