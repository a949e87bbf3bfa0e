/* A module that needs a function that does not exist, for errors of fabric-worker. */
#include <fabric/worker.h>

bool nobody_has_this(fabric_instance_t *instance, void *state);

static const fabric_entity_type_t type = {.name = "Unresolved", .build = nobody_has_this};

FABRIC_MODULE(&type);
