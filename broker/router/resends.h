/* Requests that are held for look-ups. */
#ifndef BROKER_ROUTER_RESENDS_H
#define BROKER_ROUTER_RESENDS_H

#include "broker/router/lane_state.h"

/* The lane is dropped, and its shards are foreign: nothing is looked up in it any more. The clients
 * of such requests are told so, and what they sent afterwards goes on. */
void requests_send_away(router_t *router, router_lane_t *lane);

#endif
