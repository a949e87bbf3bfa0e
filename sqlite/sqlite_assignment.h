/* What the coordinator writes: homes of shards, shard groups, entity types, runners. The functions
 * are the store port's (core/store.h); each changing one is a transaction that begins with the
 * coordinator's row. */
#ifndef SQLITE_SQLITE_ASSIGNMENT_H
#define SQLITE_SQLITE_ASSIGNMENT_H

#include "core/store.h"

fabric_error_t sqlite_take_homes(store_t *store, uint64_t term, incarnation_t holder,
                                 const incarnation_t *living, size_t living_count);
fabric_error_t sqlite_group_put(store_t *store, uint64_t term, incarnation_t holder,
                                fabric_bytes_t name, uint16_t *number);
fabric_error_t sqlite_type_put(store_t *store, uint64_t term, incarnation_t holder,
                               const store_type_t *type);
fabric_error_t sqlite_runner_put(store_t *store, uint64_t term, incarnation_t holder,
                                 const store_runner_t *runner);
fabric_error_t sqlite_runner_remove(store_t *store, uint64_t term, incarnation_t holder,
                                    incarnation_t runner);

fabric_error_t sqlite_group_list(store_t *store, store_visit_group_fn *visit, void *context);
fabric_error_t sqlite_type_list(store_t *store, store_visit_type_fn *visit, void *context);
fabric_error_t sqlite_runner_list(store_t *store, store_visit_runner_fn *visit, void *context);
fabric_error_t sqlite_shard_list(store_t *store, store_visit_shard_fn *visit, void *context);

#endif
