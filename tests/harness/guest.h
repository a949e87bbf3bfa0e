/* The messages of the entity types Guest, GuestPair and GuestBeside, shared by their module and the
 * integration tests. A Guest is idle after 300 ms, and handlers are slow after more than that. A
 * gate is a file in the
 * folder $PROBE_FOLDER, as testbed_open_gate() makes it. */
#ifndef TESTS_HARNESS_GUEST_H
#define TESTS_HARNESS_GUEST_H

#include <fabric/message_type.h>

#define GUEST_TYPE   "Guest"
#define GUEST_PAIR   "GuestPair"   /* of which two handlers may be pending */
#define GUEST_BESIDE "GuestBeside" /* whose Wait is concurrent */
#define GUEST_MODULE "../tests/guest_module.so"

enum { GUEST_MS = 300 };

/* Which visit of its instance it is, the number of that instance in the worker's process, and how
 * many instances there have been at once at most. */
typedef struct guest_visit {
    uint64_t visit;
    uint64_t instance;
    uint64_t most;
} guest_visit_t;

typedef struct guest_flag {
    bool on;
} guest_flag_t;

typedef struct guest_gate {
    char name[32];
} guest_gate_t;

static const fabric_field_t guest_visit_fields[] = {FABRIC_U64(guest_visit_t, visit),
                                                    FABRIC_U64(guest_visit_t, instance),
                                                    FABRIC_U64(guest_visit_t, most)};
static const fabric_schema_t guest_visit_schema =
    FABRIC_SCHEMA("Visit", guest_visit_t, guest_visit_fields);
static const fabric_field_t guest_flag_fields[] = {FABRIC_BOOL(guest_flag_t, on)};
static const fabric_schema_t guest_flag_schema =
    FABRIC_SCHEMA("Flag", guest_flag_t, guest_flag_fields);
static const fabric_field_t guest_gate_fields[] = {FABRIC_STRING(guest_gate_t, name)};
static const fabric_schema_t guest_gate_schema =
    FABRIC_SCHEMA("Gate", guest_gate_t, guest_gate_fields);

static const fabric_message_type_t guest_greet = {
    .tag = "Greet", .request = &fabric_schema_empty, .reply = &guest_visit_schema, .durable = true};
static const fabric_message_type_t guest_volatile_greet = {
    .tag = "VolatileGreet", .request = &fabric_schema_empty, .reply = &guest_visit_schema};
/* Are pending, or do not return, until the gate exists. */
static const fabric_message_type_t guest_wait = {
    .tag = "Wait", .request = &guest_gate_schema, .reply = &guest_visit_schema, .durable = true};
static const fabric_message_type_t guest_block = {
    .tag = "Block", .request = &guest_gate_schema, .reply = &guest_visit_schema, .durable = true};
static const fabric_message_type_t guest_keep = {
    .tag = "Keep", .request = &guest_flag_schema, .reply = &guest_visit_schema, .durable = true};
/* Terminates the instance. */
static const fabric_message_type_t guest_leave = {
    .tag = "Leave", .request = &fabric_schema_empty, .reply = &guest_visit_schema, .durable = true};
/* A defect at the first attempt. */
static const fabric_message_type_t guest_break = {
    .tag = "Break", .request = &fabric_schema_empty, .reply = &guest_visit_schema, .durable = true};

#endif
