/* The end of connections: what follows for whom a peer connected. */
#ifndef BROKER_ROUTER_CONNECTIONS_H
#define BROKER_ROUTER_CONNECTIONS_H

#include "broker/router/peer_state.h"

/* The client, runner or broker of the peer is not connected any more. The peer stays; those that it
 * carried as a broker are removed. */
void connection_end(router_t *router, peer_t *peer);
/* The carrier has ended this tunnelled peer. */
void connection_end_tunnelled(router_t *router, peer_t *carrier, uint64_t route);
/* Removes the peers whose time is over. Sends the others the maps that they want, and what has
 * become of calls whose deadlines are over. */
void connections_tick(router_t *router);

#endif
