/* Prepared statements of one connection: parameters in, rows out. Statements are prepared at their
 * first use and kept; parameter and result buffers are reused, so that the hot path does not
 * allocate.
 *
 *     statement_begin(session);
 *     statement_put_u64(session, id);
 *     error = statement_run(session, STATEMENT_X, 1, NULL);            changes
 *
 *     error = statement_query(session, STATEMENT_Y, 1, &rows);         reads
 *     while (!error && (error = statement_next(rows, &more)) == FABRIC_OK && more) { ... }
 *     statement_end(rows)
 *
 * While rows are open, nothing else may be run on the session.
 *
 * Threading: a session belongs to one thread at a time.
 */
#ifndef MYSQL_MYSQL_STATEMENT_H
#define MYSQL_MYSQL_STATEMENT_H

#include <mysql.h>

#include "core/store.h"

typedef enum statement_id {
#define STATEMENT(name, prefix, row, suffix) STATEMENT_##name,
#include "mysql/mysql_statements.def"
#undef STATEMENT
    STATEMENT_COUNT
} statement_id_t;

/* The numbers of rows for which statements with rows exist: the powers of two up to the largest.
 * Larger statements than 128 rows were slower on the server (its caches), fewer sizes cost more round
 * trips. */
#define STATEMENT_SIZES    8
#define STATEMENT_ROWS_MAX 128
extern const size_t statement_sizes[STATEMENT_SIZES];
/* The largest of them that is at most `count` (which is not 0). */
size_t statement_size_within(size_t count);

typedef struct statement_rows statement_rows_t;

/* What lives and dies with one connection. */
typedef struct mysql_session {
    MYSQL *handle;
    store_t *store;      /* whose connection it is */
    bool lost;           /* must not be used any more */
    unsigned last_error; /* number of the latest failure */
    MYSQL_BIND *binds;   /* parameters of the statement being made */
    uint64_t *numbers;   /* the values that they point to */
    size_t parameter_count;
    statement_rows_t *statements[STATEMENT_COUNT][STATEMENT_SIZES];
} mysql_session_t;

void mysql_session_init(mysql_session_t *session, store_t *store, MYSQL *handle);
/* Drops the connection without waiting for the server. */
void mysql_session_close(mysql_session_t *session);

/* Notes the failure of a text statement other than COMMIT and returns its meaning. */
fabric_error_t mysql_session_failure(mysql_session_t *session);
/* Runs a statement that has neither parameters nor rows. */
FABRIC_MUST_USE fabric_error_t mysql_session_execute(mysql_session_t *session, const char *text);
FABRIC_MUST_USE fabric_error_t mysql_session_commit(mysql_session_t *session);

void statement_begin(mysql_session_t *session);
void statement_put_u64(mysql_session_t *session, uint64_t value);
void statement_put_i64(mysql_session_t *session, int64_t value);
/* The bytes must stay until the statement has run. */
void statement_put_bytes(mysql_session_t *session, fabric_bytes_t value);
void statement_put_null(mysql_session_t *session);
void statement_put_incarnation(mysql_session_t *session, const incarnation_t *value);

/* Runs a changing statement for `rows` rows (one of statement_sizes). `matched`, which may be NULL,
 * gets the number of rows found. STORE_BUSY, STORE_REJECTED, STORE_UNAVAILABLE. */
FABRIC_MUST_USE fabric_error_t statement_run(mysql_session_t *session, statement_id_t id,
                                             size_t rows, uint64_t *matched);
/* Starts a query; its rows stream from the server. */
FABRIC_MUST_USE fabric_error_t statement_query(mysql_session_t *session, statement_id_t id,
                                               size_t rows, statement_rows_t **result);
/* Steps to the next row: `more` says whether there is one. */
FABRIC_MUST_USE fabric_error_t statement_next(statement_rows_t *rows, bool *more);
/* Ends the query; unread rows are skipped. */
void statement_end(statement_rows_t *rows);

/* A column of the present row; valid until the next one. NULL is 0 or empty. */
uint64_t statement_u64(const statement_rows_t *rows, size_t column);
fabric_bytes_t statement_bytes(const statement_rows_t *rows, size_t column);
bool statement_is_null(const statement_rows_t *rows, size_t column);
/* False (and `value` zero) when the column does not hold 16 bytes. */
bool statement_incarnation(const statement_rows_t *rows, size_t column, incarnation_t *value);
/* Copies text, cutting it at capacity - 1. */
void statement_text(const statement_rows_t *rows, size_t column, char *text, size_t capacity);

/* For queries of one row: runs and reads it; `found` says whether there is one. The rows must be
 * ended also when none was found; on an error they need not be. */
FABRIC_MUST_USE fabric_error_t statement_query_one(mysql_session_t *session, statement_id_t id,
                                                   statement_rows_t **result, bool *found);

#endif
