/* The coordinator actor: the coordinator's core (coordinator.h) on a thread of its own, with a
 * store connection of its own that it keeps as long as the broker runs.
 *
 * Threading: start and stop on the router's thread.
 */
#ifndef BROKER_COORDINATOR_COORDINATOR_ZMQ_H
#define BROKER_COORDINATOR_COORDINATOR_ZMQ_H

#include "broker/actor_zmq.h"
#include "broker/coordinator/coordinator.h"

typedef enum coordinator_operation_kind {
    COORDINATOR_ORDER, /* from the router; its types become the actor's */
    COORDINATOR_STOP
} coordinator_operation_kind_t;

/* A value for the actor. The actor sends values of coordinator_effect_t, which the receiver
 * owns. */
typedef struct coordinator_operation {
    coordinator_operation_kind_t kind;
    bool leave; /* STOP: remove the broker's row from the store at last */
    router_order_t order;
} coordinator_operation_t;

typedef struct coordinator_actor {
    actor_t actor;
    coordinator_config_t config;
    const store_driver_t *const *drivers;
    store_options_t options; /* exclusive */
    store_t *store;
    coordinator_t *core;
    bool available;
    bool leave;
} coordinator_actor_t;

/* Takes over the open store. NO_RESOURCES. What `drivers` and `options` point to must outlive the
 * actor. */
FABRIC_MUST_USE
fabric_error_t coordinator_actor_start(coordinator_actor_t *self, void *zmq,
                                       const coordinator_config_t *config,
                                       const store_driver_t *const *drivers,
                                       const store_options_t *options, store_t **store);
void coordinator_actor_send(coordinator_actor_t *self, const coordinator_operation_t *operation);
/* Ends the thread after the store call that it is in, removes the broker's row if `leave` is set,
 * and closes the store. */
void coordinator_actor_stop(coordinator_actor_t *self, bool leave);

#endif
