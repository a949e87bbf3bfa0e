/* A shard: whether this broker is its home. shards.c owns the struct, but for the list of
 * ownerships, which ownership.c owns.
 */
#ifndef BROKER_ROUTER_SHARD_STATE_H
#define BROKER_ROUTER_SHARD_STATE_H

#include "broker/router/runner_state.h"

typedef struct ownership ownership_t;

struct shard {
    shard_id_t id;
    uint64_t epoch;          /* under which this broker is home of its lane; 0: it is not */
    uint64_t owner_sequence; /* the last one of that epoch; the shard's ownerships share it */
    ownership_t *ownerships; /* one for each type with entities or owners here, so far */
};

/* NULL: this broker does not know the shard. */
shard_t *shard_find(router_t *router, shard_id_t id);
/* Whether this broker is the shard's home. */
static inline bool shard_is_home(const shard_t *shard)
{
    return shard->epoch > 0;
}
/* The same, and its lease holds. */
bool shard_serves(const router_t *router, const shard_t *shard);
/* Whether the shard's lane is this broker's for all that is known, and waits for the database. */
bool shard_waits_for_store(router_t *router, shard_id_t shard);
/* The shard of the lane after this one, of all that exist; the first one after NULL. */
shard_t *shards_next_of_lane(router_t *router, uint32_t lane, const shard_t *shard);

/* The group's shards exist from now on, if it may be a group. */
void shards_add_group(router_t *router, uint16_t group);
/* This broker is home of the shard's lane, under the lane's epoch, or is not any more. */
void shard_begin_home(router_t *router, shard_t *shard);
void shard_end_home(shard_t *shard);
/* A token above all that the shard has had. It names one ownership of the shard. */
token_t shard_next_token(shard_t *shard);
void shards_destroy(router_t *router);

#endif
