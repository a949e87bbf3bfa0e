/* The inside of the simulation: virtual time, random numbers, events, processes and fibers. Only
 * the files simulation_*.c use it.
 *
 * Everything that happens is an event. An event of a process waits while the process is frozen and
 * is dropped when the life that it was meant for is over; an event without a process always
 * happens.
 */
#ifndef TESTS_SIMULATION_SIMULATION_WORLD_H
#define TESTS_SIMULATION_SIMULATION_WORLD_H

#include <fabric/bytes.h>
#include <fabric/error.h>

#include "core/ids.h"
#include "tests/simulation/simulation.h"

#define SIMULATION_DATABASE  "simulation"
#define SIMULATION_SHARDS    16u /* of the only group */
#define SIMULATION_LANES_MAX 8u
#define SIMULATION_TYPES_MAX 4u

/* Of brokers: the pause after a failure, and the longest one. */
#define SIMULATION_BACKOFF_MS     20u
#define SIMULATION_BACKOFF_MAX_MS 200u

/* How far the database's clock is ahead or behind at most. Keys of messages that have ended stand
 * longer than its longest jump: none is purged in a run, so that I8 holds without exception. */
#define SIMULATION_CLOCK_MS         INT64_C(86400000)
#define SIMULATION_KEY_RETENTION_MS (UINT64_C(3) * SIMULATION_CLOCK_MS)

#define CLIENTS_MAX 4
#define WORKERS_MAX 5
#define BROKERS_MAX 5
#define SOCKETS_MAX 16 /* of one process */
#define FAULTS_MAX  32 /* of a plan that counts its faults */

#define PROCESSES_MAX (CLIENTS_MAX + WORKERS_MAX + BROKERS_MAX)

typedef enum process_kind { PROCESS_CLIENT, PROCESS_WORKER, PROCESS_BROKER } process_kind_t;

typedef struct event event_t;
typedef struct process process_t;
typedef struct channel channel_t;

struct event {
    uint64_t at_us;
    uint64_t order; /* of scheduling: decides among events of one time */
    void (*run)(event_t *event);
    void (*drop)(event_t *event); /* frees what the event owns when it does not run; or NULL */
    process_t *process;           /* or NULL */
    uint64_t life;
    event_t *next; /* in the list of a frozen process */
    void *subject;
    uint64_t number;
    uint64_t extra;
    size_t size;
    uint8_t bytes[];
};

/* One end of a connection to a broker, as a program's DEALER socket. */
typedef struct dealer {
    bool open;
    uint64_t generation; /* one more at each opening */
    process_t *broker;
    channel_t *connection; /* NULL: no connection, as far as the process knows */
    uint32_t attempts;
} dealer_t;

struct process {
    process_kind_t kind;
    unsigned index;
    uint64_t life; /* one more at each start and each end */
    bool up;
    bool frozen;
    bool accepting; /* brokers: connections */
    event_t *held, **held_end;
    uint64_t thaw_us; /* the last thaw, and the last event that was scheduled before it */
    uint64_t thaw_order;
    uint64_t origin_ms;           /* of its clock */
    uint64_t cut_off_until_us;    /* a broker: from the store */
    uint64_t unanswered_until_us; /* the store's answers do not reach it */
    bool turn_due;
    uint64_t turns; /* so far */
    uint64_t wake_serial;
    uint64_t wake_us; /* 0: none */
    dealer_t dealers[SOCKETS_MAX];

    /* What a kind of process does. */
    void (*turn)(process_t *process); /* pulls all effects */
    uint64_t (*deadline_ms)(process_t *process);
    void (*connected)(process_t *process, size_t dealer);
    void (*disconnected)(process_t *process, size_t dealer);
    void (*receive)(process_t *process, size_t dealer, channel_t *connection, fabric_bytes_t frame);
    void (*receive_published)(process_t *process, size_t dealer, fabric_bytes_t frame);
    void (*start)(process_t *process);
    void (*stop)(process_t *process); /* ends the process at once, as kill -9 does */
};

