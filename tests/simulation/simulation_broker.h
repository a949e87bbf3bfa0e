/* The inside of a simulated broker, for simulation_broker.c (the process), simulation_actors.c
 * (what blocks on the store), simulation_feed.c (what the router gives to these actors, and gets
 * from them) and simulation_coordinator.c alone.
 */
#ifndef TESTS_SIMULATION_SIMULATION_BROKER_H
#define TESTS_SIMULATION_SIMULATION_BROKER_H

#include "broker/coordinator/coordinator.h"
#include "broker/mesh/mesh.h"
#include "broker/router/router.h"
#include "broker/store/append_pacer.h"
#include "broker/store/appender.h"
#include "broker/store/checkpointer.h"
#include "broker/store/finder.h"
#include "broker/store/loader_search.h"
#include "tests/simulation/simulation_processes.h"

enum { APPENDERS_MAX = 2, INBOX_MAX = 64 };

/* A coordinator that waits longer for the store has not taken what came meanwhile. */
#define BROKER_LONG_CALL_US 200000u

typedef struct broker_life broker_life_t;

typedef enum actor_kind {
    ACTOR_LOADER,
    ACTOR_CHECKPOINTER,
    ACTOR_FINDER,
    ACTOR_APPENDER, /* the first of them */
    ACTORS_MAX = ACTOR_APPENDER + APPENDERS_MAX
} actor_kind_t;

typedef enum operation_kind {
    /* of appenders */
    OPERATION_BEGIN,  /* the lane of `hold`, from `number` and `log_bytes` on */
    OPERATION_END,    /* the lane of `hold` */
    OPERATION_APPEND, /* `parts` */
    OPERATION_CHECK,  /* -> `fenced` */
    /* of the checkpointer */
    OPERATION_WRITE,   /* `slice` */
    OPERATION_PURGE,   /* the lane of `hold`, below `number` */
    OPERATION_GIVE_UP, /* `hold` */
    /* of the loader */
    OPERATION_ADOPT,          /* `hold` -> `adoption` */
    OPERATION_LOAD,           /* `load` -> `rows`, `done` */
    OPERATION_LOAD_SCHEDULED, /* `scheduled` -> `rows`, `ended` */
    OPERATION_SEARCH,         /* `search` -> `rows` */
    OPERATION_STATES,         /* `wanted` -> `states` */
    OPERATION_EVENTS,         /* `histories` -> `events` */
    OPERATION_READING,        /* `reading` -> `events` */
    OPERATION_OUTGOING,       /* `outgoing` -> `told` */
    /* of the finder */
    OPERATION_FIND /* `lookup` -> `answer` */
} operation_kind_t;

/* What an actor is to do, and its result. */
typedef struct operation {
    operation_kind_t kind;
    fabric_error_t error;
    store_hold_t hold; /* LOAD, LOAD_SCHEDULED, SEARCH, STATES, EVENTS, READING, OUTGOING, FIND: the
                          lane only */
    uint64_t number, log_bytes;
    append_part_t parts[SIMULATION_LANES_MAX];
    size_t part_count;
    store_hold_t fenced[SIMULATION_LANES_MAX];
    size_t fenced_count;
    const store_slice_t *slice;
    adoption_t adoption;
    router_load_t load;
    router_scheduled_t scheduled;
    router_search_t search;
    router_states_t wanted;
    loaded_states_t states;
    router_events_t histories;
    router_reading_t reading;
    loaded_events_t events;
    router_outgoing_load_t outgoing;
    loaded_outgoing_t told;
    bool ended;
    message_chain_t rows;
    size_t done;
    router_lookup_t lookup;
    finder_answer_t answer;
} operation_t;

typedef struct broker_actor {
    broker_life_t *life;
    actor_kind_t kind;
    fiber_t *fiber; /* NULL: not started */
    operation_t *inbox[INBOX_MAX];
    size_t inbox_count;
    uint64_t last_us; /* of its pipe to the router */
    /* An appender: */
    appender_t *appender;
    append_pacer_t pacer;
    bool appending;
    uint64_t wake_us; /* when a held append is due; 0: none is held */
} broker_actor_t;

/* What the router's side knows of a lane. */
typedef struct broker_lane {
    uint64_t epoch;     /* of its last adoption; 0: there was none */
    uint64_t log_bytes; /* of its journal */
} broker_lane_t;

/* What the coordinator's pipe holds: an order, or a map, which then is the order's `owners`. */
typedef struct broker_input {
    bool is_map;
    router_order_t order;
} broker_input_t;

/* One incarnation of a broker. The struct outlives the process until the last store call is
 * over. */
