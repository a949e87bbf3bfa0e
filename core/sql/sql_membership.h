/* What operations share that begin with the coordinator's row or the cluster's.
 *
 * Threading: as core/store.h says.
 */
#ifndef CORE_SQL_SQL_MEMBERSHIP_H
#define CORE_SQL_SQL_MEMBERSHIP_H

#include "core/sql/sql.h"

/* Begins a transaction of the coordinator. FENCED where its row has another term or holder; then,
 * as after any error, the transaction has ended. */
FABRIC_MUST_USE fabric_error_t sql_begin_as_coordinator(sql_store_t *store, uint64_t term,
                                                        const incarnation_t *holder);
/* Reads one number; `found` says whether there was a row. */
FABRIC_MUST_USE fabric_error_t sql_query_number(sql_store_t *store, sql_statement_t statement,
                                                bool *found, uint64_t *number);

#endif
