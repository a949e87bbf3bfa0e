/* What a handler asks and tells other entities: see <fabric/ask.h>. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/context_state.h"
#include "worker/executor_events.h"

#define TIMEOUT_MS   30000u
#define ASK_KEY_SIZE (64u + LIMIT_NAME_BYTES_MAX)

/* For how long an ask of the message that takes `timeout_ms` may take. A durable message is handled
 * although its caller has given up, and asks as if it had none. */
static uint32_t bounded(const fabric_context_t *context, uint32_t timeout_ms)
{
    uint64_t left_ms = fabric_context_left_ms(context);
    timeout_ms = timeout_ms > 0 ? timeout_ms : TIMEOUT_MS;
    if (left_ms == 0) {
        return fabric_context_is_durable(context) ? timeout_ms : 1;
    }
    return left_ms < timeout_ms ? (uint32_t)left_ms : timeout_ms;
}

/* The message goes on with the trace of the one at hand. */
static void set_trace(const fabric_context_t *context, fabric_call_t *call,
                      char text[LIMIT_TRACEPARENT_BYTES_MAX + 1])
{
    fabric_bytes_t traceparent = context->delivery->traceparent;
    if (traceparent.size > 0 && traceparent.size <= LIMIT_TRACEPARENT_BYTES_MAX) {
        memcpy(text, traceparent.data, traceparent.size);
        text[traceparent.size] = '\0';
        call->traceparent = text;
    }
}

/* The key of an ask that another attempt of the message makes again. */
static void set_key(const fabric_context_t *context, const fabric_ask_t *ask, fabric_call_t *call,
                    char text[ASK_KEY_SIZE])
{
    context->asks->count++;
    if (ask->message->durable && fabric_context_is_durable(context)) {
        char number[24];
        snprintf(number, sizeof number, "%" PRIu64, context->asks->count);
        snprintf(text, ASK_KEY_SIZE, "fabric ask %016" PRIx64 " %s %s",
                 context->delivery->request_id, ask->name ? "name" : "number",
                 ask->name ? ask->name : number);
        call->primary_key = fabric_bytes_of(text);
        call->cancel_at_deadline = false; /* the next attempt would get that as its answer */
    }
}

/* Nothing leaves before the message at hand is durable, and one with early delivery may not be. */
static bool may_be_unstored(const fabric_context_t *context)
{
    return context->handler->message->early_delivery;
}

fabric_result_t fabric_ask(fabric_context_t *context, const fabric_ask_t *ask)
{
    char traceparent[LIMIT_TRACEPARENT_BYTES_MAX + 1];
    char key[ASK_KEY_SIZE];
    if (!context->sender || !ask->then || !ask->message || may_be_unstored(context) ||
        (ask->name && strlen(ask->name) > LIMIT_NAME_BYTES_MAX) ||
        (context->asks && context->asks->open_count >= 2 * FABRIC_ASKS_MAX)) {
        context->astray = true;
        return FABRIC_WAITING;
    }
    if (!context->asks) {
        context->asks = asks_new(context->sender, context->handler);
    }
    fabric_call_t call = sender_call_of_ask(ask);
    call.timeout_ms = bounded(context, ask->timeout_ms);
    set_trace(context, &call, traceparent);
    set_key(context, ask, &call, key);
    asks_start(context->asks, context->answers, ask, &call);
    return FABRIC_WAITING;
}

/* How many bytes the message may tell: as many as leave room for its reply and a new state. */
static size_t told_bytes_max(const fabric_context_t *context)
{
    const entity_events_t *events = context->entity->events;
    size_t taken = LIMIT_PAYLOAD_BYTES_MAX;
    taken += context->type->type->persisted ? LIMIT_PAYLOAD_BYTES_MAX : 0;
    taken += events ? events->list.size : 0;
    return taken < EVENTS_RECORD_BYTES ? EVENTS_RECORD_BYTES - taken : 0;
}

/* The message goes with the reply, and its home sends it. */
static fabric_error_t tell_with_reply(fabric_context_t *context, const fabric_tell_t *tell)
{
    if (!context->type->type->tells) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_error_t error = told_add(&context->told, tell, told_bytes_max(context));
    if (error == FABRIC_OK && context->sender && context->sender->note) {
        const fabric_call_t call = sender_call_of_tell(tell);
        context->sender->note(context->sender, &call);
    }
    return error;
}

fabric_error_t fabric_tell(fabric_context_t *context, const fabric_tell_t *tell)
{
    char traceparent[LIMIT_TRACEPARENT_BYTES_MAX + 1];
    if (!tell->message || may_be_unstored(context)) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    if (tell->message->durable && fabric_context_is_durable(context)) {
        return tell_with_reply(context, tell);
    }
    if (!context->sender) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    fabric_call_t call = sender_call_of_tell(tell);
    set_trace(context, &call, traceparent);
    return context->sender->tell(context->sender, &call);
}

/* ---- waiting ---- */

const char *context_fault(const fabric_context_t *context, fabric_result_t result,
                          const fabric_pending_t *pending)
{
    if (context->surplus) {
        return "fabric_later() was called more than once for a message";
    }
    if (context->astray) {
        return "fabric_ask() needs a message type, a function for the answer and a name of at most "
               "255 bytes, leaves at most 256 asks open, and is not for messages with early "
               "delivery";
    }
    if (context->unappended[0]) {
        return context->unappended;
    }
    if (pending && (context->asks || context->waited)) {
        return "fabric_later() is not for handlers that have asked";
    }
    if (result == FABRIC_WAITING) {
        return pending || !context->asks || context->asks->open_count == 0
                   ? "FABRIC_WAITING needs an ask that is open"
                   : NULL;
    }
    return (result == FABRIC_PENDING) != (pending != NULL)
               ? "fabric_later() and FABRIC_PENDING must come together"
               : NULL;
}

fabric_pending_t *context_wait(fabric_context_t *context)
{
    asks_t *asks = context->asks;
    fabric_pending_t *pending = pending_new(context->completions, context->entity,
                                            context->handler->message, context->delivery);
    asks_keep(asks, context->delivery, context->blocks);
    asks->pending = pending;
    pending->asks = asks;
    context->asks = NULL;
    context->blocks = NULL;
    return pending;
}

void context_resume(fabric_context_t *context, fabric_pending_t *waited, const type_entry_t *type,
                    uint64_t now_ms)
{
    asks_t *asks = waited->asks;
    message_deliver_t *delivery = asks->delivery;
    /* A new home may have delivered the message again. */
    delivery->home_epoch = waited->token.home_epoch;
    delivery->owner_sequence = waited->token.owner_sequence;
    delivery->activation = waited->activation;
    context_begin(context, waited->entity, type, asks->handler, delivery, now_ms);
    context->asks = asks;
    context->waited = waited;
    context->told = waited->told;
    waited->told = NULL;
    context->blocks = asks->blocks;
    asks->blocks = NULL;
}
