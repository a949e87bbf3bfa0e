/* The entity type Account: see account.h. Built as a module for fabric-worker. */
#include <fabric/worker.h>

#include <string.h>

#include "tests/harness/account.h"

static fabric_result_t deposit(fabric_context_t *context, void *state, const void *request,
                               void *reply)
{
    account_balance_t *account = (account_balance_t *)state;
    (void)context;
    account->handled++;
    account->balance += ((const account_amount_t *)request)->amount;
    *(account_balance_t *)reply = *account;
    return FABRIC_REPLY;
}

static fabric_result_t withdraw(fabric_context_t *context, void *state, const void *request,
                                void *reply)
{
    account_balance_t *account = (account_balance_t *)state;
    uint64_t amount = ((const account_amount_t *)request)->amount;
    account->handled++;
    if (amount == 0) {
        return fabric_fail_with(context, ACCOUNT_CLOSED, NULL);
    }
    if (amount > account->balance) {
        account_insufficient_funds_t failure = {.balance = account->balance, .requested = amount};
        return fabric_fail_with(context, ACCOUNT_INSUFFICIENT_FUNDS, &failure);
    }
    account->balance -= amount;
    *(account_balance_t *)reply = *account;
    return FABRIC_REPLY;
}

static fabric_result_t withdraw_later(fabric_context_t *context, void *state, const void *request,
                                      void *reply)
{
    account_balance_t *account = (account_balance_t *)state;
    uint64_t amount = ((const account_amount_t *)request)->amount;
    fabric_pending_t *pending = fabric_later(context);
    (void)reply;
    account->handled++;
    if (amount == 0) {
        fabric_pending_fail_with(&pending, ACCOUNT_NOTED, NULL); /* not declared */
    } else if (amount > account->balance) {
        account_insufficient_funds_t failure = {.balance = account->balance, .requested = amount};
        fabric_pending_fail_with(&pending, ACCOUNT_INSUFFICIENT_FUNDS, &failure);
    } else {
        account->balance -= amount;
        fabric_pending_reply(&pending, account);
    }
    return FABRIC_PENDING;
}

static fabric_result_t note(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    size_t size = (size_t)((const account_amount_t *)request)->amount;
    char *text = (char *)fabric_context_allocate(context, size + 1);
    account_noted_t failure = {.note = "noted", .long_note = {(const uint8_t *)text, size}};
    (void)reply;
    ((account_balance_t *)state)->handled++;
    memset(text, 'n', size);
    if (size == 0) {
        memcpy(failure.note, "\xff\xfe", 3);
    }
    return fabric_fail_with(context, ACCOUNT_NOTED, &failure);
}

static const fabric_handler_t handlers[] = {{&account_deposit, deposit},
                                            {&account_withdraw, withdraw},
                                            {&account_volatile_withdraw, withdraw},
                                            {&account_withdraw_later, withdraw_later},
                                            {&account_note, note}};

static const fabric_entity_type_t account_type = {
    .name = ACCOUNT_TYPE,
    .state_size = sizeof(account_balance_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
};

FABRIC_MODULE(&account_type);
