/* A module that needs a function that does not exist, for errors of fabric-worker. */
#include <fabric/worker.h>

bool nobody_has_this(void *state, fabric_bytes_t id);

static const fabric_entity_type_t type = {.name = "Unresolved", .start = nobody_has_this};

FABRIC_MODULE(&type);
