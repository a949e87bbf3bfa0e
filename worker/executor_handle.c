/* Handling one message: decode, run, encode, and what becomes of the entity. */
#include "worker/executor_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/crash_point.h"
#include "core/memory.h"
#include "worker/executor_persisted.h"

/* How many lines of each kind are reported in a second. */
#define REPORTED_PER_S 10u

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
}

void handling_free(executor_handling_t *handling)
{
    schema_memory_free(&handling->elements);
    free(handling->request);
    free(handling->reply);
    free(handling->payload);
    free(handling->state_buffer);
}

/* One thread counts; others may read. */
static void count(_Atomic uint64_t *counter)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

/* ---- results ---- */

/* The result of a message to an entity: the parts that name the message. */
static message_result_t result_of(const entity_t *entity, uint64_t activation, uint64_t request_id)
{
    const ownership_t *ownership = entity->ownership;
    return (message_result_t){
        .shard = ownership->key.shard,
        .home_epoch = ownership->key.token.home_epoch,
        .owner_sequence = ownership->key.token.owner_sequence,
        .activation = activation,
        .request_id = request_id,
    };
}

static bool is_persisted(const executor_t *executor, const entity_t *entity)
{
    return entity_type(&executor->entities, entity)->type->persisted;
}

/* `flags` are those of the message. */
static void put(executor_t *executor, const entity_t *entity, uint64_t flags,
                const message_result_t *result)
{
    bool kept = flags & REQUEST_DURABLE && !is_persisted(executor, entity);
    output_put_result(&executor->output, entity->ownership->source, result, kept, executor->now_ms);
}

static void report(const executor_t *executor, executor_report_fn *told, log_limiter_t *limiter,
                   const char *message, const char *words)
{
    uint32_t left_out = 0;
    if (!told || !log_limiter_pass(limiter, REPORTED_PER_S, executor->now_ms, &left_out)) {
        return;
    }
    char line[MESSAGE_NAME_SIZE + LIMIT_TEXT_BYTES_MAX + 64];
    char rest[48] = "";
    if (left_out > 0) {
        snprintf(rest, sizeof rest, " (%u more left out before)", (unsigned)left_out);
    }
    snprintf(line, sizeof line, "%s: %s%s", message, words, rest);
    told(executor->handling.hooks.report_context, line);
}

static void report_defect(executor_t *executor, const entity_t *entity, fabric_bytes_t tag,
                          uint64_t request_id, fabric_bytes_t text)
{
    executor_handling_t *handling = &executor->handling;
    char name[MESSAGE_NAME_SIZE];
    char words[LIMIT_TEXT_BYTES_MAX];
    message_name(entity_type(&executor->entities, entity)->name, entity_id(entity), tag, request_id,
                 name);
    bytes_escape(text, words, sizeof words);
    report(executor, handling->hooks.report_defect, &handling->defects_reported, name, words);
}

/* A message that cannot be decoded, or whose reply cannot be encoded, fails by itself: the entity
 * goes on. */
static void put_malformed(executor_t *executor, const entity_t *entity,
                          const message_deliver_t *delivery, const char *text)
{
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    result.status = STATUS_DEFECT;
    result.error = FABRIC_ERROR_MALFORMED_MESSAGE;
    result.payload = fabric_bytes_of(text);
    put(executor, entity, delivery->flags, &result);
}

void handling_end_watch(executor_t *executor, fabric_pending_t *pending)
{
    slow_unwatch(&executor->handling.slow, entity_type(&executor->entities, pending->entity),
                 pending);
    slow_forget(&executor->handling.slow, pending->request_id);
}

void handle_abandon(executor_t *executor, fabric_pending_t *pending)
{
    handling_end_watch(executor, pending);
    entity_abandon_pending(&executor->entities, pending->entity, pending);
}

bool handling_is_awaited(const fabric_pending_t *pending, const ownership_t *ownership)
{
    return ownership->state != OWNERSHIP_ORPHANED && ownership->state != OWNERSHIP_RESUMING &&
           token_equal(pending->token, ownership->key.token);
}

/* The entity's state is about to end while handlers are pending: their messages end with it, so
 * that the home delivers the durable ones again. */
static void end_pending_calls(executor_t *executor, entity_t *entity)
{
    while (entity->pending) {
        fabric_pending_t *pending = entity->pending;
        message_result_t result = result_of(entity, pending->activation, pending->request_id);
        result.status = STATUS_DEFECT;
        result.error = FABRIC_ERROR_ENTITY_DEFECT;
        result.payload = fabric_bytes_of("another handler's defect ended the entity's state");
        output_begin(&executor->output, pending->round);
        if (handling_is_awaited(pending, entity->ownership)) {
            put(executor, entity, pending->flags, &result);
        } else {
            output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        }
        handle_abandon(executor, pending);
    }
}

