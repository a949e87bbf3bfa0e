/* The router's state, composed of the structs that its files own. See router.h for what the router
 * is. */
#ifndef BROKER_ROUTER_ROUTER_STATE_H
#define BROKER_ROUTER_ROUTER_STATE_H

#include "broker/router/router.h"
#include "broker/router/ages.h"
#include "broker/router/alive_state.h"
#include "broker/router/client_state.h"
#include "broker/router/lane_state.h"
#include "broker/router/mailbox_state.h"
#include "broker/router/operator_cancels.h"
#include "broker/router/outgoing.h"
#include "broker/router/member_state.h"
#include "broker/router/ownership_state.h"
#include "broker/router/peer_state.h"
#include "broker/router/failing_state.h"
#include "broker/router/forgetting_state.h"
#include "broker/router/poison_state.h"
#include "broker/router/relays_state.h"
#include "broker/router/request_ids.h"
#include "broker/router/runner_state.h"
#include "broker/router/settlement_state.h"
#include "broker/router/shard_state.h"
#include "broker/router/type_state.h"
#include "broker/router/unregistered.h"
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
    uint64_t id_mark;        /* this broker makes no larger ids */
    request_id_t doubted_id; /* the last one heard of another broker, if it was too high; or 0 */
    uint64_t high_id_at_ms;  /* when the coordinator is told the highest id next */
    incarnation_t holder;    /* the broker that holds the term; none: not known yet */
    bool types_listed;       /* all types, once: others are new */
    bool types_read;         /* all types, since this broker holds the term */
    bool drain_asked;        /* an operator has asked for an orderly stop */
    bool draining; /* an orderly stop has begun; lanes that are held are served all the same, */
    bool closing;  /* until this */
    bool farewell; /* the lanes are handed over: clients are to leave */
    uint64_t drain_half_ms, drain_until_ms; /* the times when half of it and all of it is over */
    snowflake_generator_t generator;
    router_counters_t counters;

    peer_t **peers;
    uint32_t peer_capacity, peer_count;
    peer_t *peers_by_routing_id;
    peer_t *offered, *offered_last;
    out_frame_t *spare_frames;
    uint32_t spare_count;

    uint64_t queued_bytes; /* of frames for all peers */
    uint64_t origins;      /* peers that have relayed frames, so far */
    router_relays_t relays;
    router_outgoing_queues_t outgoing; /* outgoing.c writes it */
    member_t *members;                 /* the other brokers */
    uint32_t documents;                /* long documents that were made since the last tick */
    router_violation_t violation;
    router_unserved_t unserved;
    unregistered_t unregistered;

    client_t *clients;
    client_t *outgoing_by_number;   /* the clients of outgoing messages, by their sources */
    client_t *away;                 /* the clients that are not connected, longest first */
    client_t *outgoing_clients;     /* those of outgoing messages, longest without one first; */
    client_t *outgoing_answered;    /* those that have had an answer since the last event */
    uint32_t outgoing_client_count; /* of both lists */
    uint64_t client_bytes;
    runner_t *runners;
    uint32_t runners_to_log; /* whose health has changed; runners.c writes it */
    known_type_t *types;
    uint32_t mailbox_capacity_min; /* of all types so far */
    uint32_t closed_types;         /* types.c writes it */
    router_forgetting_t forgetting;

    shard_t *groups[LIMIT_GROUPS_MAX]; /* shards_per_group each, or NULL */
    ownership_t *ownerships;
    timers_t releases; /* of ownerships */
    entity_t *entities;
    timers_t pauses;        /* of entities */
    alive_t *alives;        /* entities that are kept alive; alive.c writes these two */
    timers_t alive_pauses;  /* of ownerships */
    int64_t clock_ahead_ms; /* Unix time by this broker's clock, less now_ms; see router_clock */
    int64_t due_ms; /* no scheduled message of a window is due earlier; INT64_MAX: there is none */
    uint64_t activations; /* the last activation's number */
    message_t *messages_by_id;
    ages_t pending_ages; /* of pending messages, by the times of their ids; mailbox.c writes it */

    router_lane_t lanes[LIMIT_LANES_MAX];
    router_fence_t fence;             /* lanes.c writes it */
    uint64_t held;                    /* messages of requests that are held */
    uint64_t message_bytes;           /* of all messages in messages_by_id */
    uint64_t key_bytes;               /* of the primary keys of all lanes */
    uint64_t state_bytes;             /* of the persisted states of all lanes */
    uint64_t told_bytes;              /* of what handlers have told, until it is durable */
    uint64_t outgoing_bytes;          /* of the outboxes of all lanes */
    uint32_t outboxes;                /* lanes that have one */
    bool outboxes_wait;               /* something has happened that outboxes have to do with */
    bool outboxes_go_on;              /* there was more to be sent than one turn may send */
    uint32_t outboxes_turn;           /* the lane whose turn is first */
    uint8_t outbox_of[OUTBOX_PLACES]; /* by calls' sources: the lane that has sent the last one */
    uint32_t reader_count;            /* queries of entities' events; readers.c writes it */
    uint64_t takes;                   /* of batches, of all lanes */
    uint64_t new_journal_bytes;       /* of all lanes\' entries that no checkpoint covers yet */
    uint64_t high_id_stored;          /* the highest id that some entry says was made */

    shard_map_t *map;
    order_item_t *orders, *orders_last;
    router_poison_t poison;
    router_failing_t failing;
    router_operator_cancels_t operator_cancels;
    router_settlement_t settlement;
    router_damage_t damages[ROUTER_DAMAGES_MAX];
    size_t damage_count;
    wire_writer_t scratch;
};

