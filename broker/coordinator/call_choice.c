/* Which call of the store, or probe of a broker, the coordinator makes next. */
#include "broker/coordinator/coordinator_state.h"

static bool choose_row_of_runner(coordinator_t *self, coordinator_call_t *call)
{
    if (!coordinator_term_is_ours(self->term)) {
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
    bool holder = coordinator_term_is_ours(self->term);
    if (holder && coordinator_lanes_are_to_be_read(self->lanes, self->now_ms)) {
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_LANES);
    }
    if (coordinator_forgetting_wants_types(self->forgetting)) {
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_TYPES);
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
        call->id_mark = coordinator_ids_next_mark(&self->ids);
    } else if (call->kind == COORDINATOR_REMOVE_BROKER) {
        call->broker = *coordinator_members_next_dead(self->members);
    } else if (call->kind == COORDINATOR_ASSIGN_LANE) {
        call->lane = *coordinator_lanes_next_vacant(self->lanes, self->now_ms);
        call->broker = coordinator_lanes_heir(self->lanes, call->lane.lane);
    } else if (call->kind == COORDINATOR_PUT_TYPE) {
        coordinator_registry_begin_put(self->registry);
    } else if (call->kind == COORDINATOR_PROBE) {
        const store_broker_t *silent = coordinator_members_next_probe(self->members, self->now_ms);
        call->broker = silent->incarnation;
        call->endpoint = silent->router_endpoint;
    }
}

/* For an admission, for a type that is forgotten, or for a row of a runner. */
static bool choose_other(coordinator_t *self, coordinator_call_t *call)
{
    return coordinator_admission_next_call(self->admission, call) ||
           coordinator_forgetting_next_call(self->forgetting, self->now_ms, call) ||
           choose_row_of_runner(self, call);
}

/* Renewals and readings can be due all the time where the store is slow, so after each reading of
 * the term one other call is made. */
bool coordinator_choose_call(coordinator_t *self, coordinator_call_t *call)
{
    require_by_state(self);
    *call = (coordinator_call_t){.self = self->config.incarnation,
                                 .term = coordinator_term_held(self->term),
                                 .before = *coordinator_term_row(self->term)};
    bool is_due = coordinator_schedule_first(self->schedule, self->now_ms, &call->kind);
    bool yields = is_due && call->kind == COORDINATOR_READ_TERM &&
                  coordinator_schedule_has_read(self->schedule);
    if ((yields || !is_due) && !choose_other(self, call) && !is_due) {
        return false;
    }
    fill_call(self, call);
    return true;
}