void handle_broken(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                   const char *text)
{
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    result.status = STATUS_DEFECT;
    result.error = FABRIC_ERROR_ENTITY_DEFECT;
    result.payload = fabric_bytes_of(text);
    put(executor, entity, delivery->flags, &result);
    report_defect(executor, entity, delivery->tag, delivery->request_id, result.payload);
    count(&executor->handling.defects);
    end_pending_calls(executor, entity);
    entity_fail(&executor->entities, entity, delivery->activation);
}

void handle_end_instance(executor_t *executor, entity_t *entity)
{
    end_pending_calls(executor, entity);
    entity_end_seen(&executor->entities, entity);
}

void handling_count_handled(executor_t *executor)
{
    count(&executor->handling.handled);
}

static void put_defect(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const char *text)
{
    count(&executor->handling.handled);
    handle_broken(executor, entity, delivery, text);
}

/* ---- persisted states ---- */

/* What the handler that has ended has done to the state of the entity, which is of a persisted
 * type. */
static persisted_change_t compare_state(executor_t *executor, entity_t *entity, size_t *size,
                                        fabric_schema_fault_t *fault)
{
    const type_entry_t *type = entity_type(&executor->entities, entity);
    executor_handling_t *handling = &executor->handling;
    if (!handling->state_buffer) {
        handling->state_buffer = (uint8_t *)memory_allocate(LIMIT_PAYLOAD_BYTES_MAX);
    }
    return persisted_compare(entity, type->type, entity_memory(type, entity),
                             handling->state_buffer, size, fault);
}

/* The message has no result, or one that no state goes with: what its handler has changed does not
 * count. */
static void take_state_back(executor_t *executor, entity_t *entity)
{
    size_t size;
    fabric_schema_fault_t fault;
    if (!is_persisted(executor, entity) || !entity_is_resident(entity) ||
        compare_state(executor, entity, &size, &fault) == PERSISTED_SAME) {
        return;
    }
    if (entity->terminating) { /* nor does it keep itself alive then */
        entity_terminate(&executor->entities, entity);
    } else {
        entity_go_back(&executor->entities, entity);
        alive_tell_absent(&executor->entities, entity);
    }
}

/* Puts the failure of a handler that has ended: the state is as it was before the message. */
static void put_failed(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const message_result_t *result)
{
    put(executor, entity, delivery->flags, result);
    take_state_back(executor, entity);
}

/* Puts the reply of a handler that has ended, with the state if it has changed that. */
static void put_handled(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                        const message_result_t *result)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    persisted_change_t change = is_persisted(executor, entity)
                                    ? compare_state(executor, entity, &size, &fault)
                                    : PERSISTED_SAME;
    if (change == PERSISTED_SAME) {
        put(executor, entity, delivery->flags, result);
    } else if (change == PERSISTED_FAULT) {
        char text[LIMIT_TEXT_BYTES_MAX];
        snprintf(text, sizeof text, "the state: %s",
                 fault.text[0] ? fault.text : "it is larger than a payload may be");
        handle_broken(executor, entity, delivery, text);
    } else if (!(delivery->flags & REQUEST_DURABLE)) {
        handle_broken(executor, entity, delivery,
                      "a volatile message has changed a persisted state");
    } else {
        persisted_accept(entity, entity_type(&executor->entities, entity)->type,
                         executor->handling.state_buffer, size);
        message_result_state_t with_state = persisted_result(entity, result);
        output_put_result_state(&executor->output, entity->ownership->source, &with_state,
                                executor->now_ms);
    }
}

void handle_state(executor_t *executor, entity_t *entity, ownership_t *ownership,
                  const message_deliver_t *state)
{
    output_put_abandoned(&executor->output, ownership->source, executor->now_ms);
    if (ownership->state == OWNERSHIP_CURRENT &&
        state->home_epoch == ownership->key.token.home_epoch &&
        entity_enter(&executor->entities, entity, ownership, state->activation, executor->now_ms)) {
        entity_go_back(&executor->entities, entity);
        entity_set_persisted(&executor->entities, entity, (uint32_t)state->attempt, state->payload);
    }
}

/* The entity's state is not here: neither this message is taken, nor those behind it of its
 * activation. The next one brings the state. */
static void put_stateless(executor_t *executor, entity_t *entity, const ownership_t *ownership,
                          const message_deliver_t *delivery)
{
    output_put_not_taken(&executor->output, ownership->source, delivery, FABRIC_ERROR_STATE_MISSING,
                         executor->now_ms);
    entity_fail(&executor->entities, entity, delivery->activation);
}

static const char *build_fault(const executor_t *executor)
{
    const char *text = executor->entities.instance.text;
    return text[0] ? text : "the entity's build function has failed";
}

