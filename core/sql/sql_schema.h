/* What there is of the schema, for its operations and for the migration.
 *
 * Threading: as core/store.h says.
 */
#ifndef CORE_SQL_SQL_SCHEMA_H
#define CORE_SQL_SQL_SCHEMA_H

#include "core/sql/sql.h"

typedef struct schema_found {
    uint32_t version; /* 0: no table, or a migration from nothing that broke off */
    size_t tables;    /* of the present version's */
    bool has_mailbox; /* tables of versions 1 and 2 */
} schema_found_t;

/* Looks at the tables that bear our names. FOREIGN_DATABASE where one is not ours. To be called
 * between sql_begin and sql_end, as the following are. */
FABRIC_MUST_USE fabric_error_t schema_look(sql_store_t *store, reason_t *reason,
                                           schema_found_t *found);
/* `found` gets whether the cluster has been founded. */
FABRIC_MUST_USE fabric_error_t schema_read_cluster(sql_store_t *store, store_cluster_t *cluster,
                                                   bool *found);
/* FOREIGN_DATABASE and SHARDS_MISMATCH where the cluster is not the one wanted. What is empty or 0
 * in `wanted` is not given; a cluster whose lanes are 0 has not got them yet. */
FABRIC_MUST_USE fabric_error_t schema_agree(const store_cluster_t *cluster,
                                            const store_cluster_t *wanted, reason_t *reason);
/* The cluster's row is missing: FOREIGN_DATABASE. */
fabric_error_t schema_cluster_is_missing(const sql_store_t *store, reason_t *reason);

#endif
