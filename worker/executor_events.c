/* Events of entities: see executor_events.h. */
#include "worker/executor_events.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/schema_memory.h"

/* An entity whose messages append little keeps the memory for it. */
#define LIST_BYTES_KEPT 256u

/* What an executor encodes and decodes events in. */
typedef struct events_buffers {
    uint8_t *payload; /* LIMIT_PAYLOAD_BYTES_MAX */
    void *event;
    schema_memory_t elements; /* of its lists that are views */
    wire_writer_t array;
} events_buffers_t;

static events_buffers_t *buffers_of(entity_table_t *table)
{
    if (!table->event_buffers) {
        table->event_buffers =
            (events_buffers_t *)memory_allocate_zeroed(1, sizeof(events_buffers_t));
        table->event_buffers->payload = (uint8_t *)memory_allocate(LIMIT_PAYLOAD_BYTES_MAX);
        table->event_buffers->event = memory_allocate(type_table_event_bytes(table->types) + 1);
    }
    return table->event_buffers;
}

void events_buffers_free(entity_table_t *table)
{
    events_buffers_t *buffers = table->event_buffers;
    if (buffers) {
        schema_memory_free(&buffers->elements);
        wire_writer_destroy(&buffers->array);
        free(buffers->event);
        free(buffers->payload);
        free(buffers);
        table->event_buffers = NULL;
    }
}

/* ---- what the home gives ---- */

void events_forget(entity_t *entity)
{
    if (entity->events) {
        wire_writer_destroy(&entity->events->state);
        wire_writer_destroy(&entity->events->list);
        free(entity->events);
        entity->events = NULL;
    }
}

void events_begin(entity_t *entity, const message_deliver_t *snapshot)
{
    assert(!entity_is_resident(entity));
    events_forget(entity);
    entity_events_t *events = (entity_events_t *)memory_allocate_zeroed(1, sizeof *events);
    events->home_epoch = snapshot->home_epoch;
    events->activation = snapshot->activation;
    events->version = (uint32_t)snapshot->attempt;
    if (snapshot->payload.size > 0) {
        events->sequence = events->snapshot = snapshot->position;
        wire_append(&events->state, snapshot->payload.data, snapshot->payload.size);
    }
    entity->events = events;
}

void events_add(entity_t *entity, const message_deliver_t *part)
{
    entity_events_t *events = entity->events;
    uint64_t first = part->position;
    journal_events_t given;
    if (!events || events->complete || events->activation != part->activation ||
        events->home_epoch != part->home_epoch || first <= events->sequence ||
        journal_events_read(part->payload, first, &given) != FABRIC_OK) {
        return; /* it does not follow what is here */
    }
    if (first > events->sequence + 1 && events->gap_first == 0) {
        events->gap_first = events->sequence + 1;
        events->gap_last = first - 1;
    }
    wire_append(&events->list, given.list.data, given.list.size);
    events->count += given.count;
    events->sequence += given.count;
    events->complete = part->attempt == 0;
}

/* ---- building ---- */

/* Whether all of them can be applied; else the instance says why not. */
static bool are_known(fabric_instance_t *instance, const journal_events_t *given,
                      const type_entry_t *entry)
{
    journal_events_reader_t reader = journal_events_open(given);
    store_event_t event;
    while (journal_events_next(&reader, &event)) {
        if (!type_entry_event(entry, event.tag, event.version)) {
            return fabric_build_failed(
                instance, "this worker does not know its event %llu: %.*s of version %u",
                (unsigned long long)event.sequence, (int)event.tag.size,
                (const char *)event.tag.data, (unsigned)event.version);
        }
    }
    return true;
}

static bool restore(fabric_instance_t *instance, entity_events_t *events,
                    const fabric_entity_type_t *type, void *memory)
{
    fabric_schema_fault_t fault = {""};
    fabric_bytes_t state = wire_writer_bytes(&events->state);
    if (!type->state || events->version != type->state_version) {
        events->unreadable = true;
        return fabric_build_failed(instance, "its snapshot is of version %u",
                                   (unsigned)events->version);
    }
    if (fabric_schema_decode(type->state, state, &fault, memory) != FABRIC_OK) {
        events->unreadable = true;
        return fabric_build_failed(instance, "its snapshot cannot be read: %s", fault.text);
    }
    return !type->restore || type->restore(instance, memory);
}

static bool apply(events_buffers_t *buffers, const fabric_event_type_t *row, fabric_bytes_t payload,
                  fabric_schema_fault_t *fault, void *memory)
{
    void *value = row->schema->field_count > 0 ? buffers->event : NULL;
    if (schema_decode_growing(row->schema, payload, &buffers->elements, fault, buffers->event) !=
        FABRIC_OK) {
        return false;
    }
    row->apply(memory, value);
    return true;
}

