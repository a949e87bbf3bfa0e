/* Poison messages: crashes are counted, and messages that may be poison are isolated. See
 * poison.h. */
#include "broker/router/poison.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/router/messages.h"
#include "broker/router/router_state.h"
#include "core/memory.h"

/* A message with so many unexplained ends is delivered in isolation. */
enum { UNEXPLAINED_MAX = 2 };

#define NO_REPORT "its connection broke, and nobody has reported how it ended"

/* ---- counts ---- */

uint32_t poison_failures(const message_t *message)
{
    return message->attempts + message->crashes;
}

/* Nothing of the message's entity is delivered before the counts are durable. */
static void record_counts(router_t *router, message_t *message)
{
    entity_hold(message->entity);
    batch_add_attempt(router, message);
}

void poison_count_defect(router_t *router, message_t *message)
{
    message->attempts++;
    message->unexplained = 0; /* it came through without ending the process */
    record_counts(router, message);
}

bool poison_is_exhausted(router_t *router, const message_t *message)
{
    if (poison_failures(message) == 0) {
        return false; /* as nearly always */
    }
    return message->attempts >= router->config.attempts_max ||
           message->crashes >= router->config.crashes_max ||
           type_options(router, message->stored.type).failure == FAILURE_SKIP;
}

void poison_forget(router_t *router, message_t *message)
{
    message->attempts = message->crashes = message->unexplained = 0;
    record_counts(router, message);
}

static void copy_cut(char *to, size_t size, fabric_bytes_t from)
{
    size_t count = from.size < size ? from.size : size - 1;
    if (count > 0) {
        memcpy(to, from.data, count);
    }
    to[count] = '\0';
}

static router_name_t name_of(fabric_bytes_t bytes)
{
    router_name_t name = {.size = (uint8_t)bytes.size};
    memcpy(name.bytes, bytes.data, name.size);
    return name;
}

/* Notes a crash for the log; `message` NULL: nobody knows on which. */
static void note_crash(router_t *router, incarnation_t runner, const message_t *message,
                       fabric_bytes_t text)
{
    router_poison_t *poison = &router->poison;
    if (poison->crash_count == CRASH_LINES_MAX) {
        return; /* the counters have it */
    }
    router_crash_t *crash = &poison->crashes[poison->crash_count++];
    *crash = (router_crash_t){.runner = runner};
    copy_cut(crash->text, sizeof crash->text, text);
    if (message) {
        crash->request_id = message->stored.id;
        crash->crashes = message->crashes;
        crash->type = name_of(message->stored.type);
        crash->entity = name_of(message->stored.entity);
        crash->tag = name_of(message->stored.tag);
    }
}

bool router_next_crash(router_t *router, router_crash_t *crash)
{
    router_poison_t *poison = &router->poison;
    if (poison->crash_count == 0) {
        return false;
    }
    *crash = poison->crashes[0];
    memmove(poison->crashes, poison->crashes + 1, --poison->crash_count * sizeof *crash);
    return true;
}

static void count_crash(router_t *router, incarnation_t runner, message_t *message,
                        fabric_bytes_t text)
{
    char ended[LIMIT_CRASH_TEXT_BYTES_MAX + 1];
    copy_cut(ended, sizeof ended, text);
    free(message->crash_text);
    message->crash_text = memory_copy_string(ended);
    message->crashes++;
    record_counts(router, message);
    router->counters.crashes++;
    note_crash(router, runner, message, text);
}

/* ---- deliveries ---- */

static bool needs_isolation(const message_t *message)
{
    return message->unexplained >= UNEXPLAINED_MAX;
}

/* Whether the last message in flight before this one runs alone; there is one in flight. Between
 * them may be cancelled ones, whose ends are being appended. */
static bool is_behind_alone(const message_t *message)
{
    const message_t *before = message->prev;
    while (before->state != MESSAGE_IN_FLIGHT) {
        before = before->prev;
    }
    return before->alone;
}

bool poison_waits(router_t *router, const entity_t *entity, const message_t *message)
{
    /* What is in flight before the message would share its isolation, or has to end before the
     * message becomes a dead letter, or is to run alone. */
    return entity->in_flight > 0 && (needs_isolation(message) || is_behind_alone(message) ||
                                     poison_is_exhausted(router, message));
}

