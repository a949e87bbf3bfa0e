/* The lanes of a simulated broker, driven as lane_zmq.c and router_zmq.c do. */
#include "tests/simulation/simulation_broker.h"

#include <assert.h>
#include <stdlib.h>

static void lane_sleep(void *context, uint32_t wait_ms)
{
    (void)context;
    fiber_sleep((uint64_t)wait_ms * 1000);
}

static uint32_t lane_random(void *context)
{
    (void)context;
    return (uint32_t)world_random();
}

static bool lane_stopping(void *context)
{
    broker_lane_t *lane = context;
    return lane->life->lanes_halted || broker_life_is_over(lane->life);
}

static void on_available(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    bool available = event->extra != 0;
    router_lane_available(life->router, (uint32_t)event->number, available,
                          available ? NULL : "it is away");
    process_touch(event->process);
}

static void lane_available(void *context, bool available, const char *cause)
{
    (void)cause;
    broker_lane_t *lane = context;
    event_t *event = event_new(lane->life->process, on_available, NULL, 0);
    event->number = lane->number;
    event->extra = available;
    broker_send_to_router(lane->life, event, &lane->last_us);
}

static void operation_free(operation_t *operation)
{
    lane_rejections_clear(&operation->rejected);
    message_chain_destroy(&operation->messages);
    free(operation);
}

static void drop_report(event_t *event)
{
    operation_free(event->subject);
}

static void committed(broker_life_t *life, uint32_t lane, operation_t *commit)
{
    life->committing--;
    if (commit->error) {
        if (commit->error == FABRIC_ERROR_STORE_LOST) {
            world_fail("broker %u: a lane says that the store lost commits", life->process->index);
        }
        broker_life_end(life, "broker.fenced", world_between(1000, 50000));
    } else {
        router_batch_done(life->router, lane, commit->rejected.items, commit->rejected.count,
                          process_now_ms(life->process));
    }
}

static void on_report(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    operation_t *operation = event->subject;
    uint32_t lane = (uint32_t)event->number;
    world_note("lane.report", lane, operation->kind, operation->error);
    switch (operation->kind) {
    case OPERATION_COMMIT:
        committed(life, lane, operation);
        break;
    case OPERATION_LOAD:
        if (operation->error) {
            broker_life_end(life, "broker.fenced", world_between(1000, 50000));
        } else {
            message_t *messages = operation->messages;
            operation->messages = NULL;
            broker_loaded(life, messages, operation->high_id);
        }
        break;
    }
    operation_free(operation);
    process_touch(event->process);
}

static void run_operation(lane_t *lane, operation_t *operation)
{
    switch (operation->kind) {
    case OPERATION_COMMIT:
        operation->error = lane_commit(lane, operation->batch, &operation->rejected);
        break;
    case OPERATION_LOAD:
        operation->error =
            lane_load(lane, operation->from, &operation->messages, &operation->high_id);
        break;
    }
}

static void report(broker_lane_t *lane, operation_t *operation)
{
    if (broker_life_is_over(lane->life)) {
        operation_free(operation);
        return;
    }
    event_t *event = event_new(lane->life->process, on_report, operation, 0);
    event->drop = drop_report;
    event->number = lane->number;
    broker_send_to_router(lane->life, event, &lane->last_us);
}

void broker_lane_run(void *argument)
{
    broker_lane_t *self = argument;
    while (!lane_stopping(self)) {
        if (self->inbox_count == 0) {
            fiber_wait();
            continue;
        }
        operation_t *operation = self->inbox[0];
        memmove(self->inbox, self->inbox + 1, --self->inbox_count * sizeof *self->inbox);
        run_operation(self->lane, operation);
        report(self, operation);
    }
}

void broker_lane_send(broker_lane_t *lane, const operation_t *operation)
{
    operation_t *copy = malloc(sizeof *copy);
    if (!copy) {
        abort();
    }
    *copy = *operation;
    assert(lane->inbox_count < INBOX_MAX);
    lane->inbox[lane->inbox_count++] = copy;
    fiber_wake(lane->fiber);
}

void broker_lane_feed(broker_life_t *life, uint32_t number)
{
    broker_lane_t *lane = &life->lanes[number];
    const store_batch_t *batch =
        router_take_batch(life->router, number, process_now_ms(life->process));
    if (batch) {
        life->committing++;
        broker_lane_send(lane, &(operation_t){.kind = OPERATION_COMMIT, .batch = batch});
    }
    router_lookup_t lookup;
    if (router_take_lookup(life->router, number, &lookup)) {
        broker_finder_send(&life->finder, number, &lookup);
    }
}

lane_world_t broker_lane_world(broker_lane_t *lane)
{
    return (lane_world_t){.context = lane,
                          .sleep = lane_sleep,
                          .random = lane_random,
                          .stopping = lane_stopping,
                          .available = lane_available};
}
