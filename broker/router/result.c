/* Results of workers: each result is checked against the token and the order of its entity. Then it
 * is committed (durable) or answered (volatile), or its message is delivered again.
 */
#include "broker/router/result.h"

#include <stdio.h>

#include "broker/router/answers.h"
#include "broker/router/cancels.h"
#include "broker/router/dispatch.h"
#include "broker/router/messages.h"
#include "broker/router/outcome.h"
#include "broker/router/protocol_violation.h"
#include "broker/router/router_state.h"
#include "broker/router/poison.h"
#include "broker/router/told.h"
#include "broker/router/unregistered.h"
#include "broker/router/unserved.h"
#include "core/failures.h"

/* The message that a result is about, if the router waits for that result. */
static message_t *awaited_message(router_t *router, const runner_t *runner,
                                  const message_result_t *result)
{
    message_t *message = message_find(router, (request_id_t){result->request_id});
    if (!message || message->state != MESSAGE_IN_FLIGHT ||
        message->activation != result->activation) {
        return NULL;
    }
    const ownership_t *ownership = message->entity->ownership;
    token_t token = {result->home_epoch, result->owner_sequence};
    bool owner = ownership->owner == runner && result->shard == ownership->shard->id.value &&
                 token_equal(token, ownership->token);
    return owner ? message : NULL;
}

static bool is_final(const message_result_t *result)
{
    return reply_status_is_answer(result->status) ||
           result->error == FABRIC_ERROR_MALFORMED_MESSAGE;
}

/* ---- results that are no answers ---- */

/* The message is delivered again, and so are all messages that were delivered after it. */
static void come_back(router_t *router, message_t *message)
{
    entity_t *entity = message->entity;
    bool over = message->activation != entity->activation;
    entity_requeue(message);
    if (!over) {
        entity_restart(router, entity);
    }
}

static void defect(router_t *router, message_t *message, const message_result_t *result)
{
    entity_t *entity = message->entity;
    if (!(message->stored.flags & REQUEST_DURABLE)) {
        message_finish(router, message, result);
        entity_restart(router, entity);
        return;
    }
    type_options_t options = type_options(router, message->stored.type);
    if (options.defects_to_caller) {
        message_finish(router, message, result);
        entity_restart(router, entity);
        return;
    }
    poison_count_defect(router, message);
    if (!message->cancelled && options.failure != FAILURE_PARK &&
        poison_is_exhausted(router, message)) {
        message_exhausted(router, message, result);
        entity_restart(router, entity);
        return;
    }
    entity_requeue(message);
    entity_restart(router, entity);
    entity_back_off(router, entity, poison_failures(message));
}

static void reject_volatile(router_t *router, message_t *message, const message_result_t *result)
{
    const char *text = "";
    fabric_error_t error = (fabric_error_t)result->error;
    if (error != FABRIC_ERROR_MAILBOX_FULL && error != FABRIC_ERROR_TIMEOUT) {
        error = FABRIC_ERROR_RUNNER_UNAVAILABLE;
        text = "the runner did not take the message";
    }
    message_reject(router, message, error, NOT_TAKEN_DELAY_MS, text);
    message_forget(router, message);
}

/* Whether the message ends because its caller does not want it any more, and nobody had begun it.
 */
static bool has_ended_untaken(const message_t *message, const message_result_t *result)
{
    bool expired = result->error == FABRIC_ERROR_TIMEOUT && message_gives_up(message);
    return expired || (message->cancelled && result->error == FABRIC_ERROR_CANCELLED);
}

/* The owner of a transactional message says what it knows of it: there is no result, or whether
 * there is one was not to be learnt. The second one counts like an owner that is gone. */
static void not_committed(router_t *router, message_t *message, const message_result_t *result)
{
    entity_t *entity = message->entity;
    bool first = message->activation == entity->activation;
    bool looked = result->error == FABRIC_ERROR_NOT_FOUND;
    message->deliveries = looked ? 0 : message->deliveries;
    come_back(router, message);
    if (first && !looked && entity->ownership->state == OWNERSHIP_OWNED) {
        entity_refused(router, entity, (fabric_error_t)result->error);
    }
}

