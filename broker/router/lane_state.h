/* A lane: whether this broker is its home. lanes.c owns the struct, but for the parts of batch.c,
 * lookup.c, checkpoint.c, keys.c, persisted.c, history.c, readers.c, overflow.c, loads.c,
 * schedule.c, alive.c, outbox.c, messages.c, hand_over.c and progress.c.
 *
 * Some lanes are this broker's and others are not, at the same time. What depends on a lane
 * (shards, entities, messages, calls, batches, look-ups) comes and goes with it.
 */
#ifndef BROKER_ROUTER_LANE_STATE_H
#define BROKER_ROUTER_LANE_STATE_H

#include "broker/router/alive_state.h"
#include "broker/router/batch_state.h"
#include "broker/router/checkpoint_state.h"
#include "broker/router/clears_state.h"
#include "broker/router/early_ends.h"
#include "broker/router/readers_state.h"
#include "broker/router/keys_state.h"
#include "broker/router/lookup_state.h"
#include "broker/router/outbox_state.h"
#include "broker/router/overflow_state.h"
#include "broker/router/persisted_state.h"
#include "broker/router/progress_state.h"
#include "broker/router/schedule_state.h"
#include "broker/router/search_state.h"

typedef enum lane_state {
    LANE_FOREIGN,  /* this broker does not hold it */
    LANE_ADOPTING, /* the store names this broker as its holder; what stands in it is being read */
    LANE_HOME,     /* its shards serve */
    LANE_LEAVING   /* nothing new is accepted or delivered: another broker is to hold it */
} lane_state_t;

/* That a lane is given up: see hand_over.c. */
typedef struct hand_over {
    uint64_t epoch;       /* of the hold that is to end; that of no hold: the lane stays */
    uint64_t deadline_ms; /* of the present step */
    bool given_up;        /* LEAVING: a store actor gives the lane up, and nothing is appended */
} hand_over_t;

struct router_lane {
    lane_state_t state;
    bool dropping;       /* FOREIGN: entities and messages of the last hold are left */
    uint64_t next_epoch; /* FOREIGN, dropping: of a hold that begins when nothing is left; or 0 */
    uint64_t epoch;      /* of this broker's hold; FOREIGN: of its last hold, which is over */
    bool adoption_due;   /* ADOPTING: nobody has taken it from router_next_adoption yet */
    bool damaged;        /* ADOPTING: what stands in it could not be read so far */
    bool taking;         /* ADOPTING: what stands in it is being taken over: */
    adoption_t adoption;
    size_t backlogs_taken, kept_taken, outgoing_taken;
    uint64_t adopted_id; /* HOME: no message of the lane had a larger id when it was adopted */
    lane_batches_t batches;
    lookup_t lookup_next, lookup_current;
    lookup_rounds_t rounds;
    checkpoint_t checkpoint;
    lane_keys_t keys;
    lane_persisted_t persisted;
    lane_readers_t readers;
    overflows_t overflows;
    loads_t loads;
    schedule_t schedule;
    lane_clears_t clears;
    early_ends_t early_ends;
    search_t search;
    lane_alive_t alive;
    lane_outbox_t outbox;
    message_t *ghosts; /* see messages.c */
    hand_over_t hand_over;
    lane_progress_t progress;
};

/* The last time that this broker lost a lane to another one without having given it up, or, before
 * it began, all of its lanes. */
typedef struct router_fence {
    bool any;
    bool whole; /* the whole broker: its incarnation before this one was fenced */
    uint32_t lane;
    uint64_t at_ms;
} router_fence_t;

/* Whether another broker is to hold the lane. */
static inline bool lane_is_to_leave(const router_lane_t *lane)
{
    return lane->hand_over.epoch == lane->epoch &&
           (lane->state == LANE_HOME || lane->state == LANE_LEAVING);
}
/* Whether nothing is appended under the lane's present hold any more. */
static inline bool lane_is_given_up(const router_lane_t *lane)
{
    return lane->state == LANE_LEAVING && lane->hand_over.given_up;
}

/* The name that status documents show. */
const char *lane_state_name(const router_lane_t *lane);
void lanes_init(router_t *router);
/* Frees what of adoptions has not been taken over yet. */
void lanes_destroy(router_t *router);
/* See router_go_on. */
bool lanes_go_on(router_t *router);
/* The lane accepts and delivers nothing new from now on. */
void lane_leave(router_lane_t *lane);
/* Another broker has taken the lane: it is dropped, if this broker's hold under the epoch was its
 * last one. */
void lane_fenced(router_t *router, uint32_t lane, uint64_t epoch);

#endif
