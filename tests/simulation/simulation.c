/* The seeded simulation: what a seed decides, the faults, and the run from start to end. See
 * simulation.h. */
#include "tests/simulation/simulation.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_processes.h"

enum {
    SETTLE_MS = 90000, /* within this time after the last fault all calls must have ended */
    WARM_UP_MS = 300,
    /* how long a broker that waits for a slow store may take to learn that it is deposed */
    DEPOSED_MS = 6000,
    LOOK_MS = 20,
    POISON_EVERY = 6, /* seeds */
    SUPERVISED_EVERY = 4,
    FALSE_CLAIMS_EVERY = 5,
    LOST_MAX = 5,    /* entries */
    PUT_BACK_MS = 6, /* an older copy that takes as long to be put back is noticed at once */
    DAY_MS = 86400000
};

/* ---- faults ---- */

typedef enum fault_kind {
    FAULT_CUT,
    FAULT_SILENT_CUT,
    FAULT_WORKER_CRASH,
    FAULT_BROKER_CRASH,
    FAULT_WORKER_FREEZE,
    FAULT_BROKER_FREEZE,
    FAULT_STORE_OUTAGE,
    FAULT_STORE_SLOW,
    FAULT_WORKER_LEAVE,
    FAULT_BROKER_DRAIN,
    FAULT_STORE_CLOCK,
    FAULT_BROKER_CUT_OFF, /* from the store, beyond the lease or not */
    FAULT_KINDS
} fault_kind_t;

static uint64_t us_of(uint64_t low_ms, uint64_t high_ms)
{
    return world_between(low_ms * 1000, high_ms * 1000);
}

static void on_thaw(event_t *event)
{
    process_t *process = event->subject;
    if (process->up && process->frozen && process->life == event->number) {
        process_thaw(process);
    }
}

/* Short, or longer than the lease. */
static void freeze(process_t *process)
{
    uint64_t lease_ms = world.plan.lease_ms;
    if (!process->up || process->frozen) {
        return;
    }
    process_freeze(process);
    event_t *event = event_new(NULL, on_thaw, process, 0);
    event->number = process->life;
    event_schedule(event, world.now_us + (world_chance(5000) ? us_of(5, lease_ms / 2)
                                                             : us_of(lease_ms / 2, 3 * lease_ms)));
}

static void on_restart(event_t *event)
{
    process_t *process = event->subject;
    if (!process->up && !world.over) {
        simulation_process_start(process);
    }
}

void simulated_restart(process_t *process, uint64_t after_us)
{
    event_schedule(event_new(NULL, on_restart, process, 0), world.now_us + after_us);
}

static void crash(process_t *process)
{
    if (!process->up) {
        return;
    }
    if (process->kind == PROCESS_WORKER) {
        simulated_worker_crash(process, 0);
    } else {
        process_crash(process);
    }
    simulated_restart(process, us_of(1, 2 * world.plan.lease_ms));
}

static void cut(bool silent)
{
    channel_t *connection = network_pick();
    if (!connection) {
        return;
    }
    uint64_t peer_us = us_of(0, world_chance(3000) ? 500 : 5);
    uint64_t broker_us = us_of(0, world_chance(3000) ? 500 : 5);
    if (silent) {
        bool both = world_chance(5000);
        bool peer = world_chance(5000);
        peer_us = both || peer ? UINT64_MAX : peer_us;
        broker_us = both || !peer ? UINT64_MAX : broker_us;
    }
    network_cut(connection, (cut_t){peer_us, broker_us});
}

static void inject(fault_kind_t kind)
{
    process_t *worker = world.workers[world_random() % world.plan.workers];
    process_t *broker = world.brokers[world_random() % world.plan.brokers];
    world.result->faults++;
    world_note("fault", kind, 0, 0);
    switch (kind) {
    case FAULT_CUT:
    case FAULT_SILENT_CUT:
        cut(kind == FAULT_SILENT_CUT);
        break;
    case FAULT_WORKER_CRASH:
        crash(worker);
        break;
    case FAULT_BROKER_CRASH:
        crash(broker);
        break;
    case FAULT_WORKER_FREEZE:
        freeze(worker);
        break;
    case FAULT_BROKER_FREEZE:
        freeze(broker);
        break;
    case FAULT_STORE_OUTAGE:
        world.store_down_until_us = world.now_us + us_of(5, 2 * world.plan.lease_ms);
        break;
    case FAULT_STORE_SLOW:
        world.store_slow_until_us = world.now_us + us_of(5, 2 * world.plan.lease_ms);
        break;
    case FAULT_WORKER_LEAVE:
        if (worker->up) {
            simulated_worker_leave(worker, us_of(1, 500));
        }
        break;
    case FAULT_BROKER_DRAIN:
        if (broker->up) {
            simulated_broker_drain(broker, us_of(1, 500));
        }
        break;
    case FAULT_STORE_CLOCK:
        world.store_clock_ms = (int64_t)world_between(0, 2 * DAY_MS) - DAY_MS;
        break;
    case FAULT_BROKER_CUT_OFF:
        broker->cut_off_until_us = world.now_us + us_of(5, 3 * world.plan.lease_ms);
        break;
    case FAULT_KINDS:
        break;
    }
}

