/* The coordinator's core, which combines the decisions of its parts. Only this file knows all
 * parts; a part knows only those that it was made with. See coordinator.h and README.md. */
#include "broker/coordinator/coordinator.h"

#include <stdlib.h>

#include "broker/coordinator/admission.h"
#include "broker/coordinator/lanes.h"
#include "broker/coordinator/members.h"
#include "broker/coordinator/publication.h"
#include "broker/coordinator/registry.h"
#include "broker/coordinator/runners.h"
#include "broker/coordinator/schedule.h"
#include "broker/coordinator/shards.h"
#include "broker/coordinator/term.h"
#include "core/memory.h"

#define RESERVED_IDS ((uint64_t)10000 << 22) /* those of 10 s, ahead of the highest id */

struct coordinator {
    coordinator_config_t config;
    uint64_t now_ms;
    uint64_t high_id; /* as the router has told it */
    uint64_t id_mark; /* as the store has it */
    bool ready;
    bool without_heir; /* the router was told */
    shard_map_t *map;
    coordinator_effects_t *effects;
    coordinator_schedule_t *schedule;
    coordinator_term_t *term;
    coordinator_members_t *members;
    coordinator_registry_t *registry;
    coordinator_runners_t *runners;
    coordinator_admission_t *admission;
    coordinator_lanes_t *lanes;
    coordinator_shards_t *shards;
    coordinator_publication_t *publication;
};

