/* Prepared statements of one connection. Statements are prepared at their first use and kept;
 * buffers for parameters and rows are reused, so that the hot path does not allocate. The functions
 * are the engine's: core/sql/sql.h.
 *
 * Threading: a store belongs to one thread at a time.
 */
#ifndef MYSQL_MYSQL_STATEMENT_H
#define MYSQL_MYSQL_STATEMENT_H

#include "mysql/mysql_connection.h"

fabric_error_t mysql_prepare_one(sql_store_t *store, sql_statement_t statement);
fabric_error_t mysql_run(sql_store_t *store, sql_statement_t statement, size_t rows,
                         uint64_t *matched);
fabric_error_t mysql_start_query(sql_store_t *store, sql_statement_t statement, size_t rows);
fabric_error_t mysql_next_row(sql_store_t *store, bool *more);
void mysql_end_query(sql_store_t *store);

/* Frees all statements of a session whose connection is closed already. */
void mysql_statements_free(mysql_session_t *session);

#endif