static void on_fault(event_t *event)
{
    if (world.calm) {
        return;
    }
    fault_kind_t kind = (fault_kind_t)(world_random() % FAULT_KINDS);
    if (world.plan.faults & 1u << kind) {
        inject(kind);
    }
    event_schedule(event_new(NULL, on_fault, NULL, 0),
                   world.now_us + us_of(1, 2 * world.plan.gap_ms));
    (void)event;
}

static void heal(void)
{
    world.calm = true;
    world.store_down_until_us = world.store_slow_until_us = 0;
    for (unsigned i = 0; i < world.plan.workers; i++) {
        if (world.workers[i]->up && world.workers[i]->frozen) {
            process_thaw(world.workers[i]);
        }
    }
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        world.brokers[i]->cut_off_until_us = 0;
        if (world.brokers[i]->up && world.brokers[i]->frozen) {
            process_thaw(world.brokers[i]);
        }
    }
    world_note("heal", 0, 0, 0);
}

/* A broker that is cut off from the store, or frozen, until another one may have taken its lanes:
 * what it has sent to the store arrives around the takeover, or long after it. */
static void on_takeover(event_t *event)
{
    process_t *broker = world.brokers[world_random() % world.plan.brokers];
    uint64_t lease_us = world.plan.lease_ms * UINT64_C(1000);
    uint64_t until_us = world.now_us + world_between(lease_us, 5 * lease_us);
    if (world.calm) {
        return;
    }
    broker->cut_off_until_us = until_us;
    if (world_chance(3000) && broker->up && !broker->frozen) {
        process_freeze(broker);
        event_t *thaw = event_new(NULL, on_thaw, broker, 0);
        thaw->number = broker->life;
        event_schedule(thaw, until_us);
    }
    world.result->faults++;
    event_schedule(event_new(NULL, on_takeover, NULL, 0),
                   until_us + world_between(lease_us, 3 * lease_us));
    (void)event;
}

/* ---- the users ---- */

static uint64_t draw_gap_us(void)
{
    uint64_t mean_us = world.plan.chaos_ms * 1000 * world.plan.clients / world.plan.calls;
    return world_chance(5000) ? world_between(0, 100) /* the burst continues */
                              : world_between(0, 4 * mean_us);
}

static void on_call(event_t *event)
{
    process_t *client = event->process;
    if (check_call_count() >= world.plan.calls) {
        return;
    }
    simulated_client_call(client);
    event_schedule(event_new(client, on_call, NULL, 0), world.now_us + draw_gap_us());
}

/* ---- a store that loses commits ---- */

static bool note_number(void *context, const store_entry_t *entry)
{
    *(uint64_t *)context = entry->number;
    return true;
}

static uint64_t newest_entry(uint32_t lane)
{
    uint64_t newest = 0;
    memory_store_dump_entries(SIMULATION_DATABASE, lane, note_number, &newest);
    return newest;
}

/* Loses some of the last entries, of which no broker's first entry is one. In half of the seeds the
 * database takes its time for that, in the others the loss is seen by a later check. In half of the
 * seeds all connections break with it, and what was under way may be among what is lost. */
static void on_loss(event_t *event)
{
    uint64_t entries = world.result->entries;
    uint64_t before[SIMULATION_LANES_MAX];
    if (entries < world.plan.lanes + LOST_MAX) {
        event_schedule(event_new(NULL, on_loss, NULL, 0), world.now_us + us_of(1, LOOK_MS));
        return;
    }
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        before[i] = newest_entry(i);
    }
    world.forgot = true;
    world_note("store.lost", entries, 0, 0);
    memory_store_lose(SIMULATION_DATABASE, (uint32_t)world_between(1, LOST_MAX));
    bool is_slow = world_chance(5000);
    for (uint32_t i = 0; is_slow && i < world.plan.lanes; i++) {
        uint64_t newest = newest_entry(i);
        world.left[i] = newest < before[i] ? newest : 0;
    }
    if (is_slow) {
        world.store_halted_until_us = world.now_us + us_of(PUT_BACK_MS, LOOK_MS);
    }
    if (world_chance(5000)) {
        world.store_down_until_us = world.now_us + us_of(1, LOOK_MS);
    }
    (void)event;
}

void simulation_entry_told(uint32_t lane, uint64_t number)
{
    bool is_behind = world.left[lane] > 0 && number > world.left[lane];
    world.result->misplaced += is_behind && number <= newest_entry(lane);
}

