/* The messages of the Account entity, shared by the entity and its clients. */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <fabric/message_type.h>

/* Deposit and Withdraw: both are durable, as what appends events must be. */
typedef struct account_amount {
    uint32_t amount;
} account_amount_t;

/* The reply of all messages. */
typedef struct account_balance {
    uint64_t balance;
} account_balance_t;

/* Withdraw: there is less than was requested. */
typedef struct account_insufficient_funds {
    uint64_t balance;
    uint32_t requested;
} account_insufficient_funds_t;

enum { ACCOUNT_INSUFFICIENT_FUNDS = 1 };

static const fabric_field_t account_amount_fields[] = {FABRIC_U32(account_amount_t, amount)};
static const fabric_schema_t account_amount_schema =
    FABRIC_SCHEMA("Amount", account_amount_t, account_amount_fields);

static const fabric_field_t account_balance_fields[] = {FABRIC_U64(account_balance_t, balance)};
static const fabric_schema_t account_balance_schema =
    FABRIC_SCHEMA("Balance", account_balance_t, account_balance_fields);

static const fabric_field_t account_insufficient_funds_fields[] = {
    FABRIC_U64(account_insufficient_funds_t, balance),
    FABRIC_U32(account_insufficient_funds_t, requested),
};
static const fabric_schema_t account_insufficient_funds_schema = FABRIC_SCHEMA(
    "InsufficientFunds", account_insufficient_funds_t, account_insufficient_funds_fields);

static const fabric_choice_t account_withdraw_failure_items[] = {
    FABRIC_VARIANT(ACCOUNT_INSUFFICIENT_FUNDS, "InsufficientFunds",
                   account_insufficient_funds_schema, "There is less than was requested."),
};
static const fabric_choices_t account_withdraw_failures =
    FABRIC_CHOICES("WithdrawFailure", account_withdraw_failure_items);

static const fabric_message_type_t account_deposit = {
    .tag = "Deposit",
    .request = &account_amount_schema,
    .reply = &account_balance_schema,
    .durable = true,
};

static const fabric_message_type_t account_withdraw = {
    .tag = "Withdraw",
    .request = &account_amount_schema,
    .reply = &account_balance_schema,
    .durable = true,
    .failures = &account_withdraw_failures,
};

/* GetBalance: answers the balance, and appends nothing. */
static const fabric_message_type_t account_get_balance = {
    .tag = "GetBalance",
    .request = &fabric_schema_empty,
    .reply = &account_balance_schema,
};

#endif
