/* An executor's accounts, recomputed: entities, their bytes, and the deliveries that wait. To be
 * asked between any two steps. */
#ifndef TESTS_UNIT_EXECUTOR_CHECK_H
#define TESTS_UNIT_EXECUTOR_CHECK_H

#include "worker/executor.h"

/* NULL where all is right, else which account is wrong; valid until the next call. */
const char *executor_check(const executor_t *executor);

#endif
