/* Publishing the shard map.
 *
 * The holder of the term publishes deltas under its term, at most one every 20 ms. A standby knows
 * homes but no owners. For its own peers it encodes what the store says as snapshots of the term
 * before the holder's, with sequences above any that a holder reaches: newer than every map of
 * former holders, older than every map of the present one.
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

/* Enters all members, all lanes, the owner of one shard, or those of all shards whose lanes this
 * broker holds, into the map. A shard has the same owner for each type of its group. */
void coordinator_publication_put_members(coordinator_publication_t *publication,
                                         const coordinator_members_t *members);
void coordinator_publication_put_lanes(coordinator_publication_t *publication,
                                       const coordinator_lanes_t *lanes);
void coordinator_publication_put_owner(coordinator_publication_t *publication, shard_id_t shard,
                                       incarnation_t owner);
void coordinator_publication_put_owners(coordinator_publication_t *publication,
                                        const coordinator_shards_t *shards);
/* Emits MAP if the map has changed and the last MAP is long enough ago. */
void coordinator_publication_publish(coordinator_publication_t *publication,
                                     const coordinator_term_t *term, uint64_t now_ms);
/* When a change that waits is to be published, or UINT64_MAX. */
uint64_t coordinator_publication_next_deadline(const coordinator_publication_t *publication,
                                               uint64_t now_ms);

#endif
