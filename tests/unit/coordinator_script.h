/* A scripted store and router around the coordinator's core, for its unit tests: tables are set by
 * hand, store calls are answered from them, effects are counted.
 */
#ifndef TESTS_UNIT_COORDINATOR_SCRIPT_H
#define TESTS_UNIT_COORDINATOR_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include <fabric/schema.h>

#include "broker/coordinator/coordinator.h"

#define LEASE_MS 3000
#define SHARDS   12
#define LANES    4 /* shard n is in lane n % LANES */
#define HIGH_ID  5000

static const incarnation_t self = {{1}};
static const incarnation_t other = {{2}};
static const incarnation_t third = {{3}};
static const incarnation_t runner_a = {{0xa}};
static const incarnation_t runner_b = {{0xb}};

/* A store whose tables the tests set by hand. */
typedef struct script {
    coordinator_t *c;
    durable_term_t durable;
    uint64_t now_ms;
    store_broker_t brokers[4];
    size_t broker_count;
    bool silent[4];   /* the others raise their counters by themselves */
    bool refusing[4]; /* their endpoints refuse connections */
    store_coordinator_t row;
    store_lane_t lanes[LANES];
    fabric_error_t assigning[LANES]; /* what ASSIGN_LANE answers for this lane */
    uint32_t assigned[LANES];        /* how often it was tried */
    uint64_t id_mark;
    coordinator_group_t groups[3];
    size_t group_count;
    uint8_t descriptions[40][512];
    store_type_t types[40];
    size_t type_count;
    store_registration_t registration; /* as LIST_TYPES tells it */
    store_runner_t runners[4];
    size_t runner_count;
    fabric_error_t fail[COORDINATOR_CALL_KINDS]; /* what such calls answer */
    uint32_t calls[COORDINATOR_CALL_KINDS];
    /* effects so far */
    uint32_t fenced, elected, ready, told, desires, maps, types_seen, types_read;
    uint32_t admitted, without_heir;
    bool types_certain;
    uint32_t types_forgotten, forget_answers, types_opened;
    fabric_error_t forget_error;
    uint64_t scheduled[LANES]; /* what COUNT_SCHEDULED answers */
    uint32_t registrations;
    bool registered_late; /* after a type, or after the router was told that it knows all */
    uint64_t registered_ago_ms;
    uint64_t held[LANES]; /* epochs of the lanes that this broker holds; 0: it does not */
    uint32_t holders;
    incarnation_t holder;
    uint64_t lease_ms, lease_mark;
    fabric_error_t admission;
    char text[512];
    char desired_types[8][256];
    incarnation_t desired[8][SHARDS + 1]; /* of these types */
    uint64_t app_version;                 /* of runners that are to be admitted */
    shard_map_t *map;
    size_t members; /* as the last effect MEMBERS told */
    map_version_t version;
    uint32_t revisions, wanted, told_owners;
    incarnation_t asked;  /* the broker that MAP_WANTED or OWNERS is for */
    wire_writer_t owners; /* the last OWNERS */
    bool hold_adoption;   /* the router is slow to adopt */
} script_t;

typedef struct brought {
    const char *name, *group;
    bool durable;
} brought_t;

void script_add_broker(script_t *s, incarnation_t incarnation);
void script_remove_broker(script_t *s, incarnation_t incarnation);
void script_add_group(script_t *s, const char *name);
/* Its group must be there. */
void script_add_type(script_t *s, const brought_t *type);
/* The lane's row; all lanes begin without a holder in epoch 0. */
void script_set_lane(script_t *s, uint32_t lane, incarnation_t holder, uint64_t epoch);
void script_set_lanes(script_t *s, incarnation_t holder, uint64_t epoch);
int script_set_up(void **state);
/* The coordinator begins anew, in a cluster with so many shards in a group. */
void script_begin_with(script_t *s, uint32_t shards_per_group);
int script_tear_down(void **state);
void script_answer(script_t *s, const coordinator_call_t *call);
void script_take_effects(script_t *s);
void script_pump(script_t *s);
void script_pass(script_t *s, uint64_t duration_ms, uint64_t step_ms);
void script_order(script_t *s, router_order_kind_t kind, incarnation_t runner, uint32_t weight);
/* The broker tells the others that it drains. */
void script_say_draining(script_t *s, incarnation_t broker);
/* A later version of the type: its message has the optional field "gift". */
void script_admit_newer(script_t *s, incarnation_t runner, const brought_t *type,
                        fabric_field_kind_t gift);
void script_admit(script_t *s, incarnation_t runner, const brought_t *types, uint32_t count);
/* The router has adopted what it is told of. */
void script_adopt(script_t *s, uint32_t lane);
/* How many lanes this broker holds by the router's knowledge. */
uint32_t script_held(const script_t *s);
/* Who owns a shard of "Counter" by the last map. */
incarnation_t script_owner(const script_t *s, shard_id_t shard);
/* How many lanes the broker holds by the store. */
uint32_t script_count_lanes(const script_t *s, incarnation_t holder);
/* The runner that is to own the type's part of the shard. */
incarnation_t *script_desired(script_t *s, const char *type, uint32_t shard);
/* How many shards' parts of the type the runner is to own. */
uint32_t script_owned(script_t *s, const char *type, incarnation_t runner);

#endif
