/* The finder actor: a finder (finder.h) on a thread of its own, which runs look-ups in the order in
 * which it gets them, those of all lanes.
 *
 * Threading: start and stop on the router's thread; see finder_operation_t for who owns what when.
 */
#ifndef BROKER_STORE_FINDER_ZMQ_H
#define BROKER_STORE_FINDER_ZMQ_H

#include "broker/actor_zmq.h"
#include "broker/store/finder.h"

/* The router's thread owns it until finder_actor_send, the finder until it comes back through the pipe. */
typedef struct finder_operation {
    uint32_t lane; /* of the router, whose look-up it is */
    request_id_t floor;
    const call_key_t *calls; /* borrowed until it comes back */
    size_t call_count;

    fabric_error_t error;
    finder_answer_t answer; /* OK: whoever gets it back owns the messages */
} finder_operation_t;

typedef struct finder_actor {
    actor_t actor;
    finder_t *finder;
    int halt_fd; /* readable: give up at once */
} finder_actor_t;

/* Starts the thread; does not connect. INTERNAL. `halt_fd` is borrowed. */
FABRIC_MUST_USE fabric_error_t finder_actor_start(finder_actor_t *self, void *zmq,
                                                  const finder_config_t *config, int halt_fd);
void finder_actor_send(finder_actor_t *self, finder_operation_t *operation);
/* The next operation that is over, or NULL. */
finder_operation_t *finder_actor_take(finder_actor_t *self);
/* Ends the thread after the look-ups that it has; promptly when halt_fd is readable. Answers that were
 * not taken are dropped. */
void finder_actor_stop(finder_actor_t *self);

#endif
