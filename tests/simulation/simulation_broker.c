/* A simulated broker: router, store actors and coordinator, as broker_zmq.c and router_zmq.c put
 * them together. The actors, the coordinator and the opening block on the store, so each of them is
 * a fiber.
 */
#include "tests/simulation/simulation_broker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/crash_point.h"
#include "core/memory.h"
#include "core/snowflake.h"
#include "tests/unit/router_check.h"
#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_store.h"

enum {
    BLOCKED_RETRY_MS = 2,
    DRAIN_US = 3000000,
    LONG_DRAIN_US = 20000000,
    PIPE_US_MAX = 40,
    LOOK_OF_10000 = 50,
    /* The pipe to the coordinator has no bound, and each connection of a worker that breaks brings
     * two orders for each type's part of a shard, while a call to the store may take seconds. */
    INPUTS_MAX = 16384
};

typedef struct broker {
    process_t process;
    broker_life_t *life; /* of the process that is up */
    broker_life_t *lives;
} broker_t;

const store_driver_t *const broker_drivers[] = {&simulation_store_driver, NULL};

static broker_t *broker_of(process_t *process)
{
    return (broker_t *)process;
}

bool broker_life_is_over(const broker_life_t *life)
{
    return life->process->life != life->number;
}

bool broker_life_serves(const broker_life_t *life)
{
    return life->open && !life->ending && !life->leave;
}

broker_life_t *broker_life_now(process_t *process)
{
    return broker_of(process)->life;
}

/* Puts an item into a pipe to the router, which keeps the order. */
void broker_send_to_router(broker_life_t *life, event_t *event, uint64_t *last_us)
{
    uint64_t at_us = world.now_us + world_between(1, PIPE_US_MAX);
    *last_us = at_us > *last_us ? at_us : *last_us;
    event->life = life->number;
    event_schedule(event, *last_us);
}

/* ---- ending ---- */

static void on_end(event_t *event)
{
    process_t *process = event->process;
    uint64_t after_us = event->number;
    process_crash(process);
    simulated_restart(process, after_us);
}

/* The incarnation is over; the next one starts later. */
void broker_life_end(broker_life_t *life, const char *why, uint64_t after_us)
{
    if (!life->ending && !broker_life_is_over(life)) {
        life->ending = true;
        world_note(why, life->process->index, life->number, 0);
        event_t *event = event_new(life->process, on_end, NULL, 0);
        event->number = after_us;
        event_schedule(event, world.now_us);
    }
}

/* A program would stop for good. The run of the simulation is over then. */
void broker_life_lost(broker_life_t *life, const char *why)
{
    world_note("broker.store_lost", life->process->index, life->number, 0);
    world.result->lost++;
    world_fail("broker %u says that the store lost commits: %s", life->process->index, why);
    broker_life_end(life, "broker.lost", UINT32_MAX);
}

static void life_free(broker_life_t *life)
{
    broker_actors_close(life);
    for (size_t i = 0; i < life->input_count; i++) {
        free(life->inputs[i].order.types);
        free(life->inputs[i].order.owners);
    }
    free(life->inputs);
    mesh_destroy(&life->mesh);
    router_destroy(&life->router);
    coordinator_destroy(&life->coordinator);
    store_close(&life->store);
    free(life);
}

static void on_reap(event_t *event)
{
    broker_life_t *life = event->subject;
    broker_t *broker = broker_of(life->process);
    for (broker_life_t **at = &broker->lives; *at; at = &(*at)->next) {
        if (*at == life) {
            *at = life->next;
            break;
        }
    }
    life_free(life);
}

static void reap(broker_life_t *life)
{
    if (broker_life_is_over(life) && life->fibers == 0) {
        event_schedule(event_new(NULL, on_reap, life, 0), world.now_us);
    }
}

void broker_fiber_ended(broker_life_t *life)
{
    life->fibers--;
    reap(life);
}

static void fiber_ended(void *argument)
{
    broker_fiber_ended(argument);
}

/* ---- opening ---- */

void broker_pub_endpoint(unsigned broker, char endpoint[BROKER_PUB_BYTES])
{
    snprintf(endpoint, BROKER_PUB_BYTES, "tcp://127.0.0.1:80%02u", broker);
}