static bool apply_all(entity_table_t *table, const journal_events_t *given,
                      const type_entry_t *entry, void *memory)
{
    journal_events_reader_t reader = journal_events_open(given);
    fabric_schema_fault_t fault = {""};
    store_event_t event;
    while (journal_events_next(&reader, &event)) {
        const fabric_event_type_t *row = type_entry_event(entry, event.tag, event.version);
        if (!apply(buffers_of(table), row, event.payload, &fault, memory)) {
            return fabric_build_failed(&table->instance, "its event %llu, %s, cannot be read: %s",
                                       (unsigned long long)event.sequence, row->tag, fault.text);
        }
    }
    return true;
}

bool events_build(entity_table_t *table, entity_t *entity, const type_entry_t *entry, void *memory)
{
    fabric_instance_t *instance = &table->instance;
    entity_events_t *events = entity->events;
    if (!events || !events->complete) {
        return fabric_build_failed(instance, "its events are not here");
    }
    if (events->gap_first > 0) {
        return fabric_build_failed(instance, "of its events %llu to %llu are missing",
                                   (unsigned long long)events->gap_first,
                                   (unsigned long long)events->gap_last);
    }
    const journal_events_t given = {.first = events->snapshot + 1,
                                    .count = events->count,
                                    .list = wire_writer_bytes(&events->list)};
    const fabric_entity_type_t *type = entry->type;
    if (!are_known(instance, &given, entry)) {
        return false;
    }
    bool built = events->state.size > 0 ? restore(instance, events, type, memory)
                                        : !type->build || type->build(instance, memory);
    if (!built || !apply_all(table, &given, entry, memory)) {
        return false;
    }
    events->applied = true;
    events->count = 0;
    wire_writer_destroy(&events->state);
    wire_writer_destroy(&events->list);
    return true;
}

/* ---- appending ---- */

bool events_append(entity_table_t *table, entity_t *entity, const type_entry_t *entry,
                   const char *tag, const void *event, char *fault, size_t fault_size)
{
    entity_events_t *events = entity->events;
    const fabric_event_type_t *row = type_entry_newest_event(entry, fabric_bytes_of(tag));
    if (!row) {
        snprintf(fault, fault_size, "the type has no event %s", tag);
        return false;
    }
    assert(events->applied);
    events_buffers_t *buffers = buffers_of(table);
    fabric_schema_fault_t inner = {""};
    size_t size = 0;
    if (fabric_schema_encode(row->schema, event, buffers->payload, LIMIT_PAYLOAD_BYTES_MAX, &inner,
                             &size) != FABRIC_OK) {
        snprintf(fault, fault_size, "the event %s: %s", row->tag,
                 inner.text[0] ? inner.text : "it is larger than a payload may be");
        return false;
    }
    if (events->list.size + size > EVENTS_RECORD_BYTES) {
        snprintf(fault, fault_size, "the events of one message are larger than a record may be");
        return false;
    }
    /* It is applied as it is read later: without what its schema does not have. */
    fabric_bytes_t payload = fabric_bytes(buffers->payload, size);
    if (!apply(buffers, row, payload, &inner, entity_memory(entry, entity))) {
        snprintf(fault, fault_size, "the event %s: %s", row->tag, inner.text);
        return false;
    }
    journal_events_put(&events->list, fabric_bytes_of(row->tag), row->version, payload);
    events->count++;
    events->sequence++;
    return true;
}

message_result_events_t events_result(entity_table_t *table, const entity_t *entity,
                                      const message_result_t *result, uint32_t version,
                                      fabric_bytes_t snapshot)
{
    const entity_events_t *events = entity->events;
    wire_writer_t *array = &buffers_of(table)->array;
    const journal_events_t appended = {
        .first = events->count > 0 ? events->sequence - events->count + 1 : 0,
        .count = events->count,
        .list = wire_writer_bytes(&events->list)};
    wire_writer_reset(array);
    journal_events_put_array(array, &appended);
    return (message_result_events_t){.shard = result->shard,
                                     .home_epoch = result->home_epoch,
                                     .owner_sequence = result->owner_sequence,
                                     .activation = result->activation,
                                     .request_id = result->request_id,
                                     .status = result->status,
                                     .error = result->error,
                                     .code = result->code,
                                     .payload = result->payload,
                                     .first = appended.first,
                                     .events = wire_writer_bytes(array),
                                     .version = snapshot.size > 0 ? version : 0,
                                     .state = snapshot,
                                     .sequence = snapshot.size > 0 ? events->sequence : 0};
}

void events_accept(entity_t *entity)
{
    entity_events_t *events = entity->events;
    events->count = 0;
    if (events->list.capacity > LIST_BYTES_KEPT) {
        wire_writer_destroy(&events->list);
    } else {
        wire_writer_reset(&events->list);
    }
}

void events_note_snapshot(entity_t *entity)
{
    entity->events->snapshot = entity->events->sequence;
}
