/* What brokers say about themselves, as far as a benchmark wants to know it.
 *
 * Threading: the thread that uses the client.
 */
#ifndef TESTS_HARNESS_CLUSTER_STATUS_H
#define TESTS_HARNESS_CLUSTER_STATUS_H

#include <fabric/client.h>

#include "core/reason.h"

typedef struct status_counters {
    uint64_t pending;       /* durable messages without a final reply */
    uint64_t dead_letters;  /* since the broker started */
    uint64_t redelivered;   /* second and later deliveries since then */
    uint64_t ended;         /* durable messages since then */
    uint64_t journal_bytes; /* of entries that wait for a checkpoint */
} status_counters_t;

/* Waits until `workers` runners are healthy and all shards have healthy owners. TIMEOUT with a
 * reason, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t status_wait_ready(fabric_client_t *client, uint32_t workers,
                                                 uint32_t timeout_ms, reason_t *reason);
/* Whether some worker brings the entity type; NOT_FOUND with a reason when none does within
 * `timeout_ms`, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t status_wait_type(fabric_client_t *client, const char *type,
                                                uint32_t timeout_ms, reason_t *reason);
FABRIC_MUST_USE fabric_error_t status_counters(fabric_client_t *client, reason_t *reason,
                                               status_counters_t *counters);
/* How many deliveries the runner of a worker process has not answered. NOT_FOUND with a reason. */
FABRIC_MUST_USE fabric_error_t status_outstanding(fabric_client_t *client, long pid,
                                                  reason_t *reason, uint64_t *outstanding);
/* Waits until no durable message is pending, or no more than `pending`. TIMEOUT with a reason,
 * SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t status_wait_pending(fabric_client_t *client, uint64_t pending,
                                                   uint32_t timeout_ms, reason_t *reason);
FABRIC_MUST_USE fabric_error_t status_wait_drained(fabric_client_t *client, uint32_t timeout_ms,
                                                   reason_t *reason);
/* Waits until checkpoints cover all of the journals. TIMEOUT with a reason, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t status_wait_checkpointed(fabric_client_t *client,
                                                        uint32_t timeout_ms, reason_t *reason);

#endif
