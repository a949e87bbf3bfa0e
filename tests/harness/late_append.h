/* An append that comes too late, whatever the machine's pace: a home is frozen while the database
 * runs an append of it. The database gives the append up, other brokers may take the lanes over,
 * and once the home goes on, it runs the append again before it hears of anything else.
 *
 * MariaDB only. A failed expectation fails the running test.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_LATE_APPEND_H
#define TESTS_HARNESS_LATE_APPEND_H

#include "tests/harness/testbed.h"

/* Runs a load that makes the home append, for `ms` milliseconds. */
typedef void late_append_run_fn(void *load, uint32_t ms);

/* Locks the journals, and runs the load until an append waits for that. */
testbed_lock_t *late_append_lock(testbed_t *bed, late_append_run_fn *run, void *load);
/* Freezes the home, which is the only one that appends, while the load runs. Returns when, by the
 * monotonic clock. */
uint64_t late_append_freeze(testbed_t *bed, const process_t *home, late_append_run_fn *run,
                            void *load);
/* The frozen home, whose lanes another broker has, goes on. Returns how many of its appends its log
 * says to be fenced, each in one lane: at least one. */
unsigned late_append_thaw(testbed_t *bed, const process_t *home, const char *log,
                          late_append_run_fn *run, void *load);

#endif
