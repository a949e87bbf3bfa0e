/* The shards as the store has them: which of them this broker is the home of, and which runner
 * should own each of those.
 */
#ifndef BROKER_COORDINATOR_SHARDS_H
#define BROKER_COORDINATOR_SHARDS_H

#include "broker/coordinator/effects.h"
#include "broker/coordinator/members.h"
#include "broker/coordinator/registry.h"
#include "broker/coordinator/runners.h"

/* Only shards.c writes it. */
typedef struct coordinator_shard {
    bool known; /* the store has it */
    store_shard_t stored;
    uint64_t announced_epoch; /* of this broker as its home, as told to the router; 0: not told */
    incarnation_t desired;    /* the owner as the router was told to make it */
    incarnation_t owner;      /* the owner as the router has made it */
    token_t token;
} coordinator_shard_t;

typedef struct coordinator_shards coordinator_shards_t;

/* `effects` must outlive the shards. */
coordinator_shards_t *coordinator_shards_new(incarnation_t self, uint32_t shards_per_group,
                                             coordinator_effects_t *effects);
void coordinator_shards_destroy(coordinator_shards_t **shards);

/* Places for shards, of which some may be unknown. */
size_t coordinator_shards_count(const coordinator_shards_t *shards);
const coordinator_shard_t *coordinator_shards_at(const coordinator_shards_t *shards, size_t index);

/* ---- homes ---- */

/* Takes a list of all shards. false: a home that was announced is not this broker any more, which
 * happens only to a fenced broker. */
FABRIC_MUST_USE
bool coordinator_shards_take(coordinator_shards_t *shards, const store_shard_t *list, size_t count);
/* Whether all shards have been read. What a standby has read does not count for a holder of the
 * term. */
bool coordinator_shards_are_read(const coordinator_shards_t *shards);
void coordinator_shards_begin_term(coordinator_shards_t *shards);
/* Whether the home of a shard is no member. */
bool coordinator_shards_miss_homes(const coordinator_shards_t *shards,
                                   const coordinator_members_t *members);
/* Emits HOMES for the shards whose home this broker has become, unless the router still loads the
 * shards of the last HOMES. Returns whether it did; their owners are then to be placed. */
bool coordinator_shards_announce(coordinator_shards_t *shards);
/* Whether the router still loads the shards of the last HOMES, and the end of that. */
bool coordinator_shards_are_loading(const coordinator_shards_t *shards);
void coordinator_shards_loaded(coordinator_shards_t *shards);

/* ---- owners ---- */

/* Chooses a runner for each announced shard, and emits DESIRE where it is another one than
 * before. */
void coordinator_shards_place(coordinator_shards_t *shards, const coordinator_registry_t *registry,
                              const coordinator_runners_t *runners);
/* Emits DESIRE again for the shards that this runner should own: it has joined again. */
void coordinator_shards_desire_again(coordinator_shards_t *shards, incarnation_t runner);
/* The router has made this runner the owner. Returns the shard, or NULL if it is unknown. */
const coordinator_shard_t *coordinator_shards_set_owner(coordinator_shards_t *shards,
                                                        shard_id_t shard, incarnation_t owner,
                                                        token_t token);

#endif
