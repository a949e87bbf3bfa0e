/* What is stored of entities, with their results: see executor_stored.h. */
#include "worker/executor_stored.h"

#include <stdio.h>

#include "core/memory.h"
#include "worker/executor_events.h"
#include "worker/executor_persisted.h"
#include "worker/executor_result.h"

/* ---- what handlers tell others ---- */

/* The result with nothing beside the reply. */
static message_result_events_t without_effects(const message_result_t *result)
{
    static const uint8_t no_events[] = {0x90};
    return (message_result_events_t){.shard = result->shard,
                                     .home_epoch = result->home_epoch,
                                     .owner_sequence = result->owner_sequence,
                                     .activation = result->activation,
                                     .request_id = result->request_id,
                                     .status = result->status,
                                     .error = result->error,
                                     .code = result->code,
                                     .payload = result->payload,
                                     .events = fabric_bytes(no_events, sizeof no_events)};
}

/* Puts the result with what the handler has told others. There is room for them: see
 * fabric_tell(). */
static void put_told(executor_t *executor, entity_t *entity, const message_result_events_t *with,
                     const told_t *told)
{
    const message_result_told_t result = {.shard = with->shard,
                                          .home_epoch = with->home_epoch,
                                          .owner_sequence = with->owner_sequence,
                                          .activation = with->activation,
                                          .request_id = with->request_id,
                                          .status = with->status,
                                          .error = with->error,
                                          .code = with->code,
                                          .payload = with->payload,
                                          .first = with->first,
                                          .events = with->events,
                                          .version = with->version,
                                          .state = with->state,
                                          .sequence = with->sequence,
                                          .count = told->count,
                                          .told = wire_writer_bytes(&told->list)};
    output_put_result_told(&executor->output, entity->ownership->source, &result, executor->now_ms);
}

/* The reply to a message that has changed nothing. */
static void put_reply(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                      const message_result_t *result, const told_t *told)
{
    if (told) {
        const message_result_told_t with =
            work_result_with_told(result, told->count, wire_writer_bytes(&told->list));
        output_put_result_told(&executor->output, entity->ownership->source, &with,
                               executor->now_ms);
    } else {
        result_put(executor, entity, delivery->flags, result);
    }
}

/* ---- persisted states ---- */

static uint8_t *state_buffer(executor_handling_t *handling)
{
    if (!handling->state_buffer) {
        handling->state_buffer = (uint8_t *)memory_allocate(LIMIT_PAYLOAD_BYTES_MAX);
    }
    return handling->state_buffer;
}

/* What the handler that has ended has done to the state of the entity, which is of a persisted
 * type. */
static persisted_change_t compare_state(executor_t *executor, entity_t *entity, size_t *size,
                                        fabric_schema_fault_t *fault)
{
    const type_entry_t *type = entity_type(&executor->entities, entity);
    return persisted_compare(entity, type->type, entity_memory(type, entity),
                             state_buffer(&executor->handling), size, fault);
}

/* Whether there is something to be taken back. */
static bool has_changed(executor_t *executor, entity_t *entity)
{
    size_t size;
    fabric_schema_fault_t fault;
    if (!entity_is_resident(entity)) {
        return false;
    }
    return entity_type(&executor->entities, entity)->type->persisted
               ? compare_state(executor, entity, &size, &fault) != PERSISTED_SAME
               : events_were_appended(entity);
}

void stored_take_back(executor_t *executor, entity_t *entity)
{
    if (!has_changed(executor, entity)) {
        return;
    }
    if (entity->terminating) { /* nor does it keep itself alive then */
        entity_terminate(&executor->entities, entity);
    } else {
        entity_go_back(&executor->entities, entity);
        alive_tell_absent(&executor->entities, entity);
    }
}

void stored_put_failed(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                       const message_result_t *result)
{
    result_put(executor, entity, delivery->flags, result);
    stored_take_back(executor, entity);
}

/* The state was accepted. */
static void put_changed(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                        const message_result_t *result, const told_t *told)
{
    message_result_state_t with_state = persisted_result(entity, result);
    if (told) {
        message_result_events_t with = without_effects(result);
        with.version = with_state.version;
        with.state = with_state.state;
        put_told(executor, entity, &with, told);
        return;
    }
    entity_note_early(entity, delivery->flags, delivery->request_id);
    output_put_result_state(&executor->output, entity->ownership->source, &with_state,
                            executor->now_ms);
}

/* Puts the reply to a message of a persisted type, with the state if it has changed that. */
static void put_with_state(executor_t *executor, entity_t *entity,
                           const message_deliver_t *delivery, const message_result_t *result,
                           const told_t *told)
{
    size_t size = 0;
    fabric_schema_fault_t fault = {""};
    persisted_change_t change = compare_state(executor, entity, &size, &fault);
    if (change == PERSISTED_SAME) {
        put_reply(executor, entity, delivery, result, told);
    } else if (change == PERSISTED_FAULT) {
        char text[LIMIT_TEXT_BYTES_MAX];
        snprintf(text, sizeof text, "the state: %s",
                 fault.text[0] ? fault.text : "it is larger than a payload may be");
        result_put_broken(executor, entity, delivery, text);
    } else if (!(delivery->flags & REQUEST_DURABLE)) {
        result_put_broken(executor, entity, delivery,
                          "a volatile message has changed a persisted state");
    } else {
        persisted_accept(entity, entity_type(&executor->entities, entity)->type,
                         executor->handling.state_buffer, size);
        put_changed(executor, entity, delivery, result, told);
    }
}

