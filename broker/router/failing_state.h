/* What the router keeps of failing messages: see failing.h. failing.c owns the struct. */
#ifndef BROKER_ROUTER_FAILING_STATE_H
#define BROKER_ROUTER_FAILING_STATE_H

#include "broker/router/router.h"

enum { PARKED_LINES_MAX = 16 };

typedef struct router_failing {
    router_parked_t parked[PARKED_LINES_MAX]; /* for the log */
    uint32_t parked_count;
} router_failing_t;

#endif
