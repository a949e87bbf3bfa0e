/* Shards: which of them have this broker as their home, which runner owns each, and how a shard
 * passes from one runner to the next. The coordinator says which owner it desires. Only this file
 * carries that out, so that "one live instance" is decided in one thread.
 */
#include <utlist.h>

#include "broker/router/dispatch.h"
#include "broker/router/orders.h"
#include "broker/router/outcome.h"
#include "broker/router/router_state.h"
#include "broker/router/poison.h"
#include "broker/router/unserved.h"
#include "core/crash_point.h"
#include "core/memory.h"

enum { RELEASE_SLACK_MS = 500 };

static const state_description_t states[] = {
    [SHARD_FOREIGN] = {"foreign", STATE_BIT(SHARD_UNOWNED)},
    [SHARD_UNOWNED] = {"unowned", STATE_BIT(SHARD_OWNED) | STATE_BIT(SHARD_FOREIGN)},
    [SHARD_OWNED] = {"owned", STATE_BIT(SHARD_UNOWNED) | STATE_BIT(SHARD_RELEASING)},
    [SHARD_RELEASING] = {"releasing", STATE_BIT(SHARD_UNOWNED)},
};
static const state_machine_t machine = {"shard", states, sizeof states / sizeof *states};

static void set_state(shard_t *shard, shard_state_t state)
{
    state_machine_check(&machine, shard->state, state);
    shard->state = state;
}

/* ---- the table ---- */

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

/* The shard after this one, of all that this broker knows; the first one after NULL. */
static shard_t *next_shard(router_t *router, const shard_t *shard)
{
    uint32_t group = 0;
    if (shard) {
        group = shard_id_group(shard->id) - 1u;
        uint32_t number = shard_id_number(shard->id); /* the index of the one after it */
        if (number < router->config.shards_per_group) {
            return &router->groups[group][number];
        }
        group++;
    }
    while (group < LIMIT_GROUPS_MAX && !router->groups[group]) {
        group++;
    }
    return group < LIMIT_GROUPS_MAX ? router->groups[group] : NULL;
}

shard_t *shards_next_of_lane(router_t *router, uint32_t lane, const shard_t *shard)
{
    shard_t *next = next_shard(router, shard);
    while (next && lane_number(router, next->id) != lane) {
        next = next_shard(router, next);
    }
    return next;
}

bool shard_serves(const router_t *router, const shard_t *shard)
{
    return lane_of((router_t *)router, shard->id)->state == LANE_HOME && router_is_leased(router);
}

bool shard_dispatches(const router_t *router, const shard_t *shard)
{
    return shard->state == SHARD_OWNED && shard_serves(router, shard);
}

