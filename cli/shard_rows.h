/* The shards of a cluster, as the brokers of a view tell them: each by its home, where that
 * answers.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_SHARD_ROWS_H
#define CLI_SHARD_ROWS_H

#include "cli/cluster_view.h"

/* All shards, an array of objects: shard ("group:number"), group, number, lane, home, home_name,
 * home_epoch, state, owners (a runner's id for each type that has an owner). `state`: "served",
 * "unserved", "moving" (its lane is without a home, is being adopted or given up), or "unknown",
 * where its home does not answer. `type`, `group`: only shards of them, and owners of the type;
 * NULL: any. The caller's. */
json_t *cli_shard_rows(const cluster_view_t *view, const char *type, const char *group);
/* Everything about the shard of that text form, an object: the members of its row, but `owners` is
 * an array of objects: type, runner, name, standing, state, app_version; and lane_state, entry,
 * checkpoint, tail_bytes, null where its home does not answer. NULL: there is no such shard. The
 * caller's. */
json_t *cli_shard_details(const cluster_view_t *view, const char *shard);

#endif
