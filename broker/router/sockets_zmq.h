/* The broker's two public sockets: options, frames in and out.
 *
 * Threading: a socket belongs to one thread.
 */
#ifndef BROKER_ROUTER_SOCKETS_ZMQ_H
#define BROKER_ROUTER_SOCKETS_ZMQ_H

#include <zmq.h>

#include "core/reason.h"
#include "core/shard_map.h"

/* Opens a ROUTER or PUB with its limits and binds it; `bound` gets the endpoint with its real port.
 * ADDRESS_IN_USE, or INVALID_CONFIGURATION for an endpoint that cannot be bound. */
FABRIC_MUST_USE fabric_error_t router_sockets_bind(void *zmq, int type, const char *endpoint,
                                                   reason_t *reason, void **bound_socket,
                                                   char bound[256]);
void router_sockets_close(void **bound_socket, uint32_t linger_ms);

typedef enum received { RECEIVED_NOTHING, RECEIVED_FRAME, RECEIVED_JUNK } received_t;
/* Takes one message without waiting. With FRAME and JUNK, both parts are the caller's to close.
 * With JUNK the message did not have two parts, and `frame` is of no use. */
received_t router_sockets_receive(void *router, zmq_msg_t *routing_id, zmq_msg_t *frame);

typedef enum sent { SENT, SENT_BLOCKED, SENT_UNREACHABLE } sent_t;
/* Sends one frame to one peer without waiting. */
sent_t router_sockets_send(void *router, fabric_bytes_t routing_id, fabric_bytes_t frame);

/* One frame with one MAP message, or with one PING that carries the map's version. */
void router_sockets_publish_map(void *pub, fabric_bytes_t map);
void router_sockets_publish_ping(void *pub, uint64_t sequence, map_version_t version);

#endif