static bool is_of_a_look(const message_t *message, const message_result_t *result)
{
    return message->stored.flags & MESSAGE_TRANSACTIONAL &&
           (result->error == FABRIC_ERROR_NOT_FOUND || result->error == FABRIC_ERROR_PERSISTENCE);
}

static void not_taken(router_t *router, message_t *message, const message_result_t *result)
{
    entity_t *entity = message->entity;
    if (is_of_a_look(message, result)) {
        not_committed(router, message, result);
        return;
    }
    /* It was delivered before, so it does not end untaken: it comes back, to be looked for. */
    bool looks = message->stored.flags & MESSAGE_TRANSACTIONAL && message->deliveries > 1;
    if (has_ended_untaken(message, result) && looks) {
        message->deliveries--;
        come_back(router, message);
        return;
    }
    if (has_ended_untaken(message, result)) {
        message->deliveries--;
        message_finish_as_cancelled(router, message); /* those behind it go on */
        return;
    }
    bool handing_over = result->error == FABRIC_ERROR_ENTITY_NOT_ASSIGNED;
    bool owned = entity->ownership->state == OWNERSHIP_OWNED;
    bool not_built = result->error == FABRIC_ERROR_NOT_BUILT;
    bool unreadable = result->error == FABRIC_ERROR_SNAPSHOT_UNREADABLE;
    bool after_defect = result->error == FABRIC_ERROR_ENTITY_DEFECT || not_built ||
                        result->error == FABRIC_ERROR_STATE_MISSING || unreadable;
    message->deliveries--; /* its handler certainly did not start */
    if (!handing_over && !after_defect && !(message->stored.flags & REQUEST_DURABLE)) {
        reject_volatile(router, message, result);
        return;
    }
    bool first = message->activation == entity->activation; /* sent together */
    if (first && unreadable) {
        (void)persisted_unreadable(router, entity->ownership, entity_type(entity),
                                   entity_id(entity));
    }
    come_back(router, message);
    if (owned && first && not_built) {
        entity_not_built(router, entity, result->payload);
    } else if (owned && first) {
        entity_refused(router, entity, (fabric_error_t)result->error);
    }
}

/* ---- results that must not count ---- */

/* Why a result must not count, by the order of its entity; NULL: it may. After a defect, or after a
 * message that came back, results of the same activation rest on a state that is not valid. The
 * same holds for a result that comes while an earlier message of its entity has no result yet,
 * unless more than one handler of the entity may be pending. */
static const char *order_fault(router_t *router, const message_t *message)
{
    const entity_t *entity = message->entity;
    if (message->activation != entity->activation) {
        return "the worker's result belongs to an activation that is over";
    }
    const message_t *before = message;
    do { /* the end of a cancelled message says nothing of those before it */
        before = before == entity->queue ? NULL : before->prev;
    } while (before && before->cancelled && before->state == MESSAGE_RESULT);
    bool first = !before || before->state == MESSAGE_RESULT;
    bool any_order = !first && type_concurrency(router, entity_type(entity)) > 1;
    return first || any_order ? NULL : "the worker's result came before that of an earlier message";
}

static void refuse(router_t *router, const runner_t *runner, message_t *message, const char *fault)
{
    entity_t *entity = message->entity;
    router->counters.results_refused++;
    violation_note(router, runner->peer, FABRIC_ERROR_MALFORMED_MESSAGE, fault);
    if (message->stored.flags & REQUEST_DURABLE) {
        come_back(router, message);
    } else {
        if (message->activation == entity->activation) {
            entity_restart(router, entity);
        }
        message_lose(router, message, fault);
    }
    entity_refused(router, entity, FABRIC_ERROR_MALFORMED_MESSAGE);
}

/* Whether the message's handler was pending when another handler's defect ended the state of their
 * entity: the worker says so about each of them. */
