/* What handlers have told others: see told.h. */
#include "broker/router/told.h"

#include <stdio.h>

#include "broker/router/request_checks.h"
#include "broker/router/router_state.h"

/* As a client's request says it. */
static message_request_t request_of(const store_outgoing_t *message)
{
    return (message_request_t){.sequence = 1,
                               .flags = message->flags,
                               .type = message->type,
                               .id = message->entity,
                               .tag = message->tag,
                               .payload = message->payload,
                               .primary_key = message->primary_key,
                               .deliver_at_ms = (uint64_t)message->deliver_at_ms,
                               .headers = message->headers};
}

static const char *unknown(const store_outgoing_t *message, bool type, fabric_schema_fault_t *fault)
{
    int tag_size = (int)(message->tag.size < 60 ? message->tag.size : 60);
    int type_size = (int)(message->type.size < 60 ? message->type.size : 60);
    snprintf(fault->text, sizeof fault->text,
             "it tells %.*s of type %.*s, and the %s is not known here", tag_size,
             (const char *)message->tag.data, type_size, (const char *)message->type.data,
             type ? "message" : "type");
    return fault->text;
}

/* What is wrong with a message whatever its type is; NULL: nothing. */
static const char *form_fault(const store_outgoing_t *message)
{
    const message_request_t request = request_of(message);
    const char *text = "";
    if (message->flags != (REQUEST_DURABLE | REQUEST_TELL) || message->deliver_at_ms < 0) {
        return "it tells something that is no durable message without a reply";
    }
    return request_check(&request, &text) ? text : NULL;
}

static const char *message_fault(router_t *router, const store_outgoing_t *message,
                                 fabric_schema_fault_t *fault, bool *passing)
{
    const message_request_t request = request_of(message);
    const char *wrong = form_fault(message);
    if (wrong) {
        return wrong;
    }
    const known_type_t *type = type_find(router, message->type);
    fabric_error_t error =
        type ? request_check_type(type, &request, fault) : FABRIC_ERROR_UNKNOWN_ENTITY_TYPE;
    *passing = !type || error == FABRIC_ERROR_UNKNOWN_MESSAGE;
    if (*passing) {
        return unknown(message, type != NULL, fault);
    }
    return error ? fault->text : NULL;
}

const char *told_fault(router_t *router, fabric_bytes_t source_type,
                       const journal_outgoing_t *outgoing, fabric_schema_fault_t *fault,
                       bool *passing)
{
    const known_type_t *source = type_find(router, source_type);
    if (source && !source->description->options.tells) {
        return "it tells others something, and its type does not say that it does";
    }
    journal_outgoing_reader_t reader = journal_outgoing_open(outgoing);
    store_outgoing_t message;
    const char *wrong = NULL;
    while (!wrong && journal_outgoing_next(&reader, &message)) {
        wrong = message_fault(router, &message, fault, passing);
    }
    return wrong;
}

const char *told_committed_fault(router_t *router, const journal_outgoing_t *outgoing,
                                 fabric_schema_fault_t *fault, bool *passing)
{
    journal_outgoing_reader_t reader = journal_outgoing_open(outgoing);
    store_outgoing_t message;
    const char *wrong = NULL;
    while (!wrong && journal_outgoing_next(&reader, &message)) {
        const known_type_t *type = type_find(router, message.type);
        wrong = form_fault(&message);
        *passing = !wrong && !(type && type_description_message(type->description, message.tag));
        wrong = *passing ? unknown(&message, type != NULL, fault) : wrong;
    }
    return wrong;
}

told_value_t *told_keep(router_t *router, const message_t *message,
                        const journal_outgoing_t *outgoing)
{
    wire_writer_t list = {0};
    journal_outgoing_t kept = *outgoing;
    journal_outgoing_reader_t reader = journal_outgoing_open(outgoing);
    store_outgoing_t told;
    wire_writer_reserve(&list, outgoing->list.size + (size_t)outgoing->count * TOLD_SHARD_BYTES);
    while (journal_outgoing_next(&reader, &told)) {
        const known_type_t *type = type_find(router, told.type);
        told.shard = shard_map_locate(router->map, type->group, told.entity);
        journal_outgoing_put(&list, &told);
    }
    kept.tag = message->stored.tag;
    kept.traceparent = message->stored.traceparent;
    kept.list = wire_writer_bytes(&list);
    told_value_t *value = told_value_new(&kept, &router->told_bytes);
    wire_writer_destroy(&list);
    return value;
}