/* ---- events ---- */

/* The state as it is now; empty: no snapshot is to be taken, or there is no room for one in the
 * result beside `size` bytes, or it cannot be encoded, which the log says. */
static fabric_bytes_t take_snapshot(executor_t *executor, entity_t *entity,
                                    const message_deliver_t *delivery, size_t size)
{
    const type_entry_t *type = entity_type(&executor->entities, entity);
    fabric_bytes_t snapshot = {NULL, 0};
    fabric_schema_fault_t fault = {""};
    if (!events_snapshot_is_due(entity, type) ||
        size + LIMIT_PAYLOAD_BYTES_MAX > EVENTS_RECORD_BYTES) {
        return snapshot;
    }
    uint8_t *buffer = state_buffer(&executor->handling);
    size_t state_size = 0;
    events_note_snapshot(entity);
    if (fabric_schema_encode(type->type->state, entity_memory(type, entity), buffer,
                             LIMIT_PAYLOAD_BYTES_MAX, &fault, &state_size) == FABRIC_OK) {
        snapshot = fabric_bytes(buffer, state_size);
    } else {
        char text[LIMIT_TEXT_BYTES_MAX];
        snprintf(text, sizeof text, "no snapshot: %s",
                 fault.text[0] ? fault.text : "the state is larger than a payload may be");
        result_report_defect(executor, entity, delivery->tag, delivery->request_id,
                             fabric_bytes_of(text));
    }
    return snapshot;
}

/* As put_with_state, of a type with events. */
static void put_with_events(executor_t *executor, entity_t *entity,
                            const message_deliver_t *delivery, const message_result_t *result,
                            const told_t *told)
{
    entity_table_t *entities = &executor->entities;
    size_t size = entity->events->list.size + result->payload.size + told_bytes(told);
    fabric_bytes_t snapshot = {NULL, 0};
    bool appended = events_were_appended(entity);
    if (appended && !(delivery->flags & REQUEST_DURABLE)) {
        result_put_broken(executor, entity, delivery, "a volatile message has appended events");
        return;
    }
    if (size > EVENTS_RECORD_BYTES) {
        result_put_broken(
            executor, entity, delivery,
            told ? "the events, the reply and what the handler tells others are larger than "
                   "a record may be"
                 : "the events and the reply are larger than a record may be");
        return;
    }
    if (delivery->flags & REQUEST_DURABLE) {
        snapshot = take_snapshot(executor, entity, delivery, size);
    }
    if (!appended && snapshot.size == 0) {
        put_reply(executor, entity, delivery, result, told);
        return;
    }
    message_result_events_t with_events = events_result(
        entities, entity, result, entity_type(entities, entity)->type->state_version, snapshot);
    if (told) {
        put_told(executor, entity, &with_events, told);
    } else {
        output_put_result_events(&executor->output, entity->ownership->source, &with_events,
                                 executor->now_ms);
    }
    entity_note_early(entity, delivery->flags, delivery->request_id);
    events_accept(entity);
}

void stored_put_handled(executor_t *executor, entity_t *entity, const message_deliver_t *delivery,
                        const message_result_t *result, const told_t *told)
{
    const type_entry_t *type = entity_type(&executor->entities, entity);
    if (type->type->persisted) {
        put_with_state(executor, entity, delivery, result, told);
    } else if (type->event_count > 0) {
        put_with_events(executor, entity, delivery, result, told);
    } else {
        put_reply(executor, entity, delivery, result, told);
    }
}

/* ---- what the home gives ---- */

void stored_take_given(executor_t *executor, entity_t *entity, ownership_t *ownership,
                       const message_deliver_t *given)
{
    entity_table_t *entities = &executor->entities;
    output_put_abandoned(&executor->output, ownership->source, executor->now_ms);
    if (ownership->state != OWNERSHIP_CURRENT ||
        given->home_epoch != ownership->key.token.home_epoch ||
        !entity_enter(entities, entity, ownership, given->activation, executor->now_ms)) {
        return;
    }
    bool is_first = !(given->flags & WORK_EVENTS);
    if (is_first) {
        entity_go_back(entities, entity);
    }
    if (entity_type(entities, entity)->event_count > 0) {
        entity_take_events(entities, entity, given);
    } else if (is_first) {
        entity_set_persisted(entities, entity, (uint32_t)given->attempt, given->payload);
    }
}

bool stored_is_here(const type_entry_t *type, const entity_t *entity)
{
    return type->type->persisted ? entity->persisted != NULL : events_are_here(entity);
}
