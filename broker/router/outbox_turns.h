/* Sending what handlers have told: whose turn it is, where it goes, and what comes of the answers.
 * See outbox_state.h and sender.h. */
#ifndef BROKER_ROUTER_OUTBOX_TURNS_H
#define BROKER_ROUTER_OUTBOX_TURNS_H

#include "broker/router/router.h"

/* Sends what can be sent, and notes what has come to its end, for the lanes' next batches. Costs
 * nothing where nothing has happened since. */
void outboxes_run(router_t *router);
void outboxes_tick(router_t *router);
/* The next turn, where the last one had more to send than it might. false: it had not. */
bool outboxes_go_on(router_t *router);

#endif
