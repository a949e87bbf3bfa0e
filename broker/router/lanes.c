/* Lanes: which of them this broker holds, and what stands in a lane that it adopts. A lane's holder
 * is named by the store, never by the map. */

#include "broker/router/clearing.h"
#include "broker/router/damaged_rows.h"
#include "broker/router/lane_drop.h"
#include "broker/router/messages.h"
#include "broker/router/orders.h"
#include "broker/router/router_state.h"

/* What is taken over of an adoption at once: entities with rows, and messages. */
enum { ADOPTED_AT_ONCE = 4096 };

static const state_description_t states[] = {
    [LANE_FOREIGN] = {"foreign", STATE_BIT(LANE_ADOPTING)},
    [LANE_ADOPTING] = {"adopting", STATE_BIT(LANE_HOME) | STATE_BIT(LANE_FOREIGN)},
    [LANE_HOME] = {"home", STATE_BIT(LANE_LEAVING) | STATE_BIT(LANE_FOREIGN)},
    [LANE_LEAVING] = {"leaving", STATE_BIT(LANE_FOREIGN)},
};
static const state_machine_t machine = {"lane", states, sizeof states / sizeof *states};

static void set_state(router_lane_t *lane, lane_state_t state)
{
    state_machine_check(&machine, lane->state, state);
    lane->state = state;
}

const char *lane_state_name(const router_lane_t *lane)
{
    return state_machine_name(&machine, lane->state);
}

void lanes_init(router_t *router)
{
    if (router->config.fenced_ms > 0) {
        router->fence =
            (router_fence_t){.any = true, .whole = true, .at_ms = router->config.fenced_ms};
    }
}

/* ---- holds ---- */

static void forget_adoption(router_lane_t *lane)
{
    adoption_clear(&lane->adoption);
    lane->taking = false;
    lane->backlogs_taken = lane->kept_taken = lane->outgoing_taken = 0;
}

static void drop(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    if (!lane_is_given_up(lane)) {
        router->fence = (router_fence_t){.any = true, .lane = number, .at_ms = router->now_ms};
    }
    lane->adoption_due = false;
    forget_adoption(lane);
    set_state(lane, LANE_FOREIGN);
    lane_drop(router, number);
    lane->dropping = !lane_drop_some(router, number);
}

static void hold(router_lane_t *lane, uint64_t epoch)
{
    lane->epoch = epoch;
    lane->next_epoch = 0;
    lane->adoption_due = true;
    lane->damaged = false;
    set_state(lane, LANE_ADOPTING);
}

/* What the store says about one lane; NULL: it does not name this broker as the holder. */
static void lane_held(router_t *router, uint32_t number, const store_hold_t *held)
{
    router_lane_t *lane = &router->lanes[number];
    bool same_epoch = held && held->epoch == lane->epoch;
    if (lane->state != LANE_FOREIGN && !same_epoch) {
        drop(router, number);
    }
    /* A hold that is over does not begin again: it was read before it ended. A new one waits until
     * nothing is left of the one before. */
    bool begins = held && lane->state == LANE_FOREIGN && !same_epoch;
    lane->next_epoch = begins ? held->epoch : 0;
    if (begins && !lane->dropping) {
        hold(lane, held->epoch);
    }
}

static void drop_some(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    lane->dropping = !lane_drop_some(router, number);
    if (!lane->dropping && lane->next_epoch > 0) {
        hold(lane, lane->next_epoch);
    }
}

void router_lanes_held(router_t *router, const store_hold_t *holds, size_t count, uint64_t now_ms)
{
    router->now_ms = now_ms;
    const store_hold_t *held[LIMIT_LANES_MAX] = {NULL};
    for (size_t i = 0; i < count; i++) {
        bool own = incarnation_equal(holds[i].holder, router->config.incarnation);
        if (own && holds[i].lane < router->config.lanes) {
            held[holds[i].lane] = &holds[i];
        }
    }
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        lane_held(router, i, held[i]);
    }
}

void lane_leave(router_lane_t *lane)
{
    set_state(lane, LANE_LEAVING);
}

