/* The messages of the entity type Probe, shared by its module and the integration tests.
 *
 * The module appends a line to the file "starts" in the folder $PROBE_FOLDER each time a handler
 * starts, by one write(), so that the line survives a kill:
 *     monotonic microseconds, process id, request id, delivery, attempt, number, tag, entity id
 * A gate is a file in the same folder. $PROBE_WORK_US is how long each Append takes (0).
 */
#ifndef TESTS_HARNESS_PROBE_H
#define TESTS_HARNESS_PROBE_H

#include <fabric/message_type.h>

#include "tests/harness/padding.h"

#define PROBE_TYPE       "Probe"
#define PROBE_FOLDER     "PROBE_FOLDER"  /* environment variable */
#define PROBE_WORK_US    "PROBE_WORK_US" /* likewise */
#define PROBE_STARTS     "starts"
#define PROBE_STARTS_ROW "%llu %d %llu %u %u %llu %s %s\n"

typedef struct probe_number {
    uint64_t number;
} probe_number_t;

/* A number, and bytes by it that make the message large. */
typedef struct probe_padded {
    uint64_t number;
    padding_t padding;
} probe_padded_t;

typedef struct probe_text {
    char text[64];
} probe_text_t;

typedef struct probe_failure {
    uint64_t code;
    char text[64];
} probe_failure_t;

/* How to end the process. */
typedef struct probe_end {
    uint64_t times; /* up to the delivery of that number */
    /* "null", "abort", "stack", "exit", "memory" (takes all, and uses what there is not), or
     * "_exit", which no process can note. */
    char way[16];
} probe_end_t;

/* What Append answers. */
typedef struct probe_place {
    uint64_t position; /* in the list in memory: 1, 2, ... */
    uint64_t hash;     /* of the list */
    uint64_t delivery;
} probe_place_t;

static const fabric_field_t probe_number_fields[] = {FABRIC_U64(probe_number_t, number)};
static const fabric_schema_t probe_number_schema =
    FABRIC_SCHEMA("Number", probe_number_t, probe_number_fields);

static const fabric_field_t probe_padded_fields[] = {FABRIC_U64(probe_padded_t, number),
                                                     FABRIC_BYTES(probe_padded_t, padding)};
static const fabric_schema_t probe_padded_schema =
    FABRIC_SCHEMA("Padded", probe_padded_t, probe_padded_fields);

static const fabric_field_t probe_text_fields[] = {FABRIC_STRING(probe_text_t, text)};
static const fabric_schema_t probe_text_schema =
    FABRIC_SCHEMA("Text", probe_text_t, probe_text_fields);

static const fabric_field_t probe_failure_fields[] = {FABRIC_U64(probe_failure_t, code),
                                                      FABRIC_STRING(probe_failure_t, text)};
static const fabric_schema_t probe_failure_schema =
    FABRIC_SCHEMA("Failure", probe_failure_t, probe_failure_fields);

static const fabric_field_t probe_end_fields[] = {FABRIC_U64(probe_end_t, times),
                                                  FABRIC_STRING(probe_end_t, way)};
static const fabric_schema_t probe_end_schema = FABRIC_SCHEMA("End", probe_end_t, probe_end_fields);

static const fabric_field_t probe_place_fields[] = {FABRIC_U64(probe_place_t, position),
                                                    FABRIC_U64(probe_place_t, hash),
                                                    FABRIC_U64(probe_place_t, delivery)};
static const fabric_schema_t probe_place_schema =
    FABRIC_SCHEMA("Place", probe_place_t, probe_place_fields);

/* Appends a number to the list in memory. */
static const fabric_message_type_t probe_append = {.tag = "Append",
                                                   .request = &probe_number_schema,
                                                   .reply = &probe_place_schema,
                                                   .durable = true};
/* The same, with padding, which must be the number's. */
static const fabric_message_type_t probe_padded_append = {.tag = "PaddedAppend",
                                                          .request = &probe_padded_schema,
                                                          .reply = &probe_place_schema,
                                                          .durable = true};
static const fabric_message_type_t probe_volatile_append = {
    .tag = "VolatileAppend", .request = &probe_number_schema, .reply = &probe_place_schema};
/* Answer what they were asked. */
static const fabric_message_type_t probe_echo = {
    .tag = "Echo", .request = &probe_text_schema, .reply = &probe_text_schema, .durable = true};
static const fabric_message_type_t probe_volatile_echo = {
    .tag = "VolatileEcho", .request = &probe_text_schema, .reply = &probe_text_schema};
/* Is pending for `number` milliseconds, and answers the number of its delivery. */
static const fabric_message_type_t probe_slow = {
    .tag = "Slow", .request = &probe_number_schema, .reply = &probe_number_schema, .durable = true};
/* Are pending until the gate of that name exists. */
static const fabric_message_type_t probe_hold = {
    .tag = "Hold", .request = &probe_text_schema, .reply = &probe_number_schema, .durable = true};
static const fabric_message_type_t probe_volatile_hold = {
    .tag = "VolatileHold", .request = &probe_text_schema, .reply = &probe_number_schema};
/* Fails with that code and text. */
static const fabric_message_type_t probe_fail = {.tag = "Fail",
                                                 .request = &probe_failure_schema,
                                                 .reply = &fabric_schema_empty,
                                                 .durable = true};
/* Ends in a defect until the attempt of that number, and answers the number of its attempt. */
static const fabric_message_type_t probe_defect = {.tag = "Defect",
                                                   .request = &probe_number_schema,
                                                   .reply = &probe_number_schema,
                                                   .durable = true};
/* Answers what its schema does not allow. */
static const fabric_message_type_t probe_bad_reply = {.tag = "BadReply",
                                                      .request = &fabric_schema_empty,
                                                      .reply = &probe_text_schema,
                                                      .durable = true};
/* Ends its process in the first `times` deliveries, in some way; later ones answer the number of
 * the delivery. */
static const fabric_message_type_t probe_crash = {
    .tag = "Crash", .request = &probe_end_schema, .reply = &probe_number_schema, .durable = true};

#endif
