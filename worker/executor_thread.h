/* An executor on a thread of its own. Work comes in and output goes out in lists; the receiver of a
 * list is woken once, when the list stops being empty.
 *
 * Threading: the link's thread gives and takes, completions wake the executor from any thread, one
 * other thread may stop it and read its stats.
 */
#ifndef WORKER_EXECUTOR_THREAD_H
#define WORKER_EXECUTOR_THREAD_H

#include "worker/crash_handler.h"
#include "worker/executor.h"

typedef struct executor_thread executor_thread_t;

/* What an executor's thread calls: `notify` when output stops being empty, `report_defect` and
 * the others as executor_hooks_t says. */
typedef struct executor_listener {
    void (*notify)(void *context);
    void *notify_context;
    executor_report_fn *report_defect, *report_slow, *report_evicted, *report_rolled_back;
    const transaction_config_t *database;
    void *report_context;
    fabric_runner_t runner; /* what build functions are told */
    fabric_sender_t *sender;
    crash_slot_t *slot; /* where the thread notes which request's handler runs; NULL: nowhere */
} executor_listener_t;

/* `types` outlives the thread. NO_RESOURCES when the system gives no thread. */
FABRIC_MUST_USE fabric_error_t executor_thread_start(const type_table_t *types,
                                                     const executor_limits_t *limits,
                                                     const executor_listener_t *listener,
                                                     executor_thread_t **thread);
/* Gives the executor a list of works. */
void executor_thread_give(executor_thread_t *thread, work_t **works);
/* Takes the output so far, a list that is the caller's; NULL: none. */
work_output_t *executor_thread_take(executor_thread_t *thread);
/* Asks the thread to end after the handler that is running, and after all finalizers. */
void executor_thread_end(executor_thread_t *thread);
/* Waits until the thread has ended, at most until a monotonic time; false: a handler has not
 * returned. */
bool executor_thread_wait(executor_thread_t *thread, uint64_t until_ms);
/* Frees a thread that has ended. */
void executor_thread_destroy(executor_thread_t **thread);
/* Reads the numbers, also after the thread has ended. */
executor_stats_t executor_thread_stats(executor_thread_t *thread);
/* The monotonic time at which the step began that the executor takes now; 0: there is nothing to
 * do. A step runs at most one handler. Any thread. */
uint64_t executor_thread_step_since(const executor_thread_t *thread);
/* As executor_describe. Any thread. */
bool executor_thread_describe(executor_thread_t *thread, char *text, size_t size);
/* As executor_describe_slow, of the present step. Any thread. */
bool executor_thread_describe_slow(executor_thread_t *thread, uint64_t now_ms, char *text,
                                   size_t size);

#endif
