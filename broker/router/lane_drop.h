/* What a lane takes along when it is dropped. */
#ifndef BROKER_ROUTER_LANE_DROP_H
#define BROKER_ROUTER_LANE_DROP_H

#include "broker/router/lane_state.h"

/* The lane is foreign now: its shards lose their owners at once, and what the store actors, runners
 * and clients do about it changes nothing here any more. */
void lane_drop(router_t *router, uint32_t lane);
/* Frees some of the dropped lane's entities and messages, and tells their callers to ask its new
 * home. Returns whether nothing is left. */
bool lane_drop_some(router_t *router, uint32_t lane);
/* The batch that was under way when its lane was dropped is answered: it is stored, or certainly
 * not. Tells the callers of its messages. */
void lane_settle_orphans(router_t *router, const lane_batches_t *batches, bool stored);

#endif
