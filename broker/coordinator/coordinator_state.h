/* What the files of the coordinator's core share: coordinator*.c only. */
#ifndef BROKER_COORDINATOR_COORDINATOR_STATE_H
#define BROKER_COORDINATOR_COORDINATOR_STATE_H

#include "broker/coordinator/coordinator.h"
#include "core/limits.h"
#include "core/type_description.h"

#define PUBLISH_EVERY_MS 20u
#define BUSY_RETRY_MS    10u
#define DOWN_RETRY_MS    100u
#define READING_GAP_MS   1000u

typedef struct member {
    store_broker_t broker;
    uint64_t silent_ms; /* since its counter was last seen to change */
} member_t;

typedef struct held_shard {
    bool known; /* the store has it */
    store_shard_t stored;
    uint64_t announced_epoch; /* of our ownership, as told to the router; 0: not told */
    incarnation_t desired;    /* as told to the router */
    incarnation_t owner;      /* as the router told */
    token_t token;
} held_shard_t;

typedef struct known_type {
    uint16_t group;
    type_description_t *description;
    wire_writer_t encoded;
} known_type_t;

typedef struct member_runner {
    store_runner_t stored;
    type_description_t **types;
    size_t type_count;
    bool joined;
    bool put_due;      /* its row is to be written */
    bool register_due; /* its types are to be looked at again: we took the term after it joined */
    bool asked;        /* the router waits for router_admitted */
    uint64_t deadline_ms; /* asked: for the answer */
} member_runner_t;

struct coordinator {
    coordinator_config_t config;

    bool in_flight;
    coordinator_call_t call; /* in flight */
    uint64_t call_started_ms;
    uint64_t now_ms;
    uint64_t retry_ms; /* no call before */
    uint64_t renew_ms, list_ms, refresh_ms;
    bool term_due, fresh_list_due, take_due, homes_due, shards_due, groups_due, types_due;
    bool runners_due;
    bool list_is_fresh; /* nothing else was called since the list of brokers was read */
    bool fenced, ready, loading;
    bool shards_read, groups_read, types_read, judged;

    member_t *members;
    size_t member_count;
    uint64_t last_list_ms; /* end of the last successful reading; 0: none counts */
    store_coordinator_t row;
    bool row_read; /* before the present list of members */
    bool holder;
    uint64_t term;
    incarnation_t told_holder; /* the last one that the router was told of */
    incarnation_t deposed;     /* the holder before us, when it counted as dead */
    incarnation_t *living;

    held_shard_t *shards; /* (group - 1) * shards_per_group + number - 1 */
    size_t shard_room;
    coordinator_group_t groups[LIMIT_GROUPS_MAX]; /* number n at n - 1 */
    size_t group_count;
    known_type_t *types;
    size_t type_count;

    member_runner_t **runners;
    size_t runner_count;
    incarnation_t *removals; /* runners whose rows are to be removed */
    size_t removal_count;
    wire_writer_t type_bytes; /* of the PUT_TYPE in flight */
    wire_writer_t scratch;
    char put_name[256]; /* of the PUT_GROUP or PUT_TYPE in flight */

    shard_map_t *map;
    uint64_t publish_ms; /* not before */
    uint64_t standby_sequence;

    coordinator_effect_t *effects;
    size_t effect_first, effect_count, effect_room;
};

/* `count` items, the last of them new and zeroed. Aborts without memory. */
void *coordinator_grow(void *items, size_t count, size_t size);

/* coordinator.c */
coordinator_effect_t *coordinator_emit(coordinator_t *c, coordinator_effect_kind_t kind);
void coordinator_emit_bytes(coordinator_effect_t *effect, fabric_bytes_t bytes);
void coordinator_fence(coordinator_t *c);
/* The runner's row is to be removed from the store, where we hold the term. */
void coordinator_forget_row(coordinator_t *c, incarnation_t runner);

/* coordinator_members.c: who lives, and who holds the term */
void coordinator_take_members(coordinator_t *c, const coordinator_results_t *results,
                              uint64_t now_ms);
void coordinator_take_row(coordinator_t *c, const store_coordinator_t *row);
void coordinator_become_holder(coordinator_t *c, uint64_t term);
bool coordinator_is_member(const coordinator_t *c, incarnation_t incarnation);
void coordinator_find_living(coordinator_t *c, coordinator_call_t *call);

/* coordinator_shards.c: homes and owners */
held_shard_t *coordinator_shard(coordinator_t *c, shard_id_t shard);
void coordinator_take_shards(coordinator_t *c, const coordinator_results_t *results);
void coordinator_announce_homes(coordinator_t *c);
void coordinator_place(coordinator_t *c);
void coordinator_desire_again(coordinator_t *c, incarnation_t runner);
bool coordinator_homes_missing(const coordinator_t *c);

/* coordinator_types.c: groups, types and the admission of runners */
void coordinator_take_groups(coordinator_t *c, const coordinator_results_t *results);
void coordinator_take_types(coordinator_t *c, const coordinator_results_t *results);
const coordinator_group_t *coordinator_group_named(const coordinator_t *c, const char *name);
member_runner_t *coordinator_runner(const coordinator_t *c, incarnation_t incarnation);
void coordinator_admit(coordinator_t *c, const router_order_t *order);
void coordinator_remove_runner(coordinator_t *c, incarnation_t incarnation);
/* Answers admissions that need no call, and gives up those that waited too long. */
void coordinator_conclude_admissions(coordinator_t *c);
/* Fills in the call that an admission needs. */
bool coordinator_next_admission(coordinator_t *c, coordinator_call_t *call);
/* Rows of runners that are not joined here are left over from former holders. */
void coordinator_take_runners(coordinator_t *c, const coordinator_results_t *results);
void coordinator_admission_answered(coordinator_t *c, fabric_error_t error,
                                    const coordinator_results_t *results);
void coordinator_types_destroy(coordinator_t *c);

/* coordinator_map.c: the map */
void coordinator_map_shard(coordinator_t *c, const held_shard_t *shard);
void coordinator_map_sync(coordinator_t *c);
void coordinator_publish(coordinator_t *c, uint64_t now_ms);

#endif
