/* Outcomes of messages: see outcome.h. */
#include "broker/router/outcome.h"

#include <stdio.h>
#include <utlist.h>

#include "broker/router/answers.h"
#include "broker/router/messages.h"
#include "broker/router/router_state.h"

/* ---- results ---- */

/* The message keeps its result, which waits in the queue. */
static void keep_result(router_t *router, message_t *message, const message_result_t *result)
{
    bool tell = message->stored.flags & REQUEST_TELL;
    store_reply_t reply = {.id = message->stored.id,
                           .shard = message->stored.shard,
                           .status = (uint8_t)result->status,
                           .error = (uint32_t)result->error,
                           .code = result->code,
                           .payload = result->payload};
    if (tell && result->status == STATUS_OK) {
        reply.payload = (fabric_bytes_t){NULL, 0};
    }
    if (message->stored.key_hash) {
        reply.kept_until_ms = router_key_until_ms(router, message->stored.type);
    }
    message_add_reply(router, message, &reply);
    entity_keep_result(message);
}

void message_finish(router_t *router, message_t *message, const message_result_t *result)
{
    keep_result(router, message, result);
    if (message->stored.flags & REQUEST_DURABLE) {
        batch_add_end(router, message);
    } else {
        entity_flush(router, message->entity);
    }
}

void message_finish_as_cancelled(router_t *router, message_t *message)
{
    static const char by_caller[] = "the caller cancelled the call";
    static const char by_operator[] = "an operator cancelled the message";
    const char *text = message->by_operator ? by_operator : by_caller;
    if (!(message->stored.flags & REQUEST_DURABLE)) {
        router->counters.cancelled++;
        message_reject(router, message, FABRIC_ERROR_CANCELLED, 0, text);
        message_forget(router, message);
        return;
    }
    message->cancelled = true;
    message_result_t result = {.status = STATUS_FAILURE,
                               .error = FABRIC_ERROR_CANCELLED,
                               .payload = fabric_bytes_of(text)};
    message_finish(router, message, &result);
}

static void volatile_end(router_t *router, message_t *message)
{
    router->counters.volatile_handled++;
    router->counters.cancelled += message->reply.error == FABRIC_ERROR_CANCELLED;
    if (!(message->stored.flags & REQUEST_TELL) || message->stored.flags & REQUEST_WANT_HANDLED) {
        message_send_reply(router, message);
    }
    message_forget(router, message);
}

void entity_flush(router_t *router, entity_t *entity)
{
    message_t *next = entity->queue;
    while (next && entity->volatile_results > 0) {
        message_t *message = next;
        next = message->next;
        if (message->state != MESSAGE_RESULT) {
            continue;
        }
        if (message->stored.flags & REQUEST_DURABLE) {
            return; /* not durable, or the message would not be here */
        }
        volatile_end(router, message);
    }
}

/* ---- dead letters ---- */

void message_finish_as_dead_letter(router_t *router, message_t *message,
                                   const message_result_t *result, fabric_error_t cause)
{
    keep_result(router, message, result);
    batch_add_dead(&lane_of(router, message->stored.shard)->batches, message, cause);
}

void message_exhausted(router_t *router, message_t *message, const message_result_t *last)
{
    char text[LIMIT_TEXT_BYTES_MAX + 1]; /* cut at the limit */
    int size = snprintf(text, sizeof text, "given up after %u attempts: %.*s", message->attempts,
                        (int)last->payload.size, (const char *)last->payload.data);
    message_result_t result = *last;
    result.error = FABRIC_ERROR_DEAD_LETTER;
    result.payload =
        fabric_bytes(text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
    message_finish_as_dead_letter(router, message, &result, fabric_error_from_number(last->error));
}

static void end_after_crashes(router_t *router, message_t *message)
{
    char text[LIMIT_CRASH_TEXT_BYTES_MAX + 100];
    const char *last = message->crash_text; /* NULL: an earlier home has counted the last crash */
    int size = snprintf(
        text, sizeof text, "the worker crashed %u time%s while it handled the message%s%s",
        message->crashes, message->crashes == 1 ? "" : "s", last ? ": " : "", last ? last : "");
    message_result_t result = {.status = STATUS_DEFECT,
                               .error = FABRIC_ERROR_DEAD_LETTER,
                               .payload = fabric_bytes(text, (size_t)size)};
    message_finish_as_dead_letter(router, message, &result, FABRIC_ERROR_RUNNER_UNAVAILABLE);
}

void message_give_up(router_t *router, message_t *message)
{
    static const char text[] = "an earlier broker knows how the last one ended";
    bool only_crashes = message->crashes > 0 && message->attempts == 0;
    if (message->crashes >= router->config.crashes_max || only_crashes) {
        end_after_crashes(router, message);
        return;
    }
    message_result_t last = {.status = STATUS_DEFECT,
                             .error = FABRIC_ERROR_ENTITY_DEFECT,
                             .payload = fabric_bytes(text, sizeof text - 1)};
    message_exhausted(router, message, &last);
}

/* ---- volatile messages that are not handled ---- */

void message_lose(router_t *router, message_t *message, const char *text)
{
    message_reject(router, message, FABRIC_ERROR_OUTCOME_UNKNOWN, 0, text);
    message_forget(router, message);
}

void entity_refuse_volatile(router_t *router, entity_t *entity, fabric_error_t error,
                            const char *text)
{
    message_t *message, *next;
    DL_FOREACH_SAFE(entity->queue, message, next)
    {
        if (entity->queued_volatile == 0) {
            return;
        }
        if (message->state != MESSAGE_QUEUED || message->stored.flags & REQUEST_DURABLE) {
            continue;
        }
        message_reject(router, message, error, NOT_TAKEN_DELAY_MS, text);
        message_forget(router, message);
    }
}