static void make_router(broker_life_t *life, const store_cluster_t *cluster,
                        const store_join_t *joined)
{
    router_config_t config = {.incarnation = life->incarnation,
                              .machine = joined->machine,
                              .high_id = joined->high_id,
                              .store_now_ms = joined->now_ms,
                              .shards_per_group = cluster->shards_per_group};
    router_config_defaults(&config);
    config.lanes = cluster->lanes;
    config.lease_ms = world.plan.lease_ms;
    config.client_heartbeat_ms = world.plan.lease_ms / 3;
    config.registration_ms = 3000;
    config.release_grace_ms = world.plan.release_grace_ms;
    config.backoff_ms = SIMULATION_BACKOFF_MS;
    config.backoff_max_ms = SIMULATION_BACKOFF_MAX_MS;
    config.attempts_max = world.plan.attempts_max;
    config.client_memory_ms = 600000;
    config.key_retention_ms = SIMULATION_KEY_RETENTION_MS;
    config.batch_bytes_max = 40; /* a few messages */
    config.entity_window = world.plan.entity_window;
    config.schedule_window = world.plan.schedule_window;
    config.memory_bytes_max = world.plan.memory_bytes_max;
    config.key_filter_bytes = world.plan.key_filter_bytes * config.lanes;
    config.state_bytes_free = world.plan.state_bytes_free;
    config.checkpoint_ms = world.plan.checkpoint_ms;
    config.checkpoint_bytes = world.plan.checkpoint_bytes;
    config.checkpoint_bytes_max = world.plan.checkpoint_bytes_max;
    config.slice_rows_max = world.plan.slice_rows_max;
    memcpy(config.cluster_id, cluster->id, sizeof config.cluster_id);
    snprintf(config.cluster_name, sizeof config.cluster_name, "%s", cluster->name);
    snprintf(config.name, sizeof config.name, "broker-%u", life->process->index);
    snprintf(config.router_endpoint, sizeof config.router_endpoint, "%s",
             network_endpoint(life->process->index));
    char pub_endpoint[BROKER_PUB_BYTES];
    broker_pub_endpoint(life->process->index, pub_endpoint);
    snprintf(config.pub_endpoint, sizeof config.pub_endpoint, "%s", pub_endpoint);
    life->router = router_new(&config, process_now_ms(life->process));
}

static void make_coordinator(broker_life_t *life, const store_cluster_t *cluster,
                             const store_join_t *joined)
{
    snowflake_parts_t now = {.timestamp_ms = joined->now_ms};
    uint64_t now_id = snowflake_make(now).value;
    coordinator_config_t config = {.incarnation = life->incarnation,
                                   .shards_per_group = cluster->shards_per_group,
                                   .lanes = cluster->lanes,
                                   .high_id = joined->high_id > now_id ? joined->high_id : now_id,
                                   .lease_ms = world.plan.lease_ms,
                                   .durable = &life->durable};
    life->coordinator = coordinator_new(&config, process_now_ms(life->process));
}

static fabric_error_t open_broker(broker_life_t *life)
{
    store_options_t options = {.url = SIMULATION_STORE_URL};
    const store_cluster_t wanted = {.name = "simulated"};
    store_cluster_t cluster;
    store_join_t joined = {0};
    store_broker_t self = {.incarnation = life->incarnation, .secret = life->secret};
    char pub_endpoint[BROKER_PUB_BYTES];
    snprintf(self.name, sizeof self.name, "broker-%u", life->process->index);
    snprintf(self.router_endpoint, sizeof self.router_endpoint, "%s",
             network_endpoint(life->process->index));
    broker_pub_endpoint(life->process->index, pub_endpoint);
    snprintf(self.pub_endpoint, sizeof self.pub_endpoint, "%s", pub_endpoint);
    fabric_error_t error = store_open(broker_drivers, &options, NULL, &life->store);
    if (!error) {
        error = life->store->driver->check(life->store, &wanted, NULL, &cluster);
    }
    if (!error) {
        CRASH_POINT(JOIN_BEFORE);
        error = life->store->driver->broker_join(life->store, &self, &joined);
    }
    if (!error) {
        CRASH_POINT(JOIN_AFTER);
        life->store_ms = joined.now_ms - (int64_t)process_now_ms(life->process);
        make_router(life, &cluster, &joined);
        make_coordinator(life, &cluster, &joined);
        broker_mesh_open(life, &cluster);
        error = broker_actors_open(life);
    }
    return error;
}

static void on_open(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    broker_actors_start(life);
    life->fibers++;
    life->coordinating = fiber_new(life->process, broker_coordinator_run, life, fiber_ended);
    fiber_wake(life->coordinating);
    life->open = true;
    life->process->accepting = true;
    process_touch(life->process);
}

static void run_opening(void *argument)
{
    broker_life_t *life = argument;
    fabric_error_t error = open_broker(life);
    if (broker_life_is_over(life)) {
        return;
    }
    if (error) {
        broker_life_end(life, "broker.not_opened", world_between(10000, 100000));
        return;
    }
    event_schedule(event_new(life->process, on_open, NULL, 0), world.now_us);
}

/* ---- the process ---- */

