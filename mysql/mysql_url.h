/* The parts of a mysql:// URL. Pure; any thread. */
#ifndef MYSQL_MYSQL_URL_H
#define MYSQL_MYSQL_URL_H

#include "core/reason.h"

typedef struct mysql_url {
    char user[81];
    char host[256];
    unsigned port; /* 3306 unless given */
    char database[65];
    char socket[108]; /* empty: TCP */
} mysql_url_t;

/* mysql://user@host[:port]/database[?socket=/path]. INVALID_CONFIGURATION with a reason that never
 * repeats the URL, which may hold a password that somebody put there. */
FABRIC_MUST_USE fabric_error_t mysql_url_parse(const char *text, reason_t *reason,
                                               mysql_url_t *url);

#endif
