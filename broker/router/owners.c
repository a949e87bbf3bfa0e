/* Owners: how the ownership of a type's part of a shard passes from one runner to the next. The
 * coordinator says which owner it desires. Only this file carries that out, so that "one live
 * instance" is decided in one thread.
 */
#include <utlist.h>

#include "broker/router/dispatch.h"
#include "broker/router/orders.h"
#include "broker/router/outcome.h"
#include "broker/router/poison.h"
#include "broker/router/router_state.h"
#include "broker/router/unserved.h"
#include "core/crash_point.h"

enum { RELEASE_SLACK_MS = 500 };

static void report_owner(router_t *router, const ownership_t *ownership)
{
    router_order_t order = {
        .kind = ROUTER_OWNER_CHANGED, .shard = ownership->shard->id, .token = ownership->token};
    fabric_bytes_t type = ownership_type(ownership);
    memcpy(order.name, type.data, type.size);
    if (ownership->owner) {
        order.runner = ownership->owner->incarnation;
    }
    order_add(router, &order);
}

/* ---- an ownership gets an owner ---- */

static void assign(router_t *router, ownership_t *ownership, runner_t *runner)
{
    bool continued = incarnation_equal(ownership->predecessor, runner->incarnation);
    ownership_give(router, ownership, runner);
    message_assign_t message = {.shard = ownership->shard->id.value,
                                .home_epoch = ownership->token.home_epoch,
                                .owner_sequence = ownership->token.owner_sequence,
                                .type = ownership_type(ownership),
                                .continued = continued};
    message_put_assign(peer_writer(router, runner->peer), &message);
    report_owner(router, ownership);
    entity_t *entity, *next;
    DL_FOREACH_SAFE(ownership->entities, entity, next)
    {
        entity_dispatch(router, entity);
        entity_release(router, entity);
    }
    clears_owned(router, ownership);
    overflow_owned(router, ownership);
    alive_owned(router, ownership);
}

static void put_release(router_t *router, const ownership_t *ownership, uint32_t grace_ms,
                        bool moved)
{
    message_release_t message = {.shard = ownership->shard->id.value,
                                 .home_epoch = ownership->token.home_epoch,
                                 .owner_sequence = ownership->token.owner_sequence,
                                 .grace_ms = grace_ms,
                                 .moved = moved};
    message_put_release(peer_writer(router, ownership->owner->peer), &message);
}

static void ask_back(router_t *router, ownership_t *ownership)
{
    uint32_t grace_ms = router->config.release_grace_ms;
    poison_release_asked(ownership);
    ownership_begin_release(router, ownership, router->now_ms + grace_ms + RELEASE_SLACK_MS);
    put_release(router, ownership, grace_ms, false);
    CRASH_POINT(RELEASE_ASKED);
}

/* Takes the next step, if there is one now, to give the ownership its desired owner. */
static void reconcile(router_t *router, ownership_t *ownership)
{
    if (!shard_is_home(ownership->shard)) {
        return;
    }
    runner_t *desired = runner_find(router, ownership->desired);
    const runner_t *owner = ownership->owner;
    /* A missing owner comes back, or dies within its grace and loses what it owns. Until then it is
     * unknown whether the owner died with its messages in flight. */
    if (ownership->state == OWNERSHIP_OWNED && owner != desired && owner->peer) {
        ask_back(router, ownership);
    }
    if (ownership->state == OWNERSHIP_UNOWNED && desired && desired->state == RUNNER_JOINED) {
        assign(router, ownership, desired);
    }
    if (ownership->state == OWNERSHIP_UNOWNED && !ownership_takes_volatile(router, ownership)) {
        unserved_tell(router, ownership);
    }
}

void router_desire(router_t *router, const char *type, shard_id_t id, incarnation_t runner,
                   uint64_t now_ms)
{
    router->now_ms = now_ms;
    shard_t *shard = shard_find(router, id);
    if (shard && !router->closing) {
        ownership_t *ownership = ownership_make(router, shard, fabric_bytes_of(type));
        if (!ownership->placed) {
            ownership_note_predecessor(
                ownership, shard_map_last_owner(router->map, ownership_type(ownership), id));
        }
        ownership_desire(ownership, runner);
        reconcile(router, ownership);
    }
}

void owners_release(router_t *router)
{
    ownership_t *ownership, *next;
    HASH_ITER(by_key, router->ownerships, ownership, next)
    {
        ownership_desire(ownership, (incarnation_t){{0}});
        if (ownership->state == OWNERSHIP_OWNED) {
            reconcile(router, ownership);
        }
    }
}

/* ---- an ownership loses its owner ---- */

/* It was in flight, and its handler may have stopped for that reason. */
static void end_if_cancelled(router_t *router, message_t *message)
{
    if (message->cancelled && !message_needs_look(message)) {
        message_finish_as_cancelled(router, message);
    }
}

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
        runner_t *runner = entity->ownership->owner;
        poison_delivery_ended(runner, message);
        if (message->stored.flags & REQUEST_DURABLE) {
            entity_requeue(message);
            poison_returned(router, runner, message);
            end_if_cancelled(router, message);
        } else {
            message_lose(router, message, "the entity's runner was lost");
        }
    }
    entity_restart(router, entity);
}

void owner_take_back(router_t *router, ownership_t *ownership)
{
    entity_t *entity, *next;
    DL_FOREACH_SAFE(ownership->entities, entity, next)
    {
        take_back_messages(router, entity);
        entity_release(router, entity);
    }
    alive_lost(router, ownership);
    ownership_take(router, ownership);
    report_owner(router, ownership);
    reconcile(router, ownership);
}

void owners_take_back(router_t *router, runner_t *runner)
{
    ownership_t *ownership, *next;
    HASH_ITER(by_key, router->ownerships, ownership, next)
    {
        if (runner->owned == 0) {
            return;
        }
        if (ownership->owner == runner) {
            owner_take_back(router, ownership);
        }
    }
}

void owners_assign_again(router_t *router, const runner_t *runner)
{
    ownership_t *ownership, *next;
    HASH_ITER(by_key, router->ownerships, ownership, next)
    {
        if (ownership->owner == runner) {
            owner_take_back(router, ownership);
        } else if (incarnation_equal(ownership->desired, runner->incarnation)) {
            reconcile(router, ownership); /* the coordinator wanted it while the runner was away */
        }
    }
}

void owners_tick(router_t *router)
{
    ownership_t *ownership;
    while ((ownership = ownership_take_overdue(router))) {
        owner_take_back(router, ownership);
    }
}

/* ---- owners follow lanes ---- */

void owners_serve(router_t *router, uint32_t lane)
{
    shard_t *shard = NULL;
    while ((shard = shards_next_of_lane(router, lane, shard))) {
        shard_begin_home(router, shard);
        for (ownership_t *ownership = shard->ownerships; ownership; ownership = ownership->next) {
            reconcile(router, ownership);
        }
    }
}

void owners_drop(router_t *router, shard_t *shard)
{
    for (ownership_t *ownership = shard->ownerships; ownership; ownership = ownership->next) {
        if (ownership->owner) {
            if (ownership->owner->peer) { /* it may not know yet that this broker lost the shard */
                put_release(router, ownership, 0, true);
            }
            alive_lost(router, ownership);
            ownership_take(router, ownership);
        }
        ownership_end_home(ownership);
    }
    shard_end_home(shard);
}
