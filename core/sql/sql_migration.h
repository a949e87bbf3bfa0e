/* The steps of a migration that decide something: founding the cluster, and what becomes of the
 * rows of schema versions 1 and 2.
 *
 * An adapter's steps, in this order:
 *  1. texts: `attempt` has its column `suspicions`, and `cluster` the columns of version 3, with
 *     lanes 0;
 *  2. sql_migrate_agree: the cluster is the one wanted, before anything of it is touched;
 *  3. texts: `broker` of the old layout is dropped, so that no broker of the old version can join
 *     any more; every row of `writer` names nobody, so that none can commit any more;
 *     `dead_letter` of the old layout becomes `old_dead_letter`; `primary_key` is dropped; the
 *     tables and views of the present version are made;
 *  4. sql_migrate_found: the cluster's row, lanes, marks and free slots, in one transaction;
 *  5. sql_migrate_rows: pending messages and dead letters, page by page;
 *  6. texts: `mailbox` is dropped, which ends step 5 for good, then the other old tables.
 * Of version 3 only `broker` differs: it gets its column `secret`, and all members have none.
 * Version 5 has primary keys in another order, and no table `scheduled`: texts of step 3 bring the
 * keys into theirs, and texts after step 5 move what belongs into `scheduled`.
 * A database without tables takes the same steps; where there is nothing old they do nothing.
 *
 * Threading: as core/store.h says.
 */
#ifndef CORE_SQL_SQL_MIGRATION_H
#define CORE_SQL_SQL_MIGRATION_H

#include "core/sql/sql.h"

fabric_error_t sql_migrate_agree(sql_store_t *store, const store_cluster_t *wanted,
                                 reason_t *reason);
fabric_error_t sql_migrate_found(sql_store_t *store, const store_cluster_t *wanted,
                                 reason_t *reason);
fabric_error_t sql_migrate_rows(sql_store_t *store, const store_cluster_t *wanted,
                                reason_t *reason);

#endif
