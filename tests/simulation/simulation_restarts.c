/* Workers that are restarted in order while nothing fails: see simulation_faults.h. */
#include "tests/simulation/simulation_faults.h"
#include "tests/simulation/simulation_processes.h"

enum {
    BEGIN_MS = 3000, /* all types are registered by then, and all workers are welcomed */
    DOWN_MS_MAX = 100,
    GAP_MS_MAX = 400
};

/* Another worker may still leave, or be welcomed by some brokers only. */
static void on_restart(event_t *event)
{
    process_t *worker = world.workers[world_between(1, world.plan.workers - 1)];
    if (world.healed_us > 0) {
        return;
    }
    if (worker->up) {
        simulated_worker_leave(worker, world_us_of(1, DOWN_MS_MAX));
        world.result->restarts++;
    }
    event_schedule(event_new(NULL, on_restart, NULL, 0), world.now_us + world_us_of(1, GAP_MS_MAX));
    (void)event;
}

void restarts_begin(void)
{
    event_schedule(event_new(NULL, on_restart, NULL, 0), world.now_us + BEGIN_MS * UINT64_C(1000));
}
