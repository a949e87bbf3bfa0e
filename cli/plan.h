/* What would move if a broker or runner came or went: computed with the function that brokers place
 * lanes and shards with, from what they say now.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "cli/cluster_view.h"

/* A runner that is not there yet. */
typedef struct plan_runner {
    uint32_t weight;
    uint64_t app_version;
    const char *types; /* names, separated by commas; NULL: all */
} plan_runner_t;

/* The lanes that move, in their order: an array of objects lane, from, to (ids; null: nobody). The
 * caller's. `drained`: the broker that goes; NULL: one is added, as PLAN_NEWCOMER. */
json_t *plan_lanes(const cluster_view_t *view, const char *drained);
/* The types' parts of shards that move: an array of objects type, shard, from, to. `drained`: the
 * runner that goes; NULL: `added` comes, as PLAN_NEWCOMER. */
json_t *plan_shards(const cluster_view_t *view, const char *drained, const plan_runner_t *added);

/* The id of what is not there yet. Brokers order members of the same claim by their ids, so that
 * another id may make a difference of one lane, or one shard of a type at each home. */
#define PLAN_NEWCOMER "ffffffffffffffffffffffffffffffff"

#endif
