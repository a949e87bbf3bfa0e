/* Checks of a request that need nothing but the request and its entity type. */
#include "broker/router/request_checks.h"

#include <string.h>

#include "core/limits.h"

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
    if (request->primary_key.size > LIMIT_PRIMARY_KEY_BYTES_MAX) {
        *text = "the primary key is over 1,024 bytes";
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (request->primary_key.size > 0 && !(request->flags & REQUEST_DURABLE)) {
        *text = "a volatile message has no primary key";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    if (request->deliver_at_ms > LIMIT_DELIVER_AT_MS_MAX) {
        *text = "the time of delivery is after the year 9999";
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (request->deliver_at_ms > 0 && !(request->flags & REQUEST_DURABLE)) {
        *text = "a volatile message has no time of delivery: it is not stored";
        return FABRIC_ERROR_MALFORMED_MESSAGE;
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

/* Readers might disagree about which of two values counts. Stored rows may have a key twice, as
 * they were accepted. */
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

fabric_error_t request_check(const message_request_t *request, const char **text)
{
    fabric_error_t error = check_limits(request, text);
    if (!error) {
        error = headers_check(request->headers, text);
    }
    if (!error && has_key_twice(request->headers)) {
        *text = "a header key is given twice";
        error = FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    return error;
}

fabric_error_t request_check_type(const known_type_t *type, const message_request_t *request,
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
        return FABRIC_OK; /* the worker checks the payload */
    }
    return fabric_schema_check(message->request, request->payload, fault);
}
