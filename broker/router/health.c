/* Health in status documents: see health.h. */
#include "broker/router/health.h"

#include <utlist.h>

#include "broker/router/document.h"
#include "broker/router/router_state.h"

/* ---- lanes ---- */

static bool lane_is_stuck(const router_t *router, uint32_t number)
{
    bool stuck = false;
    for (int step = 0; step < LANE_STEPS; step++) {
        stuck |= progress_is_stuck(router, number, (lane_step_t)step);
    }
    return stuck;
}

/* What handlers have told others and is still to be sent; and to which lanes there is more than
 * memory holds, since their homes do not take it. */
static void put_outbox(const router_t *router, const lane_outbox_t *outbox, wire_writer_t *document)
{
    uint32_t full = 0;
    for (uint32_t i = 0; outbox->sender && i < router->config.lanes; i++) {
        full += sender_is_full(outbox->sender, i);
    }
    document_put_uint(document, "outgoing", outbox->sender ? sender_open(outbox->sender) : 0);
    document_put_uint(document, "outgoing_ms", outbox_oldest_ms(router, outbox));
    wire_put_text(document, "outgoing_full");
    wire_put_array(document, full);
    for (uint32_t i = 0; full > 0 && i < router->config.lanes; i++) {
        if (sender_is_full(outbox->sender, i)) {
            wire_put_uint(document, i);
        }
    }
}

static void put_lane(const router_t *router, uint32_t number, wire_writer_t *document)
{
    const router_lane_t *lane = &router->lanes[number];
    const checkpoint_t *checkpoint = &lane->checkpoint;
    wire_put_map(document, 12 + LANE_STEPS);
    document_put_uint(document, "number", number);
    document_put_text(document, "state", lane_state_name(lane));
    document_put_uint(document, "epoch", lane->epoch);
    document_put_uint(document, "entry", checkpoint->number);
    document_put_uint(document, "checkpoint", checkpoint->settled);
    document_put_uint(document, "tail_bytes", checkpoint->new_bytes + checkpoint->begun_bytes);
    document_put_bool(document, "damaged", lane->damaged);
    document_put_bool(document, "stuck", lane_is_stuck(router, number));
    document_put_text(document, "cause", lane->batches.cause.text);
    put_outbox(router, &lane->outbox, document);
    for (int step = 0; step < LANE_STEPS; step++) {
        document_put_uint(document, progress_key((lane_step_t)step),
                          progress_waits_ms(router, number, (lane_step_t)step));
    }
}

void health_put_lanes(const router_t *router, wire_writer_t *document)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        count += router->lanes[i].state != LANE_FOREIGN;
    }
    wire_put_text(document, "lanes");
    wire_put_array(document, count);
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        if (router->lanes[i].state != LANE_FOREIGN) {
            put_lane(router, i, document);
        }
    }
}

/* ---- types, and the shards of this broker's lanes ---- */

/* Of one entity type. */
typedef struct type_shards {
    uint32_t served, moving;
    uint32_t waiting; /* neither, and messages wait */
} type_shards_t;

typedef struct all_shards {
    type_shards_t types[LIMIT_TYPES_MAX];
    uint32_t held[LIMIT_GROUPS_MAX];   /* of each group, in lanes that this broker holds */
    uint32_t moving[LIMIT_GROUPS_MAX]; /* of these, in lanes that it is adopting or giving up */
} all_shards_t;

static bool lane_moves(const router_lane_t *lane)
{
    return lane->state == LANE_LEAVING || (lane->state == LANE_ADOPTING && !lane->damaged);
}

static void count_ownership(const ownership_t *ownership, bool served, type_shards_t *counts)
{
    bool owned = ownership->state == OWNERSHIP_OWNED;
    bool joined = owned && ownership->owner->state == RUNNER_JOINED;
    if (served && joined) {
        counts->served++;
    } else if (served && ownership->state != OWNERSHIP_UNOWNED) {
        counts->moving++;
    } else if (ownership->entities || ownership->overflows) {
        counts->waiting++;
    }
}

static void count_shard(router_t *router, const shard_t *shard, all_shards_t *all)
{
    const router_lane_t *lane = lane_of(router, shard->id);
    const ownership_t *ownership;
    uint16_t group = (uint16_t)(shard_id_group(shard->id) - 1);
    all->held[group]++;
    if (lane_moves(lane)) {
        all->moving[group]++;
        return;
    }
    DL_FOREACH(shard->ownerships, ownership)
    {
        const known_type_t *type = type_find(router, ownership_type(ownership));
        if (type) {
            count_ownership(ownership, shard_serves(router, shard), &all->types[type->index]);
        }
    }
}

static void count_shards(router_t *router, all_shards_t *all)
{
    memset(all, 0, sizeof *all);
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        shard_t *shard = NULL;
        while (router->lanes[i].state != LANE_FOREIGN &&
               (shard = shards_next_of_lane(router, i, shard))) {
            count_shard(router, shard, all);
        }
    }
}

