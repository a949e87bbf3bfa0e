/* Requests and outcomes: see request.h. */
#include "libfabric_client/src/request.h"

#include <assert.h>
#include <stdlib.h>

#include "core/address.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/schema_field.h"
#include "core/schema_memory.h"
#include "core/message.h"

/* ---- checks ---- */

static fabric_error_t check_key(const fabric_call_t *description, uint64_t client_number,
                                reason_t *reason)
{
    fabric_call_key_t key = description->key;
    if (key.client == 0 && key.sequence == 0) {
        return FABRIC_OK;
    }
    if (!description->message->durable) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "a volatile message is never sent again: it takes no call key");
    }
    if (key.client != client_number || key.sequence == 0) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "the call key belongs to another client: open one with its number");
    }
    return FABRIC_OK;
}

static fabric_error_t check_headers(const fabric_call_t *description, reason_t *reason)
{
    if (description->header_count > LIMIT_HEADERS_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED, "more than %d headers",
                          LIMIT_HEADERS_MAX);
    }
    if (description->header_count > 0 && !description->headers) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "headers: NULL");
    }
    for (size_t i = 0; i < description->header_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (fabric_bytes_equal(fabric_bytes_of(description->headers[i].name),
                                   fabric_bytes_of(description->headers[k].name))) {
                return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                                  "headers[%zu]: the name is that of headers[%zu]", i, k);
            }
        }
        if (address_check_name(fabric_bytes_of(description->headers[i].name))) {
            return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                              "headers[%zu]: a name has 1 to 255 bytes", i);
        }
    }
    if (fabric_bytes_of(description->traceparent).size > LIMIT_TRACEPARENT_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                          "the traceparent is longer than %d bytes", LIMIT_TRACEPARENT_BYTES_MAX);
    }
    return FABRIC_OK;
}

static fabric_error_t check_time(const fabric_call_t *description, reason_t *reason)
{
    if (description->deliver_at_ms == 0) {
        return FABRIC_OK;
    }
    if (description->deliver_at_ms < 0) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "deliver_at_ms is negative: it is Unix time in milliseconds");
    }
    if (description->deliver_at_ms > LIMIT_DELIVER_AT_MS_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                          "deliver_at_ms is after the year 9999: it is Unix time in milliseconds");
    }
    if (!description->message->durable) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "a volatile message has no time of delivery: it is not stored");
    }
    return FABRIC_OK;
}

static fabric_error_t check(const fabric_call_t *description, uint64_t client_number,
                            reason_t *reason)
{
    const fabric_message_type_t *message = description->message;
    if (!message || !message->tag || (description->request && !message->request)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "the call has no message type, or that has no tag or request schema");
    }
    if (description->handled && (!description->tell || message->durable)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "handled is for volatile tells only");
    }
    if (address_check_name(description->entity.type) ||
        address_check_name(description->entity.id) ||
        address_check_name(fabric_bytes_of(message->tag))) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                          "entity type, entity id and tag have 1 to 255 bytes each");
    }
    if (description->payload.size > LIMIT_PAYLOAD_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED, "the payload is over %d bytes",
                          LIMIT_PAYLOAD_BYTES_MAX);
    }
    fabric_error_t error = check_headers(description, reason);
    error = error ? error : check_time(description, reason);
    return error ? error : check_key(description, client_number, reason);
}

/* ---- the parts of a record ---- */

static fabric_error_t encode_headers(const fabric_call_t *description, wire_writer_t *headers,
                                     reason_t *reason)
{
    size_t size = 0; /* checked before any copy */
    for (size_t i = 0; i < description->header_count && size <= LIMIT_HEADER_BYTES_MAX; i++) {
        size_t value = description->headers[i].value.size;
        size = value <= LIMIT_HEADER_BYTES_MAX ? size + value : value;
    }
    if (size <= LIMIT_HEADER_BYTES_MAX && description->header_count > 0) {
        wire_put_map(headers, (uint32_t)description->header_count);
        for (size_t i = 0; i < description->header_count; i++) {
            wire_put_text(headers, description->headers[i].name);
            wire_put_bin(headers, description->headers[i].value);
        }
        size = headers->size;
    }
    if (size > LIMIT_HEADER_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED, "the headers are over %d bytes",
                          LIMIT_HEADER_BYTES_MAX);
    }
    return FABRIC_OK;
}

