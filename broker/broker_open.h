/* What the files of the broker's assembly share: broker_zmq.c and broker_open.c only. */
#ifndef BROKER_BROKER_OPEN_H
#define BROKER_BROKER_OPEN_H

#include "broker/broker_zmq.h"
#include "broker/router/router_zmq.h"

struct broker {
    const broker_config_t *config;
    const store_driver_t *const *drivers;
    durable_term_t *durable;
    incarnation_t incarnation;
    char holder[512]; /* for the message to a second broker on one SQLite file */
    store_options_t options;
    store_t *store; /* until the coordinator has it */
    store_cluster_t cluster;
    char router_endpoint[256], pub_endpoint[256]; /* as told to others */
    void *zmq;
    int claims[2]; /* on the files of the endpoints that are listened on: see socket_file_zmq.h */
    int halt_fd;   /* readable: lanes give up */
    router_t *router;
    lane_actor_t lanes[LIMIT_LANES_MAX];
    finder_actor_t finder;
    coordinator_actor_t coordinator;
    router_shell_t shell;
};

/* Opens the store, migrates it where wanted, and checks everything that must hold before joining;
 * last that it has not gone back. */
FABRIC_MUST_USE fabric_error_t broker_open_store(broker_t *broker, reason_t *reason);

#endif
