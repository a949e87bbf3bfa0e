/* The shards that the link knows: see link_shard_state.h. */
#include "worker/link_shard_state.h"

#include <stdlib.h>

#include "core/memory.h"
#include "core/state_machine.h"

static const state_description_t shard_states[] = {
    [SHARD_LOST] = {"lost", STATE_BIT(SHARD_OWNED)},
    [SHARD_OWNED] = {"owned",
                     STATE_BIT(SHARD_OWNED) | STATE_BIT(SHARD_RELEASING) | STATE_BIT(SHARD_LOST)},
    [SHARD_RELEASING] = {"releasing", STATE_BIT(SHARD_OWNED) | STATE_BIT(SHARD_RELEASING) |
                                          STATE_BIT(SHARD_LOST)},
};
static const state_machine_t shard_machine = {"shard at the link", shard_states, 3};

static void set_state(link_shards_t *shards, link_shard_t *shard, shard_state_t state)
{
    state_machine_check(&shard_machine, shard->state, state);
    uint64_t owned = atomic_load_explicit(&shards->owned, memory_order_relaxed);
    owned += (uint64_t)(state != SHARD_LOST) - (uint64_t)(shard->state != SHARD_LOST);
    atomic_store_explicit(&shards->owned, owned, memory_order_relaxed);
    shard->state = state;
}

void link_shards_free(link_shards_t *shards)
{
    link_shard_t *shard, *next;
    HASH_ITER(hh, shards->by_id, shard, next)
    {
        HASH_DEL(shards->by_id, shard);
        free(shard);
    }
}

static link_shard_t *find(const link_shards_t *shards, uint64_t number)
{
    link_shard_t *shard = NULL;
    if (number <= UINT32_MAX) {
        uint32_t value = (uint32_t)number;
        HASH_FIND(hh, shards->by_id, &value, sizeof value, shard);
    }
    return shard;
}

/* The shard of a claim, if this worker owns the shard under the claim's token through the endpoint.
 */
static link_shard_t *find_owned(const link_shards_t *shards, shard_claim_t claim, uint32_t endpoint)
{
    link_shard_t *shard = find(shards, claim.number);
    bool owned = shard && shard->state != SHARD_LOST && shard->source.endpoint == endpoint &&
                 token_equal(shard->token, claim.token);
    return owned ? shard : NULL;
}

static void add_order(link_works_t *works, work_kind_t kind, const link_shard_t *shard,
                      const work_lease_t *lease, uint64_t deadline_ms)
{
    work_t *order = work_new(kind, link_works_executor(works, shard->shard), shard->source, 0);
    order->shard = shard->shard;
    order->token = shard->token;
    order->lease = lease;
    order->deadline_ms = deadline_ms;
    link_works_add_order(works, order);
}

bool link_shards_assign(link_shards_t *shards, link_works_t *works, shard_claim_t claim,
                        work_source_t source, const work_lease_t *lease, uint64_t deadline_ms)
{
    link_shard_t *shard = find(shards, claim.number);
    if (!shard) {
        shard = (link_shard_t *)memory_allocate_zeroed(1, sizeof *shard);
        shard->shard = (shard_id_t){(uint32_t)claim.number};
        HASH_ADD(hh, shards->by_id, shard.value, sizeof shard->shard.value, shard);
    } else if (!token_less(shard->token, claim.token)) {
        return false;
    }
    if (shard->state != SHARD_LOST) {
        add_order(works, WORK_STOP, shard, NULL, deadline_ms);
    }
    shard->token = claim.token;
    shard->source = source;
    set_state(shards, shard, SHARD_OWNED);
    add_order(works, WORK_BEGIN, shard, lease, 0);
    return true;
}

bool link_shards_release(link_shards_t *shards, link_works_t *works, shard_claim_t claim,
                         uint32_t endpoint, uint64_t deadline_ms)
{
    link_shard_t *shard = find_owned(shards, claim, endpoint);
    if (!shard) {
        return false;
    }
    set_state(shards, shard, SHARD_RELEASING);
    add_order(works, WORK_STOP, shard, NULL, deadline_ms);
    return true;
}

bool link_shards_deliver(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                         work_frame_t *frame, const message_deliver_t *message)
{
    shard_claim_t claim = {message->shard, {message->home_epoch, message->owner_sequence}};
    const link_shard_t *shard = find_owned(shards, claim, endpoint);
    if (!shard) {
        return false;
    }
    link_works_add_delivery(works, link_works_executor(works, shard->shard), shard->source, frame,
                            message);
    return true;
}

void link_shards_lose(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                      uint64_t deadline_ms)
{
    link_shard_t *shard, *next;
    HASH_ITER(hh, shards->by_id, shard, next)
    {
        if (shard->state != SHARD_LOST && shard->source.endpoint == endpoint) {
            set_state(shards, shard, SHARD_LOST);
            add_order(works, WORK_STOP, shard, NULL, deadline_ms);
        }
    }
}

bool link_shards_stopped(link_shards_t *shards, shard_id_t id, token_t token)
{
    link_shard_t *shard = find(shards, id.value);
    if (!shard || shard->state != SHARD_RELEASING || !token_equal(shard->token, token)) {
        return false;
    }
    set_state(shards, shard, SHARD_LOST);
    return true;
}