void handling_report_not_woken(executor_t *executor, const entity_t *entity)
{
    report_defect(executor, entity, fabric_bytes_of("(kept alive)"), 0,
                  fabric_bytes_of(build_fault(executor)));
}

static void report_evicted(executor_t *executor)
{
    executor_handling_t *handling = &executor->handling;
    const entity_t *entity = entity_to_evict(&executor->entities);
    if (entity) {
        char name[MESSAGE_NAME_SIZE];
        message_name(entity_type(&executor->entities, entity)->name, entity_id(entity),
                     fabric_bytes_of("(kept alive)"), 0, name);
        count(&handling->evicted);
        report(executor, handling->hooks.report_evicted, &handling->evicted_reported, name,
               "has no instance now, to make room for a message");
    }
}

/* The instance could not be built: the home delivers the message again after a pause, and does not
 * count an attempt. */
static void put_not_built(executor_t *executor, entity_t *entity, const ownership_t *ownership,
                          const message_deliver_t *delivery)
{
    message_result_t result = work_result(delivery, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_BUILT);
    result.payload = fabric_bytes_of(build_fault(executor));
    output_put_result(&executor->output, ownership->source, &result, false, executor->now_ms);
    report_defect(executor, entity, delivery->tag, delivery->request_id, result.payload);
    entity_fail(&executor->entities, entity, delivery->activation);
}

/* The handler's answer could not be encoded. */
static void put_unencodable(executor_t *executor, entity_t *entity,
                            const message_deliver_t *delivery, const char *text)
{
    take_state_back(executor, entity);
    count(&executor->handling.defects);
    report_defect(executor, entity, delivery->tag, delivery->request_id, fabric_bytes_of(text));
    put_malformed(executor, entity, delivery, text);
}

static void put_failure(executor_t *executor, entity_t *entity, const message_deliver_t *delivery)
{
    const fabric_context_t *context = &executor->handling.context;
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    count(&executor->handling.handled);
    if (context->malformed) {
        put_unencodable(executor, entity, delivery, context->text);
        return;
    }
    result.status = context->typed ? STATUS_TYPED_FAILURE : STATUS_FAILURE;
    result.error = FABRIC_ERROR_ENTITY_FAILURE;
    result.code = context->code;
    result.payload = context->typed ? fabric_bytes(context->payload, context->size)
                                    : fabric_bytes_of(context->text);
    put_failed(executor, entity, delivery, &result);
}

static void put_interrupted(executor_t *executor, entity_t *entity,
                            const message_deliver_t *delivery)
{
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    result.status = STATUS_FAILURE;
    result.error = FABRIC_ERROR_CANCELLED;
    result.payload = fabric_bytes_of("the handler stopped, as its caller cancelled the call");
    put_failed(executor, entity, delivery, &result);
}

/* The handler has stopped because it was told to. */
static void end_interrupted(executor_t *executor, entity_t *entity,
                            const message_deliver_t *delivery)
{
    switch (fabric_context_interrupt(&executor->handling.context)) {
    case FABRIC_INTERRUPT_CANCEL:
        count(&executor->handling.handled);
        put_interrupted(executor, entity, delivery);
        return;
    case FABRIC_INTERRUPT_STOP: /* the home takes the message back */
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        count(&executor->handling.handled);
        take_state_back(executor, entity);
        return;
    case FABRIC_NOT_INTERRUPTED:
        break;
    }
    put_defect(executor, entity, delivery, "the handler says that it was interrupted, but was not");
}

static void put_reply(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                      const fabric_message_type_t *message, const void *reply)
{
    executor_handling_t *handling = &executor->handling;
    message_result_t result = result_of(entity, delivery->activation, delivery->request_id);
    count(&handling->handled);
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
    put_handled(executor, entity, delivery, &result);
}

/* ---- slow handlers ---- */