/* The message that runs alone at the runner, as far as this home may count on it; NULL: none. The
 * worker keeps its turn for a lease after ALONE_GO has arrived. */
static message_t *isolated_message(const router_t *router, runner_t *runner)
{
    runner_poison_t *poison = &runner->poison;
    if (poison->isolated && router->now_ms - poison->isolated_ms >= router->config.lease_ms) {
        poison->isolated = NULL;
    }
    return poison->isolated;
}

bool poison_admits(const router_t *router, runner_t *runner)
{
    return runner->outstanding < runner->window && !isolated_message(router, runner);
}

void poison_delivery_began(runner_t *runner, message_t *message)
{
    runner_begin_delivery(runner);
    message->alone = needs_isolation(message);
}

void poison_delivery_ended(runner_t *runner, message_t *message)
{
    runner_end_delivery(runner);
    message->alone = false;
    if (runner->poison.isolated == message) {
        runner->poison.isolated = NULL;
    }
}

void poison_result_came(router_t *router, runner_t *runner, message_t *message)
{
    if (message->alone) {
        token_t token = message->entity->ownership->token;
        message_alone_over_t over = {message->stored.shard.value, token.home_epoch,
                                     token.owner_sequence, message->stored.id.value};
        message_put_alone_over(peer_writer(router, runner->peer), &over);
    }
    poison_delivery_ended(runner, message);
}

/* The message that is to run alone at the runner; NULL: it is not, or not any more. */
static message_t *find_alone(router_t *router, const runner_t *runner,
                             const message_alone_ready_t *ready)
{
    message_t *message = message_find(router, (request_id_t){ready->request_id});
    if (!message || !message->alone) {
        return NULL;
    }
    const ownership_t *ownership = message->entity->ownership;
    token_t token = {ready->home_epoch, ready->owner_sequence};
    bool owned = ownership->owner == runner && token_equal(ownership->token, token) &&
                 ownership->shard->id.value == ready->shard;
    return owned && ownership_dispatches(router, ownership) ? message : NULL;
}

void poison_worker_ready(router_t *router, runner_t *runner, const message_alone_ready_t *ready)
{
    message_t *message = find_alone(router, runner, ready);
    const message_t *isolated = isolated_message(router, runner);
    wire_writer_t *out = peer_writer(router, runner->peer);
    if (!message || (isolated && isolated != message)) {
        message_alone_over_t over = {ready->shard, ready->home_epoch, ready->owner_sequence,
                                     ready->request_id};
        message_put_alone_over(out, &over);
        return;
    }
    if (!isolated) { /* else the worker says so again */
        runner->poison.isolated = message;
        runner->poison.isolated_ms = router->now_ms;
    }
    message_alone_go_t go = {ready->shard, ready->home_epoch, ready->owner_sequence,
                             ready->request_id};
    message_put_alone_go(out, &go);
}

void poison_release_asked(const ownership_t *ownership)
{
    runner_poison_t *poison = &ownership->owner->poison;
    if (poison->isolated && poison->isolated->entity->ownership == ownership) {
        poison->isolated = NULL;
    }
}

/* ---- ends of processes ---- */

/* Numbers the loss of a runner. A runner with a supervisor is remembered, as a report of its end
 * may still come. */
static void number_loss(router_t *router, runner_t *runner)
{
    router_poison_t *poison = &router->poison;
    bool expected = runner->supervised && !runner->poison.explained;
    runner->poison.loss = ++poison->losses;
    poison->lost[poison->losses % LOST_RUNNERS_MAX] =
        expected ? runner->incarnation : (incarnation_t){{0}};
}

/* Nobody knows on which message the process has ended. */
static void end_without_culprit(router_t *router, runner_t *runner, fabric_bytes_t text)
{
    message_t *isolated = runner->poison.isolated;
    if (isolated) {
        isolated->loss = runner->poison.loss;
        count_crash(router, runner->incarnation, isolated, text);
    } else {
        runner->poison.unexplained = true;
        note_crash(router, runner->incarnation, NULL, text);
    }
}

