/* The steps of fabric_worker_open(), for fabric-worker, which prepares a worker between them. */
#ifndef WORKER_WORKER_OPEN_H
#define WORKER_WORKER_OPEN_H

#include <fabric/worker.h>

#include "core/reason.h"
#include "worker/crash_notes.h"
#include "worker/transaction.h"

/* Checks the arguments and makes a worker without threads. Errors as fabric_worker_open(), with a
 * reason; *worker is NULL then. */
FABRIC_MUST_USE fabric_error_t worker_make(const char *url,
                                           const fabric_entity_type_t *const *types,
                                           const fabric_worker_options_t *options, reason_t *reason,
                                           fabric_worker_t **worker);
/* A supervisor will report how this process ends: the worker tells brokers that, and keeps the
 * notes for the report. Before worker_start; the notes outlive the worker. */
void worker_note_crashes(fabric_worker_t *worker, crash_notes_t *notes);
/* Where transactional messages commit. Before worker_start; what it points to outlives the worker.
 */
void worker_use_database(fabric_worker_t *worker, const transaction_config_t *database);
/* Starts the worker's threads, which connect. NO_RESOURCES; INVALID_ARGUMENT for
 * transactional messages without a database. With a reason. */
FABRIC_MUST_USE fabric_error_t worker_start(fabric_worker_t *worker, reason_t *reason);

#endif