/* ---- a run ---- */

/* Lanes, checkpoints, windows and retention. They are small in half of the seeds or more, so that
 * brokers drop messages from memory, and entries are purged. */
static void draw_store(world_plan_t *plan)
{
    plan->lanes = (unsigned)world_between(1, SIMULATION_LANES_MAX);
    plan->appenders = (unsigned)world_between(1, 2);
    plan->entity_window = world_chance(7000) ? (uint32_t)world_between(1, 8) : 1024;
    plan->memory_bytes_max = 64 << 20;
    plan->checkpoint_ms = (uint32_t)(world_chance(5000) ? world_between(20, 200) : 1000);
    plan->checkpoint_bytes = world_chance(3000) ? world_between(200, 5000) : 64 << 20;
    plan->checkpoint_bytes_max =
        world_chance(2000) ? 2 * plan->checkpoint_bytes + world_between(0, 20000) : 256 << 20;
    plan->slice_rows_max = world_chance(7000) ? (uint32_t)world_between(2, 10) : 5000;
    plan->call_retention_ms = (uint32_t)(world_chance(3000) ? world_between(500, 5000) : 600000);
    plan->lane_bytes_max = world_chance(2000) ? world_between(500, 20000) : UINT64_C(1) << 30;
}

/* What earlier holders wrote is purged soon. on_takeover has the faults. */
static void plan_takeovers(world_plan_t *plan, uint64_t seed)
{
    plan->brokers = BROKERS_MAX;
    plan->calls = (unsigned)world_between(200, 400);
    plan->chaos_ms = 15000;
    plan->gap_ms = 200;
    plan->faults = 1u << FAULT_CUT;
    plan->store_errors = 200;
    plan->commit_us = 4000;
    if (seed % 2 == 0) { /* a takeover, or a look-up, takes long enough for others to go on */
        plan->take_us = 200000;
        plan->read_us = 50000;
    }
    plan->lease_ms = 400;
    plan->checkpoint_ms = 50;
    plan->call_retention_ms = (uint32_t)world_between(50, 500);
}

static void draw_plan(const simulation_options_t *options)
{
    uint64_t seed = options->seed;
    bool calm = options->calm;
    world_plan_t *plan = &world.plan;
    plan->clients = (unsigned)world_between(1, CLIENTS_MAX);
    plan->workers = (unsigned)world_between(1, WORKERS_MAX);
    plan->brokers = (unsigned)world_between(1, BROKERS_MAX);
    plan->calls = (unsigned)world_between(60, 600);
    plan->entities = (unsigned)world_between(2, 24);
    plan->chaos_ms = world_between(1500, 10000);
    plan->gap_ms = world_between(5, 300);
    plan->faults = (unsigned)(world_random() & world_random()) & ((1u << FAULT_KINDS) - 1);
    plan->faults |= 1u << (world_random() % FAULT_KINDS);
    plan->store_errors = world_chance(5000) ? (uint32_t)world_between(0, 1000) : 0;
    plan->full = world_chance(3000) ? (uint32_t)world_between(0, 300) : 0;
    plan->delay_us = world_chance(7000) ? 1000 : 8000;
    plan->commit_us = world_chance(7000) ? 1500 : 15000;
    plan->lease_ms = (uint32_t)world_between(300, 1500);
    plan->release_grace_ms = world_chance(5000) ? 500 : (uint32_t)world_between(10, 60);
    if (world_chance(1500)) { /* move a shard, also away from a worker that does not answer */
        plan->workers = (unsigned)world_between(2, WORKERS_MAX);
        plan->faults = 1u << FAULT_WORKER_LEAVE | 1u << FAULT_WORKER_FREEZE;
        plan->gap_ms = world_between(5, 30);
        plan->release_grace_ms = (uint32_t)world_between(10, 60);
        plan->lease_ms = 900;
    }
    draw_store(plan);
    /* These decisions draw no random number, so that other seeds keep their runs. */
    plan->poison = options->poison || (!calm && seed % POISON_EVERY == POISON_EVERY - 1);
    plan->supervised = options->poison || seed % SUPERVISED_EVERY == SUPERVISED_EVERY - 1;
    plan->false_claims = !calm && seed % FALSE_CLAIMS_EVERY == 2;
    if (calm) {
        world.calm = true;
        plan->faults = plan->store_errors = plan->full = 0;
    }
    if (options->loses) {
        plan->brokers = 1;
    }
    if (options->takeovers) {
        plan_takeovers(plan, seed);
    }
}

