/* Homes and owners: which shards are ours, which runner owns each, and how a shard passes from one runner to the next. The
 * coordinator says what is desired; this file alone carries it out, so that "one live instance" is decided in one thread.
 */
#include <utlist.h>

#include "broker/router/admission.h"
#include "broker/router/damaged_rows.h"
#include "broker/router/result.h"
#include "broker/router/router_state.h"
#include "broker/router/suspects.h"
#include "broker/router/unserved.h"
#include "core/crash_point.h"

enum { RELEASE_SLACK_MS = 500 };

/* ---- the state machine of a shard ---- */

static const bool allowed[5][5] = {
    /* to:              FOREIGN LOADING UNOWNED OWNED RELEASING */
    [SHARD_FOREIGN] = {false, true, false, false, false},
    [SHARD_LOADING] = {false, false, true, false, false},
    [SHARD_UNOWNED] = {false, false, false, true, false},
    [SHARD_OWNED] = {false, false, true, false, true},
    [SHARD_RELEASING] = {false, false, true, false, false},
};

static void shard_set(router_t *router, shard_t *shard, shard_state_t state)
{
    if (!allowed[shard->state][state]) {
        abort();
    }
    if (shard->state == SHARD_RELEASING) {
        DL_DELETE(router->releasing, shard);
    }
    if (state == SHARD_RELEASING) {
        DL_APPEND(router->releasing, shard);
    }
    shard->state = state;
}

shard_t *shard_find(router_t *router, shard_id_t id)
{
    uint16_t group = shard_id_group(id);
    uint16_t number = shard_id_number(id);
    if (group == 0 || group > LIMIT_GROUPS_MAX || number == 0 ||
        number > router->config.shards_per_group || !router->groups[group - 1]) {
        return NULL;
    }
    return &router->groups[group - 1][number - 1];
}

bool shard_serves(const router_t *router, const shard_t *shard)
{
    return shard->state != SHARD_FOREIGN && shard->state != SHARD_LOADING &&
           router->now_ms < router->lease_until_ms;
}

runner_t *runner_find(router_t *router, incarnation_t incarnation)
{
    runner_t *runner = NULL;
    HASH_FIND(by_incarnation, router->runners, &incarnation, sizeof incarnation, runner);
    return runner;
}

/* ---- orders for the coordinator ---- */

void order_add(router_t *router, const router_order_t *order)
{
    order_item_t *item = calloc(1, sizeof *item);
    if (!item) {
        abort();
    }
    item->order = *order;
    if (router->orders) {
        router->orders_last->next = item;
    } else {
        router->orders = item;
    }
    router->orders_last = item;
}

bool router_next_order(router_t *router, router_order_t *order)
{
    order_item_t *item = router->orders;
    if (!item) {
        return false;
    }
    router->orders = item->next;
    *order = item->order;
    free(item);
    return true;
}

static void report_owner(router_t *router, const shard_t *shard)
{
    router_order_t order = {
        .kind = ROUTER_OWNER_CHANGED, .shard = shard->id, .token = shard->token};
    if (shard->owner) {
        order.runner = shard->owner->incarnation;
    }
    order_add(router, &order);
}

/* ---- homes ---- */

static void add_group(router_t *router, uint16_t group)
{
    shard_t *shards = calloc(router->config.shards_per_group, sizeof *shards);
    if (!shards) {
        abort();
    }
    for (uint32_t i = 0; i < router->config.shards_per_group; i++) {
        shards[i].id = shard_id_make(group, (uint16_t)(i + 1));
    }
    router->groups[group - 1] = shards;
}

void router_homes(router_t *router, const store_shard_t *shards, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t group = shard_id_group(shards[i].shard);
        if (group == 0 || group > LIMIT_GROUPS_MAX) {
            continue;
        }
        if (!router->groups[group - 1]) {
            add_group(router, group);
        }
        shard_t *shard = shard_find(router, shards[i].shard);
        if (shard && shard->state == SHARD_FOREIGN) {
            shard->token = (token_t){shards[i].home_epoch, 0};
            shard_set(router, shard, SHARD_LOADING);
            router->loading = true;
        }
    }
}

