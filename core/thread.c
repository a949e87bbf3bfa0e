/* The threads that call a library: see thread.h. */
#include "core/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_uint_least32_t forks;
static pthread_once_t watched = PTHREAD_ONCE_INIT;

int thread_hold_cancel(void)
{
    int before = PTHREAD_CANCEL_ENABLE;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

void thread_allow_cancel(int before)
{
    int held;
    (void)pthread_setcancelstate(before, &held);
}

static void count_fork(void)
{
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, count_fork) != 0) {
        abort();
    }
}

uint32_t thread_process(void)
{
    (void)pthread_once(&watched, watch_forks);
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

void thread_mutex_init_recursive(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0 ||
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) != 0 ||
        pthread_mutex_init(mutex, &attributes) != 0) {
        abort();
    }
    pthread_mutexattr_destroy(&attributes);
}
