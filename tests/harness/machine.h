/* How much slower the machine is than an idle one, for tests that assert a time.
 *
 *     machine_measure();                      before the cluster is started
 *     ...
 *     assert_in_range(took_ms, 0, machine_scaled(1000));
 *
 * A test states its bound for an idle machine, and machine_scaled() multiplies the bound by the
 * measured slowness. So a busy machine does not fail the test, and the fault that the bound exists
 * for still does.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_MACHINE_H
#define TESTS_HARNESS_MACHINE_H

#include <stdint.h>

/* Measures for a fifth of a second or more, with a thread for each processor; to be called while
 * the test itself keeps nothing busy. The worst of several measurements counts. */
void machine_measure(void);
/* How long an action may take here that takes `ms` on an idle machine. The first call measures. */
uint64_t machine_scaled(uint64_t time);

#endif
