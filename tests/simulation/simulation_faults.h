/* The faults that a run injects: what the seed lets happen at random times, and at which step of
 * a process's work (simulation_steps.h).
 */
#ifndef TESTS_SIMULATION_SIMULATION_FAULTS_H
#define TESTS_SIMULATION_SIMULATION_FAULTS_H

#include "tests/simulation/simulation_world.h"

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
    FAULT_BROKER_CUT_OFF, /* from the store, beyond the lease or not; or from its answers only */
    FAULT_PARTITION,      /* of two processes, or of one from all of a kind; one way or both */
    FAULT_APART,          /* two brokers do not reach each other, for long */
    FAULT_ORDER,          /* an operator cordons or drains a worker, and opens it again */
    FAULT_REPEAT,         /* a cut, and the last frame arrives once more */
    FAULT_STEP,           /* one of those above, at a step of somebody's work */
    FAULT_KINDS
} fault_kind_t;

/* Schedules the faults of the plan, from now on. */
void faults_begin(void);
/* The lanes change their holders again and again, from now on. */
void faults_begin_takeovers(void);
/* All workers but the first, and brokers where the plan says so, are restarted in order again and
 * again, soon from now on until faults_heal. */
void restarts_begin(void);
/* Operators resume parked entities, from now on; after faults_heal, all of them. */
void operators_begin(void);
/* Ends all faults: no process stays frozen or cut off, and none is injected any more. */
void faults_heal(void);

#endif
