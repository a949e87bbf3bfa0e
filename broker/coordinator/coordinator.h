/* The coordinator: the pure core that keeps its broker a member, elects one broker among the
 * members to decide who holds which lane, chooses the runner of each shard whose lane this broker
 * holds, admits runners, and composes the shard map. It knows no store, socket, thread or clock: a
 * shell (coordinator_zmq.c) and the simulator run the calls that it asks for, feed it events, and
 * hand its effects to the router.
 *
 * The broker that holds the term places the lanes over all brokers. Every broker serves the lanes
 * that the store names it as holder of, and takes the term when its holder dies.
 *
 * Use: after any event, fetch one call with coordinator_next_call (another only after its answer),
 * and effects with coordinator_next_effect until there are none.
 *
 * Time: `now_ms` is a monotonic clock in milliseconds, never smaller than in the call before.
 * Threading: belongs to one thread.
 */
#ifndef BROKER_COORDINATOR_COORDINATOR_H
#define BROKER_COORDINATOR_COORDINATOR_H

#include "broker/coordinator/calls.h"
#include "broker/coordinator/durable_term.h"
#include "broker/coordinator/effects.h"
#include "broker/router/router.h"

typedef struct coordinator coordinator_t;

typedef struct coordinator_config {
    incarnation_t incarnation;
    uint32_t shards_per_group;
    uint32_t lanes;   /* of the cluster */
    uint64_t high_id; /* the highest id so far, or that of the present time: see ROUTER_HIGH_ID */
    uint32_t lease_ms;
    bool untransactional;    /* the store has no transactions of handlers */
    durable_term_t *durable; /* kept up to date; must outlive the coordinator */
} coordinator_config_t;

coordinator_t *coordinator_new(const coordinator_config_t *config, uint64_t now_ms);
void coordinator_destroy(coordinator_t **coordinator);

/* ---- calls ---- */

/* The next call. false: there is none to make now. */
bool coordinator_next_call(coordinator_t *coordinator, uint64_t now_ms, coordinator_call_t *call);
/* The answer to that call. `results` may be NULL with an error. */
void coordinator_answer(coordinator_t *coordinator, fabric_error_t error,
                        const coordinator_results_t *results, uint64_t now_ms);
/* What a call needs besides a store. */
typedef struct coordinator_ways {
    uint64_t (*clock)(void);               /* monotonic milliseconds */
    bool (*refuses)(const char *endpoint); /* whether nothing listens there, for certain */
} coordinator_ways_t;

/* Runs a call against a store (NULL: the store is not open), or probes a broker, and gives the core
 * the answer. The time of the answer is read from the clock after the call. */
fabric_error_t coordinator_run_call(coordinator_t *coordinator, const coordinator_call_t *call,
                                    store_t *store, const coordinator_ways_t *ways);

/* ---- events ---- */

/* An order of the router; its `types` stay the caller's. */
void coordinator_order(coordinator_t *coordinator, const router_order_t *order, uint64_t now_ms);
/* A map has arrived from the broker that holds the term: see publication.h. It is taken unless this
 * broker holds the term itself. MALFORMED_MESSAGE: nothing of it is. */
FABRIC_MUST_USE
fabric_error_t coordinator_map_received(coordinator_t *coordinator, fabric_bytes_t encoded,
                                        uint64_t now_ms);
/* The owners that another broker has told (COORDINATOR_OWNERS). They are taken where this broker
 * holds the term, and the other one the shard's lane. MALFORMED_MESSAGE: none of them is. */
FABRIC_MUST_USE
fabric_error_t coordinator_owners(coordinator_t *coordinator, incarnation_t broker,
                                  fabric_bytes_t encoded, uint64_t now_ms);
void coordinator_tick(coordinator_t *coordinator, uint64_t now_ms);
/* When coordinator_tick or coordinator_next_call is to be called at the latest. */
uint64_t coordinator_next_deadline(const coordinator_t *coordinator, uint64_t now_ms);

/* ---- effects ---- */

/* Takes the oldest effect, which becomes the caller's: see coordinator_effect_clear. false: there
 * is none. */
bool coordinator_next_effect(coordinator_t *coordinator, coordinator_effect_t *effect);

/* ---- for people and tests ---- */

bool coordinator_holds_term(const coordinator_t *coordinator);

#endif
