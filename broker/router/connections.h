/* The end of connections: what follows for the client or runner that a peer connected. */
#ifndef BROKER_ROUTER_CONNECTIONS_H
#define BROKER_ROUTER_CONNECTIONS_H

#include "broker/router/peer_state.h"

/* The client or runner of the peer is not connected any more. The peer stays. */
void connection_end(router_t *router, peer_t *peer);
/* Removes the peers whose time is over. Sends the others the maps that they want, and what has
 * become of calls whose deadlines are over. */
void connections_tick(router_t *router);

#endif
