/* Dispatch: messages go from their entities' queues to the owners of the shards. */
#ifndef BROKER_ROUTER_DISPATCH_H
#define BROKER_ROUTER_DISPATCH_H

#include "broker/router/mailbox_state.h"

/* Delivers what may be delivered of the entity now. See entity_release. */
void entity_dispatch(router_t *router, entity_t *entity);
/* Delivers to the runner, which may have credit again, what waits for credit. */
void runner_dispatch_waiting(router_t *router, runner_t *runner);
/* Serves the entities whose pauses are over. */
void entities_wake(router_t *router);

#endif
