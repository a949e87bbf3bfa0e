/* How one testbed begins and ends, for those who run tests: see testbed.h. */
#ifndef TESTS_HARNESS_TESTBED_RUN_H
#define TESTS_HARNESS_TESTBED_RUN_H

#include "tests/harness/testbed.h"

/* Makes a testbed of one store: its folder, and an empty database. *state is the test's name before
 * and the testbed afterwards. 0, or -1 for an error that has been printed. */
int testbed_set_up(void **state, testbed_store_t store);
/* Stops all that runs, and frees the testbed in *state. */
int testbed_tear_down(void **state);

#endif
