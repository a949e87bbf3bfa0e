/* The Counter entity: a number that messages add to. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include "examples/counter/counter.h"

typedef struct counter {
    int64_t value;
} counter_t;

static fabric_result_t increment(fabric_context_t *context, void *state, const void *request,
                                 void *reply)
{
    counter_t *counter = (counter_t *)state;
    const counter_increment_request_t *increment = (const counter_increment_request_t *)request;
    int64_t value;
    if (__builtin_add_overflow(counter->value, increment->amount, &value)) {
        return fabric_fail(context, 1, "the counter would overflow");
    }
    counter->value = value;
    ((counter_value_t *)reply)->value = value;
    return FABRIC_REPLY;
}

static fabric_result_t get_value(fabric_context_t *context, void *state, const void *request,
                                 void *reply)
{
    (void)context;
    (void)request; /* GetValue and Peek carry nothing */
    ((counter_value_t *)reply)->value = ((const counter_t *)state)->value;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {
    {&counter_increment, increment},
    {&counter_get_value, get_value},
    {&counter_peek, get_value},
};

static const fabric_entity_type_t counter_type = {
    .name = "Counter",
    .state_size = sizeof(counter_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
};

FABRIC_MODULE(&counter_type);
