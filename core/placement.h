/* Placement: which member should own each shard, or hold each lane. A pure, deterministic function
 * of the members and the previous placement: balanced by weight, with the fewest moves. A member
 * that joins or leaves among n moves about 1/n of the shards, and no others change place.
 */
#ifndef CORE_PLACEMENT_H
#define CORE_PLACEMENT_H

#include <stddef.h>

#include "core/ids.h"
#include "core/standing.h"

typedef struct placement_member {
    incarnation_t incarnation;
    uint32_t weight;  /* share of the shards; 0 takes none */
    uint64_t version; /* of its application; 0: none */
    bool cordoned;    /* it keeps what it owns, unless its weight is 0, and takes nothing else */
} placement_member_t;

/* A broker that may hold lanes: all weigh the same, but for those that drain. */
placement_member_t placement_broker(incarnation_t broker, bool draining);
/* A runner that may own shards of the types that it brings. */
placement_member_t placement_runner(incarnation_t runner, uint32_t weight, uint64_t version,
                                    runner_standing_t standing);

/* Members have distinct incarnations, none of them zero. `owners` holds `shard_count` incarnations
 * (none: no owner) and is changed in place. Members may come in any order. What cordoned members
 * own stays; the others share the rest, and each gets floor or ceil of its share. Without a member
 * that takes shards the rest has no owners. */
void placement_compute(const placement_member_t *members, size_t member_count,
                       incarnation_t *owners, size_t shard_count);

/* The same for members of different versions. `versions` holds the version of each shard's last
 * owner, who may be gone, and becomes that of its new owner. A shard gets a member of a smaller
 * version only where no member has an equal or larger one, and then one of the largest that there
 * is: so members of larger versions may get more than their shares while a new version is rolled
 * out. */
void placement_compute_versions(const placement_member_t *members, size_t member_count,
                                incarnation_t *owners, uint64_t *versions, size_t shard_count);

#endif
