/* Requests at the door: everything that can be refused is refused here, before a message costs memory or storage. */
#include "broker/router/admission.h"

#include "broker/router/dispatch.h"
#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "broker/router/unserved.h"

enum {
    RETRY_MS = 50,
    ID_AHEAD_MS = 1000 /* how far an id that was not made here may be above the time */
};

known_type_t *type_find(router_t *router, fabric_bytes_t name)
{
    known_type_t *type = NULL;
    HASH_FIND(by_name, router->types, name.data, name.size, type);
    return type;
}

void request_reject(router_t *router, client_t *client, uint64_t sequence, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text)
{
    router->counters.rejected++;
    if (!client->peer) {
        router->counters.unsent++;
        return;
    }
    message_rejected_t rejected = {.sequence = sequence,
                                   .error = (uint64_t)error,
                                   .retry_after_ms = retry_after_ms,
                                   .text = fabric_bytes_of(text)};
    message_put_rejected(peer_writer(router, client->peer), &rejected);
}

void message_reject(router_t *router, const message_t *message, fabric_error_t error,
                    uint32_t retry_after_ms, const char *text)
{
    client_t *client = client_of(router, message);
    if (client) {
        request_reject(router, client, message->stored.call.sequence, error, retry_after_ms, text);
    } else {
        router->counters.unsent++;
    }
}

/* Refuses a request. A durable one that is refused for good is remembered, so that its successors are not held up. */
static void refuse(router_t *router, client_t *client, const message_request_t *request,
                   fabric_error_t error, uint32_t retry_after_ms, const char *text)
{
    if (request->flags & REQUEST_DURABLE && fabric_error_class(error) == FABRIC_CLASS_REJECTED &&
        request->sequence >= client->settled && !call_find(client, request->sequence)) {
        call_t *call = call_add(router, client, request->sequence);
        if (call) {
            call->state = CALL_REFUSED;
            call->error = error;
        }
    }
    request_reject(router, client, request->sequence, error, retry_after_ms, text);
}

void request_malformed(router_t *router, client_t *client, uint64_t sequence, uint64_t flags)
{
    message_request_t request = {.sequence = sequence, .flags = flags};
    refuse(router, client, &request, FABRIC_ERROR_MALFORMED_MESSAGE, 0,
           "the request could not be read");
}

/* Who else is a shard's home, by the map; NULL. */
static const map_broker_t *other_home(const router_t *router, shard_id_t shard)
{
    const map_shard_t *entry = shard_map_shard(router->map, shard);
    const map_broker_t *home = entry ? shard_map_broker(router->map, entry->home) : NULL;
    return home && !incarnation_equal(home->incarnation, router->config.incarnation) ? home : NULL;
}

/* Whether a shard is ours for all that is known, and we wait for the database to confirm our lease. */
static bool waits_for_store(router_t *router, const shard_t *shard)
{
    return shard && shard->state != SHARD_FOREIGN && !lane_of(router, shard->id)->available &&
           !other_home(router, shard->id);
}

const char *store_cause(router_t *router, shard_id_t shard, fabric_error_t error)
{
    return error == FABRIC_ERROR_PERSISTENCE ? lane_of(router, shard)->cause.text : "";
}

static void redirect(router_t *router, client_t *client, uint64_t sequence, shard_id_t shard)
{
    router->counters.rejected++;
    const map_broker_t *home = other_home(router, shard);
    message_redirect_t message = {
        .sequence = sequence,
        .shard = shard.value,
        .endpoint = fabric_bytes_of(home ? home->router_endpoint : ""),
    };
    message_put_redirect(peer_writer(router, client->peer), &message);
}

/* ---- checks ---- */

