/* Notes a protocol violation of a peer. */
#ifndef BROKER_ROUTER_PROTOCOL_VIOLATION_H
#define BROKER_ROUTER_PROTOCOL_VIOLATION_H

#include "broker/router/peer_state.h"

void violation_note(router_t *router, const peer_t *peer, fabric_error_t error, const char *text);

#endif