/* The number of the shard's lane, and the lane. */
static inline uint32_t lane_number(const router_t *router, shard_id_t shard)
{
    return shard_id_number(shard) % router->config.lanes;
}
static inline router_lane_t *lane_of(router_t *router, shard_id_t shard)
{
    return &router->lanes[lane_number(router, shard)];
}

/* Whether the broker's lease holds, and the store has reserved the ids that it makes now. */
static inline bool router_is_leased(const router_t *router)
{
    return router->now_ms < router->lease_until_ms &&
           request_ids_are_reserved(router, (request_id_t){0});
}

/* Until when the primary key of a message of the type that ends now stands: Unix time. */
static inline int64_t router_key_until_ms(router_t *router, fabric_bytes_t type)
{
    uint64_t own_ms = type_options(router, type).key_retention_ms;
    uint64_t retention_ms = own_ms > 0 ? own_ms : router->config.key_retention_ms;
    return router->config.store_now_ms + (int64_t)(router->now_ms - router->started_ms) +
           (int64_t)retention_ms;
}

/* The broker that is the shard's home by the map; NULL: it is this broker, or is unknown. */
static inline const map_broker_t *router_other_home(const router_t *router, shard_id_t shard)
{
    const map_lane_t *lane = shard_map_lane_of(router->map, shard);
    const map_broker_t *home = lane ? shard_map_broker(router->map, lane->home) : NULL;
    return home && !incarnation_equal(home->incarnation, router->config.incarnation) ? home : NULL;
}

/* Whether the memory for messages is used up. */
static inline bool router_memory_is_full(const router_t *router)
{
    uint64_t free_bytes = router->config.state_bytes_free;
    uint64_t states = router->state_bytes > free_bytes ? router->state_bytes - free_bytes : 0;
    return router->message_bytes + router->client_bytes + router->key_bytes + router->told_bytes +
               router->outgoing_bytes + states >=
           router->config.memory_bytes_max;
}

/* Whether so much of journals waits for checkpoints that no new work may be taken. */
static inline bool router_journal_is_full(const router_t *router)
{
    return router->counters.journal_bytes >= router->config.checkpoint_bytes_max;
}

/* Whether no more durable messages may be taken. */
static inline bool router_is_full(const router_t *router)
{
    return router->counters.pending + router->held >= router->config.pending_max ||
           router_memory_is_full(router) || router_journal_is_full(router);
}

#endif
