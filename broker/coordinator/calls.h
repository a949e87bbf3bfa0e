/* The store calls that the coordinator's core asks for, and what they bring. One of the calls is a
 * probe of another broker, which no store answers. */
#ifndef BROKER_COORDINATOR_CALLS_H
#define BROKER_COORDINATOR_CALLS_H

#include "core/store.h"

typedef enum coordinator_call_kind {
    COORDINATOR_RENEW, /* broker_renew up to `id_mark`; then lane_list */
    COORDINATOR_LIST_BROKERS,
    COORDINATOR_READ_TERM,
    COORDINATOR_TAKE_TERM,     /* `before` */
    COORDINATOR_REMOVE_BROKER, /* `broker`, which is dead */
    COORDINATOR_ASSIGN_LANE,   /* `lane` as it was read, `broker`: its next holder */
    COORDINATOR_LIST_LANES,
    COORDINATOR_LIST_GROUPS,
    COORDINATOR_LIST_TYPES, /* type_list; then first_registration */
    COORDINATOR_LIST_RUNNERS,
    COORDINATOR_PUT_GROUP,  /* `name` */
    COORDINATOR_PUT_TYPE,   /* `type` */
    COORDINATOR_PUT_RUNNER, /* `runner` */
    COORDINATOR_REMOVE_RUNNER,
    COORDINATOR_COUNT_SCHEDULED, /* rows of `type` in `lane` */
    COORDINATOR_FORGET_TYPE,     /* `type`, without a description */
    COORDINATOR_PROBE            /* of `broker`: does its `endpoint` refuse connections? */
} coordinator_call_kind_t;

#define COORDINATOR_CALL_KINDS (COORDINATOR_PROBE + 1)

/* One call. Pointers and views are valid until the call is answered. */
typedef struct coordinator_call {
    coordinator_call_kind_t kind;
    uint64_t started_ms; /* when the core asked for the call */
    incarnation_t self;
    uint64_t term; /* ours, for calls that only the holder of the term makes */
    uint64_t id_mark;
    store_coordinator_t before;
    incarnation_t broker;
    store_hold_t lane;
    const char *endpoint;
    fabric_bytes_t name;
    store_type_t type;
    store_runner_t runner;
} coordinator_call_t;

typedef struct coordinator_group {
    uint16_t number;
    char name[256];
} coordinator_group_t;

/* What a call brought. The arrays are borrowed during coordinator_answer only. */
typedef struct coordinator_results {
    const store_broker_t *brokers;
    size_t broker_count;
    store_coordinator_t coordinator; /* READ_TERM */
    uint64_t term;                   /* TAKE_TERM */
    uint16_t group;                  /* PUT_GROUP */
    uint64_t count;                  /* COUNT_SCHEDULED */
    bool refused;                    /* PROBE: nothing listens at the endpoint */
    const store_lane_t *lanes;       /* RENEW, LIST_LANES */
    size_t lane_count;
    const coordinator_group_t *groups;
    size_t group_count;
    store_registration_t registration; /* LIST_TYPES */
    const store_type_t *types;
    size_t type_count;
    const store_runner_t *runners;
    size_t runner_count;
} coordinator_results_t;

#endif