void lane_fenced(router_t *router, uint32_t number, uint64_t epoch)
{
    const router_lane_t *lane = &router->lanes[number];
    if (lane->state != LANE_FOREIGN && lane->epoch == epoch) {
        drop(router, number);
    }
}

void router_lane_fenced(router_t *router, uint32_t number, uint64_t epoch, uint64_t now_ms)
{
    router->now_ms = now_ms;
    lane_fenced(router, number, epoch);
}

/* ---- adoption ---- */

bool router_next_adoption(router_t *router, store_hold_t *result)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        router_lane_t *lane = &router->lanes[i];
        if (lane->adoption_due) {
            lane->adoption_due = false;
            *result = (store_hold_t){i, router->config.incarnation, lane->epoch};
            return true;
        }
    }
    return false;
}

static void message_loaded(router_t *router, message_t *message)
{
    shard_t *shard = shard_find(router, message->stored.shard);
    entity_t *entity =
        entity_find_or_add(router, shard, message->stored.type, message->stored.entity);
    message->deliveries = 1; /* the next delivery may not be the first */
    const router_config_t *config = &router->config;
    /* An earlier home may have had larger limits. */
    if (message->attempts > config->attempts_max) {
        message->attempts = config->attempts_max;
    }
    if (message->crashes > config->crashes_max) {
        message->crashes = config->crashes_max;
    }
    snowflake_lift(&router->generator, message->stored.id);
    if (message->stored.key_hash) {
        keys_durable(router, &lane_of(router, message->stored.shard)->keys, message);
    }
    message_admit(router, message, entity);
    if (message_is_scheduled(message)) {
        message->deliveries = 0;
        schedule_add(router, message);
    } else {
        overflow_enqueue(router, message);
    }
}

/* The group of a message is known even if this broker has not heard of its types yet. */
static void take_message(router_t *router, uint32_t lane, message_t *message)
{
    checkpoint_t *checkpoint = &router->lanes[lane].checkpoint;
    shards_add_group(router, shard_id_group(message->stored.shard));
    message->counted = (journal_attempts_t){message->attempts, message->crashes};
    bool wrong = checkpoint_forget_row(checkpoint, message->position);
    if (!message->has_row || wrong || message->attempts + message->crashes > 0) {
        checkpoint_note(checkpoint, message);
    }
    const char *cause = row_fault(router, lane, &message->stored);
    if (cause) {
        row_set_aside(router, lane, message, cause);
    } else {
        message_loaded(router, message);
    }
}

/* Takes at most `most` messages. Returns how many. */
static size_t take_messages(router_t *router, uint32_t lane, message_t **messages, size_t most)
{
    size_t count = 0;
    for (; *messages && count < most; count++) {
        message_t *message = *messages;
        *messages = message->chain;
        message->chain = NULL;
        if (message_find(router, message->stored.id)) {
            message_destroy(&message); /* its record was read twice */
        } else {
            take_message(router, lane, message);
        }
    }
    return count;
}

/* Takes at most `most` primary keys of messages that have ended. Returns how many. */
static size_t take_ends(router_t *router, uint32_t lane, message_t **ended, size_t most)
{
    size_t count = 0;
    for (; *ended && count < most; count++) {
        message_t *message = *ended;
        *ended = message->chain;
        keys_ended(router, &router->lanes[lane].keys, message);
        message_destroy(&message);
    }
    return count;
}

/* Takes at most `most` entities that are kept alive. Returns how many. */
static size_t take_kept(router_t *router, uint32_t number, size_t most)
{
    router_lane_t *lane = &router->lanes[number];
    size_t left = lane->adoption.kept_count - lane->kept_taken;
    size_t count = left < most ? left : most;
    alive_adopt(router, number, lane->adoption.kept + lane->kept_taken, count);
    lane->kept_taken += count;
    return count;
}

/* Takes over so much of what the adoption owns that the router's loop is not held for long. Returns
 * whether that was all. */
