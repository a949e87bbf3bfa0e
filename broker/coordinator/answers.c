/* What follows from the answers to the coordinator's calls. */
#include "broker/coordinator/coordinator_state.h"

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
    if (!incarnation_equal(coordinator_term_row(self->term)->holder, row->holder)) {
        coordinator_publication_tell_again(self->publication, self->config.incarnation);
    }
    coordinator_term_take_row(self->term, row);
    coordinator_schedule_require(self->schedule, COORDINATOR_LIST_BROKERS);
}

/* ---- lists, renewals, changes ---- */

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
    coordinator_place_lanes(self);
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
        coordinator_holders_changed(self);
    }
}

static void renewed(coordinator_t *self, const coordinator_call_t *call,
                    const coordinator_results_t *results)
{
    durable_term_wrote(self->config.durable);
    take_lanes(self, call, results); /* first: a lost lane is not to be served any longer */
    coordinator_ids_stored(&self->ids, call->id_mark);
    coordinator_effect_t *effect = coordinator_effects_add(self->effects, COORDINATOR_LEASE);
    effect->number = call->started_ms + self->config.lease_ms;
    effect->id_mark = call->id_mark;
}

static void broker_removed(coordinator_t *self, incarnation_t broker, fabric_error_t error)
{
    coordinator_members_removed(self->members, broker, error);
    if (!error) {
        coordinator_lanes_bereave(self->lanes, broker);
        coordinator_place_lanes(self);
        coordinator_publication_put_members(self->publication, self->members);
        coordinator_members_tell(self->members, self->effects);
    }
}

static void lane_assigned(coordinator_t *self, const coordinator_call_t *call, fabric_error_t error)
{
    if (coordinator_lanes_assigned(self->lanes, call, error, self->now_ms)) {
        coordinator_holders_changed(self);
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

static void take_types(coordinator_t *self, const coordinator_call_t *call,
                       const coordinator_results_t *results)
{
    coordinator_registry_take_types(self->registry, results->types, results->type_count,
                                    &results->registration);
    if (coordinator_term_is_ours(self->term)) {
        coordinator_registry_end_reading(self->registry, call->started_ms);
    }
    coordinator_forgetting_types_read(self->forgetting, call->started_ms);
    coordinator_place_shards(self);
}

/* A type whose outcome the store has not told may be stored, now or somewhat later. Its runner may
 * leave, so that nobody stores it again: it has to be found. */
static void look_for_type(coordinator_t *self)
{
    coordinator_registry_doubt_put(self->registry, self->now_ms + self->config.lease_ms);
    coordinator_schedule_start_refreshing(self->schedule, self->now_ms);
}

static void registered(coordinator_t *self, const coordinator_call_t *call, fabric_error_t error,
                       const coordinator_results_t *results)
{
    coordinator_admission_answered(self->admission, call, error, results);
    if (call->kind == COORDINATOR_PUT_TYPE && error && error != FABRIC_ERROR_TYPE_CONFLICT &&
        error != FABRIC_ERROR_LIMIT_EXCEEDED) {
        look_for_type(self);
    } else if (call->kind == COORDINATOR_PUT_TYPE) {
        coordinator_registry_end_put(self->registry);
    }
    coordinator_place_shards(self);
}

/* Rows of runners that have not joined here are left over from former holders of the term. */
static void take_runners(coordinator_t *self, const coordinator_results_t *results)
{
    for (size_t i = 0; i < results->runner_count; i++) {
        incarnation_t incarnation = results->runners[i].incarnation;
        const coordinator_runner_t *runner = coordinator_runners_find(self->runners, incarnation);
        if (!runner || !runner->joined) {
            coordinator_runners_forget_row(self->runners, incarnation);
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
        take_types(self, call, results);
        break;
    case COORDINATOR_LIST_RUNNERS:
        take_runners(self, results);
        break;
    case COORDINATOR_PUT_GROUP:
    case COORDINATOR_PUT_TYPE:
        registered(self, call, FABRIC_OK, results);
        break;
    case COORDINATOR_COUNT_SCHEDULED:
    case COORDINATOR_FORGET_TYPE:
        coordinator_forgetting_answered(self->forgetting, call, FABRIC_OK, results);
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
    } else if (call->kind == COORDINATOR_COUNT_SCHEDULED || call->kind == COORDINATOR_FORGET_TYPE) {
        coordinator_forgetting_answered(self->forgetting, call, error, NULL);
    } else if (call->kind == COORDINATOR_REMOVE_BROKER) {
        broker_removed(self, call->broker, error);
    } else if (call->kind == COORDINATOR_ASSIGN_LANE) {
        lane_assigned(self, call, error);
    }
}

void coordinator_take_answer(coordinator_t *self, const coordinator_call_t *call,
                             fabric_error_t error, const coordinator_results_t *results)
{
    if (error) {
        call_failed(self, call, error);
    } else {
        call_succeeded(self, call, results);
    }
}
