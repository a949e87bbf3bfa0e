/* Runs a worker in a child process and starts it again whenever it ends without order, until it
 * ends in order.
 *
 * Rules:
 *  1. The supervisor does nothing that could fail with the entities: it starts no thread, opens no
 *     socket and loads no module.
 *  2. A child ends in order when its main function returns; once it was asked to stop, also by any
 *     exit on which no request has crashed; and once it was asked to stop twice, in any way. Every
 *     other end is a crash, told in one log line (worker.crashed).
 *  3. The next child starts at once, so that it can report the crash; it is told how long to wait
 *     before it begins its work: not at all after a first crash, then 100 ms and twice as long each
 *     time, up to 10 s. A child that lived for 10 s is a new beginning.
 *  4. SIGTERM, SIGINT and SIGHUP are passed on to the child. A child that starts after a stop was
 *     asked for is asked again.
 *  5. The child dies with the supervisor (PR_SET_PDEATHSIG). As process 1 the supervisor collects
 *     the processes that others have left behind.
 *
 * Threading: the main thread, while there is no other.
 */
#ifndef WORKER_SUPERVISOR_H
#define WORKER_SUPERVISOR_H

#include "worker/crash_notes.h"

/* What a child runs, with what the process before it has noted, for at least `wait_ms` without
 * doing its work. It clears the notes. Returns the exit code. */
typedef int supervisor_child_fn(const void *context, crash_notes_t *notes, uint32_t wait_ms);

/* Runs children until one ends in order. Returns its exit code, in the supervisor; a child does not
 * return. */
int supervisor_run(supervisor_child_fn *child, const void *context);

#endif
