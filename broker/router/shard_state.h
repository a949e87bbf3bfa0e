/* A shard: whether this broker is its home, and which runner owns it. shards.c owns the struct, but
 * for the lists of entities, which mailbox.c owns, and for what is to be loaded.
 */
#ifndef BROKER_ROUTER_SHARD_STATE_H
#define BROKER_ROUTER_SHARD_STATE_H

#include "broker/router/runner_state.h"
#include "core/timers.h"

typedef enum shard_state {
    SHARD_FOREIGN, /* this broker is not the home of its lane */
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
    entity_t *busy;        /* those of them with messages in flight */
    struct overflow
        *overflows;  /* of its entities: to be loaded; see overflow.c, also for the rest */
    bool is_loading; /* it is in its lane's list of such shards */
    struct shard *load_prev, *load_next;
};

/* NULL: this broker does not know the shard. */
shard_t *shard_find(router_t *router, shard_id_t id);
/* Whether this broker is the shard's home, and its lease holds. */
bool shard_serves(const router_t *router, const shard_t *shard);
/* Whether messages may be delivered to the shard's owner. */
bool shard_dispatches(const router_t *router, const shard_t *shard);
/* Whether the shard's lane is this broker's for all that is known, and waits for the database. */
bool shard_waits_for_store(router_t *router, shard_id_t shard);
/* Whether the shard has no owner, and the coordinator knows none that it could have. */
static inline bool shard_is_deserted(const shard_t *shard)
{
    return shard->state == SHARD_UNOWNED && incarnation_is_none(shard->desired);
}

/* The group's shards exist from now on, if it may be a group. */
void shards_add_group(router_t *router, uint16_t group);
/* The lane is adopted: its shards serve, and get the owners that they are to have. */
void shards_serve(router_t *router, uint32_t lane);
/* The shard's lane is dropped: its owner is not its owner any more. None of its messages is in
 * flight. */
void shard_drop(router_t *router, shard_t *shard);
/* The shard of the lane after this one, of all that exist; the first one after NULL. */
shard_t *shards_next_of_lane(router_t *router, uint32_t lane, const shard_t *shard);

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
