/* The cluster that the first welcome named, and what the link has learned of the cluster since. */
#ifndef WORKER_LINK_CLUSTER_STATE_H
#define WORKER_LINK_CLUSTER_STATE_H

#include "core/ids.h"
#include "core/message.h"
#include "core/shard_map.h"

typedef struct link_cluster {
    bool known;
    uint8_t id[16];
    uint32_t shards_per_group;
    shard_map_t *map;
    uint64_t high_id; /* the highest request id that was seen */
} link_cluster_t;

void link_cluster_init(link_cluster_t *cluster);
void link_cluster_free(link_cluster_t *cluster);
/* Whether a welcome's fields are within their bounds. */
bool link_cluster_welcome_valid(const message_welcome_t *welcome);
/* Takes a valid welcome's cluster for this link's, if there was none before.
 * FOREIGN_CLUSTER (`name`, unless it is empty, is the cluster's), SHARDS_MISMATCH. */
FABRIC_MUST_USE fabric_error_t link_cluster_join(link_cluster_t *cluster, fabric_bytes_t name,
                                                 const message_welcome_t *welcome);
void link_cluster_note_id(link_cluster_t *cluster, uint64_t request_id);
/* Whether a number, as received, is a shard of the cluster. */
bool link_cluster_has_shard(const link_cluster_t *cluster, uint64_t number);

#endif