void broker_add_input(broker_life_t *life, const broker_input_t *input)
{
    if (life->input_count == INPUTS_MAX) {
        world_fail("broker %u: the coordinator does not take its orders", life->process->index);
        free(input->order.types);
        free(input->order.owners);
        return;
    }
    life->inputs = memory_reserve(life->inputs, life->input_count + 1, &life->input_capacity,
                                  sizeof *life->inputs);
    life->inputs[life->input_count++] = *input;
    fiber_wake(life->coordinating);
}

static void send_orders(broker_life_t *life)
{
    broker_input_t input = {.is_map = false};
    while (router_next_order(life->router, &input.order)) {
        if (input.order.kind == ROUTER_OWNER_CHANGED && !incarnation_is_none(input.order.runner)) {
            CRASH_POINT(OWNER_CHOSEN);
        }
        broker_add_input(life, &input);
    }
}

static void send_frames(broker_life_t *life)
{
    router_frame_t frame;
    while (router_next_frame(life->router, &frame)) {
        check_events_frame_begins();
        check_broker_sends(life->process, network_connection(frame.routing_id), frame.bytes);
        switch (network_route(life->process, frame.routing_id, frame.bytes)) {
        case ROUTED:
            router_frame_sent(life->router, frame.peer);
            break;
        case ROUTED_BLOCKED:
            life->blocked = true;
            check_events_frame_blocked();
            router_frame_blocked(life->router, frame.peer);
            break;
        case ROUTED_UNREACHABLE:
            router_frame_unreachable(life->router, frame.peer, process_now_ms(life->process));
            break;
        }
    }
}

static void check_drained(broker_life_t *life)
{
    if (!life->draining || life->leave) {
        return;
    }
    bool busy = !router_drained(life->router) || broker_is_appending(life);
    if (!busy && !life->farewell && !life->closing) {
        life->farewell = true;
        router_farewell(life->router, process_now_ms(life->process));
    }
    busy |= !life->closing && !router_is_left(life->router);
    if (!busy || world.now_us >= life->drain_until_us) {
        life->leave = true; /* actors first: nothing may be written after the store is left */
        life->actors_halted = true;
        broker_actors_kill(life);
        fiber_wake(life->coordinating);
    }
}

/* Checks the router's invariants. */
static void check_accounts(const broker_life_t *life)
{
    const char *fault = life->open ? router_check(life->router) : NULL;
    if (fault) {
        world_fail("accounts of broker %u: %s", life->process->index, fault);
    }
}

static void tell_crashes(broker_life_t *life)
{
    router_crash_t crash;
    while (router_next_crash(life->router, &crash)) {
        check_crash_counted(life->process, &crash);
    }
}

static void turn(process_t *process)
{
    broker_life_t *life = broker_life_now(process);
    if (!broker_life_serves(life)) {
        return;
    }
    if (world_chance(LOOK_OF_10000)) {
        check_accounts(life);
    }
    uint64_t now_ms = process_now_ms(process);
    router_clock(life->router, world_unix_ms(), now_ms);
    if (life->blocked || now_ms >= router_next_deadline(life->router)) {
        life->blocked = false;
        router_tick(life->router, now_ms);
    }
    broker_feed(life);
    broker_mesh_turn(life);
    broker_publish_heartbeat(life);
    send_orders(life);
    send_frames(life);
    tell_crashes(life);
    check_drained(life);
}

static uint64_t deadline_ms(process_t *process)
{
    broker_life_t *life = broker_life_now(process);
    if (!broker_life_serves(life)) {
        return UINT64_MAX;
    }
    uint64_t router_ms = life->blocked ? process_now_ms(process) + BLOCKED_RETRY_MS
                                       : router_next_deadline(life->router);
    uint64_t mesh_ms = mesh_next_deadline(life->mesh);
    return router_ms < mesh_ms ? router_ms : mesh_ms;
}

static void receive(process_t *process, size_t dealer, channel_t *connection, fabric_bytes_t frame)
{
    broker_life_t *life = broker_life_now(process);
    uint8_t routing_id[5];
    if (!broker_life_serves(life)) {
        return;
    }
    if (connection->peer == process) {
        broker_mesh_receive(life, dealer, frame);
    } else {
        check_broker_receives(process, frame);
        router_receive(life->router, network_routing_id(connection, routing_id), frame,
                       process_now_ms(process));
        broker_mesh_relay(life);
        router_violation_t violation;
        if (router_take_violation(life->router, &violation) && !world.plan.false_claims &&
            fabric_error_class(violation.error) != FABRIC_CLASS_RETRY) {
            world_fail("broker %u blames a sound %s: %s", process->index, violation.role,
                       violation.text);
        }
    }
}

