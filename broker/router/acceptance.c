/* Acceptance: see acceptance.h. */
#include "broker/router/acceptance.h"

#include "broker/primary_key.h"
#include "broker/router/answers.h"
#include "broker/router/dispatch.h"
#include "broker/router/early.h"
#include "broker/router/messages.h"
#include "broker/router/request_ids.h"
#include "broker/router/router_state.h"
#include "broker/router/unserved.h"

/* LATE_MS, LATE_HEARTBEATS: no frame of a client arrives later than the longer one of them. A
 * connection that is silent for a much shorter time is forgotten. */
enum { RETRY_MS = 50, LATE_MS = 60000, LATE_HEARTBEATS = 60 };

/* ---- both kinds of message ---- */

static store_message_t stored_form(const client_t *client, const message_request_t *request,
                                   const shard_t *shard)
{
    return (store_message_t){.shard = shard->id,
                             .flags = (uint32_t)request->flags,
                             .type = request->type,
                             .entity = request->id,
                             .tag = request->tag,
                             .payload = request->payload,
                             .traceparent = request->traceparent,
                             .headers = request->headers,
                             .deliver_at_ms = (int64_t)request->deliver_at_ms,
                             .call = {client->number, request->sequence}};
}

static uint64_t deadline(const router_t *router, uint64_t left_ms)
{
    return left_ms > 0 && left_ms < UINT64_MAX - router->now_ms ? router->now_ms + left_ms : 0;
}

/* ---- volatile ---- */

/* Whether an owner may be about to come. A runner that has just registered its type with the holder
 * of the term may not have reached this broker.
 *
 * A broker that has just started waits a lease for runners that have been with other brokers, if
 * those have known an owner of any shard of the type, or if the first such runners have joined
 * already. Then its coordinator chooses an owner, which takes a while where the store is slow. One
 * that stops leaves its lanes to homes that have other runners.
 * Clients send a volatile call again only if its home is not found. */
static bool is_to_be_owned(const router_t *router, const ownership_t *ownership,
                           const known_type_t *type)
{
    fabric_bytes_t name = fabric_bytes_of(type->name);
    bool placed = ownership && ownership->placed;
    bool fresh = router->now_ms < type->fresh_until_ms && !type->brought;
    if (fresh || unserved_until_moved(router) || (!placed && !unserved_is_missing(router, name))) {
        return true;
    }
    return router->members && router->now_ms - router->started_ms < router->config.lease_ms &&
           (type->brought || shard_map_had_owners(router->map, name));
}

/* OK with the entity that takes the message; else an error with a text. */
static fabric_error_t volatile_limits(router_t *router, const message_request_t *request,
                                      shard_t *shard, const known_type_t *type, entity_t **taker,
                                      char text[UNSERVED_TEXT_SIZE])
{
    const ownership_t *ownership = ownership_of(router, shard, request->type);
    if (!ownership || !ownership_takes_volatile(router, ownership)) {
        const runner_t *owner = ownership ? ownership->owner : NULL;
        fabric_error_t error = unserved_reason(router, owner, request->type, text);
        bool comes = !owner && is_to_be_owned(router, ownership, type);
        return comes ? FABRIC_ERROR_NOT_HOME : error;
    }
    if (router_memory_is_full(router)) {
        return FABRIC_ERROR_BUSY;
    }
    entity_t *entity = entity_find_or_add(router, shard, request->type, request->id);
    if (entity->mailbox >= type->description->mailbox_capacity) {
        entity_release(router, entity);
        return FABRIC_ERROR_MAILBOX_FULL;
    }
    *taker = entity;
    return FABRIC_OK;
}

void volatile_accept(router_t *router, client_t *client, const message_request_t *request,
                     shard_t *shard, const known_type_t *type)
{
    char text[UNSERVED_TEXT_SIZE];
    text[0] = '\0';
    entity_t *entity = NULL;
    fabric_error_t error = volatile_limits(router, request, shard, type, &entity, text);
    if (error) {
        request_reject(router, client, request->sequence, error, RETRY_MS, text);
        return;
    }
    store_message_t stored = stored_form(client, request, shard);
    message_t *message = message_new(&stored);
    message->stored.id = request_id_make(router, (request_id_t){0});
    message->deadline_ms = deadline(router, request->deadline_ms);
    message->waiter.life = client->life;
    message->entity = entity;
    message_add(router, message);
    entity_append(entity, message);
    entity_dispatch(router, entity);
}

/* ---- durable ---- */

/* The floor of a client that has heard of no id for long may be very low. But a call whose first
 * send arrives now was stored by nobody before the first send can have left. */
static uint64_t first_floor(const router_t *router, const message_request_t *request)
{
    uint64_t late_ms = LATE_HEARTBEATS * (uint64_t)router->config.client_heartbeat_ms;
    late_ms = late_ms > LATE_MS ? late_ms : LATE_MS;
    uint64_t floor = request_id_before(router, late_ms).value;
    return floor > request->floor ? floor : request->floor;
}

