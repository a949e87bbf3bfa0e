/* The coming and going of runners. */
#ifndef BROKER_ROUTER_MEMBERSHIP_H
#define BROKER_ROUTER_MEMBERSHIP_H

#include "broker/router/runner_state.h"

/* The runner is connected, for the first time or again: what it owned has to be assigned again.
 * Frees a runner that leaves. */
void runner_connected(router_t *router, runner_t *runner);
/* The runner is not connected any more. Frees a runner that is not expected back. */
void runner_connection_ended(router_t *router, runner_t *runner);
/* The runner says goodbye. May free it. */
void goodbye_received(router_t *router, runner_t *runner);
/* The runner is gone: takes its shards from it and frees it. */
void runner_lost(router_t *router, runner_t *runner);
/* Frees a runner that owns no shard, and tells the coordinator nothing. */
void runner_forget(router_t *router, runner_t *runner);
/* The runner has given a shard back. May free a runner that leaves. */
void released_received(router_t *router, runner_t *runner, const message_released_t *released);
/* Deadlines of hand-overs and runners, and pings. */
void runners_tick(router_t *router);

#endif
