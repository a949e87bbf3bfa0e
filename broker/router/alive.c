/* Waking entities that are kept alive: see alive_state.h. */
#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/address.h"

/* How many instances one ownership's owner is asked for at a time; how long a lapsed lease is
 * waited for. */
enum { WINDOW = 16, LEASE_PAUSE_MS = 200 };
/* How long persisted states are waited for before they are looked at again. */
enum { READ_PAUSE_MS = 200 };
/* Of those that an owner has left, how many are looked at in one turn for one to ask for. */
enum { LEFT_AT_ONCE = 256 };

/* ---- asking for instances ---- */

static void pause_for(router_t *router, ownership_t *ownership, uint64_t pause_ms)
{
    timers_set(&router->alive_pauses, &ownership->alive.pause, router->now_ms + pause_ms);
}

/* No instance was made, or one made room for a message: half as long a pause again with each, up to
 * a bound. A pause that is under way is no longer for it. */
static void back_off(router_t *router, ownership_t *ownership)
{
    const router_config_t *config = &router->config;
    uint64_t pause_ms = config->backoff_ms;
    for (uint32_t i = 0; i < ownership->alive.refusals && pause_ms < config->backoff_max_ms; i++) {
        pause_ms = (pause_ms * 3 + 1) / 2;
    }
    ownership->alive.refusals++;
    if (ownership->alive.pause.position == 0 || ownership->alive.reads) {
        ownership->alive.reads = false;
        pause_for(router, ownership,
                  pause_ms < config->backoff_max_ms ? pause_ms : config->backoff_max_ms);
    }
}

/* While messages of an activation that is over are at the owner, its entity must not begin anew:
 * it would take those of them that are still to come. */
static bool may_wake(router_t *router, const alive_t *alive, uint64_t *activation)
{
    const entity_t *entity = mailbox_find(router, alive_type(alive), alive_id(alive));
    if (entity && entity->restarting) {
        return false;
    }
    *activation = entity ? entity->activation : ++router->activations;
    return true;
}

static persisted_key_t persisted_key(const alive_t *alive)
{
    return (persisted_key_t){alive_type(alive), alive_id(alive), NULL};
}

/* Whether the owner knows the persisted state that the instance begins with, or can be told now. */
static bool has_state(router_t *router, const alive_t *alive)
{
    const entity_t *entity = mailbox_find(router, alive_type(alive), alive_id(alive));
    return persisted_is_ready(router, alive->ownership, persisted_key(alive),
                              entity ? entity->in_flight : 0);
}

/* Has the states read that are wanted next, and waits for the first one. */
static void read_states(router_t *router, ownership_t *ownership)
{
    unsigned wanted = 0;
    const alive_t *alive;
    DL_FOREACH(ownership->alive.lists[ALIVE_ASLEEP], alive)
    {
        if (wanted++ == WINDOW) {
            break;
        }
        (void)has_state(router, alive);
    }
    ownership->alive.reads = true;
    pause_for(router, ownership, READ_PAUSE_MS);
}

/* A persisted state comes first. */
static void send(router_t *router, const alive_t *alive, uint64_t activation)
{
    const ownership_t *ownership = alive->ownership;
    if (ownership->persisted) {
        (void)persisted_deliver(router, ownership, persisted_key(alive), activation);
    }
    message_alive_t message = {.shard = ownership->shard->id.value,
                               .home_epoch = ownership->token.home_epoch,
                               .owner_sequence = ownership->token.owner_sequence,
                               .activation = activation,
                               .causes = alive->wanted,
                               .type = alive_type(alive),
                               .id = alive_id(alive)};
    message_put_alive(peer_writer(router, ownership->owner->peer), &message);
    router->counters.woken++;
}

/* Whether the next one may be asked for now. One that may have ended an owner is asked for alone.
 */
static bool has_place(const alive_part_t *part)
{
    const alive_t *first = part->lists[ALIVE_ASLEEP];
    const alive_t *waking = part->lists[ALIVE_WAKING];
    bool alone = part->refusals > 0 || first->losses > 0 || (waking && waking->losses > 0);
    return part->waking < (alone ? 1u : WINDOW);
}

/* Those that an owner has left come after the others that are asleep. */
static alive_t *next_asleep(router_t *router, alive_part_t *part)
{
    alive_t *left;
    for (unsigned i = 0;
         i < LEFT_AT_ONCE && !part->lists[ALIVE_ASLEEP] && (left = part->lists[ALIVE_LEFT]); i++) {
        alive_set_state(router, left, left->wanted != 0 ? ALIVE_ASLEEP : ALIVE_AWAKE);
    }
    return part->lists[ALIVE_ASLEEP];
}

