/* The appender actor: an appender (appender.h) on a thread of its own, which carries out orders in
 * the order in which it gets them. After an append it checks its lanes now and then.
 *
 * Threading: start and stop on the router's thread; see append_operation_t for who owns what when.
 */
#ifndef BROKER_STORE_APPENDER_ZMQ_H
#define BROKER_STORE_APPENDER_ZMQ_H

#include "broker/store/appender.h"
#include "broker/store/store_actor_zmq.h"

/* An append. The router's thread owns it until appender_actor_append, the appender until it comes
 * back in a report. */
typedef struct append_operation {
    append_part_t parts[LIMIT_LANES_MAX];
    size_t count;

    fabric_error_t error; /* see appender_append */
} append_operation_t;

typedef enum appender_report_kind {
    APPENDER_APPENDED,  /* `append` is over */
    APPENDER_FENCED,    /* `hold` is over */
    APPENDER_LOST,      /* the database has lost commits: stop */
    APPENDER_AVAILABLE, /* the database serves again */
    APPENDER_UNAVAILABLE
} appender_report_kind_t;

typedef struct appender_report {
    appender_report_kind_t kind;
    append_operation_t *append;
    store_hold_t hold;
    char *cause; /* UNAVAILABLE: malloc'ed; whoever gets the report frees it */
} appender_report_t;

typedef struct appender_actor {
    store_actor_t base;
    appender_t *appender;
    pipe_t *pipe; /* the appender's end, on its thread */
    uint64_t check_at_ms;
    bool lost; /* it was reported */
} appender_actor_t;

/* Connects, then starts the thread. What store_open answers, or NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t appender_actor_start(appender_actor_t *self,
                                                    const connection_config_t *config, int halt_fd,
                                                    store_clock_t clock, reason_t *reason);
void appender_actor_append(appender_actor_t *self, append_operation_t *operation);
/* See appender_begin. */
void appender_actor_begin(appender_actor_t *self, const store_hold_t *hold, uint64_t number,
                          uint64_t log_bytes);
/* See appender_end. */
void appender_actor_end(appender_actor_t *self, const store_hold_t *hold);
/* The next report; false: there is none. */
bool appender_actor_take(appender_actor_t *self, appender_report_t *report);
/* Ends the thread after the orders that it has; promptly when halt_fd is readable. Reports that
 * were not taken are dropped with what they own. */
void appender_actor_stop(appender_actor_t *self);

#endif
