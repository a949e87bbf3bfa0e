/** @file
 * Health of a cluster: sums of what its brokers say about themselves. Health means progress, not a
 * live connection: a broker whose lane, or a runner whose executor, is stuck is not healthy.
 *
 * Words:
 *  - A broker *answers* if it says within the time limit how it is.
 *  - A lane is *served* if a broker that answers is its home. It is *moving* while a broker adopts
 *    it or gives it up. It is *stuck* if something of it waits for the database (an append, a
 *    checkpoint, its adoption, a load, a look-up) and nothing of that kind has come to an end for
 *    longer than the broker's lease (3 s by default).
 *  - A shard counts once for each entity type of its group. It is *served* for a type if its lane
 *    is served, its home has a confirmed lease, and a connected runner owns the type's entities
 *    there. It is *moving* while its lane moves, or while its owner is asked to give it back or has
 *    just been lost and may come back. Else it is *unserved*. Of a type that no runner brings only
 *    those shards count where messages wait.
 *  - A runner is *known* if a broker that answers knows it. It is *healthy* if all of these say
 *    that it is connected and takes part, and that no executor of it is stuck: see stuck_ms of
 *    <fabric/worker.h>.
 *  - A cluster is *healthy* if all its brokers answer and have confirmed leases, no lane is stuck,
 *    damaged or without a holder, no runner is stuck, no shard is unserved, and there is a runner,
 *    if there are entity types. What moves is no harm; it gets stuck or unserved if it does not
 *    come to its end.
 */
#ifndef FABRIC_HEALTH_H
#define FABRIC_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/** The most reasons that are told; reason_count counts all. */
#define FABRIC_HEALTH_REASONS_MAX 16

/** The most brokers of a cluster. */
#define FABRIC_HEALTH_BROKERS_MAX 64

/** How a cluster is. It owns nothing and refers to nothing. */
typedef struct fabric_health {
    bool healthy; /**< see above; false exactly where there is a reason */
    /** Why it is not healthy: plain sentences for people, the gravest kinds first. */
    char reasons[FABRIC_HEALTH_REASONS_MAX][256];
    uint32_t reason_count; /**< of all reasons, those that are not told included */

    char cluster[256];     /**< the cluster's name; empty: no broker answers */
    uint64_t map_term;     /**< version of the newest shard map that any broker has: its term, */
    uint64_t map_sequence; /**< and its number in that term */
    uint32_t brokers;      /**< of the map */
    uint32_t brokers_answering; /**< of these */
    /** The brokers that do not answer, as "name (endpoint)"; silent_count of them. */
    char silent[FABRIC_HEALTH_BROKERS_MAX][128];
    uint32_t silent_count; /**< brokers - brokers_answering */

    uint32_t runners;         /**< known */
    uint32_t runners_healthy; /**< of these */
    uint32_t runners_stuck;   /**< of these */

    uint32_t lanes;        /**< of the cluster; 0: no broker answers */
    uint32_t lanes_served; /**< of these */
    uint32_t lanes_moving; /**< of these */
    uint32_t lanes_stuck;  /**< of these; a stuck lane may be served, moving or damaged */

    uint32_t types;         /**< entity types that are registered */
    uint32_t types_missing; /**< of these: no runner brings them */
    uint64_t shards;        /**< shards that count, once for each type: the sum of the next three */
    uint64_t shards_served; /**< of these */
    uint64_t shards_moving; /**< of these */
    uint64_t shards_unserved; /**< of these */

    uint64_t pending; /**< durable messages that are accepted and have not ended */
    /** Age of the oldest of them in milliseconds, too small by at most a 32nd; 0: none is pending.
     *  A message that only the store has may be missed while it is being loaded. */
    uint64_t oldest_pending_ms;
    bool fenced; /**< a broker has lost a lane to another one without having given it up */
    uint64_t last_fence_ms;  /**< with `fenced`: how many milliseconds ago that was last */
    int32_t last_fence_lane; /**< with `fenced`: the lane; -1: all lanes of a broker */
} fabric_health_t;

#endif
