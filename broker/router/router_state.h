/* The router's state, composed of the structs that its files own. See router.h for what the router
 * is. */
#ifndef BROKER_ROUTER_ROUTER_STATE_H
#define BROKER_ROUTER_ROUTER_STATE_H

#include "broker/router/router.h"
#include "broker/router/batch_state.h"
#include "broker/router/client_state.h"
#include "broker/router/lookup_state.h"
#include "broker/router/mailbox_state.h"
#include "broker/router/peer_state.h"
#include "broker/router/poison_state.h"
#include "broker/router/runner_state.h"
#include "broker/router/shard_state.h"
#include "broker/router/type_state.h"
#include "core/limits.h"
#include "core/snowflake.h"

typedef struct order_item order_item_t;

struct router {
    router_config_t config;
    uint64_t started_ms;
    uint64_t now_ms;
    uint64_t last_tick_ms;
    uint64_t last_sweep_ms;
    uint64_t lease_until_ms;
    incarnation_t holder; /* the broker that holds the term; none: not known yet */
    bool draining;
    snowflake_generator_t generator;
    router_counters_t counters;

    peer_t **peers;
    uint32_t peer_capacity, peer_count;
    peer_t *peers_by_routing_id;
    peer_t *offered, *offered_last;
    out_frame_t *spare_frames;
    uint32_t spare_count;

    uint64_t queued_bytes; /* of frames for all peers */
    uint32_t documents;    /* long documents that were made since the last tick */
    router_violation_t violation;
    router_unserved_t unserved;

    client_t *clients;
    client_t *away; /* the clients that are not connected, longest first */
    uint64_t client_bytes;
    runner_t *runners;
    known_type_t *types;

    shard_t *groups[LIMIT_GROUPS_MAX]; /* shards_per_group each, or NULL */
    timers_t releases;                 /* of shards */
    entity_t *entities;
    timers_t pauses;      /* of entities */
    uint64_t activations; /* the last activation's number */
    message_t *messages_by_id;

    router_lane_t lanes[LIMIT_LANES_MAX];
    uint64_t held;          /* messages of requests that are held */
    uint64_t message_bytes; /* of all messages in messages_by_id */
    bool loading;           /* messages of shards are being read: no low-water mark is known */
    uint64_t mark;
    uint64_t mark_ms;
    uint64_t high_id_stored; /* the next home of these shards makes ids above it */
    uint64_t idle_batches;   /* counters.batches after the last batch that held only a mark */

    shard_map_t *map;
    order_item_t *orders, *orders_last;
    router_poison_t poison;
    router_damage_t damages[ROUTER_DAMAGES_MAX];
    size_t damage_count;
    wire_writer_t scratch;
};

/* The lane of the shard. */
static inline router_lane_t *lane_of(router_t *router, shard_id_t shard)
{
    return &router->lanes[shard_id_number(shard) % router->config.lanes];
}

/* Whether the memory for messages is used up. */
static inline bool router_memory_is_full(const router_t *router)
{
    return router->message_bytes + router->client_bytes >= router->config.memory_bytes_max;
}

/* Whether no more durable messages may be taken. */
static inline bool router_is_full(const router_t *router)
{
    return router->counters.pending + router->held >= router->config.pending_max ||
           router_memory_is_full(router);
}

#endif
