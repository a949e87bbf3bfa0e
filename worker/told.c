/* What handlers tell with their replies: see told.h. */
#include "worker/told.h"

#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/journal/outgoing.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/message.h"

/* By how many bytes a message grows when its home writes its shard. */
#define SHARD_BYTES 4u
/* Of the payload's buffer, at first. */
#define PAYLOAD_BYTES_FIRST 512u

static fabric_error_t check(const fabric_tell_t *tell)
{
    const fabric_message_type_t *message = tell->message;
    if (!message || !message->tag || !message->request || !message->durable ||
        (!tell->request && message->request->field_count > 0) || tell->deliver_at_ms < 0 ||
        (tell->header_count > 0 && !tell->headers)) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    if (address_check_name(tell->entity.type) || address_check_name(tell->entity.id) ||
        address_check_name(fabric_bytes_of(message->tag)) ||
        tell->deliver_at_ms > LIMIT_DELIVER_AT_MS_MAX || tell->header_count > LIMIT_HEADERS_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    return FABRIC_OK;
}

static bool is_named_before(const fabric_tell_t *tell, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(tell->headers[i].name, tell->headers[index].name) == 0) {
            return true;
        }
    }
    return false;
}

static fabric_error_t put_headers(const fabric_tell_t *tell, wire_writer_t *headers)
{
    if (tell->header_count > 0) {
        wire_put_map(headers, (uint32_t)tell->header_count);
    }
    for (size_t i = 0; i < tell->header_count; i++) {
        const fabric_header_t *header = &tell->headers[i];
        if (address_check_name(fabric_bytes_of(header->name)) ||
            header->value.size > LIMIT_HEADER_BYTES_MAX - headers->size) {
            return FABRIC_ERROR_LIMIT_EXCEEDED;
        }
        if (is_named_before(tell, i)) {
            return FABRIC_ERROR_INVALID_ARGUMENT;
        }
        wire_put_text(headers, header->name);
        wire_put_bin(headers, header->value);
        if (headers->size > LIMIT_HEADER_BYTES_MAX) {
            return FABRIC_ERROR_LIMIT_EXCEEDED;
        }
    }
    return FABRIC_OK;
}

/* The key that the message's type makes of the request, or else the one that is given. */
static fabric_error_t take_key(const fabric_tell_t *tell, uint8_t made[LIMIT_PRIMARY_KEY_BYTES_MAX],
                               fabric_bytes_t *key)
{
    const fabric_message_type_t *message = tell->message;
    size_t size = message->primary_key
                      ? message->primary_key(tell->request, made, LIMIT_PRIMARY_KEY_BYTES_MAX)
                      : 0;
    *key = size > 0 ? fabric_bytes(made, size) : tell->primary_key;
    return key->size > LIMIT_PRIMARY_KEY_BYTES_MAX ? FABRIC_ERROR_LIMIT_EXCEEDED : FABRIC_OK;
}

static fabric_error_t put_payload(const fabric_tell_t *tell, wire_writer_t *payload)
{
    fabric_error_t error = FABRIC_ERROR_LIMIT_EXCEEDED;
    for (size_t capacity = PAYLOAD_BYTES_FIRST; error == FABRIC_ERROR_LIMIT_EXCEEDED;) {
        fabric_schema_fault_t fault = {""};
        wire_writer_reserve(payload, capacity);
        error = fabric_schema_encode(tell->message->request, tell->request, payload->data, capacity,
                                     &fault, &payload->size);
        if (capacity == LIMIT_PAYLOAD_BYTES_MAX) {
            break;
        }
        capacity = capacity * 8 < LIMIT_PAYLOAD_BYTES_MAX ? capacity * 8 : LIMIT_PAYLOAD_BYTES_MAX;
    }
    return error;
}

/* What is over a bound goes again. */
static fabric_error_t put(told_t *told, const store_outgoing_t *message, size_t bytes_max)
{
    size_t before = told->list.size;
    if (told->count == STORE_OUTGOING_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    journal_outgoing_put(&told->list, message);
    told->count++;
    if (told_bytes(told) > bytes_max) {
        told->list.size = before;
        told->count--;
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    return FABRIC_OK;
}

fabric_error_t told_add(told_t **told, const fabric_tell_t *tell, size_t bytes_max)
{
    uint8_t made[LIMIT_PRIMARY_KEY_BYTES_MAX];
    fabric_bytes_t key = {NULL, 0};
    wire_writer_t headers = {0};
    wire_writer_t payload = {0};
    fabric_error_t error = check(tell);
    error = error ? error : put_headers(tell, &headers);
    error = error ? error : take_key(tell, made, &key);
    error = error ? error : put_payload(tell, &payload);
    if (!error) {
        if (!*told) {
            *told = (told_t *)memory_allocate_zeroed(1, sizeof **told);
        }
        const store_outgoing_t message = {.flags = REQUEST_DURABLE | REQUEST_TELL,
                                          .type = tell->entity.type,
                                          .entity = tell->entity.id,
                                          .tag = fabric_bytes_of(tell->message->tag),
                                          .payload = wire_writer_bytes(&payload),
                                          .primary_key = key,
                                          .headers = wire_writer_bytes(&headers),
                                          .deliver_at_ms = tell->deliver_at_ms};
        error = put(*told, &message, bytes_max);
        if ((*told)->count == 0) {
            told_destroy(told);
        }
    }
    wire_writer_destroy(&headers);
    wire_writer_destroy(&payload);
    return error;
}

size_t told_bytes(const told_t *told)
{
    return told ? told->list.size + told->count * (size_t)SHARD_BYTES : 0;
}

void told_destroy(told_t **told)
{
    if (*told) {
        wire_writer_destroy(&(*told)->list);
        free(*told);
        *told = NULL;
    }
}
