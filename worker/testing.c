/* Testing an entity alone: see <fabric/testing.h>. */
#include <fabric/testing.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failures.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/outcome.h"
#include "core/schema_memory.h"
#include "worker/testing_home.h"

/* The schema of an event that the type need not have. */
typedef struct foreign_event {
    struct foreign_event *next;
    uint64_t sequence;
    const fabric_schema_t *schema;
} foreign_event_t;

struct fabric_testing {
    const fabric_entity_type_t *type;
    testing_home_t *home;
    uint8_t *payload; /* LIMIT_PAYLOAD_BYTES_MAX */
    /* Of the next message. */
    bool cancelled;
    uint32_t timeout_ms;
    uint32_t header_count;
    wire_writer_t headers; /* names and values */
    /* Of the last message. `message` is NULL: there is none. */
    const fabric_message_type_t *message;
    schema_memory_t elements; /* what the views of its reply and of its failure point to */
    void *failure;            /* the values of its typed failure; NULL: none */
    /* What fabric_testing_state() and fabric_testing_state_json() have returned. */
    void *read_state;
    char *json;
    /* What fabric_testing_event() has returned. */
    void *event;
    char *event_tag, *event_json;
    schema_memory_t event_elements;
    foreign_event_t *foreign;             /* events that fabric_testing_append_event() has stored */
    const fabric_schema_t *stored_schema; /* of what is stored */
};

/* ---- life ---- */

static fabric_error_t check(const fabric_entity_type_t *type, const char *id, type_table_t *types,
                            reason_t *reason)
{
    size_t id_size = id ? strlen(id) : 0;
    if (id_size < 1 || id_size > LIMIT_NAME_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "an id has 1-255 bytes");
    }
    return type_table_add(types, type, reason);
}

static fabric_testing_t *make(const fabric_entity_type_t *type, const char *id, type_table_t *types)
{
    fabric_testing_t *testing = (fabric_testing_t *)memory_allocate_zeroed(1, sizeof *testing);
    testing->type = type;
    testing->payload = (uint8_t *)memory_allocate(LIMIT_PAYLOAD_BYTES_MAX);
    testing->stored_schema = type->state;
    testing->home = testing_home_new(type, id, types);
    return testing;
}

fabric_error_t fabric_testing_open(const fabric_entity_type_t *type, const char *id,
                                   fabric_testing_t **testing, fabric_outcome_t *outcome)
{
    reason_t reason = {""};
    type_table_t *types = type_table_new();
    *testing = NULL;
    fabric_error_t error = check(type, id, types, &reason);
    if (error == FABRIC_OK) {
        *testing = make(type, id, types);
    } else {
        type_table_destroy(&types);
    }
    if (outcome) {
        outcome_of_reason(error, &reason, outcome);
    }
    return error;
}

void fabric_testing_use_mysql(fabric_testing_t *testing, void *mysql)
{
    testing_home_lend(testing->home, mysql);
}

void fabric_testing_close(fabric_testing_t **testing)
{
    fabric_testing_t *self = *testing;
    if (!self) {
        return;
    }
    testing_home_destroy(&self->home);
    wire_writer_destroy(&self->headers);
    schema_memory_free(&self->elements);
    free(self->failure);
    free(self->read_state);
    free(self->json);
    free(self->event);
    free(self->event_tag);
    free(self->event_json);
    schema_memory_free(&self->event_elements);
    while (self->foreign) {
        foreign_event_t *foreign = self->foreign;
        self->foreign = foreign->next;
        free(foreign);
    }
    free(self->payload);
    free(self);
    *testing = NULL;
}

/* ---- messages ---- */

void fabric_testing_cancel_next(fabric_testing_t *testing)
{
    testing->cancelled = true;
}

void fabric_testing_timeout_next(fabric_testing_t *testing, uint32_t timeout_ms)
{
    testing->timeout_ms = timeout_ms;
}

