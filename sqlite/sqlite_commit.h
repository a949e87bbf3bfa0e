/* The hot path in SQLite: the writer's batches and the settling of unknown ones. The functions are
 * the store port's (core/store.h). */
#ifndef SQLITE_SQLITE_COMMIT_H
#define SQLITE_SQLITE_COMMIT_H

#include "core/store.h"

fabric_error_t sqlite_commit(store_t *store, const store_writer_t *writer,
                             const store_batch_t *batch, store_rejection_t *rejection);
fabric_error_t sqlite_settle(store_t *store, const store_writer_t *writer, uint64_t *batch);

#endif
