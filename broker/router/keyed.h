/* Requests with primary keys: a duplicate joins the message that has its key, or gets its reply. */
#ifndef BROKER_ROUTER_KEYED_H
#define BROKER_ROUTER_KEYED_H

#include "broker/router/client_state.h"

/* The request may be accepted, unless a message with its key stands. Where neither memory nor a
 * look-up tells yet, it is held and its key is looked up. Consumes the message. */
void keyed_arrived(router_t *router, client_t *client, message_t *message);
/* Whether a message with the request's key is known to stand. */
bool keyed_stands(router_t *router, const message_t *message);
/* The request is held for other reasons: its key is looked up meanwhile, where that is needed. */
void keyed_held(router_t *router, client_t *client, message_t *message);

#endif
