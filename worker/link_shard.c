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
                                    STATE_BIT(OWNERSHIP_ORPHANED) | STATE_BIT(OWNERSHIP_LOST)},
    [OWNERSHIP_RELEASING] = {"releasing", STATE_BIT(OWNERSHIP_HELD) |
                                              STATE_BIT(OWNERSHIP_RELEASING) |
                                              STATE_BIT(OWNERSHIP_LOST)},
    [OWNERSHIP_ORPHANED] = {"orphaned", STATE_BIT(OWNERSHIP_HELD) | STATE_BIT(OWNERSHIP_LOST)},
};
static const state_machine_t machine = {"ownership at the link", states, 4};

/* How long a new home may take to deliver again what was in flight at the one before. */
#define KEPT_MS 60000u

static bool is_had(link_ownership_state_t state)
{
    return state == OWNERSHIP_HELD || state == OWNERSHIP_RELEASING;
}

static void set_state(link_shards_t *shards, link_ownership_t *ownership,
                      link_ownership_state_t state)
{
    state_machine_check(&machine, ownership->state, state);
    uint64_t owned = atomic_load_explicit(&shards->owned, memory_order_relaxed);
    owned += (uint64_t)is_had(state) - (uint64_t)is_had(ownership->state);
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
            wire_writer_destroy(&ownership->kept);
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
    while (ownership && !(is_had(ownership->state) && token_equal(ownership->token, token))) {
        ownership = ownership->next;
    }
    return ownership;
}

/* The one that gathers the results under the token; NULL: none does. */
static link_ownership_t *find_gathering(const link_shard_t *shard, token_t token)
{
    link_ownership_t *ownership = shard ? shard->ownerships : NULL;
    while (ownership && !(ownership->gathering && token_equal(ownership->former, token))) {
        ownership = ownership->next;
    }
    return ownership;
}

/* ---- what ownerships go through ---- */

static work_t *new_order(const link_works_t *works, work_kind_t kind, shard_id_t shard,
                         const link_ownership_t *ownership)
{
    work_t *order = work_new(kind, link_works_executor(works, shard), ownership->source, 0);
    order->shard = shard;
    order->token = ownership->token;
    return order;
}

static void end_gathering(link_shards_t *shards, link_ownership_t *ownership)
{
    shards->gathering -= ownership->gathering;
    ownership->gathering = false;
}

/* The executor is to stop the entities. */
static void stop(link_shards_t *shards, link_works_t *works, shard_id_t shard,
                 link_ownership_t *ownership, uint64_t deadline_ms)
{
    work_t *order = new_order(works, WORK_STOP, shard, ownership);
    order->deadline_ms = deadline_ms;
    link_works_add_order(works, order);
    end_gathering(shards, ownership);
    wire_writer_destroy(&ownership->kept);
}

static void lose(link_shards_t *shards, link_works_t *works, shard_id_t shard,
                 link_ownership_t *ownership, uint64_t deadline_ms)
{
    set_state(shards, ownership, OWNERSHIP_LOST);
    stop(shards, works, shard, ownership, deadline_ms);
}

/* Whether the entities may stay without their home. They do not if the results of the home before
 * are still being gathered. */
static bool may_orphan(const link_ownership_t *ownership, lost_home_t home, uint64_t now_ms)
{
    return ownership->state == OWNERSHIP_HELD && !ownership->gathering && home.until_ms > now_ms;
}

static void orphan(link_shards_t *shards, link_works_t *works, shard_id_t shard,
                   link_ownership_t *ownership, lost_home_t home)
{
    set_state(shards, ownership, OWNERSHIP_ORPHANED);
    ownership->home = home.broker;
    ownership->until_ms = home.until_ms;
    ownership->former = ownership->token;
    ownership->gathering = shards->gather_due = true;
    shards->gathering++;
    if (shards->orphan_until_ms == 0 || home.until_ms < shards->orphan_until_ms) {
        shards->orphan_until_ms = home.until_ms;
    }
    link_works_add_order(works, new_order(works, WORK_ORPHAN, shard, ownership));
}

