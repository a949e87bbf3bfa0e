/* Prepared statements of one connection: parameters in, rows out. All functions are members of
 * sql_engine_t (core/sql/sql.h). A statement is prepared at its first use for a number of rows, and
 * kept by its connection.
 *
 * Numbers. SQLite's integers are signed; a uint64_t is kept as the int64_t with the same bits.
 */
#ifndef SQLITE_SQLITE_STATEMENT_H
#define SQLITE_SQLITE_STATEMENT_H

#include "core/sql/sql.h"

fabric_error_t sqlite_run(sql_store_t *store, sql_statement_t statement, size_t rows,
                          uint64_t *matched);
fabric_error_t sqlite_query(sql_store_t *store, sql_statement_t statement, size_t rows);
fabric_error_t sqlite_next(sql_store_t *store, bool *more);
void sqlite_close(sql_store_t *store);

#endif
