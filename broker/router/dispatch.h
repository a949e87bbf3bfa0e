/* Dispatch: messages go from their entities' queues to the owners of the shards. */
#ifndef BROKER_ROUTER_DISPATCH_H
#define BROKER_ROUTER_DISPATCH_H

#include "broker/router/mailbox_state.h"

/* Delivers the entity's messages that may be delivered now. See entity_release. */
void entity_dispatch(router_t *router, entity_t *entity);
/* Delivers the messages that wait for the runner's credit, as far as it has credit again. */
void runner_dispatch_waiting(router_t *router, runner_t *runner);
/* Serves the entities whose pauses are over. */
void entities_wake(router_t *router);

#endif
