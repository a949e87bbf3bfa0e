/* The messages of the entity types Errand, Calm, Devoted and Stubborn, shared by their module and
 * the integration tests. Their handlers take until they are interrupted, or until a gate exists: a
 * file in the folder $PROBE_FOLDER, as testbed_open_gate() makes it. Each start of a handler, and
 * each interrupt, is a line in the file `errands` there: "start run-1 1" or "interrupt run-1 2",
 * with the delivery, or the reason. Before a start of Block there is also "effect run-1 KEY", with
 * the key of an effect. */
#ifndef TESTS_HARNESS_ERRAND_H
#define TESTS_HARNESS_ERRAND_H

#include <fabric/message_type.h>

#define ERRAND_TYPE   "Errand"
#define CALM_TYPE     "Calm"     /* does not hear of stops */
#define DEVOTED_TYPE  "Devoted"  /* does not hear of callers */
#define STUBBORN_TYPE "Stubborn" /* hears of neither */
#define ERRAND_MODULE "../tests/errand_module.so"

typedef struct errand_gate {
    char name[32];
} errand_gate_t;

/* Which delivery of its message was answered. */
typedef struct errand_answer {
    uint32_t delivery;
} errand_answer_t;

static const fabric_field_t errand_gate_fields[] = {FABRIC_STRING(errand_gate_t, name)};
static const fabric_schema_t errand_gate_schema =
    FABRIC_SCHEMA("ErrandGate", errand_gate_t, errand_gate_fields);
static const fabric_field_t errand_answer_fields[] = {FABRIC_U32(errand_answer_t, delivery)};
static const fabric_schema_t errand_answer_schema =
    FABRIC_SCHEMA("ErrandAnswer", errand_answer_t, errand_answer_fields);

/* The handler does not return. */
static const fabric_message_type_t errand_block = {.tag = "Block",
                                                   .request = &errand_gate_schema,
                                                   .reply = &errand_answer_schema,
                                                   .durable = true};
/* It is pending. */
static const fabric_message_type_t errand_wait = {
    .tag = "Wait", .request = &errand_gate_schema, .reply = &errand_answer_schema, .durable = true};
/* The same, volatile. */
static const fabric_message_type_t errand_idle = {
    .tag = "Idle", .request = &errand_gate_schema, .reply = &errand_answer_schema};

#endif
