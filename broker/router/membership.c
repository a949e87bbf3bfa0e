/* The coming and going of runners: what a runner's hello, goodbye, silence and end mean for what
 * it owns, and what the coordinator is told.
 */
#include "broker/router/membership.h"

#include "broker/router/dispatch.h"
#include "broker/router/hand_over.h"
#include "broker/router/orders.h"
#include "broker/router/router_state.h"
#include "broker/router/poison.h"
#include "core/crash_point.h"

enum {
    DRAIN_RESERVE = 8,    /* that part of the drain time is for giving lanes up at last */
    SILENT_HEARTBEATS = 3 /* of a client that nobody waits for */
};

static void report_left(router_t *router, const runner_t *runner)
{
    order_add(router, &(router_order_t){.kind = ROUTER_RUNNER_LEFT, .runner = runner->incarnation});
}

void runner_forget(router_t *router, runner_t *runner)
{
    runner_disconnect(runner);
    runner_remove(router, runner);
    runner_destroy(runner);
}

/* The last message to a runner that leaves: it has nothing to give back any more. */
static void say_goodbye(router_t *router, runner_t *runner)
{
    message_bye_t bye = {.reason = fabric_bytes_of("all shards are given back")};
    message_put_bye(peer_writer(router, runner->peer), &bye);
    runner_forget(router, runner);
}

static bool has_left(const runner_t *runner)
{
    return runner->state == RUNNER_LEAVING && runner->owned == 0;
}

void released_received(router_t *router, runner_t *runner, const message_released_t *released)
{
    const shard_t *shard = released->shard <= UINT32_MAX
                               ? shard_find(router, (shard_id_t){(uint32_t)released->shard})
                               : NULL;
    token_t token = {released->home_epoch, released->owner_sequence};
    ownership_t *ownership = shard ? ownership_of_token(shard, token) : NULL;
    if (!ownership || ownership->owner != runner) {
        router->counters.unexpected++; /* the sender has been deposed as owner meanwhile */
        return;
    }
    CRASH_POINT(RELEASE_RECEIVED);
    owner_take_back(router, ownership);
    if (has_left(runner)) {
        say_goodbye(router, runner);
    }
}

void runner_lost(router_t *router, runner_t *runner)
{
    runner_remove(router, runner); /* first, so that no shard is assigned to it again */
    poison_runner_lost(router, runner);
    owners_take_back(router, runner);
    while (runner->waiting) { /* entities of lanes that were dropped */
        (void)runner_take_waiting(runner);
    }
    if (runner->state != RUNNER_LEAVING) { /* else the coordinator was told already */
        report_left(router, runner);
    }
    runner_disconnect(runner);
    runner_destroy(runner);
}

void runner_connected(router_t *router, runner_t *runner)
{
    owners_assign_again(router, runner);
    if (has_left(runner)) {
        say_goodbye(router, runner);
    }
}

void runner_connection_ended(router_t *router, runner_t *runner)
{
    runner_disconnect(runner);
    if (runner->state == RUNNER_JOINED) {
        runner_miss(runner,
                    router->now_ms + (runner->supervised ? router->config.crash_report_grace_ms
                                                         : router->config.unreachable_grace_ms));
    } else {
        runner_lost(router, runner);
    }
}

void goodbye_received(router_t *router, runner_t *runner)
{
    if (runner->state == RUNNER_LEAVING) {
        return; /* it says so again */
    }
    runner_leave(runner);
    report_left(router, runner);
    if (has_left(runner)) {
        say_goodbye(router, runner);
    }
}

static void missing_tick(router_t *router, runner_t *runner)
{
    if (router->now_ms < runner->missing_until_ms) {
        return;
    }
    if (runner->unreachable) {
        poison_runner_died(router, runner);
    }
    runner_lost(router, runner);
}

static void runner_tick(router_t *router, runner_t *runner)
{
    if (runner->state == RUNNER_ADMITTING) {
        return;
    }
    if (runner->state == RUNNER_MISSING) {
        missing_tick(router, runner);
    } else if (has_left(runner)) {
        say_goodbye(router, runner); /* its last shard was taken from it when its time was up */
    } else if (router->now_ms - runner->peer->heard_ms > router->config.lease_ms) {
        runner_lost(router, runner); /* whatever it still sends is answered with WHO */
    } else if (runner_ping(router, runner) || runner->holds_back) {
        runner_dispatch_waiting(router, runner);
    }
}

void runners_tick(router_t *router)
{
    owners_tick(router);
    runner_t *runner, *next;
    HASH_ITER(by_incarnation, router->runners, runner, next)
    {
        runner_tick(router, runner);
    }
}

/* ---- an orderly stop ---- */

void router_drain(router_t *router, uint32_t drain_ms, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router->draining = true;
    router->drain_half_ms = now_ms + drain_ms / 2;
    router->drain_until_ms = now_ms + drain_ms - drain_ms / DRAIN_RESERVE;
    order_add(router, &(router_order_t){.kind = ROUTER_BROKER_STATE,
                                        .broker = router->config.incarnation,
                                        .draining = true});
}

void router_close(router_t *router, uint64_t now_ms)
{
    router->now_ms = now_ms;
    if (router->draining && !router->closing) {
        router->closing = true;
        owners_release(router);
    }
}

void router_farewell(router_t *router, uint64_t now_ms)
{
    message_bye_t bye = {.reason = fabric_bytes_of("this broker is stopping")};
    router->now_ms = now_ms;
    router->farewell = true;
    for (uint32_t i = 0; i < router->peer_capacity; i++) {
        peer_t *peer = router->peers[i];
        if (peer && peer->phase == PEER_CLIENT) {
            message_put_bye(peer_writer(router, peer), &bye);
        }
    }
}

bool router_is_left(const router_t *router)
{
    uint64_t silent_ms = SILENT_HEARTBEATS * (uint64_t)router->config.client_heartbeat_ms;
    for (uint32_t i = 0; i < router->peer_capacity; i++) {
        const peer_t *peer = router->peers[i];
        if (peer && peer->phase == PEER_CLIENT && router->now_ms - peer->heard_ms <= silent_ms) {
            return false;
        }
    }
    return true;
}

bool router_drained(const router_t *router)
{
    if (!router->closing && !hand_overs_are_done(router)) {
        return false;
    }
    const runner_t *runner;
    for (runner = router->runners; runner; runner = runner->by_incarnation.next) {
        if (runner->owned > 0) {
            return false;
        }
    }
    return batches_are_idle(router);
}
