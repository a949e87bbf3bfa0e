/* Checks the counts and lists of an executor by counting anew: entities, their bytes, waiting
 * deliveries, the entities of each ownership. A test may call it between any two steps. */
#ifndef TESTS_UNIT_EXECUTOR_CHECK_H
#define TESTS_UNIT_EXECUTOR_CHECK_H

#include "worker/executor.h"

/* NULL, or which count is wrong; the text is valid until the next call. */
const char *executor_check(const executor_t *executor);

#endif