static bool take_over_some(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    adoption_t *adoption = &lane->adoption;
    size_t left = adoption->backlog_count - lane->backlogs_taken;
    size_t some = left < ADOPTED_AT_ONCE ? left : ADOPTED_AT_ONCE;
    if (some > 0) {
        overflow_adopt(router, number, adoption->backlogs + lane->backlogs_taken, some);
        lane->backlogs_taken += some;
    }
    if (left < ADOPTED_AT_ONCE) {
        some += take_messages(router, number, &adoption->messages, ADOPTED_AT_ONCE - left);
    }
    if (some < ADOPTED_AT_ONCE) {
        some += take_ends(router, number, &adoption->ended, ADOPTED_AT_ONCE - some);
    }
    if (some < ADOPTED_AT_ONCE && adoption->kept_count > 0) {
        some += take_kept(router, number, ADOPTED_AT_ONCE - some);
    }
    if (some < ADOPTED_AT_ONCE && lane->outgoing_taken < adoption->outgoing_count) {
        size_t taken =
            outbox_adopt_some(router, adoption, lane->outgoing_taken, ADOPTED_AT_ONCE - some);
        lane->outgoing_taken += taken;
        some += taken;
    }
    return some < ADOPTED_AT_ONCE;
}

static void begin_home(router_t *router, uint32_t number)
{
    router_lane_t *lane = &router->lanes[number];
    overflow_adopted(router, number);
    schedule_adopted(router, number);
    clears_adopted(router, number);
    for (const message_t *dead = lane->adoption.dead; dead; dead = dead->chain) {
        checkpoint_note_dead(router, &lane->checkpoint, dead);
        if (dead->stored.key_hash && !clears_cover_message(&lane->clears, dead)) {
            keys_ended(router, &lane->keys, dead);
        }
    }
    for (size_t i = 0; i < lane->adoption.direct_count; i++) {
        checkpoint_note_direct(&lane->checkpoint, lane->adoption.direct[i]);
    }
    forget_adoption(lane);
    set_state(lane, LANE_HOME);
    order_add(router,
              &(router_order_t){.kind = ROUTER_LANE_ADOPTED, .lane = number, .epoch = lane->epoch});
    owners_serve(router, number);
    router->outboxes_wait = true;
}

void router_adopted(router_t *router, adoption_t *adoption, uint64_t now_ms)
{
    router->now_ms = now_ms;
    uint32_t number = adoption->hold.lane;
    router_lane_t *lane = &router->lanes[number];
    if (lane->state != LANE_ADOPTING || lane->epoch != adoption->hold.epoch || lane->taking) {
        adoption_clear(adoption);
        return;
    }
    snowflake_lift(&router->generator, (request_id_t){adoption->last_id});
    batches_note_id(router, adoption->last_id);
    lane->adoption_due = false;
    lane->taking = true;
    lane->adopted_id = adoption->last_id;
    lane->adoption = *adoption;
    *adoption = (adoption_t){.hold = lane->adoption.hold};
    keys_adopted(router, &lane->keys);
    checkpoint_open(router, &lane->adoption);
    schedule_adopt(router, &lane->adoption);
    loads_adopt(router, &lane->adoption);
    clears_adopt(router, &lane->adoption);
    persisted_adopt(router, &lane->adoption);
    outbox_adopt(router, &lane->adoption);
    if (take_over_some(router, number)) {
        begin_home(router, number);
    }
}

bool lanes_go_on(router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        router_lane_t *lane = &router->lanes[i];
        if (lane->dropping) {
            drop_some(router, i);
            return true;
        }
        if (lane->taking) {
            if (take_over_some(router, i)) {
                begin_home(router, i);
            }
            return true;
        }
        if (lane->clears.first && clears_go_on(router, i)) {
            return true;
        }
    }
    return false;
}

void router_lane_damaged(router_t *router, uint32_t number, uint64_t epoch, uint64_t now_ms)
{
    router->now_ms = now_ms;
    router_lane_t *lane = &router->lanes[number];
    if (lane->state != LANE_ADOPTING || lane->epoch != epoch || lane->damaged) {
        return;
    }
    lane->damaged = true;
    order_add(router,
              &(router_order_t){.kind = ROUTER_LANE_DAMAGED, .lane = number, .epoch = epoch});
}

void lanes_destroy(router_t *router)
{
    for (uint32_t i = 0; i < router->config.lanes; i++) {
        forget_adoption(&router->lanes[i]);
    }
}
