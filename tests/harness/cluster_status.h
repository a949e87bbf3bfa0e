/* What the brokers of a cluster say together: each of them knows the shards of its own lanes only.
 *
 * Threading: the thread that opens the connections.
 */
#ifndef TESTS_HARNESS_CLUSTER_STATUS_H
#define TESTS_HARNESS_CLUSTER_STATUS_H

#include <fabric/client.h>

#include "core/reason.h"
#include "tests/harness/cluster.h"

/* Connections to brokers, for questions only. */
typedef struct status_brokers {
    fabric_client_t *clients[CLUSTER_BROKERS_MAX]; /* each asks the broker of its own URL */
    uint32_t count;
} status_brokers_t;

typedef struct status_counters {
    uint64_t pending;        /* durable messages without a final reply */
    uint64_t dead_letters;   /* since the brokers started */
    uint64_t redelivered;    /* second and later deliveries since then */
    uint64_t ended;          /* durable messages since then */
    uint64_t journal_bytes;  /* of entries that wait for a checkpoint */
    uint64_t states_changed; /* persisted states since they started; older brokers say none */
} status_counters_t;

/* Connects to each broker of a list of URLs. Opened connections are closed before. LIMIT_EXCEEDED,
 * or why a broker cannot be reached, with a reason; status_close must be called as well. */
FABRIC_MUST_USE fabric_error_t status_open(status_brokers_t *brokers, const char *urls,
                                           const fabric_client_options_t *options,
                                           reason_t *reason);
/* Takes connections that are zeroed, too. */
void status_close(status_brokers_t *brokers);
/* The broker of a client that knows one, which stays the caller's. */
status_brokers_t status_at(fabric_client_t *client);

/* Waits until `workers` runners are healthy at each broker, all shards have healthy owners, and the
 * lanes are spread evenly. TIMEOUT with a reason, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t status_wait_ready(const status_brokers_t *brokers, uint32_t workers,
                                                 uint32_t timeout_ms, reason_t *reason);
/* Whether some worker brings the entity type; NOT_FOUND with a reason when none does within
 * `timeout_ms`, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t status_wait_type(fabric_client_t *client, const char *type,
                                                uint32_t timeout_ms, reason_t *reason);
FABRIC_MUST_USE fabric_error_t status_counters(const status_brokers_t *brokers, reason_t *reason,
                                               status_counters_t *counters);
/* How many deliveries the runner of a worker process has not answered. NOT_FOUND with a reason. */
FABRIC_MUST_USE fabric_error_t status_outstanding(const status_brokers_t *brokers, long pid,
                                                  reason_t *reason, uint64_t *outstanding);
/* Waits until no durable message is pending, or no more than `pending`. TIMEOUT with a reason,
 * SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t status_wait_pending(const status_brokers_t *brokers,
                                                   uint64_t pending, uint32_t timeout_ms,
                                                   reason_t *reason);
FABRIC_MUST_USE fabric_error_t status_wait_drained(const status_brokers_t *brokers,
                                                   uint32_t timeout_ms, reason_t *reason);
/* Waits until checkpoints cover all of the journals. TIMEOUT with a reason, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t status_wait_checkpointed(const status_brokers_t *brokers,
                                                        uint32_t timeout_ms, reason_t *reason);

#endif
