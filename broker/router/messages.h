/* All messages of the router that have a request id. */
#ifndef BROKER_ROUTER_MESSAGES_H
#define BROKER_ROUTER_MESSAGES_H

#include "broker/router/router.h"

/* NULL: there is no message with this id. */
message_t *message_find(router_t *router, request_id_t id);
void message_add(router_t *router, message_t *message);
void message_remove(router_t *router, message_t *message);
/* message_set_reply for a message that was added. */
void message_add_reply(router_t *router, message_t *message, const store_reply_t *reply);
void messages_destroy(router_t *router);

#endif