static void found_cluster(void)
{
    store_options_t options = {.url = "memory:" SIMULATION_DATABASE};
    store_cluster_t cluster = {
        .name = "simulated", .shards_per_group = SIMULATION_SHARDS, .lanes = world.plan.lanes};
    store_t *store = NULL;
    memory_store_reset(SIMULATION_DATABASE);
    fabric_error_t error = memory_store_driver.open(&options, NULL, &store);
    if (!error) {
        error = memory_store_driver.schema_apply(store, &cluster, NULL);
        memory_store_driver.close(&store);
    }
    assert(!error);
}

static void start_all(void)
{
    for (unsigned i = 0; i < BROKERS_MAX; i++) {
        world.brokers[i] = simulated_broker_new(i);
    }
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        simulation_process_start(world.brokers[i]);
    }
    for (unsigned i = 0; i < world.plan.workers; i++) {
        world.workers[i] = simulated_worker_new(i);
        simulation_process_start(world.workers[i]);
    }
    for (unsigned i = 0; i < world.plan.clients; i++) {
        world.clients[i] = simulated_client_new(i);
        simulation_process_start(world.clients[i]);
        event_schedule(event_new(world.clients[i], on_call, NULL, 0),
                       world.now_us + us_of(0, 2 * WARM_UP_MS));
    }
}

static void run_until(uint64_t at_us)
{
    while (world.now_us < at_us && !world.result->failed && world_step()) {
    }
}

/* Frees the processes, then what they left in the database, then all events. */
static void stop_all(void)
{
    for (unsigned i = 0; i < world.plan.clients; i++) {
        process_crash(world.clients[i]);
    }
    for (unsigned i = 0; i < world.plan.workers; i++) {
        if (world.workers[i]->up) {
            process_crash(world.workers[i]);
        }
    }
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        if (world.brokers[i]->up) {
            process_crash(world.brokers[i]);
        }
    }
}

static void on_nothing(event_t *event)
{
    (void)event;
}

/* Events for processes that have ended only free what they own. */
static void wind_up(void)
{
    uint64_t until_us = world.now_us + 10 * 1000 * 1000;
    memory_store_end_running(SIMULATION_DATABASE, true);
    event_schedule(event_new(NULL, on_nothing, NULL, 0), until_us);
    while (world.now_us < until_us && world_step()) {
    }
    world_clear_events();
    for (unsigned i = 0; i < world.plan.clients; i++) {
        simulated_client_free(&world.clients[i]);
    }
    for (unsigned i = 0; i < world.plan.workers; i++) {
        simulated_worker_free(&world.workers[i]);
    }
    for (unsigned i = 0; i < BROKERS_MAX; i++) {
        simulated_broker_free(&world.brokers[i]);
    }
    fibers_free_all();
    network_free_all();
    check_free();
    memory_store_free_all();
}

static bool is_anything_pending(void)
{
    uint64_t pending = 0;
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        pending += simulated_broker_pending(world.brokers[i]);
    }
    return pending > 0;
}

void simulation_run(const simulation_options_t *options, simulation_result_t *result)
{
    *result = (simulation_result_t){.trace_hash = UINT64_C(0xcbf29ce484222325)};
    world = (world_t){.random = options->seed * UINT64_C(0xd1342543de82ef95) + 1,
                      .trace = options->trace,
                      .result = result,
                      .now_us = 1000};
    check_begin();
    draw_plan(options);
    found_cluster();
    start_all();
    if (!options->calm) {
        event_schedule(event_new(NULL, on_fault, NULL, 0), world.now_us + us_of(1, WARM_UP_MS));
    }
    if (options->takeovers) {
        event_schedule(event_new(NULL, on_takeover, NULL, 0), world.now_us + us_of(0, WARM_UP_MS));
    }
    if (options->loses) {
        event_schedule(event_new(NULL, on_loss, NULL, 0),
                       world.now_us + us_of(WARM_UP_MS, world.plan.chaos_ms / 2));
    }
    run_until(world.now_us + (WARM_UP_MS + world.plan.chaos_ms) * 1000);
    heal();
    uint64_t until_us = world.now_us + (uint64_t)SETTLE_MS * 1000;
    while (world.now_us < until_us && !result->failed && result->lost == 0 &&
           !(check_call_count() >= world.plan.calls && check_is_settled())) {
        run_until(world.now_us + LOOK_MS * 1000);
    }
    run_until(world.now_us + 2 * 1000 * (uint64_t)world.plan.lease_ms);
    until_us = world.now_us + (uint64_t)DEPOSED_MS * 1000;
    while (world.now_us < until_us && !result->failed && is_anything_pending()) {
        run_until(world.now_us + LOOK_MS * 1000);
    }
    if (!result->failed && !world.forgot) {
        check_final();
    }
    result->virtual_ms = world.now_us / 1000;
    uint64_t hash = result->trace_hash;
    world.calm = world.over = true;
    world.trace = false;
    stop_all();
    wind_up();
    result->trace_hash = hash;
}
