/* Handling one message: decode, run, encode, and what becomes of the entity. */
#include "worker/executor_state.h"

#include <stdio.h>
#include <string.h>

#include "core/address.h"
#include "core/crash_point.h"

void output_add(executor_t *executor, work_output_t *output)
{
    if (executor->output_first) {
        executor->output_last->next = output;
    } else {
        executor->output_first = output;
        executor->output_since_ms = executor->now_ms;
    }
    executor->output_last = output;
}

/* Results of one broker's connection are collected in one piece. */
static work_output_t *output_for(executor_t *executor, work_source_t source)
{
    work_output_t *last = executor->output_last;
    if (executor->output_first && last->kind == OUTPUT_RESULTS &&
        last->source.endpoint == source.endpoint && last->source.connection == source.connection &&
        last->results.size < LIMIT_FRAME_BYTES_GOAL / 2) {
        return last;
    }
    work_output_t *output = work_output_new(OUTPUT_RESULTS, source);
    wire_writer_reserve(&output->results, 4096);
    output_add(executor, output);
    return output;
}

void result_put(executor_t *executor, work_source_t source, const message_result_t *result)
{
    work_output_t *output = output_for(executor, source);
    message_put_result(&output->results, result);
    output->count++;
}

void result_not_taken(executor_t *executor, work_source_t source, const message_deliver_t *delivery,
                      fabric_error_t error)
{
    message_result_t result = {
        .shard = delivery->shard,
        .home_epoch = delivery->home_epoch,
        .owner_sequence = delivery->owner_sequence,
        .activation = delivery->activation,
        .request_id = delivery->request_id,
        .status = STATUS_NOT_TAKEN,
        .error = error,
    };
    result_put(executor, source, &result);
}

/* The result of a message under a ownership: the parts that name it. */
static message_result_t result_of(const ownership_t *ownership, uint64_t activation,
                                  uint64_t request_id)
{
    return (message_result_t){
        .shard = ownership->shard.value,
        .home_epoch = ownership->token.home_epoch,
        .owner_sequence = ownership->token.owner_sequence,
        .activation = activation,
        .request_id = request_id,
    };
}

/* Tells people of a handler's defect. */
static void tell_defect(executor_t *executor, const entity_t *entity, fabric_bytes_t tag,
                        uint64_t request_id, fabric_bytes_t text)
{
    uint32_t left_out = 0;
    if (!executor->tell_defect ||
        !log_limiter_pass(&executor->defects_told, EXECUTOR_DEFECTS_TOLD_PER_S, executor->now_ms,
                          &left_out)) {
        return;
    }
    const type_entry_t *type = type_table_at(executor->types, entity_type_index(entity));
    char names[3][128];
    char words[LIMIT_TEXT_BYTES_MAX];
    char line[sizeof names + sizeof words + 100];
    char rest[48] = "";
    bytes_escape(type->name, names[0], sizeof names[0]);
    bytes_escape(entity_id(entity), names[1], sizeof names[1]);
    bytes_escape(tag, names[2], sizeof names[2]);
    bytes_escape(text, words, sizeof words);
    if (left_out > 0) {
        snprintf(rest, sizeof rest, " (%u more left out before)", (unsigned)left_out);
    }
    snprintf(line, sizeof line, "%s/%s %s, request %llu: %s%s", names[0], names[1], names[2],
             (unsigned long long)request_id, words, rest);
    executor->tell_defect(executor->tell_context, line);
}

/* A message that cannot be decoded, or whose reply cannot be encoded, fails alone: the entity goes
 * on. */
static void put_malformed(executor_t *executor, const ownership_t *ownership,
                          const message_deliver_t *delivery, const char *text)
{
    message_result_t result = result_of(ownership, delivery->activation, delivery->request_id);
    result.status = STATUS_DEFECT;
    result.error = FABRIC_ERROR_MALFORMED_MESSAGE;
    result.payload = fabric_bytes_of(text);
    result_put(executor, ownership->source, &result);
}

static void put_defect(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const char *text)
{
    message_result_t result =
        result_of(entity->ownership, delivery->activation, delivery->request_id);
    result.status = STATUS_DEFECT;
    result.error = FABRIC_ERROR_ENTITY_DEFECT;
    result.payload = fabric_bytes_of(text);
    result_put(executor, entity->ownership->source, &result);
    tell_defect(executor, entity, delivery->tag, delivery->request_id, result.payload);
    count_add(&executor->handled, 1);
    count_add(&executor->defects, 1);
    entity_stop(executor, entity);
    entity->failed = true;
    entity->failed_activation = delivery->activation;
}

static void put_failure(executor_t *executor, const ownership_t *ownership,
                        const message_deliver_t *delivery)
{
    message_result_t result = result_of(ownership, delivery->activation, delivery->request_id);
    result.status = STATUS_FAILURE;
    result.error = FABRIC_ERROR_ENTITY_FAILURE;
    result.code = executor->context.code;
    result.payload = fabric_bytes_of(executor->context.text);
    result_put(executor, ownership->source, &result);
    count_add(&executor->handled, 1);
}

