/* Answers to queries. */
#ifndef BROKER_ROUTER_STATUS_H
#define BROKER_ROUTER_STATUS_H

#include "broker/router/peer_state.h"

void query_received(router_t *router, peer_t *peer, const message_query_t *query);

#endif