/* The key that the call itself brings, if any. */
static fabric_error_t take_primary_key(const fabric_call_t *description, uint8_t *key, size_t *size,
                                       reason_t *reason)
{
    fabric_bytes_t given = description->primary_key;
    if (given.size > 0 && !description->message->durable) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "a volatile message has no primary key");
    }
    if (given.size > LIMIT_PRIMARY_KEY_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED, "the primary key is over %d bytes",
                          LIMIT_PRIMARY_KEY_BYTES_MAX);
    }
    if (given.size > 0) {
        memcpy(key, given.data, given.size);
    }
    *size = given.size;
    return FABRIC_OK;
}

/* The primary key is a function of the request's struct; a request that is given as a payload is
 * decoded for it. */
static fabric_error_t make_primary_key(const fabric_call_t *description, uint8_t *key, size_t *size,
                                       reason_t *reason)
{
    const fabric_message_type_t *message = description->message;
    const void *request = description->request;
    void *decoded = NULL;
    schema_memory_t elements = {0};
    *size = 0;
    if (!message->primary_key || !message->durable) {
        return take_primary_key(description, key, size, reason);
    }
    if (!request && message->request) {
        fabric_schema_fault_t fault;
        decoded = memory_allocate_zeroed(1, message->request->size);
        fabric_error_t error = schema_decode_growing(message->request, description->payload,
                                                     &elements, &fault, decoded);
        if (error) {
            schema_memory_free(&elements);
            free(decoded);
            return reason_set(reason, error, "%s", fault.text);
        }
        request = decoded;
    }
    *size = message->primary_key(request, key, LIMIT_PRIMARY_KEY_BYTES_MAX);
    schema_memory_free(&elements);
    free(decoded);
    if (*size > LIMIT_PRIMARY_KEY_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED, "the primary key is over %d bytes",
                          LIMIT_PRIMARY_KEY_BYTES_MAX);
    }
    return *size == 0 ? take_primary_key(description, key, size, reason) : FABRIC_OK;
}

static fabric_bytes_t put(call_t *call, size_t *used, fabric_bytes_t bytes)
{
    uint8_t *place = call->bytes + *used;
    assert(call->capacity - *used >= bytes.size);
    if (bytes.size > 0) {
        memcpy(place, bytes.data, bytes.size);
    }
    *used += bytes.size;
    return fabric_bytes(place, bytes.size);
}

typedef struct parts {
    fabric_bytes_t type;
    fabric_bytes_t id;
    fabric_bytes_t tag;
    fabric_bytes_t traceparent;
    fabric_bytes_t headers;
    fabric_bytes_t primary_key;
} parts_t;

/* A record with all parts in place, and memory for `payload_max` bytes more after `used`. */
static call_t *new_record(const parts_t *parts, size_t payload_max, size_t *used)
{
    call_t *call =
        call_new(parts->type.size + parts->id.size + parts->tag.size + parts->traceparent.size +
                 parts->headers.size + parts->primary_key.size + payload_max);
    *used = 0;
    call->type = put(call, used, parts->type);
    call->id = put(call, used, parts->id);
    call->tag = put(call, used, parts->tag);
    call->traceparent = put(call, used, parts->traceparent);
    call->headers = put(call, used, parts->headers);
    call->primary_key = put(call, used, parts->primary_key);
    return call;
}

/* A struct's payload is rarely larger than the struct. Where it is, the record gets more memory and
 * the struct is encoded again. */
static fabric_error_t encode_record(const fabric_call_t *description, const parts_t *parts,
                                    reason_t *reason, call_t **call)
{
    enum { CAPACITY_FIRST_MAX = 1024 };
    const fabric_schema_t *schema = description->message->request;
    size_t capacity = schema->size + 9 * schema->field_count + 8;
    capacity = capacity < CAPACITY_FIRST_MAX ? capacity : CAPACITY_FIRST_MAX;
    for (;;) {
        fabric_schema_fault_t fault = {{0}};
        size_t used;
        size_t size;
        call_t *record = new_record(parts, capacity, &used);
        fabric_error_t error = fabric_schema_encode(schema, description->request,
                                                    record->bytes + used, capacity, &fault, &size);
        if (error == FABRIC_OK) {
            record->payload = fabric_bytes(record->bytes + used, size);
            *call = record;
            return FABRIC_OK;
        }
        call_destroy(&record);
        if (error != FABRIC_ERROR_LIMIT_EXCEEDED || capacity == LIMIT_PAYLOAD_BYTES_MAX) {
            return reason_set(reason, error, "%s", fault.text);
        }
        capacity = capacity * 4 < LIMIT_PAYLOAD_BYTES_MAX ? capacity * 4 : LIMIT_PAYLOAD_BYTES_MAX;
    }
}

