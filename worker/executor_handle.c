/* Handling one message: decode, run, encode, and what becomes of the entity. */
#include "worker/executor_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/crash_point.h"
#include "core/memory.h"
#include "worker/executor_events.h"
#include "worker/executor_result.h"
#include "worker/executor_stored.h"
#include "worker/executor_transaction.h"

void handling_init(executor_handling_t *handling, const type_table_t *types,
                   completions_t *completions, entity_table_t *entities,
                   const executor_hooks_t *hooks)
{
    handling->hooks = *hooks;
    handling->request = memory_allocate(type_table_request_bytes(types));
    handling->reply = memory_allocate(type_table_reply_bytes(types));
    handling->payload = (uint8_t *)memory_allocate(LIMIT_PAYLOAD_BYTES_MAX);
    context_init(&handling->context, completions, entities, handling->payload, hooks->interrupts);
    slow_init(&handling->slow);
    if (hooks->database && hooks->database->url) {
        handling->transactions = transactions_new(hooks->database);
    }
}

void handling_free(executor_handling_t *handling)
{
    schema_memory_free(&handling->elements);
    free(handling->request);
    free(handling->reply);
    free(handling->payload);
    free(handling->state_buffer);
    transactions_destroy(&handling->transactions);
}

/* What the entity begins with is not here: neither this message is taken, nor those behind it of
 * its activation. The next one brings it. */
static void put_stateless(executor_t *executor, entity_t *entity, const ownership_t *ownership,
                          const message_deliver_t *delivery)
{
    output_put_not_taken(&executor->output, ownership->source, delivery, FABRIC_ERROR_STATE_MISSING,
                         executor->now_ms);
    entity_fail(&executor->entities, entity, delivery->activation);
}

static void report_evicted(executor_t *executor)
{
    executor_handling_t *handling = &executor->handling;
    const entity_t *entity = entity_to_evict(&executor->entities);
    if (entity) {
        char name[MESSAGE_NAME_SIZE];
        message_name(entity_type(&executor->entities, entity)->name, entity_id(entity),
                     fabric_bytes_of("(kept alive)"), 0, name);
        handling_count(&handling->evicted);
        result_report(executor, handling->hooks.report_evicted, &handling->evicted_reported, name,
                      "has no instance now, to make room for a message");
    }
}

/* The instance could not be built: the home delivers the message again after a pause, and does not
 * count an attempt. Where the snapshot cannot be read, it does so at once, with all events. */
static void put_not_built(executor_t *executor, entity_t *entity, const ownership_t *ownership,
                          const message_deliver_t *delivery)
{
    bool unreadable = events_were_unreadable(entity);
    message_result_t result =
        work_result(delivery, STATUS_NOT_TAKEN,
                    unreadable ? FABRIC_ERROR_SNAPSHOT_UNREADABLE : FABRIC_ERROR_NOT_BUILT);
    result.payload = fabric_bytes_of(result_build_fault(executor));
    output_put_result(&executor->output, ownership->source, &result, false, executor->now_ms);
    if (!unreadable) {
        result_report_defect(executor, entity, delivery->tag, delivery->request_id, result.payload);
    }
    entity_fail(&executor->entities, entity, delivery->activation);
}

/* The handler's answer could not be encoded. */
static void put_unencodable(executor_t *executor, entity_t *entity,
                            const message_deliver_t *delivery, const char *text)
{
    stored_take_back(executor, entity);
    handling_count(&executor->handling.defects);
    result_report_defect(executor, entity, delivery->tag, delivery->request_id,
                         fabric_bytes_of(text));
    result_put_malformed(executor, entity, delivery, text);
}

static void put_failure(executor_t *executor, entity_t *entity, const message_deliver_t *delivery)
{
    const fabric_context_t *context = &executor->handling.context;
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    handling_count(&executor->handling.handled);
    if (context->malformed) {
        put_unencodable(executor, entity, delivery, context->text);
        return;
    }
    result.status = context->typed ? STATUS_TYPED_FAILURE : STATUS_FAILURE;
    result.error = FABRIC_ERROR_ENTITY_FAILURE;
    result.code = context->code;
    result.payload = context->typed ? fabric_bytes(context->payload, context->size)
                                    : fabric_bytes_of(context->text);
    stored_put_failed(executor, entity, delivery, &result);
}

static void put_interrupted(executor_t *executor, entity_t *entity,
                            const message_deliver_t *delivery)
{
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    result.status = STATUS_FAILURE;
    result.error = FABRIC_ERROR_CANCELLED;
    result.payload = fabric_bytes_of("the handler stopped, as its caller cancelled the call");
    stored_put_failed(executor, entity, delivery, &result);
}

