/* The coordinator actor: the coordinator's core (coordinator.h) on a thread of its own, with a
 * store connection of its own that it keeps as long as the broker runs.
 *
 * Threading: start and stop on the router's thread.
 */
#ifndef BROKER_COORDINATOR_COORDINATOR_ZMQ_H
#define BROKER_COORDINATOR_COORDINATOR_ZMQ_H

#include "broker/actor.h"
#include "broker/coordinator/coordinator.h"

typedef enum coordinator_operation_kind {
    COORDINATOR_ORDER,       /* from the router; its types become the actor's */
    COORDINATOR_TAKE_MAP,    /* coordinator_map_received(bytes) */
    COORDINATOR_TAKE_OWNERS, /* coordinator_owners(broker, bytes) */
    COORDINATOR_STOP
} coordinator_operation_kind_t;

/* A value for the actor. The actor sends values of coordinator_effect_t, which the receiver
 * owns. */
typedef struct coordinator_operation {
    coordinator_operation_kind_t kind;
    bool leave; /* STOP: remove the broker's row from the store at last */
    router_order_t order;
    incarnation_t broker;
    uint8_t *bytes; /* becomes the actor's */
    size_t size;
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
fabric_error_t coordinator_actor_start(coordinator_actor_t *self,
                                       const coordinator_config_t *config,
                                       const store_driver_t *const *drivers,
                                       const store_options_t *options, store_t **store);
void coordinator_actor_send(coordinator_actor_t *self, const coordinator_operation_t *operation);
/* Hands over a map of the broker that holds the term (message MAP), or what another broker has told
 * of owners (message OWNERS); the bytes are copied. */
void coordinator_actor_take_map(coordinator_actor_t *self, fabric_bytes_t map);
void coordinator_actor_take_owners(coordinator_actor_t *self, incarnation_t broker,
                                   fabric_bytes_t owners);
/* Ends the thread after the store call that it is in, removes the broker's row if `leave` is set,
 * and closes the store. */
void coordinator_actor_stop(coordinator_actor_t *self, bool leave);

#endif
