/* The seeded simulation: what a seed decides, the faults, and the run from start to end. See
 * simulation.h. */
#include "tests/simulation/simulation.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_faults.h"
#include "tests/simulation/simulation_processes.h"
#include "tests/simulation/simulation_steps.h"

enum {
    /* After the last fault the next message or call must end within SETTLE_MS, the last one within
     * SETTLE_MAX_MS, which is less than the users wait. */
    SETTLE_MS = 90000,
    SETTLE_MAX_MS = 270000,
    WARM_UP_MS = 300,
    /* how long a broker that waits for a slow store may take to learn that it is deposed */
    DEPOSED_MS = 6000,
    READERS_MS = 30000, /* how long readers of histories may take until they know all */
    LOOK_MS = 20,
    LOST_MAX = 5,   /* entries */
    PUT_BACK_MS = 6 /* an older copy that takes as long to be put back is noticed at once */
};

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

/* Asks each lane whether each type is served there. */
static void probe_lanes(void)
{
    check_probes(world.plan.lanes * world.plan.types);
    for (uint32_t i = 0; i < world.plan.lanes * world.plan.types; i++) {
        simulated_client_probe(world.clients[i % world.plan.clients], i / world.plan.types,
                               i % world.plan.types);
    }
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
        event_schedule(event_new(NULL, on_loss, NULL, 0), world.now_us + world_us_of(1, LOOK_MS));
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
        world.store_halted_until_us = world.now_us + world_us_of(PUT_BACK_MS, LOOK_MS);
    }
    if (world_chance(5000)) {
        world.store_down_until_us = world.now_us + world_us_of(1, LOOK_MS);
    }
    (void)event;
}

void simulation_entry_told(uint32_t lane, uint64_t number)
{
    check_told(lane, number);
    bool is_behind = world.left[lane] > 0 && number > world.left[lane];
    world.result->misplaced += is_behind && number <= newest_entry(lane);
}

/* ---- a run ---- */

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
                       world.now_us + world_us_of(0, 2 * WARM_UP_MS));
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

/* A slow store may take long for many calls, as long as it goes on with them. */
static void settle(void)
{
    uint64_t last_us = world.now_us + (uint64_t)SETTLE_MAX_MS * 1000;
    uint64_t until_us = world.now_us + (uint64_t)SETTLE_MS * 1000;
    uint64_t ends = check_ends();
    while (world.now_us < until_us && !world.result->failed && world.result->lost == 0 &&
           !(check_call_count() >= world.plan.calls && check_is_settled())) {
        run_until(world.now_us + LOOK_MS * 1000);
        if (check_ends() > ends) {
            ends = check_ends();
            until_us = world.now_us + (uint64_t)SETTLE_MS * 1000;
            until_us = until_us < last_us ? until_us : last_us;
        }
    }
}

static bool is_anything_pending(void)
{
    uint64_t pending = 0;
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        pending += simulated_broker_pending(world.brokers[i]);
    }
    return pending > 0;
}

static bool is_any_reader_behind(void)
{
    bool any = false;
    for (unsigned i = 0; i < world.plan.clients; i++) {
        any |= simulated_client_behind(world.clients[i]) != UINT32_MAX;
    }
    return any;
}

void simulation_run(const simulation_options_t *options, simulation_result_t *result)
{
    *result = (simulation_result_t){.trace_hash = UINT64_C(0xcbf29ce484222325)};
    world = (world_t){.random = options->seed * UINT64_C(0xd1342543de82ef95) + 1,
                      .trace = options->trace,
                      .result = result,
                      .now_us = 1000};
    check_begin();
    steps_begin();
    partitions_begin();
    world_draw_plan(options);
    ledger_begin();
    found_cluster();
    start_all();
    if (!options->calm) {
        faults_begin();
    }
    if (world.plan.rolling) {
        restarts_begin();
    }
    if (world.plan.failing || world.plan.clears) {
        operators_begin();
    }
    if (options->takeovers) {
        faults_begin_takeovers();
    }
    if (options->loses) {
        event_schedule(event_new(NULL, on_loss, NULL, 0),
                       world.now_us + world_us_of(WARM_UP_MS, world.plan.chaos_ms / 2));
    }
    run_until(world.now_us + (WARM_UP_MS + world.plan.chaos_ms) * 1000);
    faults_heal();
    if (!options->calm) {
        probe_lanes();
    }
    settle();
    run_until(world.now_us + 2 * 1000 * (uint64_t)world.plan.lease_ms);
    uint64_t until_us = world.now_us + (uint64_t)DEPOSED_MS * 1000;
    while (world.now_us < until_us && !result->failed && is_anything_pending()) {
        run_until(world.now_us + LOOK_MS * 1000);
    }
    until_us = world.now_us + (uint64_t)READERS_MS * 1000;
    while (world.now_us < until_us && !result->failed && is_any_reader_behind()) {
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
