/* An executor on a thread of its own: see executor_thread.h. */
#include "worker/executor_thread.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/memory.h"

struct executor_thread {
    pthread_t thread;
    pthread_mutex_t
        lock; /* for all that follows, but the atomic ones; never held while a handler runs */
    pthread_cond_t changed;
    work_t *given_first, *given_last;
    work_output_t *output_first, *output_last;
    bool woken; /* a handle was completed */
    bool ending;
    bool ended;
    executor_t *executor; /* NULL once it has ended */
    executor_stats_t final_stats;
    _Atomic uint64_t step_since_ms; /* since when the present step takes; 0: the thread waits */
    atomic_bool urgent; /* there is work, or the end: the thread looks between two steps */
    void (*notify)(void *context);
    void *notify_context;
    crash_slot_t *slot; /* NULL: none */
    interrupts_t *interrupts;
};

/* On the thread that completes a handle. */
static void on_completion(void *context)
{
    executor_thread_t *self = (executor_thread_t *)context;
    pthread_mutex_lock(&self->lock);
    self->woken = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void publish(executor_thread_t *self)
{
    work_output_t *first = executor_take_output(self->executor);
    if (!first) {
        return;
    }
    work_output_t *last = first;
    while (last->next) {
        last = last->next;
    }
    pthread_mutex_lock(&self->lock);
    bool was_empty = !self->output_first;
    if (was_empty) {
        self->output_first = first;
    } else {
        self->output_last->next = first;
    }
    self->output_last = last;
    pthread_mutex_unlock(&self->lock);
    if (was_empty) {
        self->notify(self->notify_context);
    }
}

/* Takes the work that was given, after waiting for something to do unless there is `more`; false:
 * the thread is to end. */
static bool take_work(executor_thread_t *self, bool more, work_t **works)
{
    uint64_t deadline_ms = executor_next_deadline(self->executor);
    struct timespec until = {(time_t)(deadline_ms / 1000), (long)(deadline_ms % 1000) * 1000000L};
    pthread_mutex_lock(&self->lock);
    if (!more) {
        atomic_store_explicit(&self->step_since_ms, 0, memory_order_relaxed);
    }
    while (!more && !self->given_first && !self->woken && !self->ending) {
        if (deadline_ms == UINT64_MAX) {
            pthread_cond_wait(&self->changed, &self->lock);
        } else if (clock_monotonic_ms() < deadline_ms) {
            pthread_cond_timedwait(&self->changed, &self->lock, &until);
        } else {
            break;
        }
    }
    *works = self->given_first;
    self->given_first = self->given_last = NULL;
    self->woken = false;
    atomic_store_explicit(&self->urgent, false, memory_order_relaxed);
    bool ending = self->ending;
    pthread_mutex_unlock(&self->lock);
    return !ending;
}

static void finish(executor_thread_t *self)
{
    executor_t *executor = self->executor;
    pthread_mutex_lock(&self->lock);
    self->final_stats = executor_stats(executor);
    self->final_stats.entities = self->final_stats.bytes = 0;
    self->executor = NULL;
    pthread_mutex_unlock(&self->lock);
    executor_destroy(&executor);
    pthread_mutex_lock(&self->lock);
    self->ended = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void *executor_thread_main(void *argument)
{
    executor_thread_t *self = (executor_thread_t *)argument;
    crash_stack_t *stack = self->slot ? crash_handler_enter(self->slot) : NULL;
    work_t *works = NULL;
    bool more = false;
    while (take_work(self, more, &works)) {
        executor_give(self->executor, &works);
        more = true;
        while (more && !atomic_load_explicit(&self->urgent, memory_order_relaxed)) {
            uint64_t now_ms = clock_monotonic_ms();
            atomic_store_explicit(&self->step_since_ms, now_ms, memory_order_relaxed);
            more = executor_step(self->executor, now_ms);
            if (more && executor_output_due(self->executor, now_ms)) {
                publish(self);
            }
        }
        publish(self);
    }
    work_list_destroy(&works);
    finish(self);
    crash_handler_leave(&stack);
    return NULL;
}

static int thread_create(executor_thread_t *self)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's own threads take the signals */
    int failed = pthread_create(&self->thread, NULL, executor_thread_main, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void self_free(executor_thread_t *self)
{
    work_list_destroy(&self->given_first);
    work_output_list_destroy(&self->output_first);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    interrupts_destroy(&self->interrupts);
    free(self);
}

fabric_error_t executor_thread_start(const type_table_t *types, const executor_limits_t *limits,
                                     const executor_listener_t *listener,
                                     executor_thread_t **thread)
{
    executor_thread_t *self = (executor_thread_t *)memory_allocate_zeroed(1, sizeof *self);
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&self->lock, NULL) != 0 || pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&self->changed, &attributes) != 0) {
        abort();
    }
    pthread_condattr_destroy(&attributes);
    self->interrupts = interrupts_new();
    self->notify = listener->notify;
    self->notify_context = listener->notify_context;
    self->slot = listener->slot;
    executor_hooks_t hooks = {.wake = on_completion,
                              .wake_context = self,
                              .report_defect = listener->report_defect,
                              .report_slow = listener->report_slow,
                              .report_evicted = listener->report_evicted,
                              .report_rolled_back = listener->report_rolled_back,
                              .database = listener->database,
                              .report_context = listener->report_context,
                              .interrupts = self->interrupts,
                              .runner = listener->runner,
                              .sender = listener->sender,
                              .at_hand = self->slot ? &self->slot->at_hand : NULL};
    self->executor = executor_new(types, limits, &hooks);
    if (thread_create(self) != 0) {
        executor_destroy(&self->executor);
        self_free(self);
        return FABRIC_ERROR_NO_RESOURCES;
    }
    *thread = self;
    return FABRIC_OK;
}

