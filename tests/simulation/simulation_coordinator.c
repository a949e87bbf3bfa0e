/* The coordinator of a simulated broker, driven as coordinator_zmq.c does, and its effects on the
 * router. */
#include "tests/simulation/simulation_broker.h"

#include <stdlib.h>

#include "core/crash_point.h"

#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_steps.h"
#include "tests/simulation/simulation_store.h"

enum { PROBE_US_MAX = 100000, PROBE_LOST_OF_10000 = 2000 };

static uint64_t coordinator_clock(void)
{
    return process_now_ms(fiber_process(fiber_current()));
}

/* Whether no process listens at a broker's endpoint. A frozen one does. */
static bool coordinator_refuses(const char *endpoint)
{
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        if (strcmp(network_endpoint(i), endpoint) == 0) {
            process_t *prober = fiber_process(fiber_current());
            bool refuses = !world.brokers[i]->up &&
                           world.now_us >= partition_of_both_us(prober, world.brokers[i]);
            world_note("coordinator.probe", i, refuses, 0);
            world.result->refusals += refuses;
            fiber_sleep(world_between(100, PROBE_US_MAX));
            return refuses && !world_chance(PROBE_LOST_OF_10000);
        }
    }
    return false;
}

static void take_map(broker_life_t *life, const coordinator_effect_t *effect)
{
    world_note("broker.map", life->process->index, effect->version.term, effect->version.sequence);
    check_map(life->process, effect->version, fabric_bytes(effect->bytes, effect->size));
    life->map_version = effect->version;
    mesh_note_map(life->mesh, effect->version);
    router_map(life->router, fabric_bytes(effect->bytes, effect->size));
}

/* What becomes of types that are not registered, or not any more. */
static void take_news_of_types(router_t *router, const coordinator_effect_t *effect,
                               uint64_t now_ms)
{
    fabric_bytes_t bytes = {effect->bytes, effect->size};
    if (effect->kind == COORDINATOR_TYPE_FORGOTTEN) {
        router_type_forgotten(router, bytes);
    } else if (effect->kind == COORDINATOR_FORGET_DONE) {
        router_forget_done(router, fabric_bytes_of(effect->type), effect->error,
                           (const char *)effect->bytes);
    } else if (effect->kind == COORDINATOR_TYPE_OPENED) {
        router_type_opened(router, bytes);
    } else {
        router_registered(router, effect->number, now_ms);
    }
}

static void run_effect(broker_life_t *life, const coordinator_effect_t *effect)
{
    fabric_bytes_t bytes = {effect->bytes, effect->size};
    uint64_t now_ms = process_now_ms(life->process);
    switch (effect->kind) {
    case COORDINATOR_FENCED:
        broker_life_end(life, "broker.fenced", world_between(1000, 50000));
        break;
    case COORDINATOR_ELECTED:
        mesh_set_holder(life->mesh, (incarnation_t){{0}});
        break;
    case COORDINATOR_READY:
        life->ready = true;
        break;
    case COORDINATOR_HOLDER:
        router_holder(life->router, effect->broker);
        mesh_set_holder(life->mesh, effect->broker);
        break;
    case COORDINATOR_LEASE:
        router_lease(life->router, effect->number, effect->id_mark);
        broker_check_lanes(life);
        break;
    case COORDINATOR_LANES:
        router_lanes_held(life->router, effect->holds, effect->hold_count, now_ms);
        break;
    case COORDINATOR_NO_HEIR:
        life->closing = life->draining;
        router_close(life->router, now_ms);
        break;
    case COORDINATOR_TYPE:
        router_type(life->router, effect->group, bytes);
        break;
    case COORDINATOR_TYPE_FORGOTTEN:
    case COORDINATOR_FORGET_DONE:
    case COORDINATOR_TYPE_OPENED:
    case COORDINATOR_REGISTERED:
        take_news_of_types(life->router, effect, now_ms);
        break;
    case COORDINATOR_TYPES_LISTED:
        router_types_listed(life->router);
        break;
    case COORDINATOR_TYPES_READ:
        router_types_read(life->router, effect->number == 1);
        break;
    case COORDINATOR_ADMITTED:
        router_admitted(life->router, effect->runner, effect->error, (const char *)effect->bytes,
                        now_ms);
        break;
    case COORDINATOR_DESIRE:
        router_desire(life->router, (const char *)effect->bytes, effect->shard, effect->runner,
                      now_ms);
        break;
    case COORDINATOR_MAP:
        CRASH_POINT(MAP_BEFORE);
        take_map(life, effect);
        broker_publish(life, bytes);
        break;
    case COORDINATOR_MAP_REVISED:
        take_map(life, effect);
        break;
    case COORDINATOR_MAP_WANTED:
        mesh_want_map(life->mesh);
        break;
    case COORDINATOR_OWNERS:
        mesh_send_owners(life->mesh, effect->broker, bytes);
        break;
    case COORDINATOR_MEMBERS:
        router_members(life->router, effect->credentials, effect->broker_count, now_ms);
        mesh_set_members(life->mesh, effect->brokers, effect->broker_count);
        break;
    }
}

static void on_effect(event_t *event)
{
    coordinator_effect_t *effect = event->subject;
    steps_pass(event->process, STEP_EFFECT, effect->kind);
    world_note("coordinator.effect", event->process->index, effect->kind, effect->shard.value);
    run_effect(broker_life_now(event->process), effect);
    coordinator_effect_clear(effect);
    free(effect);
    process_touch(event->process);
}

