/* The shards of all known types: which runner should own each type's part of each shard whose lane
 * this broker holds, and which runner does.
 */
#ifndef BROKER_COORDINATOR_SHARDS_H
#define BROKER_COORDINATOR_SHARDS_H

#include "broker/coordinator/lanes.h"
#include "broker/coordinator/registry.h"
#include "broker/coordinator/runners.h"
#include "core/shard_map.h"

typedef struct coordinator_shards coordinator_shards_t;

/* `lanes` and `effects` must outlive the shards. */
coordinator_shards_t *coordinator_shards_new(uint32_t shards_per_group,
                                             const coordinator_lanes_t *lanes,
                                             coordinator_effects_t *effects);
void coordinator_shards_destroy(coordinator_shards_t **shards);

/* Chooses for each type a runner that brings it for each shard whose lane this broker holds. Begins
 * with the owners of a lane's former home, as far as the map has them. Emits DESIRE where the
 * runner is another one than before, or where the broker holds the lane under a new epoch. */
void coordinator_shards_place(coordinator_shards_t *shards, const coordinator_registry_t *registry,
                              const coordinator_runners_t *runners, const shard_map_t *map);
/* Emits DESIRE again for what this runner should own: it has joined again. */
void coordinator_shards_desire_again(coordinator_shards_t *shards, incarnation_t runner);
/* ROUTER_OWNER_CHANGED, and the version of the owner's application. false: the type or the shard is
 * unknown, or the token belongs to an epoch of its lane that is over. */
bool coordinator_shards_set_owner(coordinator_shards_t *shards, const router_order_t *order,
                                  uint64_t app_version);

/* How many shards all types have; for each of them its owner. false: this broker does not hold the
 * shard's lane. */
size_t coordinator_shards_count(const coordinator_shards_t *shards);
bool coordinator_shards_at(const coordinator_shards_t *shards, size_t index, const char **type,
                           shard_id_t *shard, incarnation_t *owner, uint64_t *app_version);

#endif
