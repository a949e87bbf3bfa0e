/* Ending early: SIGINT and SIGTERM set a flag that every wait looks at, so that processes and
 * folders are cleaned up.
 *
 * Threading: the main thread; to be installed before others start.
 */
#ifndef TESTS_HARNESS_STOP_H
#define TESTS_HARNESS_STOP_H

#include <stdbool.h>

void stop_install(void);
/* Whether to end now, because of a signal or because `pointless` said so. */
bool stop_requested(void);
/* Whether a signal asked for it. */
bool stop_signalled(void);
/* From now on stop_requested() calls `pointless` now and then, until it returns true. NULL:
 * none. */
void stop_when(bool (*pointless)(void *context), void *context);
/* Ends the process by the signal that was received; returns when there was none. */
void stop_die(void);

#endif