void fabric_testing_header_next(fabric_testing_t *testing, const char *name, fabric_bytes_t value)
{
    testing->header_count++;
    wire_put_text(&testing->headers, name);
    wire_put_bin(&testing->headers, value);
}

static void take_typed_failure(fabric_testing_t *testing, const message_result_t *result,
                               fabric_outcome_t *outcome)
{
    outcome_set_failure(outcome, testing->message->failures, result->payload);
    if (outcome->failure && outcome->failure->schema->field_count > 0) {
        fabric_schema_fault_t fault = {""};
        testing->failure = memory_allocate_zeroed(1, outcome->failure->schema->size);
        fabric_error_t error = schema_decode_growing(outcome->failure->schema, result->payload,
                                                     &testing->elements, &fault, testing->failure);
        assert(error == FABRIC_OK); /* the worker's own encoding */
        (void)error;
    }
}

/* Reads the result as a caller does. NULL: the message has not ended. */
static fabric_result_t answer(fabric_testing_t *testing, const message_result_t *result,
                              void *reply, fabric_outcome_t *outcome)
{
    if (!result || !testing->message) {
        return FABRIC_WAITING;
    }
    const fabric_schema_t *schema = testing->message->reply;
    outcome->error = fabric_error_from_number(result->error);
    outcome->code = result->code;
    outcome->request_id = result->request_id;
    if (result->status == STATUS_TYPED_FAILURE) {
        take_typed_failure(testing, result, outcome);
        return FABRIC_FAILURE;
    }
    if (result->status != STATUS_OK) {
        outcome_set_text(outcome, result->payload);
        if (result->error == FABRIC_ERROR_CANCELLED) {
            return FABRIC_INTERRUPTED;
        }
        return result->status == STATUS_FAILURE ? FABRIC_FAILURE : FABRIC_DEFECT;
    }
    fabric_schema_fault_t fault = {""};
    if (reply && schema->field_count > 0 &&
        schema_decode_growing(schema, result->payload, &testing->elements, &fault, reply) !=
            FABRIC_OK) {
        outcome->error = FABRIC_ERROR_MALFORMED_MESSAGE;
        outcome_set_text(outcome, fabric_bytes_of(fault.text));
        return FABRIC_DEFECT;
    }
    return FABRIC_REPLY;
}

static const message_result_t *deliver(fabric_testing_t *testing, size_t size)
{
    wire_writer_t headers = {0};
    if (testing->header_count > 0) {
        fabric_bytes_t pairs = wire_writer_bytes(&testing->headers);
        wire_put_map(&headers, testing->header_count);
        wire_append(&headers, pairs.data, pairs.size);
    }
    const testing_message_t message = {.type = testing->message,
                                       .payload = fabric_bytes(testing->payload, size),
                                       .headers = wire_writer_bytes(&headers),
                                       .timeout_ms = testing->timeout_ms,
                                       .cancelled = testing->cancelled};
    testing->cancelled = false;
    testing->timeout_ms = testing->header_count = 0;
    wire_writer_reset(&testing->headers);
    const message_result_t *result = testing_home_deliver(testing->home, &message);
    wire_writer_destroy(&headers);
    return result;
}

static fabric_result_t refuse(fabric_outcome_t *outcome, fabric_error_t error, const char *text)
{
    outcome->error = error;
    outcome_set_text(outcome, fabric_bytes_of(text));
    return FABRIC_DEFECT;
}

static void begin(fabric_testing_t *testing, fabric_outcome_t *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    free(testing->failure);
    testing->failure = NULL;
}

/* What the last message has changed was written by the type as it is now. */
static void note_schema(fabric_testing_t *testing)
{
    uint32_t version;
    (void)testing_home_stored(testing->home, &version);
    if (version == testing->type->state_version) {
        testing->stored_schema = testing->type->state;
    }
}