static uint32_t flags_of(const fabric_call_t *description)
{
    uint32_t flags = description->message->durable ? REQUEST_DURABLE : 0;
    if (description->tell) {
        flags |= REQUEST_TELL;
        flags |= description->handled ? REQUEST_WANT_HANDLED : REQUEST_WANT_ACCEPTED;
    }
    if (description->cancel_at_deadline) {
        flags |= REQUEST_GIVE_UP;
    }
    return flags;
}

static fabric_error_t build_record(const fabric_call_t *description, const parts_t *parts,
                                   reason_t *reason, call_t **call)
{
    const fabric_schema_t *schema = description->message->request;
    bool is_empty = description->payload.size == 0 && schema && schema->field_count == 0;
    if (description->request || is_empty) { /* the empty struct has an encoding, too */
        return encode_record(description, parts, reason, call);
    }
    size_t used;
    *call = new_record(parts, description->payload.size, &used);
    (*call)->payload = put(*call, &used, description->payload);
    return FABRIC_OK;
}

fabric_error_t request_build(const fabric_call_t *description, uint64_t client_number,
                             reason_t *reason, call_t **call)
{
    uint8_t key[LIMIT_PRIMARY_KEY_BYTES_MAX];
    size_t key_size = 0;
    wire_writer_t headers = {0};
    fabric_error_t error = check(description, client_number, reason);
    if (!error) {
        error = make_primary_key(description, key, &key_size, reason);
    }
    if (!error) {
        error = encode_headers(description, &headers, reason);
    }
    if (!error) {
        parts_t parts = {
            .type = description->entity.type,
            .id = description->entity.id,
            .tag = fabric_bytes_of(description->message->tag),
            .traceparent = fabric_bytes_of(description->traceparent),
            .headers = wire_writer_bytes(&headers),
            .primary_key = fabric_bytes(key, key_size),
        };
        error = build_record(description, &parts, reason, call);
    }
    wire_writer_destroy(&headers);
    if (!error) {
        (*call)->message = description->message;
        (*call)->flags = flags_of(description);
        (*call)->deliver_at_ms = (uint64_t)description->deliver_at_ms;
        (*call)->sequence = description->key.sequence;
        (*call)->keyed = description->key.sequence != 0;
    }
    return error;
}

static fabric_error_t build_query(const parts_t *parts, fabric_bytes_t argument, reason_t *reason,
                                  call_t **call)
{
    size_t used;
    if (address_check_name(parts->tag) || argument.size > LIMIT_PAYLOAD_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                          "a query's name has 1 to 255 bytes, its argument at most %d",
                          LIMIT_PAYLOAD_BYTES_MAX);
    }
    *call = new_record(parts, argument.size, &used);
    (*call)->payload = put(*call, &used, argument);
    (*call)->query = true;
    return FABRIC_OK;
}

fabric_error_t request_build_query(const char *name, fabric_bytes_t argument, reason_t *reason,
                                   call_t **call)
{
    parts_t parts = {.tag = fabric_bytes_of(name)};
    return build_query(&parts, argument, reason, call);
}

fabric_error_t request_build_home_query(fabric_entity_t entity, const char *name,
                                        fabric_bytes_t argument, reason_t *reason, call_t **call)
{
    parts_t parts = {.type = entity.type, .id = entity.id, .tag = fabric_bytes_of(name)};
    if (address_check_name(entity.type) || address_check_name(entity.id)) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                          "entity type and entity id have 1 to 255 bytes each");
    }
    return build_query(&parts, argument, reason, call);
}

/* ---- outcomes ---- */

