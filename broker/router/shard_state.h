/* A shard: whether this broker is its home, and which runner owns it. shards.c owns the struct, but
 * for the list of entities, which mailbox.c owns.
 */
#ifndef BROKER_ROUTER_SHARD_STATE_H
#define BROKER_ROUTER_SHARD_STATE_H

#include "broker/router/runner_state.h"
#include "core/timers.h"

typedef enum shard_state {
    SHARD_FOREIGN, /* another broker is its home, or none is */
    SHARD_LOADING, /* this broker is its home, and its messages are being read */
    SHARD_UNOWNED, /* it has no owner */
    SHARD_OWNED,
    SHARD_RELEASING /* its owner was asked to give it back */
} shard_state_t;

struct shard {
    shard_id_t id;
    shard_state_t state;
    token_t token;
    incarnation_t desired; /* the owner that the coordinator wants; none: nobody */
    runner_t *owner;       /* OWNED, RELEASING */
    timer_entry_t release; /* RELEASING: when the shard is taken back */
    entity_t *entities;    /* that have messages */
};

/* NULL: this broker does not know the shard. */
shard_t *shard_find(router_t *router, shard_id_t id);
/* Whether this broker is the shard's home, and its lease holds. */
bool shard_serves(const router_t *router, const shard_t *shard);
/* The other broker that is the shard's home by the map; NULL: there is none. */
const map_broker_t *shard_other_home(const router_t *router, shard_id_t shard);
/* Whether the shard is this broker's for all that is known, and waits for the database to confirm
 * the lease. */
bool shard_waits_for_store(router_t *router, const shard_t *shard);
/* Whether the shard has no owner, and the coordinator knows none that it could have. */
static inline bool shard_is_deserted(const shard_t *shard)
{
    return shard->state == SHARD_UNOWNED && incarnation_is_none(shard->desired);
}

/* This broker becomes the home of a foreign shard, whose messages are to be loaded. */
void shard_load(router_t *router, shard_id_t id, uint64_t home_epoch);
/* The messages of all shards that were to be loaded are there. */
void shards_loaded(router_t *router);

/* Nobody owns the shard any more: what was in flight comes back, and what the old owner still sends
 * is refused. Then the shard gets the owner that it is to have. */
void shard_take_back(router_t *router, shard_t *shard);
/* shard_take_back for all shards of the runner. */
void shards_take_back(router_t *router, runner_t *runner);
/* The runner is connected anew: takes back what it owned, and gives it what it is to own. */
void shards_assign_again(router_t *router, const runner_t *runner);
/* Nobody is to own any shard: all owners are asked to give theirs back. */
void shards_release(router_t *router);
/* Takes back the shards that were not given back in time. */
void shards_tick(router_t *router);
void shards_destroy(router_t *router);

#endif
