/* Settlement: see settlement_state.h. */
#include "broker/router/router_state.h"

static bool is_settled(const router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        if (router->lanes[i].batches.ends_settled < router->settlement.ends[i]) {
            return false;
        }
    }
    return true;
}

/* A runner whose connection began after the round did has nothing noted. */
static void tell(router_t *router, runner_t *runner)
{
    runner_settlement_t *settlement = &runner->settlement;
    if (runner->peer && settlement->noted_results > settlement->told_results) {
        settlement->told_results = settlement->noted_results;
        message_put_settled(peer_writer(router, runner->peer),
                            &(message_settled_t){settlement->noted_frames});
    }
}

static void end_round(router_t *router)
{
    router->settlement.running = false;
    for (runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        tell(router, runner);
    }
}

/* Notes what has come; nothing begins if no runner has sent a result that is not settled. */
static void begin_round(router_t *router)
{
    router_settlement_t *round = &router->settlement;
    for (runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        runner_settlement_t *settlement = &runner->settlement;
        settlement->noted_frames = settlement->frames;
        settlement->noted_results = settlement->results;
        round->running |= settlement->results > settlement->told_results;
    }
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        round->ends[i] = router->lanes[i].batches.ends_added;
    }
    round->next_ms = router->now_ms + router->config.worker_heartbeat_ms;
}

void settlement_tick(router_t *router)
{
    if (router->settlement.running && is_settled(router)) {
        end_round(router);
    }
    if (!router->settlement.running && router->now_ms >= router->settlement.next_ms) {
        begin_round(router);
    }
}
