/* One document of what all brokers of a cluster say. Each broker is the authority for its own lanes
 * and shards only, and knows the runners that are connected to it.
 *
 * The merged document has these keys; `fabricctl status -o json` prints it:
 *   - healthy, reasons, health: whether the cluster is healthy, why not (sentences), and the
 *     numbers of fabric_health_t under their names; `status` adds them;
 *   - cluster, map_term, map_sequence: the newest that any broker knows;
 *   - brokers: of each broker of the map, its incarnation, name, router, and `answers`; with true
 *     also pub, state, pending, oldest_pending_ms, fence, store and counters as it says itself,
 *     with false error and text;
 *   - lanes: of each lane that a broker holds, what its holder says, and broker and broker_name;
 *   - runners: each runner once, as the brokers say it; owned and outstanding are sums, its state
 *     and standing are the worst that any broker says, and so are stuck and stuck_ms;
 *   - types: each type once, with all runners that any broker names, and sums of served, moving,
 *     unserved and waiting over the lanes of all brokers that answer;
 *   - unregistered: the types that nobody has registered and that were asked for of late, as the
 *     brokers say it that have held the term;
 *   - shards: each shard once, in the words of its home; `healthy` is null where its home does not
 *     answer;
 *   - counters: the sums.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_CLUSTER_MERGE_H
#define CLI_CLUSTER_MERGE_H

#include <jansson.h>

#include <fabric/client.h>

/* Merges the status documents (JSON) of those answers that have one; `documents` has one for each
 * answer, NULL: the broker does not answer. The merged document is the caller's; its brokers stand
 * in the order of the answers. */
json_t *cluster_merge(const fabric_broker_answer_t *answers, json_t *const *documents,
                      size_t count);

#endif