/* The handler has stopped because it was told to. */
static void end_interrupted(executor_t *executor, entity_t *entity,
                            const message_deliver_t *delivery)
{
    switch (fabric_context_interrupt(&executor->handling.context)) {
    case FABRIC_INTERRUPT_CANCEL:
        handling_count(&executor->handling.handled);
        put_interrupted(executor, entity, delivery);
        return;
    case FABRIC_INTERRUPT_STOP: /* the home takes the message back */
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        handling_count(&executor->handling.handled);
        stored_take_back(executor, entity);
        return;
    case FABRIC_NOT_INTERRUPTED:
        break;
    }
    result_put_defect(executor, entity, delivery,
                      "the handler says that it was interrupted, but was not");
}

static void put_reply(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                      const fabric_message_type_t *message, const void *reply)
{
    executor_handling_t *handling = &executor->handling;
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    handling_count(&handling->handled);
    if (!(delivery->flags & REQUEST_TELL)) {
        fabric_schema_fault_t fault = {""};
        size_t size = 0;
        if (fabric_schema_encode(message->reply, reply, handling->payload, LIMIT_PAYLOAD_BYTES_MAX,
                                 &fault, &size) != FABRIC_OK) {
            put_unencodable(executor, entity, delivery,
                            fault.text[0] ? fault.text
                                          : "the reply is larger than a payload may be");
            return;
        }
        result.payload = fabric_bytes(handling->payload, size);
    }
    result.status = STATUS_OK;
    if (delivery_is_transactional(delivery) &&
        !transaction_reply(executor, entity, delivery, &result, handling->context.told)) {
        return;
    }
    stored_put_handled(executor, entity, delivery, &result, handling->context.told);
}

/* ---- slow handlers ---- */

static void report_slow(executor_t *executor, const char *name, const char *what, uint64_t took_ms)
{
    executor_handling_t *handling = &executor->handling;
    char words[64];
    snprintf(words, sizeof words, "%s for %llu ms", what, (unsigned long long)took_ms);
    result_report(executor, handling->hooks.report_slow, &handling->slow_reported, name, words);
}

void handling_look_back(executor_t *executor, uint64_t request_id, uint64_t took_ms)
{
    executor_handling_t *handling = &executor->handling;
    char name[MESSAGE_NAME_SIZE];
    const type_entry_t *type;
    at_hand_last(&handling->at_hand, request_id, name, &type);
    if (type_entry_is_slow(type, took_ms)) {
        if (slow_note(&handling->slow, request_id)) {
            report_slow(executor, name, "ran", took_ms);
        }
        slow_forget(&handling->slow, request_id);
    }
}

bool handling_slow_step(executor_t *executor)
{
    const fabric_pending_t *pending =
        slow_take(&executor->handling.slow, executor->types, executor->now_ms);
    if (!pending) {
        return false;
    }
    const entity_t *entity = pending->entity;
    char name[MESSAGE_NAME_SIZE];
    message_name(entity_type(&executor->entities, entity)->name, entity_id(entity),
                 fabric_bytes_of(pending->message->tag), pending->request_id, name);
    report_slow(executor, name, "has been pending", executor->now_ms - pending->began_ms);
    return true;
}

/* ---- handling ---- */

static void run(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                const fabric_handler_t *handler, void *memory)
{
    fabric_context_t *context = &executor->handling.context;
    const fabric_message_type_t *message = handler->message;
    const void *request = message->request->field_count > 0 ? executor->handling.request : NULL;
    void *reply = NULL;
    if (message->reply->field_count > 0) {
        reply = executor->handling.reply;
        memset(reply, 0, message->reply->size);
    }
    fabric_result_t outcome = handler->handle(context, memory, request, reply);
    context_end_wish(context);
    CRASH_POINT(WORKER_HANDLED);
    fabric_pending_t *pending = context_take_pending(context);
    const char *fault = context_fault(context, outcome, pending);
    bool answered = false;
    if (delivery_is_transactional(delivery)) {
        bool later = pending || outcome == FABRIC_PENDING || outcome == FABRIC_WAITING;
        bool rolls_back = fault || outcome == FABRIC_FAILURE || outcome == FABRIC_DEFECT;
        const char *ended =
            transaction_returned(executor, entity, delivery, rolls_back, later, &answered);
        fault = ended ? ended : fault;
    }
    if (fault || answered) {
        if (pending) {
            pending_abandon(pending);
        }
        if (!answered) {
            result_put_defect(executor, entity, delivery, fault);
        }
        return;
    }
    entity->terminating |= context->terminate;
    switch (outcome) {
    case FABRIC_REPLY:
        put_reply(executor, entity, delivery, message, reply);
        return;
    case FABRIC_FAILURE:
        put_failure(executor, entity, delivery);
        return;
    case FABRIC_PENDING:
    case FABRIC_WAITING:
        pending = pending ? pending : context_wait(context);
        pending->told = context->told;
        context->told = NULL;
        entity_begin_pending(&executor->entities, entity, pending, executor->output.round,
                             type_entry_is_concurrent(context->type, handler));
        slow_watch(&executor->handling.slow, context->type, pending, executor->now_ms);
        return;
    case FABRIC_DEFECT:
        result_put_defect(executor, entity, delivery, context->text);
        return;
    case FABRIC_INTERRUPTED:
        end_interrupted(executor, entity, delivery);
        return;
    }
    result_put_defect(executor, entity, delivery,
                      "the handler returned a number that is no result");
}

