/* What stands in a cluster's store: the rows of its checkpoints and what the journals add to them.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_HARNESS_STANDING_H
#define TESTS_HARNESS_STANDING_H

#include "core/journal/fold.h"
#include "core/store.h"

/* Whether an entry after the checkpoint clears the row's message: the row goes with the next
 * checkpoint. */
bool standing_is_cleared(const journal_fold_t *fold, const store_pending_t *row);

/* How many messages have no final reply, and are no dead letters. The database is read lane by
 * lane: nothing should write to it meanwhile. */
FABRIC_MUST_USE fabric_error_t standing_count_pending(store_t *store, reason_t *reason,
                                                      uint64_t *count);

#endif