message_t *durable_message(const router_t *router, const client_t *client,
                           const message_request_t *request, const shard_t *shard)
{
    uint8_t hash[STORE_KEY_BYTES];
    store_message_t stored = stored_form(client, request, shard);
    if (request->primary_key.size > 0) {
        primary_key_hash(&stored, request->primary_key, hash);
        stored.key_hash = hash;
    }
    message_t *message = message_new(&stored);
    message->predecessor = request->predecessor;
    message->floor =
        request->flags & REQUEST_RESEND ? request->floor : first_floor(router, request);
    message->deadline_ms = deadline(router, request->deadline_ms);
    return message;
}

/* Whether the message may make more of what the lane has too much of. */
static bool may_tell_too_much(router_t *router, const message_t *message)
{
    return outbox_is_full(router, &lane_of(router, message->stored.shard)->outbox) &&
           type_options(router, message->stored.type).tells;
}

/* OK with the entity that takes the message; else an error with a text. */
static fabric_error_t durable_limits(router_t *router, const message_t *message, entity_t **taker,
                                     const char **text)
{
    shard_t *shard = shard_find(router, message->stored.shard);
    if (!shard || !shard_serves(router, shard)) {
        return shard_waits_for_store(router, message->stored.shard) ? FABRIC_ERROR_PERSISTENCE
                                                                    : FABRIC_ERROR_NOT_HOME;
    }
    if (router->closed_types > 0 && type_is_closed(router, message->stored.type)) {
        *text = FORGETTING_TEXT; /* it was closed while the request was held */
        return FABRIC_ERROR_RUNNER_NOT_REGISTERED;
    }
    if (request_id_is_too_high(router, (request_id_t){message->floor})) {
        *text = "the call's floor is ahead of this broker's ids";
        return FABRIC_ERROR_PERSISTENCE;
    }
    if (!lane_of(router, shard->id)->batches.available ||
        !request_ids_are_reserved(router, (request_id_t){message->floor})) {
        return FABRIC_ERROR_PERSISTENCE;
    }
    if (router_is_full(router)) {
        return FABRIC_ERROR_BUSY;
    }
    if (may_tell_too_much(router, message)) {
        return FABRIC_ERROR_OUTGOING_FULL;
    }
    entity_t *entity =
        entity_find_or_add(router, shard, message->stored.type, message->stored.entity);
    if (entity->pending + overflow_stored(&lane_of(router, shard->id)->overflows, entity->hash) >=
        router->config.entity_pending_max) {
        entity_release(router, entity);
        return FABRIC_ERROR_MAILBOX_FULL;
    }
    *taker = entity;
    return FABRIC_OK;
}

static void durable_refuse(router_t *router, client_t *client, message_t *message,
                           fabric_error_t error, const char *text)
{
    uint64_t sequence = message->stored.call.sequence;
    call_t *call = call_find(client, sequence);
    if (call) {
        call_forget(call);
    }
    shard_id_t shard = message->stored.shard;
    if (error == FABRIC_ERROR_NOT_HOME) { /* the lane was dropped while the request was held */
        request_redirect(router, client, sequence, shard);
    } else {
        request_reject(router, client, sequence, error, RETRY_MS,
                       text ? text : lane_cause(router, shard, error));
    }
    message_destroy(&message);
}

/* The message's call is open, if the client has not settled on it. */
static void open_call(router_t *router, client_t *client, message_t *message)
{
    uint64_t sequence = message->stored.call.sequence;
    if (sequence < client->calls.settled) {
        call_settled_early(client, message);
        if (!(message->waiter.flags & REQUEST_TELL)) {
            settled_call_came_again(router, client, message, &message->waiter);
        }
        return;
    }
    call_t *call = call_find(client, sequence);
    call = call ? call : call_add(router, client, sequence);
    call_open(router, client, call, message);
    call_set_deadline(client, call, message->deadline_ms);
}

/* A duplicate may ask for the reply of what came as a tell: it is handled, and kept, as an ask. */
static void begin_key(router_t *router, message_t *message)
{
    message->stored.flags &= ~(uint32_t)REQUEST_TELL;
    keys_accepted(router, &lane_of(router, message->stored.shard)->keys, message);
}

void durable_accept(router_t *router, client_t *client, message_t *message)
{
    entity_t *entity = NULL;
    const char *text = NULL;
    fabric_error_t error = durable_limits(router, message, &entity, &text);
    if (error) {
        durable_refuse(router, client, message, error, text);
        return;
    }
    message->stored.id = request_id_make(router, (request_id_t){message->floor});
    message->position = message->stored.id.value;
    message->stored.flags &= ~(uint32_t)REQUEST_RESEND;
    if (message->stored.deliver_at_ms != 0 &&
        message->stored.deliver_at_ms <= schedule_now_ms(router)) {
        message->stored.deliver_at_ms = 0; /* its time has come */
    }
    message_set_state(message, MESSAGE_IN_LANE);
    message_admit(router, message, entity);
    if (message->stored.key_hash) {
        begin_key(router, message);
    }
    open_call(router, client, message);
    batch_add_message(router, message);
    if (message->may_be_early) {
        early_deliver(router, message);
    }
}