/* Whether the events make what the message has left; else it counts as a defect. */
static bool is_folded(const fabric_testing_t *testing, fabric_outcome_t *outcome)
{
    const char *fault = testing_home_fault(testing->home);
    if (fault[0]) {
        (void)refuse(outcome, FABRIC_ERROR_ENTITY_DEFECT, fault);
    }
    return !fault[0];
}

fabric_result_t fabric_testing_send(fabric_testing_t *testing, const fabric_message_type_t *message,
                                    const void *request, void *reply, fabric_outcome_t *outcome)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    fabric_outcome_t own;
    outcome = outcome ? outcome : &own;
    begin(testing, outcome);
    if (testing_home_is_busy(testing->home)) {
        return refuse(outcome, FABRIC_ERROR_INVALID_ARGUMENT, "the last message has not ended");
    }
    fabric_error_t error = fabric_schema_encode(message->request, request, testing->payload,
                                                LIMIT_PAYLOAD_BYTES_MAX, &fault, &size);
    if (error != FABRIC_OK) {
        return refuse(outcome, error, fault.text[0] ? fault.text : fabric_error_meaning(error));
    }
    testing->message = message;
    fabric_result_t handled = answer(testing, deliver(testing, size), reply, outcome);
    note_schema(testing);
    return is_folded(testing, outcome) ? handled : FABRIC_DEFECT;
}

fabric_result_t fabric_testing_retry(fabric_testing_t *testing, void *reply,
                                     fabric_outcome_t *outcome)
{
    fabric_outcome_t own;
    outcome = outcome ? outcome : &own;
    begin(testing, outcome);
    if (!testing_home_is_tried_again(testing->home)) {
        return refuse(outcome, FABRIC_ERROR_INVALID_ARGUMENT, "no message is to be handled again");
    }
    const message_result_t *result = testing_home_deliver_again(testing->home);
    fabric_result_t handled = answer(testing, result, reply, outcome);
    note_schema(testing);
    return is_folded(testing, outcome) ? handled : FABRIC_DEFECT;
}

/* ---- what the entity sends ---- */

const fabric_testing_sent_t *fabric_testing_sent(const fabric_testing_t *testing)
{
    const testing_sent_t *sent = testing_sender_next(testing_home_sender(testing->home));
    return sent ? &sent->shown : NULL;
}

fabric_result_t fabric_testing_result(fabric_testing_t *testing, void *reply,
                                      fabric_outcome_t *outcome)
{
    fabric_outcome_t own;
    outcome = outcome ? outcome : &own;
    begin(testing, outcome);
    fabric_result_t handled = answer(testing, testing_home_go_on(testing->home), reply, outcome);
    note_schema(testing);
    return handled;
}

/* Ends the oldest message that the entity has sent. */
static void end_sent(fabric_testing_t *testing, const fabric_outcome_t *outcome, size_t size)
{
    testing_sender_t *sender = testing_home_sender(testing->home);
    testing_sent_t *sent = testing_sender_next(sender);
    if (sent) {
        testing_sender_answer(sender, sent, outcome, fabric_bytes(testing->payload, size));
    }
}

fabric_result_t fabric_testing_answer(fabric_testing_t *testing, const void *answered, void *reply,
                                      fabric_outcome_t *outcome)
{
    const testing_sent_t *sent = testing_sender_next(testing_home_sender(testing->home));
    fabric_outcome_t own = {.error = FABRIC_OK};
    fabric_schema_fault_t fault = {""};
    size_t size = 0;
    if (sent && !sent->shown.tell) {
        own.error = fabric_schema_encode(sent->shown.message->reply, answered, testing->payload,
                                         LIMIT_PAYLOAD_BYTES_MAX, &fault, &size);
        outcome_set_text(&own, fabric_bytes_of(own.error ? fault.text : ""));
    }
    end_sent(testing, &own, size);
    return fabric_testing_result(testing, reply, outcome);
}

