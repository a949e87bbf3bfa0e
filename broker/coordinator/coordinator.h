/* The coordinator: the pure core that keeps its broker a member, elects one broker among the
 * members to decide homes, chooses the runner of each shard whose home this broker is, admits
 * runners, and composes the shard map. It knows no store, socket, thread or clock: a shell
 * (coordinator_zmq.c) and the simulator run the store calls that it asks for, feed it events, and
 * hand its effects to the router.
 *
 * In this release the broker that holds the term is the home of every shard without a living home;
 * the others are standbys that redirect, and take the term when its holder dies.
 *
 * Silence. Other brokers' counters are watched with our own monotonic clock. Only time between two
 * successful readings at most a third of a lease, and never more than 1 s, apart counts as silence; after a
 * longer gap (a database outage, a pause of ours) and at a new term everybody starts afresh.
 *
 * Time: `now_ms` is a monotonic clock in milliseconds, never smaller than in the call before.
 * Threading: belongs to one thread.
 *
 * After any event, pull: one call with coordinator_next_call (another only after its answer), and
 * effects with coordinator_next_effect until there are none.
 */
#ifndef BROKER_COORDINATOR_COORDINATOR_H
#define BROKER_COORDINATOR_COORDINATOR_H

#include "broker/router/router.h"
#include "broker/coordinator/store_past.h"
#include "core/shard_map.h"

typedef struct coordinator coordinator_t;

typedef struct coordinator_config {
    incarnation_t incarnation;
    uint32_t shards_per_group;
    uint32_t lease_ms;
    store_past_t *past; /* kept up to date; must outlive the coordinator */
} coordinator_config_t;

coordinator_t *coordinator_new(const coordinator_config_t *config, uint64_t now_ms);
void coordinator_destroy(coordinator_t **coordinator);

/* ---- store calls ---- */

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

/* One call of the store port. Pointers and views are valid until it is answered. */
typedef struct coordinator_call {
    coordinator_call_kind_t kind;
    incarnation_t self;
    uint64_t term; /* ours, for calls that only the holder makes */
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

/* What a call brought. Arrays are borrowed during coordinator_answer only. */
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

/* The next store call, if there is one to make now. */
bool coordinator_next_call(coordinator_t *coordinator, uint64_t now_ms, coordinator_call_t *call);
/* Its answer. `results` may be NULL with an error. */
void coordinator_answer(coordinator_t *coordinator, fabric_error_t error,
                        const coordinator_results_t *results, uint64_t now_ms);
/* Runs a call against a store and answers the core with `now_ms` as read by `clock` afterwards. */
fabric_error_t coordinator_run_call(coordinator_t *coordinator, const coordinator_call_t *call,
                                    store_t *store, uint64_t (*clock)(void));

/* ---- events ---- */

/* An order of the router; its `types` stay the caller's. */
void coordinator_order(coordinator_t *coordinator, const router_order_t *order, uint64_t now_ms);
/* The router has loaded the shards of the last COORDINATOR_HOMES. */
void coordinator_loaded(coordinator_t *coordinator, uint64_t now_ms);
void coordinator_tick(coordinator_t *coordinator, uint64_t now_ms);
/* When coordinator_tick or coordinator_next_call wants to be called at the latest. */
uint64_t coordinator_next_deadline(const coordinator_t *coordinator, uint64_t now_ms);

/* ---- effects ---- */

typedef enum coordinator_effect_kind {
    COORDINATOR_FENCED,   /* this incarnation is over: drop everything */
    COORDINATOR_ELECTED,  /* `number` is our term; for people */
    COORDINATOR_READY,    /* once: the first homes are loaded, or another broker has them */
    COORDINATOR_HOLDER,   /* router_holder(broker), whenever it is another one */
    COORDINATOR_LEASE,    /* router_lease(number) */
    COORDINATOR_HOMES,    /* router_homes; then, when `scan`, load from `from`, else
                             router_loaded(NULL); then coordinator_loaded */
    COORDINATOR_TYPE,     /* router_type(group, bytes) */
    COORDINATOR_ADMITTED, /* router_admitted(runner, error, bytes as text) */
    COORDINATOR_DESIRE,   /* router_desire(shard, runner) */
    COORDINATOR_MAP       /* router_map(bytes), and to all subscribers */
} coordinator_effect_kind_t;

typedef struct coordinator_effect {
    coordinator_effect_kind_t kind;
    fabric_error_t error;
    uint64_t number;
    incarnation_t broker;
    incarnation_t runner;
    shard_id_t shard;
    uint16_t group;
    bool scan;
    request_id_t from;
    store_shard_t *shards; /* owned by the effect */
    size_t shard_count;
    uint8_t *bytes; /* owned by the effect; a text has its terminator at bytes[size] */
    size_t size;
    map_version_t version; /* MAP */
} coordinator_effect_t;

bool coordinator_next_effect(coordinator_t *coordinator, coordinator_effect_t *effect);
/* Frees what the effect owns. */
void coordinator_effect_clear(coordinator_effect_t *effect);

/* ---- for people and tests ---- */

bool coordinator_holds_term(const coordinator_t *coordinator);

#endif
