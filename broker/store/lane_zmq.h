/* The lane actor: a lane (lane.h) on a thread of its own, which runs operations in the order in
 * which it gets them.
 *
 * Threading: start and stop on the router's thread; see lane_operation_t for who owns what when.
 */
#ifndef BROKER_STORE_LANE_ZMQ_H
#define BROKER_STORE_LANE_ZMQ_H

#include "broker/actor_zmq.h"
#include "broker/store/lane.h"

typedef enum lane_operation_kind { LANE_COMMIT, LANE_LOAD, LANE_STOP } lane_operation_kind_t;

/* The router's thread owns it until lane_actor_send, the lane until it comes back in a report. */
typedef struct lane_operation {
    lane_operation_kind_t kind;
    const store_batch_t *batch; /* COMMIT: borrowed until the report */
    request_id_t from;          /* LOAD */

    fabric_error_t error;
    lane_rejections_t rejected; /* COMMIT: whoever gets the report clears it */
    message_t *messages;        /* LOAD: a chain that whoever gets the report owns */
    uint64_t high_id;           /* LOAD */
} lane_operation_t;

/* From the lane: an operation that is over, or with NULL whether the database serves. */
typedef struct lane_report {
    lane_operation_t *operation;
    bool available;
    char *cause; /* why it does not serve, malloc'ed: whoever gets the report frees it; or NULL */
} lane_report_t;

typedef struct lane_actor {
    actor_t actor;
    lane_t *lane;
    int halt_fd;     /* readable: give up at once */
    uint32_t number; /* of the lane */
    void *pipe;      /* the lane's end, on its thread */
} lane_actor_t;

/* Connects, then starts the thread. What store_open answers, or NO_RESOURCES. `halt_fd` is borrowed. */
FABRIC_MUST_USE fabric_error_t lane_actor_start(lane_actor_t *self, void *zmq,
                                                const lane_config_t *config, int halt_fd,
                                                reason_t *reason);
void lane_actor_send(lane_actor_t *self, lane_operation_t *operation);
/* Ends the thread after the operations that it has; promptly when halt_fd is readable. Reports that
 * were not taken are dropped with what they own. */
void lane_actor_stop(lane_actor_t *self);

#endif