static void put_reply(executor_t *executor, const entity_t *entity,
                      const message_deliver_t *delivery, const fabric_message_type_t *message,
                      const void *reply)
{
    const ownership_t *ownership = entity->ownership;
    message_result_t result = result_of(ownership, delivery->activation, delivery->request_id);
    count_add(&executor->handled, 1);
    if (!(delivery->flags & REQUEST_TELL)) {
        fabric_schema_fault_t fault = {""};
        size_t size = 0;
        if (fabric_schema_encode(message->reply, reply, executor->payload, LIMIT_PAYLOAD_BYTES_MAX,
                                 &fault, &size) != FABRIC_OK) {
            const char *text =
                fault.text[0] ? fault.text : "the reply is larger than a payload may be";
            count_add(&executor->defects, 1);
            tell_defect(executor, entity, delivery->tag, delivery->request_id,
                        fabric_bytes_of(text));
            put_malformed(executor, ownership, delivery, text);
            return;
        }
        result.payload = fabric_bytes(executor->payload, size);
    }
    result.status = STATUS_OK;
    result_put(executor, ownership->source, &result);
}

static void run(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                const void *request)
{
    fabric_context_t *context = &executor->context;
    const fabric_handler_t *handler = context->handler;
    void *reply = NULL;
    if (handler->message->reply->field_count > 0) {
        reply = executor->reply;
        memset(reply, 0, handler->message->reply->size);
    }
    fabric_result_t outcome =
        handler->handle(context, entity_state(executor, entity), request, reply);
    CRASH_POINT(WORKER_HANDLED);
    fabric_pending_t *pending = context->pending;
    context->pending = NULL;
    if (context->surplus || (outcome == FABRIC_PENDING) != (pending != NULL)) {
        if (pending) {
            pending->entity = NULL;
        }
        put_defect(executor, entity, delivery,
                   context->surplus ? "fabric_later() was called more than once for a message"
                                    : "fabric_later() and FABRIC_PENDING must come together");
        return;
    }
    switch (outcome) {
    case FABRIC_REPLY:
        put_reply(executor, entity, delivery, handler->message, reply);
        return;
    case FABRIC_FAILURE:
        put_failure(executor, entity->ownership, delivery);
        return;
    case FABRIC_PENDING:
        entity_set_pending(entity, pending);
        return;
    case FABRIC_DEFECT:
        put_defect(executor, entity, delivery, context->text);
        return;
    }
    put_defect(executor, entity, delivery, "the handler returned a number that is no result");
}

void handle_delivery(executor_t *executor, entity_t *entity, ownership_t *ownership,
                     const message_deliver_t *delivery)
{
    entity_enter(executor, entity, ownership);
    entity->used_ms = executor->now_ms;
    if (entity->failed && delivery->activation <= entity->failed_activation) {
        result_not_taken(executor, ownership->source, delivery, FABRIC_ERROR_ENTITY_DEFECT);
        return;
    }
    entity->failed = false;
    const type_entry_t *type = type_table_at(executor->types, entity_type_index(entity));
    const fabric_handler_t *handler = type_entry_handler(type, delivery->tag);
    if (!handler) {
        put_malformed(executor, ownership, delivery,
                      "this worker's entity type has no such message");
        return;
    }
    void *request = handler->message->request->field_count > 0 ? executor->request : NULL;
    fabric_schema_fault_t fault = {""};
    if (fabric_schema_decode(handler->message->request, delivery->payload, &fault,
                             executor->request) != FABRIC_OK) {
        put_malformed(executor, ownership, delivery, fault.text);
        return;
    }
    if (!entity->started && !entity_start(executor, entity)) {
        put_defect(executor, entity, delivery, "the entity could not be started");
        return;
    }
    fabric_context_t *context = &executor->context;
    context->entity = entity;
    context->type = type;
    context->handler = handler;
    context->delivery = delivery;
    context->surplus = false;
    context->code = 0;
    context->text[0] = '\0';
    run(executor, entity, delivery, request);
}

void handle_completion(executor_t *executor, fabric_pending_t **handle)
{
    fabric_pending_t *pending = *handle;
    entity_t *entity = pending->entity;
    if (entity) {
        message_result_t result =
            result_of(entity->ownership, pending->activation, pending->request_id);
        result.status = pending->status;
        result.error = pending->error;
        result.code = pending->code;
        result.payload = wire_writer_bytes(&pending->payload);
        result_put(executor, entity->ownership->source, &result);
        count_add(&executor->handled, 1);
        if (pending->status == STATUS_DEFECT) {
            tell_defect(executor, entity, fabric_bytes_of(pending->message->tag),
                        pending->request_id, result.payload);
            count_add(&executor->defects, 1);
        }
        entity->used_ms = executor->now_ms;
        entity_set_pending(entity, NULL);
        if (entity->first && !entity->queued) {
            entity_queue_add(&executor->ready, entity);
        }
    }
    pending_destroy(handle);
}
