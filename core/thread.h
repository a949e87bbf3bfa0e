/* What a library must know of the threads that call it: whether they may be cancelled now, and whether
 * they live in the process that they were started in.
 *
 * Threading: any thread.
 */
#ifndef CORE_THREAD_H
#define CORE_THREAD_H

#include <stdint.h>

/* Puts off a cancellation of the calling thread (pthread_cancel) until thread_allow_cancel, which is to
 * be given what this returns. A function that hands memory of its stack to another thread, or holds a
 * lock, runs between the two. They may be nested. Neither makes a system call. */
int thread_hold_cancel(void);
void thread_allow_cancel(int before);

/* A number that is another one in a child of fork() than in its parent: a child has its parent's memory,
 * but of its threads only the one that called fork(). Makes no system call but at its first use. */
uint32_t thread_process(void);

#endif
