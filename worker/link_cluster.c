/* The link's cluster: see link_cluster_state.h. */
#include "worker/link_cluster_state.h"

#include <string.h>

#include "core/limits.h"

#define LEASE_MS_MIN     100u
#define LEASE_MS_MAX     600000u
#define HEARTBEAT_MS_MIN 5u

void link_cluster_init(link_cluster_t *cluster)
{
    cluster->map = shard_map_new();
}

void link_cluster_free(link_cluster_t *cluster)
{
    shard_map_destroy(&cluster->map);
}

bool link_cluster_welcome_valid(const message_welcome_t *welcome)
{
    return welcome->cluster_id.size == 16 && welcome->broker.size == 16 &&
           welcome->shards_per_group >= 1 &&
           welcome->shards_per_group <= LIMIT_SHARDS_PER_GROUP_MAX &&
           welcome->lease_ms >= LEASE_MS_MIN && welcome->lease_ms <= LEASE_MS_MAX &&
           welcome->heartbeat_ms >= HEARTBEAT_MS_MIN &&
           welcome->heartbeat_ms <= welcome->lease_ms / 2;
}

fabric_error_t link_cluster_join(link_cluster_t *cluster, fabric_bytes_t name,
                                 const message_welcome_t *welcome)
{
    if (cluster->known && memcmp(welcome->cluster_id.data, cluster->id, 16) != 0) {
        return FABRIC_ERROR_FOREIGN_CLUSTER;
    }
    if (name.size > 0 && !fabric_bytes_equal(name, welcome->cluster_name)) {
        return FABRIC_ERROR_FOREIGN_CLUSTER;
    }
    if (cluster->known && welcome->shards_per_group != cluster->shards_per_group) {
        return FABRIC_ERROR_SHARDS_MISMATCH;
    }
    if (!cluster->known) {
        cluster->known = true;
        memcpy(cluster->id, welcome->cluster_id.data, 16);
        cluster->shards_per_group = (uint32_t)welcome->shards_per_group;
        shard_map_set_shards_per_group(cluster->map, cluster->shards_per_group);
    }
    return FABRIC_OK;
}

void link_cluster_note_id(link_cluster_t *cluster, uint64_t request_id)
{
    cluster->high_id = request_id > cluster->high_id ? request_id : cluster->high_id;
}

bool link_cluster_has_shard(const link_cluster_t *cluster, uint64_t number)
{
    if (number > UINT32_MAX) {
        return false;
    }
    shard_id_t shard = {(uint32_t)number};
    return shard_id_group(shard) >= 1 && shard_id_group(shard) <= LIMIT_GROUPS_MAX &&
           shard_id_number(shard) >= 1 && shard_id_number(shard) <= cluster->shards_per_group;
}
