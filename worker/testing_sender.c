/* What an entity that is tested alone sends: see testing_sender.h. */
#include "worker/testing_sender.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/outcome.h"

#define TIMEOUT_MS 30000u /* as a client has it */

static void sent_destroy(testing_sent_t *sent)
{
    schema_memory_free(&sent->elements);
    free(sent->payload);
    free(sent->request);
    free(sent);
}

static bool is_name(fabric_bytes_t name)
{
    return name.size >= 1 && name.size <= LIMIT_NAME_BYTES_MAX;
}

/* Encodes the request, and decodes it again, as the entity that it is for would. */
static fabric_error_t encode(testing_sent_t *sent, const fabric_call_t *call)
{
    const fabric_schema_t *schema = call->message->request;
    fabric_schema_fault_t fault = {""};
    sent->payload = (uint8_t *)memory_allocate(LIMIT_PAYLOAD_BYTES_MAX);
    fabric_error_t error = fabric_schema_encode(schema, call->request, sent->payload,
                                                LIMIT_PAYLOAD_BYTES_MAX, &fault, &sent->size);
    if (error == FABRIC_OK && schema->field_count > 0) {
        sent->request = memory_allocate_zeroed(1, schema->size);
        error = schema_decode_growing(schema, fabric_bytes(sent->payload, sent->size),
                                      &sent->elements, &fault, sent->request);
    }
    return error;
}

static fabric_error_t make(testing_sender_t *self, const fabric_call_t *call, testing_sent_t **made)
{
    if (!call->message || !is_name(call->entity.type) || !is_name(call->entity.id)) {
        return FABRIC_ERROR_INVALID_ARGUMENT;
    }
    size_t type_size = call->entity.type.size;
    size_t id_size = call->entity.id.size;
    size_t key_size = call->primary_key.size;
    testing_sent_t *sent =
        (testing_sent_t *)memory_allocate_zeroed(1, sizeof *sent + type_size + id_size + key_size);
    memcpy(sent->names, call->entity.type.data, type_size);
    memcpy(sent->names + type_size, call->entity.id.data, id_size);
    if (key_size > 0) {
        memcpy(sent->names + type_size + id_size, call->primary_key.data, key_size);
    }
    fabric_error_t error = encode(sent, call);
    if (error != FABRIC_OK) {
        sent_destroy(sent);
        return error;
    }
    sent->sequence = ++self->sequence;
    sent->shown = (fabric_testing_sent_t){
        .entity = {fabric_bytes(sent->names, type_size),
                   fabric_bytes(sent->names + type_size, id_size)},
        .message = call->message,
        .request = sent->request,
        .tell = call->tell,
        .primary_key = fabric_bytes(sent->names + type_size + id_size, key_size),
        .timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS};
    sent->shown.deliver_at_ms = call->deliver_at_ms;
    sent->deadline_ms = *self->now_ms + sent->shown.timeout_ms;
    *made = sent;
    return FABRIC_OK;
}

static void append(testing_sender_t *self, testing_sent_t *sent)
{
    self->list =
        memory_reserve(self->list, self->count + 1, &self->capacity, sizeof(testing_sent_t *));
    self->list[self->count++] = sent;
}

static fabric_error_t add(testing_sender_t *self, const fabric_call_t *call, testing_sent_t **added)
{
    fabric_error_t error = make(self, call, added);
    if (error == FABRIC_OK) {
        append(self, *added);
    }
    return error;
}

static fabric_error_t start(fabric_sender_t *sender, const fabric_call_t *call,
                            fabric_completion_fn *complete, void *context, fabric_call_key_t *key)
{
    testing_sent_t *sent = NULL;
    fabric_error_t error = add((testing_sender_t *)sender, call, &sent);
    if (error == FABRIC_OK) {
        sent->complete = complete;
        sent->context = context;
        *key = (fabric_call_key_t){1, sent->sequence};
    }
    return error;
}

static fabric_error_t tell(fabric_sender_t *sender, const fabric_call_t *call)
{
    testing_sent_t *sent = NULL;
    return add((testing_sender_t *)sender, call, &sent);
}

/* The worker has taken it. */
static void note(fabric_sender_t *sender, const fabric_call_t *call)
{
    testing_sender_t *self = (testing_sender_t *)sender;
    testing_sent_t *sent = NULL;
    fabric_error_t error = make(self, call, &sent);
    assert(error == FABRIC_OK);
    (void)error;
    sent->shown.stored = true;
    self->noted = memory_reserve(self->noted, self->noted_count + 1, &self->noted_capacity,
                                 sizeof(testing_sent_t *));
    self->noted[self->noted_count++] = sent;
}