static void give_kept(link_works_t *works, shard_id_t shard, link_ownership_t *ownership,
                      uint64_t now_ms)
{
    work_t *order = new_order(works, WORK_KEPT, shard, ownership);
    order->kept = ownership->kept;
    order->deadline_ms = now_ms + KEPT_MS;
    ownership->kept = (wire_writer_t){0};
    link_works_add_order(works, order);
}

static void resume(link_works_t *works, shard_id_t shard, link_ownership_t *ownership,
                   const work_lease_t *lease, uint64_t now_ms)
{
    work_t *order = new_order(works, WORK_RESUME, shard, ownership);
    order->former = ownership->former;
    order->lease = lease;
    link_works_add_order(works, order);
    if (!ownership->gathering) {
        give_kept(works, shard, ownership, now_ms);
    }
}

/* Orphans the ownership if this worker does not know yet that its home is gone. Returns whether it
 * can be resumed under the token: no other home was there in between. */
static bool prepare_to_resume(link_shards_t *shards, link_works_t *works, shard_id_t shard,
                              link_ownership_t *ownership, token_t token,
                              const link_endpoint_t *endpoints, uint64_t now_ms)
{
    if (token.home_epoch != ownership->token.home_epoch + 1) {
        return false;
    }
    lost_home_t home = lost_home_of(&endpoints[ownership->source.endpoint]);
    if (may_orphan(ownership, home, now_ms)) {
        orphan(shards, works, shard, ownership, home);
    }
    return ownership->state == OWNERSHIP_ORPHANED;
}

bool link_shards_assign(link_shards_t *shards, link_works_t *works, shard_claim_t claim,
                        fabric_bytes_t type, bool continued, const link_endpoint_t *endpoints,
                        uint32_t endpoint, uint64_t now_ms, uint64_t deadline_ms)
{
    link_shard_t *shard = make_shard(shards, claim.number);
    if (!token_less(shard->newest, claim.token)) {
        return false;
    }
    shard->newest = claim.token;
    link_ownership_t *ownership = make_ownership(shard, type);
    bool resumed = continued && prepare_to_resume(shards, works, shard->shard, ownership,
                                                  claim.token, endpoints, now_ms);
    if (!resumed && ownership->state != OWNERSHIP_LOST) {
        stop(shards, works, shard->shard, ownership, deadline_ms);
    }
    ownership->token = claim.token;
    ownership->source = (work_source_t){endpoint, endpoints[endpoint].connection};
    set_state(shards, ownership, OWNERSHIP_HELD);
    if (resumed) {
        resume(works, shard->shard, ownership, &endpoints[endpoint].lease, now_ms);
    } else {
        work_t *order = new_order(works, WORK_BEGIN, shard->shard, ownership);
        order->lease = &endpoints[endpoint].lease;
        link_works_add_order(works, order);
    }
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
    stop(shards, works, shard->shard, ownership, deadline_ms);
    return true;
}

