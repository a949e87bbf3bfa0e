/* Placement: which runner should own each shard of a group. A pure, deterministic function of the
 * members and the previous placement: balanced by weight, with the fewest moves. A runner that
 * joins or leaves among n moves about 1/n of the shards, and no others change place.
 */
#ifndef CORE_PLACEMENT_H
#define CORE_PLACEMENT_H

#include <stddef.h>

#include "core/ids.h"

typedef struct placement_member {
    incarnation_t incarnation;
    uint32_t weight; /* share of the shards; 0 takes none */
    /* Whether it brings all live types of the group. Members that do not get shards only if no
     * member does. */
    bool brings_types;
} placement_member_t;

/* Members have distinct incarnations, none of them zero. `owners` holds `shard_count` incarnations
 * (none: no owner) and is changed in place. Members may come in any order. Without a member of
 * positive weight every owner becomes none. Each member gets floor or ceil of its share. */
void placement_compute(const placement_member_t *members, size_t member_count,
                       incarnation_t *owners, size_t shard_count);

#endif
