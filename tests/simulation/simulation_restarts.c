/* Workers and brokers that are restarted in order while nothing fails: see simulation_faults.h. */
#include "tests/simulation/simulation_faults.h"
#include "tests/simulation/simulation_processes.h"

enum {
    BEGIN_MS = 3000, /* all types are registered by then, and all workers are welcomed */
    DOWN_MS_MAX = 100,
    GAP_MS_MAX = 400,
    DRAINED_MS_MAX = 1000,
    DRAINS_OF_10000 = 3000
};

static void on_opened(event_t *event)
{
    const process_t *worker = event->subject;
    if (world.healed_us == 0 && worker->up) {
        simulated_client_order(world.clients[0], simulated_worker_facts(worker).runner,
                               RUNNER_OPEN);
    }
}

/* As an operator does who wants to empty a machine, and then changes his mind. */
static void drain_worker(process_t *worker)
{
    simulated_client_order(world.clients[0], simulated_worker_facts(worker).runner,
                           RUNNER_DRAINING);
    event_schedule(event_new(NULL, on_opened, worker, 0),
                   world.now_us + world_us_of(1, DRAINED_MS_MAX));
}

/* Another worker may still leave, or be welcomed by some brokers only. */
static void restart_worker(void)
{
    process_t *worker = world.workers[world_between(1, world.plan.workers - 1)];
    if (worker->up && world_chance(DRAINS_OF_10000)) {
        drain_worker(worker);
    } else if (worker->up) {
        simulated_worker_leave(worker, world_us_of(1, DOWN_MS_MAX));
        world.result->restarts++;
    }
}

/* One broker after the other: the next one when all serve. */
static void restart_broker(void)
{
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        if (!simulated_broker_stays(world.brokers[i])) {
            return;
        }
    }
    simulated_broker_drain(world.brokers[world_between(0, world.plan.brokers - 1)],
                           world_us_of(1, DOWN_MS_MAX));
    world.result->restarts++;
}

static void on_restart(event_t *event)
{
    if (world.healed_us > 0) {
        return;
    }
    if (world.plan.rolling_brokers && world_chance(5000)) {
        restart_broker();
    } else {
        restart_worker();
    }
    event_schedule(event_new(NULL, on_restart, NULL, 0), world.now_us + world_us_of(1, GAP_MS_MAX));
    (void)event;
}

void restarts_begin(void)
{
    event_schedule(event_new(NULL, on_restart, NULL, 0), world.now_us + BEGIN_MS * UINT64_C(1000));
}