static void report_slow(executor_t *executor, const char *name, const char *what, uint64_t took_ms)
{
    executor_handling_t *handling = &executor->handling;
    char words[64];
    snprintf(words, sizeof words, "%s for %llu ms", what, (unsigned long long)took_ms);
    report(executor, handling->hooks.report_slow, &handling->slow_reported, name, words);
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
    if (fault) {
        if (pending) {
            pending_abandon(pending);
        }
        put_defect(executor, entity, delivery, fault);
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
        entity_begin_pending(&executor->entities, entity, pending, executor->output.round,
                             type_entry_is_concurrent(context->type, handler));
        slow_watch(&executor->handling.slow, context->type, pending, executor->now_ms);
        return;
    case FABRIC_DEFECT:
        put_defect(executor, entity, delivery, context->text);
        return;
    case FABRIC_INTERRUPTED:
        end_interrupted(executor, entity, delivery);
        return;
    }
    put_defect(executor, entity, delivery, "the handler returned a number that is no result");
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
    const type_entry_t *type = entity_type(&executor->entities, entity);
    const fabric_handler_t *handler = type_entry_handler(type, delivery->tag);
    if (!handler) {
        put_malformed(executor, entity, delivery, "this worker's entity type has no such message");
        return;
    }
    fabric_schema_fault_t fault = {""};
    if (schema_decode_growing(handler->message->request, delivery->payload,
                              &executor->handling.elements, &fault,
                              executor->handling.request) != FABRIC_OK) {
        put_malformed(executor, entity, delivery, fault.text);
        return;
    }
    bool durable = delivery->flags & REQUEST_DURABLE;
    uint64_t position = message_deliver_position(delivery);
    bool again = delivery->delivery > 1; /* a home that says no positions may come with small ids */
    if (durable && again && entity_has_seen(entity, position)) {
        end_pending_calls(executor, entity);
        entity_end_seen(&executor->entities, entity);
        kept_results_clear(&ownership->kept); /* they do not say all that its entities have seen */
    }
    if (type->type->persisted && !entity->persisted) {
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
        type_table_find(executor->types, delivery->type)->type->persisted) {
        return false; /* of a persisted type: what was not stored did not happen */
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
    count(&executor->handling.answered);
    free(kept);
    return true;
}

static void put_completion(executor_t *executor, const entity_t *entity,
                           const fabric_pending_t *pending)
{
    message_result_t result = result_of(entity, pending->activation, pending->request_id);
    result.status = pending->status;
    result.error = pending->error;
    result.code = pending->code;
    result.payload = wire_writer_bytes(&pending->payload);
    bool stopped = pending->status == STATUS_NOT_TAKEN; /* the home takes the message back */
    if (!stopped && handling_is_awaited(pending, entity->ownership)) {
        put(executor, entity, pending->flags, &result);
    } else if (stopped) {
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
    } else {
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        result.home_epoch = pending->token.home_epoch;
        if (pending->flags & REQUEST_DURABLE) {
            kept_results_hold(&entity->ownership->kept, &result);
        }
    }
    if (pending->status == STATUS_DEFECT) {
        report_defect(executor, entity, fabric_bytes_of(pending->message->tag), pending->request_id,
                      result.payload);
        count(&executor->handling.defects);
    }
}

/* The instance was to end with the handler that has ended: a defect has ended it before. */
static void end_terminating(executor_t *executor, entity_t *entity)
{
    if (entity_is_resident(entity)) {
        entity_terminate(&executor->entities, entity);
    } else if (entity->state == ENTITY_FAILED) {
        entity_clear(&executor->entities, entity);
    }
}

/* The same of an entity of a persisted type. A result that nobody awaits is not kept: what was not
 * stored did not happen. */
static void complete_persisted(executor_t *executor, entity_t *entity, fabric_pending_t *pending)
{
    const message_deliver_t delivery = {.activation = pending->activation,
                                        .request_id = pending->request_id,
                                        .flags = pending->flags,
                                        .tag = fabric_bytes_of(pending->message->tag)};
    message_result_t result = result_of(entity, pending->activation, pending->request_id);
    result.status = pending->status;
    result.error = pending->error;
    result.code = pending->code;
    result.payload = wire_writer_bytes(&pending->payload);
    bool awaited = handling_is_awaited(pending, entity->ownership);
    bool terminating = entity->terminating;
    entity->terminating = false; /* its state is to be looked at first */
    entity_end_pending(&executor->entities, entity, pending, executor->now_ms);
    entity->terminating = terminating;
    if (awaited && pending->status == STATUS_OK) {
        put_handled(executor, entity, &delivery, &result);
    } else if (awaited && reply_status_is_answer(pending->status)) {
        put_failed(executor, entity, &delivery, &result);
    } else if (awaited && pending->status == STATUS_DEFECT) {
        put(executor, entity, delivery.flags, &result);
        report_defect(executor, entity, delivery.tag, delivery.request_id, result.payload);
        count(&executor->handling.defects);
        take_state_back(executor, entity);
    } else {
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        take_state_back(executor, entity);
    }
    if (terminating) {
        end_terminating(executor, entity);
    }
}

void handle_completion(executor_t *executor, fabric_pending_t **handle)
{
    fabric_pending_t *pending = *handle;
    entity_t *entity = pending->entity;
    if (entity) {
        handling_end_watch(executor, pending);
        output_begin(&executor->output, pending->round);
        count(&executor->handling.handled);
        if (is_persisted(executor, entity)) {
            complete_persisted(executor, entity, pending);
        } else {
            put_completion(executor, entity, pending);
            entity_end_pending(&executor->entities, entity, pending, executor->now_ms);
        }
    }
    pending_destroy(handle);
}
