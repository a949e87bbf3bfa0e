/* Handlers that wait for answers go on: see <fabric/ask.h>. */
#include <stdlib.h>
#include <string.h>

#include "core/crash_point.h"
#include "core/memory.h"
#include "core/outcome.h"
#include "worker/executor_result.h"

void executor_asks_init(executor_asks_t *asks, fabric_sender_t *sender, void (*wake)(void *context),
                        void *wake_context)
{
    if (sender) {
        asks->answers = answers_new(wake, wake_context);
    }
}

void executor_asks_free(executor_asks_t *asks)
{
    answers_close(&asks->answers);
    schema_memory_free(&asks->elements);
}

/* ---- the answer ---- */

/* What the values of the answer are; NULL: it has none. */
static const fabric_schema_t *answer_schema(const ask_t *ask)
{
    const fabric_schema_t *schema = ask->outcome.failure ? ask->outcome.failure->schema
                                    : ask->outcome.error ? NULL
                                                         : ask->message->reply;
    return schema && schema->field_count > 0 ? schema : NULL;
}

/* Decodes the answer into memory that is the caller's to free; NULL: it has no values. */
static void *decode(executor_asks_t *asks, ask_t *ask)
{
    const fabric_schema_t *schema = answer_schema(ask);
    fabric_schema_fault_t fault = {""};
    if (!schema) {
        return NULL;
    }
    void *value = memory_allocate_zeroed(1, schema->size);
    if (schema_decode_growing(schema, fabric_bytes(ask->payload, ask->size), &asks->elements,
                              &fault, value) != FABRIC_OK) {
        free(value);
        ask->outcome.error = FABRIC_ERROR_MALFORMED_MESSAGE;
        ask->outcome.failure = NULL;
        outcome_set_text(&ask->outcome, fabric_bytes_of(fault.text));
        return NULL;
    }
    return value;
}

/* ---- what follows from a result ---- */

/* The message ends with a defect of the entity. */
static void end_broken(executor_t *executor, fabric_pending_t *pending, const char *text)
{
    entity_t *entity = pending->entity;
    const message_deliver_t delivery = {.activation = pending->activation,
                                        .request_id = pending->request_id,
                                        .flags = pending->flags,
                                        .tag = fabric_bytes_of(pending->message->tag)};
    bool awaited = result_is_awaited(pending, entity->ownership);
    bool terminating = entity->terminating;
    entity->terminating = false;
    result_end_watch(executor, pending);
    output_begin(&executor->output, pending->round);
    entity_end_pending(&executor->entities, entity, pending, executor->now_ms);
    handling_count(&executor->handling.handled);
    if (awaited) {
        result_put_broken(executor, entity, &delivery, text);
    } else { /* its home is gone, and the next one delivers the message again */
        output_put_abandoned(&executor->output, entity->ownership->source, executor->now_ms);
        result_end_pending_calls(executor, entity);
        entity_end_seen(&executor->entities, entity);
    }
    if (terminating) {
        handle_end_terminating(executor, entity);
    }
    pending_destroy(&pending);
}

static void set_failure(fabric_pending_t *pending, const fabric_context_t *context)
{
    if (context->malformed) {
        pending_set_outcome(pending, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE, 0,
                            fabric_bytes_of(context->text));
    } else if (context->typed) {
        pending_set_outcome(pending, STATUS_TYPED_FAILURE, FABRIC_ERROR_ENTITY_FAILURE,
                            context->code, fabric_bytes(context->payload, context->size));
    } else {
        pending_set_outcome(pending, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE, context->code,
                            fabric_bytes_of(context->text));
    }
}

/* The context has been ended. */
static void settle(executor_t *executor, fabric_pending_t *pending, fabric_result_t result,
                   const char *fault, const void *reply)
{
    const fabric_context_t *context = &executor->handling.context;
    if (fault) {
        end_broken(executor, pending, fault);
        return;
    }
    switch (result) {
    case FABRIC_WAITING:
        return;
    case FABRIC_REPLY:
        pending_set_reply(pending, reply);
        break;
    case FABRIC_FAILURE:
        set_failure(pending, context);
        break;
    case FABRIC_INTERRUPTED:
        if (fabric_context_interrupt(context) != FABRIC_NOT_INTERRUPTED) {
            pending_interrupt(pending, fabric_context_interrupt(context)); /* its order may come */
        }
        pending_set_interrupted(pending);
        break;
    case FABRIC_DEFECT:
        end_broken(executor, pending, context->text);
        return;
    case FABRIC_PENDING:
        break;
    }
    handle_completion(executor, &pending);
}

/* ---- going on ---- */

/* The request was decoded before, when its handler began. */
static const void *request_of(executor_t *executor, const asks_t *asks)
{
    const fabric_schema_t *schema = asks->handler->message->request;
    fabric_schema_fault_t fault = {""};
    if (schema->field_count == 0) {
        return NULL;
    }
    (void)!schema_decode_growing(schema, asks->delivery->payload, &executor->handling.elements,
                                 &fault, executor->handling.request);
    return executor->handling.request;
}

static void *empty_reply(executor_t *executor, const fabric_message_type_t *message)
{
    if (message->reply->field_count == 0) {
        return NULL;
    }
    memset(executor->handling.reply, 0, message->reply->size);
    return executor->handling.reply;
}

static void go_on(executor_t *executor, ask_t *ask, fabric_pending_t *pending)
{
    executor_handling_t *handling = &executor->handling;
    fabric_context_t *context = &handling->context;
    asks_t *asks = pending->asks;
    entity_t *entity = pending->entity;
    const type_entry_t *type = entity_type(&executor->entities, entity);
    void *value = decode(&executor->asks, ask);
    const void *request = request_of(executor, asks);
    void *reply = empty_reply(executor, pending->message);
    const fabric_answer_t answer = {.outcome = &ask->outcome,
                                    .reply = ask->outcome.failure ? NULL : value,
                                    .failure = ask->outcome.failure ? value : NULL,
                                    .argument = ask->argument};
    asks_answered(asks, ask);
    context_resume(context, pending, type, executor->now_ms);
    handling_note_request(executor, pending->request_id);
    at_hand_begin(&handling->at_hand, type, entity_id(entity), asks->handler, pending->request_id);
    fabric_result_t result =
        ask->then(context, entity_memory(type, entity), request, &answer, reply);
    context_end_wish(context);
    CRASH_POINT(WORKER_HANDLED);
    fabric_pending_t *later = context_take_pending(context);
    const char *fault = (int)result < FABRIC_REPLY || result > FABRIC_WAITING
                            ? "the function returned a number that is no result"
                            : context_fault(context, result, later);
    if (later) {
        pending_abandon(later);
    }
    entity->terminating |= context->terminate;
    asks->blocks = context->blocks; /* they stay until the message has ended */
    context->blocks = NULL;
    context->asks = NULL;
    pending->told = context->told;
    context->told = NULL;
    settle(executor, pending, result, fault, reply);
    handling->ran = at_hand_end(&handling->at_hand);
    handling_note_request(executor, 0);
    free(value);
}

bool executor_asks_step(executor_t *executor)
{
    ask_t *ask = executor->asks.answers ? answers_take(executor->asks.answers) : NULL;
    if (!ask) {
        return false;
    }
    if (ask->asks && ask->asks->pending) {
        go_on(executor, ask, ask->asks->pending);
    } else if (ask->asks) {
        asks_answered(ask->asks, ask);
    }
    ask_destroy(&ask);
    return true;
}
