/* The router: its beginning and end, and its ticks. See router.h, and README.md for its files. */
#include "broker/router/router.h"

#include <assert.h>
#include <utlist.h>

#include "broker/router/connections.h"
#include "broker/router/dispatch.h"
#include "broker/router/forgetting.h"
#include "broker/router/hand_over.h"
#include "broker/router/membership.h"
#include "broker/router/messages.h"
#include "broker/router/orders.h"
#include "broker/router/outbox_turns.h"
#include "broker/router/router_state.h"
#include "core/journal/entry.h"
#include "core/memory.h"

enum { TICK_MS = 10, SWEEP_MS = 1000, HIGH_ID_MS = 200 };

void router_config_defaults(router_config_t *config)
{
    config->lanes = 1;
    config->lease_ms = 3000;
    config->client_heartbeat_ms = 1000;
    config->worker_heartbeat_ms = 50;
    config->unreachable_grace_ms = 100;
    config->crash_report_grace_ms = 250;
    config->registration_ms = 60000;
    config->release_grace_ms = 5000;
    config->attempts_max = 10;
    config->crashes_max = 3;
    config->backoff_ms = 500;
    config->backoff_max_ms = 10000;
    config->outgoing_max = 1000000;
    config->outgoing_window = 1024;
    config->pending_max = 100000000;
    config->entity_pending_max = 100000000;
    config->memory_bytes_max = UINT64_C(1) << 30;
    config->batch_items_max = 4096;
    config->batch_bytes_max = JOURNAL_ENTRY_BYTES_GOAL;
    config->entity_window = 1024;
    config->schedule_window = 4096;
    config->checkpoint_ms = 1000;
    config->checkpoint_bytes = UINT64_C(64) << 20;
    config->checkpoint_bytes_max = UINT64_C(256) << 20;
    config->slice_rows_max = STORE_SLICE_ROWS_MAX;
    config->key_retention_ms = 86400000;
    config->key_filter_bytes = UINT64_C(64) << 20;
    config->state_bytes_free = UINT64_C(64) << 20;
    config->client_memory_ms = 60000;
    config->peers_max = 10000;
}

router_t *router_new(const router_config_t *config, uint64_t now_ms)
{
    assert(config->lanes >= 1 && config->lanes <= LIMIT_LANES_MAX);
    assert(config->slice_rows_max >= 2 && config->slice_rows_max <= STORE_SLICE_ROWS_MAX);
    assert(config->entity_window >= 1 && config->schedule_window >= 1);
    assert(config->outgoing_window >= 1);
    assert(config->machine < SNOWFLAKE_MACHINES && config->shards_per_group >= 1);
    router_t *router = memory_allocate_zeroed(1, sizeof *router);
    router->config = *config;
    router->mailbox_capacity_min = UINT32_MAX;
    router->started_ms = router->now_ms = now_ms;
    router->last_tick_ms = router->last_sweep_ms = now_ms;
    router_clock(router, config->store_now_ms, now_ms);
    router->due_ms = INT64_MAX;
    fabric_error_t error = snowflake_generator_init(&router->generator, config->machine);
    assert(!error);
    (void)error;
    snowflake_lift(&router->generator, (request_id_t){config->high_id});
    for (uint32_t i = 0; i < config->lanes; i++) {
        router->lanes[i].batches.available = true;
    }
    lanes_init(router);
    checkpoints_init(router);
    router->map = shard_map_new();
    shard_map_set_shards_per_group(router->map, config->shards_per_group);
    shard_map_set_lanes(router->map, config->lanes);
    return router;
}