coordinator_t *coordinator_new(const coordinator_config_t *config, uint64_t now_ms)
{
    coordinator_t *self = memory_allocate_zeroed(1, sizeof *self);
    incarnation_t broker = config->incarnation;
    self->config = *config;
    self->now_ms = now_ms;
    self->high_id = config->high_id;
    self->map = shard_map_new();
    shard_map_set_shards_per_group(self->map, config->shards_per_group);
    shard_map_set_lanes(self->map, config->lanes);
    self->effects = coordinator_effects_new();
    self->schedule = coordinator_schedule_new(config->lease_ms, now_ms);
    self->term = coordinator_term_new(broker, self->effects);
    self->members = coordinator_members_new(broker, config->lease_ms);
    self->registry = coordinator_registry_new(self->map, self->effects);
    self->runners = coordinator_runners_new();
    self->admission =
        coordinator_admission_new(self->registry, self->runners, self->schedule, self->effects);
    self->lanes = coordinator_lanes_new(broker, config->lanes, self->effects);
    self->shards = coordinator_shards_new(config->shards_per_group, self->lanes, self->effects);
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
    coordinator_lanes_destroy(&self->lanes);
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

/* Whether this broker knows the cluster: who holds the term, groups, types and lanes. */
static bool is_informed(const coordinator_t *self)
{
    return coordinator_term_standing(self->term) != STANDING_UNKNOWN &&
           coordinator_registry_groups_are_read(self->registry) &&
           coordinator_registry_types_are_read(self->registry) &&
           coordinator_lanes_are_read(self->lanes);
}

/* Whether this broker has done what it is to do for the lanes. */
static bool has_settled_lanes(const coordinator_t *self)
{
    return coordinator_lanes_all_tried(self->lanes) &&
           (!coordinator_holds_term(self) ||
            coordinator_lanes_all_held(self->lanes, self->members));
}

/* Whether another broker may be given the lanes of this one. */
static bool has_heir(const coordinator_t *self)
{
    for (size_t i = 0; i < coordinator_members_count(self->members); i++) {
        incarnation_t broker = coordinator_members_at(self->members, i)->incarnation;
        if (!incarnation_equal(broker, self->config.incarnation) &&
            coordinator_members_takes_lanes(self->members, broker)) {
            return true;
        }
    }
    return false;
}

/* A broker that drains serves until other brokers have its lanes, if there is any. */
static void tell_whether_it_has_heirs(coordinator_t *self)
{
    bool drains = coordinator_members_drains(self->members, self->config.incarnation);
    if (drains && !self->without_heir && !has_heir(self)) {
        self->without_heir = true;
        coordinator_effects_add(self->effects, COORDINATOR_NO_HEIR);
    }
}

static void settle(coordinator_t *self)
{
    if (is_fenced(self)) {
        return;
    }
    tell_whether_it_has_heirs(self);
    coordinator_admission_conclude(self->admission, self->now_ms);
    if (coordinator_registry_groups_are_read(self->registry) &&
        coordinator_lanes_are_read(self->lanes) && coordinator_term_row(self->term)->term > 0) {
        coordinator_publication_publish(self->publication, self->term, self->now_ms);
    }
    if (!self->ready && is_informed(self) && has_settled_lanes(self)) {
        self->ready = true;
        coordinator_effects_add(self->effects, COORDINATOR_READY);
    }
}

static void place(coordinator_t *self)
{
    coordinator_shards_place(self->shards, self->registry, self->runners, self->map);
}

/* The holder of the term decides which brokers are to hold the lanes. */
static void place_lanes(coordinator_t *self)
{
    if (coordinator_holds_term(self) && coordinator_lanes_are_read(self->lanes) &&
        coordinator_lanes_place(self->lanes, self->members, self->now_ms)) {
        coordinator_publication_put_next(self->publication, self->lanes);
    }
}

static void enter_homes_and_owners(coordinator_t *self)
{
    coordinator_publication_put_lanes(self->publication, self->lanes);
    coordinator_publication_put_owners(self->publication, self->shards);
}

static void holders_changed(coordinator_t *self)
{
    place_lanes(self);
    place(self);
    enter_homes_and_owners(self);
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

/* Makes the calls due that members and lanes need now. */
static void require_by_state(coordinator_t *self)
{
    bool holder = coordinator_holds_term(self);
    if (holder && coordinator_lanes_are_to_be_read(self->lanes, self->now_ms)) {
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_LANES);
    }
    coordinator_schedule_set_due(self->schedule, COORDINATOR_REMOVE_BROKER,
                                 holder && coordinator_members_next_dead(self->members));
    coordinator_schedule_set_due(self->schedule, COORDINATOR_ASSIGN_LANE,
                                 holder &&
                                     coordinator_lanes_next_vacant(self->lanes, self->now_ms));
    coordinator_schedule_set_due(self->schedule, COORDINATOR_PROBE,
                                 coordinator_members_next_probe(self->members, self->now_ms));
}

static void fill_call(coordinator_t *self, coordinator_call_t *call)
{
    if (call->kind == COORDINATOR_RENEW) {
        call->id_mark = self->high_id + RESERVED_IDS;
    } else if (call->kind == COORDINATOR_REMOVE_BROKER) {
        call->broker = *coordinator_members_next_dead(self->members);
    } else if (call->kind == COORDINATOR_ASSIGN_LANE) {
        call->lane = *coordinator_lanes_next_vacant(self->lanes, self->now_ms);
        call->broker = coordinator_lanes_heir(self->lanes, call->lane.lane);
    } else if (call->kind == COORDINATOR_PROBE) {
        const store_broker_t *silent = coordinator_members_next_probe(self->members, self->now_ms);
        call->broker = silent->incarnation;
        call->endpoint = silent->router_endpoint;
    }
}

bool coordinator_next_call(coordinator_t *self, uint64_t now_ms, coordinator_call_t *call)
{
    self->now_ms = now_ms;
    if (is_fenced(self) || !coordinator_schedule_open(self->schedule, now_ms)) {
        return false;
    }
    require_by_state(self);
    *call = (coordinator_call_t){.self = self->config.incarnation,
                                 .term = coordinator_term_held(self->term),
                                 .before = *coordinator_term_row(self->term)};
    if (!coordinator_schedule_first(self->schedule, now_ms, &call->kind) &&
        !coordinator_admission_next_call(self->admission, call) &&
        !choose_row_of_runner(self, call)) {
        return false;
    }
    fill_call(self, call);
    coordinator_schedule_begin(self->schedule, call, now_ms);
    return true;
}

/* ---- the term ---- */

static void become_holder(coordinator_t *self, uint64_t term)
{
    durable_term_read(self->config.durable, term);
    coordinator_term_win(self->term, term);
    coordinator_schedule_withdraw(self->schedule, COORDINATOR_TAKE_TERM);
    coordinator_schedule_require(self->schedule, COORDINATOR_LIST_LANES);
    coordinator_schedule_require(self->schedule, COORDINATOR_LIST_BROKERS);
    coordinator_schedule_require(self->schedule, COORDINATOR_LIST_GROUPS);
    coordinator_schedule_require(self->schedule, COORDINATOR_LIST_TYPES);
    coordinator_schedule_require(self->schedule, COORDINATOR_LIST_RUNNERS);
    coordinator_schedule_stop_refreshing(self->schedule);
    coordinator_members_begin_term(self->members);
    coordinator_admission_begin_term(self->admission);
    /* A holder is ready when all lanes are held. What it read as a standby does not count. */
    coordinator_lanes_begin_term(self->lanes);
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
    coordinator_lanes_judge(self->lanes, self->members);
    place_lanes(self);
    coordinator_schedule_read_within(
        self->schedule, coordinator_members_next_reading_ms(self->members), self->now_ms);
    coordinator_publication_put_members(self->publication, self->members);
    coordinator_members_tell(self->members, self->effects);
}

static void take_lanes(coordinator_t *self, const coordinator_call_t *call,
                       const coordinator_results_t *results)
{
    if (coordinator_lanes_take(self->lanes, results->lanes, results->lane_count, call->started_ms,
                               self->now_ms)) {
        holders_changed(self);
    }
}

static void renewed(coordinator_t *self, const coordinator_call_t *call,
                    const coordinator_results_t *results)
{
    durable_term_wrote(self->config.durable);
    take_lanes(self, call,
               results); /* first: a lane that was lost is not to be served any longer */
    self->id_mark = call->id_mark;
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_LEASE);
    effect->number = call->started_ms + self->config.lease_ms;
    effect->id_mark = call->id_mark;
}

