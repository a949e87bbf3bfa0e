/* One incarnation of a broker: only for broker_zmq.c and broker_open.c. */
#ifndef BROKER_BROKER_STATE_H
#define BROKER_BROKER_STATE_H

#include "broker/broker_zmq.h"
#include "broker/router/router_zmq.h"

struct broker {
    const broker_config_t *config;
    const store_driver_t *const *drivers;
    durable_term_t *durable;
    incarnation_t incarnation;
    broker_secret_t secret; /* stored with the incarnation: see broker_proof.h */
    char holder[512];       /* for the message to a second broker on one SQLite file */
    store_options_t options;
    store_t *store; /* until the coordinator takes it over */
    store_cluster_t cluster;
    char router_endpoint[256], pub_endpoint[256]; /* as told to others */
    void *zmq;
    int claims[2]; /* on the files of both endpoints: see socket_file_zmq.h */
    int halt_fd;   /* readable: store actors give up */
    router_t *router;
    appender_actor_t appenders[LIMIT_LANES_MAX];
    checkpointer_actor_t checkpointer;
    loader_actor_t loader;
    loader_actor_t adopter; /* a loader for adoptions, which loads do not wait for */
    finder_actor_t finder;
    coordinator_actor_t coordinator;
    router_shell_t shell;
};

/* Opens the store, migrates it if that is allowed, and checks everything that must hold before the
 * broker joins: at last, that the store has not forgotten commits. */
FABRIC_MUST_USE
fabric_error_t broker_open_store(broker_t *broker, reason_t *reason);

#endif
