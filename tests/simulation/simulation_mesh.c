/* What simulated brokers tell each other: maps, the highest ids, and that they drain. */
#include <stdlib.h>
#include <string.h>

#include "broker/router/router_state.h"
#include "tests/simulation/simulation_broker.h"

static void on_map(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    if (life->open && !life->ending && !life->leave) {
        wire_writer_reset(&life->map);
        wire_append(&life->map, event->bytes, (size_t)event->number);
        fiber_wake(life->coordinating);
    }
}

static void on_high_id(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    if (life->open && !life->ending && !life->leave) {
        request_id_heard(life->router, (request_id_t){event->number});
    }
}

static void on_state(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    if (life->open && !life->ending && !life->leave) {
        router_order_t order = {.kind = ROUTER_BROKER_STATE, .draining = true};
        memcpy(order.broker.bytes, event->bytes, sizeof order.broker.bytes);
        broker_add_order(life, &order);
    }
}

static void tell(const broker_life_t *life, void (*on)(event_t *event), uint64_t number,
                 const void *bytes, size_t size)
{
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        process_t *process = world.brokers[i];
        if (process == life->process || !process->up) {
            continue;
        }
        event_t *event = event_new(process, on, NULL, size);
        event->life = process->life;
        event->number = number;
        if (size > 0) {
            memcpy(event->bytes, bytes, size);
        }
        event_schedule(event, world.now_us + world_between(50, 8000));
    }
}

void broker_tell_map(broker_life_t *life)
{
    wire_writer_t writer = {0};
    shard_map_encode_snapshot(life->router->map, &writer);
    tell(life, on_map, writer.size, writer.data, writer.size);
    wire_writer_destroy(&writer);
}

void broker_tell_high_id(broker_life_t *life, uint64_t high_id)
{
    tell(life, on_high_id, high_id, NULL, 0);
}

void broker_tell_draining(broker_life_t *life)
{
    tell(life, on_state, 0, life->incarnation.bytes, sizeof life->incarnation.bytes);
}
