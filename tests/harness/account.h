/* The messages of the entity type Account, shared by its module and the tests of typed failures.
 * An Account has a balance, which a withdrawal cannot make negative. */
#ifndef TESTS_HARNESS_ACCOUNT_H
#define TESTS_HARNESS_ACCOUNT_H

#include <fabric/message_type.h>

#define ACCOUNT_TYPE   "Account"
#define ACCOUNT_MODULE "../tests/account_module.so"

typedef struct account_amount {
    uint64_t amount;
} account_amount_t;

typedef struct account_balance {
    uint64_t balance;
    uint64_t handled; /* messages of this instance */
} account_balance_t;

static const fabric_field_t account_amount_fields[] = {FABRIC_U64(account_amount_t, amount)};
static const fabric_schema_t account_amount_schema =
    FABRIC_SCHEMA("Amount", account_amount_t, account_amount_fields);
static const fabric_field_t account_balance_fields[] = {FABRIC_U64(account_balance_t, balance),
                                                        FABRIC_U64(account_balance_t, handled)};
static const fabric_schema_t account_balance_schema =
    FABRIC_SCHEMA("Balance", account_balance_t, account_balance_fields);

/* ---- failures ---- */

typedef struct account_insufficient_funds {
    uint64_t balance;
    uint64_t requested;
} account_insufficient_funds_t;

typedef struct account_noted {
    char note[8];
    fabric_bytes_t long_note;
} account_noted_t;

static const fabric_field_t account_insufficient_funds_fields[] = {
    FABRIC_U64(account_insufficient_funds_t, balance),
    FABRIC_U64(account_insufficient_funds_t, requested)};
static const fabric_schema_t account_insufficient_funds_schema =
    FABRIC_SCHEMA("Funds", account_insufficient_funds_t, account_insufficient_funds_fields);
static const fabric_field_t account_noted_fields[] = {
    FABRIC_STRING(account_noted_t, note), FABRIC_STRING_VIEW(account_noted_t, long_note)};
static const fabric_schema_t account_noted_schema =
    FABRIC_SCHEMA("Noted", account_noted_t, account_noted_fields);

enum { ACCOUNT_INSUFFICIENT_FUNDS = 7, ACCOUNT_CLOSED = 8, ACCOUNT_NOTED = 9 };

static const fabric_choice_t account_failure_items[] = {
    FABRIC_VARIANT(ACCOUNT_INSUFFICIENT_FUNDS, "InsufficientFunds",
                   account_insufficient_funds_schema, "The balance is too small."),
    FABRIC_VARIANT(ACCOUNT_CLOSED, "Closed", fabric_schema_empty, NULL)};
static const fabric_choices_t account_failures =
    FABRIC_CHOICES("WithdrawFailure", account_failure_items);

static const fabric_choice_t account_note_items[] = {
    FABRIC_VARIANT(ACCOUNT_NOTED, "Noted", account_noted_schema, NULL)};
static const fabric_choices_t account_note_failures =
    FABRIC_CHOICES("NoteFailure", account_note_items);

/* What the failures of Withdraw are decoded into. */
typedef union account_failure {
    account_insufficient_funds_t insufficient_funds;
} account_failure_t;

/* ---- messages ---- */

static const fabric_message_type_t account_deposit = {.tag = "Deposit",
                                                      .request = &account_amount_schema,
                                                      .reply = &account_balance_schema,
                                                      .durable = true};
/* InsufficientFunds; Closed for the amount 0. */
static const fabric_message_type_t account_withdraw = {.tag = "Withdraw",
                                                       .request = &account_amount_schema,
                                                       .reply = &account_balance_schema,
                                                       .durable = true,
                                                       .failures = &account_failures};
static const fabric_message_type_t account_volatile_withdraw = {.tag = "VolatileWithdraw",
                                                                .request = &account_amount_schema,
                                                                .reply = &account_balance_schema,
                                                                .failures = &account_failures};
/* As Withdraw, completed by a handle. */
static const fabric_message_type_t account_withdraw_later = {.tag = "WithdrawLater",
                                                             .request = &account_amount_schema,
                                                             .reply = &account_balance_schema,
                                                             .durable = true,
                                                             .failures = &account_failures};
/* Fails with a note that has so many bytes, and with one that is no text for the amount 0. */
static const fabric_message_type_t account_note = {.tag = "Note",
                                                   .request = &account_amount_schema,
                                                   .reply = &fabric_schema_empty,
                                                   .durable = true,
                                                   .failures = &account_note_failures};

#endif
