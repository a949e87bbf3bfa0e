/* The messages of the Counter entity, shared by the entity and its clients. */
#ifndef COUNTER_H
#define COUNTER_H

#include <fabric/message_type.h>

/* Increment: adds an amount and answers the new value. Durable. */
typedef struct counter_increment_request {
    int64_t amount;
} counter_increment_request_t;

/* The reply of all messages. */
typedef struct counter_value {
    int64_t value;
} counter_value_t;

static const fabric_field_t counter_increment_fields[] = {
    FABRIC_I64(counter_increment_request_t, amount),
};
static const fabric_schema_t counter_increment_schema =
    FABRIC_SCHEMA("Increment", counter_increment_request_t, counter_increment_fields);

static const fabric_field_t counter_value_fields[] = {FABRIC_I64(counter_value_t, value)};
static const fabric_schema_t counter_value_schema =
    FABRIC_SCHEMA("Value", counter_value_t, counter_value_fields);

static const fabric_message_type_t counter_increment = {
    .tag = "Increment",
    .request = &counter_increment_schema,
    .reply = &counter_value_schema,
    .durable = true,
};

/* GetValue: answers the value. Durable, so that it comes after the increments sent before it. */
static const fabric_message_type_t counter_get_value = {
    .tag = "GetValue",
    .request = &fabric_schema_empty,
    .reply = &counter_value_schema,
    .durable = true,
};

/* Peek: answers the value without a store in between; fails when the entity cannot be reached. */
static const fabric_message_type_t counter_peek = {
    .tag = "Peek",
    .request = &fabric_schema_empty,
    .reply = &counter_value_schema,
};

#endif
