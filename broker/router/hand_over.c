/* Giving up a lane while its holder lives, so that another broker takes it with a pause that is
 * short:
 *   1. HOME, to leave: the lane serves, and checkpoints follow one another until only a little of
 *      its journal is left for the next holder to read.
 *   2. LEAVING: nothing new is accepted or delivered. Appends and results that are under way come
 *      to their ends.
 *   3. LEAVING, given up: a store actor gives the lane up. Nothing is appended under the epoch from
 *      now on, whatever the answer is.
 *   4. FOREIGN: the lane is dropped (lane_drop.c), and its callers ask its next home.
 * A step that misses its deadline is cut short: what is in flight then is delivered again by the
 * next home, as after a broker's death.
 *
 * The shard map says which lanes leave. Where it does not say so while the broker drains, they all
 * leave when half of that time is over. */
#include "broker/router/hand_over.h"

#include "broker/router/orders.h"
#include "broker/router/router_state.h"
#include "core/crash_point.h"

enum {
    TAIL_BYTES = 256 * 1024, /* of journal, which a holder may leave to the next one */
    CHECKPOINT_MS = 2000     /* for step 1 */
};

/* ---- step 1 ---- */

static void begin(router_t *router, router_lane_t *lane)
{
    lane->hand_over = (hand_over_t){lane->epoch, router->now_ms + CHECKPOINT_MS, false};
    CRASH_POINT(HAND_OVER_BEGUN);
}

/* Nobody is to have the lane instead of this broker any more. */
static void cancel(router_lane_t *lane)
{
    lane->hand_over.epoch = 0;
}

static bool is_checkpointed(const router_lane_t *lane)
{
    return lane->checkpoint.new_bytes + lane->checkpoint.begun_bytes <= TAIL_BYTES;
}

/* ---- step 2 ---- */

/* For handlers that run: as long as a worker has to give a shard back, or until a broker that
 * drains has to end. */
static uint64_t results_deadline_ms(const router_t *router)
{
    return router->draining ? router->drain_until_ms
                            : router->now_ms + router->config.release_grace_ms;
}

static void leave(router_t *router, router_lane_t *lane)
{
    lane->hand_over.deadline_ms = results_deadline_ms(router);
    lane_leave(lane);
    CRASH_POINT(HAND_OVER_LEAVING);
}

static bool is_handling(router_t *router, uint32_t number)
{
    for (shard_t *shard = NULL; (shard = shards_next_of_lane(router, number, shard));) {
        for (const ownership_t *ownership = shard->ownerships; ownership;
             ownership = ownership->next) {
            if (ownership->busy) {
                return true;
            }
        }
    }
    return false;
}

static bool is_quiet(router_t *router, uint32_t number)
{
    const lane_batches_t *batches = &router->lanes[number].batches;
    return !batches->running && router_waiting(router, number) == 0 &&
           batches->next.sent_count == 0 && !is_handling(router, number);
}

/* ---- step 3 ---- */

bool router_next_give_up(router_t *router, store_hold_t *hold, uint64_t now_ms)
{
    router->now_ms = now_ms;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        router_lane_t *lane = &router->lanes[i];
        hand_over_t *hand_over = &lane->hand_over;
        if (lane->state == LANE_LEAVING && !hand_over->given_up &&
            (now_ms >= hand_over->deadline_ms || is_quiet(router, i))) {
            hand_over->given_up = true;
            *hold = (store_hold_t){i, router->config.incarnation, lane->epoch};
            return true;
        }
    }
    return false;
}

/* ---- events ---- */

static void follow_map(router_t *router, uint32_t number, bool *named)
{
    router_lane_t *lane = &router->lanes[number];
    const map_lane_t *entry = shard_map_lane(router->map, number);
    if (!entry || !incarnation_equal(entry->home, router->config.incarnation)) {
        return;
    }
    *named |= entry->epoch > lane->epoch;
    bool leaves = !incarnation_is_none(entry->next) &&
                  !incarnation_equal(entry->next, router->config.incarnation);
    if (lane->state != LANE_HOME || entry->epoch != lane->epoch) {
        return;
    }
    if (leaves && !lane_is_to_leave(lane)) {
        begin(router, lane);
    } else if (!leaves && lane_is_to_leave(lane) && !router->draining) {
        cancel(lane);
    }
}

void hand_overs_follow_map(router_t *router)
{
    bool named = false;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        follow_map(router, i, &named);
    }
    if (named) {
        order_add(router, &(router_order_t){.kind = ROUTER_LANE_NAMED});
    }
}

static bool is_late(const router_t *router)
{
    return router->draining && router->now_ms >= router->drain_half_ms;
}

/* Nobody takes the lanes of a broker that closes. */
static void advance(router_t *router, router_lane_t *lane)
{
    if (lane->state != LANE_HOME || router->closing) {
        return;
    }
    if (is_late(router) && !lane_is_to_leave(lane)) {
        begin(router, lane);
    }
    if (lane_is_to_leave(lane) &&
        (is_checkpointed(lane) || router->now_ms >= lane->hand_over.deadline_ms)) {
        leave(router, lane);
    }
}

void hand_overs_tick(router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        advance(router, &router->lanes[i]);
    }
}

bool hand_overs_are_done(const router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        const router_lane_t *lane = &router->lanes[i];
        bool adopting = lane->state == LANE_ADOPTING && !lane->damaged;
        if (adopting || lane->state == LANE_HOME || lane->state == LANE_LEAVING) {
            return false;
        }
    }
    return true;
}