static void drop_effect(event_t *event)
{
    coordinator_effect_t *effect = event->subject;
    coordinator_effect_clear(effect);
    free(effect);
}

static void send_effects(broker_life_t *life)
{
    coordinator_effect_t effect;
    while (coordinator_next_effect(life->coordinator, &effect)) {
        coordinator_effect_t *copy = malloc(sizeof *copy);
        if (!copy) {
            abort();
        }
        *copy = effect;
        event_t *event = event_new(life->process, on_effect, copy, 0);
        event->drop = drop_effect;
        broker_send_to_router(life, event, &life->last_us);
    }
}

static void take_input(broker_life_t *life, const broker_input_t *input)
{
    const router_order_t *order = &input->order;
    fabric_bytes_t bytes = fabric_bytes(order->owners, order->owners_size);
    fabric_error_t error = FABRIC_OK;
    if (input->is_map) {
        error = coordinator_map_received(life->coordinator, bytes, coordinator_clock());
    } else if (order->kind == ROUTER_OWNERS) {
        error = coordinator_owners(life->coordinator, order->broker, bytes, coordinator_clock());
    } else {
        coordinator_order(life->coordinator, order, coordinator_clock());
    }
    if (error) {
        world_fail("broker %u: a %s is malformed: %s", life->process->index,
                   input->is_map ? "map" : "list of owners", fabric_error_name(error));
    }
}

static void take_inputs(broker_life_t *life)
{
    while (life->input_count > 0) {
        broker_input_t input = life->inputs[0];
        memmove(life->inputs, life->inputs + 1, --life->input_count * sizeof *life->inputs);
        take_input(life, &input);
        free(input.order.types);
        free(input.order.owners);
        send_effects(life);
    }
}

static void reopen(broker_life_t *life)
{
    if (!life->store) {
        store_options_t options = {.url = SIMULATION_STORE_URL};
        fabric_error_t error = store_open(broker_drivers, &options, NULL, &life->store);
        (void)error; /* the next call shows whether it worked */
    }
}

/* As in coordinator_zmq.c: a call has changed the store, and its effects have not left yet. */
static void pass_crash_points(coordinator_call_kind_t kind)
{
    if (kind == COORDINATOR_TAKE_TERM) {
        CRASH_POINT(TERM_TAKEN);
    } else if (kind == COORDINATOR_REMOVE_BROKER) {
        CRASH_POINT(BROKER_REMOVED);
    } else if (kind == COORDINATOR_ASSIGN_LANE) {
        CRASH_POINT(LANE_ASSIGNED);
    } else if (kind == COORDINATOR_PUT_TYPE) {
        CRASH_POINT(TYPE_PUT_AFTER);
    } else if (kind == COORDINATOR_PUT_RUNNER) {
        CRASH_POINT(RUNNER_PUT_AFTER);
    }
}

static bool make_call(broker_life_t *life)
{
    static const coordinator_ways_t ways = {coordinator_clock, coordinator_refuses};
    coordinator_call_t call;
    if (!coordinator_next_call(life->coordinator, coordinator_clock(), &call)) {
        return false;
    }
    send_effects(life);
    reopen(life);
    life->calling = true;
    life->call_us = world.now_us;
    fabric_error_t error = coordinator_run_call(life->coordinator, &call, life->store, &ways);
    life->calling = false;
    life->stalled_us =
        world.now_us > life->call_us + BROKER_LONG_CALL_US ? world.now_us : life->stalled_us;
    world_note("coordinator.call", life->process->index, call.kind, error);
    if (!error) {
        pass_crash_points(call.kind);
    }
    if (error == FABRIC_ERROR_STORE_UNAVAILABLE || error == FABRIC_ERROR_STORE_UNKNOWN) {
        store_close(&life->store);
    }
    return true;
}

static void on_left(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    broker_life_end(life, "broker.left", life->restart_us);
}

static void leave_store(broker_life_t *life)
{
    CRASH_POINT(LEAVE_BEFORE);
    reopen(life);
    if (life->store) {
        fabric_error_t error = life->store->driver->broker_leave(life->store, life->incarnation);
        (void)error; /* other brokers learn it from this broker's silence */
        CRASH_POINT(LEAVE_AFTER);
    }
    if (!broker_life_is_over(life)) {
        event_t *event = event_new(life->process, on_left, NULL, 0);
        broker_send_to_router(life, event, &life->last_us);
    }
}

void broker_coordinator_run(void *argument)
{
    broker_life_t *life = argument;
    while (!broker_life_is_over(life) && !life->leave) {
        take_inputs(life);
        bool called = make_call(life);
        if (broker_life_is_over(life)) {
            break;
        }
        coordinator_tick(life->coordinator, coordinator_clock());
        send_effects(life);
        if (!called) {
            uint64_t now_ms = coordinator_clock();
            uint64_t deadline_ms = coordinator_next_deadline(life->coordinator, now_ms);
            uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
            fiber_wait_until(world.now_us + (wait_ms < 1000 ? wait_ms * 1000 + 100 : 1000000));
        }
    }
    if (!broker_life_is_over(life)) {
        leave_store(life);
    }
}
