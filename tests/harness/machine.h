/* How fast the machine is beside whatever else runs on it, for tests that assert a time.
 *
 *     machine_measure();                      before the cluster is started
 *     ...
 *     assert_in_range(took_ms, 0, machine_scaled(1000));
 *
 * A bound is written as it holds on an idle machine, and stretched by what was measured: the fault
 * that it is there for is still seen, and a machine with half of its time for others is not taken
 * for one.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_MACHINE_H
#define TESTS_HARNESS_MACHINE_H

#include <stdint.h>

/* Takes a fifth of a second, with a thread for each processor; to be called while nothing of the
 * test's own is busy. Of several measurements the worst counts. */
void machine_measure(void);
/* A time that is this long on an idle machine. Measures first where nobody has. */
uint64_t machine_scaled(uint64_t time);

#endif
