/* The store calls that the coordinator's core asks for, and what they bring. */
#ifndef BROKER_COORDINATOR_CALLS_H
#define BROKER_COORDINATOR_CALLS_H

#include "core/store.h"

typedef enum coordinator_call_kind {
    COORDINATOR_RENEW,
    COORDINATOR_LIST_BROKERS,
    COORDINATOR_READ_TERM,
    COORDINATOR_TAKE_TERM, /* `before` */
    COORDINATOR_TAKE_HOMES,
    COORDINATOR_LIST_SHARDS,
    COORDINATOR_LIST_GROUPS,
    COORDINATOR_LIST_TYPES,
    COORDINATOR_LIST_RUNNERS,
    COORDINATOR_PUT_GROUP,  /* `name` */
    COORDINATOR_PUT_TYPE,   /* `type` */
    COORDINATOR_PUT_RUNNER, /* `runner` */
    COORDINATOR_REMOVE_RUNNER
} coordinator_call_kind_t;

/* One call of the store port. Pointers and views are valid until the call is answered. */
typedef struct coordinator_call {
    coordinator_call_kind_t kind;
    uint64_t started_ms; /* when the core asked for the call */
    incarnation_t self;
    uint64_t term; /* ours, for calls that only the holder of the term makes */
    store_coordinator_t before;
    const incarnation_t *living;
    size_t living_count;
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
    const store_shard_t *shards;
    size_t shard_count;
    const coordinator_group_t *groups;
    size_t group_count;
    const store_type_t *types;
    size_t type_count;
    const store_runner_t *runners;
    size_t runner_count;
} coordinator_results_t;

#endif