/* The handler of a transactional message gets the connection of its transaction. */
static void lend_connection(executor_t *executor, const fabric_handler_t *handler,
                            const message_deliver_t *delivery)
{
    executor_handling_t *handling = &executor->handling;
    void *lent = handler->message->transactional ? handling->lent : NULL;
    handling->context.connection =
        delivery_is_transactional(delivery) ? transaction_connection(handling->transactions) : lent;
}

static void handle(executor_t *executor, entity_t *entity, ownership_t *ownership,
                   const message_deliver_t *delivery)
{
    if (!entity_enter(&executor->entities, entity, ownership, delivery->activation,
                      executor->now_ms)) {
        output_put_not_taken(&executor->output, ownership->source, delivery,
                             FABRIC_ERROR_ENTITY_DEFECT, executor->now_ms);
        return;
    }
    if (delivery_is_transactional(delivery) && !transaction_enter(executor, entity, delivery)) {
        return;
    }
    const type_entry_t *type = entity_type(&executor->entities, entity);
    const fabric_handler_t *handler = type_entry_handler(type, delivery->tag);
    if (!handler) {
        result_put_malformed(executor, entity, delivery,
                             "this worker's entity type has no such message");
        return;
    }
    fabric_schema_fault_t fault = {""};
    if (schema_decode_growing(handler->message->request, delivery->payload,
                              &executor->handling.elements, &fault,
                              executor->handling.request) != FABRIC_OK) {
        result_put_malformed(executor, entity, delivery, fault.text);
        return;
    }
    bool durable = delivery->flags & REQUEST_DURABLE;
    uint64_t position = message_deliver_position(delivery);
    bool again = delivery->delivery > 1; /* a home that says no positions may come with small ids */
    if (durable && again && entity_has_seen(entity, position)) {
        result_end_pending_calls(executor, entity);
        entity_end_seen(&executor->entities, entity);
        kept_results_clear(&ownership->kept); /* they do not say all that its entities have seen */
    }
    if (type->stores && !stored_is_here(type, entity)) {
        put_stateless(executor, entity, ownership, delivery);
        return;
    }
    at_hand_begin(&executor->handling.at_hand, type, delivery->id, handler, delivery->request_id);
    if (!entity_is_resident(entity)) {
        report_evicted(executor);
        if (!entity_start(&executor->entities, entity)) {
            put_not_built(executor, entity, ownership, delivery);
            return;
        }
        alive_tell(&executor->entities, entity);
    }
    if (durable) {
        entity_note_seen(entity, position);
    }
    context_begin(&executor->handling.context, entity, type, handler, delivery, executor->now_ms);
    lend_connection(executor, handler, delivery);
    run(executor, entity, delivery, handler, entity_memory(type, entity));
    context_end(&executor->handling.context);
    if (executor->handling.context.terminate && entity_is_resident(entity)) {
        entity_terminate(&executor->entities, entity);
    }
}

void handling_note_request(const executor_t *executor, uint64_t request_id)
{
    _Atomic uint64_t *at_hand = executor->handling.hooks.at_hand;
    if (at_hand) {
        atomic_store_explicit(at_hand, request_id, memory_order_relaxed);
    }
}

void handle_delivery(executor_t *executor, entity_t *entity, ownership_t *ownership,
                     const message_deliver_t *delivery)
{
    executor_handling_t *handling = &executor->handling;
    handling_note_request(executor, delivery->request_id);
    handle(executor, entity, ownership, delivery);
    if (delivery_is_transactional(delivery)) {
        transaction_leave(executor);
    }
    handling->ran = at_hand_end(&handling->at_hand);
    handling_note_request(executor, 0);
}

/* ---- results that come again, or later ---- */