/* Whether a row is to be kept: not one of a shard that somebody else loads, nor one that was read twice. */
static bool is_ours_to_load(router_t *router, const message_t *message)
{
    const store_message_t *stored = &message->stored;
    const shard_t *shard = shard_find(router, stored->shard);
    message_t *present = NULL;
    HASH_FIND(by_id, router->messages_by_id, &stored->id, sizeof stored->id, present);
    return !present && (!shard || shard->state == SHARD_LOADING);
}

static void message_loaded(router_t *router, message_t *message)
{
    shard_t *shard = shard_find(router, message->stored.shard);
    entity_t *entity =
        entity_find_or_add(router, shard, message->stored.type, message->stored.entity);
    message->entity = entity;
    message->deliveries = 1; /* perhaps: the next delivery may not be the first */
    if (message->tally.attempts > router->config.attempts_max) {
        message->tally.attempts = router->config.attempts_max; /* more than there can have been */
    }
    entity->pending++;
    router->counters.pending++;
    snowflake_lift(&router->generator, message->stored.id);
    message_add(router, message);
    unended_add(router, message);
    entity_append(router, entity, message);
}

static void shard_reconcile(router_t *router, shard_t *shard);

void router_high_id(router_t *router, uint64_t high_id)
{
    snowflake_lift(&router->generator, (request_id_t){high_id});
    router->high_id_stored = high_id > router->high_id_stored ? high_id : router->high_id_stored;
}

void router_loaded(router_t *router, message_t *messages, uint64_t high_id, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router_high_id(router, high_id);
    while (messages) {
        message_t *message = messages;
        messages = message->chain;
        message->chain = NULL;
        if (!is_ours_to_load(router, message)) {
            message_destroy(&message);
            continue;
        }
        const char *cause = row_fault(router, &message->stored);
        if (cause) {
            row_set_aside(router, message, cause);
        } else {
            message_loaded(router, message);
        }
    }
    router->loading = false;
    for (uint16_t group = 0; group < LIMIT_GROUPS_MAX; group++) {
        for (uint32_t i = 0; router->groups[group] && i < router->config.shards_per_group; i++) {
            shard_t *shard = &router->groups[group][i];
            if (shard->state == SHARD_LOADING) {
                shard_set(router, shard, SHARD_UNOWNED);
                report_owner(router, shard);
                shard_reconcile(router, shard);
            }
        }
    }
}

/* ---- owners ---- */

static void assign(router_t *router, shard_t *shard, runner_t *runner)
{
    shard->token.owner_sequence++;
    shard->owner = runner;
    runner->shards++;
    shard_set(router, shard, SHARD_OWNED);
    message_assign_t message = {.shard = shard->id.value,
                                .home_epoch = shard->token.home_epoch,
                                .owner_sequence = shard->token.owner_sequence};
    message_put_assign(peer_writer(router, runner->peer), &message);
    report_owner(router, shard);
    entity_t *entity, *next;
    DL_FOREACH_SAFE(shard->entities, entity, next)
    {
        entity_dispatch(router, entity);
        entity_release(router, entity);
    }
}

static void release(router_t *router, shard_t *shard)
{
    uint32_t grace_ms = router->config.release_grace_ms;
    suspect_withdraw(router, shard);
    shard_set(router, shard, SHARD_RELEASING);
    shard->release_deadline_ms = router->now_ms + grace_ms + RELEASE_SLACK_MS;
    message_release_t message = {.shard = shard->id.value,
                                 .home_epoch = shard->token.home_epoch,
                                 .owner_sequence = shard->token.owner_sequence,
                                 .grace_ms = grace_ms};
    message_put_release(peer_writer(router, shard->owner->peer), &message);
    CRASH_POINT(RELEASE_ASKED);
}

/* What was in flight is queued again, at its place; a volatile message is never sent twice. */
static void take_back(router_t *router, entity_t *entity)
{
    message_t *message, *next;
    DL_FOREACH_SAFE(entity->queue, message, next)
    {
        if (message->state != MESSAGE_IN_FLIGHT) {
            continue;
        }
        runner_t *runner = entity->shard->owner;
        delivery_ended(runner, message);
        if (message->stored.flags & REQUEST_DURABLE) {
            entity_requeue(router, message);
            suspect_returned(router, runner, message);
            continue;
        }
        message_lose(router, message, "the entity's runner was lost");
    }
    entity->draining = false;
    entity->activation = ++entity->shard->activations;
    entity_owner_gone(router, entity);
}