fabric_result_t fabric_testing_answer_failure(fabric_testing_t *testing, int32_t number,
                                              const void *values, void *reply,
                                              fabric_outcome_t *outcome)
{
    const testing_sent_t *sent = testing_sender_next(testing_home_sender(testing->home));
    fabric_outcome_t own = {.error = FABRIC_ERROR_ENTITY_FAILURE, .code = (uint64_t)number};
    fabric_schema_fault_t fault = {""};
    size_t size = 0;
    if (sent) {
        const fabric_choices_t *failures = sent->shown.message->failures;
        fabric_error_t error = failure_encode(failures, number, values, testing->payload,
                                              LIMIT_PAYLOAD_BYTES_MAX, &fault, &size);
        if (error == FABRIC_OK) {
            outcome_set_failure(&own, failures, fabric_bytes(testing->payload, size));
        } else {
            own = (fabric_outcome_t){.error = error};
            outcome_set_text(&own, fabric_bytes_of(fault.text));
        }
    }
    end_sent(testing, &own, size);
    return fabric_testing_result(testing, reply, outcome);
}

fabric_result_t fabric_testing_answer_error(fabric_testing_t *testing, fabric_error_t error,
                                            void *reply, fabric_outcome_t *outcome)
{
    const reason_t reason = {""};
    fabric_outcome_t own;
    outcome_of_reason(error, &reason, &own);
    end_sent(testing, &own, 0);
    return fabric_testing_result(testing, reply, outcome);
}

bool fabric_testing_connect(fabric_testing_t *testing, fabric_testing_t *other)
{
    return testing_home_connect(testing->home, other->home);
}

const void *fabric_testing_failure(const fabric_testing_t *testing)
{
    return testing->failure;
}

/* ---- faults and time ---- */

void fabric_testing_fail_store(fabric_testing_t *testing)
{
    testing_home_fail_store(testing->home);
}

void fabric_testing_restart(fabric_testing_t *testing)
{
    testing_home_move(testing->home);
}

void fabric_testing_advance(fabric_testing_t *testing, uint64_t duration_ms)
{
    testing_home_advance(testing->home, duration_ms);
}

/* ---- the state ---- */

bool fabric_testing_has_instance(const fabric_testing_t *testing)
{
    return testing_home_has_instance(testing->home);
}

const void *fabric_testing_state(fabric_testing_t *testing)
{
    const fabric_entity_type_t *type = testing->type;
    uint32_t version;
    fabric_bytes_t stored = testing_home_stored(testing->home, &version);
    if (!type->persisted) {
        return testing_home_memory(testing->home);
    }
    if (stored.size == 0 || version != type->state_version) {
        return NULL;
    }
    free(testing->read_state);
    testing->read_state = memory_allocate_zeroed(1, type->state_size);
    fabric_schema_fault_t fault = {""};
    fabric_error_t error = fabric_schema_decode(type->state, stored, &fault, testing->read_state);
    return error == FABRIC_OK ? testing->read_state : NULL;
}

const char *fabric_testing_state_json(fabric_testing_t *testing)
{
    uint32_t version;
    fabric_bytes_t stored = testing_home_stored(testing->home, &version);
    fabric_schema_fault_t fault = {""};
    free(testing->json);
    testing->json = NULL;
    if (stored.size == 0 || !testing->type->persisted ||
        fabric_schema_to_json(testing->stored_schema, stored, &fault, &testing->json) !=
            FABRIC_OK) {
        return NULL;
    }
    return testing->json;
}

fabric_error_t fabric_testing_set_state(fabric_testing_t *testing, uint32_t version,
                                        const fabric_schema_t *schema, const void *state,
                                        fabric_outcome_t *outcome)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    fabric_outcome_t own;
    outcome = outcome ? outcome : &own;
    memset(outcome, 0, sizeof *outcome);
    if (!testing->type->persisted) {
        (void)refuse(outcome, FABRIC_ERROR_INVALID_ARGUMENT, "the type is not persisted");
        return outcome->error;
    }
    fabric_error_t error = fabric_schema_encode(schema, state, testing->payload,
                                                LIMIT_PAYLOAD_BYTES_MAX, &fault, &size);
    if (error != FABRIC_OK) {
        (void)refuse(outcome, error, fault.text[0] ? fault.text : fabric_error_meaning(error));
        return error;
    }
    testing->stored_schema = schema;
    testing_home_store(testing->home, version, fabric_bytes(testing->payload, size));
    return FABRIC_OK;
}