bool handle_again(executor_t *executor, const entity_t *entity, ownership_t *ownership,
                  const message_deliver_t *delivery)
{
    if (!ownership->kept.by_request || !(delivery->flags & REQUEST_DURABLE) ||
        ownership->state == OWNERSHIP_ORPHANED ||
        (entity && entity_is_over(entity, ownership, delivery->activation)) ||
        type_table_find(executor->types, delivery->type)->unkept) {
        return false; /* what was not stored did not happen */
    }
    kept_result_t *kept =
        kept_results_take(&ownership->kept, delivery->request_id, executor->now_ms);
    if (!kept || (entity && entity_lacks(entity, message_deliver_position(delivery)))) {
        free(kept);
        return false;
    }
    message_result_t result = work_result(delivery, kept->status, kept->error);
    result.code = kept->code;
    result.payload = fabric_bytes(kept->payload, kept->payload_size);
    output_put_result(&executor->output, ownership->source, &result, true, executor->now_ms);
    handling_count(&executor->handling.answered);
    free(kept);
    return true;
}

/* The delivery of the message whose handler was pending, as far as its result wants it. */
static message_deliver_t delivery_of(const fabric_pending_t *pending)
{
    return (message_deliver_t){.activation = pending->activation,
                               .request_id = pending->request_id,
                               .flags = pending->flags,
                               .tag = fabric_bytes_of(pending->message->tag)};
}

static void put_completion(executor_t *executor, entity_t *entity, const fabric_pending_t *pending)
{
    message_result_t result = result_of(entity, pending->activation, pending->request_id);
    result.status = pending->status;
    result.error = pending->error;
    result.code = pending->code;
    result.payload = wire_writer_bytes(&pending->payload);
    bool stopped = pending->status == STATUS_NOT_TAKEN; /* the home takes the message back */
    if (!stopped && result_is_awaited(pending, entity->ownership)) {
        const message_deliver_t delivery = delivery_of(pending);
        bool replied = pending->status == STATUS_OK;
        stored_put_handled(executor, entity, &delivery, &result, replied ? pending->told : NULL);
    } else if (stopped) {
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
    } else {
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        result.home_epoch = pending->token.home_epoch;
        entity_note_early(entity, pending->flags, pending->request_id);
        if (pending->flags & REQUEST_DURABLE && !entity_type(&executor->entities, entity)->unkept) {
            kept_results_hold(&entity->ownership->kept, &result);
        }
    }
    if (pending->status == STATUS_DEFECT) {
        result_report_defect(executor, entity, fabric_bytes_of(pending->message->tag),
                             pending->request_id, result.payload);
        handling_count(&executor->handling.defects);
    }
}

void handle_end_terminating(executor_t *executor, entity_t *entity)
{
    if (entity_is_resident(entity)) {
        entity_terminate(&executor->entities, entity);
    } else if (entity->state == ENTITY_FAILED) {
        entity_clear(&executor->entities, entity);
    }
}

/* The same of an entity whose instances begin with what is stored. A result that nobody awaits is
 * not kept: what was not stored did not happen. */
static void complete_stored(executor_t *executor, entity_t *entity, fabric_pending_t *pending)
{
    const message_deliver_t delivery = delivery_of(pending);
    message_result_t result = result_of(entity, pending->activation, pending->request_id);
    result.status = pending->status;
    result.error = pending->error;
    result.code = pending->code;
    result.payload = wire_writer_bytes(&pending->payload);
    bool awaited = result_is_awaited(pending, entity->ownership);
    bool terminating = entity->terminating;
    entity->terminating = false; /* its state is to be looked at first */
    entity_end_pending(&executor->entities, entity, pending, executor->now_ms);
    entity->terminating = terminating;
    if (awaited && pending->status == STATUS_OK) {
        stored_put_handled(executor, entity, &delivery, &result, pending->told);
    } else if (awaited && reply_status_is_answer(pending->status)) {
        stored_put_failed(executor, entity, &delivery, &result);
    } else if (awaited && pending->status == STATUS_DEFECT) {
        result_put(executor, entity, delivery.flags, &result);
        result_report_defect(executor, entity, delivery.tag, delivery.request_id, result.payload);
        handling_count(&executor->handling.defects);
        stored_take_back(executor, entity);
    } else {
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        stored_take_back(executor, entity);
    }
    if (terminating) {
        handle_end_terminating(executor, entity);
    }
}

void handle_completion(executor_t *executor, fabric_pending_t **handle)
{
    fabric_pending_t *pending = *handle;
    entity_t *entity = pending->entity;
    if (entity) {
        result_end_watch(executor, pending);
        output_begin(&executor->output, pending->round);
        handling_count(&executor->handling.handled);
        if (entity_type(&executor->entities, entity)->stores) {
            complete_stored(executor, entity, pending);
        } else {
            put_completion(executor, entity, pending);
            entity_end_pending(&executor->entities, entity, pending, executor->now_ms);
        }
    }
    pending_destroy(handle);
}