static void connected(process_t *process, size_t dealer)
{
    broker_life_t *life = broker_life_now(process);
    if (broker_life_serves(life)) {
        broker_mesh_connected(life, dealer);
    }
}

static void disconnected(process_t *process, size_t dealer)
{
    broker_life_t *life = broker_life_now(process);
    if (broker_life_serves(life)) {
        broker_mesh_disconnected(life, dealer);
    }
}

static void start(process_t *process)
{
    broker_t *broker = broker_of(process);
    broker_life_t *life = calloc(1, sizeof *life);
    if (!life) {
        abort();
    }
    life->process = process;
    life->number = process->life;
    life->incarnation = world_incarnation();
    memcpy(life->secret.bytes, life->incarnation.bytes, sizeof life->secret.bytes);
    life->next = broker->lives;
    broker->lives = broker->life = life;
    life->fibers = 1;
    life->opening = fiber_new(process, run_opening, life, fiber_ended);
    fiber_wake(life->opening);
}

static void count_loads(const broker_life_t *life)
{
    router_counters_t counters;
    router_counters(life->router, &counters);
    world.result->loaded += counters.loaded;
}

static void stop(process_t *process)
{
    broker_life_t *life = broker_life_now(process);
    check_accounts(life);
    check_events_stand();
    if (life->leave) {
        network_deliver_all(process);
    }
    network_cut_all(process);
    process->life++; /* before the fibers look */
    fiber_kill(life->opening);
    if (life->open) {
        fiber_kill(life->coordinating);
        broker_actors_kill(life);
        count_loads(life);
    }
    broker_of(process)->life = NULL;
    reap(life);
}

process_t *simulated_broker_new(unsigned index)
{
    broker_t *broker = calloc(1, sizeof *broker);
    if (!broker) {
        abort();
    }
    broker->process = (process_t){.kind = PROCESS_BROKER,
                                  .index = index,
                                  .turn = turn,
                                  .deadline_ms = deadline_ms,
                                  .connected = connected,
                                  .disconnected = disconnected,
                                  .receive = receive,
                                  .start = start,
                                  .stop = stop};
    return &broker->process;
}

void simulated_broker_free(process_t **process)
{
    broker_t *broker = broker_of(*process);
    assert(!broker->life && !broker->lives);
    free(broker);
    *process = NULL;
}

static void on_drain(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    if (life->open && !life->draining) {
        life->draining = true;
        life->restart_us = event->number;
        /* No call takes as long where nothing may fail. */
        uint32_t drain_us = world.plan.rolling_brokers ? LONG_DRAIN_US : DRAIN_US;
        life->drain_until_us = world.now_us + drain_us;
        router_drain(life->router, drain_us / 1000, process_now_ms(life->process));
        mesh_drain(life->mesh);
        CRASH_POINT(DRAIN_BEGUN);
        process_touch(life->process);
    }
}

void simulated_broker_drain(process_t *process, uint64_t after_us)
{
    event_t *event = event_new(process, on_drain, NULL, 0);
    event->number = after_us;
    event_schedule(event, world.now_us);
}

bool simulated_broker_stays(const process_t *process)
{
    const broker_life_t *life = ((const broker_t *)process)->life;
    return life && broker_life_serves(life) && life->ready && !life->draining;
}

bool simulated_broker_follows(const process_t *process)
{
    const broker_life_t *life = ((const broker_t *)process)->life;
    return life && broker_life_serves(life) && !life->calling && life->input_count == 0;
}

uint64_t simulated_broker_stalled_us(const process_t *process)
{
    const broker_life_t *life = ((const broker_t *)process)->life;
    bool waits = life && life->calling && world.now_us > life->call_us + BROKER_LONG_CALL_US;
    return waits ? world.now_us : life ? life->stalled_us : 0;
}

static router_counters_t counters_of(const process_t *process)
{
    const broker_life_t *life = ((const broker_t *)process)->life;
    router_counters_t counters = {0};
    if (life && life->open) {
        router_counters(life->router, &counters);
    }
    return counters;
}

uint64_t simulated_broker_pending(const process_t *process)
{
    return counters_of(process).pending;
}

uint64_t simulated_broker_parked(const process_t *process)
{
    return counters_of(process).parked;
}

bool simulated_broker_has(const process_t *process, uint64_t request_id)
{
    const broker_life_t *life = ((const broker_t *)process)->life;
    return life && life->open && router_knows(life->router, (request_id_t){request_id});
}

incarnation_t simulated_broker_incarnation(const process_t *process)
{
    const broker_life_t *life = ((const broker_t *)process)->life;
    return life ? life->incarnation : (incarnation_t){{0}};
}