struct broker_life {
    broker_life_t *next;
    process_t *process;
    uint64_t number; /* the process's life */
    durable_term_t durable;
    incarnation_t incarnation;
    broker_secret_t secret;
    int64_t store_ms; /* the database's time when the process's clock was 0 */
    store_t *store;   /* the coordinator's */
    router_t *router;
    coordinator_t *coordinator;
    mesh_t *mesh;
    uint64_t published_us[PROCESSES_MAX]; /* what was published last arrives then */
    uint64_t heartbeat_us, heartbeats;
    map_version_t map_version;
    broker_actor_t actors[ACTORS_MAX];
    broker_lane_t lanes[SIMULATION_LANES_MAX];
    loader_t loader;
    checkpointer_t checkpointer;
    finder_t *finder;
    fiber_t *opening, *coordinating;
    bool calling;        /* the coordinator waits for the store, and takes no input */
    uint64_t call_us;    /* since when; or the last time that it did */
    uint64_t stalled_us; /* when the last long wait was over; 0: there was none */
    unsigned fibers;
    bool open;
    bool ready;  /* its coordinator says so */
    bool ending; /* the broker stops when the present turn is over */
    uint64_t restart_us;
    bool blocked;
    bool draining, closing, farewell, leave;
    uint64_t drain_until_us;
    bool actors_halted;
    broker_input_t *inputs; /* for the coordinator */
    size_t input_count, input_capacity;
    uint64_t last_us; /* of the coordinator's pipe to the router */
};

/* ---- simulation_broker.c ---- */

/* Only the store of the simulation. */
extern const store_driver_t *const broker_drivers[];

broker_life_t *broker_life_now(process_t *process);
bool broker_life_is_over(const broker_life_t *life);
/* Whether it is open, and neither ending nor leaving. */
bool broker_life_serves(const broker_life_t *life);
/* The incarnation is over; the next one starts later. */
void broker_life_end(broker_life_t *life, const char *why, uint64_t after_us);
/* The store has lost commits: the broker stops for good. */
void broker_life_lost(broker_life_t *life, const char *why);
/* Puts an item into a pipe to the router, which keeps the order. */
void broker_send_to_router(broker_life_t *life, event_t *event, uint64_t *last_us);
/* An actor's or the coordinator's fiber has ended. */
void broker_fiber_ended(broker_life_t *life);

/* For the coordinator, which frees what it owns. */
void broker_add_input(broker_life_t *life, const broker_input_t *input);
enum { BROKER_PUB_BYTES = 32 };
void broker_pub_endpoint(unsigned broker, char endpoint[BROKER_PUB_BYTES]);

/* ---- simulation_mesh.c ---- */

void broker_mesh_open(broker_life_t *life, const store_cluster_t *cluster);
/* Whether the broker subscribes to what this one publishes. */
bool broker_mesh_subscribes(const broker_life_t *life, const process_t *publisher);
void broker_mesh_receive_published(broker_life_t *life, fabric_bytes_t frame);
/* After each router_receive: takes the frames that other brokers are to get. */
void broker_mesh_relay(broker_life_t *life);
void broker_mesh_turn(broker_life_t *life);
/* On a link of this broker: */
void broker_mesh_receive(broker_life_t *life, size_t link, fabric_bytes_t frame);
void broker_mesh_connected(broker_life_t *life, size_t link);
void broker_mesh_disconnected(broker_life_t *life, size_t link);

/* ---- simulation_publication.c ---- */

/* A map, to all subscribers. */
void broker_publish(broker_life_t *life, fabric_bytes_t map);
/* In each turn: tells all subscribers now and then which version that map has. */
void broker_publish_heartbeat(broker_life_t *life);

/* ---- simulation_actors.c ---- */

/* Connects the appenders. */
fabric_error_t broker_actors_open(broker_life_t *life);
void broker_actors_start(broker_life_t *life);
void broker_actors_kill(broker_life_t *life);
void broker_actors_close(broker_life_t *life);
void broker_actor_send(broker_actor_t *actor, const operation_t *operation);
broker_actor_t *broker_appender_of(broker_life_t *life, uint32_t lane);

/* ---- simulation_feed.c ---- */

/* Hands what the router has for its actors to them. */
void broker_feed(broker_life_t *life);
/* An actor has carried out an operation, whose results the router may take. */
void broker_take_report(broker_life_t *life, broker_actor_t *actor, operation_t *operation);
/* What follows a renewal of the lease. */
void broker_check_lanes(broker_life_t *life);
/* Whether an append is under way. */
bool broker_is_appending(const broker_life_t *life);

/* ---- simulation_coordinator.c ---- */

void broker_coordinator_run(void *life); /* a fiber */

#endif
