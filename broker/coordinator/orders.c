/* What follows from the router's orders. */
#include "broker/coordinator/coordinator_state.h"

/* A runner's row is to be removed. A broker that takes the term later finds all rows that are
 * left. */
static void forget_row(coordinator_t *self, incarnation_t runner)
{
    if (coordinator_term_is_ours(self->term)) {
        coordinator_runners_forget_row(self->runners, runner);
    }
}

static void runner_joined(coordinator_t *self, incarnation_t incarnation)
{
    const coordinator_runner_t *runner = coordinator_runners_find(self->runners, incarnation);
    if (!runner) {
        return; /* it left while its welcome was under way */
    }
    bool again = runner->joined;
    coordinator_runners_join(self->runners, incarnation);
    coordinator_place_shards(self);
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
        coordinator_place_shards(self);
    }
}

static void standing_changed(coordinator_t *self, const router_order_t *order)
{
    if (coordinator_runners_set_standing(self->runners, order->runner, order->standing)) {
        coordinator_place_shards(self);
    }
}

static void owner_changed(coordinator_t *self, const router_order_t *order)
{
    const coordinator_runner_t *runner = coordinator_runners_find(self->runners, order->runner);
    uint64_t app_version = runner ? runner->app_version : 0;
    if (coordinator_shards_set_owner(self->shards, order, app_version)) {
        coordinator_publication_put_owner(self->publication, order->name, order->shard,
                                          order->runner, app_version);
    }
}

static void broker_state_changed(coordinator_t *self, const router_order_t *order)
{
    coordinator_members_set_draining(self->members, order->broker, order->draining);
    coordinator_place_lanes(self);
}

static void broker_reached(coordinator_t *self, incarnation_t broker)
{
    if (!coordinator_term_is_ours(self->term) &&
        incarnation_equal(coordinator_term_row(self->term)->holder, broker)) {
        coordinator_publication_tell_again(self->publication, self->config.incarnation);
    }
}

static void ids_made(coordinator_t *self, uint64_t high_id)
{
    if (coordinator_ids_made(&self->ids, high_id)) {
        coordinator_schedule_renew_within(self->schedule, 0, self->now_ms);
    }
}

void coordinator_take_order(coordinator_t *self, const router_order_t *order)
{
    switch (order->kind) {
    case ROUTER_ADMIT:
        coordinator_admission_ask(self->admission, order, self->now_ms + self->config.lease_ms);
        break;
    case ROUTER_RUNNER_JOINED:
        runner_joined(self, order->runner);
        break;
    case ROUTER_RUNNER_LEFT:
        runner_left(self, order->runner);
        break;
    case ROUTER_RUNNER_STANDING:
        standing_changed(self, order);
        break;
    case ROUTER_OWNER_CHANGED:
        owner_changed(self, order);
        break;
    case ROUTER_LANE_ADOPTED:
    case ROUTER_LANE_DAMAGED:
        coordinator_lanes_tried(self->lanes, order->lane, order->epoch);
        break;
    case ROUTER_BROKER_REACHED:
        broker_reached(self, order->broker);
        break;
    case ROUTER_OWNERS:
        break;
    case ROUTER_LANE_NAMED:
        coordinator_schedule_require(self->schedule, COORDINATOR_LIST_LANES);
        break;
    case ROUTER_BROKER_STATE:
        broker_state_changed(self, order);
        break;
    case ROUTER_TYPE_CLOSED:
        coordinator_forgetting_close(self->forgetting, order->name);
        break;
    case ROUTER_TYPE_FORGET:
        coordinator_forgetting_ask(self->forgetting, order, coordinator_term_is_ours(self->term));
        break;
    case ROUTER_TYPE_OPEN:
        coordinator_forgetting_open(self->forgetting, self->now_ms);
        break;
    case ROUTER_HIGH_ID:
        ids_made(self, order->high_id);
        break;
    }
}
