/* The steps of the work of processes, at which faults strike, and how often each was passed and
 * struck.
 *
 * A fault at a step waits until some process is about to take, or has just taken, that step, and
 * strikes that process before anything else happens. Where nobody takes the step soon, the fault
 * strikes some process.
 */
#ifndef TESTS_SIMULATION_SIMULATION_STEPS_H
#define TESTS_SIMULATION_SIMULATION_STEPS_H

#include "tests/simulation/simulation_world.h"

typedef enum step_kind {
    STEP_POINT,         /* a crash point (core/crash_points.def): crash_point_t. Test builds only */
    STEP_STORE_SENT,    /* the call leaves: memory_store_operation_t */
    STEP_STORE_DONE,    /* it is carried out, and the answer is still to come */
    STEP_EFFECT,        /* the router takes it: coordinator_effect_kind_t */
    STEP_FRAME_SENT,    /* message_kind_t */
    STEP_FRAME_ARRIVED, /* and has not been read yet */
    STEP_KINDS
} step_kind_t;

/* A run begins, or its faults end: none waits. */
void steps_begin(void);
void steps_end(void);
/* A process takes a step. */
void steps_pass(process_t *process, step_kind_t kind, unsigned number);
/* Whether any fault waits for a message. */
bool steps_wait_for_frames(void);

/* What makes processes take a step that they do not take all the time. */
typedef enum step_cause {
    CAUSE_NOTHING,
    CAUSE_RESTART,   /* of a broker */
    CAUSE_ELECTION,  /* the broker with the term crashes, freezes, or is cut off from the store */
    CAUSE_HAND_OVER, /* a broker drains */
    CAUSE_RELEASE,   /* a worker stops in order */
    CAUSE_ORDER      /* an operator cordons or drains a worker */
} step_cause_t;

/* A fault begins to wait for some step; the cause of that step, or NOTHING. */
step_cause_t steps_wait(void);
/* Such a fault strikes, or has waited in vain and strikes somebody (simulation_faults.c). */
void faults_strike(process_t *process, step_kind_t kind, unsigned number);
void faults_strike_somebody(void);

/* Writes "name passed/struck" of a step; false: there is no such step. */
bool step_describe(size_t index, const simulation_steps_t *steps, char *text, size_t size);

#endif
