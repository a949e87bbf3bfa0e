/* The messages of the entity type User, shared by its module and the integration tests. Few
 * volatile messages may wait for a User. A gate is a file in the folder $PROBE_FOLDER, as
 * testbed_open_gate() makes it. */
#ifndef TESTS_HARNESS_USER_H
#define TESTS_HARNESS_USER_H

#include <fabric/message_type.h>

#define USER_TYPE   "User"
#define USER_MODULE "../tests/user_module.so"
#define USER_HEADER "caller" /* whose value a User tells */

enum { USER_MAILBOX = 10 };

/* Which visit of its instance it is, the number of that instance in the worker's process, that
 * process, and what the request's header was. */
typedef struct user_visit {
    uint64_t visit;
    uint64_t instance;
    uint64_t process;
    uint64_t delivery;
    char caller[32];
} user_visit_t;

typedef struct user_gate {
    char name[32];
} user_gate_t;

static const fabric_field_t user_visit_fields[] = {
    FABRIC_U64(user_visit_t, visit), FABRIC_U64(user_visit_t, instance),
    FABRIC_U64(user_visit_t, process), FABRIC_U64(user_visit_t, delivery),
    FABRIC_STRING(user_visit_t, caller)};
static const fabric_schema_t user_visit_schema =
    FABRIC_SCHEMA("UserVisit", user_visit_t, user_visit_fields);
static const fabric_field_t user_gate_fields[] = {FABRIC_STRING(user_gate_t, name)};
static const fabric_schema_t user_gate_schema =
    FABRIC_SCHEMA("UserGate", user_gate_t, user_gate_fields);

static const fabric_message_type_t user_get = {.tag = "GetUser",
                                               .request = &fabric_schema_empty,
                                               .reply = &user_visit_schema,
                                               .durable = true};
static const fabric_message_type_t user_volatile_get = {
    .tag = "GetUserVolatile", .request = &fabric_schema_empty, .reply = &user_visit_schema};
/* Are pending until the gate exists. */
static const fabric_message_type_t user_never = {
    .tag = "Never", .request = &user_gate_schema, .reply = &user_visit_schema, .durable = true};
static const fabric_message_type_t user_volatile_never = {
    .tag = "NeverVolatile", .request = &user_gate_schema, .reply = &user_visit_schema};
/* Ends in a defect. */
static const fabric_message_type_t user_volatile_break = {
    .tag = "BreakVolatile", .request = &fabric_schema_empty, .reply = &user_visit_schema};

#endif
