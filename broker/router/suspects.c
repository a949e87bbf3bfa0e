/* Suspects: durable messages that were in flight to worker processes that died, and how the one whose handler kills them is told
 * from the many that were only there (docs/decisions/0007-suspects.md).
 *
 * Each death raises the suspicions of what was in flight, durably, before it is delivered again. A suspect is delivered in less
 * and less company, at last alone; a death then names it and uses up one of its attempts, which was counted before the delivery
 * began. Nothing waits for company for ever: who has run for a lease is held to be no culprit, and is not counted any more. That
 * is a new wave of deliveries.
 */
#include "broker/router/suspects.h"

#include "broker/router/dispatch.h"
#include "broker/router/outcome.h"
#include "broker/router/router_state.h"

enum {
    SUSPICIONS_FEW = 2,   /* from here on: with few others */
    SUSPICIONS_ALONE = 3, /* from here on: with none */
    COMPANY_MAX = 32      /* outstanding deliveries at a runner, one of few among them */
};

static bool wants_solitude(const message_t *message)
{
    return message->tally.suspicions >= SUSPICIONS_ALONE;
}

static bool wants_few(const message_t *message)
{
    return message->tally.suspicions >= SUSPICIONS_FEW;
}

/* ---- the tally ---- */

static void attempt_give_back(router_t *router, message_t *message)
{
    if (message->charged) {
        message->charged = false;
        message->tally.attempts--;
        batch_add_attempt(router, message);
    }
}

void attempt_use_up(router_t *router, message_t *message)
{
    if (!message->charged) {
        message->tally.attempts++;
        batch_add_attempt(router, message);
    }
    message->charged = false; /* else it was counted before it began */
}

void attempt_back_off(router_t *router, const message_t *message)
{
    entity_back_off(router, message->entity, message->tally.attempts);
}

void tally_committed(router_t *router, request_id_t id)
{
    message_t *message = NULL;
    HASH_FIND(by_id, router->messages_by_id, &id, sizeof id, message);
    if (!message) {
        return; /* it has ended meanwhile */
    }
    message->unrecorded--;
    if (message->unrecorded == 0 && message->state == MESSAGE_QUEUED) {
        entity_dispatch(router, message->entity);
    }
}

/* ---- the end of a suspect ---- */

/* Those that die only after others have joined them use up no attempts: their suspicions end them. */
static bool is_exhausted(const router_t *router, const message_t *message)
{
    uint64_t attempts_max = router->config.attempts_max;
    return (message->tally.attempts >= attempts_max && !message->charged) ||
           message->tally.suspicions >= SUSPICIONS_ALONE * (1 + attempts_max);
}

void suspects_give_up(router_t *router, entity_t *entity)
{
    message_t *message = entity->cursor;
    while (message && is_exhausted(router, message) && message->unrecorded == 0 &&
           entity->in_flight == 0) {
        message_give_up(router, message);
        message = entity->cursor;
    }
}

bool suspect_waits(const router_t *router, const entity_t *entity, const message_t *message)
{
    /* What runs before it in its entity would be its company, and what runs after it would share its suspicions for nothing. */
    return message->unrecorded > 0 ||
           (entity->in_flight > 0 &&
            (entity->solitary || wants_solitude(message) || is_exhausted(router, message)));
}

/* ---- company ---- */

static bool fits(const runner_t *runner, const message_t *message)
{
    if (runner->alone) {
        return runner->alone == message;
    }
    if (wants_solitude(message)) {
        return runner->company == 0;
    }
    return (runner->few == 0 && !wants_few(message)) || runner->company < COMPANY_MAX;
}

/* Everything outstanding has run for a lease: it is nobody's company from now on, and has no claim to be alone. */
static void next_wave(router_t *router, runner_t *runner)
{
    message_t *alone = runner->alone;
    runner->wave++;
    runner->company = runner->few = 0;
    runner->alone = NULL;
    if (alone) {
        attempt_give_back(router, alone);
    }
}

bool runner_admits(router_t *router, runner_t *runner, const message_t *message)
{
    if (runner->outstanding >= runner->window) {
        return false;
    }
    if (fits(runner, message)) {
        return true;
    }
    if (router->now_ms - runner->delivered_ms < router->config.lease_ms) {
        return false;
    }
    next_wave(router, runner);
    return true;
}

bool suspect_counted(router_t *router, runner_t *runner, message_t *message)
{
    if (!wants_solitude(message) || message->charged) {
        return true;
    }
    runner->alone = message;
    runner->delivered_ms = router->now_ms;
    message->charged = true;
    message->tally.attempts++;
    batch_add_attempt(router, message);
    return false;
}

void delivery_began(router_t *router, runner_t *runner, message_t *message)
{
    runner->outstanding++;
    runner->company++;
    runner->few += wants_few(message);
    runner->delivered_ms = router->now_ms;
    message->wave = runner->wave;
    message->entity->solitary = wants_solitude(message);
}

void delivery_ended(runner_t *runner, const message_t *message)
{
    runner->outstanding--;
    if (message->wave != runner->wave) {
        return;
    }
    runner->company--;
    runner->few -= wants_few(message);
    if (runner->alone == message) {
        runner->alone = NULL;
    }
}

/* ---- deliveries that end without a result ---- */

void runner_died(router_t *router, runner_t *runner)
{
    bool alone = runner->alone && runner->alone->state == MESSAGE_IN_FLIGHT;
    runner->died = true;
    runner->culprit = alone ? runner->alone : NULL;
    router->counters.runner_deaths++;
}

void suspect_not_taken(router_t *router, message_t *message)
{
    attempt_give_back(router, message);
}

void suspect_returned(router_t *router, const runner_t *runner, message_t *message)
{
    if (!runner->died || (runner->culprit && runner->culprit != message)) {
        attempt_give_back(router, message);
        return;
    }
    message->charged = false;
    message->tally.suspicions++;
    router->counters.suspicions++;
    batch_add_attempt(router, message);
    if (runner->culprit && !is_exhausted(router, message)) {
        attempt_back_off(router, message);
    }
}

void suspect_withdraw(router_t *router, const shard_t *shard)
{
    runner_t *runner = shard->owner;
    message_t *alone = runner->alone;
    if (alone && alone->state == MESSAGE_QUEUED && alone->entity->shard == shard) {
        runner->alone = NULL;
        attempt_give_back(router, alone);
    }
}
