/* An executor on a thread of its own: work comes in and output goes out in lists, with one wake for
 * each list that stops being empty.
 *
 * Threading: the link's thread gives and takes, completions wake it from any thread, one other
 * thread may stop it and read its stats.
 */
#ifndef WORKER_EXECUTOR_THREAD_H
#define WORKER_EXECUTOR_THREAD_H

#include "worker/crash_handler.h"
#include "worker/executor.h"

typedef struct executor_thread executor_thread_t;

/* What an executor's thread calls: `notify` when output stops being empty, `tell_defect` as
 * executor_on_defect says. */
typedef struct executor_listener {
    void (*notify)(void *context);
    void *notify_context;
    executor_defect_fn *tell_defect;
    void *tell_context;
    crash_slot_t *slot; /* where the thread notes what it is at; NULL: nobody would read it */
} executor_listener_t;

/* `types` outlives the thread. NO_RESOURCES when the system gives no thread. */
FABRIC_MUST_USE fabric_error_t executor_thread_start(const type_table_t *types,
                                                     const executor_listener_t *listener,
                                                     executor_thread_t **thread);
/* Hands over a list of works. */
void executor_thread_give(executor_thread_t *thread, work_t **works);
/* The output so far, a list that is the caller's; NULL: none. */
work_output_t *executor_thread_take(executor_thread_t *thread);
/* Asks it to end after the handler that it is running, and after the finalizers. */
void executor_thread_end(executor_thread_t *thread);
/* Waits until it has ended, at the latest at a monotonic time; false: its handler does not return.
 */
bool executor_thread_wait(executor_thread_t *thread, uint64_t until_ms);
/* Frees a thread that has ended. */
void executor_thread_destroy(executor_thread_t **thread);
/* Also after the end, when no entity is left. */
executor_stats_t executor_thread_stats(executor_thread_t *thread);

#endif
