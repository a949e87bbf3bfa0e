/* The messages of the PersistentCounter entity, shared by the entity and its clients. */
#ifndef PERSISTENT_COUNTER_H
#define PERSISTENT_COUNTER_H

#include <fabric/message_type.h>

/* Increment: adds an amount and answers the new value. Durable, as what changes a state must be. */
typedef struct persistent_counter_increment_request {
    int64_t amount;
} persistent_counter_increment_request_t;

/* The reply of both messages. */
typedef struct persistent_counter_value {
    int64_t value;
} persistent_counter_value_t;

static const fabric_field_t persistent_counter_increment_fields[] = {
    FABRIC_I64(persistent_counter_increment_request_t, amount),
};
static const fabric_schema_t persistent_counter_increment_schema = FABRIC_SCHEMA(
    "Increment", persistent_counter_increment_request_t, persistent_counter_increment_fields);

static const fabric_field_t persistent_counter_value_fields[] = {
    FABRIC_I64(persistent_counter_value_t, value)};
static const fabric_schema_t persistent_counter_value_schema =
    FABRIC_SCHEMA("Value", persistent_counter_value_t, persistent_counter_value_fields);

static const fabric_message_type_t persistent_counter_increment = {
    .tag = "Increment",
    .request = &persistent_counter_increment_schema,
    .reply = &persistent_counter_value_schema,
    .durable = true,
};

/* GetValue: answers the value, and stores nothing. */
static const fabric_message_type_t persistent_counter_get_value = {
    .tag = "GetValue",
    .request = &fabric_schema_empty,
    .reply = &persistent_counter_value_schema,
};

#endif