void outcome_of(const call_t *call, uint64_t client_number, fabric_outcome_t *outcome)
{
    outcome->error = call->error;
    outcome->code = call->error == FABRIC_ERROR_ENTITY_FAILURE ? call->code : 0;
    outcome->request_id = call->request_id;
    outcome->key =
        (fabric_call_key_t){call->query ? 0 : client_number, call->query ? 0 : call->sequence};
    outcome->failure = NULL;
    outcome->text[0] = '\0';
    if (call->error == FABRIC_ERROR_ENTITY_FAILURE && call->typed) {
        outcome_set_failure(outcome, call->message->failures, call->answer);
    } else if (call->error) {
        outcome_set_text(outcome, call->answer.size > 0
                                      ? call->answer
                                      : fabric_bytes_of(fabric_error_meaning(call->error)));
    }
}

static fabric_error_t check_failure(const fabric_call_t *description, bool keeps_payload,
                                    reason_t *reason)
{
    const fabric_choices_t *failures = description->message->failures;
    for (size_t i = 0; failures && i < failures->count; i++) {
        const fabric_schema_t *schema = failures->items[i].schema;
        if (schema->size > description->failure_size) {
            return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                              "failure_size is %zu, but the values of %s have %zu bytes",
                              description->failure_size, failures->items[i].name, schema->size);
        }
        if (!keeps_payload && schema_has_views(schema)) {
            return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                              "the failure %s has views: fabric_client_call() must give its "
                              "payload, too, which they point into",
                              failures->items[i].name);
        }
    }
    return FABRIC_OK;
}

fabric_error_t request_check_structs(const fabric_call_t *description, const void *reply,
                                     bool keeps_payload, reason_t *reason)
{
    const fabric_message_type_t *message = description->message;
    if (reply && !keeps_payload && message && message->reply && schema_has_views(message->reply)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                          "the reply has views: fabric_client_call() must give its payload, too, "
                          "which they point into");
    }
    return description->failure && message ? check_failure(description, keeps_payload, reason)
                                           : FABRIC_OK;
}

const fabric_schema_t *outcome_schema(const call_t *call, const fabric_outcome_t *outcome)
{
    if (outcome->failure) {
        return outcome->failure->schema;
    }
    bool has_reply = !call->error && !(call->flags & REQUEST_TELL) && !call->query;
    return has_reply ? call->message->reply : NULL;
}

static void set_malformed(fabric_outcome_t *outcome, fabric_error_t error,
                          const fabric_schema_fault_t *fault)
{
    outcome->error = error;
    outcome->code = 0;
    outcome->failure = NULL;
    outcome_set_text(outcome, fabric_bytes_of(fault->text));
}

uint8_t *outcome_decode_views(const call_t *call, void *value, fabric_outcome_t *outcome)
{
    enum { ALIGNMENT = 16 };
    const fabric_schema_t *schema = outcome_schema(call, outcome);
    fabric_bytes_t answer = call->answer;
    fabric_schema_fault_t fault = {{0}};
    size_t capacity = 0;
    fabric_error_t error = fabric_schema_measure(schema, answer, &fault, &capacity);
    if (error) {
        set_malformed(outcome, error, &fault);
        return NULL;
    }
    size_t start = (answer.size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    uint8_t *copy = memory_allocate(start + capacity);
    memcpy(copy, answer.data, answer.size); /* a payload has a byte at least */
    error = fabric_schema_decode_in(schema, fabric_bytes(copy, answer.size), copy + start, capacity,
                                    &fault, value);
    if (error) {
        set_malformed(outcome, error, &fault);
        free(copy);
        return NULL;
    }
    return copy;
}

void outcome_decode(const call_t *call, void *value, fabric_outcome_t *outcome)
{
    const fabric_schema_t *schema = outcome_schema(call, outcome);
    bool is_checked =
        call->flags & REQUEST_DURABLE || outcome->failure; /* by the broker, or here */
    if (!schema || (!value && is_checked)) {
        return;
    }
    fabric_schema_fault_t fault = {{0}};
    size_t capacity; /* a newer worker may answer with fields that are not known here */
    fabric_error_t error = value ? fabric_schema_decode(schema, call->answer, &fault, value)
                                 : fabric_schema_measure(schema, call->answer, &fault, &capacity);
    if (error) {
        set_malformed(outcome, error, &fault);
    }
}