static void go_on(router_t *router, ownership_t *ownership)
{
    alive_part_t *part = &ownership->alive;
    bool is_paused = part->pause.position != 0;
    bool has_some = part->lists[ALIVE_ASLEEP] || part->lists[ALIVE_LEFT];
    if (!has_some || ownership->state != OWNERSHIP_OWNED || is_paused) {
        return;
    }
    if (!ownership_dispatches(router, ownership) || !ownership->owner->peer) {
        pause_for(router, ownership, LEASE_PAUSE_MS);
        return;
    }
    alive_t *alive;
    while ((alive = next_asleep(router, part)) && has_place(part)) {
        uint64_t activation;
        if (!may_wake(router, alive, &activation)) {
            pause_for(router, ownership, NOT_TAKEN_DELAY_MS);
            return;
        }
        if (ownership->persisted && !has_state(router, alive)) {
            read_states(router, ownership);
            return;
        }
        if (ownership->persisted && peer_is_filling(router, ownership->owner->peer)) {
            pause_for(router, ownership, NOT_TAKEN_DELAY_MS);
            return;
        }
        alive_set_state(router, alive, ALIVE_WAKING);
        send(router, alive, activation);
    }
    if (!alive && part->lists[ALIVE_LEFT]) {
        pause_for(router, ownership, NOT_TAKEN_DELAY_MS);
    }
}

void alive_owned(router_t *router, ownership_t *ownership)
{
    go_on(router, ownership);
}

void alive_state_known(router_t *router, fabric_bytes_t type, fabric_bytes_t id)
{
    const alive_t *alive = alive_find(router, type, id);
    if (alive && alive->ownership->alive.reads) {
        timers_cancel(&router->alive_pauses, &alive->ownership->alive.pause);
        alive->ownership->alive.reads = false;
        go_on(router, alive->ownership);
    }
}

void alive_not_built(router_t *router, fabric_bytes_t type, fabric_bytes_t id)
{
    alive_t *alive = alive_find(router, type, id);
    if (alive && alive_now(alive) == ALIVE_ASLEEP) {
        alive_put_last(alive);
        back_off(router, alive->ownership);
    }
}

void alive_state_given(router_t *router, fabric_bytes_t type, fabric_bytes_t id)
{
    alive_t *alive = alive_find(router, type, id);
    if (alive && alive_now(alive) == ALIVE_AWAKE && alive->wanted != 0) {
        alive_set_state(router, alive, ALIVE_ASLEEP);
        if (alive->ownership->alive.pause.position == 0) {
            pause_for(router, alive->ownership, NOT_TAKEN_DELAY_MS);
        }
    }
}

/* An owner that is gone may have died of the instances that it was making. */
static void sleep_again(router_t *router, alive_t *alive, bool died)
{
    bool waking = alive->state == ALIVE_WAKING;
    alive->losses += died && waking;
    bool aside = waking && alive->losses >= router->config.crashes_max;
    alive_set_state(router, alive, aside ? ALIVE_ASIDE : ALIVE_ASLEEP);
}

void alive_lost(router_t *router, ownership_t *ownership)
{
    alive_part_t *part = &ownership->alive;
    bool died = ownership->owner->unreachable;
    timers_cancel(&router->alive_pauses, &part->pause);
    part->refusals = 0;
    part->reads = false;
    while (part->lists[ALIVE_WAKING]) {
        sleep_again(router, part->lists[ALIVE_WAKING], died);
    }
    alive_leave(part);
}

void alive_tick(router_t *router)
{
    timer_entry_t *pause;
    while ((pause = timers_take_due(&router->alive_pauses, router->now_ms))) {
        ownership_t *ownership = TIMER_OWNER(pause, ownership_t, alive.pause);
        ownership->alive.reads = false;
        go_on(router, ownership);
    }
}

/* ---- what workers say ---- */

/* The last message of the entity that was delivered early and that the handler at work may be that
 * of, or a later one; 0: there is none. */
static request_id_t early_of(router_t *router, const lane_batches_t *lane, const alive_t *alive)
{
    const entity_t *entity = lane->next.early_count > 0
                                 ? mailbox_find(router, alive_type(alive), alive_id(alive))
                                 : NULL;
    request_id_t last = {0};
    const message_t *message = entity ? entity->queue : NULL;
    while (message && message->state == MESSAGE_RESULT) {
        last = message->early ? message->stored.id : last;
        message = message->next;
    }
    return message && message->early ? message->stored.id : last;
}

/* What keeps the entity alive is to become durable. */
static void want(router_t *router, alive_t *alive, uint32_t causes)
{
    if (alive->wanted == causes) {
        return;
    }
    router->counters.kept_alive += (uint64_t)(causes != 0) - (uint64_t)(alive->wanted != 0);
    alive->wanted = causes;
    alive->changes++;
    store_kept_t kept = {.type = alive_type(alive),
                         .entity = alive_id(alive),
                         .shard = alive->ownership->shard->id,
                         .causes = causes};
    lane_batches_t *lane = &lane_of(router, kept.shard)->batches;
    batch_add_kept(lane, &kept, early_of(router, lane, alive));
}

