/* What the database's error numbers mean to the store port. Pure; any thread. */
#ifndef MYSQL_MYSQL_ERROR_H
#define MYSQL_MYSQL_ERROR_H

#include <stdbool.h>

#include <fabric/error.h>

typedef struct mysql_verdict {
    fabric_error_t error;
    bool connection_lost; /* the connection must not be used any more */
} mysql_verdict_t;

/* The error for a statement that failed before COMMIT was sent: STORE_BUSY, STORE_REJECTED or
 * STORE_UNAVAILABLE. */
mysql_verdict_t mysql_error_of_statement(unsigned number, const char *sqlstate);
/* The error for a failed COMMIT: STORE_BUSY where the server certainly rolled back, else
 * STORE_UNKNOWN, and then the connection must not be used any more. */
mysql_verdict_t mysql_error_of_commit(unsigned number);

/* Server error numbers that the adapter looks at itself. */
enum { MYSQL_DUPLICATE_ENTRY = 1062 };

#endif
