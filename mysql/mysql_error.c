/* Sorts MySQL's and MariaDB's error numbers into the few answers of the store port. */
#include "mysql/mysql_error.h"

#include <string.h>

/* The numbers are written out, because the two servers' headers name different subsets of them. */
static bool is_rolled_back(unsigned number)
{
    switch (number) {
    case 1020: /* record has changed since last read: MariaDB 11.8+ answers it like a deadlock */
    case 1205: /* lock wait timeout: only the statement was rolled back, the caller does the rest */
    case 1213: /* deadlock */
    case 1614: /* transaction branch rolled back on deadlock */
    case 3058: /* user-level lock deadlock */
    case 3101: /* transaction rolled back by a plugin during commit */
    case 3572: /* a lock that must not be waited for is taken */
        return true;
    default:
        return false;
    }
}

static bool is_connection_lost(unsigned number)
{
    if (number >= 2000 && number < 3000) {
        return true; /* all errors of the client library; after any of them the protocol's state is
                        not known */
    }
    switch (number) {
    case 1040: /* too many connections */
    case 1053: /* server shutdown in progress */
    case 1077: /* normal shutdown */
    case 1078: /* got signal */
    case 1079: /* shutdown complete */
    case 1152: /* aborted connection */
    case 1153: /* packet over max_allowed_packet: the server closes the connection */
    case 1156: /* packets out of order */
    case 1157: /* cannot uncompress */
    case 1158: /* error reading packets */
    case 1159: /* timeout reading packets */
    case 1160: /* error writing packets */
    case 1161: /* timeout writing packets */
    case 1184: /* aborted connection */
    case 1927: /* MariaDB: connection was killed */
    case 3032: /* server offline mode */
    case 3169: /* MySQL: session was killed */
    case 4031: /* MySQL: dropped for inactivity */
        return true;
    default:
        return false;
    }
}

/* The statement was refused before it changed anything: SQLSTATE 22 (data), 23 (integrity), 42
 * (syntax, privileges, missing tables), 44 and 45 (a view's check option, a user's trigger), and
 * numbers that come with the general state HY000. */
static bool is_refused(unsigned number, const char *sqlstate)
{
    static const char classes[][3] = {"22", "23", "42", "44", "45"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strncmp(sqlstate, classes[i], 2) == 0) {
            return true;
        }
    }
    switch (number) {
    case 1021: /* the disk is full */
    case 1036: /* the table is read-only */
    case 1041: /* out of memory */
    case 1099: /* the table is locked for reading */
    case 1114: /* the table is full */
    case 1290: /* the server runs with --read-only */
    case 1366: /* incorrect value */
    case 1792: /* a read-only transaction */
    case 1836: /* the server is in read-only mode */
    case 3819: /* MySQL: a check constraint is violated */
    case 4025: /* MariaDB: a check constraint is violated */
        return true;
    default:
        return false;
    }
}

mysql_verdict_t mysql_error_of_statement(unsigned number)
{
    fabric_error_t error = FABRIC_ERROR_STORE_UNAVAILABLE;
    if (is_rolled_back(number)) {
        error = FABRIC_ERROR_STORE_BUSY;
    } else if (number == 1062) { /* duplicate entry */
        error = FABRIC_ERROR_STORE_REJECTED;
    } else if (number == 1048) { /* a column cannot be null */
        error = FABRIC_ERROR_FENCED;
    }
    return (mysql_verdict_t){error, is_connection_lost(number)};
}

mysql_verdict_t mysql_error_of_commit(unsigned number, const char *sqlstate)
{
    bool is_certain = is_rolled_back(number) || is_refused(number, sqlstate);
    return is_certain && !is_connection_lost(number)
               ? mysql_error_of_statement(number)
               : (mysql_verdict_t){FABRIC_ERROR_STORE_UNKNOWN, true};
}