/* The owner is no more, or has given the shard back: what it still sends is refused. */
static void owner_gone(router_t *router, shard_t *shard)
{
    runner_t *runner = shard->owner;
    runner_forget_waiting(runner, shard);
    suspect_withdraw(router, shard);
    entity_t *entity, *next;
    DL_FOREACH_SAFE(shard->entities, entity, next)
    {
        take_back(router, entity);
        entity_release(router, entity);
    }
    runner->shards--;
    shard->token.owner_sequence++;
    shard_set(router, shard, SHARD_UNOWNED);
    shard->owner = NULL;
    report_owner(router, shard);
}

/* Volatile messages do not wait for an owner: their callers are told at once. */
void entity_refuse_volatile(router_t *router, entity_t *entity, fabric_error_t error,
                            const char *text)
{
    message_t *message, *next;
    DL_FOREACH_SAFE(entity->queue, message, next)
    {
        if (entity->queued_volatile == 0) {
            return;
        }
        if (message->state != MESSAGE_QUEUED || message->stored.flags & REQUEST_DURABLE) {
            continue;
        }
        message_reject(router, message, error, NOT_TAKEN_DELAY_MS, text);
        message_forget(router, message);
    }
}

static void refuse_volatiles(router_t *router, shard_t *shard)
{
    entity_t *entity, *next;
    DL_FOREACH_SAFE(shard->entities, entity, next)
    {
        if (entity->queued_volatile > 0) {
            char text[UNSERVED_TEXT_SIZE];
            fabric_bytes_t type = fabric_bytes(entity->name + 1, entity->name[0]);
            fabric_error_t error = unserved_reason(router, shard, type, text);
            entity_refuse_volatile(router, entity, error, text);
        }
        entity_release(router, entity);
    }
}

static void shard_reconcile(router_t *router, shard_t *shard)
{
    runner_t *desired = runner_find(router, shard->desired);
    const runner_t *owner = shard->owner;
    /* An owner that is missing comes back or dies within its grace, which takes its shards from it: until then nobody knows
     * whether it died with what was in flight. */
    if (shard->state == SHARD_OWNED && owner && owner != desired && owner->peer) {
        release(router, shard);
    }
    if (shard->state == SHARD_UNOWNED && desired && desired->state == RUNNER_JOINED) {
        assign(router, shard, desired);
    }
    if (shard->state == SHARD_UNOWNED) {
        refuse_volatiles(router, shard);
    }
}

void router_desire(router_t *router, shard_id_t id, incarnation_t runner, uint64_t now_ms)
{
    router->now_ms = now_ms;
    shard_t *shard = shard_find(router, id);
    if (shard && !router->draining) {
        shard->desired = runner;
        shard_reconcile(router, shard);
    }
}

/* ---- the coming and going of runners ---- */

/* Calls `act` for every shard that the runner owns. */
static void for_each_owned(router_t *router, runner_t *runner,
                           void (*act)(router_t *router, shard_t *shard))
{
    for (uint16_t group = 0; group < LIMIT_GROUPS_MAX && runner->shards > 0; group++) {
        for (uint32_t i = 0; router->groups[group] && i < router->config.shards_per_group; i++) {
            if (router->groups[group][i].owner == runner) {
                act(router, &router->groups[group][i]);
            }
        }
    }
}

static void gone_and_reconcile(router_t *router, shard_t *shard)
{
    owner_gone(router, shard);
    shard_reconcile(router, shard);
}

void runner_free(runner_t *runner)
{
    wire_writer_destroy(&runner->types);
    free(runner);
}

static void runner_farewell(router_t *router, runner_t *runner)
{
    message_bye_t bye = {.reason = fabric_bytes_of("all shards are given back")};
    message_put_bye(peer_writer(router, runner->peer), &bye);
    runner->peer->runner = NULL;
    HASH_DELETE(by_incarnation, router->runners, runner);
    runner_free(runner);
}

void released_received(router_t *router, runner_t *runner, const message_released_t *released)
{
    shard_t *shard = released->shard <= UINT32_MAX
                         ? shard_find(router, (shard_id_t){(uint32_t)released->shard})
                         : NULL;
    token_t token = {released->home_epoch, released->owner_sequence};
    if (!shard || shard->owner != runner || !token_equal(token, shard->token)) {
        router->counters.unexpected++; /* of an owner that was deposed meanwhile */
        return;
    }
    CRASH_POINT(RELEASE_RECEIVED);
    gone_and_reconcile(router, shard);
    if (runner->state == RUNNER_LEAVING && runner->shards == 0) {
        runner_farewell(router, runner);
    }
}

