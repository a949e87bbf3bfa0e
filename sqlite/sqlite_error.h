/* What SQLite's result codes mean to the store port. Pure; any thread. */
#ifndef SQLITE_SQLITE_ERROR_H
#define SQLITE_SQLITE_ERROR_H

#include <stdbool.h>

#include <fabric/error.h>

/* OK, STORE_BUSY, STORE_REJECTED for a duplicate key, and STORE_UNAVAILABLE for everything else.
 * Where the operating system failed while a commit was under way, STORE_UNKNOWN: the log's last
 * page may have reached the disk although its sync failed, so that a later recovery finds the
 * transaction whole. */
fabric_error_t sqlite_error_of(int code, bool committing);

#endif