static void broker_removed(coordinator_t *self, incarnation_t broker, fabric_error_t error)
{
    coordinator_members_removed(self->members, broker, error);
    if (!error) {
        coordinator_lanes_bereave(self->lanes, broker);
        place_lanes(self);
        coordinator_publication_put_members(self->publication, self->members);
        coordinator_members_tell(self->members, self->effects);
    }
}

static void lane_assigned(coordinator_t *self, const coordinator_call_t *call, fabric_error_t error)
{
    if (coordinator_lanes_assigned(self->lanes, call, error, self->now_ms)) {
        holders_changed(self);
    }
    if (error == FABRIC_ERROR_STORE_REJECTED) { /* the lane has got another row meanwhile */
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_LANES);
    }
}

/* A broker that is proved dead may have held the term. */
static void probed(coordinator_t *self, const coordinator_call_t *call,
                   const coordinator_results_t *results)
{
    if (coordinator_members_probed(self->members, call->broker, results->refused, self->now_ms)) {
        coordinator_schedule_require(self->schedule, COORDINATOR_READ_TERM);
    }
}

static void take_groups(coordinator_t *self, const coordinator_results_t *results)
{
    coordinator_registry_take_groups(self->registry, results->groups, results->group_count);
}

static void take_types(coordinator_t *self, const coordinator_results_t *results)
{
    coordinator_registry_take_types(self->registry, results->types, results->type_count);
    place(self);
}