static void report_left(router_t *router, const runner_t *runner)
{
    order_add(router, &(router_order_t){.kind = ROUTER_RUNNER_LEFT, .runner = runner->incarnation});
}

void runner_lost(router_t *router, runner_t *runner)
{
    bool admitted = runner->state == RUNNER_JOINED || runner->state == RUNNER_MISSING;
    HASH_DELETE(by_incarnation, router->runners, runner); /* so that it is desired no more */
    for_each_owned(router, runner, gone_and_reconcile);
    if (admitted) {
        report_left(router, runner);
    }
    if (runner->peer) {
        runner->peer->runner = NULL;
    }
    runner_free(runner);
}

void runner_rejoined(router_t *router, runner_t *runner)
{
    for (uint16_t group = 0; group < LIMIT_GROUPS_MAX; group++) {
        for (uint32_t i = 0; router->groups[group] && i < router->config.shards_per_group; i++) {
            shard_t *shard = &router->groups[group][i];
            if (shard->owner == runner) {
                gone_and_reconcile(router, shard);
            } else if (incarnation_equal(shard->desired, runner->incarnation)) {
                shard_reconcile(router, shard); /* wanted while it was away */
            }
        }
    }
    if (runner->state == RUNNER_LEAVING) {
        runner_farewell(router, runner);
    }
}

void runner_leaves(router_t *router, runner_t *runner)
{
    if (runner->state == RUNNER_ADMITTING) {
        runner_farewell(router, runner);
        return;
    }
    if (runner->state != RUNNER_JOINED) {
        return; /* said again: it is leaving already */
    }
    runner->state = RUNNER_LEAVING;
    report_left(router, runner);
    if (runner->shards == 0) {
        runner_farewell(router, runner);
    }
}

void runners_tick(router_t *router)
{
    runner_t *runner, *next;
    HASH_ITER(by_incarnation, router->runners, runner, next)
    {
        if (runner->state == RUNNER_MISSING) {
            if (router->now_ms >= runner->missing_until_ms) {
                if (runner->unreachable) {
                    runner_died(router, runner);
                }
                runner_lost(router, runner);
            }
            continue;
        }
        if (runner->state == RUNNER_ADMITTING) {
            continue;
        }
        if (router->now_ms - runner->peer->heard_ms > router->config.lease_ms) {
            runner_lost(router, runner); /* whatever it still sends is answered with WHO */
        } else if (router->now_ms >= runner->next_ping_ms) {
            map_version_t version = shard_map_version(router->map);
            message_ping_t ping = {.map_term = version.term, .map_sequence = version.sequence};
            message_put_ping(peer_writer(router, runner->peer), &ping);
            runner->next_ping_ms = router->now_ms + router->config.worker_heartbeat_ms;
            runner_dispatch_waiting(router, runner);
        }
    }
}

void shards_tick(router_t *router)
{
    shard_t *shard, *next;
    DL_FOREACH_SAFE(router->releasing, shard, next)
    {
        if (router->now_ms >= shard->release_deadline_ms) {
            runner_t *runner = shard->owner;
            gone_and_reconcile(router, shard);
            if (runner->state == RUNNER_LEAVING && runner->shards == 0 && runner->peer) {
                runner_farewell(router, runner);
            }
        }
    }
}

/* ---- an orderly stop ---- */

void router_drain(router_t *router, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router->draining = true;
    for (uint16_t group = 0; group < LIMIT_GROUPS_MAX; group++) {
        for (uint32_t i = 0; router->groups[group] && i < router->config.shards_per_group; i++) {
            shard_t *shard = &router->groups[group][i];
            shard->desired = (incarnation_t){{0}};
            if (shard->state == SHARD_OWNED) {
                shard_reconcile(router, shard);
            }
        }
    }
}

bool router_drained(const router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const router_lane_t *lane = &router->lanes[i];
        if (lane->running || lane->next.message_count || lane->next.reply_count ||
            lane->next.attempt_count) {
            return false;
        }
    }
    const runner_t *runner;
    for (runner = router->runners; runner; runner = runner->by_incarnation.next) {
        if (runner->shards > 0) {
            return false;
        }
    }
    return true;
}
