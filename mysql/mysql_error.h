/* Sorts server and client error numbers into the answers of the store port. Pure; any thread. */
#ifndef MYSQL_MYSQL_ERROR_H
#define MYSQL_MYSQL_ERROR_H

#include <stdbool.h>

#include <fabric/error.h>

typedef struct mysql_verdict {
    fabric_error_t error;
    bool connection_lost; /* nothing more goes over this connection */
} mysql_verdict_t;

/* Of a statement that cannot have been committed: STORE_BUSY, STORE_REJECTED for a duplicate key,
 * STORE_UNAVAILABLE. */
mysql_verdict_t mysql_error_of_statement(unsigned number);
/* Of a COMMIT, and of a statement that commits itself: besides those STORE_UNKNOWN, for every
 * failure that is not known to roll back. */
mysql_verdict_t mysql_error_of_commit(unsigned number, const char *sqlstate);

#endif
