/* Loads entity types from module files. */
#ifndef WORKER_MODULE_H
#define WORKER_MODULE_H

#include <fabric/worker.h>

#include "core/reason.h"

/* Loads a module and adds its types to a worker. The module stays loaded for the life of the
 * process, as threads may be in its code. INVALID_MODULE with a reason that names the file. */
FABRIC_MUST_USE fabric_error_t module_load(const char *path, fabric_worker_t *worker,
                                           reason_t *reason);

#endif
