/* The inside of a simulated broker, for simulation_broker.c (the process), simulation_lanes.c and
 * simulation_coordinator.c (what blocks on the store) alone.
 */
#ifndef TESTS_SIMULATION_SIMULATION_BROKER_H
#define TESTS_SIMULATION_SIMULATION_BROKER_H

#include "broker/coordinator/coordinator.h"
#include "broker/store/finder.h"
#include "broker/store/lane.h"
#include "broker/router/router.h"
#include "tests/simulation/simulation_processes.h"

enum { LANES = 2, INBOX_MAX = 64 };

typedef struct broker_life broker_life_t;

typedef enum operation_kind { OPERATION_COMMIT, OPERATION_LOAD } operation_kind_t;

/* An operation of a lane, and its result. */
typedef struct operation {
    operation_kind_t kind;
    const store_batch_t *batch;
    request_id_t from;
    fabric_error_t error;
    lane_rejections_t rejected;
    message_t *messages;
    uint64_t high_id;
} operation_t;

typedef struct broker_lane {
    broker_life_t *life;
    uint32_t number;
    lane_t *lane;
    fiber_t *fiber;
    operation_t *inbox[INBOX_MAX];
    size_t inbox_count;
    uint64_t last_us; /* of its pipe to the router */
} broker_lane_t;

/* A look-up, and its result. */
typedef struct search {
    uint32_t lane;
    router_lookup_t lookup;
    fabric_error_t error;
    finder_answer_t answer;
} search_t;

typedef struct broker_finder {
    broker_life_t *life;
    finder_t *finder;
    fiber_t *fiber;
    search_t *inbox[LANES]; /* one of each lane */
    size_t inbox_count;
    uint64_t last_us; /* of its pipe to the router */
} broker_finder_t;

/* One incarnation of a broker. The struct outlives the process until the last store call is
 * over. */
struct broker_life {
    broker_life_t *next;
    process_t *process;
    uint64_t number; /* the process's life */
    durable_term_t durable;
    incarnation_t incarnation;
    store_t *store; /* the coordinator's */
    router_t *router;
    coordinator_t *coordinator;
    broker_lane_t lanes[LANES];
    broker_finder_t finder;
    fiber_t *opening, *coordinating;
    unsigned fibers;
    bool open;
    bool ending; /* the broker stops when the present turn is over */
    uint64_t restart_us;
    bool blocked;
    bool draining, leave;
    uint64_t drain_until_us;
    bool lanes_halted;
    router_order_t orders[256];
    size_t order_count;
    unsigned loaded;  /* for the coordinator */
    uint64_t last_us; /* of the coordinator's pipe to the router */
    uint64_t committing;
};

/* ---- simulation_broker.c ---- */

/* Only the store of the simulation. */
extern const store_driver_t *const broker_drivers[];

broker_life_t *broker_life_now(process_t *process);
bool broker_life_is_over(const broker_life_t *life);
/* The incarnation is over; the next one starts later. */
void broker_life_end(broker_life_t *life, const char *why, uint64_t after_us);
/* Puts an item into a pipe to the router, which keeps the order. */
void broker_send_to_router(broker_life_t *life, event_t *event, uint64_t *last_us);
/* The router has loaded the shards of its new homes. */
void broker_loaded(broker_life_t *life, message_t *messages, uint64_t high_id);

/* ---- simulation_lanes.c ---- */

lane_world_t broker_lane_world(broker_lane_t *lane);
void broker_lane_run(void *lane); /* a fiber */
void broker_lane_send(broker_lane_t *lane, const operation_t *operation);
/* Hands the router's next batch and look-up to a lane. */
void broker_lane_feed(broker_life_t *life, uint32_t number);

/* ---- simulation_finder.c ---- */

void broker_finder_open(broker_life_t *life);
void broker_finder_close(broker_finder_t *finder);
void broker_finder_run(void *finder); /* a fiber */
void broker_finder_send(broker_finder_t *finder, uint32_t lane, const router_lookup_t *lookup);

/* ---- simulation_coordinator.c ---- */

void broker_coordinator_run(void *life); /* a fiber */

#endif
