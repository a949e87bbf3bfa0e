/* What a worker process notes for the process that comes after it: which requests' handlers run,
 * which brokers have welcomed it, and whether it ended in order. The notes are in memory that a
 * supervisor shares with its child, so they outlive the child.
 *
 * Rules:
 *  1. A slot belongs to one executor's thread, which writes it with plain stores: a note costs no
 *     more than that.
 *  2. A request is a culprit when its slot says that the thread crashed on it, and that its handler
 *     still runs: a thread that survived its crash has gone on to another request.
 *  3. A crash that no slot has noted has no culprit.
 *
 * Threading: a slot as rule 1 says; crash_notes_add_broker on the link's thread; the rest on the
 * main thread of the child, or in the supervisor while it has no child.
 */
#ifndef WORKER_CRASH_NOTES_H
#define WORKER_CRASH_NOTES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ids.h"
#include "core/limits.h"
#include "core/standing.h"

enum {
    CRASH_SLOTS_MAX = LIMIT_CRASH_CULPRITS_MAX, /* executors of one worker */
    CRASH_BROKERS_MAX = 2 * LIMIT_BROKERS_MAX
};

/* One executor's notes, on a cache line of their own. */
typedef struct crash_slot {
    _Alignas(64) _Atomic uint64_t at_hand; /* the request whose handler runs; 0: none does */
    _Atomic uint64_t crashed; /* the request on which the thread crashed; 0: it has not */
} crash_slot_t;

typedef struct crash_notes crash_notes_t;

/* Memory that children of fork() share; NULL: the system gives none. */
crash_notes_t *crash_notes_new(void);
void crash_notes_destroy(crash_notes_t **notes);
/* Forgets everything but the standing, which operators have given the worker, not the process. */
void crash_notes_clear(crash_notes_t *notes);

/* ---- the child ---- */

/* The worker is about to say hello as that incarnation. */
void crash_notes_begin(crash_notes_t *notes, incarnation_t incarnation);
/* The slot of an executor, numbered from 0. */
crash_slot_t *crash_notes_slot(crash_notes_t *notes, uint32_t executor);
/* A broker has welcomed the worker. The newest CRASH_BROKERS_MAX are kept. */
void crash_notes_add_broker(crash_notes_t *notes, const char *endpoint);
/* An operator has given the worker another standing. */
void crash_notes_set_standing(crash_notes_t *notes, runner_standing_t standing);
/* The worker was asked to stop. */
void crash_notes_stop(crash_notes_t *notes);
/* The process is about to end in order with that exit code. */
void crash_notes_end(crash_notes_t *notes, int exit_code);

/* ---- the supervisor, and the next child ---- */

/* Whether the process ended in order, and its exit code. */
bool crash_notes_ended(const crash_notes_t *notes, int *exit_code);
/* Whether the worker was asked to stop. */
bool crash_notes_stopping(const crash_notes_t *notes);
/* Notes how the process ended, for people. The first text of a process stays. */
void crash_notes_set_text(crash_notes_t *notes, const char *text);
const char *crash_notes_text(const crash_notes_t *notes);
/* OPEN unless an operator has given it another one. */
runner_standing_t crash_notes_standing(const crash_notes_t *notes);
/* The incarnation under which brokers may know the process; none: it has not come so far. */
incarnation_t crash_notes_incarnation(const crash_notes_t *notes);
/* Fills in the requests that the process crashed on; returns their number. */
uint32_t crash_notes_culprits(const crash_notes_t *notes, uint64_t culprits[CRASH_SLOTS_MAX]);
uint32_t crash_notes_broker_count(const crash_notes_t *notes);
const char *crash_notes_broker(const crash_notes_t *notes, uint32_t index);

#endif