/* What the seed decided about the kinds and rates of faults. */
typedef struct world_plan {
    unsigned clients, workers, brokers;
    unsigned calls; /* of all clients */
    unsigned entities;
    unsigned types;          /* of entities */
    bool rolls_out;          /* workers come with ever newer versions of their application */
    unsigned forward;        /* session_forward_t of clients */
    bool one_contact;        /* a client knows one broker at first, and learns of the others */
    bool subscribes;         /* clients and workers get what brokers publish */
    uint32_t published_lost; /* of 10,000 publications */
    unsigned mapless;        /* bits of clients that get no map but those of their welcomes */
    bool mapless_welcomes;   /* nor those */
    uint64_t chaos_ms;       /* how long faults are injected */
    uint64_t lull_ms; /* of that, in the middle: no counted fault, so that lanes are evened out */
    uint64_t gap_ms;  /* mean time between two faults; without effect on counted ones */
    unsigned fault_count;  /* so many faults, and no others; 0: as many as come */
    unsigned faults;       /* bits of enum fault_kind */
    uint32_t store_errors; /* of 10,000 store calls */
    uint32_t full;         /* of 10,000 frames: the pipe takes none for a while */
    uint64_t delay_us;     /* longest delay of a frame */
    uint64_t commit_us;    /* longest time of a store call */
    uint64_t take_us;      /* longest time that the taking of a lane waits beyond that */
    uint64_t read_us;      /* the same for the reading of a journal */
    uint32_t lease_ms;
    uint32_t served_ms; /* within this time after the last fault each lane serves a new call */
    uint32_t release_grace_ms;
    unsigned lanes;
    unsigned appenders; /* of each broker */
    uint32_t entity_window;
    uint64_t memory_bytes_max;
    uint64_t key_filter_bytes; /* of one lane: for 21 keys in some seeds */
    uint64_t state_bytes_free; /* of one broker: no more than one state in some seeds */
    uint32_t checkpoint_ms;
    uint64_t checkpoint_bytes, checkpoint_bytes_max;
    uint32_t slice_rows_max;
    uint32_t page_entries; /* of a look-up, so few that it takes several pages */
    uint32_t call_retention_ms;
    uint64_t lane_bytes_max; /* of a lane's journal, from which on it is purged */
    /* one durable message, about in the middle of the run, kills each worker that handles it */
    bool poison;
    bool keyed;           /* of durable calls most have primary keys */
    bool rolling;         /* workers bring all types, and are restarted in order */
    bool rolling_brokers; /* brokers are restarted, too */
    bool supervised;      /* supervisors report how workers ended */
    /* workers claim to have handled messages that they did not take after a defect */
    bool false_claims;
    bool schedules; /* some messages have a time of delivery */
    bool scheduled; /* many have, and many the same */
    uint32_t schedule_window;
    uint32_t late_ms;   /* so long after its time, and the last fault, a message comes due */
    bool failing;       /* types have policies for failing messages (simulation_ledger.c) */
    bool clears;        /* operators clear entities */
    unsigned persisted; /* bits of the types whose states are stored */
    unsigned events;    /* bits of the types whose entities append events, and persist no state */
    uint32_t snapshot_every;    /* of these types; 0: there are no snapshots */
    bool snapshot_versions;     /* some workers cannot read the snapshots of others */
    bool large_events;          /* some are so large that an owner gets them in several parts */
    uint64_t events_bytes_read; /* of a read of rows at most */
    unsigned early;             /* bits of the types whose durable messages have early delivery */
    bool deaths;                /* some of those end the processes of workers */
    uint32_t attempts_max;
    bool tells;   /* handlers of some durable messages tell other entities something */
    bool keeps;   /* some handlers say whether their entity keeps itself alive */
    bool cancels; /* clients cancel some calls, and some handlers stop when they hear of it */
} world_plan_t;

