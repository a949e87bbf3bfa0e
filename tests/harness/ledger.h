/* The messages and events of the entity type Ledger, shared by its module and its tests. A Ledger
 * is what its events make: a sum. */
#ifndef TESTS_HARNESS_LEDGER_H
#define TESTS_HARNESS_LEDGER_H

#include <fabric/message_type.h>

#define LEDGER_TYPE   "Ledger"
#define LEDGER_MODULE "../tests/ledger_module.so"
#define LEDGER_ADDED  "Added"

typedef struct ledger_amount {
    int64_t amount;
    uint32_t events; /* so many times */
} ledger_amount_t;

typedef struct ledger_sum {
    int64_t sum;
} ledger_sum_t;

typedef struct ledger_added {
    int64_t amount;
    int64_t sum; /* with it */
} ledger_added_t;

static const fabric_field_t ledger_amount_fields[] = {FABRIC_I64(ledger_amount_t, amount),
                                                      FABRIC_U32(ledger_amount_t, events)};
static const fabric_schema_t ledger_amount_schema =
    FABRIC_SCHEMA("Amount", ledger_amount_t, ledger_amount_fields);
static const fabric_field_t ledger_sum_fields[] = {FABRIC_I64(ledger_sum_t, sum)};
static const fabric_schema_t ledger_sum_schema =
    FABRIC_SCHEMA("Sum", ledger_sum_t, ledger_sum_fields);
static const fabric_field_t ledger_added_fields[] = {FABRIC_I64(ledger_added_t, amount),
                                                     FABRIC_I64(ledger_added_t, sum)};
static const fabric_schema_t ledger_added_schema =
    FABRIC_SCHEMA("Added", ledger_added_t, ledger_added_fields);

/* Appends the events. */
static const fabric_message_type_t ledger_add = {
    .tag = "Add", .request = &ledger_amount_schema, .reply = &ledger_sum_schema, .durable = true};

#endif
