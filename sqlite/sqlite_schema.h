/* The SQLite file as a whole: its tables, their version, the cluster it belongs to. The functions
 * are the store port's (core/store.h). */
#ifndef SQLITE_SQLITE_SCHEMA_H
#define SQLITE_SQLITE_SCHEMA_H

#include "core/store.h"

fabric_error_t sqlite_schema_status(store_t *store, reason_t *reason, uint32_t *version);
fabric_error_t sqlite_schema_apply(store_t *store, const store_cluster_t *wanted, reason_t *reason);
fabric_error_t sqlite_check(store_t *store, const char *name, uint32_t shards_per_group,
                            reason_t *reason, store_cluster_t *cluster);
fabric_error_t sqlite_facts(store_t *store, store_facts_t *facts);

#endif
