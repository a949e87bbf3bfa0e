/* The entity type Ledger: see ledger.h. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include "tests/harness/ledger.h"

static void apply_added(void *state, const void *event)
{
    ((ledger_sum_t *)state)->sum = ((const ledger_added_t *)event)->sum;
}

static const fabric_event_type_t events[] = {{LEDGER_ADDED, 1, &ledger_added_schema, apply_added}};

static fabric_result_t add(fabric_context_t *context, void *state, const void *request, void *reply)
{
    const ledger_amount_t *amount = request;
    ledger_sum_t *ledger = (ledger_sum_t *)state;
    for (uint32_t i = 0; i < amount->events; i++) {
        ledger_added_t added = {amount->amount, ledger->sum + amount->amount};
        fabric_context_append(context, LEDGER_ADDED, &added);
    }
    *(ledger_sum_t *)reply = *ledger;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&ledger_add, add}};
static const fabric_entity_type_t ledger_type = {
    .name = LEDGER_TYPE,
    .state_size = sizeof(ledger_sum_t),
    .handlers = handlers,
    .handler_count = 1,
    .events = events,
    .event_count = 1,
};

FABRIC_MODULE(&ledger_type);
