/* The signals of a server program, taken by a thread of their own, so that they are obeyed whatever
 * the program waits for.
 *
 *   SIGTERM, SIGINT   the first asks for an orderly stop: a descriptor becomes readable. The second
 *                     ends the process at once with status 128 + its number. Both hold for process
 *                     1 as well, for which the system has no default actions.
 *   SIGHUP            is logged and ignored: there is nothing to read anew.
 *   SIGPIPE           is ignored.
 *
 * Threading: stop_signals_start before any other thread is started, since threads inherit the
 * signal mask; the rest from any thread.
 */
#ifndef CORE_STOP_SIGNALS_H
#define CORE_STOP_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/* Starts the thread, once in a process. Returns the descriptor, which stays readable once a stop
 * was asked for; -1 if the system gives no descriptor or thread. */
int stop_signals_start(void);
/* From now on the process ends with status 0 `limit_ms` after a stop was asked for, whatever it
 * does then. It is meant for work that may hang while nobody looks at the descriptor. UINT32_MAX,
 * as at the start: no limit. */
void stop_signals_limit(uint32_t limit_ms);
/* For a child whose parent passes on the signals that it gets itself: a terminal or a service
 * manager may send a signal to both, so one that the parent sends and one that comes from elsewhere
 * count as one. The parent sends a request to stop with sigqueue() and its number, 1, 2, ..., since
 * equal signals that are pending at the same time arrive as one. Before stop_signals_start. */
void stop_signals_are_passed_on(void);
/* Whether a stop was asked for. */
bool stop_signals_requested(void);

#endif
