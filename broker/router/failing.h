/* Failing messages: when a durable message that has failed is given up, and what becomes of it, by
 * the policy of its type.
 *
 * A message fails when its handler breaks (a defect, see result.c) or ends its process (a crash,
 * see poison.h). At its type's limit it becomes a dead letter; or its entity is parked: the message
 * keeps its place and is delivered no more, and those behind it wait. Its counts are stored, so
 * every later home finds the entity parked, too. To resume it is to set these counts to zero,
 * durably.
 */
#ifndef BROKER_ROUTER_FAILING_H
#define BROKER_ROUTER_FAILING_H

#include "broker/router/mailbox_state.h"

/* Messages at the entity's cursor that have failed as often as they may become dead letters, in
 * their place in the entity's order, or park the entity; not before this home knows their type. */
void failing_give_up(router_t *router, entity_t *entity);
/* Tells the caller of a message that has just been accepted, if its entity is parked. */
void failing_tell(router_t *router, const message_t *message);
/* An operator wants the entity's first message, whose id it returns, to be tried again. NOT_FOUND:
 * the entity is not parked here. */
FABRIC_MUST_USE fabric_error_t failing_resume(router_t *router, entity_t *entity, request_id_t *id);

#endif
