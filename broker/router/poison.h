/* Poison messages: durable messages whose handlers end the worker's process. See
 * docs/decisions/0007-poison-messages.md.
 *
 * Rules:
 *  1. Where a supervisor reports the message on which a process crashed, the crash is counted for
 *     that message, and for no other.
 *  2. Where a process ends and nobody knows why, each durable message in flight there notes one
 *     unexplained end, in memory only.
 *  3. A message with two unexplained ends is delivered in isolation: its runner has no other
 *     message of the same round. If the process ends meanwhile, the message counts as the cause.
 *  4. A crash is durable before anything of the message's entity is delivered again. After
 *     crashes_max crashes the message becomes a dead letter.
 *  5. Nothing waits for isolation, or behind it, for more than a lease.
 */
#ifndef BROKER_ROUTER_POISON_H
#define BROKER_ROUTER_POISON_H

#include "broker/router/mailbox_state.h"

/* ---- counts ---- */

/* An attempt has ended in a defect. */
void poison_count_defect(router_t *router, message_t *message);
/* Whether the message is to become a dead letter. */
bool poison_is_exhausted(const router_t *router, const message_t *message);
/* How many attempts have failed: defects and crashes. */
uint32_t poison_failures(const message_t *message);

/* ---- deliveries ---- */

/* Whether the entity's next message has to wait for what is in flight before it. */
bool poison_waits(const router_t *router, const entity_t *entity, const message_t *message);
/* Whether the runner may be given the message now, by its window and by isolation. Begins a new
 * round where isolation alone forbids it, and the runner was given nothing for a lease. */
bool poison_admits(router_t *router, runner_t *runner, const message_t *message);
void poison_delivery_began(router_t *router, runner_t *runner, message_t *message);
void poison_delivery_ended(runner_t *runner, const message_t *message);

/* ---- ends of processes ---- */

/* A frame for the runner could not be sent, as its connection is gone. */
void poison_runner_unreachable(const router_t *router, runner_t *runner);
/* The runner did not come back in time after its connection broke, and nobody has reported why. To
 * be followed by runner_lost. */
void poison_runner_died(router_t *router, runner_t *runner);
/* The runner's process has ended on these messages; none: nobody knows on which. `text` says how
 * the process ended. To be followed by runner_lost. */
void poison_runner_crashed(router_t *router, runner_t *runner, const request_id_t *culprits,
                           size_t count, fabric_bytes_t text);
/* The same for a runner that was lost before the report came. */
void poison_lost_runner_crashed(router_t *router, incarnation_t runner,
                                const request_id_t *culprits, size_t count, fabric_bytes_t text);
/* Called by runner_lost, before the runner's messages come back. */
void poison_runner_lost(router_t *router, runner_t *runner);
/* A durable message that was in flight has come back from its owner. After a crash on the message,
 * its entity backs off. */
void poison_returned(router_t *router, const runner_t *runner, message_t *message);

#endif
