/* Giving up a lane while its holder lives. */
#ifndef BROKER_ROUTER_HAND_OVER_H
#define BROKER_ROUTER_HAND_OVER_H

#include "broker/router/router.h"

/* The map has changed: lanes that are to have another holder begin to leave, and the coordinator
 * reads the lanes that this broker is to adopt. */
void hand_overs_follow_map(router_t *router);
/* Time has passed. */
void hand_overs_tick(router_t *router);
/* Whether this broker holds no lane that it could give up. */
bool hand_overs_are_done(const router_t *router);

#endif
