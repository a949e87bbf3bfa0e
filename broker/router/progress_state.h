/* Progress: for how long what a lane wants of the store has waited. progress.c owns the structs.
 *
 * Health means progress. A step that waits is stuck when no step of its kind has come to an end in
 * the lane for longer than the lease. Steps are looked at in each tick, so a busy lane pays nothing
 * for it.
 */
#ifndef BROKER_ROUTER_PROGRESS_STATE_H
#define BROKER_ROUTER_PROGRESS_STATE_H

#include "broker/router/router.h"

typedef enum lane_step {
    STEP_APPEND,     /* records wait for an append, or one is under way: the appender */
    STEP_CHECKPOINT, /* a checkpoint is due or under way: the checkpointer */
    STEP_ADOPTION,   /* what stands in the lane is being read and taken over: the adopter */
    STEP_LOAD,       /* rows are being read into memory: the loader */
    STEP_LOOKUP,     /* calls are being looked up: the finder */
    LANE_STEPS
} lane_step_t;

typedef struct step_progress {
    uint64_t mark;     /* changes with each step that comes to an end */
    uint64_t since_ms; /* since when a step has waited and none has come to an end; 0: none waits */
} step_progress_t;

typedef struct lane_progress {
    step_progress_t steps[LANE_STEPS];
} lane_progress_t;

/* Looks at the steps of all lanes. */
void progress_tick(router_t *router);
/* For how long a step of the lane has waited without progress; 0: none waits. */
uint64_t progress_waits_ms(const router_t *router, uint32_t lane, lane_step_t step);
bool progress_is_stuck(const router_t *router, uint32_t lane, lane_step_t step);
/* The key of status documents under which a step's time stands, as "append_ms". */
const char *progress_key(lane_step_t step);
/* The store actor that does the steps of this kind. */
const char *progress_actor(lane_step_t step);

#endif
