/* The router's shell: the ROUTER and PUB sockets of a broker, and the loop that feeds the router's
 * core and carries out what the core wants, on the thread that calls router_shell_run.
 */
#ifndef BROKER_ROUTER_ROUTER_ZMQ_H
#define BROKER_ROUTER_ROUTER_ZMQ_H

#include "broker/coordinator/coordinator_zmq.h"
#include "broker/mesh/mesh_zmq.h"
#include "broker/router/router.h"
#include "broker/router/storage_zmq.h"
#include "broker/router/watch.h"
#include "core/log.h"

typedef struct router_shell {
    /* set by the caller */
    void *zmq;
    const char *listen; /* endpoints to bind */
    const char *publish;
    int stop_fd;       /* readable: drain and end; borrowed */
    uint32_t drain_ms; /* the longest time that draining and the last checkpoints may take */
    router_t *router;  /* borrowed */
    storage_t storage; /* what its caller sets is set */
    coordinator_actor_t *coordinator; /* started; borrowed */
    mesh_config_t mesh_config;
    void (*ready)(void *context); /* called once, when requests are served or redirected */
    void *ready_context;

    /* its own */
    void *router_socket, *pub_socket;
    char bound_router[256], bound_pub[256];
    uint64_t now_ms;
    bool blocked; /* a peer's pipe was full */
    bool draining;
    uint64_t drain_until_ms;
    bool farewell; /* the last lane was handed over, and clients were told goodbye */
    bool closing;  /* no other broker takes over */
    bool over;
    fabric_error_t end; /* why it is over */
    uint64_t heartbeat_ms, heartbeats;
    map_version_t map_version;
    mesh_shell_t mesh;
    router_watch_t watch;
} router_shell_t;

/* Opens and binds both sockets, and sets bound_router and bound_pub to their endpoints.
 * ADDRESS_IN_USE or INVALID_CONFIGURATION with a reason. */
FABRIC_MUST_USE fabric_error_t router_shell_bind(router_shell_t *shell, reason_t *reason);
/* Serves until stop_fd is readable or an operator asks for the end, the shards are released and the
 * lanes' rows are complete, or the time for that is up (OK), or until the broker must not go on:
 * FENCED, STORE_LOST. */
FABRIC_MUST_USE fabric_error_t router_shell_run(router_shell_t *shell);
/* Closes the sockets, letting out what waits in them for `linger_ms`. */
void router_shell_close(router_shell_t *shell, uint32_t linger_ms);

#endif
