/* Slow handlers: those that take longer than slow_ms of their entity type.
 *
 * A handler that answers later is slow as soon as it has taken that long: those that are not yet
 * wait in the order in which they began, for each type. A handler that runs is noticed by a thread
 * that looks now and then, or else by its executor when it has returned. Each is noticed once.
 */
#ifndef WORKER_EXECUTOR_SLOW_STATE_H
#define WORKER_EXECUTOR_SLOW_STATE_H

#include <stdatomic.h>

#include "core/limits.h"
#include "worker/pending.h"
#include "worker/type_table.h"

typedef struct executor_slow {
    fabric_pending_t *watched[LIMIT_TYPES_MAX]; /* by type, in the order of began_ms */
    uint64_t next_ms;                           /* none of them is slow before */
    _Atomic uint64_t told;                      /* the request whose running handler was noticed */
    _Atomic uint64_t count;                     /* of slow handlers */
} executor_slow_t;

void slow_init(executor_slow_t *slow);
/* A handler of the type, which began at that time, is pending. */
void slow_watch(executor_slow_t *slow, const type_entry_t *type, fabric_pending_t *pending,
                uint64_t began_ms);
/* It is pending no more. */
void slow_unwatch(executor_slow_t *slow, const type_entry_t *type, fabric_pending_t *pending);
/* Takes a pending handler that is slow now, and counts it; NULL: none is. */
fabric_pending_t *slow_take(executor_slow_t *slow, const type_table_t *types, uint64_t now_ms);
/* A running handler is slow: counts it; false: it was noticed before. Any thread. */
FABRIC_MUST_USE bool slow_note(executor_slow_t *slow, uint64_t request_id);
/* The handler of a request runs no more. */
void slow_forget(executor_slow_t *slow, uint64_t request_id);

#endif