void link_shards_move(link_shards_t *shards, link_works_t *works, shard_claim_t claim,
                      uint32_t endpoint, lost_home_t home, uint64_t now_ms)
{
    const link_shard_t *shard = find_shard(shards, claim.number);
    link_ownership_t *ownership = find_held(shard, claim.token);
    if (!ownership || ownership->source.endpoint != endpoint) {
        return;
    }
    if (may_orphan(ownership, home, now_ms)) {
        orphan(shards, works, shard->shard, ownership, home);
    } else if (ownership->state == OWNERSHIP_HELD) {
        lose(shards, works, shard->shard, ownership, now_ms);
    }
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

bool link_shards_interrupt(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                           work_frame_t *frame, const message_deliver_t *named)
{
    const link_shard_t *shard = find_shard(shards, named->shard);
    token_t token = {named->home_epoch, named->owner_sequence};
    const link_ownership_t *ownership = find_held(shard, token);
    if (!ownership || ownership->source.endpoint != endpoint) {
        return false;
    }
    work_t *order =
        work_new(WORK_INTERRUPT, link_works_executor(works, shard->shard), ownership->source, 1);
    order->shard = shard->shard;
    order->token = token;
    order->frame = work_frame_share(frame);
    order = work_add(order, named);
    link_works_interrupt(works, endpoint, named);
    link_works_add_order(works, order);
    return true;
}

void link_shards_lose(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                      lost_home_t home, uint64_t now_ms, uint64_t deadline_ms)
{
    const link_shard_t *shard, *next;
    HASH_ITER(hh, shards->by_id, shard, next)
    {
        link_ownership_t *ownership;
        LL_FOREACH(shard->ownerships, ownership)
        {
            if (!is_had(ownership->state) || ownership->source.endpoint != endpoint) {
                continue;
            }
            if (may_orphan(ownership, home, now_ms)) {
                orphan(shards, works, shard->shard, ownership, home);
            } else {
                lose(shards, works, shard->shard, ownership, deadline_ms);
            }
        }
    }
}

void link_shards_end_orphans(link_shards_t *shards, link_works_t *works, incarnation_t broker,
                             uint64_t deadline_ms)
{
    if (shards->orphan_until_ms == 0) {
        return;
    }
    const link_shard_t *shard, *next;
    HASH_ITER(hh, shards->by_id, shard, next)
    {
        link_ownership_t *ownership;
        LL_FOREACH(shard->ownerships, ownership)
        {
            if (ownership->state == OWNERSHIP_ORPHANED &&
                incarnation_equal(ownership->home, broker)) {
                lose(shards, works, shard->shard, ownership, deadline_ms);
            }
        }
    }
}

void link_shards_tick(link_shards_t *shards, link_works_t *works, uint64_t now_ms,
                      uint64_t deadline_ms)
{
    shards->now_ms = now_ms;
    if (shards->orphan_until_ms == 0 || now_ms < shards->orphan_until_ms) {
        return;
    }
    uint64_t next_ms = 0;
    const link_shard_t *shard, *next;
    HASH_ITER(hh, shards->by_id, shard, next)
    {
        link_ownership_t *ownership;
        LL_FOREACH(shard->ownerships, ownership)
        {
            if (ownership->state != OWNERSHIP_ORPHANED) {
                continue;
            }
            if (now_ms >= ownership->until_ms) {
                lose(shards, works, shard->shard, ownership, deadline_ms);
            } else if (next_ms == 0 || ownership->until_ms < next_ms) {
                next_ms = ownership->until_ms;
            }
        }
    }
    shards->orphan_until_ms = next_ms;
}

/* ---- results that are kept ---- */

static bool gather(const link_shards_t *shards, const message_result_t *result)
{
    token_t token = {result->home_epoch, result->owner_sequence};
    link_ownership_t *ownership = find_gathering(find_shard(shards, result->shard), token);
    if (ownership) {
        message_put_result(&ownership->kept, result);
    }
    return ownership;
}

bool link_shards_gather(link_shards_t *shards, fabric_bytes_t messages)
{
    bool any = false;
    wire_reader_t reader = wire_reader(messages);
    wire_reader_t body;
    while (shards->gathering > 0 && frame_next(&reader, &body)) {
        message_kind_t kind;
        message_result_t result;
        if (!message_open(&body, &kind) && kind == KIND_RESULT &&
            !message_get_result(&body, &result)) {
            any |= gather(shards, &result);
        }
    }
    return any;
}

bool link_shards_take_gather_due(link_shards_t *shards)
{
    bool due = shards->gather_due;
    shards->gather_due = false;
    return due;
}

void link_shards_orphaned(link_shards_t *shards, link_works_t *works, shard_id_t id, token_t token)
{
    link_ownership_t *ownership = find_gathering(find_shard(shards, id.value), token);
    if (!ownership) {
        return;
    }
    end_gathering(shards, ownership);
    if (ownership->state == OWNERSHIP_HELD) {
        give_kept(works, id, ownership, shards->now_ms);
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
