/* What the router remembers of runners whose processes ended: see poison.h. poison.c owns the
 * structs. */
#ifndef BROKER_ROUTER_POISON_STATE_H
#define BROKER_ROUTER_POISON_STATE_H

#include "broker/router/router.h"

enum { LOST_RUNNERS_MAX = 64, CRASH_LINES_MAX = 16 };

/* A runner's part. */
typedef struct runner_poison {
    bool explained; /* the report of its end is here, or is not needed any more */
    /* Its process has ended, nobody knows on which message, and no message was isolated. */
    bool unexplained;
    uint32_t loss; /* its number among the lost runners; 0: it is not lost */

    message_t *isolated;  /* the message that runs alone there, or NULL */
    uint64_t isolated_ms; /* since then: ALONE_GO was said */
} runner_poison_t;

/* The router's part. */
typedef struct router_poison {
    uint32_t losses; /* numbered so far */
    /* The last lost runners, by number modulo size; none: no report is expected. */
    incarnation_t lost[LOST_RUNNERS_MAX];
    router_crash_t crashes[CRASH_LINES_MAX]; /* for the log */
    size_t crash_count;
} router_poison_t;

#endif
