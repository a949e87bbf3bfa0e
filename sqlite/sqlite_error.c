/* Sorts SQLite's result codes into the few answers of the store port. */
#include "sqlite/sqlite_error.h"

#include <sqlite3.h>

fabric_error_t sqlite_error_of(int code, bool committing)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return FABRIC_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FABRIC_ERROR_STORE_BUSY;
    case SQLITE_CONSTRAINT:
        if (code == SQLITE_CONSTRAINT_NOTNULL) {
            return FABRIC_ERROR_FENCED;
        }
        return code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_UNIQUE ||
                       code == SQLITE_CONSTRAINT_ROWID
                   ? FABRIC_ERROR_STORE_REJECTED
                   : FABRIC_ERROR_STORE_UNAVAILABLE;
    case SQLITE_IOERR:
        return committing ? FABRIC_ERROR_STORE_UNKNOWN : FABRIC_ERROR_STORE_UNAVAILABLE;
    default:
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
}
