/* The messages of the entity types Life, LifeSkip, LifePark and LifeCaller, shared by their module
 * and the integration tests. The types differ in what becomes of a message that fails. Their
 * mailboxes hold 10 messages.
 *
 * Each instance notes in the file "life" in the folder $PROBE_FOLDER what happens to it, one line
 * for each event:
 *     event, entity id, shard, runner name
 * where the event is built, failed, first, second (its finalizers, in the order in which they were
 * added), acquired, released or left. A build fails while the gate "away" exists; a gate is a file
 * in the same folder. A build acquires the resource of Rent while the gate "rented" exists.
 */
#ifndef TESTS_HARNESS_LIFE_H
#define TESTS_HARNESS_LIFE_H

#include <fabric/message_type.h>

#define LIFE_TYPE   "Life"
#define LIFE_SKIP   "LifeSkip"
#define LIFE_PARK   "LifePark"
#define LIFE_CALLER "LifeCaller"
#define LIFE_MODULE "../tests/life_module.so"
#define LIFE_FILE   "life"
#define LIFE_AWAY   "away"
#define LIFE_RENTED "rented"

enum { LIFE_CAPACITY = 10, LIFE_RENT_MS = 1500 };

typedef struct life_number {
    uint64_t number;
} life_number_t;

typedef struct life_gate {
    char name[32];
} life_gate_t;

static const fabric_field_t life_number_fields[] = {FABRIC_U64(life_number_t, number)};
static const fabric_schema_t life_number_schema =
    FABRIC_SCHEMA("Number", life_number_t, life_number_fields);
static const fabric_field_t life_gate_fields[] = {FABRIC_STRING(life_gate_t, name)};
static const fabric_schema_t life_gate_schema =
    FABRIC_SCHEMA("Gate", life_gate_t, life_gate_fields);

/* Answers which message of its instance it is. */
static const fabric_message_type_t life_count = {
    .tag = "Count", .request = &fabric_schema_empty, .reply = &life_number_schema, .durable = true};
/* The same once a gate exists, until then it is pending. */
static const fabric_message_type_t life_hold = {
    .tag = "Hold", .request = &life_gate_schema, .reply = &life_number_schema, .durable = true};
static const fabric_message_type_t life_volatile_hold = {
    .tag = "VolatileHold", .request = &life_gate_schema, .reply = &life_number_schema};
/* Breaks until a gate exists. */
static const fabric_message_type_t life_break = {
    .tag = "Break", .request = &life_gate_schema, .reply = &life_number_schema, .durable = true};
/* Acquires the entity's resource, or closes it. */
static const fabric_message_type_t life_acquire = {.tag = "Acquire",
                                                   .request = &fabric_schema_empty,
                                                   .reply = &fabric_schema_empty,
                                                   .durable = true};
static const fabric_message_type_t life_close = {.tag = "Close",
                                                 .request = &fabric_schema_empty,
                                                 .reply = &fabric_schema_empty,
                                                 .durable = true};

/* Whether the entity keeps itself alive: not with number 0. */
static const fabric_message_type_t life_keep = {
    .tag = "Keep", .request = &life_number_schema, .reply = &fabric_schema_empty, .durable = true};
static const fabric_message_type_t life_volatile_keep = {
    .tag = "VolatileKeep", .request = &life_number_schema, .reply = &fabric_schema_empty};
/* Terminates the entity. */
static const fabric_message_type_t life_end = {
    .tag = "End", .request = &fabric_schema_empty, .reply = &fabric_schema_empty, .durable = true};
/* Acquires a resource that is released when nobody has asked for it for LIFE_RENT_MS. */
static const fabric_message_type_t life_rent = {
    .tag = "Rent", .request = &fabric_schema_empty, .reply = &fabric_schema_empty, .durable = true};

#endif
