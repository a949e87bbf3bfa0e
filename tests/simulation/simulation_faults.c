/* The faults of the simulation. See simulation_faults.h. */
#include "tests/simulation/simulation_faults.h"

#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_processes.h"
#include "tests/simulation/simulation_steps.h"

enum {
    FIRST_MS_MAX = 300,
    STEP_OF_10000 = 5000,
    CAUSED_OF_10000 = 5000,
    APART_LEASES_MAX = 10,
    OPENED_MS_MAX = 4000,
    OPEN_AGAIN_MS = 100
};

/* ---- single faults ---- */

static process_t *some(process_kind_t kind)
{
    switch (kind) {
    case PROCESS_CLIENT:
        return world.clients[world_random() % world.plan.clients];
    case PROCESS_WORKER:
        return world.workers[world_random() % world.plan.workers];
    case PROCESS_BROKER:
        break;
    }
    return world.brokers[world_random() % world.plan.brokers];
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
    event_schedule(event,
                   world.now_us + (world_chance(5000) ? world_us_of(5, lease_ms / 2)
                                                      : world_us_of(lease_ms / 2, 3 * lease_ms)));
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
    simulated_restart(process, world_us_of(1, 2 * world.plan.lease_ms));
}

static void cut(bool silent)
{
    channel_t *connection = network_pick();
    if (!connection) {
        return;
    }
    uint64_t peer_us = world_us_of(0, world_chance(3000) ? 500 : 5);
    uint64_t broker_us = world_us_of(0, world_chance(3000) ? 500 : 5);
    if (silent) {
        bool both = world_chance(5000);
        bool peer = world_chance(5000);
        peer_us = both || peer ? UINT64_MAX : peer_us;
        broker_us = both || !peer ? UINT64_MAX : broker_us;
    }
    network_cut(connection, (cut_t){peer_us, broker_us});
}

static void repeat(void)
{
    channel_t *connection = network_pick();
    if (connection) {
        network_repeat(connection);
    }
}

static void cut_off(process_t *broker)
{
    uint64_t until_us = world.now_us + world_us_of(5, 3 * world.plan.lease_ms);
    if (world_chance(7000)) {
        broker->cut_off_until_us = until_us;
    } else {
        broker->unanswered_until_us = until_us;
    }
}

static void part(const process_t *a, const process_t *b, uint64_t ways, uint64_t until_us)
{
    if (a != b && ways & 1) {
        partition_begin(a, b, until_us);
    }
    if (a != b && ways & 2) {
        partition_begin(b, a, until_us);
    }
}

/* Of a process from a broker, or from all of them. */
static void part_from_brokers(const process_t *process)
{
    uint64_t until_us = world.now_us + world_us_of(5, 3 * world.plan.lease_ms);
    uint64_t ways = world_between(1, 3);
    bool all = world_chance(3000);
    size_t one = world_random() % world.plan.brokers;
    for (size_t i = 0; i < world.plan.brokers; i++) {
        if (all || i == one) {
            part(process, world.brokers[i], ways, until_us);
        }
    }
}

static void partition(void)
{
    uint64_t draw = world_random() % 10;
    part_from_brokers(some(draw < 5 ? PROCESS_BROKER : draw < 8 ? PROCESS_WORKER : PROCESS_CLIENT));
}

/* ---- orders of operators ---- */

static void give_order(const process_t *worker, runner_standing_t standing)
{
    incarnation_t runner = simulated_worker_facts(worker).runner;
    simulated_client_order(some(PROCESS_CLIENT), runner, standing);
}

/* The order may be lost: the worker is then opened after the last fault. */
static void on_opened(event_t *event)
{
    process_t *worker = event->subject;
    if (worker->up && !world.over) {
        give_order(worker, RUNNER_OPEN);
    }
}

static void order(process_t *worker)
{
    if (!worker->up) {
        return;
    }
    give_order(worker, world_chance(5000) ? RUNNER_CORDONED : RUNNER_DRAINING);
    event_schedule(event_new(NULL, on_opened, worker, 0),
                   world.now_us + world_us_of(1, OPENED_MS_MAX));
}

/* Again and again, to the end of the run: an order that was given before may come late. */
static void on_open_all(event_t *event)
{
    for (unsigned i = 0; i < world.plan.workers && !world.over; i++) {
        const process_t *worker = world.workers[i];
        if (worker->up && simulated_worker_facts(worker).standing != RUNNER_OPEN) {
            give_order(worker, RUNNER_OPEN);
        }
    }
    if (!world.over) {
        event_schedule(event_new(NULL, on_open_all, NULL, 0),
                       world.now_us + world_us_of(OPEN_AGAIN_MS, OPEN_AGAIN_MS));
    }
    (void)event;
}

/* ---- faults at steps ---- */

/* What a broker was sending to the store comes after its lease. */
static void cut_off_for_long(process_t *broker)
{
    uint64_t lease_ms = world.plan.lease_ms;
    broker->cut_off_until_us = world.now_us + world_us_of(lease_ms, 3 * lease_ms);
}

static bool is_of_coordinator(step_kind_t kind, unsigned number)
{
    return kind == STEP_STORE_SENT &&
           (number == MEMORY_STORE_COORDINATE || number == MEMORY_STORE_ASSIGN);
}

void faults_strike(process_t *process, step_kind_t kind, unsigned number)
{
    uint64_t draw = world_random() % 10;
    if (!process->up) {
        return;
    }
    world_note("strike", process->kind, process->index, draw);
    if (is_of_coordinator(kind, number) && draw < 5) {
        cut_off_for_long(process);
    } else if (process->kind == PROCESS_CLIENT || draw < 2) {
        part_from_brokers(process);
    } else if (draw < 6) {
        crash(process);
    } else if (draw < 8 || process->kind != PROCESS_BROKER) {
        freeze(process);
    } else {
        cut_off(process);
    }
}

