/* Loads entity types from module files. A module stays loaded for the life of the process, as
 * threads may be in its code. */
#ifndef WORKER_MODULE_H
#define WORKER_MODULE_H

#include <fabric/worker.h>

#include "core/reason.h"

typedef struct modules modules_t;

modules_t *modules_new(void);
/* The types stay valid. */
void modules_destroy(modules_t **modules);
/* Loads a module file and adds its entity types. INVALID_MODULE with a reason that names the file.
 */
FABRIC_MUST_USE fabric_error_t modules_load(modules_t *modules, const char *path, reason_t *reason);
/* The entity types of all modules, as fabric_worker_open() takes them. */
const fabric_entity_type_t *const *modules_types(const modules_t *modules);

#endif
