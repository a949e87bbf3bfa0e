/* What stands in a cluster's store: the rows of its checkpoints and what the journals add to them.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_HARNESS_STANDING_H
#define TESTS_HARNESS_STANDING_H

#include "core/store.h"

/* How many messages have no final reply, and are no dead letters. The database is read lane by
 * lane: nothing should write to it meanwhile. */
FABRIC_MUST_USE fabric_error_t standing_count_pending(store_t *store, reason_t *reason,
                                                      uint64_t *count);

#endif
