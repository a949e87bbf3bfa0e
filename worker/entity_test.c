/* An entity alone: an executor with one shard on the calling thread. */
#include <fabric/worker.h>

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/limits.h"
#include "core/memory.h"
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
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool woken; /* a pending handler was completed */
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

fabric_entity_test_t *fabric_entity_test_new(const fabric_entity_type_t *type, const char *id)
{
    reason_t reason = {""};
    type_table_t *types = type_table_new();
    size_t id_size = id ? strlen(id) : 0;
    if (id_size < 1 || id_size > LIMIT_NAME_BYTES_MAX ||
        type_table_add(types, type, &reason) != FABRIC_OK) {
        fprintf(stderr, "fabric_entity_test_new: %s\n",
                reason.text[0] ? reason.text : "an id has 1-255 bytes");
        type_table_destroy(&types);
        return NULL;
    }
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
    test->executor = executor_new(types, on_completion, test);
    work_t *begin = work_new(WORK_BEGIN, 0, (work_source_t){0, 1}, 0);
    begin->shard = test_shard;
    begin->token = test_token;
    begin->lease = &test->lease;
    executor_give(test->executor, &begin);
    return test;
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
    work = work_add(work, &delivery);
    executor_give(test->executor, &work);
}

static fabric_result_t answer(fabric_entity_test_t *test, const fabric_message_type_t *message,
                              const message_result_t *result, void *reply, uint64_t *code,
                              char *text, size_t text_size)
{
    if (code) {
        *code = result->code;
    }
    if (text && text_size > 0) {
        bool failed = result->status != STATUS_OK;
        snprintf(text, text_size, "%.*s", failed ? (int)result->payload.size : 0,
                 (const char *)result->payload.data);
    }
    if (result->status == STATUS_FAILURE) {
        return FABRIC_FAILURE;
    }
    if (result->status != STATUS_OK) {
        test->activation++; /* as a broker does before it delivers again */
        return FABRIC_DEFECT;
    }
    if (reply && message->reply->field_count > 0 &&
        fabric_schema_decode(message->reply, result->payload, NULL, reply) != FABRIC_OK) {
        return FABRIC_DEFECT;
    }
    return FABRIC_REPLY;
}

fabric_result_t fabric_entity_test_handle(fabric_entity_test_t *test,
                                          const fabric_message_type_t *message, const void *request,
                                          void *reply, uint64_t *code, char *text, size_t text_size)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    if (fabric_schema_encode(message->request, request, test->payload, LIMIT_PAYLOAD_BYTES_MAX,
                             &fault, &size) != FABRIC_OK) {
        if (text && text_size > 0) {
            snprintf(text, text_size, "%s", fault.text);
        }
        return FABRIC_DEFECT;
    }
    give(test, message, size);
    work_output_t *output = run(test);
    wire_reader_t results = wire_reader(wire_writer_bytes(&output->results));
    wire_reader_t body;
    message_kind_t kind;
    message_result_t result;
    bool one = frame_next(&results, &body) && message_open(&body, &kind) == FABRIC_OK &&
               message_get_result(&body, &result) == FABRIC_OK;
    assert(one); /* the executor's own encoding */
    (void)one;
    fabric_result_t handled = answer(test, message, &result, reply, code, text, text_size);
    work_output_list_destroy(&output);
    return handled;
}

void fabric_entity_test_destroy(fabric_entity_test_t **test)
{
    fabric_entity_test_t *self = test ? *test : NULL;
    if (!self) {
        return;
    }
    executor_destroy(&self->executor);
    type_table_destroy(&self->types);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    free(self->payload);
    free(self);
    *test = NULL;
}
