/* Progress of lanes: see progress_state.h. */
#include "broker/router/progress_state.h"

#include "broker/router/router_state.h"

static const struct {
    const char *key;
    const char *actor;
} names[LANE_STEPS] = {
    [STEP_APPEND] = {"append_ms", "appender"},
    [STEP_CHECKPOINT] = {"checkpoint_ms", "checkpointer"},
    [STEP_ADOPTION] = {"adoption_ms", "adopter"},
    [STEP_LOAD] = {"load_ms", "loader"},
    [STEP_LOOKUP] = {"lookup_ms", "finder"},
};

const char *progress_key(lane_step_t step)
{
    return names[step].key;
}

const char *progress_actor(lane_step_t step)
{
    return names[step].actor;
}

/* A checkpoint has nothing to do with a lane that leaves: see hand_over.c. */
static bool checkpoint_waits(const router_t *router, const router_lane_t *lane)
{
    const checkpoint_t *checkpoint = &lane->checkpoint;
    bool due = checkpoint->number != checkpoint->settled && router->now_ms >= checkpoint->due_ms;
    return lane->state == LANE_HOME && (checkpoint->under_way || due);
}

/* Whether a step waits. `mark` gets a number that changes with each step that ends. */
static bool step_waits(const router_t *router, uint32_t number, lane_step_t step, uint64_t *mark)
{
    const router_lane_t *lane = &router->lanes[number];
    switch (step) {
    case STEP_APPEND:
        *mark = lane->checkpoint.number;
        return lane->batches.running || router_waiting(router, number) > 0;
    case STEP_CHECKPOINT:
        *mark = lane->checkpoint.slices_settled;
        return checkpoint_waits(router, lane);
    case STEP_ADOPTION:
        *mark = lane->epoch + lane->taking + lane->backlogs_taken;
        return lane->state == LANE_ADOPTING;
    case STEP_LOAD:
        *mark = lane->loads.answered;
        return lane->loads.running;
    case STEP_LOOKUP:
        *mark = lane->lookup_current.answered;
        return lane->lookup_current.running;
    case LANE_STEPS:
        break;
    }
    return false;
}

static void look(router_t *router, uint32_t number, lane_step_t step)
{
    step_progress_t *progress = &router->lanes[number].progress.steps[step];
    uint64_t mark = 0;
    bool waits =
        router->lanes[number].state != LANE_FOREIGN && step_waits(router, number, step, &mark);
    if (!waits) {
        progress->since_ms = 0;
    } else if (progress->since_ms == 0 || progress->mark != mark) {
        progress->since_ms = router->now_ms;
    }
    progress->mark = mark;
}

void progress_tick(router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        for (int step = 0; step < LANE_STEPS; step++) {
            look(router, i, (lane_step_t)step);
        }
    }
}

uint64_t progress_waits_ms(const router_t *router, uint32_t lane, lane_step_t step)
{
    uint64_t since_ms = router->lanes[lane].progress.steps[step].since_ms;
    return since_ms == 0 ? 0 : router->now_ms - since_ms;
}

bool progress_is_stuck(const router_t *router, uint32_t lane, lane_step_t step)
{
    return progress_waits_ms(router, lane, step) > router->config.lease_ms;
}