void faults_strike_somebody(void)
{
    faults_strike(some(world_chance(7000) ? PROCESS_BROKER : PROCESS_WORKER), STEP_KINDS, 0);
}

static void leave(process_t *process)
{
    if (process->up && process->kind == PROCESS_WORKER) {
        simulated_worker_leave(process, world_us_of(1, 500));
    } else if (process->up) {
        simulated_broker_drain(process, world_us_of(1, 500));
    }
}

/* Makes somebody take the step that a fault waits for. */
static void bring_about(step_cause_t cause)
{
    process_t *broker = some(PROCESS_BROKER);
    switch (cause) {
    case CAUSE_NOTHING:
        break;
    case CAUSE_RESTART:
        crash(broker);
        break;
    case CAUSE_ELECTION:
        broker = world.with_term ? world.with_term : broker;
        if (world_chance(5000)) {
            crash(broker);
        } else if (world_chance(5000)) {
            freeze(broker);
        } else {
            cut_off_for_long(broker);
        }
        break;
    case CAUSE_HAND_OVER:
        leave(broker);
        break;
    case CAUSE_RELEASE:
        leave(some(PROCESS_WORKER));
        break;
    case CAUSE_ORDER:
        order(some(PROCESS_WORKER));
        break;
    }
}

/* A rare step is brought about half of the time. */
static void wait_for_step(void)
{
    step_cause_t cause = steps_wait();
    if (cause != CAUSE_NOTHING && world_chance(CAUSED_OF_10000)) {
        bring_about(cause);
    }
}

/* ---- when faults come ---- */

static void inject(fault_kind_t kind)
{
    process_t *worker = some(PROCESS_WORKER);
    process_t *broker = some(PROCESS_BROKER);
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
        world.store_down_until_us = world.now_us + world_us_of(5, 2 * world.plan.lease_ms);
        break;
    case FAULT_STORE_SLOW:
        world.store_slow_until_us = world.now_us + world_us_of(5, 2 * world.plan.lease_ms);
        break;
    case FAULT_WORKER_LEAVE:
        leave(worker);
        break;
    case FAULT_BROKER_DRAIN:
        leave(broker);
        break;
    case FAULT_STORE_CLOCK:
        world.store_clock_ms =
            (int64_t)world_between(0, 2 * SIMULATION_CLOCK_MS) - SIMULATION_CLOCK_MS;
        break;
    case FAULT_BROKER_CUT_OFF:
        cut_off(broker);
        break;
    case FAULT_PARTITION:
        partition();
        break;
    case FAULT_APART:
        part(broker, some(PROCESS_BROKER), 3,
             world.now_us + world_us_of(5, APART_LEASES_MAX * world.plan.lease_ms));
        break;
    case FAULT_ORDER:
        order(worker);
        break;
    case FAULT_REPEAT:
        repeat();
        break;
    case FAULT_STEP:
        wait_for_step();
        break;
    case FAULT_KINDS:
        break;
    }
}

/* Faults at random times; a plan that counts them has each time one that takes place. */
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
                   world.now_us + world_us_of(1, 2 * world.plan.gap_ms));
    (void)event;
}

static void on_counted_fault(event_t *event)
{
    fault_kind_t kind = world_chance(STEP_OF_10000) ? FAULT_STEP : FAULT_KINDS;
    while (kind == FAULT_KINDS || !(world.plan.faults & 1u << kind)) {
        kind = (fault_kind_t)(world_random() % FAULT_KINDS);
    }
    inject(kind);
    (void)event;
}

static void schedule_counted_fault(void)
{
    uint64_t busy_ms = world.plan.chaos_ms - world.plan.lull_ms;
    uint64_t after_us = world_us_of(FIRST_MS_MAX, busy_ms);
    if (after_us > busy_ms * 1000 / 2) {
        after_us += world.plan.lull_ms * 1000;
    }
    event_schedule(event_new(NULL, on_counted_fault, NULL, 0), world.now_us + after_us);
}

void faults_begin(void)
{
    for (unsigned i = 0; i < world.plan.fault_count; i++) {
        schedule_counted_fault();
    }
    if (world.plan.fault_count == 0) {
        event_schedule(event_new(NULL, on_fault, NULL, 0),
                       world.now_us + world_us_of(1, FIRST_MS_MAX));
    }
}

void faults_heal(void)
{
    world.calm = true;
    world.healed_us = world.now_us;
    steps_end();
    partitions_end();
    world.store_down_until_us = world.store_slow_until_us = 0;
    for (unsigned i = 0; i < world.plan.workers; i++) {
        if (world.workers[i]->up && world.workers[i]->frozen) {
            process_thaw(world.workers[i]);
        }
    }
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        world.brokers[i]->cut_off_until_us = world.brokers[i]->unanswered_until_us = 0;
        if (world.brokers[i]->up && world.brokers[i]->frozen) {
            process_thaw(world.brokers[i]);
        }
    }
    if (world.plan.rolling || world.plan.faults & (1u << FAULT_ORDER | 1u << FAULT_STEP)) {
        event_schedule(event_new(NULL, on_open_all, NULL, 0), world.now_us);
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

void faults_begin_takeovers(void)
{
    event_schedule(event_new(NULL, on_takeover, NULL, 0),
                   world.now_us + world_us_of(0, FIRST_MS_MAX));
}
