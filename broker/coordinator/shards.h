/* The shards of all known groups: which runner should own each shard whose lane this broker holds,
 * and which runner does.
 */
#ifndef BROKER_COORDINATOR_SHARDS_H
#define BROKER_COORDINATOR_SHARDS_H

#include "broker/coordinator/lanes.h"
#include "broker/coordinator/registry.h"
#include "broker/coordinator/runners.h"

typedef struct coordinator_shards coordinator_shards_t;

/* `lanes` and `effects` must outlive the shards. */
coordinator_shards_t *coordinator_shards_new(uint32_t shards_per_group,
                                             const coordinator_lanes_t *lanes,
                                             coordinator_effects_t *effects);
void coordinator_shards_destroy(coordinator_shards_t **shards);

/* Makes the shards of all groups. */
void coordinator_shards_take_groups(coordinator_shards_t *shards,
                                    const coordinator_registry_t *registry);
size_t coordinator_shards_count(const coordinator_shards_t *shards);
/* A shard and its owner. false: this broker does not hold the shard's lane. */
bool coordinator_shards_at(const coordinator_shards_t *shards, size_t index, shard_id_t *shard,
                           incarnation_t *owner);

/* Chooses a runner for each shard whose lane this broker holds and whose group has a type that the
 * router knows. Emits DESIRE where it is another one than before, or where the broker holds the
 * lane under a new epoch. */
void coordinator_shards_place(coordinator_shards_t *shards, const coordinator_registry_t *registry,
                              const coordinator_runners_t *runners);
/* Emits DESIRE again for the shards that this runner should own: it has joined again. */
void coordinator_shards_desire_again(coordinator_shards_t *shards, incarnation_t runner);
/* The router has made this runner the owner. false: the shard is unknown, or the token belongs to
 * an epoch of its lane that is over. */
bool coordinator_shards_set_owner(coordinator_shards_t *shards, shard_id_t shard,
                                  incarnation_t owner, token_t token);

#endif
