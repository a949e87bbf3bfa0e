/* The end of connections: what follows for whom a peer connected. */
#ifndef BROKER_ROUTER_CONNECTIONS_H
#define BROKER_ROUTER_CONNECTIONS_H

#include "broker/router/peer_state.h"

/* Whoever the peer connected is not connected by it any more. The peer stays. */
void connection_end(router_t *router, peer_t *peer);
/* Removes the peers whose time is over, and serves the others: maps that they want, calls whose
 * deadlines are over. */
void connections_tick(router_t *router);

#endif
