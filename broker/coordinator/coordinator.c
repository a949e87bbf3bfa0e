/* The coordinator's core: events, the choice of the next store call, and effects. */
#include "broker/coordinator/coordinator_state.h"

#include <assert.h>
#include <stdlib.h>

void *coordinator_grow(void *items, size_t count, size_t size)
{
    uint8_t *grown = realloc(items, count * size);
    if (!grown) {
        abort();
    }
    memset(grown + (count - 1) * size, 0, size);
    return grown;
}

coordinator_t *coordinator_new(const coordinator_config_t *config, uint64_t now_ms)
{
    coordinator_t *c = calloc(1, sizeof *c);
    if (!c) {
        abort();
    }
    c->config = *config;
    c->now_ms = now_ms;
    c->renew_ms = now_ms;
    c->list_ms = now_ms;
    c->refresh_ms = UINT64_MAX; /* until somebody else is seen to hold the term */
    c->map = shard_map_new();
    shard_map_set_shards_per_group(c->map, config->shards_per_group);
    return c;
}

void coordinator_destroy(coordinator_t **coordinator)
{
    coordinator_t *c = *coordinator;
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->effect_count; i++) {
        coordinator_effect_clear(&c->effects[c->effect_first + i]);
    }
    coordinator_types_destroy(c);
    shard_map_destroy(&c->map);
    free(c->effects);
    free(c->members);
    free(c->living);
    free(c->shards);
    free(c->removals);
    free(c);
    *coordinator = NULL;
}

bool coordinator_holds_term(const coordinator_t *c)
{
    return c->holder && !c->fenced;
}

/* ---- effects ---- */

coordinator_effect_t *coordinator_emit(coordinator_t *c, coordinator_effect_kind_t kind)
{
    if (c->effect_count == 0) {
        c->effect_first = 0;
    }
    size_t end = c->effect_first + c->effect_count;
    if (end == c->effect_room) {
        c->effect_room = c->effect_room ? c->effect_room * 2 : 64;
        c->effects = realloc(c->effects, c->effect_room * sizeof *c->effects);
        if (!c->effects) {
            abort();
        }
    }
    c->effects[end] = (coordinator_effect_t){.kind = kind};
    c->effect_count++;
    return &c->effects[end];
}

void coordinator_emit_bytes(coordinator_effect_t *effect, fabric_bytes_t bytes)
{
    effect->bytes = malloc(bytes.size + 1);
    if (!effect->bytes) {
        abort();
    }
    if (bytes.size > 0) {
        memcpy(effect->bytes, bytes.data, bytes.size);
    }
    effect->bytes[bytes.size] = 0;
    effect->size = bytes.size;
}

bool coordinator_next_effect(coordinator_t *c, coordinator_effect_t *effect)
{
    if (c->effect_count == 0) {
        return false;
    }
    *effect = c->effects[c->effect_first++];
    c->effect_count--;
    return true;
}

void coordinator_effect_clear(coordinator_effect_t *effect)
{
    free(effect->shards);
    free(effect->bytes);
    effect->shards = NULL;
    effect->bytes = NULL;
}

void coordinator_fence(coordinator_t *c)
{
    if (!c->fenced) {
        c->fenced = true;
        coordinator_emit(c, COORDINATOR_FENCED);
    }
}

/* What may have become due by any event. */
static void settle(coordinator_t *c)
{
    if (c->fenced) {
        return;
    }
    coordinator_conclude_admissions(c);
    coordinator_publish(c, c->now_ms);
    bool informed = c->judged && c->groups_read && c->types_read && c->shards_read;
    if (!c->ready && informed && !c->homes_due && !c->loading) {
        c->ready = true;
        coordinator_emit(c, COORDINATOR_READY);
    }
}

/* ---- the next call ---- */

static void call_timers(coordinator_t *c)
{
    if (c->now_ms >= c->list_ms) {
        c->list_ms = c->now_ms + c->config.lease_ms / 12;
        c->term_due = true;
    }
    if (c->now_ms >= c->refresh_ms) {
        c->refresh_ms = c->holder ? UINT64_MAX : c->now_ms + c->config.lease_ms / 2;
        c->groups_due = c->types_due = c->shards_due = true;
    }
}

static bool choose_bookkeeping(coordinator_t *c, coordinator_call_t *call)
{
    if (c->runners_due) {
        call->kind = COORDINATOR_LIST_RUNNERS;
        return true;
    }
    if (c->removal_count > 0) {
        call->kind = COORDINATOR_REMOVE_RUNNER;
        call->runner.incarnation = c->removals[c->removal_count - 1];
        return true;
    }
    for (size_t i = 0; i < c->runner_count; i++) {
        if (c->runners[i]->put_due) {
            call->kind = COORDINATOR_PUT_RUNNER;
            call->runner = c->runners[i]->stored;
            return true;
        }
    }
    return false;
}

