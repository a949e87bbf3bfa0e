/* The shards that the link knows: see link_shard_state.h. */
#include "worker/link_shard_state.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "core/memory.h"
#include "core/state_machine.h"

static const state_description_t states[] = {
    [OWNERSHIP_LOST] = {"lost", STATE_BIT(OWNERSHIP_HELD)},
    [OWNERSHIP_HELD] = {"held", STATE_BIT(OWNERSHIP_HELD) | STATE_BIT(OWNERSHIP_RELEASING) |
                                    STATE_BIT(OWNERSHIP_LOST)},
    [OWNERSHIP_RELEASING] = {"releasing", STATE_BIT(OWNERSHIP_HELD) |
                                              STATE_BIT(OWNERSHIP_RELEASING) |
                                              STATE_BIT(OWNERSHIP_LOST)},
};
static const state_machine_t machine = {"ownership at the link", states, 3};

static void set_state(link_shards_t *shards, link_ownership_t *ownership,
                      link_ownership_state_t state)
{
    state_machine_check(&machine, ownership->state, state);
    uint64_t owned = atomic_load_explicit(&shards->owned, memory_order_relaxed);
    owned += (uint64_t)(state != OWNERSHIP_LOST) - (uint64_t)(ownership->state != OWNERSHIP_LOST);
    atomic_store_explicit(&shards->owned, owned, memory_order_relaxed);
    ownership->state = state;
}

/* ---- the table ---- */

void link_shards_free(link_shards_t *shards)
{
    link_shard_t *shard, *next;
    HASH_ITER(hh, shards->by_id, shard, next)
    {
        link_ownership_t *ownership, *following;
        HASH_DEL(shards->by_id, shard);
        LL_FOREACH_SAFE(shard->ownerships, ownership, following)
        {
            free(ownership);
        }
        free(shard);
    }
}

static link_shard_t *find_shard(const link_shards_t *shards, uint64_t number)
{
    link_shard_t *shard = NULL;
    if (number <= UINT32_MAX) {
        uint32_t value = (uint32_t)number;
        HASH_FIND(hh, shards->by_id, &value, sizeof value, shard);
    }
    return shard;
}

static bool is_of_type(const link_ownership_t *ownership, fabric_bytes_t type)
{
    return fabric_bytes_equal(fabric_bytes(ownership->type, ownership->type_size), type);
}

static link_shard_t *make_shard(link_shards_t *shards, uint64_t number)
{
    link_shard_t *shard = find_shard(shards, number);
    if (!shard) {
        shard = (link_shard_t *)memory_allocate_zeroed(1, sizeof *shard);
        shard->shard = (shard_id_t){(uint32_t)number};
        HASH_ADD(hh, shards->by_id, shard.value, sizeof shard->shard.value, shard);
    }
    return shard;
}

static link_ownership_t *make_ownership(link_shard_t *shard, fabric_bytes_t type)
{
    link_ownership_t *ownership = shard->ownerships;
    while (ownership && !is_of_type(ownership, type)) {
        ownership = ownership->next;
    }
    if (!ownership) {
        ownership = (link_ownership_t *)memory_allocate(sizeof *ownership + type.size);
        memset(ownership, 0, sizeof *ownership);
        ownership->type_size = (uint32_t)type.size;
        memcpy(ownership->type, type.data, type.size);
        LL_PREPEND(shard->ownerships, ownership);
    }
    return ownership;
}

/* The ownership of the shard that the token names; NULL: this worker does not have it. */
static link_ownership_t *find_held(const link_shard_t *shard, token_t token)
{
    link_ownership_t *ownership = shard ? shard->ownerships : NULL;
    while (ownership &&
           !(ownership->state != OWNERSHIP_LOST && token_equal(ownership->token, token))) {
        ownership = ownership->next;
    }
    return ownership;
}

/* ---- what ownerships go through ---- */

static void add_order(link_works_t *works, work_kind_t kind, shard_id_t shard,
                      const link_ownership_t *ownership, const work_lease_t *lease,
                      uint64_t deadline_ms)
{
    work_t *order = work_new(kind, link_works_executor(works, shard), ownership->source, 0);
    order->shard = shard;
    order->token = ownership->token;
    order->lease = lease;
    order->deadline_ms = deadline_ms;
    link_works_add_order(works, order);
}

bool link_shards_assign(link_shards_t *shards, link_works_t *works, shard_claim_t claim,
                        fabric_bytes_t type, work_source_t source, const work_lease_t *lease,
                        uint64_t deadline_ms)
{
    link_shard_t *shard = make_shard(shards, claim.number);
    if (!token_less(shard->newest, claim.token)) {
        return false;
    }
    shard->newest = claim.token;
    link_ownership_t *ownership = make_ownership(shard, type);
    if (ownership->state != OWNERSHIP_LOST) {
        add_order(works, WORK_STOP, shard->shard, ownership, NULL, deadline_ms);
    }
    ownership->token = claim.token;
    ownership->source = source;
    set_state(shards, ownership, OWNERSHIP_HELD);
    add_order(works, WORK_BEGIN, shard->shard, ownership, lease, 0);
    return true;
}

bool link_shards_release(link_shards_t *shards, link_works_t *works, shard_claim_t claim,
                         uint32_t endpoint, uint64_t deadline_ms)
{
    const link_shard_t *shard = find_shard(shards, claim.number);
    link_ownership_t *ownership = find_held(shard, claim.token);
    if (!ownership || ownership->source.endpoint != endpoint) {
        return false;
    }
    set_state(shards, ownership, OWNERSHIP_RELEASING);
    add_order(works, WORK_STOP, shard->shard, ownership, NULL, deadline_ms);
    return true;
}

bool link_shards_deliver(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                         work_frame_t *frame, const message_deliver_t *message)
{
    const link_shard_t *shard = find_shard(shards, message->shard);
    token_t token = {message->home_epoch, message->owner_sequence};
    const link_ownership_t *ownership = find_held(shard, token);
    if (!ownership || ownership->source.endpoint != endpoint ||
        !is_of_type(ownership, message->type)) {
        return false;
    }
    link_works_add_delivery(works, link_works_executor(works, shard->shard), ownership->source,
                            frame, message);
    return true;
}

void link_shards_lose(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                      uint64_t deadline_ms)
{
    const link_shard_t *shard, *next;
    HASH_ITER(hh, shards->by_id, shard, next)
    {
        link_ownership_t *ownership;
        LL_FOREACH(shard->ownerships, ownership)
        {
            if (ownership->state != OWNERSHIP_LOST && ownership->source.endpoint == endpoint) {
                set_state(shards, ownership, OWNERSHIP_LOST);
                add_order(works, WORK_STOP, shard->shard, ownership, NULL, deadline_ms);
            }
        }
    }
}

bool link_shards_stopped(link_shards_t *shards, shard_id_t id, token_t token)
{
    link_ownership_t *ownership = find_held(find_shard(shards, id.value), token);
    if (!ownership || ownership->state != OWNERSHIP_RELEASING) {
        return false;
    }
    set_state(shards, ownership, OWNERSHIP_LOST);
    return true;
}