/* ---- events ---- */

uint64_t fabric_testing_event_count(const fabric_testing_t *testing)
{
    return testing_home_event_count(testing->home);
}

static const fabric_schema_t *schema_of(const fabric_testing_t *testing, const store_event_t *event)
{
    for (const foreign_event_t *foreign = testing->foreign; foreign; foreign = foreign->next) {
        if (foreign->sequence == event->sequence) {
            return foreign->schema;
        }
    }
    for (size_t i = 0; i < testing->type->event_count; i++) {
        const fabric_event_type_t *row = &testing->type->events[i];
        if (row->version == event->version &&
            fabric_bytes_equal(fabric_bytes_of(row->tag), event->tag)) {
            return row->schema;
        }
    }
    return NULL;
}

bool fabric_testing_event(fabric_testing_t *testing, uint64_t sequence,
                          fabric_appended_event_t *event)
{
    store_event_t stored;
    fabric_schema_fault_t fault = {""};
    if (!testing_home_event(testing->home, sequence, &stored)) {
        return false;
    }
    const fabric_schema_t *schema = schema_of(testing, &stored);
    free(testing->event);
    free(testing->event_tag);
    free(testing->event_json);
    testing->event_json = NULL;
    testing->event_tag = (char *)memory_allocate_zeroed(1, stored.tag.size + 1);
    memcpy(testing->event_tag, stored.tag.data, stored.tag.size);
    testing->event = memory_allocate_zeroed(1, schema->size + 1);
    fabric_error_t error = schema_decode_growing(schema, stored.payload, &testing->event_elements,
                                                 &fault, testing->event);
    if (error == FABRIC_OK) {
        error = fabric_schema_to_json(schema, stored.payload, &fault, &testing->event_json);
    }
    assert(error == FABRIC_OK); /* the worker's own encoding */
    *event = (fabric_appended_event_t){.tag = testing->event_tag,
                                       .version = stored.version,
                                       .event = schema->field_count > 0 ? testing->event : NULL,
                                       .json = testing->event_json};
    return true;
}

fabric_error_t fabric_testing_append_event(fabric_testing_t *testing, const char *tag,
                                           uint32_t version, const fabric_schema_t *schema,
                                           const void *event, fabric_outcome_t *outcome)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    fabric_outcome_t own;
    outcome = outcome ? outcome : &own;
    memset(outcome, 0, sizeof *outcome);
    size_t tag_size = strlen(tag);
    if (testing->type->event_count == 0 || tag_size < 1 || tag_size > LIMIT_NAME_BYTES_MAX) {
        (void)refuse(outcome, FABRIC_ERROR_INVALID_ARGUMENT,
                     "the type has no events, or the tag does not have 1-255 bytes");
        return outcome->error;
    }
    fabric_error_t error = fabric_schema_encode(schema, event, testing->payload,
                                                LIMIT_PAYLOAD_BYTES_MAX, &fault, &size);
    if (error != FABRIC_OK) {
        (void)refuse(outcome, error, fault.text[0] ? fault.text : fabric_error_meaning(error));
        return error;
    }
    foreign_event_t *foreign = (foreign_event_t *)memory_allocate_zeroed(1, sizeof *foreign);
    foreign->next = testing->foreign;
    foreign->sequence = fabric_testing_event_count(testing) + 1;
    foreign->schema = schema;
    testing->foreign = foreign;
    testing_home_append(testing->home, fabric_bytes_of(tag), version,
                        fabric_bytes(testing->payload, size));
    return FABRIC_OK;
}
