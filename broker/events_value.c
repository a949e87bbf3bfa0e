/* Events in memory: see events_value.h. */
#include "broker/events_value.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static fabric_bytes_t copy(uint8_t **at, fabric_bytes_t bytes)
{
    uint8_t *start = *at;
    if (bytes.size > 0) {
        memcpy(start, bytes.data, bytes.size);
    }
    *at += bytes.size;
    return fabric_bytes(start, bytes.size);
}

events_value_t *events_value_new(const store_event_t *first, const journal_events_t *events)
{
    size_t size =
        sizeof(events_value_t) + first->type.size + first->entity.size + events->list.size;
    events_value_t *value = memory_allocate(size);
    *value = (events_value_t){.references = 1,
                              .size = size,
                              .shard = first->shard,
                              .id = first->id,
                              .number = first->number,
                              .events = *events};
    uint8_t *at = value->bytes;
    value->type = copy(&at, first->type);
    value->entity = copy(&at, first->entity);
    value->events.list = copy(&at, events->list);
    return value;
}

events_value_t *events_value_share(events_value_t *value)
{
    value->references++;
    return value;
}

void events_value_drop(events_value_t **value)
{
    if (*value && --(*value)->references == 0) {
        free(*value);
    }
    *value = NULL;
}

events_value_t *events_value_join(events_value_t *const *values, size_t count)
{
    const events_value_t *first = values[0];
    wire_writer_t list = {0};
    journal_events_t events = {.first = first->events.first,
                               .recorded_ms = first->events.recorded_ms};
    for (size_t i = 0; i < count; i++) {
        wire_append(&list, values[i]->events.list.data, values[i]->events.list.size);
        events.count += values[i]->events.count;
    }
    events.list = wire_writer_bytes(&list);
    store_event_t event = {.type = first->type,
                           .entity = first->entity,
                           .shard = first->shard,
                           .id = first->id,
                           .number = first->number};
    events_value_t *joined = events_value_new(&event, &events);
    wire_writer_destroy(&list);
    return joined;
}

/* ---- values of single events ---- */

static bool goes_on(const events_collector_t *collector, const store_event_t *event)
{
    const store_event_t *first = &collector->first;
    return event->sequence == first->sequence + collector->collected &&
           event->id.value == first->id.value && event->number == first->number &&
           event->recorded_ms == first->recorded_ms &&
           collector->list.size < EVENTS_VALUE_BYTES_GOAL &&
           fabric_bytes_equal(event->entity, first->entity) &&
           fabric_bytes_equal(event->type, first->type);
}

static void make_value(events_collector_t *collector)
{
    if (collector->collected == 0) {
        return;
    }
    journal_events_t events = {.first = collector->first.sequence,
                               .count = collector->collected,
                               .recorded_ms = collector->first.recorded_ms,
                               .list = wire_writer_bytes(&collector->list)};
    collector->values = memory_reserve((void *)collector->values, collector->count + 1,
                                       &collector->capacity, sizeof(events_value_t *));
    collector->values[collector->count++] = events_value_new(&collector->first, &events);
    wire_writer_reset(&collector->list);
    collector->collected = 0;
}

/* The event's views are valid during the call only. */
static void begin(events_collector_t *collector, const store_event_t *event)
{
    store_event_t *first = &collector->first;
    wire_writer_reset(&collector->names);
    wire_append(&collector->names, event->type.data, event->type.size);
    wire_append(&collector->names, event->entity.data, event->entity.size);
    *first = *event;
    first->type = fabric_bytes(collector->names.data, event->type.size);
    first->entity = fabric_bytes(collector->names.data + event->type.size, event->entity.size);
}

void events_collect(events_collector_t *collector, const store_event_t *event)
{
    if (collector->collected == 0 || !goes_on(collector, event)) {
        make_value(collector);
        begin(collector, event);
    }
    journal_events_put(&collector->list, event->tag, event->version, event->payload);
    collector->collected++;
}

void events_collected(events_collector_t *collector)
{
    make_value(collector);
    wire_writer_destroy(&collector->list);
    wire_writer_destroy(&collector->names);
    collector->list = collector->names = (wire_writer_t){0};
}

void events_values_clear(events_value_t ***values, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        events_value_drop(&(*values)[i]);
    }
    free((void *)*values);
    *values = NULL;
    *count = 0;
}
