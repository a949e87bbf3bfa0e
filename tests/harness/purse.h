/* The messages of the entity types Purse and Chest, whose states are persisted, shared by their
 * module and its tests. A Purse holds an amount; a Chest holds many bytes. */
#ifndef TESTS_HARNESS_PURSE_H
#define TESTS_HARNESS_PURSE_H

#include <fabric/message_type.h>

#define PURSE_TYPE   "Purse"
#define CHEST_TYPE   "Chest"
#define PURSE_MODULE "../tests/purse_module.so"

enum { CHEST_BYTES = 1000000 };

typedef struct purse_amount {
    int64_t amount;
} purse_amount_t;

typedef struct purse_content {
    int64_t amount;   /* in all */
    uint64_t builds;  /* instances so far that began without a stored state */
    uint64_t handled; /* messages of this instance, this one included; it is not stored */
    /* Of the worker's process: instances so far that began with a stored state, and what the last
     * one of them began with. */
    uint64_t restored;
    int64_t restored_amount;
} purse_content_t;

static const fabric_field_t purse_amount_fields[] = {FABRIC_I64(purse_amount_t, amount)};
static const fabric_schema_t purse_amount_schema =
    FABRIC_SCHEMA("Amount", purse_amount_t, purse_amount_fields);
static const fabric_field_t purse_content_fields[] = {
    FABRIC_I64(purse_content_t, amount), FABRIC_U64(purse_content_t, builds),
    FABRIC_U64(purse_content_t, handled), FABRIC_U64(purse_content_t, restored),
    FABRIC_I64(purse_content_t, restored_amount)};
static const fabric_schema_t purse_content_schema =
    FABRIC_SCHEMA("Content", purse_content_t, purse_content_fields);

/* Adds the amount. */
static const fabric_message_type_t purse_put = {
    .tag = "Put", .request = &purse_amount_schema, .reply = &purse_content_schema, .durable = true};
/* The same with early delivery. */
static const fabric_message_type_t purse_put_early = {.tag = "PutEarly",
                                                      .request = &purse_amount_schema,
                                                      .reply = &purse_content_schema,
                                                      .durable = true,
                                                      .early_delivery = true};
/* Adds the amount, and keeps the entity alive. */
static const fabric_message_type_t purse_keep = {.tag = "Keep",
                                                 .request = &purse_amount_schema,
                                                 .reply = &purse_content_schema,
                                                 .durable = true};
/* Says what is there. */
static const fabric_message_type_t purse_look = {
    .tag = "Look", .request = &fabric_schema_empty, .reply = &purse_content_schema};
/* Adds the amount and breaks, as often as that; then replies. */
static const fabric_message_type_t purse_spoil = {.tag = "Spoil",
                                                  .request = &purse_amount_schema,
                                                  .reply = &purse_content_schema,
                                                  .durable = true};
/* Adds the amount though it is volatile, which it must not. */
static const fabric_message_type_t purse_snatch = {
    .tag = "Snatch", .request = &purse_amount_schema, .reply = &purse_content_schema};

/* Takes the amount out, and fails if less was there: with what it finds then. */
typedef enum purse_failure { PURSE_TOO_LITTLE = 1 } purse_failure_t;

static const fabric_choice_t purse_failure_items[] = {
    FABRIC_VARIANT(PURSE_TOO_LITTLE, "TooLittle", purse_content_schema, NULL)};
static const fabric_choices_t purse_failures = FABRIC_CHOICES("TakeFailure", purse_failure_items);
static const fabric_message_type_t purse_take = {.tag = "Take",
                                                 .request = &purse_amount_schema,
                                                 .reply = &purse_content_schema,
                                                 .durable = true,
                                                 .failures = &purse_failures};

/* Of a Chest: fills it with this byte, and says what was in it before: 0, or the one byte. */
static const fabric_message_type_t chest_fill = {
    .tag = "Fill", .request = &purse_amount_schema, .reply = &purse_amount_schema, .durable = true};

#endif
