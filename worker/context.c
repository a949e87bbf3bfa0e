/* What a handler is told about its message, and how it answers otherwise than by a reply. */
#include "worker/context_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failures.h"
#include "core/memory.h"
#include "worker/executor_events.h"

void context_init(fabric_context_t *context, completions_t *completions, entity_table_t *entities,
                  uint8_t *payload, interrupts_t *interrupts)
{
    context->sender = entities->instance.sender;
    context->payload = payload;
    context->completions = completions;
    context->entities = entities;
    context->interrupts = interrupts;
}

void context_begin(fabric_context_t *context, entity_t *entity, const type_entry_t *type,
                   const fabric_handler_t *handler, const message_deliver_t *delivery,
                   uint64_t now_ms)
{
    context->entity = entity;
    context->type = type;
    context->handler = handler;
    context->delivery = delivery;
    context->began_ms = now_ms;
    context->pending = NULL;
    context->surplus = false;
    context->asks = NULL;
    context->waited = NULL;
    context->told = NULL;
    context->astray = false;
    context->blocks = NULL;
    context->terminate = false;
    context->wishes = false;
    context->code = 0;
    context->typed = false;
    context->malformed = false;
    context->text[0] = '\0';
    context->unappended[0] = '\0';
}

void context_end(fabric_context_t *context)
{
    context_blocks_free(&context->blocks);
    asks_destroy(&context->asks);
    told_destroy(&context->told);
}

void *fabric_context_allocate(fabric_context_t *context, size_t size)
{
    if (size > SIZE_MAX - sizeof(context_block_t)) {
        abort(); /* no machine has that much */
    }
    context_block_t *block = memory_allocate_zeroed(1, sizeof *block + size);
    block->next = context->blocks;
    block->size = size;
    context->blocks = block;
    return block + 1;
}

fabric_pending_t *context_take_pending(fabric_context_t *context)
{
    fabric_pending_t *pending = context->pending;
    context->pending = NULL;
    return pending;
}

fabric_bytes_t fabric_context_type(const fabric_context_t *context)
{
    return context->type->name;
}

fabric_bytes_t fabric_context_id(const fabric_context_t *context)
{
    return entity_id(context->entity);
}

uint64_t fabric_context_request_id(const fabric_context_t *context)
{
    return context->delivery->request_id;
}

/* The ids of the cluster and of the request name the message, and `name` its effect. */
const char *fabric_context_effect_key(fabric_context_t *context, const char *name)
{
    enum { PREFIX_BYTES = 2 * WORK_CLUSTER_ID_BYTES + 1 + 16 + 1 };
    const uint8_t *cluster = context->entity->ownership->lease->cluster_id;
    size_t size = PREFIX_BYTES + strlen(name) + 1;
    char *key = fabric_context_allocate(context, size);
    for (size_t i = 0; i < WORK_CLUSTER_ID_BYTES; i++) {
        snprintf(key + 2 * i, 3, "%02x", cluster[i]);
    }
    snprintf(key + 2 * (size_t)WORK_CLUSTER_ID_BYTES, size - 2 * (size_t)WORK_CLUSTER_ID_BYTES,
             "-%016" PRIx64 "-%s", context->delivery->request_id, name);
    return key;
}

