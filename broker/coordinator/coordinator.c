/* The coordinator's core, which puts its parts together: see coordinator.h and README.md. A part
 * knows only those that it was made with. */
#include "broker/coordinator/coordinator_state.h"

#include <stdlib.h>

#include "core/memory.h"

coordinator_t *coordinator_new(const coordinator_config_t *config, uint64_t now_ms)
{
    coordinator_t *self = memory_allocate_zeroed(1, sizeof *self);
    incarnation_t broker = config->incarnation;
    self->config = *config;
    self->now_ms = now_ms;
    self->ids.high_id = config->high_id;
    self->map = shard_map_new();
    shard_map_set_shards_per_group(self->map, config->shards_per_group);
    shard_map_set_lanes(self->map, config->lanes);
    self->effects = coordinator_effects_new();
    self->schedule = coordinator_schedule_new(config->lease_ms, now_ms);
    self->term = coordinator_term_new(broker, self->effects);
    self->members = coordinator_members_new(broker, config->lease_ms);
    self->registry = coordinator_registry_new(self->map, self->effects);
    self->runners = coordinator_runners_new();
    self->lanes = coordinator_lanes_new(broker, config->lanes, self->effects);
    self->forgetting = coordinator_forgetting_new(self->registry, self->lanes, self->effects);
    self->admission =
        coordinator_admission_new(config->untransactional, self->registry, self->runners,
                                  self->forgetting, self->schedule, self->effects);
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
    coordinator_admission_destroy(&self->admission);
    coordinator_forgetting_destroy(&self->forgetting);
    coordinator_lanes_destroy(&self->lanes);
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
    return coordinator_term_is_ours(self->term);
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

/* Whether brokers that had joined before this one began to drain are known; the store may not say
 * so for a while. */
static bool knows_heirs(const coordinator_t *self)
{
    return coordinator_members_read_since(self->members, self->drains_since_ms) ||
           self->now_ms - self->drains_since_ms >= self->config.lease_ms;
}

/* A broker that drains serves until other brokers have its lanes, if there is any. */
static void tell_whether_it_has_heirs(coordinator_t *self)
{
    if (!coordinator_members_drains(self->members, self->config.incarnation)) {
        return;
    }
    if (self->drains_since_ms == 0) {
        self->drains_since_ms = self->now_ms;
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_BROKERS);
    }
    if (!self->without_heir && !has_heir(self) && knows_heirs(self)) {
        self->without_heir = true;
        coordinator_effects_add(self->effects, COORDINATOR_NO_HEIR);
    }
}

static void settle(coordinator_t *self)
{
    if (coordinator_is_fenced(self)) {
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

/* ---- events ---- */

bool coordinator_next_call(coordinator_t *self, uint64_t now_ms, coordinator_call_t *call)
{
    self->now_ms = now_ms;
    if (coordinator_is_fenced(self) || !coordinator_schedule_open(self->schedule, now_ms) ||
        !coordinator_choose_call(self, call)) {
        return false;
    }
    coordinator_schedule_begin(self->schedule, call, now_ms);
    return true;
}

void coordinator_answer(coordinator_t *self, fabric_error_t error,
                        const coordinator_results_t *results, uint64_t now_ms)
{
    self->now_ms = now_ms;
    const coordinator_call_t *call = coordinator_schedule_end(self->schedule, error, now_ms);
    if (coordinator_is_fenced(self)) {
        return;
    }
    coordinator_take_answer(self, call, error, results);
    settle(self);
}

void coordinator_order(coordinator_t *self, const router_order_t *order, uint64_t now_ms)
{
    self->now_ms = now_ms;
    if (coordinator_is_fenced(self)) {
        return;
    }
    coordinator_take_order(self, order);
    settle(self);
}

fabric_error_t coordinator_map_received(coordinator_t *self, fabric_bytes_t encoded,
                                        uint64_t now_ms)
{
    self->now_ms = now_ms;
    if (coordinator_is_fenced(self) || coordinator_holds_term(self)) {
        return FABRIC_OK;
    }
    bool changed;
    const store_coordinator_t *row = coordinator_term_row(self->term);
    fabric_error_t error =
        coordinator_publication_receive(self->publication, row, encoded, &changed);
    if (changed) {
        coordinator_enter_homes_and_owners(self);
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
    if (coordinator_is_fenced(self)) {
        return UINT64_MAX;
    }
    uint64_t lane_ms = coordinator_lanes_next_deadline(self->lanes);
    uint64_t call_ms = coordinator_schedule_next_deadline(self->schedule, lane_ms, now_ms);
    uint64_t map_ms = coordinator_publication_next_deadline(self->publication, now_ms);
    return call_ms < map_ms ? call_ms : map_ms;
}