static bool choose_call(coordinator_t *c, coordinator_call_t *call)
{
    const struct {
        bool due;
        coordinator_call_kind_t kind;
    } order[] = {
        {c->now_ms >= c->renew_ms, COORDINATOR_RENEW},
        {c->take_due, COORDINATOR_TAKE_TERM},
        /* Who has just joined must not be taken for dead. */
        {c->fresh_list_due || (c->homes_due && !c->list_is_fresh), COORDINATOR_LIST_BROKERS},
        {c->homes_due, COORDINATOR_TAKE_HOMES},
        {c->groups_due, COORDINATOR_LIST_GROUPS},
        {c->types_due, COORDINATOR_LIST_TYPES},
        {c->shards_due, COORDINATOR_LIST_SHARDS},
        /* After what it may make due again, or a slow store would keep us from ever reading it. */
        {c->term_due, COORDINATOR_READ_TERM}};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (order[i].due) {
            call->kind = order[i].kind;
            return true;
        }
    }
    return coordinator_next_admission(c, call) || (c->holder && choose_bookkeeping(c, call));
}

bool coordinator_next_call(coordinator_t *c, uint64_t now_ms, coordinator_call_t *call)
{
    c->now_ms = now_ms;
    if (c->in_flight || c->fenced || now_ms < c->retry_ms) {
        return false;
    }
    call_timers(c);
    c->call =
        (coordinator_call_t){.self = c->config.incarnation, .term = c->term, .before = c->row};
    if (!choose_call(c, &c->call)) {
        return false;
    }
    if (c->call.kind == COORDINATOR_TAKE_HOMES) {
        coordinator_find_living(c, &c->call);
    }
    c->list_is_fresh = false;
    c->in_flight = true;
    c->call_started_ms = now_ms;
    *call = c->call;
    return true;
}

/* ---- answers ---- */