typedef struct world {
    uint64_t now_us;
    uint64_t random;
    uint64_t order;
    event_t **heap;
    size_t heap_size, heap_capacity;
    bool trace;
    bool calm;   /* no more faults are injected */
    bool over;   /* no process is started any more */
    bool forgot; /* the store has lost commits: what the checkers know is not true any more */
    uint64_t left[SIMULATION_LANES_MAX]; /* newest entries of lanes that have lost some; else 0 */
    uint64_t store_halted_until_us;      /* an older copy is being put back */
    world_plan_t plan;
    uint64_t store_down_until_us;
    uint64_t store_slow_until_us;
    int64_t store_clock_ms; /* how far the database's clock is ahead, or behind */
    uint64_t healed_us;     /* when the last fault ended */
    uint64_t app_version;   /* the newest of workers; 0: they have none */
    simulation_result_t *result;
    process_t *clients[CLIENTS_MAX];
    process_t *workers[WORKERS_MAX];
    process_t *brokers[BROKERS_MAX];
    process_t *running;   /* whose event runs; NULL: that of no process, or of a fiber */
    process_t *with_term; /* the broker that has taken the last term; or NULL */
} world_t;

extern world_t world;

/* Draws the plan of a run. */
void world_draw_plan(const simulation_options_t *options);

/* ---- chance ---- */

uint64_t world_random(void);
uint64_t world_between(uint64_t low, uint64_t high); /* both included */
/* Microseconds between so many milliseconds. */
uint64_t world_us_of(uint64_t low_ms, uint64_t high_ms);
bool world_chance(uint32_t of_10000);
incarnation_t world_incarnation(void);

/* ---- what happens ---- */

/* Counts and, when tracing, writes an event. `what` is a constant text. */
void world_note(const char *what, uint64_t a, uint64_t b, uint64_t c);
/* Reports a broken rule. The first one is kept. */
void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes an event of `size` bytes. `process` NULL: the event belongs to no process. */
event_t *event_new(process_t *process, void (*run)(event_t *event), void *subject, size_t size);
void event_schedule(event_t *event, uint64_t at_us);
/* Frees an event that is not scheduled. */
void event_drop(event_t *event);
/* Runs the next event; false: none is left. The caller frees nothing. */
bool world_step(void);
/* Drops all events. */
void world_clear_events(void);

/* What all machines' clocks say: Unix time. */
int64_t world_unix_ms(void);

/* ---- processes ---- */

uint64_t process_now_ms(const process_t *process);
/* Schedules a turn of the process, in which it pulls effects. */
void process_touch(process_t *process);
void simulation_process_start(process_t *process);
void process_crash(process_t *process);
void process_freeze(process_t *process);
void process_thaw(process_t *process);
/* All processes that the plan has, one after another; NULL: there are no more. */
process_t *world_process(size_t index);

/* ---- fibers: code that blocks runs on a stack of its own ---- */

typedef struct fiber fiber_t;

typedef void fiber_fn(void *argument);

/* Makes a fiber, which runs with the next fiber_wake. `ended` is called after its end, outside. */
fiber_t *fiber_new(process_t *process, fiber_fn *run, void *argument,
                   void (*ended)(void *argument));
/* Wakes a fiber that waits in fiber_wait, or that has not begun, after a while. */
void fiber_wake(fiber_t *fiber);
/* Wakes a fiber from any sleep but a database's. The fiber does not sleep any more from then on. */
void fiber_kill(fiber_t *fiber);
bool fiber_is_killed(const fiber_t *fiber);
/* The fiber that runs; NULL outside of fibers. */
fiber_t *fiber_current(void);
process_t *fiber_process(const fiber_t *fiber);
/* Within a fiber: */
void fiber_sleep(uint64_t us);          /* and no shorter than the process is frozen */
void fiber_sleep_database(uint64_t us); /* also when the process ends meanwhile */
void fiber_wait(void);                  /* until fiber_wake */
void fiber_wait_until(uint64_t at_us);  /* until fiber_wake or this time */
void fibers_free_all(void);

#endif
