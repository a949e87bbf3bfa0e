/* An entity alone: an executor with one shard on the calling thread. */
#include <fabric/worker.h>

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/failures.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/outcome.h"
#include "core/schema_memory.h"
#include "worker/executor.h"

struct fabric_entity_test {
    type_table_t *types;
    const fabric_entity_type_t *type;
    executor_t *executor;
    work_lease_t lease;
    char id[LIMIT_NAME_BYTES_MAX + 1];
    uint64_t request_id;
    uint64_t activation;
    uint8_t *payload; /* LIMIT_PAYLOAD_BYTES_MAX */
    /* What the views of the last reply point to. */
    wire_writer_t reply;
    schema_memory_t elements;
    void *failure; /* the values of the last typed failure; NULL: none */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken; /* a pending handler was completed */
    interrupts_t *interrupts;
    work_t *interrupt; /* of the next message; NULL: none */
    /* Of a persisted type: what is stored; without bytes: nothing is. */
    wire_writer_t state;
    uint32_t state_version;
    bool stated; /* the present activation has begun with it */
};

static const token_t test_token = {1, 1};
static const shard_id_t test_shard = {1u << 16 | 1u};

static void on_completion(void *context)
{
    fabric_entity_test_t *test = (fabric_entity_test_t *)context;
    pthread_mutex_lock(&test->lock);
    test->woken = true;
    pthread_cond_broadcast(&test->changed);
    pthread_mutex_unlock(&test->lock);
}

static fabric_error_t check(const fabric_entity_type_t *type, const char *id, type_table_t *types,
                            reason_t *reason)
{
    size_t id_size = id ? strlen(id) : 0;
    if (id_size < 1 || id_size > LIMIT_NAME_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "an id has 1-255 bytes");
    }
    return type_table_add(types, type, reason);
}

static fabric_entity_test_t *make(const fabric_entity_type_t *type, const char *id,
                                  type_table_t *types)
{
    fabric_entity_test_t *test = (fabric_entity_test_t *)memory_allocate_zeroed(1, sizeof *test);
    test->payload = (uint8_t *)memory_allocate(LIMIT_PAYLOAD_BYTES_MAX);
    if (pthread_mutex_init(&test->lock, NULL) != 0 ||
        pthread_cond_init(&test->changed, NULL) != 0) {
        abort();
    }
    test->types = types;
    test->type = type;
    test->activation = 1;
    strcpy(test->id, id);
    atomic_init(&test->lease.start_until_ms, UINT64_MAX);
    test->interrupts = interrupts_new();
    test->executor = executor_new(types, NULL,
                                  &(executor_hooks_t){.wake = on_completion,
                                                      .wake_context = test,
                                                      .interrupts = test->interrupts});
    work_t *begin = work_new(WORK_BEGIN, 0, (work_source_t){0, 1}, 0);
    begin->shard = test_shard;
    begin->token = test_token;
    begin->lease = &test->lease;
    executor_give(test->executor, &begin);
    return test;
}

fabric_error_t fabric_entity_test_open(const fabric_entity_type_t *type, const char *id,
                                       fabric_entity_test_t **test, fabric_outcome_t *outcome)
{
    reason_t reason = {""};
    type_table_t *types = type_table_new();
    *test = NULL;
    fabric_error_t error = check(type, id, types, &reason);
    if (error == FABRIC_OK) {
        *test = make(type, id, types);
    } else {
        type_table_destroy(&types);
    }
    if (outcome) {
        outcome_of_reason(error, &reason, outcome);
    }
    return error;
}