static void keep_row(coordinator_t *c, incarnation_t runner)
{
    for (size_t i = 0; i < c->removal_count; i++) {
        if (incarnation_equal(c->removals[i], runner)) {
            memmove(&c->removals[i], &c->removals[i + 1],
                    (c->removal_count - i - 1) * sizeof *c->removals);
            c->removal_count--;
            return;
        }
    }
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void call_succeeded(coordinator_t *c, const coordinator_results_t *results)
{
    switch (c->call.kind) {
    case COORDINATOR_RENEW:
        store_past_wrote(c->config.past);
        /* A slow store must not have us renew and do nothing else: another call comes between. */
        c->renew_ms =
            later(c->call_started_ms + c->config.lease_ms / 6, c->now_ms + c->config.lease_ms / 60);
        coordinator_emit(c, COORDINATOR_LEASE)->number = c->call_started_ms + c->config.lease_ms;
        break;
    case COORDINATOR_LIST_BROKERS:
        coordinator_take_members(c, results, c->now_ms);
        break;
    case COORDINATOR_READ_TERM:
        c->term_due = false;
        coordinator_take_row(c, &results->coordinator);
        break;
    case COORDINATOR_TAKE_TERM:
        coordinator_become_holder(c, results->term);
        store_past_wrote(c->config.past);
        break;
    case COORDINATOR_TAKE_HOMES:
        c->homes_due = false;
        c->groups_due = c->types_due = c->shards_due = true;
        break;
    case COORDINATOR_LIST_GROUPS:
        c->groups_due = false;
        coordinator_take_groups(c, results);
        break;
    case COORDINATOR_LIST_TYPES:
        c->types_due = false;
        coordinator_take_types(c, results);
        break;
    case COORDINATOR_LIST_SHARDS:
        c->shards_due = false;
        coordinator_take_shards(c, results);
        break;
    case COORDINATOR_LIST_RUNNERS:
        c->runners_due = false;
        coordinator_take_runners(c, results);
        break;
    case COORDINATOR_PUT_GROUP:
    case COORDINATOR_PUT_TYPE:
        coordinator_admission_answered(c, FABRIC_OK, results);
        break;
    case COORDINATOR_PUT_RUNNER: {
        member_runner_t *runner = coordinator_runner(c, c->call.runner.incarnation);
        if (runner) {
            runner->put_due = false;
        }
        break;
    }
    case COORDINATOR_REMOVE_RUNNER:
        keep_row(c, c->call.runner.incarnation);
        break;
    }
}

static void call_failed(coordinator_t *c, fabric_error_t error)
{
    if (error == FABRIC_ERROR_FENCED) {
        if (c->call.kind == COORDINATOR_TAKE_TERM) {
            c->take_due = false; /* somebody was faster: look again */
            c->term_due = true;
        } else {
            coordinator_fence(c);
        }
        return;
    }
    store_past_failed(c->config.past);
    if (c->call.kind == COORDINATOR_PUT_GROUP || c->call.kind == COORDINATOR_PUT_TYPE) {
        coordinator_admission_answered(c, error, NULL);
    }
    if (c->call.kind == COORDINATOR_TAKE_TERM) {
        c->take_due = false; /* whether it was taken shows at the next reading */
        c->term_due = true;
    }
    if (fabric_error_class(error) != FABRIC_CLASS_REJECTED) {
        c->retry_ms =
            c->now_ms + (error == FABRIC_ERROR_STORE_BUSY ? BUSY_RETRY_MS : DOWN_RETRY_MS);
    }
}

void coordinator_answer(coordinator_t *c, fabric_error_t error,
                        const coordinator_results_t *results, uint64_t now_ms)
{
    assert(c->in_flight);
    c->now_ms = now_ms;
    c->in_flight = false;
    if (c->fenced) {
        return;
    }
    if (error) {
        call_failed(c, error);
    } else {
        call_succeeded(c, results);
    }
    settle(c);
}

/* ---- orders ---- */

void coordinator_forget_row(coordinator_t *c, incarnation_t runner)
{
    if (c->holder) { /* who takes the term later finds all rows */
        c->removals = coordinator_grow(c->removals, ++c->removal_count, sizeof *c->removals);
        c->removals[c->removal_count - 1] = runner;
    }
}

static void runner_joined(coordinator_t *c, const router_order_t *order)
{
    member_runner_t *runner = coordinator_runner(c, order->runner);
    if (!runner) {
        return; /* it left while its welcome was under way */
    }
    bool again = runner->joined;
    runner->joined = true;
    runner->put_due = true;
    keep_row(c, order->runner);
    coordinator_place(c);
    if (again) {
        coordinator_desire_again(c, order->runner);
    }
}

static void runner_left(coordinator_t *c, const router_order_t *order)
{
    member_runner_t *runner = coordinator_runner(c, order->runner);
    if (!runner) {
        return;
    }
    bool joined = runner->joined;
    coordinator_remove_runner(c, order->runner);
    if (joined) {
        coordinator_forget_row(c, order->runner);
        coordinator_place(c);
    }
}

static void owner_changed(coordinator_t *c, const router_order_t *order)
{
    held_shard_t *shard = coordinator_shard(c, order->shard);
    if (shard && shard->known) {
        shard->owner = order->runner;
        shard->token = order->token;
        coordinator_map_shard(c, shard);
    }
}

void coordinator_order(coordinator_t *c, const router_order_t *order, uint64_t now_ms)
{
    c->now_ms = now_ms;
    if (c->fenced) {
        return;
    }
    switch (order->kind) {
    case ROUTER_ADMIT:
        coordinator_admit(c, order);
        break;
    case ROUTER_RUNNER_JOINED:
        runner_joined(c, order);
        break;
    case ROUTER_RUNNER_LEFT:
        runner_left(c, order);
        break;
    case ROUTER_OWNER_CHANGED:
        owner_changed(c, order);
        break;
    }
    settle(c);
}

void coordinator_loaded(coordinator_t *c, uint64_t now_ms)
{
    c->now_ms = now_ms;
    c->loading = false;
    coordinator_announce_homes(c);
    settle(c);
}

void coordinator_tick(coordinator_t *c, uint64_t now_ms)
{
    c->now_ms = now_ms;
    settle(c);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t coordinator_next_deadline(const coordinator_t *c, uint64_t now_ms)
{
    if (c->fenced) {
        return UINT64_MAX;
    }
    uint64_t deadline = earlier(earlier(c->renew_ms, c->list_ms), c->refresh_ms);
    if (deadline < c->retry_ms) {
        deadline = c->retry_ms;
    }
    bool waiting = now_ms < c->retry_ms && !c->in_flight;
    if (waiting) {
        deadline = earlier(deadline, c->retry_ms);
    }
    return shard_map_changed(c->map) && c->publish_ms > now_ms ? earlier(deadline, c->publish_ms)
                                                               : deadline;
}