static bool has_ended_with_state(router_t *router, const message_t *message,
                                 const message_result_t *result)
{
    return message->activation != message->entity->activation && result->status == STATUS_DEFECT &&
           type_concurrency(router, entity_type(message->entity)) > 1;
}

/* Whether the home itself has ended the message's activation: see entity_take_back. */
static bool has_ended_here(const message_t *message)
{
    return message->activation != message->entity->activation && message->entity->taken_back;
}

static void take_back(router_t *router, message_t *message)
{
    if (message->stored.flags & REQUEST_DURABLE) {
        come_back(router, message);
    } else {
        message_lose(router, message, "another handler's end has ended the entity's state");
    }
}

/* Whether no handler can decode a durable message. Its caller gets the answer, and the message is
 * also kept as a dead letter. */
static bool is_unhandled(const message_t *message, const message_result_t *result)
{
    return message->stored.flags & REQUEST_DURABLE && result->status == STATUS_DEFECT &&
           result->error == FABRIC_ERROR_MALFORMED_MESSAGE;
}

/* ---- results that tell what is not known here ---- */

/* Whether such a result may be right later: every home learns of types after a while, and a cluster
 * that has just started gets its workers one after the other. What a transactional message has told
 * is committed already, and so it stays. */
static bool may_be_learned(const router_t *router, message_t *message)
{
    uint64_t now_s = router->now_ms / 1000 + 1;
    message->unknown_s = message->unknown_s ? message->unknown_s : (uint32_t)now_s;
    return message->stored.flags & MESSAGE_TRANSACTIONAL || unregistered_held_ms(router) > 0 ||
           (uint32_t)now_s - message->unknown_s < TYPE_LEARNED_MS / 1000;
}

/* The message comes back as if it had not been taken, and is handled again after a pause: nobody is
 * to blame. The entity's instance has seen a message that does not count. */
