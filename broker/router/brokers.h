/* Messages of other brokers. */
#ifndef BROKER_ROUTER_BROKERS_H
#define BROKER_ROUTER_BROKERS_H

#include "broker/router/peer_state.h"

/* UNKNOWN_KIND: the message is none that only brokers send. MALFORMED_MESSAGE. */
fabric_error_t broker_message_received(router_t *router, peer_t *peer, message_kind_t kind,
                                       wire_reader_t *body);

#endif
