/* One connection to the database: opening, its settings, replacing it when idle for long, and
 * transactions. Autocommit is on: an append is one round trip.
 *
 * Threading: one thread at a time.
 */
#ifndef MYSQL_MYSQL_CONNECTION_H
#define MYSQL_MYSQL_CONNECTION_H

#include <mysql.h>

#include "core/sql/sql.h"
#include "mysql/mysql_error.h"
#include "mysql/mysql_url.h"

typedef struct mysql_prepared mysql_prepared_t;

/* What lives and dies with one connection. */
typedef struct mysql_session {
    MYSQL *handle;
    bool lost; /* must not be used any more */
    mysql_prepared_t *prepared[SQL_STATEMENT_COUNT][SQL_SIZES];
    mysql_prepared_t *open; /* whose rows are being read */
} mysql_session_t;

typedef struct mysql_store {
    sql_store_t sql;
    mysql_session_t session;
    MYSQL_BIND *binds; /* parameters of the statement being made */
    mysql_url_t url;
    char name[100]; /* "database 'x'" */
    char *password; /* NULL: none */
    uint32_t connect_timeout_ms;
    uint32_t io_timeout_ms;
    bool is_mariadb;
    uint64_t used_ms; /* when the connection was last used, monotonic */
} mysql_store_t;

static inline mysql_store_t *mysql_store_of(sql_store_t *store)
{
    return (mysql_store_t *)store;
}

/* mysql_store.c */
extern const sql_engine_t mysql_engine;

/* The store port's open and close. STORE_UNSAFE where the server does not take the session's
 * settings. */
fabric_error_t mysql_open(const store_options_t *options, reason_t *reason, store_t **store);
void mysql_close_store(store_t **store);

/* The engine's functions: core/sql/sql.h. */
fabric_error_t mysql_begin(sql_store_t *store, sql_transaction_t kind);
fabric_error_t mysql_commit_transaction(sql_store_t *store);
void mysql_roll_back(sql_store_t *store);
fabric_error_t mysql_execute(sql_store_t *store, const char *text);
fabric_error_t mysql_release(sql_store_t *store, bool *stands);
void *mysql_handle(sql_store_t *store);
const char *mysql_name(const sql_store_t *store);

/* Notes the database's words, and whether the connection is lost; returns the verdict's error. */
fabric_error_t mysql_note_failure(mysql_store_t *store, mysql_verdict_t verdict, unsigned number,
                                  const char *words);
/* Runs a text and hands its rows to `visit`, as texts, NULL for none. */
typedef void mysql_visit_row_fn(void *context, char **row);
fabric_error_t mysql_query_text(mysql_store_t *store, const char *text, mysql_visit_row_fn *visit,
                                void *context);

#endif
