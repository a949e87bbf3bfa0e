/* Forgetting an entity type: an operator's command drops its description, where no runner brings
 * the type and no message of it is pending.
 *
 * The command (cli/forget.c) asks the brokers in steps, under a token of its own:
 *   1. type_close, first at the holder of the term, then at all others. A broker accepts no message
 *      of the type from then on, and admits no runner that brings it, and says what it has of it.
 *   2. type_forget, at the holder, with what lanes were found empty, in which epochs. The holder
 *      looks for what only the store has, and drops the description under its term, unless a lane
 *      has got another epoch meanwhile: then another broker may have accepted something.
 *   3. type_open, at all brokers. Each reads what the store says of the type now.
 *
 * A lease is the time for each step. The holder was closed first, and begins no write when its
 * type has been closed for two leases. A write that has begun is settled a lease later. So no
 * broker opens the type by itself before it has been closed for four leases, and then not without
 * having read the type.
 */
#ifndef BROKER_ROUTER_FORGETTING_H
#define BROKER_ROUTER_FORGETTING_H

#include "broker/router/router_state.h"

/* Whether a query of this name is one of these steps. */
bool forgetting_knows(fabric_bytes_t name);
/* Carries the step out, or begins it; as operation_run. */
fabric_error_t forgetting_run(router_t *router, const message_query_t *query, wire_writer_t *answer,
                              const char **text);
/* Time has passed. */
void forgetting_tick(router_t *router);

#endif
