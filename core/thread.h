/* What a library must know about the threads that call it: whether they may be cancelled now, and
 * whether they run in the process that they were started in.
 *
 * Threading: any thread.
 */
#ifndef CORE_THREAD_H
#define CORE_THREAD_H

#include <pthread.h>
#include <stdint.h>

/* Puts off a cancellation of the calling thread (pthread_cancel) until thread_allow_cancel, which
 * gets the value that this function returned. A function that hands memory of its stack to another
 * thread, or holds a lock, runs between the two. They may be nested. Neither makes a system
 * call. */
int thread_hold_cancel(void);
void thread_allow_cancel(int before);

/* A number that differs between a process and its child of fork(): the child has a copy of the
 * parent's memory, but only the thread that called fork(). Makes a system call only at its first
 * use. */
uint32_t thread_process(void);

/* Makes a mutex that its owner may lock again. */
void thread_mutex_init_recursive(pthread_mutex_t *mutex);

#endif