void router_destroy(router_t **at)
{
    router_t *router = *at;
    if (!router) {
        return;
    }
    lanes_destroy(router);
    clients_destroy(router);
    peers_destroy(router);
    members_destroy(router);
    relays_destroy(router);
    outgoing_destroy(router);
    entities_destroy(router);
    messages_destroy(router);
    runner_t *runner, *next_runner;
    HASH_ITER(by_incarnation, router->runners, runner, next_runner)
    {
        runner_remove(router, runner);
        runner_destroy(runner);
    }
    types_destroy(router);
    orders_destroy(router);
    alives_destroy(router);
    ownerships_destroy(router);
    shards_destroy(router);
    batches_destroy(router);
    lookups_destroy(router);
    overflows_destroy(router);
    loads_destroy(router);
    schedules_destroy(router);
    searches_destroy(router);
    early_ends_destroy(router);
    operator_cancels_destroy(router);
    checkpoints_destroy(router);
    keys_destroy(router);
    persisted_destroy(router);
    readers_destroy(router);
    clears_destroy(router);
    outboxes_destroy(router);
    shard_map_destroy(&router->map);
    wire_writer_destroy(&router->scratch);
    free(router);
    *at = NULL;
}

/* ---- time ---- */

static void report_high_id(router_t *router)
{
    router->high_id_at_ms = router->now_ms + HIGH_ID_MS;
    order_add(router,
              &(router_order_t){.kind = ROUTER_HIGH_ID, .high_id = request_id_highest(router)});
}

void router_tick(router_t *router, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router->last_tick_ms = now_ms;
    documents_tick(router);
    progress_tick(router);
    pending_tick(router);
    runners_tick(router);
    schedules_tick(router);
    operator_cancels_tick(router);
    readers_tick(router);
    entities_wake(router);
    alive_tick(router);
    connections_tick(router);
    hand_overs_tick(router);
    settlement_tick(router);
    forgetting_tick(router);
    outboxes_tick(router);
    if (now_ms - router->last_sweep_ms >= SWEEP_MS) {
        router->last_sweep_ms = now_ms;
        clients_sweep(router);
    }
    if (now_ms >= router->high_id_at_ms) {
        report_high_id(router);
    }
}

bool router_go_on(router_t *router, uint64_t now_ms)
{
    router->now_ms = now_ms;
    return lanes_go_on(router) || outboxes_go_on(router);
}

uint64_t router_next_deadline(const router_t *router)
{
    uint64_t tick_ms = router->last_tick_ms + TICK_MS;
    uint64_t due_ms = schedules_deadline_ms(router);
    return due_ms < tick_ms ? due_ms : tick_ms;
}

void router_lease(router_t *router, uint64_t until_ms, uint64_t id_mark)
{
    bool was_leased = router_is_leased(router);
    router->lease_until_ms = until_ms;
    router->id_mark = id_mark;
    if (was_leased) {
        return;
    }
    entity_t *entity, *next;
    HASH_ITER(by_name, router->entities, entity, next)
    {
        entity_dispatch(router, entity);
        entity_release(router, entity);
    }
}

/* ---- the cluster ---- */

void router_type(router_t *router, uint16_t group, fabric_bytes_t description)
{
    type_set(router, group, description);
    shards_add_group(router, group);
}

void router_type_forgotten(router_t *router, fabric_bytes_t name)
{
    type_forget(router, name);
}

void router_registered(router_t *router, uint64_t ago_ms, uint64_t now_ms)
{
    router->now_ms = now_ms;
    unregistered_note_registration(router, ago_ms);
}

void router_types_read(router_t *router, bool read)
{
    router->types_read = read;
}

void router_types_listed(router_t *router)
{
    router->types_listed = true;
}

void router_holder(router_t *router, incarnation_t broker)
{
    router->holder = broker;
}

void router_map(router_t *router, fabric_bytes_t encoded)
{
    fabric_error_t error = shard_map_apply_again(router->map, encoded, NULL);
    assert(!error); /* this broker's own coordinator made it, in order */
    (void)error;
    hand_overs_follow_map(router);
    router->outboxes_wait = true;
}

void router_counters(const router_t *router, router_counters_t *counters)
{
    *counters = router->counters;
}
