/* A runner: a worker's membership in the cluster. shards.c owns the struct. */
#ifndef BROKER_ROUTER_RUNNER_STATE_H
#define BROKER_ROUTER_RUNNER_STATE_H

#include "broker/router/peer_state.h"

typedef struct entity entity_t;
typedef struct shard shard_t;

typedef enum runner_state {
    RUNNER_ADMITTING, /* the coordinator is asked */
    RUNNER_JOINED,
    RUNNER_MISSING, /* unreachable; may come back within the grace time */
    RUNNER_LEAVING  /* said bye; gives its shards back */
} runner_state_t;

struct runner {
    incarnation_t incarnation; /* its public one: its hello's is a secret, and kept nowhere */
    uint64_t connection;
    peer_t *peer;
    runner_state_t state;
    uint64_t missing_until_ms;
    uint64_t next_ping_ms;
    uint32_t weight;
    uint32_t window;
    uint32_t outstanding;  /* deliveries without result */
    uint32_t shards;       /* owned or being released */
    uint32_t wave;         /* of deliveries: earlier ones are nobody's company, see suspects.c */
    uint32_t company;      /* outstanding deliveries of this wave */
    uint32_t few;          /* of these, of messages that want few others */
    message_t *alone;      /* this wave's message that wants no others: in flight, or about to be */
    uint64_t delivered_ms; /* the last delivery */
    bool unreachable;      /* its connection is gone: when it does not come back, it has died */
    bool died;
    message_t *culprit; /* DIED: what was in flight alone, or NULL */
    char name[256];
    wire_writer_t
        types; /* the names of the types that it brings, each after a byte with its size */
    entity_t *waiting, *waiting_last; /* entities that wait for credit */
    UT_hash_handle by_incarnation;
};

runner_t *runner_find(router_t *router, incarnation_t incarnation);
/* It is connected, for the first time or anew: what it owned has to be assigned again. May free a runner that leaves. */
void runner_rejoined(router_t *router, runner_t *runner);
void runner_leaves(router_t *router, runner_t *runner);
void runner_lost(router_t *router, runner_t *runner);
void released_received(router_t *router, runner_t *runner, const message_released_t *released);
void runners_tick(router_t *router);
void runner_free(runner_t *runner);

#endif