void executor_thread_give(executor_thread_t *thread, work_t **works)
{
    if (!*works) {
        return;
    }
    work_t *last = NULL;
    for (work_t *work = *works; work; work = work->next) {
        if (interrupts_is_order(work)) {
            interrupts_announce(thread->interrupts, work);
        }
        last = work;
    }
    pthread_mutex_lock(&thread->lock);
    bool was_empty = !thread->given_first;
    if (was_empty) {
        thread->given_first = *works;
    } else {
        thread->given_last->next = *works;
    }
    thread->given_last = last;
    atomic_store_explicit(&thread->urgent, true, memory_order_relaxed);
    pthread_mutex_unlock(&thread->lock);
    if (was_empty) { /* without the lock, which the thread that it wakes would wait for */
        pthread_cond_broadcast(&thread->changed);
    }
    *works = NULL;
}

work_output_t *executor_thread_take(executor_thread_t *thread)
{
    pthread_mutex_lock(&thread->lock);
    work_output_t *first = thread->output_first;
    thread->output_first = thread->output_last = NULL;
    pthread_mutex_unlock(&thread->lock);
    return first;
}

void executor_thread_end(executor_thread_t *thread)
{
    pthread_mutex_lock(&thread->lock);
    thread->ending = true;
    atomic_store_explicit(&thread->urgent, true, memory_order_relaxed);
    pthread_cond_broadcast(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
}

bool executor_thread_wait(executor_thread_t *thread, uint64_t until_ms)
{
    struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000L};
    pthread_mutex_lock(&thread->lock);
    while (!thread->ended && clock_monotonic_ms() < until_ms) {
        pthread_cond_timedwait(&thread->changed, &thread->lock, &until);
    }
    bool ended = thread->ended;
    pthread_mutex_unlock(&thread->lock);
    return ended;
}

void executor_thread_destroy(executor_thread_t **thread)
{
    executor_thread_t *self = *thread;
    if (!self) {
        return;
    }
    assert(self->ended);
    pthread_join(self->thread, NULL);
    self_free(self);
    *thread = NULL;
}

executor_stats_t executor_thread_stats(executor_thread_t *thread)
{
    pthread_mutex_lock(&thread->lock);
    executor_stats_t stats =
        thread->executor ? executor_stats(thread->executor) : thread->final_stats;
    pthread_mutex_unlock(&thread->lock);
    return stats;
}

uint64_t executor_thread_step_since(const executor_thread_t *thread)
{
    return atomic_load_explicit(&thread->step_since_ms, memory_order_relaxed);
}

bool executor_thread_describe(executor_thread_t *thread, char *text, size_t size)
{
    pthread_mutex_lock(&thread->lock);
    bool described = thread->executor && executor_describe(thread->executor, text, size);
    pthread_mutex_unlock(&thread->lock);
    return described;
}

bool executor_thread_describe_slow(executor_thread_t *thread, uint64_t now_ms, char *text,
                                   size_t size)
{
    uint64_t since_ms = executor_thread_step_since(thread);
    pthread_mutex_lock(&thread->lock);
    bool slow =
        thread->executor && executor_describe_slow(thread->executor, since_ms, now_ms, text, size);
    pthread_mutex_unlock(&thread->lock);
    return slow;
}
