/* Handshakes of clients and workers. */
#ifndef BROKER_ROUTER_HELLO_H
#define BROKER_ROUTER_HELLO_H

#include "broker/router/peer_state.h"

void hello_received(router_t *router, peer_t *peer, const message_hello_t *hello);

#endif
