/* The outboxes of the lanes: what handlers have told, until it has ended. */
#ifndef BROKER_ROUTER_OUTBOX_STATE_H
#define BROKER_ROUTER_OUTBOX_STATE_H

#include "broker/router/router.h"

/* The RESULT of the message is durable, with these outgoing messages, in this entry of its lane. */
void outbox_committed(router_t *router, const message_t *source, const journal_outgoing_t *told,
                      uint64_t entry);

#endif