static uint32_t counted(uint64_t number)
{
    return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

uint32_t fabric_context_delivery(const fabric_context_t *context)
{
    return counted(context->delivery->delivery);
}

uint32_t fabric_context_attempt(const fabric_context_t *context)
{
    return counted(context->delivery->attempt);
}

fabric_token_t fabric_context_token(const fabric_context_t *context)
{
    token_t token = context->entity->ownership->key.token; /* what the result will carry */
    return (fabric_token_t){token.home_epoch, token.owner_sequence};
}

bool fabric_context_is_durable(const fabric_context_t *context)
{
    return (context->delivery->flags & REQUEST_DURABLE) != 0;
}

void *fabric_context_mysql(const fabric_context_t *context)
{
    return context->connection;
}

fabric_bytes_t fabric_context_traceparent(const fabric_context_t *context)
{
    return context->delivery->traceparent;
}

uint64_t fabric_context_left_ms(const fabric_context_t *context)
{
    uint64_t deadline_ms = context->delivery->deadline_ms;
    if (deadline_ms == 0) {
        return FABRIC_NO_DEADLINE;
    }
    return deadline_ms > context->began_ms ? deadline_ms - context->began_ms : 0;
}

bool fabric_context_header(const fabric_context_t *context, const char *name, fabric_bytes_t *value)
{
    fabric_bytes_t wanted = fabric_bytes_of(name);
    wire_reader_t reader = wire_reader(context->delivery->headers);
    if (wire_left(&reader) == 0) {
        return false;
    }
    for (uint32_t count = wire_get_map(&reader); count > 0 && !reader.failed; count--) {
        fabric_bytes_t key = wire_get_str(&reader);
        fabric_bytes_t found = wire_get_bin(&reader);
        if (!reader.failed && fabric_bytes_equal(key, wanted)) {
            *value = found;
            return true;
        }
    }
    return false;
}

static interrupts_name_t name_of(const fabric_context_t *context)
{
    const ownership_t *ownership = context->entity->ownership;
    return (interrupts_name_t){.shard = ownership->key.shard,
                               .token = ownership->key.token,
                               .request_id = context->delivery->request_id,
                               .uninterruptible = context->type->type->uninterruptible};
}

fabric_interrupt_t fabric_context_interrupt(const fabric_context_t *context)
{
    if (context->waited && fabric_pending_interrupt(context->waited) != FABRIC_NOT_INTERRUPTED) {
        return fabric_pending_interrupt(context->waited);
    }
    if (!context->interrupts) {
        return FABRIC_NOT_INTERRUPTED;
    }
    interrupts_name_t name = name_of(context);
    return interrupts_find(context->interrupts, &name);
}

void fabric_context_on_interrupt(fabric_context_t *context, fabric_interrupt_fn *call,
                                 void *argument)
{
    if (context->interrupts) {
        interrupts_name_t name = name_of(context);
        context->wishes = true;
        interrupts_wish(context->interrupts, &name, call, argument);
    }
}

void context_end_wish(fabric_context_t *context)
{
    if (context->wishes) {
        interrupts_end_wish(context->interrupts);
    }
}

fabric_instance_t *fabric_context_instance(fabric_context_t *context)
{
    fabric_instance_t *instance = &context->entities->instance;
    instance->entity = context->entity;
    return instance;
}

void fabric_context_keep_alive(fabric_context_t *context, bool keep)
{
    entity_keep(context->entities, context->entity, keep);
}

void fabric_context_terminate(fabric_context_t *context)
{
    context->terminate = true;
}

void fabric_context_append(fabric_context_t *context, const char *tag, const void *event)
{
    if (!context->unappended[0]) {
        (void)!events_append(context->entities, context->entity, context->type, tag, event,
                             context->unappended, sizeof context->unappended);
    }
}

fabric_result_t fabric_fail(fabric_context_t *context, uint64_t code, const char *format, ...)
{
    va_list arguments;
    context->code = code;
    context->typed = false;
    context->malformed = false;
    va_start(arguments, format);
    vsnprintf(context->text, sizeof context->text, format, arguments);
    va_end(arguments);
    return FABRIC_FAILURE;
}

fabric_result_t fabric_fail_with(fabric_context_t *context, int32_t number, const void *values)
{
    fabric_schema_fault_t fault = {""};
    fabric_error_t error =
        failure_encode(context->handler->message->failures, number, values, context->payload,
                       LIMIT_PAYLOAD_BYTES_MAX, &fault, &context->size);
    context->code = (uint64_t)number;
    context->typed = true;
    context->malformed = error != FABRIC_OK;
    if (context->malformed) {
        snprintf(context->text, sizeof context->text, "%s",
                 fault.text[0] ? fault.text : "the failure is larger than a payload may be");
    }
    return FABRIC_FAILURE;
}

fabric_result_t fabric_defect(fabric_context_t *context, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context->text, sizeof context->text, format, arguments);
    va_end(arguments);
    return FABRIC_DEFECT;
}

fabric_pending_t *fabric_later(fabric_context_t *context)
{
    bool first = !context->pending;
    fabric_pending_t *pending = pending_new(context->completions, first ? context->entity : NULL,
                                            context->handler->message, context->delivery);
    if (first) {
        context->pending = pending;
    } else {
        context->surplus = true; /* the handle completes nothing */
    }
    return pending;
}
