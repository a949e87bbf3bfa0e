/* Results of workers: checked against the token, then committed (durable) or answered (volatile). */
#include "broker/router/result.h"

#include <stdio.h>

#include "broker/router/admission.h"
#include "broker/router/protocol_violation.h"
#include "broker/router/router_state.h"
#include "broker/router/suspects.h"
#include "broker/router/unserved.h"

/* The message that a result is about, if the result is one that we wait for. */
static message_t *find_message(router_t *router, const runner_t *runner,
                               const message_result_t *result)
{
    request_id_t id = {result->request_id};
    message_t *message = NULL;
    HASH_FIND(by_id, router->messages_by_id, &id, sizeof id, message);
    if (!message || message->state != MESSAGE_IN_FLIGHT ||
        message->activation != result->activation) {
        return NULL;
    }
    const shard_t *shard = message->entity->shard;
    token_t token = {result->home_epoch, result->owner_sequence};
    bool owner = shard->owner == runner && result->shard == shard->id.value &&
                 token_equal(token, shard->token);
    return owner ? message : NULL;
}

static bool is_final(const message_result_t *result)
{
    return result->status == STATUS_OK || result->status == STATUS_FAILURE ||
           result->error == FABRIC_ERROR_MALFORMED_MESSAGE;
}

/* The result waits in the queue until everything before it is durable. */
static void finish(router_t *router, message_t *message, const message_result_t *result)
{
    entity_t *entity = message->entity;
    bool durable = message->stored.flags & REQUEST_DURABLE;
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
    message_add_reply(router, message, &reply);
    if (message->state == MESSAGE_IN_FLIGHT) {
        entity->in_flight--;
    }
    message_set_state(message, MESSAGE_RESULT);
    if (durable) {
        batch_add_reply(router, message);
    } else {
        entity->volatile_results++;
        entity_flush(router, entity);
    }
}

/* ---- results that are no answers ---- */