static void registered(coordinator_t *self, const coordinator_call_t *call, fabric_error_t error,
                       const coordinator_results_t *results)
{
    coordinator_admission_answered(self->admission, call, error, results);
    place(self);
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
        renewed(self, call, results);
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
    case COORDINATOR_REMOVE_BROKER:
        broker_removed(self, call->broker, FABRIC_OK);
        break;
    case COORDINATOR_ASSIGN_LANE:
        lane_assigned(self, call, FABRIC_OK);
        break;
    case COORDINATOR_LIST_LANES:
        take_lanes(self, call, results);
        break;
    case COORDINATOR_LIST_GROUPS:
        take_groups(self, results);
        break;
    case COORDINATOR_LIST_TYPES:
        take_types(self, results);
        break;
    case COORDINATOR_LIST_RUNNERS:
        take_runners(self, results);
        break;
    case COORDINATOR_PUT_GROUP:
    case COORDINATOR_PUT_TYPE:
        registered(self, call, FABRIC_OK, results);
        break;
    case COORDINATOR_PUT_RUNNER:
        coordinator_runners_row_written(self->runners, call->runner.incarnation);
        break;
    case COORDINATOR_REMOVE_RUNNER:
        coordinator_runners_keep_row(self->runners, call->runner.incarnation);
        break;
    case COORDINATOR_PROBE:
        probed(self, call, results);
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
        registered(self, call, error, NULL);
    } else if (call->kind == COORDINATOR_REMOVE_BROKER) {
        broker_removed(self, call->broker, error);
    } else if (call->kind == COORDINATOR_ASSIGN_LANE) {
        lane_assigned(self, call, error);
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
    if (coordinator_shards_set_owner(self->shards, order)) {
        coordinator_publication_put_owner(self->publication, order->name, order->shard,
                                          order->runner);
    }
}

static void broker_state_changed(coordinator_t *self, const router_order_t *order)
{
    coordinator_members_set_draining(self->members, order->broker, order->draining);
    place_lanes(self);
}

/* The router has made ids. It makes none above the mark, which an adopted lane may have lifted it
 * to. */
static void take_high_id(coordinator_t *self, uint64_t high_id)
{
    if (high_id > self->high_id) {
        self->high_id = high_id;
    }
    if (self->high_id >= self->id_mark) {
        coordinator_schedule_renew_within(self->schedule, 0, self->now_ms);
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
    case ROUTER_LANE_ADOPTED:
    case ROUTER_LANE_DAMAGED:
        coordinator_lanes_tried(self->lanes, order->lane, order->epoch);
        break;
    case ROUTER_BROKER_REACHED:
    case ROUTER_OWNERS:
        break;
    case ROUTER_LANE_NAMED:
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_LANES);
        break;
    case ROUTER_BROKER_STATE:
        broker_state_changed(self, order);
        break;
    case ROUTER_HIGH_ID:
        take_high_id(self, order->high_id);
        break;
    }
    settle(self);
}

/* ---- other brokers ---- */

fabric_error_t coordinator_map_received(coordinator_t *self, fabric_bytes_t encoded,
                                        uint64_t now_ms)
{
    self->now_ms = now_ms;
    if (is_fenced(self) || coordinator_holds_term(self)) {
        return FABRIC_OK;
    }
    bool changed;
    const store_coordinator_t *row = coordinator_term_row(self->term);
    fabric_error_t error =
        coordinator_publication_receive(self->publication, row, encoded, &changed);
    if (changed) {
        enter_homes_and_owners(self);
    }
    settle(self);
    return error;
}

fabric_error_t coordinator_owners(coordinator_t *self, incarnation_t broker, fabric_bytes_t encoded,
                                  uint64_t now_ms)
{
    self->now_ms = now_ms;
    if (!coordinator_holds_term(self)) {
        return FABRIC_OK; /* the broker will find that the next map has not got them */
    }
    fabric_error_t error = shard_map_take_owners(self->map, broker, encoded);
    settle(self);
    return error;
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
    uint64_t lane_ms = coordinator_lanes_next_deadline(self->lanes);
    uint64_t call_ms = coordinator_schedule_next_deadline(self->schedule, lane_ms, now_ms);
    uint64_t map_ms = coordinator_publication_next_deadline(self->publication, now_ms);
    return call_ms < map_ms ? call_ms : map_ms;
}
