/* The PersistentCounter entity: a number that messages add to, and that survives the worker. Built
 * as a module for fabric-worker. */
#include <fabric/worker.h>

#include "examples/persistent_counter/persistent_counter.h"

typedef struct persistent_counter {
    int64_t value;
} persistent_counter_t;

/* What is stored of it. */
static const fabric_field_t state_fields[] = {FABRIC_I64(persistent_counter_t, value)};
static const fabric_schema_t state_schema =
    FABRIC_SCHEMA("PersistentCounter", persistent_counter_t, state_fields);

/* The handler of a volatile counter would be the same: the fabric sees that the state has changed,
 * and stores it with the reply. */
static fabric_result_t increment(fabric_context_t *context, void *state, const void *request,
                                 void *reply)
{
    persistent_counter_t *counter = (persistent_counter_t *)state;
    const persistent_counter_increment_request_t *increment =
        (const persistent_counter_increment_request_t *)request;
    if (__builtin_add_overflow(counter->value, increment->amount, &counter->value)) {
        return fabric_fail(context, 1, "the counter would overflow"); /* changes nothing */
    }
    ((persistent_counter_value_t *)reply)->value = counter->value;
    return FABRIC_REPLY;
}

static fabric_result_t get_value(fabric_context_t *context, void *state, const void *request,
                                 void *reply)
{
    (void)context;
    (void)request; /* GetValue carries nothing */
    ((persistent_counter_value_t *)reply)->value = ((const persistent_counter_t *)state)->value;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {
    {&persistent_counter_increment, increment},
    {&persistent_counter_get_value, get_value},
};

static const fabric_entity_type_t persistent_counter_type = {
    .name = "PersistentCounter",
    .state_size = sizeof(persistent_counter_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    .state = &state_schema,
    .persisted = true,
};

FABRIC_MODULE(&persistent_counter_type);
