/* The fold of events beside an instance: see testing_fold.h. */
#include "worker/testing_fold.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"
#include "core/outcome.h"
#include "worker/executor_events.h"
#include "worker/executor_state.h"

static const shard_id_t fold_shard = {1u << 16 | 1u};

static message_deliver_t delivery_of(const testing_fold_t *fold, uint64_t flags)
{
    return (message_deliver_t){.shard = fold_shard.value,
                               .home_epoch = 1,
                               .owner_sequence = 1,
                               .activation = 1,
                               .flags = flags,
                               .type = fold->type->name,
                               .id = fabric_bytes_of(fold->id)};
}

/* What the instance's finalizers send is not sent: the other instance's count. */
static fabric_error_t do_not_tell(fabric_sender_t *sender, const fabric_call_t *call)
{
    (void)sender;
    (void)call;
    return FABRIC_OK;
}

static void do_not_ask(fabric_sender_t *sender, const fabric_call_t *call, void *reply,
                       fabric_outcome_t *outcome)
{
    (void)sender;
    (void)call;
    (void)reply;
    outcome_of_reason(FABRIC_ERROR_CLOSED, &(reason_t){""}, outcome);
}

/* Makes the instance, in an executor of its own, which handles no messages. */
static executor_t *make(const testing_fold_t *fold, work_lease_t *lease)
{
    static const work_source_t source = {0, 1};
    static fabric_sender_t sender = {.tell = do_not_tell, .wait = do_not_ask};
    executor_t *executor = executor_new(fold->types, NULL, &(executor_hooks_t){.sender = &sender});
    work_t *order = work_new(WORK_BEGIN, 0, source, 0);
    order->shard = fold_shard;
    order->token = (token_t){1, 1};
    order->lease = lease;
    executor_give(executor, &order);
    wire_writer_t array = {0};
    journal_events_put_array(&array, &fold->events);
    const message_deliver_t none = delivery_of(fold, REQUEST_DURABLE | WORK_STATE);
    message_deliver_t all = delivery_of(fold, REQUEST_DURABLE | WORK_STATE | WORK_EVENTS);
    message_deliver_t wake = delivery_of(fold, WORK_WAKE);
    all.position = 1;
    all.payload = wire_writer_bytes(&array);
    wake.attempt = ALIVE_BY_HANDLER;
    work_t *work = work_new(WORK_DELIVERIES, 0, source, 3);
    work = work_add(work_add(work_add(work, &none), &all), &wake);
    executor_give(executor, &work);
    while (executor_step(executor, fold->now_ms)) {
    }
    wire_writer_destroy(&array);
    return executor;
}

/* The first field in which two encoded states differ; NULL: they do not. */
static const char *find_difference(const fabric_schema_t *schema, fabric_bytes_t a,
                                   fabric_bytes_t b)
{
    wire_reader_t left = wire_reader(a);
    wire_reader_t right = wire_reader(b);
    (void)wire_get_array(&left);
    (void)wire_get_array(&right);
    for (size_t i = 0; i < schema->field_count; i++) {
        const uint8_t *left_begin = left.next;
        const uint8_t *right_begin = right.next;
        wire_skip(&left);
        wire_skip(&right);
        if (!fabric_bytes_equal(fabric_bytes(left_begin, (size_t)(left.next - left_begin)),
                                fabric_bytes(right_begin, (size_t)(right.next - right_begin)))) {
            return schema->fields[i].name;
        }
    }
    return NULL;
}

static char *json_of(const fabric_schema_t *schema, fabric_bytes_t state)
{
    char *json = NULL;
    return fabric_schema_to_json(schema, state, NULL, &json) == FABRIC_OK ? json : NULL;
}

static bool is_same(const fabric_schema_t *schema, fabric_bytes_t state, fabric_bytes_t folded,
                    const char *tag, char *text, size_t size)
{
    const char *name = find_difference(schema, state, folded);
    if (!name) {
        return true;
    }
    char *found = json_of(schema, state);
    char *made = json_of(schema, folded);
    snprintf(text, size,
             "%s has changed %s without an event: the state is %.300s, and the events make %.300s",
             tag, name, found ? found : "?", made ? made : "?");
    free(found);
    free(made);
    return false;
}

static bool is_encoded(const fabric_schema_t *schema, const void *state, wire_writer_t *encoded,
                       const char *tag, char *text, size_t size)
{
    fabric_schema_fault_t fault = {""};
    wire_writer_reserve(encoded, LIMIT_PAYLOAD_BYTES_MAX);
    if (fabric_schema_encode(schema, state, encoded->data, LIMIT_PAYLOAD_BYTES_MAX, &fault,
                             &encoded->size) == FABRIC_OK) {
        return true;
    }
    snprintf(text, size, "%s has left a state that no snapshot can have: %s", tag,
             fault.text[0] ? fault.text : "it is larger than a payload may be");
    return false;
}

static bool compare(const fabric_schema_t *schema, const void *state, const void *folded,
                    const char *tag, char *text, size_t size)
{
    wire_writer_t left = {0};
    wire_writer_t right = {0};
    bool agrees =
        is_encoded(schema, state, &left, tag, text, size) &&
        is_encoded(schema, folded, &right, tag, text, size) &&
        is_same(schema, wire_writer_bytes(&left), wire_writer_bytes(&right), tag, text, size);
    wire_writer_destroy(&left);
    wire_writer_destroy(&right);
    return agrees;
}

bool testing_fold_agrees(const testing_fold_t *fold, const void *state, const char *tag, char *text,
                         size_t size)
{
    const fabric_schema_t *schema = fold->type->type->state;
    if (!schema) {
        return true;
    }
    work_lease_t lease = {.start_until_ms = UINT64_MAX};
    executor_t *executor = make(fold, &lease);
    entity_t *entity = entity_find(&executor->entities, fold->type, fabric_bytes_of(fold->id));
    bool agrees = entity && entity_is_resident(entity);
    if (agrees) {
        agrees = compare(schema, state, entity_memory(fold->type, entity), tag, text, size);
    } else {
        snprintf(text, size, "behind %s no instance can be built of all events: %.600s", tag,
                 executor->entities.instance.text);
    }
    executor_destroy(&executor);
    return agrees;
}
