/* Persisted states of entities: see executor_persisted.h. */
#include "worker/executor_persisted.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static void replace(entity_t *entity, uint32_t version, const uint8_t *bytes, size_t size)
{
    persisted_state_t *state = entity->persisted;
    if (!state || state->size != size) { /* most states keep their size */
        free(state);
        state = (persisted_state_t *)memory_allocate(sizeof *state + size);
        entity->persisted = state;
    }
    state->version = version;
    state->size = (uint32_t)size;
    if (size > 0) {
        memcpy(state->bytes, bytes, size);
    }
}

void persisted_set(entity_t *entity, uint32_t version, fabric_bytes_t state)
{
    assert(!entity_is_resident(entity));
    replace(entity, version, state.data, state.size);
}

void persisted_forget(entity_t *entity)
{
    free(entity->persisted);
    entity->persisted = NULL;
}

/* ---- building ---- */

static bool cannot_read(fabric_instance_t *instance, const char *why)
{
    return fabric_build_failed(instance, "the stored state cannot be read: %s", why);
}

/* Reads a state of an older version, or of a newer one, which only a newer worker can. */
static bool migrate(fabric_instance_t *instance, const persisted_state_t *stored,
                    const fabric_entity_type_t *type, void *memory)
{
    if (stored->version > type->state_version) {
        return fabric_build_failed(instance,
                                   "the stored state is of version %u, and this worker knows "
                                   "version %u",
                                   stored->version, type->state_version);
    }
    if (!type->migrate) {
        return fabric_build_failed(instance,
                                   "the stored state is of version %u, and the type has no "
                                   "migrate function",
                                   stored->version);
    }
    return type->migrate(instance, stored->version, fabric_bytes(stored->bytes, stored->size),
                         memory);
}

static bool load(fabric_instance_t *instance, const persisted_state_t *stored,
                 const fabric_entity_type_t *type, void *memory)
{
    fabric_schema_fault_t fault = {""};
    bool loaded;
    if (stored->version != type->state_version) {
        loaded = migrate(instance, stored, type, memory);
    } else {
        loaded = fabric_schema_decode(type->state, fabric_bytes(stored->bytes, stored->size),
                                      &fault, memory) == FABRIC_OK ||
                 cannot_read(instance, fault.text);
    }
    return loaded && (!type->restore || type->restore(instance, memory));
}

/* From now on changes are told by the state as it is encoded now: a stored one may be older. */
static bool remember(fabric_instance_t *instance, entity_t *entity,
                     const fabric_entity_type_t *type, const void *memory)
{
    fabric_schema_fault_t fault = {""};
    size_t size = 0;
    uint8_t *scratch = (uint8_t *)memory_allocate(LIMIT_PAYLOAD_BYTES_MAX);
    bool fits = fabric_schema_encode(type->state, memory, scratch, LIMIT_PAYLOAD_BYTES_MAX, &fault,
                                     &size) == FABRIC_OK;
    if (fits) {
        replace(entity, type->state_version, scratch, size);
    }
    free(scratch);
    return fits ||
           fabric_build_failed(instance, "the first state does not fit its schema: %s", fault.text);
}

bool persisted_build(entity_table_t *table, entity_t *entity, const fabric_entity_type_t *type,
                     void *memory)
{
    fabric_instance_t *instance = &table->instance;
    const persisted_state_t *stored = entity->persisted;
    if (!stored) { /* nothing begins without it */
        return fabric_build_failed(instance, "its stored state is not here");
    }
    bool built = stored->size > 0 ? load(instance, stored, type, memory)
                                  : !type->build || type->build(instance, memory);
    return built && remember(instance, entity, type, memory);
}

/* ---- changes ---- */

persisted_change_t persisted_compare(const entity_t *entity, const fabric_entity_type_t *type,
                                     const void *memory, uint8_t *scratch, size_t *size,
                                     fabric_schema_fault_t *fault)
{
    const persisted_state_t *before = entity->persisted;
    if (fabric_schema_encode(type->state, memory, scratch, LIMIT_PAYLOAD_BYTES_MAX, fault, size) !=
        FABRIC_OK) {
        return PERSISTED_FAULT;
    }
    bool same = *size == before->size && memcmp(scratch, before->bytes, *size) == 0;
    return same ? PERSISTED_SAME : PERSISTED_CHANGED;
}

void persisted_accept(entity_t *entity, const fabric_entity_type_t *type, const uint8_t *scratch,
                      size_t size)
{
    replace(entity, type->state_version, scratch, size);
}

message_result_state_t persisted_result(const entity_t *entity, const message_result_t *result)
{
    const persisted_state_t *state = entity->persisted;
    return (message_result_state_t){.shard = result->shard,
                                    .home_epoch = result->home_epoch,
                                    .owner_sequence = result->owner_sequence,
                                    .activation = result->activation,
                                    .request_id = result->request_id,
                                    .status = result->status,
                                    .error = result->error,
                                    .code = result->code,
                                    .payload = result->payload,
                                    .version = state->version,
                                    .state = fabric_bytes(state->bytes, state->size)};
}
