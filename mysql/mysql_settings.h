/* The server's settings: what is judged before a broker may start, and what is told to people.
 *
 * Threading: a store belongs to one thread at a time.
 */
#ifndef MYSQL_MYSQL_SETTINGS_H
#define MYSQL_MYSQL_SETTINGS_H

#include "mysql/mysql_connection.h"

/* The engine's and the driver's functions: core/sql/sql.h, core/store.h. */
fabric_error_t mysql_check_settings(sql_store_t *store, reason_t *reason);
fabric_error_t mysql_facts(store_t *store, store_facts_t *facts);
fabric_error_t mysql_table_list(store_t *store, store_visit_table_fn *visit, void *context);
fabric_error_t mysql_schema_lock(sql_store_t *store);
fabric_error_t mysql_schema_unlock(sql_store_t *store, fabric_error_t error);

#endif
