/* Early delivery: a message whose type allows it is delivered while its entry is still being
 * appended, so that message and result often share one entry.
 *
 * Such a message enters its entity's queue when it is accepted, if it can be delivered at once:
 * what comes before it in its entity is in the queue, too. Nobody hears of it before it is stored
 * (message_is_unstored). What follows from it is appended in its own entry or a later one: batch.c
 * sees to that. An entry that is not stored takes its lane along (lane_drop.c), and with it the
 * queue, and the worker ends the instance that has handled the message: DELIVER_EARLY tells it.
 *
 * Source of the idea: output gates (Cloudflare, "Durable Objects: easy, fast, correct", 2021).
 */
#ifndef BROKER_ROUTER_EARLY_H
#define BROKER_ROUTER_EARLY_H

#include "broker/router/type_state.h"

/* Whether the type, one of whose messages is delivered early, allows it for this one. */
bool early_is_allowed(const known_type_t *type, fabric_bytes_t tag);
/* Delivers the message, which was added to its lane's next batch, if it may be delivered now. */
void early_deliver(router_t *router, message_t *message);

#endif
