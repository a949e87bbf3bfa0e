/* Publishing the shard map.
 *
 * The holder of the term publishes deltas under its term, at most one every 20 ms. Every other
 * broker publishes the maps that it receives from the holder, and adds to its copy what it knows
 * better: lanes that the store has under a larger epoch, what else it reads from the store, and the
 * owners of the shards whose lanes it holds. The former are for its own router alone, as long as
 * the holder's map does not have them, or does not arrive. The owners are told to the holder. They
 * are entered into each map that arrives; where the map has others, they are told again. They all
 * are told to a holder that is reached anew, and to a new one: what was told before may be lost,
 * and a delta shows only what has changed. So the holder learns them in the end whatever was lost.
 */
#ifndef BROKER_COORDINATOR_PUBLICATION_H
#define BROKER_COORDINATOR_PUBLICATION_H

#include "broker/coordinator/members.h"
#include "broker/coordinator/shards.h"
#include "broker/coordinator/term.h"
#include "core/shard_map.h"

typedef struct coordinator_publication coordinator_publication_t;

/* `map` and `effects` must outlive the publication. */
coordinator_publication_t *coordinator_publication_new(shard_map_t *map,
                                                       coordinator_effects_t *effects);
void coordinator_publication_destroy(coordinator_publication_t **publication);

/* Enters all members, all lanes, the owner of a type's part of a shard, or all owners of shards
 * whose lanes this broker holds, into the map. A type that the map does not know is left out. */
void coordinator_publication_put_members(coordinator_publication_t *publication,
                                         const coordinator_members_t *members);
void coordinator_publication_put_lanes(coordinator_publication_t *publication,
                                       const coordinator_lanes_t *lanes);
/* The broker that holds the term enters which lanes are to have other holders. */
void coordinator_publication_put_next(coordinator_publication_t *publication,
                                      const coordinator_lanes_t *lanes);
void coordinator_publication_put_owner(coordinator_publication_t *publication, const char *type,
                                       shard_id_t shard, incarnation_t owner, uint64_t app_version);
void coordinator_publication_put_owners(coordinator_publication_t *publication,
                                        const coordinator_shards_t *shards);
/* All owners of the shards whose lanes the broker, which is this one, holds are to be told to the
 * holder of the term again. */
void coordinator_publication_tell_again(coordinator_publication_t *publication,
                                        incarnation_t broker);
/* If the map has changed, and the last time is long enough ago: emits MAP as the holder of the
 * term, else OWNERS and MAP_REVISED. */
void coordinator_publication_publish(coordinator_publication_t *publication,
                                     const coordinator_term_t *term, uint64_t now_ms);
/* A map has arrived from the holder of the term. Emits MAP if it is taken, MAP_WANTED if a map
 * before it is missing. A map of a smaller term than the row's is ignored. MALFORMED_MESSAGE.
 * `changed`: it was taken, and what this broker knows better is to be entered again. */
FABRIC_MUST_USE
fabric_error_t coordinator_publication_receive(coordinator_publication_t *publication,
                                               const store_coordinator_t *row,
                                               fabric_bytes_t encoded, bool *changed);
/* When a change that waits is to be published, or UINT64_MAX. */
uint64_t coordinator_publication_next_deadline(const coordinator_publication_t *publication,
                                               uint64_t now_ms);

#endif
