/* The checkpointer actor: a checkpointer (checkpointer.h) on a thread of its own, which runs the
 * operations of all lanes in the order in which it gets them.
 *
 * Threading: start and stop on the router's thread; see checkpoint_operation_t for who owns what
 * when.
 */
#ifndef BROKER_STORE_CHECKPOINTER_ZMQ_H
#define BROKER_STORE_CHECKPOINTER_ZMQ_H

#include "broker/store/checkpointer.h"
#include "broker/store/store_actor_zmq.h"

typedef enum checkpoint_kind {
    CHECKPOINT_SLICE,  /* `slice` is to be written */
    CHECKPOINT_PURGE,  /* below the number `checkpoint`, of a journal of `log_bytes` */
    CHECKPOINT_GIVE_UP /* the lane is to have no holder any more */
} checkpoint_kind_t;

/* Something that the checkpointer is to do. The router's thread owns it until
 * checkpointer_actor_send, the checkpointer until it comes back. */
typedef struct checkpoint_operation {
    checkpoint_kind_t kind;
    store_hold_t hold;
    const store_slice_t *slice; /* borrowed until it comes back */
    uint64_t checkpoint;
    uint64_t log_bytes;

    fabric_error_t error; /* see checkpointer_write, checkpointer_purge, checkpointer_give_up */
    store_purged_t purged;
} checkpoint_operation_t;

typedef struct checkpointer_actor {
    store_actor_t base;
    checkpointer_t checkpointer;
} checkpointer_actor_t;

/* Starts the thread; connects at the first operation. NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t checkpointer_actor_start(checkpointer_actor_t *self,
                                                        const connection_config_t *config,
                                                        const retention_t *retention, int halt_fd,
                                                        store_clock_t clock);
void checkpointer_actor_send(checkpointer_actor_t *self, checkpoint_operation_t *operation);
/* The next operation that is over, or NULL. */
checkpoint_operation_t *checkpointer_actor_take(checkpointer_actor_t *self);
/* Ends the thread after the operations that it has; promptly when halt_fd is readable. */
void checkpointer_actor_stop(checkpointer_actor_t *self);

#endif
