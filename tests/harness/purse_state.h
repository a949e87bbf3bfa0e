/* What is stored of a Purse, as its home says: from its memory or from the database.
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_HARNESS_PURSE_STATE_H
#define TESTS_HARNESS_PURSE_STATE_H

#include "tests/harness/testbed.h"

/* Fails the test unless the stored state of the purse has this amount. */
void purse_state_expect(testbed_t *bed, const char *id, int64_t amount);

#endif