static void put_off(router_t *router, message_t *message, const char *fault)
{
    entity_t *entity = message->entity;
    char text[sizeof(fabric_schema_fault_t) + 40];
    snprintf(text, sizeof text, "its result does not count yet: %s", fault);
    entity_requeue(message);
    entity_take_back(router, entity);
    entity_refused(router, entity, FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    if (message->cancelled && !message_needs_look(message)) {
        message_finish_as_cancelled(router, message);
    }
    entity_tell_waits(router, entity, FABRIC_ERROR_RUNNER_NOT_REGISTERED, text);
}

/* ---- what a result says ---- */

/* What is known here of the message's type; NULL: nothing. */
static const message_description_t *known_message(router_t *router, const message_t *message)
{
    const known_type_t *type = type_find(router, message->stored.type);
    return type ? type_description_message(type->description, message->stored.tag) : NULL;
}

/* A durable reply must fit its schema, as far as the type is known here. The client checks the
 * reply to a volatile message. */
static bool reply_fits(router_t *router, const message_t *message, fabric_bytes_t reply,
                       fabric_schema_fault_t *fault)
{
    if ((message->stored.flags & (REQUEST_DURABLE | REQUEST_TELL)) != REQUEST_DURABLE) {
        return true;
    }
    const message_description_t *known = known_message(router, message);
    return !known || fabric_schema_check(known->reply, reply, fault) == FABRIC_OK;
}

/* So must a durable typed failure, which is kept for a message that wants no reply, too. */
static bool failure_fits(router_t *router, const message_t *message, const message_result_t *result,
                         fabric_schema_fault_t *fault)
{
    if (!(message->stored.flags & REQUEST_DURABLE)) {
        return true;
    }
    const message_description_t *known = known_message(router, message);
    const fabric_choice_t *failure =
        known ? failures_find(failures_of(known->failures), result->code) : NULL;
    if (known && !failure) {
        snprintf(fault->text, sizeof fault->text, "the message declares no failure of its number");
        return false;
    }
    return !known || fabric_schema_check(failure->schema, result->payload, fault) == FABRIC_OK;
}

/* A worker that knows another version of the type sends its own, and may be the first one that has
 * any. */
static bool state_fits(const known_type_t *type, const journal_effects_t *effects,
                       fabric_schema_fault_t *fault)
{
    const fabric_schema_t *schema = type ? type->description->state : NULL;
    bool same = schema && effects->version == type->description->state_version;
    return !same || effects->state.size == 0 ||
           fabric_schema_check(schema, effects->state, fault) == FABRIC_OK;
}

/* So it does with events. What is wrong with them; NULL: nothing. */
static const char *events_fault(const known_type_t *type, const journal_effects_t *effects,
                                fabric_schema_fault_t *fault)
{
    store_event_t event;
    journal_events_reader_t reader = journal_events_open(&effects->events);
    while (journal_events_next(&reader, &event)) {
        const event_description_t *known =
            type ? type_description_event(type->description, event.tag, event.version) : NULL;
        if (event.payload.size > LIMIT_PAYLOAD_BYTES_MAX) {
            return "an event is over its limits";
        }
        if (known && fabric_schema_check(known->schema, event.payload, fault) != FABRIC_OK) {
            return fault->text;
        }
    }
    return NULL;
}

/* What a record holds beside reply and effects is less than this. */
#define RECORD_REST_BYTES (4u << 10)

/* Of what a result brings beside its reply. */
static uint64_t bytes_of(const message_result_t *result, const journal_effects_t *effects)
{
    return result->payload.size + effects->state.size + effects->events.list.size +
           effects->outgoing.list.size + (uint64_t)effects->outgoing.count * TOLD_SHARD_BYTES;
}

/* Its worker has checked it, and committed it with the rows of the handler. */
static bool is_committed(const message_t *message, const message_result_t *result)
{
    return message->stored.flags & MESSAGE_TRANSACTIONAL && result->status == STATUS_OK;
}

/* As effects_fault, of what the handler has told others. */
static const char *outgoing_fault(router_t *router, const message_t *message,
                                  const message_result_t *result, const journal_effects_t *effects,
                                  fabric_schema_fault_t *fault, bool *passing)
{
    if (!(message->stored.flags & REQUEST_DURABLE) || result->status != STATUS_OK) {
        return "it tells others something, and is no reply to a durable message";
    }
    if (bytes_of(result, effects) > JOURNAL_RECORD_BYTES_MAX - RECORD_REST_BYTES) {
        return "what it tells others is over its limits";
    }
    return is_committed(message, result)
               ? told_committed_fault(router, &effects->outgoing, fault, passing)
               : told_fault(router, message->stored.type, &effects->outgoing, fault, passing);
}

/* Whether it brings anything but what the handler has told others. */
static bool has_stored_state(const journal_effects_t *effects)
{
    return effects->state.size > 0 || effects->events.count > 0 || effects->sequence > 0 ||
           effects->version > 0 || effects->outgoing.count == 0;
}

/* What is wrong with the state or the events that come with a result; NULL: nothing. */
static const char *stored_fault(router_t *router, const message_t *message,
                                const message_result_t *result, const journal_effects_t *effects,
                                fabric_schema_fault_t *fault)
{
    const known_type_t *type = type_find(router, message->stored.type);
    const ownership_t *ownership = message->entity->ownership;
    uint64_t bytes = bytes_of(result, effects);
    bool appends = effects->events.count > 0 || effects->sequence > 0;
    if (!ownership->persisted) {
        return "it has a state, and its type has none that is persisted";
    }
    if (appends != ownership->appends) {
        return appends ? "it has events, and its type appends none"
                       : "it has a state, and its type appends events";
    }
    if (!(message->stored.flags & REQUEST_DURABLE) || result->status != STATUS_OK) {
        return appends ? "it has events, and is no reply to a durable message"
                       : "it has a state, and is no reply to a durable message";
    }
    bool empty = effects->state.size == 0 && effects->events.count == 0;
    if (empty || effects->state.size > LIMIT_PAYLOAD_BYTES_MAX ||
        bytes > JOURNAL_RECORD_BYTES_MAX - RECORD_REST_BYTES) {
        return "its state is over its limits";
    }
    bool contains =
        effects->events.count == 0 || effects->sequence == journal_events_last(&effects->events);
    if (appends && effects->state.size > 0
            ? !contains
            : effects->sequence > 0 || (appends && effects->version)) {
        return "its snapshot is not that of its last event";
    }
    const char *wrong = events_fault(type, effects, fault);
    return wrong || state_fits(type, effects, fault) ? wrong : fault->text;
}

/* What is wrong with what comes with a result; NULL: nothing. `passing` as told_fault. */
static const char *effects_fault(router_t *router, const message_t *message,
                                 const message_result_t *result, const journal_effects_t *effects,
                                 fabric_schema_fault_t *fault, bool *passing)
{
    const char *wrong =
        has_stored_state(effects) ? stored_fault(router, message, result, effects, fault) : NULL;
    return wrong || effects->outgoing.count == 0
               ? wrong
               : outgoing_fault(router, message, result, effects, fault, passing);
}

/* Why the result must not reach the caller; NULL: it may. */
static const char *content_fault(router_t *router, const message_t *message,
                                 const message_result_t *result, const journal_effects_t *effects,
                                 fabric_schema_fault_t *fault, bool *passing)
{
    const char *wrong =
        effects ? effects_fault(router, message, result, effects, fault, passing) : NULL;
    if (wrong) {
        return wrong;
    }
    bool ok = result->status == STATUS_OK;
    bool typed = result->status == STATUS_TYPED_FAILURE;
    if (result->status > STATUS_TYPED_FAILURE) {
        return "its status does not exist";
    }
    if (ok && (result->error != 0 || result->code != 0)) {
        return "it is a reply with an error";
    }
    bool cancelled = result->status == STATUS_FAILURE && result->error == FABRIC_ERROR_CANCELLED;
    if ((result->status == STATUS_FAILURE || typed) && !cancelled &&
        result->error != FABRIC_ERROR_ENTITY_FAILURE) {
        return "it is a failure with another error";
    }
    if (cancelled && result->code != 0) {
        return "it was cancelled with a code";
    }
    if (result->payload.size > LIMIT_PAYLOAD_BYTES_MAX) {
        return "it is over its limits";
    }
    if (typed && !failure_fits(router, message, result, fault)) {
        return fault->text;
    }
    return ok && !is_committed(message, result) &&
                   !reply_fits(router, message, result->payload, fault)
               ? fault->text
               : NULL;
}

typedef struct fault_text {
    char text[sizeof(fabric_schema_fault_t) + 32];
} fault_text_t;

/* Leaves in the result only what its status allows. A result that breaks the rules becomes a defect
 * with MalformedMessage, or one of the entity where it might have been right the next time. false:
 * it may still be right later, and the message was put off. */
static bool result_check(router_t *router, const runner_t *runner, message_t *message,
                         message_result_t *result, const journal_effects_t *effects,
                         fault_text_t *text)
{
    fabric_schema_fault_t schema_fault;
    bool passing = false;
    const char *fault = content_fault(router, message, result, effects, &schema_fault, &passing);
    if (passing && is_committed(message, result)) { /* it comes back, to be looked for */
        result->status = STATUS_NOT_TAKEN;
        result->error = FABRIC_ERROR_PERSISTENCE;
        return true;
    }
    if (passing && may_be_learned(router, message)) {
        put_off(router, message, fault);
        return false;
    }
    if (fault) {
        snprintf(text->text, sizeof text->text, "the worker's result: %s", fault);
        violation_note(router, runner->peer, FABRIC_ERROR_MALFORMED_MESSAGE, text->text);
        result->status = STATUS_DEFECT;
        result->error = passing ? FABRIC_ERROR_ENTITY_DEFECT : FABRIC_ERROR_MALFORMED_MESSAGE;
        result->payload = fabric_bytes_of(text->text);
    }
    if (result->status == STATUS_DEFECT) {
        bool malformed = result->error == FABRIC_ERROR_MALFORMED_MESSAGE;
        result->error = malformed ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_ERROR_ENTITY_DEFECT;
        result->code = 0;
    }
    bool has_text = result->status != STATUS_OK && result->status != STATUS_TYPED_FAILURE;
    if (has_text && result->payload.size > LIMIT_TEXT_BYTES_MAX) {
        result->payload.size = LIMIT_TEXT_BYTES_MAX;
    }
    return true;
}

/* They count from now on. */
static void keep_effects(router_t *router, message_t *message, const journal_effects_t *effects)
{
    const store_message_t *stored = &message->stored;
    if (effects->state.size > 0) {
        store_state_t state = {.type = stored->type,
                               .entity = stored->entity,
                               .shard = stored->shard,
                               .version = effects->version,
                               .sequence = effects->sequence,
                               .state = effects->state};
        message->left = persisted_change(router, entity_persisted_key(message->entity), &state);
    }
    if (effects->events.count > 0) {
        store_event_t first = {.type = stored->type,
                               .entity = stored->entity,
                               .shard = stored->shard,
                               .id = stored->id};
        journal_events_t events = effects->events;
        events.recorded_ms =
            router->config.store_now_ms + (int64_t)(router->now_ms - router->started_ms);
        message->events = persisted_append(router, &first, &events);
    }
    if (effects->outgoing.count > 0) {
        message->outgoing = told_keep(router, message, &effects->outgoing);
    }
}

/* `effects`: what the message has left beside its reply; NULL: nothing. */
static void settle(router_t *router, message_t *message, const message_result_t *result,
                   const journal_effects_t *effects)
{
    if (result->status == STATUS_NOT_TAKEN) {
        not_taken(router, message, result);
        return;
    }
    entity_forget_refusals(message->entity);
    if (!is_final(result)) {
        defect(router, message, result);
        return;
    }
    entity_t *entity = message->entity;
    bool counts = result->status == STATUS_OK;
    if (is_unhandled(message, result)) {
        message_finish_as_dead_letter(router, message, result, FABRIC_ERROR_MALFORMED_MESSAGE);
    } else {
        if (effects && counts) {
            keep_effects(router, message, effects);
        }
        message_finish(router, message, result);
    }
    if (effects && !counts) { /* what the worker goes on with is not what counts */
        entity_restart(router, entity);
    }
}

/* As order_fault, of a result with events, or with a snapshot of some. */
static const char *sequence_fault(router_t *router, const message_t *message,
                                  const journal_effects_t *effects)
{
    const store_message_t *stored = &message->stored;
    const ownership_t *ownership = message->entity->ownership;
    bool appends = effects && (effects->events.count > 0 || effects->sequence > 0);
    return !appends || !ownership->appends ||
                   persisted_goes_on(router, ownership, stored->type, stored->entity, effects)
               ? NULL
               : "the worker's events are not the next ones of the entity";
}

static void receive(router_t *router, runner_t *runner, const message_result_t *received,
                    const journal_effects_t *effects)
{
    settlement_count_result(&runner->settlement);
    message_t *message = awaited_message(router, runner, received);
    if (!message) {
        router->counters.results_refused++;
        return;
    }
    entity_t *entity = message->entity;
    bool not_taken = received->status == STATUS_NOT_TAKEN && !effects;
    const char *fault = not_taken ? NULL : order_fault(router, message);
    fault = fault ? fault : sequence_fault(router, message, effects);
    poison_result_came(router, runner, message);
    if (fault && (has_ended_with_state(router, message, received) || has_ended_here(message))) {
        take_back(router, message);
    } else if (fault) {
        refuse(router, runner, message, fault);
    } else {
        fault_text_t text;
        message_result_t result = *received;
        if (result_check(router, runner, message, &result, effects, &text)) {
            settle(router, message, &result, effects);
        }
    }
    entity_end_restart(entity);
    entity_dispatch(router, entity);
    entity_release(router, entity);
}

void result_received(router_t *router, runner_t *runner, const message_result_t *result)
{
    receive(router, runner, result, NULL);
}

void result_received_with_effects(router_t *router, runner_t *runner,
                                  const message_result_t *result, const journal_effects_t *effects)
{
    receive(router, runner, result, effects);
}
