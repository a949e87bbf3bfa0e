/* The Account entity: money goes in and out, and each movement is an event. What is stored is the
 * history; the balance is what it makes. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include "examples/account/account.h"

typedef struct account {
    uint64_t balance;
} account_t;

/* Of snapshots, so that an old account is not built of all its events. */
static const fabric_field_t state_fields[] = {FABRIC_U64(account_t, balance)};
static const fabric_schema_t state_schema = FABRIC_SCHEMA("Account", account_t, state_fields);

/* ---- events: what has happened, and what it does to the balance ---- */

typedef struct movement {
    uint32_t amount;
} movement_t;

static const fabric_field_t movement_fields[] = {FABRIC_U32(movement_t, amount)};
static const fabric_schema_t movement_schema =
    FABRIC_SCHEMA("Movement", movement_t, movement_fields);

static void apply_deposited(void *state, const void *event)
{
    ((account_t *)state)->balance += ((const movement_t *)event)->amount;
}

static void apply_withdrawn(void *state, const void *event)
{
    ((account_t *)state)->balance -= ((const movement_t *)event)->amount;
}

static const fabric_event_type_t events[] = {
    {"Deposited", 1, &movement_schema, apply_deposited},
    {"Withdrawn", 1, &movement_schema, apply_withdrawn},
};

/* ---- messages: they check, and append; the balance changes by events alone ---- */

static fabric_result_t deposit(fabric_context_t *context, void *state, const void *request,
                               void *reply)
{
    movement_t deposited = {((const account_amount_t *)request)->amount};
    fabric_context_append(context, "Deposited", &deposited);
    ((account_balance_t *)reply)->balance = ((const account_t *)state)->balance;
    return FABRIC_REPLY;
}

static fabric_result_t withdraw(fabric_context_t *context, void *state, const void *request,
                                void *reply)
{
    const account_t *account = (const account_t *)state;
    movement_t withdrawn = {((const account_amount_t *)request)->amount};
    if (account->balance < withdrawn.amount) {
        account_insufficient_funds_t there = {account->balance, withdrawn.amount};
        return fabric_fail_with(context, ACCOUNT_INSUFFICIENT_FUNDS, &there);
    }
    fabric_context_append(context, "Withdrawn", &withdrawn);
    ((account_balance_t *)reply)->balance = account->balance;
    return FABRIC_REPLY;
}

static fabric_result_t get_balance(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    (void)context;
    (void)request; /* GetBalance carries nothing */
    ((account_balance_t *)reply)->balance = ((const account_t *)state)->balance;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {
    {&account_deposit, deposit},
    {&account_withdraw, withdraw},
    {&account_get_balance, get_balance},
};

static const fabric_entity_type_t account_type = {
    .name = "Account",
    .state_size = sizeof(account_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    .state = &state_schema,
    .events = events,
    .event_count = sizeof events / sizeof events[0],
};

FABRIC_MODULE(&account_type);
