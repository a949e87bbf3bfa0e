/* What operations share that begin with a locking read of a lane's row.
 *
 * Threading: as core/store.h says.
 */
#ifndef CORE_SQL_SQL_LANE_H
#define CORE_SQL_SQL_LANE_H

#include "core/sql/sql.h"

/* Begins a transaction of a lane's holder. FENCED where the lane's row names somebody else or
 * another epoch; then, as after any error, the transaction has ended. */
FABRIC_MUST_USE fabric_error_t sql_begin_as_holder(sql_store_t *store, const store_hold_t *hold);

#endif
