/* The coordinator's core, which combines the decisions of its parts. Only this file knows all
 * parts; a part knows only those that it was made with. See coordinator.h and README.md. */
#include "broker/coordinator/coordinator.h"

#include <stdlib.h>

#include "broker/coordinator/admission.h"
#include "broker/coordinator/members.h"
#include "broker/coordinator/publication.h"
#include "broker/coordinator/registry.h"
#include "broker/coordinator/runners.h"
#include "broker/coordinator/schedule.h"
#include "broker/coordinator/shards.h"
#include "broker/coordinator/term.h"
#include "core/memory.h"

struct coordinator {
    coordinator_config_t config;
    uint64_t now_ms;
    bool ready;
    shard_map_t *map;
    coordinator_effects_t *effects;
    coordinator_schedule_t *schedule;
    coordinator_term_t *term;
    coordinator_members_t *members;
    coordinator_registry_t *registry;
    coordinator_runners_t *runners;
    coordinator_admission_t *admission;
    coordinator_shards_t *shards;
    coordinator_publication_t *publication;
};

coordinator_t *coordinator_new(const coordinator_config_t *config, uint64_t now_ms)
{
    coordinator_t *self = memory_allocate_zeroed(1, sizeof *self);
    incarnation_t broker = config->incarnation;
    self->config = *config;
    self->now_ms = now_ms;
    self->map = shard_map_new();
    shard_map_set_shards_per_group(self->map, config->shards_per_group);
    self->effects = coordinator_effects_new();
    self->schedule = coordinator_schedule_new(config->lease_ms, now_ms);
    self->term = coordinator_term_new(broker, self->effects);
    self->members = coordinator_members_new(broker, config->lease_ms);
    self->registry = coordinator_registry_new(self->map, self->effects);
    self->runners = coordinator_runners_new();
    self->admission =
        coordinator_admission_new(self->registry, self->runners, self->schedule, self->effects);
    self->shards = coordinator_shards_new(broker, config->shards_per_group, self->effects);
    self->publication = coordinator_publication_new(self->map, self->effects);
    return self;
}

void coordinator_destroy(coordinator_t **coordinator)
{
    coordinator_t *self = *coordinator;
    if (!self) {
        return;
    }
    coordinator_publication_destroy(&self->publication);
    coordinator_shards_destroy(&self->shards);
    coordinator_admission_destroy(&self->admission);
    coordinator_runners_destroy(&self->runners);
    coordinator_registry_destroy(&self->registry);
    coordinator_members_destroy(&self->members);
    coordinator_term_destroy(&self->term);
    coordinator_schedule_destroy(&self->schedule);
    coordinator_effects_destroy(&self->effects);
    shard_map_destroy(&self->map);
    free(self);
    *coordinator = NULL;
}

bool coordinator_holds_term(const coordinator_t *self)
{
    return coordinator_term_standing(self->term) == STANDING_HOLDER;
}

static bool is_fenced(const coordinator_t *self)
{
    return coordinator_term_standing(self->term) == STANDING_FENCED;
}

bool coordinator_next_effect(coordinator_t *self, coordinator_effect_t *effect)
{
    return coordinator_effects_take(self->effects, effect);
}

/* ---- what any event may bring about ---- */

/* Whether this broker knows the cluster: who holds the term, groups, types and shards. */
static bool is_informed(const coordinator_t *self)
{
    return coordinator_term_standing(self->term) != STANDING_UNKNOWN &&
           coordinator_registry_groups_are_read(self->registry) &&
           coordinator_registry_types_are_read(self->registry) &&
           coordinator_shards_are_read(self->shards);
}

static void settle(coordinator_t *self)
{
    if (is_fenced(self)) {
        return;
    }
    coordinator_admission_conclude(self->admission, self->now_ms);
    if (coordinator_registry_groups_are_read(self->registry) &&
        coordinator_shards_are_read(self->shards) && coordinator_term_row(self->term)->term > 0) {
        coordinator_publication_publish(self->publication, self->term, self->now_ms);
    }
    if (!self->ready && is_informed(self) && !coordinator_shards_are_loading(self->shards) &&
        !coordinator_schedule_is_due(self->schedule, COORDINATOR_TAKE_HOMES)) {
        self->ready = true;
        coordinator_effects_add(self->effects, COORDINATOR_READY);
    }
}

