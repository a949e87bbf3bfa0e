/* What a file is, how safely it stores, and how much is in it. The store port's facts and
 * table_list, and a member of sql_engine_t. */
#ifndef SQLITE_SQLITE_FACTS_H
#define SQLITE_SQLITE_FACTS_H

#include "core/sql/sql.h"

fabric_error_t sqlite_facts(store_t *store, store_facts_t *facts);
fabric_error_t sqlite_table_list(store_t *store, store_visit_table_fn *visit, void *context);
fabric_error_t sqlite_check_settings(sql_store_t *store, reason_t *reason);

#endif
