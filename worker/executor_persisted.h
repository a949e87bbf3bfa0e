/* The persisted state of an entity at its worker: what its home has sent, and what the last message
 * that changed it has left, encoded. An instance begins with it, and each message's state is
 * compared with it. See rule 12 of <fabric/worker.h>.
 */
#ifndef WORKER_EXECUTOR_PERSISTED_H
#define WORKER_EXECUTOR_PERSISTED_H

#include "worker/executor_entity_state.h"

typedef struct persisted_state {
    uint32_t version; /* of the state's schema */
    uint32_t size;    /* 0: no state is stored, and the instance is built */
    uint8_t bytes[];
} persisted_state_t;

/* The entity's next instance begins with this state. It has no instance. */
void persisted_set(entity_t *entity, uint32_t version, fabric_bytes_t state);
/* What its next instance is to begin with is not known. */
void persisted_forget(entity_t *entity);
/* Fills the zeroed memory of an instance from the entity's state, which is there, or builds it
 * where none is stored. false: it cannot be built, and table->instance says why. */
FABRIC_MUST_USE bool persisted_build(entity_table_t *table, entity_t *entity,
                                     const fabric_entity_type_t *type, void *memory);

/* What a message has done to its entity's state. */
typedef enum persisted_change {
    PERSISTED_SAME,
    PERSISTED_CHANGED, /* `scratch` has the new state */
    PERSISTED_FAULT    /* it does not fit its schema, or a payload: the fault says why */
} persisted_change_t;

/* `scratch` has room for a payload; `size` gets how much of it the state takes. */
FABRIC_MUST_USE persisted_change_t persisted_compare(const entity_t *entity,
                                                     const fabric_entity_type_t *type,
                                                     const void *memory, uint8_t *scratch,
                                                     size_t *size, fabric_schema_fault_t *fault);
/* The state is what the next message begins with. */
void persisted_accept(entity_t *entity, const fabric_entity_type_t *type, const uint8_t *scratch,
                      size_t size);
/* The result of a message whose state was accepted. */
message_result_state_t persisted_result(const entity_t *entity, const message_result_t *result);

#endif
