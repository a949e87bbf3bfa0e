/* Settlement: how far the results of each runner are durable. A worker keeps its results until
 * then, so that its instances survive a change of home. settlement.c owns the structs.
 *
 * The router counts a runner's frames. From time to time it notes how many frames of each runner
 * have come, and how many ends of messages each lane has got. When all these ends are durable, or
 * went with their lane, the runners are told the noted counts. So a result costs nothing here but
 * the counting, and what is told may be a little behind what is durable.
 */
#ifndef BROKER_ROUTER_SETTLEMENT_STATE_H
#define BROKER_ROUTER_SETTLEMENT_STATE_H

#include "broker/router/router.h"
#include "core/limits.h"

/* A runner's part, of its present connection. */
typedef struct runner_settlement {
    uint64_t frames;                      /* that came after that of the hello */
    uint64_t results;                     /* in these frames */
    uint64_t noted_frames, noted_results; /* the same when the round began */
    uint64_t told_results;                /* how many of them SETTLED has covered */
} runner_settlement_t;

/* The router's part. */
typedef struct router_settlement {
    bool running;                   /* a round has begun and not ended */
    uint64_t next_ms;               /* when the next round may begin */
    uint64_t ends[LIMIT_LANES_MAX]; /* the ends that each lane had when the round began */
} router_settlement_t;

/* A frame of the runner has come, or a result. */
static inline void settlement_count_frame(runner_settlement_t *settlement)
{
    settlement->frames++;
}
static inline void settlement_count_result(runner_settlement_t *settlement)
{
    settlement->results++;
}
/* Ends the round if all of its ends are settled, and begins the next one when it is time. */
void settlement_tick(router_t *router);

#endif
