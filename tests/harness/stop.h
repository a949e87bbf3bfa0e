/* Whether the benchmark is to end early: SIGINT and SIGTERM set a flag that every wait looks at, so
 * that processes and folders are cleaned up.
 *
 * Threading: the main thread; to be installed before others start.
 */
#ifndef TESTS_HARNESS_STOP_H
#define TESTS_HARNESS_STOP_H

#include <stdbool.h>

void stop_install(void);
/* Whether to end, by a signal or because going on is pointless. */
bool stop_requested(void);
/* Whether a signal asked for it. */
bool stop_signalled(void);
/* `pointless` is asked now and then by stop_requested(), until it has said yes; NULL: nobody is. */
void stop_when(bool (*pointless)(void *context), void *context);
/* Ends the process by the signal that was received; returns when there was none. */
void stop_die(void);

#endif
