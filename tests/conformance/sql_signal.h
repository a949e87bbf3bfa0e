/* Signals for a process that runs statements: it is killed or stopped between any two of them.
 *
 * Threading: one store of a process at a time, on its thread.
 */
#ifndef TESTS_CONFORMANCE_SQL_SIGNAL_H
#define TESTS_CONFORMANCE_SQL_SIGNAL_H

#include "core/store.h"

/* For store_suite_t.signal_before, on a store of an SQL database: BEGIN, COMMIT and every query
 * and change count. */
void sql_signal_before(store_t *store, unsigned nth, int signal);

#endif
