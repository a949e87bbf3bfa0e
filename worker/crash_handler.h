/* Notes the thread on which a process crashes, and lets the crash happen.
 *
 * A crash is one of the signals SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT that the thread itself
 * has caused, or a call of exit() in an executor's thread. The handler copies a number from one
 * place of the thread's slot to another, restores the action that was there before, and returns: so
 * the fault happens again, at the same instruction, and ends the process with a core dump of the
 * right place, or calls the handler that was there before (of a sanitizer or a runtime).
 *
 * Nothing is noted of _exit(), of a signal that another process has sent, of threads that have no
 * slot, and of processes that a handler has forked.
 *
 * Threading: crash_handler_start on the main thread, once, before there are executors; the rest on
 * an executor's thread.
 */
#ifndef WORKER_CRASH_HANDLER_H
#define WORKER_CRASH_HANDLER_H

#include "worker/crash_notes.h"

/* Begins to handle the signals and exit(). */
void crash_handler_start(void);

/* What a thread needs for it: a stack of its own for the handler, as the thread's may have
 * overflowed. */
typedef struct crash_stack crash_stack_t;
/* The calling thread notes its crashes in that slot, until crash_handler_leave. Unblocks the
 * signals. */
crash_stack_t *crash_handler_enter(crash_slot_t *slot);
void crash_handler_leave(crash_stack_t **stack);

#endif
