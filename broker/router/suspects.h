/* Messages that were in flight to workers that died. */
#ifndef BROKER_ROUTER_SUSPECTS_H
#define BROKER_ROUTER_SUSPECTS_H

#include "broker/router/mailbox_state.h"

/* An attempt has ended in a defect. */
void attempt_use_up(router_t *router, message_t *message);
/* The message's entity waits, the longer the more attempts are used up. */
void attempt_back_off(router_t *router, const message_t *message);
/* A row with the message's tally is durable. */
void tally_committed(router_t *router, request_id_t id);
/* Ends the messages at the entity's cursor whose attempts are used up. */
void suspects_give_up(router_t *router, entity_t *entity);
/* Whether the entity's next message has to wait for a commit, or for what is in flight before it. */
bool suspect_waits(const router_t *router, const entity_t *entity, const message_t *message);
/* Whether the runner may be given the message now: credit, and the company that suspects may have. */
bool runner_admits(router_t *router, runner_t *runner, const message_t *message);
/* Whether an admitted message may be delivered at once. Else the runner is kept free for it until its attempt is durable. */
bool suspect_counted(router_t *router, runner_t *runner, message_t *message);
void delivery_began(router_t *router, runner_t *runner, message_t *message);
void delivery_ended(runner_t *runner, const message_t *message);
/* The runner is about to be lost because its process died. */
void runner_died(router_t *router, runner_t *runner);
/* A durable message in flight comes back: its owner is gone, or did not take it. */
void suspect_returned(router_t *router, const runner_t *runner, message_t *message);
void suspect_not_taken(router_t *router, message_t *message);
/* The shard's owner is kept free no more for a message that is not delivered yet. */
void suspect_withdraw(router_t *router, const shard_t *shard);

#endif
