/* A shard: whether this broker is its home, and which runner owns it. shards.c owns the struct. */
#ifndef BROKER_ROUTER_SHARD_STATE_H
#define BROKER_ROUTER_SHARD_STATE_H

#include "broker/router/runner_state.h"

typedef enum shard_state {
    SHARD_FOREIGN, /* another broker is its home, or none */
    SHARD_LOADING, /* we are; its messages are being read */
    SHARD_UNOWNED, /* no runner */
    SHARD_OWNED,
    SHARD_RELEASING /* its owner was asked to give it back */
} shard_state_t;

struct shard {
    shard_id_t id;
    shard_state_t state;
    token_t token;
    incarnation_t desired; /* by the coordinator; none: nobody */
    runner_t *owner;       /* OWNED, RELEASING */
    uint64_t release_deadline_ms;
    uint64_t activations; /* last number given */
    entity_t *entities;   /* that have messages */
    shard_t *prev, *next; /* list of shards that are being released */
};

shard_t *shard_find(router_t *router, shard_id_t id); /* NULL: not known here */
bool shard_serves(const router_t *router, const shard_t *shard);
void shards_tick(router_t *router);

#endif
