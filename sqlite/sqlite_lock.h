/* The broker's lock on a SQLite file: a lock on a file beside it, which says in words who holds it.
 */
#ifndef SQLITE_SQLITE_LOCK_H
#define SQLITE_SQLITE_LOCK_H

#include "core/reason.h"

/* Takes the lock of the database at `path` without waiting and writes `holder` and our process id
 * into the lock file. STORE_LOCKED with a reason that names the present holder, STORE_UNAVAILABLE
 * where the lock file cannot be opened. `descriptor` keeps the lock while it is open. */
FABRIC_MUST_USE fabric_error_t sqlite_lock_take(const char *path, const char *holder,
                                                reason_t *reason, int *descriptor);

/* Releases it. -1 is taken and left; else the descriptor is closed and set to -1. The file stays:
 * removing it would let two processes lock two files of one name. */
void sqlite_lock_release(int *descriptor);

#endif