void testing_sender_send_noted(testing_sender_t *sender)
{
    for (size_t i = 0; i < sender->noted_count; i++) {
        append(sender, sender->noted[i]);
    }
    sender->noted_count = 0;
}

void testing_sender_forget_noted(testing_sender_t *sender)
{
    while (sender->noted_count > 0) {
        sent_destroy(sender->noted[--sender->noted_count]);
    }
}

static void end_with(testing_sender_t *self, testing_sent_t *sent, fabric_error_t error)
{
    const reason_t reason = {""};
    fabric_outcome_t outcome;
    outcome_of_reason(error, &reason, &outcome);
    testing_sender_answer(self, sent, &outcome, fabric_bytes(NULL, 0));
}

/* No handler has begun it, unless an entity under test has. */
static void cancel(fabric_sender_t *sender, fabric_call_key_t key)
{
    testing_sender_t *self = (testing_sender_t *)sender;
    testing_sent_t *sent = testing_sender_find(self, key.sequence);
    if (sent && !sent->taken) {
        end_with(self, sent, FABRIC_ERROR_CANCELLED);
    }
}

/* Nobody can answer while the test waits here. */
static void wait_for(fabric_sender_t *sender, const fabric_call_t *call, void *reply,
                     fabric_outcome_t *outcome)
{
    testing_sent_t *sent = NULL;
    const reason_t reason = {""};
    (void)reply;
    fabric_error_t error = add((testing_sender_t *)sender, call, &sent);
    if (error == FABRIC_OK) { /* the test sees that it was sent, as a tell */
        sent->shown.tell = true;
        error = FABRIC_ERROR_OUTCOME_UNKNOWN;
    }
    outcome_of_reason(error, &reason, outcome);
}

void testing_sender_init(testing_sender_t *sender, const uint64_t *now_ms)
{
    *sender = (testing_sender_t){
        .port = {.start = start, .cancel = cancel, .tell = tell, .note = note, .wait = wait_for},
        .now_ms = now_ms};
}

void testing_sender_free(testing_sender_t *sender)
{
    const fabric_outcome_t closed = {.error = FABRIC_ERROR_CLOSED};
    for (size_t i = 0; i < sender->count; i++) {
        testing_sent_t *sent = sender->list[i];
        if (sent->complete) {
            sent->complete(sent->context, &closed, fabric_bytes(NULL, 0));
        }
        sent_destroy(sent);
    }
    testing_sender_forget_noted(sender);
    free(sender->noted);
    free(sender->list);
    sender->list = NULL;
    sender->count = 0;
}

testing_sent_t *testing_sender_next(const testing_sender_t *sender)
{
    for (size_t i = 0; i < sender->count; i++) {
        if (!sender->list[i]->taken) {
            return sender->list[i];
        }
    }
    return NULL;
}

testing_sent_t *testing_sender_find(const testing_sender_t *sender, uint64_t sequence)
{
    for (size_t i = 0; i < sender->count; i++) {
        if (sender->list[i]->sequence == sequence) {
            return sender->list[i];
        }
    }
    return NULL;
}

static void remove_sent(testing_sender_t *sender, const testing_sent_t *sent)
{
    size_t kept = 0;
    for (size_t i = 0; i < sender->count; i++) {
        if (sender->list[i] != sent) {
            sender->list[kept++] = sender->list[i];
        }
    }
    sender->count = kept;
}

void testing_sender_answer(testing_sender_t *sender, testing_sent_t *sent,
                           const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    remove_sent(sender, sent);
    if (sent->complete) {
        fabric_outcome_t answer = *outcome;
        answer.key = (fabric_call_key_t){1, sent->sequence};
        sent->complete(sent->context, &answer, payload);
    }
    sent_destroy(sent);
}

void testing_sender_expire(testing_sender_t *sender)
{
    size_t i = 0;
    while (i < sender->count) {
        testing_sent_t *sent = sender->list[i];
        if (sent->complete && *sender->now_ms >= sent->deadline_ms) {
            end_with(sender, sent, FABRIC_ERROR_OUTCOME_UNKNOWN);
        } else {
            i++;
        }
    }
}

uint64_t testing_sender_deadline(const testing_sender_t *sender)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (size_t i = 0; i < sender->count; i++) {
        const testing_sent_t *sent = sender->list[i];
        if (sent->complete && sent->deadline_ms < deadline_ms) {
            deadline_ms = sent->deadline_ms;
        }
    }
    return deadline_ms;
}