static void place(coordinator_t *self)
{
    coordinator_shards_place(self->shards, self->registry, self->runners);
}

static void announce_homes(coordinator_t *self)
{
    if (coordinator_shards_announce(self->shards)) {
        place(self);
    }
}

static void put_map(coordinator_t *self)
{
    coordinator_publication_put_all(self->publication, self->members, self->shards);
}

/* ---- the next call ---- */

static bool choose_row_of_runner(coordinator_t *self, coordinator_call_t *call)
{
    if (!coordinator_holds_term(self)) {
        return false;
    }
    if (coordinator_schedule_is_due(self->schedule, COORDINATOR_LIST_RUNNERS)) {
        call->kind = COORDINATOR_LIST_RUNNERS;
        return true;
    }
    const incarnation_t *removal = coordinator_runners_next_removal(self->runners);
    if (removal) {
        call->kind = COORDINATOR_REMOVE_RUNNER;
        call->runner.incarnation = *removal;
        return true;
    }
    const coordinator_runner_t *runner = coordinator_runners_next_unwritten(self->runners);
    if (runner) {
        call->kind = COORDINATOR_PUT_RUNNER;
        call->runner = runner->stored;
    }
    return runner != NULL;
}

bool coordinator_next_call(coordinator_t *self, uint64_t now_ms, coordinator_call_t *call)
{
    self->now_ms = now_ms;
    if (is_fenced(self) || !coordinator_schedule_open(self->schedule, now_ms)) {
        return false;
    }
    *call = (coordinator_call_t){.self = self->config.incarnation,
                                 .term = coordinator_term_held(self->term),
                                 .before = *coordinator_term_row(self->term)};
    if (!coordinator_schedule_first(self->schedule, now_ms, &call->kind) &&
        !coordinator_admission_next_call(self->admission, call) &&
        !choose_row_of_runner(self, call)) {
        return false;
    }
    if (call->kind == COORDINATOR_TAKE_HOMES) {
        call->living = coordinator_members_living(self->members, &call->living_count);
    }
    coordinator_schedule_begin(self->schedule, call, now_ms);
    return true;
}

/* ---- the term ---- */

static void become_holder(coordinator_t *self, uint64_t term)
{
    durable_term_read(self->config.durable, term);
    coordinator_term_win(self->term, term);
    coordinator_schedule_withdraw(self->schedule, COORDINATOR_TAKE_TERM);
    coordinator_schedule_require(self->schedule, COORDINATOR_TAKE_HOMES);
    coordinator_schedule_require(self->schedule, COORDINATOR_LIST_RUNNERS);
    coordinator_schedule_stop_refreshing(self->schedule);
    coordinator_members_begin_term(self->members);
    coordinator_admission_begin_term(self->admission);
    /* A holder is ready when it has loaded its shards. What it read as a standby does not count. */
    coordinator_shards_begin_term(self->shards);
    coordinator_registry_begin_term(self->registry);
    shard_map_begin_term(self->map, term);
}

static void judge_holder(coordinator_t *self)
{
    incarnation_t holder = coordinator_term_row(self->term)->holder;
    switch (coordinator_term_judge(self->term, coordinator_members_lives(self->members, holder))) {
    case VERDICT_NONE:
        break;
    case VERDICT_WON:
        become_holder(self, coordinator_term_row(self->term)->term);
        break;
    case VERDICT_LOST:
        coordinator_term_fence(self->term);
        break;
    case VERDICT_VACANT:
        coordinator_members_depose(self->members, holder);
        coordinator_schedule_require(self->schedule, COORDINATOR_TAKE_TERM);
        break;
    case VERDICT_HELD:
        coordinator_members_depose(self->members, (incarnation_t){{0}});
        coordinator_schedule_withdraw(self->schedule, COORDINATOR_TAKE_TERM);
        if (coordinator_term_standing(self->term) == STANDING_UNKNOWN) {
            coordinator_term_stand_by(self->term);
            coordinator_schedule_start_refreshing(self->schedule, self->now_ms);
        }
        break;
    }
}

