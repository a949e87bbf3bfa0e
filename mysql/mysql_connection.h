/* One connection to the database: opening, replacing it when idle for long, and ending transactions.
 *
 * Autocommit is off for the session, so that a batch costs no round trip for beginning its
 * transaction: the first statement begins it, and every operation ends it.
 *
 *     fabric_error_t error = mysql_begin(store);
 *     if (!error) { error = statements...; }
 *     return mysql_end(store, error);
 *
 * Threading: one thread at a time.
 */
#ifndef MYSQL_MYSQL_CONNECTION_H
#define MYSQL_MYSQL_CONNECTION_H

#include "mysql/mysql_statement.h"
#include "mysql/mysql_url.h"

typedef struct mysql_store {
    store_t base;
    mysql_session_t session;
    mysql_url_t url;
    char *password; /* NULL: none */
    uint32_t connect_timeout_ms;
    uint32_t io_timeout_ms;
    bool is_mariadb;
    size_t packet_bytes_max; /* largest statement that the server takes */
    uint64_t used_ms;        /* when the connection was last used, monotonic */
} mysql_store_t;

static inline mysql_store_t *mysql_store_of(store_t *store)
{
    return (mysql_store_t *)store;
}

/* To be called first by every operation: STORE_UNAVAILABLE when the connection is dead. */
FABRIC_MUST_USE fabric_error_t mysql_begin(mysql_store_t *store);
/* Ends the transaction of a changing operation: COMMIT when `error` is FABRIC_OK, else ROLLBACK.
 * Returns `error`, or what COMMIT said. */
FABRIC_MUST_USE fabric_error_t mysql_end(mysql_store_t *store, fabric_error_t error);
/* Ends the transaction of an operation that changed nothing; returns `error`. */
FABRIC_MUST_USE fabric_error_t mysql_end_read(mysql_store_t *store, fabric_error_t error);

#endif