bool shard_waits_for_store(router_t *router, shard_id_t shard)
{
    const router_lane_t *lane = lane_of(router, shard);
    bool serves = lane->batches.available && request_ids_are_reserved(router, (request_id_t){0});
    return lane->state != LANE_FOREIGN && !serves && !router_other_home(router, shard);
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

void shards_destroy(router_t *router)
{
    for (uint32_t i = 0; i < LIMIT_GROUPS_MAX; i++) {
        free(router->groups[i]);
    }
    timers_destroy(&router->releases);
}

/* ---- a shard gets an owner ---- */

static void assign(router_t *router, shard_t *shard, runner_t *runner)
{
    shard->token.owner_sequence++;
    shard->owner = runner;
    runner_gain_shard(runner);
    set_state(shard, SHARD_OWNED);
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
    overflow_shard_owned(router, shard);
}

static void ask_back(router_t *router, shard_t *shard)
{
    uint32_t grace_ms = router->config.release_grace_ms;
    set_state(shard, SHARD_RELEASING);
    timers_set(&router->releases, &shard->release, router->now_ms + grace_ms + RELEASE_SLACK_MS);
    message_release_t message = {.shard = shard->id.value,
                                 .home_epoch = shard->token.home_epoch,
                                 .owner_sequence = shard->token.owner_sequence,
                                 .grace_ms = grace_ms};
    message_put_release(peer_writer(router, shard->owner->peer), &message);
    CRASH_POINT(RELEASE_ASKED);
}

/* Volatile messages do not wait for an owner: their callers are told at once. */
static void refuse_volatile_messages(router_t *router, shard_t *shard)
{
    entity_t *entity, *next;
    DL_FOREACH_SAFE(shard->entities, entity, next)
    {
        if (entity->queued_volatile > 0) {
            char text[UNSERVED_TEXT_SIZE];
            fabric_error_t error = unserved_reason(router, shard, entity_type(entity), text);
            entity_refuse_volatile(router, entity, error, text);
        }
        entity_release(router, entity);
    }
}

/* Takes the next step, if there is one now, to give the shard its desired owner. */
static void reconcile(router_t *router, shard_t *shard)
{
    runner_t *desired = runner_find(router, shard->desired);
    const runner_t *owner = shard->owner;
    /* A missing owner comes back, or dies within its grace and loses its shards. Until then it is
     * unknown whether the owner died with its messages in flight. */
    if (shard->state == SHARD_OWNED && owner && owner != desired && owner->peer) {
        ask_back(router, shard);
    }
    if (shard->state == SHARD_UNOWNED && desired && desired->state == RUNNER_JOINED) {
        assign(router, shard, desired);
    }
    if (shard->state == SHARD_UNOWNED) {
        refuse_volatile_messages(router, shard);
    }
}

void router_desire(router_t *router, shard_id_t id, incarnation_t runner, uint64_t now_ms)
{
    router->now_ms = now_ms;
    shard_t *shard = shard_find(router, id);
    if (shard && !router->closing) {
        shard->desired = runner;
        reconcile(router, shard);
    }
}

void shards_release(router_t *router)
{
    for (shard_t *shard = NULL; (shard = next_shard(router, shard));) {
        shard->desired = (incarnation_t){{0}};
        if (shard->state == SHARD_OWNED) {
            reconcile(router, shard);
        }
    }
}

/* ---- a shard loses its owner ---- */

/* Messages in flight are queued again, at their places; a volatile message is never sent twice. */
static void take_back_messages(router_t *router, entity_t *entity)
{
    message_t *message, *next;
    entity_stop_waiting(entity);
    entity_owner_gone(router, entity);
    DL_FOREACH_SAFE(entity->queue, message, next)
    {
        if (message->state != MESSAGE_IN_FLIGHT) {
            continue;
        }
        runner_t *runner = entity->shard->owner;
        poison_delivery_ended(runner, message);
        if (message->stored.flags & REQUEST_DURABLE) {
            entity_requeue(message);
            poison_returned(router, runner, message);
        } else {
            message_lose(router, message, "the entity's runner was lost");
        }
    }
    entity_restart(router, entity);
}

static void unassign(router_t *router, shard_t *shard)
{
    runner_t *runner = shard->owner;
    entity_t *entity, *next;
    DL_FOREACH_SAFE(shard->entities, entity, next)
    {
        take_back_messages(router, entity);
        entity_release(router, entity);
    }
    timers_cancel(&router->releases, &shard->release);
    runner_lose_shard(runner);
    shard->token.owner_sequence++;
    set_state(shard, SHARD_UNOWNED);
    shard->owner = NULL;
    report_owner(router, shard);
}

void shard_take_back(router_t *router, shard_t *shard)
{
    unassign(router, shard);
    reconcile(router, shard);
}

void shards_take_back(router_t *router, runner_t *runner)
{
    for (shard_t *shard = NULL; runner->shards > 0 && (shard = next_shard(router, shard));) {
        if (shard->owner == runner) {
            shard_take_back(router, shard);
        }
    }
}

void shards_assign_again(router_t *router, const runner_t *runner)
{
    for (shard_t *shard = NULL; (shard = next_shard(router, shard));) {
        if (shard->owner == runner) {
            shard_take_back(router, shard);
        } else if (incarnation_equal(shard->desired, runner->incarnation)) {
            reconcile(router, shard); /* the coordinator wanted it while the runner was away */
        }
    }
}

void shards_tick(router_t *router)
{
    timer_entry_t *release;
    while ((release = timers_take_due(&router->releases, router->now_ms))) {
        shard_take_back(router, TIMER_OWNER(release, shard_t, release));
    }
}

/* ---- shards follow their lanes ---- */

static void serve(router_t *router, shard_t *shard)
{
    shard->token = (token_t){lane_of(router, shard->id)->epoch, 0};
    set_state(shard, SHARD_UNOWNED);
    reconcile(router, shard);
}

void shards_add_group(router_t *router, uint16_t group)
{
    if (group == 0 || group > LIMIT_GROUPS_MAX || router->groups[group - 1]) {
        return;
    }
    shard_t *shards = memory_allocate_zeroed(router->config.shards_per_group, sizeof *shards);
    router->groups[group - 1] = shards;
    for (uint32_t i = 0; i < router->config.shards_per_group; i++) {
        shards[i].id = shard_id_make(group, (uint16_t)(i + 1));
        if (lane_of(router, shards[i].id)->state == LANE_HOME) {
            serve(router, &shards[i]);
        }
    }
}

void shards_serve(router_t *router, uint32_t lane)
{
    shard_t *shard = NULL;
    while ((shard = shards_next_of_lane(router, lane, shard))) {
        serve(router, shard);
    }
}

/* The owner may not know yet that this broker lost the shard. */
static void dismiss_owner(router_t *router, shard_t *shard)
{
    runner_t *runner = shard->owner;
    if (runner->peer) {
        message_release_t message = {.shard = shard->id.value,
                                     .home_epoch = shard->token.home_epoch,
                                     .owner_sequence = shard->token.owner_sequence};
        message_put_release(peer_writer(router, runner->peer), &message);
    }
    timers_cancel(&router->releases, &shard->release);
    runner_lose_shard(runner);
    set_state(shard, SHARD_UNOWNED);
    shard->owner = NULL;
}

void shard_drop(router_t *router, shard_t *shard)
{
    if (shard->owner) {
        dismiss_owner(router, shard);
    }
    if (shard->state != SHARD_FOREIGN) { /* it is foreign until its lane is adopted */
        set_state(shard, SHARD_FOREIGN);
    }
    shard->desired = (incarnation_t){{0}};
}