static void take_row(coordinator_t *self, const store_coordinator_t *row)
{
    if (durable_term_is_lost(self->config.durable, row->term)) {
        coordinator_term_fence(self->term); /* the next opening of the store says why */
        return;
    }
    durable_term_read(self->config.durable, row->term);
    coordinator_term_take_row(self->term, row);
    coordinator_schedule_require(self->schedule, COORDINATOR_LIST_BROKERS);
}

/* ---- answers ---- */

static void take_members(coordinator_t *self, const coordinator_call_t *call,
                         const coordinator_results_t *results)
{
    coordinator_members_take(self->members, results->brokers, results->broker_count,
                             call->started_ms, self->now_ms);
    if (!coordinator_members_has(self->members, self->config.incarnation)) {
        coordinator_term_fence(self->term);
        return;
    }
    if (coordinator_term_is_unjudged(self->term)) {
        judge_holder(self);
    }
    if (coordinator_holds_term(self) &&
        (coordinator_members_has_dead(self->members) ||
         coordinator_shards_miss_homes(self->shards, self->members))) {
        coordinator_schedule_require(self->schedule, COORDINATOR_TAKE_HOMES);
    }
    put_map(self);
}

static void take_shards(coordinator_t *self, const coordinator_results_t *results)
{
    if (!coordinator_shards_take(self->shards, results->shards, results->shard_count)) {
        coordinator_term_fence(self->term);
        return;
    }
    announce_homes(self);
    put_map(self);
}

/* A runner's row is to be removed. A broker that takes the term later finds all rows that are
 * left. */
static void forget_row(coordinator_t *self, incarnation_t runner)
{
    if (coordinator_holds_term(self)) {
        coordinator_runners_forget_row(self->runners, runner);
    }
}

/* Rows of runners that have not joined here are left over from former holders of the term. */
static void take_runners(coordinator_t *self, const coordinator_results_t *results)
{
    for (size_t i = 0; i < results->runner_count; i++) {
        incarnation_t incarnation = results->runners[i].incarnation;
        const coordinator_runner_t *runner = coordinator_runners_find(self->runners, incarnation);
        if (!runner || !runner->joined) {
            forget_row(self, incarnation);
        }
    }
}

static void call_succeeded(coordinator_t *self, const coordinator_call_t *call,
                           const coordinator_results_t *results)
{
    switch (call->kind) {
    case COORDINATOR_RENEW:
        durable_term_wrote(self->config.durable);
        coordinator_effects_add(self->effects, COORDINATOR_LEASE)->number =
            call->started_ms + self->config.lease_ms;
        break;
    case COORDINATOR_LIST_BROKERS:
        take_members(self, call, results);
        break;
    case COORDINATOR_READ_TERM:
        take_row(self, &results->coordinator);
        break;
    case COORDINATOR_TAKE_TERM:
        become_holder(self, results->term);
        durable_term_wrote(self->config.durable);
        break;
    case COORDINATOR_TAKE_HOMES:
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_GROUPS);
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_TYPES);
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_SHARDS);
        break;
    case COORDINATOR_LIST_GROUPS:
        coordinator_registry_take_groups(self->registry, results->groups, results->group_count);
        break;
    case COORDINATOR_LIST_TYPES:
        coordinator_registry_take_types(self->registry, results->types, results->type_count);
        break;
    case COORDINATOR_LIST_SHARDS:
        take_shards(self, results);
        break;
    case COORDINATOR_LIST_RUNNERS:
        take_runners(self, results);
        break;
    case COORDINATOR_PUT_GROUP:
    case COORDINATOR_PUT_TYPE:
        coordinator_admission_answered(self->admission, call, FABRIC_OK, results);
        break;
    case COORDINATOR_PUT_RUNNER:
        coordinator_runners_row_written(self->runners, call->runner.incarnation);
        break;
    case COORDINATOR_REMOVE_RUNNER:
        coordinator_runners_keep_row(self->runners, call->runner.incarnation);
        break;
    }
}

