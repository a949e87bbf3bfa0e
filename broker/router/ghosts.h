/* Ghosts: callers wait for a message that only the store has. A ghost stands for such a message
 * among all messages: it has the message's id, flags and callers, and a hash of its contents. When
 * the message comes back into memory, it gets the callers.
 */
#ifndef BROKER_ROUTER_GHOSTS_H
#define BROKER_ROUTER_GHOSTS_H

#include "broker/router/router.h"

/* A message leaves memory, and nobody finds it by its id any more: a ghost takes its callers over,
 * if it has any. */
void ghost_leave(router_t *router, message_t *message);
/* A ghost without callers, of a message that a look-up has found; `contents` is
 * journal_contents_hash of it. */
message_t *ghost_add(router_t *router, const store_message_t *stored, uint64_t contents);
/* The row of the ghost's message lies where this record of it says. */
void ghost_set_place(message_t *ghost, const message_t *message);
/* The message comes back into memory: it gets the callers of its ghost, if there is one, and the
 * ghost goes. */
void ghost_join(router_t *router, message_t *message);
/* Whether the message, or ghost, has these contents. */
bool message_has_contents(const message_t *message, const store_message_t *contents);

#endif