static void dead_letter(router_t *router, message_t *message, const message_result_t *result)
{
    char text[LIMIT_TEXT_BYTES_MAX + 1]; /* cut at the limit */
    int size =
        snprintf(text, sizeof text, "given up after %u attempts: %.*s", message->tally.attempts,
                 (int)result->payload.size, (const char *)result->payload.data);
    message_result_t last = *result;
    last.error = FABRIC_ERROR_DEAD_LETTER;
    last.payload = fabric_bytes(text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
    router->counters.dead_letters++;
    finish(router, message, &last);
    batch_add_dead_letter(router, message, fabric_error_from_number(result->error));
}

void message_give_up(router_t *router, message_t *message)
{
    char text[128];
    int size = message->tally.suspicions > 0
                   ? snprintf(text, sizeof text, "%u worker processes ended while they had it",
                              message->tally.suspicions)
                   : snprintf(text, sizeof text, "the last one did not come to an end");
    message_result_t result = {.status = STATUS_DEFECT,
                               .error = FABRIC_ERROR_RUNNER_UNAVAILABLE,
                               .payload = fabric_bytes(text, (size_t)size)};
    entity_skip(message->entity);
    dead_letter(router, message, &result);
}

/* After a defect everything that was sent after it comes back, and then goes out again under a new activation. */
static void restart(entity_t *entity)
{
    entity->activation = ++entity->shard->activations;
    entity->draining = entity->in_flight > 0;
}

/* The message is delivered again, and so is whatever was sent after it. */
static void come_back(router_t *router, message_t *message)
{
    entity_t *entity = message->entity;
    bool over = message->activation != entity->activation;
    entity_requeue(router, message);
    suspect_not_taken(router, message);
    if (!over) {
        restart(entity);
    }
}

/* Handled by nobody, for want of a type: the wait for its registration is over, and a runner is there that does not have it. */
static bool type_never_came(router_t *router, const message_t *message,
                            const message_result_t *result)
{
    return result->error == FABRIC_ERROR_RUNNER_NOT_REGISTERED &&
           message->stored.flags & REQUEST_DURABLE && !type_find(router, message->stored.type) &&
           router->now_ms - router->started_ms >= router->config.registration_ms;
}

static void give_up_unknown_type(router_t *router, message_t *message)
{
    static const char text[] = "no worker has registered its entity type";
    message_result_t last = {.status = STATUS_DEFECT,
                             .error = FABRIC_ERROR_DEAD_LETTER,
                             .payload = fabric_bytes(text, sizeof text - 1)};
    router->counters.dead_letters++;
    finish(router, message, &last);
    batch_add_dead_letter(router, message, FABRIC_ERROR_DEAD_LETTER);
}

static void defect(router_t *router, message_t *message, const message_result_t *result)
{
    entity_t *entity = message->entity;
    if (!(message->stored.flags & REQUEST_DURABLE)) {
        finish(router, message, result);
        restart(entity);
        return;
    }
    attempt_use_up(router, message);
    if (message->tally.attempts >= router->config.attempts_max) {
        dead_letter(router, message, result);
        restart(entity);
        return;
    }
    entity_requeue(router, message);
    restart(entity);
    attempt_back_off(router, message);
}

static void reject_volatile(router_t *router, message_t *message, const message_result_t *result)
{
    char text[UNSERVED_TEXT_SIZE] = "";
    fabric_error_t error = (fabric_error_t)result->error;
    if (error == FABRIC_ERROR_RUNNER_NOT_REGISTERED) {
        error = unserved_note(router, message->entity, text);
    } else if (error != FABRIC_ERROR_MAILBOX_FULL && error != FABRIC_ERROR_TIMEOUT) {
        error = FABRIC_ERROR_RUNNER_UNAVAILABLE;
        strcpy(text, "the runner did not take the message");
    }
    message_reject(router, message, error, NOT_TAKEN_DELAY_MS, text);
    message->entity->in_flight--;
    message_forget(router, message);
}

static void not_taken(router_t *router, message_t *message, const message_result_t *result)
{
    entity_t *entity = message->entity;
    bool handing_over = result->error == FABRIC_ERROR_ENTITY_NOT_ASSIGNED;
    bool owned = entity->shard->state == SHARD_OWNED;
    bool drained = result->error == FABRIC_ERROR_ENTITY_DEFECT;
    message->deliveries--; /* it certainly did not start */
    if (type_never_came(router, message, result)) {
        give_up_unknown_type(router, message);
        return;
    }
    if (!handing_over && !drained && !(message->stored.flags & REQUEST_DURABLE)) {
        reject_volatile(router, message, result);
        return;
    }
    bool first = message->activation == entity->activation; /* of those that were sent at once */
    come_back(router, message);
    if (owned && first) {
        entity_refused(router, entity, (fabric_error_t)result->error);
    }
}

/* ---- results that must not count ---- */

/* After a defect, or after a message that came back, results of the same activation rest on a state that never was; and so may one
 * that comes while an earlier message of its entity has no result yet. */
static const char *order_fault(const message_t *message)
{
    const entity_t *entity = message->entity;
    if (message->activation != entity->activation) {
        return "the worker's result belongs to an activation that is over";
    }
    bool first = entity->queue == message || message->prev->state == MESSAGE_RESULT;
    return first ? NULL : "the worker's result came before that of an earlier message";
}

void message_lose(router_t *router, message_t *message, const char *text)
{
    message_reject(router, message, FABRIC_ERROR_OUTCOME_UNKNOWN, 0, text);
    message->entity->in_flight--;
    message_forget(router, message);
}

static void refuse(router_t *router, const runner_t *runner, message_t *message, const char *fault)
{
    entity_t *entity = message->entity;
    router->counters.results_refused++;
    violation(router, runner->peer, FABRIC_ERROR_MALFORMED_MESSAGE, fault);
    if (message->stored.flags & REQUEST_DURABLE) {
        come_back(router, message);
    } else {
        if (message->activation == entity->activation) {
            restart(entity);
        }
        message_lose(router, message, fault);
    }
    entity_refused(router, entity, FABRIC_ERROR_MALFORMED_MESSAGE);
}

/* A durable message that no handler could make sense of has its answer, and is kept for people too. */
static bool is_unhandled(const message_t *message, const message_result_t *result)
{
    return message->stored.flags & REQUEST_DURABLE && result->status == STATUS_DEFECT &&
           result->error == FABRIC_ERROR_MALFORMED_MESSAGE;
}

/* ---- what a result says ---- */

/* A durable reply must fit its schema, as far as the type is known here; a volatile one is left to the client. */
static bool reply_fits(router_t *router, const message_t *message, fabric_bytes_t reply,
                       fabric_schema_fault_t *fault)
{
    if ((message->stored.flags & (REQUEST_DURABLE | REQUEST_TELL)) != REQUEST_DURABLE) {
        return true;
    }
    const known_type_t *type = type_find(router, message->stored.type);
    const message_description_t *known =
        type ? type_description_message(type->description, message->stored.tag) : NULL;
    return !known || fabric_schema_check(known->reply, reply, fault) == FABRIC_OK;
}

/* Why nothing of the result may reach the caller; NULL: it may. */
static const char *content_fault(router_t *router, const message_t *message,
                                 const message_result_t *result, fabric_schema_fault_t *fault)
{
    bool ok = result->status == STATUS_OK;
    if (result->status > STATUS_NOT_TAKEN) {
        return "its status does not exist";
    }
    if (ok && (result->error != 0 || result->code != 0)) {
        return "it is a reply with an error";
    }
    if (result->status == STATUS_FAILURE && result->error != FABRIC_ERROR_ENTITY_FAILURE) {
        return "it is a failure with another error";
    }
    if (result->payload.size > LIMIT_PAYLOAD_BYTES_MAX) {
        return "it is over its limits";
    }
    return ok && !reply_fits(router, message, result->payload, fault) ? fault->text : NULL;
}

typedef struct fault_text {
    char text[sizeof(fabric_schema_fault_t) + 32];
} fault_text_t;

/* Leaves in the result only what its status allows. One that breaks the rules becomes a defect with MalformedMessage. */
static void result_check(router_t *router, const runner_t *runner, const message_t *message,
                         message_result_t *result, fault_text_t *text)
{
    fabric_schema_fault_t schema_fault = {""};
    const char *fault = content_fault(router, message, result, &schema_fault);
    if (fault) {
        snprintf(text->text, sizeof text->text, "the worker's result: %s", fault);
        violation(router, runner->peer, FABRIC_ERROR_MALFORMED_MESSAGE, text->text);
        result->status = STATUS_DEFECT;
        result->error = FABRIC_ERROR_MALFORMED_MESSAGE;
        result->payload = fabric_bytes_of(text->text);
    }
    if (result->status == STATUS_DEFECT) {
        bool malformed = result->error == FABRIC_ERROR_MALFORMED_MESSAGE;
        result->error = malformed ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_ERROR_ENTITY_DEFECT;
        result->code = 0;
    }
    if (result->status != STATUS_OK && result->payload.size > LIMIT_TEXT_BYTES_MAX) {
        result->payload.size = LIMIT_TEXT_BYTES_MAX;
    }
}

static void settle(router_t *router, message_t *message, const message_result_t *result)
{
    if (result->status == STATUS_NOT_TAKEN) {
        not_taken(router, message, result);
        return;
    }
    entity_taken(message->entity);
    if (!is_final(result)) {
        defect(router, message, result);
        return;
    }
    bool unhandled = is_unhandled(message, result);
    finish(router, message, result);
    if (unhandled) {
        router->counters.dead_letters++;
        batch_add_dead_letter(router, message, FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

void result_received(router_t *router, runner_t *runner, const message_result_t *received)
{
    message_t *message = find_message(router, runner, received);
    if (!message) {
        router->counters.results_refused++;
        return;
    }
    entity_t *entity = message->entity;
    const char *fault = received->status == STATUS_NOT_TAKEN ? NULL : order_fault(message);
    delivery_ended(runner, message);
    if (fault) {
        refuse(router, runner, message, fault);
    } else {
        fault_text_t text;
        message_result_t result = *received;
        result_check(router, runner, message, &result, &text);
        settle(router, message, &result);
    }
    if (entity->in_flight == 0) {
        entity->draining = false;
    }
    entity_dispatch(router, entity);
    entity_release(router, entity);
}
