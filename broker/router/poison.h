/* Poison messages: durable messages whose handlers end the worker's process. See
 * docs/decisions/0007-poison-messages.md.
 *
 * Rules:
 *  1. Where a supervisor reports the message on which a process crashed, the crash is counted for
 *     that message, and for no other.
 *  2. Where a process ends and nobody knows why, each durable message in flight there notes one
 *     unexplained end, in memory only.
 *  3. A message with two unexplained ends is delivered in isolation: it is delivered alone, and the
 *     worker, which has one turn for all homes, says when it has nothing else at hand. From then
 *     on, until the result comes, for a lease at most, and as long as the ownership is not asked
 *     back, the end of the process counts as a crash of the message.
 *  4. A crash is durable before anything of the message's entity is delivered again. After
 *     crashes_max crashes the message becomes a dead letter.
 *  5. This home delivers nothing else to the runner meanwhile. What it has delivered before waits
 *     in the worker.
 */
#ifndef BROKER_ROUTER_POISON_H
#define BROKER_ROUTER_POISON_H

#include "broker/router/mailbox_state.h"

/* ---- counts ---- */

/* An attempt has ended in a defect. */
void poison_count_defect(router_t *router, message_t *message);
/* Whether the message has failed as often as its type lets it: see failing.h. */
bool poison_is_exhausted(router_t *router, const message_t *message);
/* The message's failures are forgotten, durably: see failing.h. */
void poison_forget(router_t *router, message_t *message);
/* How many attempts have failed: defects and crashes. */
uint32_t poison_failures(const message_t *message);

/* ---- deliveries ---- */

/* Whether the entity's next message has to wait for what is in flight before it. */
bool poison_waits(router_t *router, const entity_t *entity, const message_t *message);
/* Whether the runner may be given a message now, by its window and by isolation. */
bool poison_admits(const router_t *router, runner_t *runner);
void poison_delivery_began(runner_t *runner, message_t *message);
void poison_delivery_ended(runner_t *runner, message_t *message);
/* The same, as the result has come: a worker that has kept its turn for the message is told. */
void poison_result_came(router_t *router, runner_t *runner, message_t *message);
/* ALONE_READY: the worker has nothing at hand and waits for leave to handle the message. */
void poison_worker_ready(router_t *router, runner_t *runner, const message_alone_ready_t *ready);
/* The owner is asked to give the ownership back: its message runs alone no more. */
void poison_release_asked(const ownership_t *ownership);

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
