/* Clearing: what a clear does, from the operator's query to the end of everything that the entity
 * has. See clears_state.h.
 */
#ifndef BROKER_ROUTER_CLEARING_H
#define BROKER_ROUTER_CLEARING_H

#include "broker/router/checkpoint_state.h"
#include "broker/router/peer_state.h"

/* An operator, who is this peer's client, wants the entity to be cleared. OK: the query is answered
 * later. Otherwise an error, with a text that stays. */
FABRIC_MUST_USE fabric_error_t clear_begin(router_t *router, const peer_t *peer, uint64_t sequence,
                                           fabric_bytes_t type, fabric_bytes_t entity,
                                           const char **text);
/* Nothing of the entities that the batch clears is delivered while what follows from it happens:
 * what one of its clears ends may stand before it. */
void clears_hold(router_t *router, const lane_batch_t *batch);
/* The end of that. */
void clears_unhold(router_t *router, const lane_batch_t *batch);
/* The lane's clear with this id is durable. */
void clear_committed(router_t *router, uint32_t lane, request_id_t id);
/* A message that a durable clear has ended, and that is in no queue, ends. */
void clears_end_message(router_t *router, message_t *message);
/* Tells more callers of messages that only the store has; false: there are none. */
bool clears_go_on(router_t *router, uint32_t lane);
/* The slice is settled. */
void clears_settled(router_t *router, uint32_t lane, const checkpoint_slice_t *slice);
/* The lane's messages and backlogs are adopted. */
void clears_adopted(router_t *router, uint32_t lane);
/* The lane is dropped: operators are told that their clears may not be durable. */
void clears_drop(router_t *router, uint32_t lane);

#endif
