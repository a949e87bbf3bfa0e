/* Operators who resume entities that failures have parked, and clear entities: see
 * simulation_faults.h. */
#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_faults.h"
#include "tests/simulation/simulation_processes.h"

enum {
    LOOK_MS = 50,
    PARKED_OF_10000 = 1000, /* each time that an operator looks */
    CLEARS_OF_10000 = 2000,
    ANY_OF_10000 = 500 /* an operator who is wrong */
};

/* While faults are injected an entity may stay parked for a while, and an order may be lost. */
static void on_look(event_t *event)
{
    for (unsigned entity = 0; world.plan.failing && entity < world.plan.entities && !world.over;
         entity++) {
        if (check_is_parked(entity) && (world.healed_us > 0 || world_chance(PARKED_OF_10000))) {
            simulated_client_resume(world.clients[world_random() % world.plan.clients], entity);
        }
    }
    if (world.plan.clears && world.healed_us == 0 && world_chance(CLEARS_OF_10000)) {
        simulated_client_clear(world.clients[world_random() % world.plan.clients],
                               (unsigned)(world_random() % world.plan.entities));
    }
    if (world.plan.failing && world.healed_us == 0 && world_chance(ANY_OF_10000)) {
        simulated_client_resume(world.clients[world_random() % world.plan.clients],
                                (unsigned)(world_random() % world.plan.entities));
    }
    if (!world.over) {
        event_schedule(event_new(NULL, on_look, NULL, 0), world.now_us + world_us_of(1, LOOK_MS));
    }
    (void)event;
}

void operators_begin(void)
{
    event_schedule(event_new(NULL, on_look, NULL, 0), world.now_us + world_us_of(1, LOOK_MS));
}