void poison_runner_unreachable(const router_t *router, runner_t *runner)
{
    /* Frames leave in the turn in which they are filled: an ALONE_GO of this turn has never left.
     */
    if (isolated_message(router, runner) && runner->poison.isolated_ms == router->now_ms) {
        runner->poison.isolated = NULL;
    }
}

void poison_runner_died(router_t *router, runner_t *runner)
{
    router->counters.runner_deaths++;
    runner->poison.explained = runner->poison.isolated != NULL; /* it is counted now */
    number_loss(router, runner);
    end_without_culprit(router, runner, fabric_bytes_of(NO_REPORT));
}

/* NULL: the message has ended, or is volatile, or belongs to no entity, or its lane was dropped. */
static message_t *find_durable(router_t *router, request_id_t id)
{
    message_t *message = message_find(router, id);
    bool durable = message && message->entity && message->stored.flags & REQUEST_DURABLE;
    return durable && shard_is_home(message->entity->ownership->shard) ? message : NULL;
}

static bool is_in_flight_to(const message_t *message, const runner_t *runner)
{
    return message->state == MESSAGE_IN_FLIGHT && message->entity->ownership->owner == runner;
}

void poison_runner_crashed(router_t *router, runner_t *runner, const request_id_t *culprits,
                           size_t count, fabric_bytes_t text)
{
    runner->poison.explained = true;
    if (runner->peer) { /* else the connection had broken in time, or not */
        (void)isolated_message(router, runner);
    }
    router->counters.runner_deaths++;
    number_loss(router, runner);
    if (count == 0) {
        end_without_culprit(router, runner, text);
        return;
    }
    uint32_t loss = runner->poison.loss;
    bool counted = false;
    for (size_t i = 0; i < count; i++) {
        message_t *message = find_durable(router, culprits[i]);
        if (message && is_in_flight_to(message, runner) && message->loss != loss) {
            message->loss = loss; /* it is counted once, however often it is named */
            count_crash(router, runner->incarnation, message, text);
            counted = true;
        }
    }
    if (!counted) { /* it is volatile, has ended, or is in flight to another runner */
        note_crash(router, runner->incarnation, NULL, text);
    }
}

/* The number of a loss that has no report yet; 0: there is none. */
static uint32_t find_loss(const router_poison_t *poison, incarnation_t runner)
{
    for (uint32_t back = 0; back < LOST_RUNNERS_MAX && back < poison->losses; back++) {
        uint32_t number = poison->losses - back;
        if (incarnation_equal(poison->lost[number % LOST_RUNNERS_MAX], runner)) {
            return number;
        }
    }
    return 0;
}

void poison_lost_runner_crashed(router_t *router, incarnation_t runner,
                                const request_id_t *culprits, size_t count, fabric_bytes_t text)
{
    uint32_t loss = find_loss(&router->poison, runner);
    if (loss == 0) {
        return; /* the report came before, or this broker has not known the process */
    }
    router->poison.lost[loss % LOST_RUNNERS_MAX] = (incarnation_t){{0}};
    if (count == 0) {
        note_crash(router, runner, NULL, text);
    }
    for (size_t i = 0; i < count; i++) {
        message_t *message = find_durable(router, culprits[i]);
        bool pending =
            message && (message->state == MESSAGE_QUEUED || message->state == MESSAGE_IN_FLIGHT);
        if (pending && message->loss == loss) {
            message->loss = 0;
            message->unexplained -= message->unexplained > 0;
            /* Its entity does not back off: the wait for the report has taken long enough. */
            count_crash(router, runner, message, text);
        }
    }
}

void poison_runner_lost(router_t *router, runner_t *runner)
{
    if (runner->poison.loss == 0) {
        number_loss(router, runner);
    }
}

void poison_returned(router_t *router, const runner_t *runner, message_t *message)
{
    const runner_poison_t *poison = &runner->poison;
    if (poison->loss == 0) {
        return; /* the runner has not ended */
    }
    if (message->loss != poison->loss) {
        message->loss = poison->loss;
        message->unexplained += poison->unexplained;
    } else if (!poison_is_exhausted(router, message)) { /* its crash was counted already */
        entity_back_off(router, message->entity, poison_failures(message));
    }
}
