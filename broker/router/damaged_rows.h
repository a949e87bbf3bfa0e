/* Damaged messages of the store. */
#ifndef BROKER_ROUTER_DAMAGED_ROWS_H
#define BROKER_ROUTER_DAMAGED_ROWS_H

#include "broker/router/router.h"

/* Why a stored message of the lane cannot be handled; NULL: it is sound. */
const char *row_fault(router_t *router, uint32_t lane, const store_message_t *stored);
/* A message that was just loaded becomes a dead letter of the lane that it was loaded for. The
 * router owns it from now on. */
void row_set_aside(router_t *router, uint32_t lane, message_t *message, const char *cause);
/* Whether a stored reply is sound; notes the damage if it is not. */
bool stored_reply_is_sound(router_t *router, const store_message_t *stored,
                           const store_reply_t *reply);

#endif