void fabric_entity_test_cancel(fabric_entity_test_t *test)
{
    if (test->interrupt) {
        return;
    }
    work_t *order = work_new(WORK_INTERRUPT, 0, (work_source_t){0, 1}, 1);
    const message_deliver_t named = {.shard = test_shard.value,
                                     .home_epoch = test_token.home_epoch,
                                     .owner_sequence = test_token.owner_sequence,
                                     .request_id = test->request_id + 1,
                                     .type = fabric_bytes_of(test->type->name),
                                     .id = fabric_bytes_of(test->id)};
    order->shard = test_shard;
    order->token = test_token;
    test->interrupt = work_add(order, &named);
    interrupts_announce(test->interrupts, test->interrupt);
}

/* Runs the executor until it has a result, which may have to be waited for. */
static work_output_t *run(fabric_entity_test_t *test)
{
    for (;;) {
        while (executor_step(test->executor, clock_monotonic_ms())) {
        }
        work_output_t *output = executor_take_output(test->executor);
        if (output) {
            return output;
        }
        executor_give(test->executor, &test->interrupt); /* to a handler that is pending */
        pthread_mutex_lock(&test->lock);
        while (!test->woken) {
            pthread_cond_wait(&test->changed, &test->lock);
        }
        test->woken = false;
        pthread_mutex_unlock(&test->lock);
    }
}

static void give(fabric_entity_test_t *test, const fabric_message_type_t *message, size_t size)
{
    work_t *work = work_new(WORK_DELIVERIES, 0, (work_source_t){0, 1}, 1);
    message_deliver_t delivery = {
        .shard = test_shard.value,
        .home_epoch = test_token.home_epoch,
        .owner_sequence = test_token.owner_sequence,
        .activation = test->activation,
        .request_id = ++test->request_id,
        .delivery = 1,
        .attempt = 1,
        .flags = message->durable ? REQUEST_DURABLE : 0,
        .type = fabric_bytes_of(test->type->name),
        .id = fabric_bytes_of(test->id),
        .tag = fabric_bytes_of(message->tag),
        .payload = fabric_bytes(test->payload, size),
    };
    if (test->type->persisted && !test->stated) {
        message_deliver_t state = delivery;
        state.flags = REQUEST_DURABLE | WORK_STATE;
        state.attempt = test->state_version;
        state.payload = wire_writer_bytes(&test->state);
        work = work_add(work, &state);
        test->stated = true;
    }
    work = work_add(work, &delivery);
    executor_give(test->executor, &work);
}

static bool decode(fabric_entity_test_t *test, const fabric_schema_t *schema,
                   fabric_bytes_t payload, fabric_schema_fault_t *fault, void *value)
{
    wire_writer_reset(&test->reply);
    wire_append(&test->reply, payload.data, payload.size);
    return schema_decode_growing(schema, wire_writer_bytes(&test->reply), &test->elements, fault,
                                 value) == FABRIC_OK;
}

static void take_typed_failure(fabric_entity_test_t *test, const fabric_message_type_t *message,
                               const message_result_t *result, fabric_outcome_t *outcome)
{
    outcome_set_failure(outcome, message->failures, result->payload);
    if (outcome->failure && outcome->failure->schema->field_count > 0) {
        fabric_schema_fault_t fault = {""};
        test->failure = memory_allocate_zeroed(1, outcome->failure->schema->size);
        bool fits = decode(test, outcome->failure->schema, result->payload, &fault, test->failure);
        assert(fits); /* the worker's own encoding */
        (void)fits;
    }
}

static fabric_result_t answer(fabric_entity_test_t *test, const fabric_message_type_t *message,
                              const message_result_t *result, void *reply,
                              fabric_outcome_t *outcome)
{
    outcome->error = fabric_error_from_number(result->error);
    outcome->code = result->code;
    outcome->request_id = result->request_id;
    if (result->status == STATUS_TYPED_FAILURE) {
        take_typed_failure(test, message, result, outcome);
    } else if (result->status != STATUS_OK) {
        outcome_set_text(outcome, result->payload);
    }
    if (result->error == FABRIC_ERROR_CANCELLED) {
        return FABRIC_INTERRUPTED;
    }
    if (result->status == STATUS_FAILURE || result->status == STATUS_TYPED_FAILURE) {
        return FABRIC_FAILURE;
    }
    if (result->status != STATUS_OK) {
        test->activation++; /* as a broker does before it delivers again */
        test->stated = false;
        return FABRIC_DEFECT;
    }
    fabric_schema_fault_t fault = {""};
    if (reply && message->reply->field_count > 0 &&
        !decode(test, message->reply, result->payload, &fault, reply)) {
        outcome->error = FABRIC_ERROR_MALFORMED_MESSAGE;
        outcome_set_text(outcome, fabric_bytes_of(fault.text));
        return FABRIC_DEFECT;
    }
    return FABRIC_REPLY;
}