static fabric_error_t check_limits(const message_request_t *request, const char **text)
{
    if (request->flags & ~(uint64_t)REQUEST_FLAGS) {
        *text = "the request has a flag that does not exist";
        return FABRIC_ERROR_UNKNOWN_KIND;
    }
    if (request->sequence == 0) {
        *text = "call sequences begin at 1";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (request->type.size == 0 || request->type.size > LIMIT_NAME_BYTES_MAX ||
        request->id.size == 0 || request->id.size > LIMIT_NAME_BYTES_MAX ||
        request->tag.size == 0 || request->tag.size > LIMIT_NAME_BYTES_MAX) {
        *text = "entity type, id and tag have 1 to 255 bytes";
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (request->payload.size > LIMIT_PAYLOAD_BYTES_MAX) {
        *text = "the payload is over 1 MiB";
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (request->headers.size > LIMIT_HEADER_BYTES_MAX ||
        request->traceparent.size > LIMIT_TRACEPARENT_BYTES_MAX) {
        *text = "headers are over 8 KiB, or traceparent over 55 bytes";
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (request->primary_key.size > 0 || request->deliver_at_ms > 0) {
        *text = "this release serves no primary keys and no scheduled messages";
        return FABRIC_ERROR_UNKNOWN_KIND;
    }
    return FABRIC_OK;
}

fabric_error_t headers_check(fabric_bytes_t headers, const char **text)
{
    if (headers.size == 0) {
        return FABRIC_OK;
    }
    wire_reader_t reader = wire_reader(headers);
    uint32_t count = wire_get_map(&reader);
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        fabric_bytes_t name = wire_get_str(&reader);
        (void)wire_get_bin(&reader);
        if (name.size == 0 || name.size > LIMIT_NAME_BYTES_MAX) {
            reader.failed = true;
        }
    }
    if (count > LIMIT_HEADERS_MAX) {
        *text = "more than 64 headers";
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    *text = "headers are no msgpack map of str to bin";
    return wire_finish(&reader);
}

/* Readers would differ about which value counts. Rows are not checked so: they were accepted. */
static bool has_key_twice(fabric_bytes_t headers)
{
    fabric_bytes_t keys[LIMIT_HEADERS_MAX];
    wire_reader_t reader = wire_reader(headers);
    uint32_t count = headers.size > 0 ? wire_get_map(&reader) : 0;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = wire_get_str(&reader);
        (void)wire_get_bin(&reader);
        for (uint32_t k = 0; k < i; k++) {
            if (fabric_bytes_equal(keys[k], keys[i])) {
                return true;
            }
        }
    }
    return false;
}

/* The message must be known, as durable as it says, and (durable ones) fit its schema. */
static fabric_error_t check_message(const known_type_t *type, const message_request_t *request,
                                    fabric_schema_fault_t *fault)
{
    const message_description_t *message =
        type_description_message(type->description, request->tag);
    if (!message) {
        return FABRIC_ERROR_UNKNOWN_MESSAGE;
    }
    bool durable = request->flags & REQUEST_DURABLE;
    if (message->durable != durable) {
        strcpy(fault->text,
               durable ? "the message is a volatile one" : "the message is a durable one");
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (!durable) {
        return FABRIC_OK; /* the worker checks */
    }
    return fabric_schema_check(message->request, request->payload, fault);
}

/* The first shard of the map if another broker is its home and we are of none: we stand by. */
static shard_id_t first_shard_elsewhere(router_t *router)
{
    shard_id_t first = shard_id_make(1, 1);
    const map_shard_t *entry = shard_map_shard(router->map, first);
    bool elsewhere = entry && shard_map_broker(router->map, entry->home) &&
                     !incarnation_equal(entry->home, router->config.incarnation);
    const shard_t *shard = shard_find(router, first);
    return elsewhere && (!shard || shard->state == SHARD_FOREIGN) ? first : (shard_id_t){0};
}

/* A standby reads the types now and then only, so it leaves the final word to a home. */
static void refuse_unknown_type(router_t *router, client_t *client,
                                const message_request_t *request)
{
    uint64_t age_ms = router->now_ms - router->started_ms;
    shard_id_t elsewhere = first_shard_elsewhere(router);
    if (elsewhere.value != 0) {
        redirect(router, client, request->sequence, elsewhere);
    } else if (age_ms < router->config.registration_ms || shard_map_group_count(router->map) == 0) {
        refuse(router, client, request, FABRIC_ERROR_RUNNER_NOT_REGISTERED, RETRY_MS,
               "no worker has registered the entity type yet");
    } else {
        refuse(router, client, request, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, 0, "");
    }
}

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
                             .call = {client->number, request->sequence}};
}

static uint64_t deadline(const router_t *router, uint64_t left_ms)
{
    return left_ms > 0 && left_ms < UINT64_MAX - router->now_ms ? router->now_ms + left_ms : 0;
}

bool router_memory_is_full(const router_t *router)
{
    return router->message_bytes + router->client_bytes >= router->config.memory_bytes_max;
}

bool router_is_full(const router_t *router)
{
    return router->counters.pending + router->held >= router->config.pending_max ||
           router_memory_is_full(router);
}

/* The database's time, carried on by our monotonic clock. */
static int64_t store_now_ms(const router_t *router)
{
    return router->config.store_now_ms + (int64_t)(router->now_ms - router->started_ms);
}

static void volatile_accept(router_t *router, client_t *client, const message_request_t *request,
                            shard_t *shard, const known_type_t *type)
{
    bool owned = shard->state == SHARD_RELEASING ||
                 (shard->state == SHARD_OWNED && shard->owner->state == RUNNER_JOINED);
    if (!owned) {
        char text[UNSERVED_TEXT_SIZE];
        fabric_error_t error = unserved_reason(router, shard, request->type, text);
        request_reject(router, client, request->sequence, error, RETRY_MS, text);
        return;
    }
    if (router_memory_is_full(router)) {
        request_reject(router, client, request->sequence, FABRIC_ERROR_BUSY, RETRY_MS, "");
        return;
    }
    if (snowflake_is_used_up(&router->generator)) {
        request_reject(router, client, request->sequence, FABRIC_ERROR_PERSISTENCE, RETRY_MS, "");
        return;
    }
    entity_t *entity = entity_find_or_add(router, shard, request->type, request->id);
    if (entity->queued_volatile >= type->description->mailbox_capacity) {
        request_reject(router, client, request->sequence, FABRIC_ERROR_MAILBOX_FULL, RETRY_MS, "");
        entity_release(router, entity);
        return;
    }
    if (entity->unserved) {
        char text[UNSERVED_TEXT_SIZE];
        fabric_error_t error = unserved_note(router, entity, text);
        request_reject(router, client, request->sequence, error, RETRY_MS, text);
        return;
    }
    store_message_t stored = stored_form(client, request, shard);
    message_t *message = message_new(&stored);
    message->stored.id = snowflake_next(&router->generator, store_now_ms(router));
    message->deadline_ms = deadline(router, request->deadline_ms);
    message->life = client->life;
    message->entity = entity;
    message_add(router, message);
    entity_append(entity, message);
    entity_dispatch(router, entity);
}

/* What brokers have made is sound wherever it is: the database's clock may have gone back since. The generator is never lifted to
 * anything else above the time, so nobody can make ids run ahead of it, one floor after the other. */
bool id_is_too_high(const router_t *router, request_id_t id)
{
    return id.value > router->generator.last &&
           snowflake_timestamp_ms(id) > store_now_ms(router) + ID_AHEAD_MS;
}

static fabric_error_t durable_limits(router_t *router, const message_t *message, shard_t *shard,
                                     entity_t **entity, const char **text)
{
    if (id_is_too_high(router, (request_id_t){message->floor})) {
        *text = "the call's floor is ahead of this broker's ids";
        return FABRIC_ERROR_PERSISTENCE;
    }
    /* Ids end in the year 2164, or where a damaged writer row says so. */
    if (!lane_of(router, shard->id)->available || snowflake_is_used_up(&router->generator)) {
        return FABRIC_ERROR_PERSISTENCE;
    }
    if (router_is_full(router)) {
        return FABRIC_ERROR_BUSY;
    }
    *entity = entity_find_or_add(router, shard, message->stored.type, message->stored.entity);
    return (*entity)->pending < router->config.entity_pending_max ? FABRIC_OK
                                                                  : FABRIC_ERROR_MAILBOX_FULL;
}

void durable_accept(router_t *router, client_t *client, message_t *message)
{
    shard_t *shard = shard_find(router, message->stored.shard);
    uint64_t sequence = message->stored.call.sequence;
    entity_t *entity = NULL;
    const char *text = NULL;
    fabric_error_t error =
        waits_for_store(router, shard) ? FABRIC_ERROR_PERSISTENCE : FABRIC_ERROR_NOT_HOME;
    if (shard && shard_serves(router, shard)) {
        error = durable_limits(router, message, shard, &entity, &text);
    }
    if (error) {
        call_t *call = sequence >= client->settled ? call_find(client, sequence) : NULL;
        if (call) { /* not accepted, not finally refused: as if it had never come */
            *call = (call_t){0};
        }
        request_reject(router, client, sequence, error, RETRY_MS,
                       text ? text : store_cause(router, message->stored.shard, error));
        message_destroy(&message);
        if (entity) {
            entity_release(router, entity);
        }
        return;
    }
    snowflake_lift(&router->generator, (request_id_t){message->floor});
    message->stored.id = snowflake_next(&router->generator, store_now_ms(router));
    message->stored.flags &= ~(uint32_t)REQUEST_RESEND;
    message_set_state(message, MESSAGE_IN_LANE);
    message_admit(router, message, entity);
    if (sequence >= client->settled) {
        call_t *call = call_find(client, sequence);
        call = call ? call : call_add(router, client, sequence);
        call_open(call, message);
        call_set_deadline(client, call, message->deadline_ms);
    } else {
        call_settled_early(client, message);
    }
    message->deadline_ms = 0;
    batch_add_message(router, message);
}

void request_received(router_t *router, peer_t *peer, const message_request_t *request)
{
    client_t *client = peer->client;
    const char *text = "";
    fabric_error_t error = check_limits(request, &text);
    if (!error) {
        error = headers_check(request->headers, &text);
    }
    if (!error && has_key_twice(request->headers)) {
        text = "a header key is given twice";
        error = FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (error) {
        refuse(router, client, request, error, 0, text);
        return;
    }
    if (router->draining) {
        refuse(router, client, request, FABRIC_ERROR_SHUTTING_DOWN, RETRY_MS, "");
        return;
    }
    known_type_t *type = type_find(router, request->type);
    if (!type) {
        refuse_unknown_type(router, client, request);
        return;
    }
    fabric_schema_fault_t fault = {""};
    error = check_message(type, request, &fault);
    if (error) {
        refuse(router, client, request, error, 0, fault.text);
        return;
    }
    shard_id_t id = shard_map_locate(router->map, type->group, request->id);
    shard_t *shard = shard_find(router, id);
    if (!shard || !shard_serves(router, shard)) {
        if (request->flags & REQUEST_DURABLE && waits_for_store(router, shard)) {
            refuse(router, client, request, FABRIC_ERROR_PERSISTENCE, RETRY_MS,
                   store_cause(router, id, FABRIC_ERROR_PERSISTENCE));
            return;
        }
        redirect(router, client, request->sequence, id);
        return;
    }
    if (!(request->flags & REQUEST_DURABLE)) {
        volatile_accept(router, client, request, shard, type);
        return;
    }
    store_message_t stored = stored_form(client, request, shard);
    message_t *message = message_new(&stored);
    message->predecessor = request->predecessor;
    message->floor = request->floor;
    message->deadline_ms = deadline(router, request->deadline_ms);
    call_arrived(router, client, message);
}