static void call_failed(coordinator_t *self, const coordinator_call_t *call, fabric_error_t error)
{
    if (error == FABRIC_ERROR_FENCED) {
        /* A term that cannot be taken was taken by a faster broker: this one is not fenced by
         * it. */
        if (call->kind != COORDINATOR_TAKE_TERM) {
            coordinator_term_fence(self->term);
        }
        return;
    }
    durable_term_failed(self->config.durable);
    if (call->kind == COORDINATOR_PUT_GROUP || call->kind == COORDINATOR_PUT_TYPE) {
        coordinator_admission_answered(self->admission, call, error, NULL);
    }
}

void coordinator_answer(coordinator_t *self, fabric_error_t error,
                        const coordinator_results_t *results, uint64_t now_ms)
{
    self->now_ms = now_ms;
    const coordinator_call_t *call = coordinator_schedule_end(self->schedule, error, now_ms);
    if (is_fenced(self)) {
        return;
    }
    if (error) {
        call_failed(self, call, error);
    } else {
        call_succeeded(self, call, results);
    }
    settle(self);
}

/* ---- orders ---- */

static void runner_joined(coordinator_t *self, incarnation_t incarnation)
{
    const coordinator_runner_t *runner = coordinator_runners_find(self->runners, incarnation);
    if (!runner) {
        return; /* it left while its welcome was under way */
    }
    bool again = runner->joined;
    coordinator_runners_join(self->runners, incarnation);
    place(self);
    if (again) {
        coordinator_shards_desire_again(self->shards, incarnation);
    }
}

static void runner_left(coordinator_t *self, incarnation_t incarnation)
{
    const coordinator_runner_t *runner = coordinator_runners_find(self->runners, incarnation);
    if (!runner) {
        return;
    }
    bool joined = runner->joined;
    coordinator_runners_remove(self->runners, incarnation);
    if (joined) {
        forget_row(self, incarnation);
        place(self);
    }
}

static void owner_changed(coordinator_t *self, const router_order_t *order)
{
    const coordinator_shard_t *shard =
        coordinator_shards_set_owner(self->shards, order->shard, order->runner, order->token);
    if (shard) {
        coordinator_publication_put_shard(self->publication, shard);
    }
}

void coordinator_order(coordinator_t *self, const router_order_t *order, uint64_t now_ms)
{
    self->now_ms = now_ms;
    if (is_fenced(self)) {
        return;
    }
    switch (order->kind) {
    case ROUTER_ADMIT:
        coordinator_admission_ask(self->admission, order, now_ms + self->config.lease_ms);
        break;
    case ROUTER_RUNNER_JOINED:
        runner_joined(self, order->runner);
        break;
    case ROUTER_RUNNER_LEFT:
        runner_left(self, order->runner);
        break;
    case ROUTER_OWNER_CHANGED:
        owner_changed(self, order);
        break;
    }
    settle(self);
}

void coordinator_loaded(coordinator_t *self, uint64_t now_ms)
{
    self->now_ms = now_ms;
    coordinator_shards_loaded(self->shards);
    if (!is_fenced(self)) {
        announce_homes(self);
    }
    settle(self);
}

void coordinator_tick(coordinator_t *self, uint64_t now_ms)
{
    self->now_ms = now_ms;
    settle(self);
}

uint64_t coordinator_next_deadline(const coordinator_t *self, uint64_t now_ms)
{
    if (is_fenced(self)) {
        return UINT64_MAX;
    }
    uint64_t call_ms = coordinator_schedule_next_deadline(self->schedule, now_ms);
    uint64_t map_ms = coordinator_publication_next_deadline(self->publication, now_ms);
    return call_ms < map_ms ? call_ms : map_ms;
}
