/* Damaged rows of the mailbox. */
#ifndef BROKER_ROUTER_DAMAGED_ROWS_H
#define BROKER_ROUTER_DAMAGED_ROWS_H

#include "broker/router/router.h"

/* Why a row of the mailbox is no message that can be handled; NULL: it is one. */
const char *row_fault(router_t *router, const store_message_t *stored);
/* Takes a message that was just loaded: it becomes a dead letter. */
void row_set_aside(router_t *router, message_t *message, const char *cause);
/* Notes it where the reply is none. */
bool stored_reply_is_sound(router_t *router, const store_message_t *stored,
                           const store_reply_t *reply);

#endif
