/* The turn of a delivery that runs alone: see link_turn_state.h. */
#include "worker/link_turn_state.h"

#include "core/state_machine.h"

static const state_description_t states[] = {
    [TURN_NOBODYS] = {"nobody's", STATE_BIT(TURN_DRAINING)},
    [TURN_DRAINING] = {"draining", STATE_BIT(TURN_READY) | STATE_BIT(TURN_NOBODYS)},
    [TURN_READY] = {"ready", STATE_BIT(TURN_RUNNING) | STATE_BIT(TURN_NOBODYS)},
    [TURN_RUNNING] = {"running", STATE_BIT(TURN_NOBODYS)},
};
static const state_machine_t machine = {"turn", states, sizeof states / sizeof *states};

static void set_state(link_turn_t *turn, link_turn_state_t state, uint64_t until_ms)
{
    state_machine_check(&machine, turn->state, state);
    turn->state = state;
    turn->until_ms = until_ms;
}

void link_turn_free(link_turn_t *turn)
{
    link_waiting_destroy(&turn->waiting);
}

/* ---- steps ---- */

/* Whether nothing that executors have is of the present round. */
static bool is_alone(const link_works_t *works)
{
    return works->recent == 0;
}

static void begin(link_turn_t *turn, link_works_t *works, const link_brokers_t *brokers,
                  uint64_t now_ms)
{
    turn->waiting = link_works_take_request(works);
    const message_deliver_t *delivery = &turn->waiting->delivery;
    turn->name = (link_turn_name_t){.endpoint = turn->waiting->source.endpoint,
                                    .shard = delivery->shard,
                                    .request_id = delivery->request_id,
                                    .token = {delivery->home_epoch, delivery->owner_sequence}};
    link_works_hold(works);
    set_state(turn, TURN_DRAINING, now_ms + brokers->endpoints[turn->name.endpoint].lease_ms);
}

static void say_ready(link_turn_t *turn, link_works_t *works, link_brokers_t *brokers,
                      uint64_t now_ms)
{
    link_endpoint_t *endpoint = &brokers->endpoints[turn->name.endpoint];
    message_alone_ready_t ready = {turn->name.shard, turn->name.token.home_epoch,
                                   turn->name.token.owner_sequence, turn->name.request_id};
    link_works_begin_round(works);
    message_put_alone_ready(link_endpoint_out(endpoint), &ready);
    set_state(turn, TURN_READY, now_ms + endpoint->lease_ms);
}

static void end(link_turn_t *turn, link_works_t *works, uint64_t next_ms)
{
    link_waiting_destroy(&turn->waiting);
    set_state(turn, TURN_NOBODYS, next_ms);
    link_works_resume(works);
}

static void give_up(link_turn_t *turn, link_works_t *works, link_brokers_t *brokers,
                    uint64_t next_ms)
{
    link_endpoint_put_not_taken(&brokers->endpoints[turn->name.endpoint], &turn->waiting->delivery,
                                FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    end(turn, works, next_ms);
}

uint64_t link_turn_deadline(const link_turn_t *turn, const link_works_t *works)
{
    switch (turn->state) {
    case TURN_NOBODYS:
        return works->requests ? turn->until_ms : UINT64_MAX;
    case TURN_DRAINING:
        return is_alone(works) ? 0 : turn->until_ms;
    case TURN_READY:
    case TURN_RUNNING:
        break;
    }
    return turn->until_ms;
}

static void step(link_turn_t *turn, link_works_t *works, link_brokers_t *brokers, uint64_t now_ms)
{
    uint64_t next_ms = now_ms + brokers->endpoints[turn->name.endpoint].lease_ms;
    switch (turn->state) {
    case TURN_NOBODYS:
        begin(turn, works, brokers, now_ms);
        return;
    case TURN_DRAINING:
        say_ready(turn, works, brokers, now_ms);
        return;
    case TURN_READY:
        give_up(turn, works, brokers, next_ms);
        return;
    case TURN_RUNNING:
        link_works_begin_round(works); /* the message has run for a lease, too */
        end(turn, works, next_ms);
        return;
    }
}

void link_turn_tick(link_turn_t *turn, link_works_t *works, link_brokers_t *brokers,
                    uint64_t now_ms)
{
    while (now_ms >= link_turn_deadline(turn, works)) {
        step(turn, works, brokers, now_ms);
    }
}

/* ---- what the home says ---- */

static bool is_turn_of(const link_turn_t *turn, link_turn_name_t name)
{
    return turn->state != TURN_NOBODYS && turn->name.endpoint == name.endpoint &&
           turn->name.shard == name.shard && turn->name.request_id == name.request_id &&
           token_equal(turn->name.token, name.token);
}

bool link_turn_go(link_turn_t *turn, link_works_t *works, link_turn_name_t name, uint32_t lease_ms,
                  uint64_t now_ms)
{
    if (turn->state != TURN_READY || !is_turn_of(turn, name)) {
        return false;
    }
    link_works_run(works, &turn->waiting);
    set_state(turn, TURN_RUNNING, now_ms + lease_ms);
    return true;
}

bool link_turn_over(link_turn_t *turn, link_works_t *works, link_brokers_t *brokers,
                    link_turn_name_t name)
{
    if (!is_turn_of(turn, name)) {
        return false;
    }
    if (turn->state == TURN_READY) { /* the home wants it no more */
        give_up(turn, works, brokers, 0);
        return true;
    }
    if (turn->state == TURN_RUNNING && is_alone(works)) {
        end(turn, works, 0);
        return true;
    }
    return false;
}

/* ---- what ends a turn ---- */

void link_turn_release(link_turn_t *turn, link_works_t *works, uint32_t endpoint, uint64_t shard,
                       token_t token)
{
    bool is_its = turn->state != TURN_NOBODYS && turn->name.endpoint == endpoint &&
                  turn->name.shard == shard && token_equal(turn->name.token, token);
    link_works_release(works, endpoint, shard, token);
    if (is_its && turn->waiting) {
        link_works_let_refuse(works, &turn->waiting);
    }
    if (is_its) { /* the home has ceased to count before it asked for the token */
        end(turn, works, 0);
    }
}

void link_turn_interrupt(link_turn_t *turn, uint32_t endpoint, const message_deliver_t *named)
{
    if (turn->waiting) {
        link_waiting_interrupt(turn->waiting, endpoint, named);
    }
}

void link_turn_lose(link_turn_t *turn, link_works_t *works, uint32_t endpoint, uint32_t lease_ms,
                    uint64_t now_ms)
{
    link_works_lose(works, endpoint);
    if (turn->state == TURN_NOBODYS || turn->name.endpoint != endpoint) {
        return;
    }
    bool counts = turn->state != TURN_DRAINING; /* the home may have said ALONE_GO */
    end(turn, works, counts ? now_ms + 2 * (uint64_t)lease_ms : 0);
}
