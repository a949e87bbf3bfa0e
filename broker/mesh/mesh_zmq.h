/* The mesh's shell: a DEALER to every other broker, and a SUB to the PUB of the broker that holds
 * the term. It is part of the router's loop, and carries frames between the mesh and the router.
 *
 * Threading: the router's thread.
 */
#ifndef BROKER_MESH_MESH_ZMQ_H
#define BROKER_MESH_MESH_ZMQ_H

#include <zmq.h>

#include "broker/coordinator/coordinator_zmq.h"
#include "broker/mesh/mesh.h"
#include "broker/router/router.h"
#include "core/connector_zmq.h"

/* A wake, the SUB, and the sockets of the links; a monitor for each socket. */
enum { MESH_POLL_MAX = 1 + 2 + 2 * MESH_LINKS_MAX };

typedef struct mesh_shell {
    /* set by the caller */
    void *zmq;
    router_t *router;                 /* borrowed; so is the next */
    coordinator_actor_t *coordinator; /* gets maps, and hears which brokers are reached */

    /* its own */
    mesh_t *mesh;
    int wake_fd;
    connector_host_t dealers, subscribers;
    connector_t connectors[MESH_LINKS_MAX];
    connector_t subscriber;
    char subscribed[LIMIT_ENDPOINT_BYTES_MAX + 1]; /* the subscriber's endpoint; empty: none */
    uint32_t polled[MESH_LINKS_MAX];               /* the links of the last poll items */
    uint32_t polled_count;
    bool subscriber_polled; /* it is among the last poll items */
} mesh_shell_t;

/* NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t mesh_shell_open(mesh_shell_t *shell, const mesh_config_t *config);
void mesh_shell_close(mesh_shell_t *shell);

/* Fills in what is to be polled now; returns how many items. */
uint32_t mesh_shell_poll_items(mesh_shell_t *shell, zmq_pollitem_t *items);
/* Takes what the same items have. */
void mesh_shell_take(mesh_shell_t *shell, const zmq_pollitem_t *items, uint64_t now_ms);
/* Takes over what clients relay, after router_receive. */
void mesh_shell_relay(mesh_shell_t *shell);
/* Lets time pass, and carries out everything that the mesh wants done. */
void mesh_shell_feed(mesh_shell_t *shell, uint64_t now_ms);
uint64_t mesh_shell_deadline(const mesh_shell_t *shell);

#endif
