/* What a worker is started with: the options, the brokers that it is given, and the entity types,
 * checked and copied.
 *
 * Threading: written before the worker's threads start, and read by them.
 */
#ifndef WORKER_WORKER_SETUP_H
#define WORKER_WORKER_SETUP_H

#include <fabric/worker.h>

#include "core/limits.h"
#include "core/reason.h"
#include "core/wire.h"
#include "worker/crash_notes.h"
#include "worker/executor.h"
#include "worker/link.h"
#include "worker/type_table.h"

#define WORKER_EXECUTORS_MAX ((uint32_t)CRASH_SLOTS_MAX)

typedef struct worker_setup {
    link_config_t config; /* its views point to the three buffers */
    char cluster_name[LIMIT_NAME_BYTES_MAX + 1];
    char name[LIMIT_NAME_BYTES_MAX + 1];
    wire_writer_t descriptions;
    type_table_t *types;
    uint32_t residents; /* of all executors */
    char *brokers[LIMIT_BROKERS_MAX];
    size_t broker_count;
} worker_setup_t;

/* Takes a zeroed setup. Errors as fabric_worker_open(), with a reason; the setup is to be cleared
 * all the same. */
FABRIC_MUST_USE fabric_error_t worker_setup_make(worker_setup_t *setup, const char *url,
                                                 const fabric_entity_type_t *const *types,
                                                 const fabric_worker_options_t *options,
                                                 reason_t *reason);
/* A supervisor will report how this process ends, and has handed over the standing of the process
 * before it. */
void worker_setup_supervise(worker_setup_t *setup, runner_standing_t standing);
/* The bounds of an executor: its share of those of the worker. */
executor_limits_t worker_setup_limits(const worker_setup_t *setup, uint32_t executor);
/* The worker starts as a new runner. */
void worker_setup_begin(worker_setup_t *setup);
void worker_setup_clear(worker_setup_t *setup);

#endif
