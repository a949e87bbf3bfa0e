/* What a lane takes along when it is dropped. */
#ifndef BROKER_ROUTER_LANE_DROP_H
#define BROKER_ROUTER_LANE_DROP_H

#include "broker/router/lane_state.h"

/* The lane is foreign now: its shards lose their owners, its entities and messages are freed, and
 * callers are told to ask its new home. */
void lane_drop_contents(router_t *router, uint32_t lane);
/* The batch that was under way when its lane was dropped is answered: it is stored, or certainly
 * not. Tells the callers of its messages. */
void lane_settle_orphans(router_t *router, const lane_batches_t *batches, bool stored);

#endif