/* Stores the state that comes with a result. */
static bool get_result(fabric_entity_test_t *test, wire_reader_t *body, message_kind_t kind,
                       message_result_t *result)
{
    message_result_state_t changed;
    if (kind == KIND_RESULT) {
        return message_get_result(body, result) == FABRIC_OK;
    }
    if (message_get_result_state(body, &changed) != FABRIC_OK) {
        return false;
    }
    *result = work_result_of_state(&changed);
    wire_writer_reset(&test->state);
    wire_append(&test->state, changed.state.data, changed.state.size);
    test->state_version = (uint32_t)changed.version;
    return true;
}

/* The output may also say what keeps the entity alive. */
static bool find_result(fabric_entity_test_t *test, const work_output_t *output,
                        message_result_t *result)
{
    wire_reader_t messages = wire_reader(work_output_messages(output));
    wire_reader_t body;
    message_kind_t kind;
    while (frame_next(&messages, &body)) {
        if (message_open(&body, &kind) == FABRIC_OK && kind != KIND_ALIVE) {
            bool sound = get_result(test, &body, kind, result);
            assert(sound); /* the executor's own encoding */
            return sound;
        }
    }
    return false;
}

static fabric_result_t handle_encoded(fabric_entity_test_t *test,
                                      const fabric_message_type_t *message, size_t size,
                                      void *reply, fabric_outcome_t *outcome)
{
    message_result_t result;
    give(test, message, size);
    work_output_t *output = run(test);
    while (!find_result(test, output, &result)) {
        work_output_list_destroy(&output);
        output = run(test);
    }
    executor_give(test->executor, &test->interrupt);
    fabric_result_t handled = answer(test, message, &result, reply, outcome);
    work_output_list_destroy(&output);
    return handled;
}

fabric_result_t fabric_entity_test_handle(fabric_entity_test_t *test,
                                          const fabric_message_type_t *message, const void *request,
                                          void *reply, fabric_outcome_t *outcome)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    fabric_outcome_t own;
    outcome = outcome ? outcome : &own;
    memset(outcome, 0, sizeof *outcome);
    free(test->failure);
    test->failure = NULL;
    fabric_error_t error = fabric_schema_encode(message->request, request, test->payload,
                                                LIMIT_PAYLOAD_BYTES_MAX, &fault, &size);
    if (error != FABRIC_OK) {
        outcome->error = error;
        outcome_set_text(outcome,
                         fabric_bytes_of(fault.text[0] ? fault.text : fabric_error_meaning(error)));
        return FABRIC_DEFECT;
    }
    return handle_encoded(test, message, size, reply, outcome);
}

const void *fabric_entity_test_failure(const fabric_entity_test_t *test)
{
    return test->failure;
}

void fabric_entity_test_close(fabric_entity_test_t **test)
{
    fabric_entity_test_t *self = *test;
    if (!self) {
        return;
    }
    executor_destroy(&self->executor);
    interrupts_destroy(&self->interrupts);
    work_destroy(&self->interrupt);
    type_table_destroy(&self->types);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    wire_writer_destroy(&self->reply);
    wire_writer_destroy(&self->state);
    schema_memory_free(&self->elements);
    free(self->failure);
    free(self->payload);
    free(self);
    *test = NULL;
}