static uint32_t count_bringers(const router_t *router, fabric_bytes_t type)
{
    uint32_t count = 0;
    for (const runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        count += runner_may_own(runner, type);
    }
    return count;
}

static void put_bringers(const router_t *router, fabric_bytes_t type, uint32_t count,
                         wire_writer_t *document)
{
    char text[33];
    wire_put_text(document, "runners");
    wire_put_array(document, count);
    for (const runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        if (runner_may_own(runner, type)) {
            wire_put_text(document, incarnation_text(runner->incarnation, text));
        }
    }
}

static void put_type(const router_t *router, const known_type_t *type, const all_shards_t *all,
                     bool runners, wire_writer_t *document)
{
    const type_shards_t *counts = &all->types[type->index];
    uint32_t moving = counts->moving + all->moving[type->group - 1];
    uint32_t bringers = count_bringers(router, fabric_bytes_of(type->name));
    wire_put_map(document, runners ? 8 : 7);
    document_put_text(document, "name", type->name);
    document_put_text(document, "group", type->description->group);
    document_put_uint(document, "brought", bringers);
    document_put_uint(document, "served", counts->served);
    document_put_uint(document, "moving", moving);
    document_put_uint(document, "unserved", all->held[type->group - 1] - counts->served - moving);
    document_put_uint(document, "waiting", counts->waiting);
    if (runners) {
        put_bringers(router, fabric_bytes_of(type->name), bringers, document);
    }
}

void health_put_types(router_t *router, bool runners, wire_writer_t *document)
{
    all_shards_t all;
    count_shards(router, &all);
    wire_put_text(document, "types");
    wire_put_array(document, types_count(router));
    for (const known_type_t *type = NULL; (type = types_next(router, type));) {
        put_type(router, type, &all, runners, document);
    }
}

/* ---- runners ---- */

void health_put_runners(const router_t *router, wire_writer_t *document)
{
    wire_put_text(document, "runners");
    wire_put_array(document, HASH_CNT(by_incarnation, router->runners));
    for (const runner_t *runner = router->runners; runner; runner = runner->by_incarnation.next) {
        wire_put_map(document, 12);
        document_put_incarnation(document, "incarnation", runner->incarnation);
        document_put_text(document, "name", runner->name);
        document_put_text(document, "standing", runner_standing_name(runner->standing));
        wire_put_text(document, "types");
        runner_put_types(runner, document);
        document_put_text(document, "state", runner_state_name(runner));
        document_put_uint(document, "weight", runner->weight);
        document_put_uint(document, "app_version", runner->app_version);
        document_put_uint(document, "owned", runner->owned);
        document_put_uint(document, "outstanding", runner->outstanding);
        document_put_uint(document, "executors", runner->executors);
        document_put_uint(document, "stuck", runner->stuck);
        document_put_uint(document, "stuck_ms", runner_stuck_for_ms(runner, router->now_ms));
    }
}

/* ---- the broker ---- */

static void put_fence(const router_t *router, wire_writer_t *document)
{
    const router_fence_t *fence = &router->fence;
    wire_put_text(document, "fence");
    if (!fence->any) {
        wire_put_nil(document);
        return;
    }
    wire_put_map(document, 2);
    document_put_uint(document, "ago_ms", router->now_ms - fence->at_ms);
    wire_put_text(document, "lane");
    if (fence->whole) {
        wire_put_nil(document);
    } else {
        wire_put_uint(document, fence->lane);
    }
}

/* For how long each store actor has done nothing though something waits for it. */
static void put_actors(const router_t *router, wire_writer_t *document)
{
    wire_put_text(document, "store");
    wire_put_map(document, LANE_STEPS);
    for (int step = 0; step < LANE_STEPS; step++) {
        uint64_t longest_ms = 0;
        for (uint32_t i = 0; i < router->config.lanes; i++) {
            uint64_t waits_ms = progress_waits_ms(router, i, (lane_step_t)step);
            longest_ms = waits_ms > longest_ms ? waits_ms : longest_ms;
        }
        document_put_uint(document, progress_actor((lane_step_t)step), longest_ms);
    }
}

void health_put(const router_t *router, wire_writer_t *document)
{
    uint64_t oldest_ms = 0;
    document_put_uint(document, "lanes_of_cluster", router->config.lanes);
    document_put_uint(document, "shards_per_group", router->config.shards_per_group);
    document_put_uint(document, "lease_ms", router->config.lease_ms);
    document_put_uint(document, "pending", router->counters.pending);
    wire_put_text(document, "oldest_pending_ms");
    if (pending_oldest(router, &oldest_ms)) {
        wire_put_uint(document, oldest_ms);
    } else {
        wire_put_nil(document);
    }
    put_fence(router, document);
    put_actors(router, document);
}