/* The ownership that the message is of; NULL: the runner does not have it. */
static ownership_t *ownership_of_message(router_t *router, const runner_t *runner,
                                         const message_alive_t *message)
{
    shard_t *shard = message->shard <= UINT32_MAX
                         ? shard_find(router, (shard_id_t){(uint32_t)message->shard})
                         : NULL;
    token_t token = {message->home_epoch, message->owner_sequence};
    ownership_t *ownership = shard ? ownership_of_token(shard, token) : NULL;
    bool owns = ownership && ownership->owner == runner &&
                fabric_bytes_equal(ownership_type(ownership), message->type) &&
                address_shard_number(message->id, router->config.shards_per_group) ==
                    shard_id_number(ownership->shard->id);
    return owns ? ownership : NULL;
}

/* The owner may have forgotten the persisted state, or cannot read the snapshot. If something is in
 * flight, that says whether it has, or can. Returns whether it may be asked again at once: it gets
 * all events then. */
static bool forget_given(router_t *router, const ownership_t *ownership,
                         const message_alive_t *message)
{
    const entity_t *entity = mailbox_find(router, message->type, message->id);
    if (entity && entity->in_flight > 0) {
        return false;
    }
    bool again = false;
    if (message->error == FABRIC_ERROR_SNAPSHOT_UNREADABLE) {
        again = persisted_unreadable(router, ownership, message->type, message->id);
    } else {
        persisted_refused(router, ownership, message->type, message->id);
    }
    persisted_restart(router, ownership, (persisted_key_t){message->type, message->id, NULL});
    return again;
}

/* The owner could not make the instance that it was asked for. That says nothing of the causes. */
static void refused(router_t *router, ownership_t *ownership, const message_alive_t *message)
{
    alive_t *alive = alive_find(router, message->type, message->id);
    bool again = ownership->persisted && forget_given(router, ownership, message);
    if (alive && alive->state == ALIVE_WAKING) {
        alive_set_state(router, alive, ALIVE_ASLEEP);
        if (!again) {
            back_off(router, ownership);
        }
    }
}

static void keep(router_t *router, ownership_t *ownership, const message_alive_t *message)
{
    alive_t *alive = alive_find(router, message->type, message->id);
    const lane_alive_t *lane = &lane_of(router, ownership->shard->id)->alive;
    if (!alive && lane->count >= LIMIT_KEPT_ALIVE_MAX) {
        router->counters.kept_refused++;
        return;
    }
    alive = alive ? alive : alive_add(router, ownership, message->id);
    want(router, alive, (uint32_t)message->causes);
    bool answers = message->activation != 0; /* a wish, before which it got the state */
    bool begun = !ownership->persisted || answers ||
                 persisted_is_given(router, ownership, persisted_key(alive));
    if (message->absent == 0 && !begun) { /* an earlier home gave the instance its state */
        alive_set_state(router, alive, ALIVE_ASLEEP);
    } else if (message->absent == 0) {
        alive->losses = 0;
        ownership->alive.refusals = 0;
        alive_set_state(router, alive, ALIVE_AWAKE);
    } else {
        alive_set_state(router, alive, ALIVE_ASLEEP);
        back_off(router, ownership);
    }
}

void alive_end(router_t *router, fabric_bytes_t type, fabric_bytes_t id)
{
    alive_t *alive = alive_find(router, type, id);
    if (alive) {
        want(router, alive, 0);
        alive_set_state(router, alive, ALIVE_AWAKE);
        alive_release(router, alive);
    }
}

void alive_cleared(router_t *router, fabric_bytes_t type, fabric_bytes_t id)
{
    alive_t *alive = alive_find(router, type, id);
    if (alive) {
        alive->stands = 0;
        alive_note_row(router, alive);
        alive_end(router, type, id);
    }
}

static bool is_name(fabric_bytes_t name)
{
    return name.size >= 1 && name.size <= LIMIT_NAME_BYTES_MAX;
}

fabric_error_t alive_received(router_t *router, runner_t *runner, const message_alive_t *message)
{
    if (!is_name(message->type) || !is_name(message->id) || message->causes > UINT32_MAX ||
        message->absent > 1 || (message->absent == 1 && message->causes == 0) ||
        (message->error != 0 && (message->absent == 0 || message->activation == 0))) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    ownership_t *ownership = ownership_of_message(router, runner, message);
    if (!ownership) {
        router->counters.results_refused++;
        return FABRIC_OK;
    }
    if (message->absent == 1 && message->activation != 0) {
        refused(router, ownership, message);
    } else if (message->causes != 0) {
        keep(router, ownership, message);
    } else {
        alive_end(router, message->type, message->id);
    }
    go_on(router, ownership);
    return FABRIC_OK;
}

void alive_committed(router_t *router, const store_kept_t *kept)
{
    alive_t *alive = alive_find(router, kept->type, kept->entity);
    alive->stands = kept->causes;
    alive->changes--;
    alive_note_row(router, alive);
}
