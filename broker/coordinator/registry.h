/* The shard groups and entity types that the cluster knows, as read from the store or stored by us.
 * Each is entered into the shard map as well; what the map refuses is not kept here either.
 */
#ifndef BROKER_COORDINATOR_REGISTRY_H
#define BROKER_COORDINATOR_REGISTRY_H

#include "broker/coordinator/calls.h"
#include "broker/coordinator/effects.h"
#include "core/type_description.h"
#include "core/wire.h"

typedef struct coordinator_type {
    uint16_t group;
    type_description_t *description; /* of a forgotten type: the last one */
    wire_writer_t encoded;           /* as stored; empty: the type is forgotten */
} coordinator_type_t;

typedef struct coordinator_registry coordinator_registry_t;

/* `map` and `effects` must outlive the registry. */
coordinator_registry_t *coordinator_registry_new(shard_map_t *map, coordinator_effects_t *effects);
void coordinator_registry_destroy(coordinator_registry_t **registry);

/* Whether groups, and types, have been read completely. What a standby has read does not count for
 * a holder of the term. */
bool coordinator_registry_groups_are_read(const coordinator_registry_t *registry);
bool coordinator_registry_types_are_read(const coordinator_registry_t *registry);
void coordinator_registry_begin_term(coordinator_registry_t *registry);

/* ---- whether all stored types are known to the holder of the term ---- */

/* A type is about to be stored: other brokers may learn of it first. */
void coordinator_registry_begin_put(coordinator_registry_t *registry);
/* It is stored and known, or certainly not stored. */
void coordinator_registry_end_put(coordinator_registry_t *registry);
/* The store has not told the outcome, and may carry the call out until then. */
void coordinator_registry_doubt_put(coordinator_registry_t *registry, uint64_t until_ms);
/* All types were read, by a call that began at this time. */
void coordinator_registry_end_reading(coordinator_registry_t *registry, uint64_t started_ms);

/* ---- groups and types ---- */

void coordinator_registry_take_groups(coordinator_registry_t *registry,
                                      const coordinator_group_t *groups, size_t count);
/* Adds a group that was just stored. false: its number shows that there are groups that have not
 * been read; the groups do not count as read any more. */
bool coordinator_registry_add_group(coordinator_registry_t *registry, uint16_t number,
                                    const char *name);
size_t coordinator_registry_group_count(const coordinator_registry_t *registry);
const coordinator_group_t *coordinator_registry_group_at(const coordinator_registry_t *registry,
                                                         size_t index);
const coordinator_group_t *coordinator_registry_group(const coordinator_registry_t *registry,
                                                      const char *name);

/* All types as the store has them, and when the first one was registered. */
void coordinator_registry_take_types(coordinator_registry_t *registry, const store_type_t *types,
                                     size_t count, const store_registration_t *registration);
/* Takes a description as the store has it now, and emits TYPE if it is new or another one than
 * before. A description that cannot be read is left out. */
void coordinator_registry_take_type(coordinator_registry_t *registry, uint16_t group,
                                    fabric_bytes_t encoded);
/* The type is stored without a description: nobody has registered it any more. It keeps its index,
 * its group and its place among the types. Emits TYPE_FORGOTTEN if it was registered. */
void coordinator_registry_forget_type(coordinator_registry_t *registry, const char *name);
/* Whether the cluster may have this type, which is not registered. */
bool coordinator_registry_can_take_type(const coordinator_registry_t *registry, const char *name);
size_t coordinator_registry_type_count(const coordinator_registry_t *registry);
/* NULL: no such type is registered. */
const coordinator_type_t *coordinator_registry_type(const coordinator_registry_t *registry,
                                                    const char *name);
/* By index, forgotten types included; a type keeps its index. */
const coordinator_type_t *coordinator_registry_type_at(const coordinator_registry_t *registry,
                                                       size_t index);

#endif
