/* An executor's accounts, recomputed: see executor_check.h. */
#include "tests/unit/executor_check.h"

#include <inttypes.h>
#include <stdio.h>

#include "worker/executor_events.h"
#include "worker/executor_state.h"

static char fault[200];

/* Remembers the first account that is wrong. */
static void expect(const char *what, uint64_t kept, uint64_t counted)
{
    if (kept != counted && fault[0] == '\0') {
        snprintf(fault, sizeof fault, "%s: %" PRIu64 " by the account, %" PRIu64 " by counting",
                 what, kept, counted);
    }
}

static void check_entity(const entity_t *entity)
{
    uint64_t volatile_waiting = 0;
    const waiting_t *last = NULL;
    for (const waiting_t *waiting = entity->first; waiting; waiting = waiting->next) {
        volatile_waiting += !(waiting->delivery.flags & REQUEST_DURABLE);
        last = waiting;
    }
    expect("volatile messages that wait", entity->volatile_waiting, volatile_waiting);
    expect("the last message that waits", !entity->first || entity->last == last, true);
    expect("whether a handler is pending", entity->state == ENTITY_PENDING,
           entity->pending != NULL);
    uint64_t pending_count = 0;
    for (const fabric_pending_t *pending = entity->pending; pending; pending = pending->call_next) {
        expect("the entity of a pending handler", pending->entity == entity, true);
        pending_count += !pending->concurrent;
    }
    expect("pending handlers that are not concurrent", entity->pending_count, pending_count);
}

static void check_events(const executor_t *executor, const entity_t *entity)
{
    const entity_events_t *events = entity->events;
    bool resident = entity_is_resident(entity);
    bool has_events = entity_type(&executor->entities, entity)->event_count > 0;
    expect("events of an instance", resident && has_events, events && events->applied);
    if (resident && events) {
        expect("the list of what was appended", events->list.size > 0, events->count > 0);
        expect("events of a message that has ended",
               events->count > 0 && entity->state != ENTITY_PENDING, false);
    }
}

static void check_ownership(const executor_t *executor, const ownership_t *ownership)
{
    uint64_t waiting_count = 0;
    uint64_t entities = 0;
    uint64_t busy = 0;
    for (const entity_t *entity = executor->entities.by_key; entity; entity = entity->hh.next) {
        for (const waiting_t *waiting = entity->first; waiting; waiting = waiting->next) {
            waiting_count += waiting->ownership == ownership;
        }
        if (entity->ownership == ownership) {
            entities += entity->state != ENTITY_PENDING;
            busy += entity->state == ENTITY_PENDING;
        }
    }
    expect("messages that wait under an ownership", ownership->waiting, waiting_count);
    for (const entity_t *entity = ownership->entities; entity; entity = entity->ownership_next) {
        entities--;
    }
    for (const entity_t *entity = ownership->busy; entity; entity = entity->ownership_next) {
        busy--;
    }
    expect("entities that an ownership does not list", 0, entities);
    expect("busy entities that an ownership does not list", 0, busy);
}

static uint64_t count_resting(const residents_t *residents, rest_t rest)
{
    uint64_t count = 0;
    const entity_t *before = NULL;
    for (const entity_t *entity = residents->resting[rest]; entity; entity = entity->resting_next) {
        count += entity->rest == rest;
        if (before && residents->ordered && rest != REST_HOLDING) {
            expect("the order of residents that rest", before->used_ms <= entity->used_ms, true);
        }
        before = entity;
    }
    return count;
}

static void check_residents(const entity_table_t *entities)
{
    uint64_t residents = 0;
    uint64_t resting = 0;
    uint64_t idle = 0;
    uint64_t outside = 0;
    uint64_t holding = 0;
    uint64_t resources = 0;
    for (const entity_t *entity = entities->by_key; entity; entity = entity->hh.next) {
        bool rests = entity->state == ENTITY_STARTED && !entity->first && !entity->resources;
        residents += entity_is_resident(entity);
        resting += rests;
        idle += rests && !entity->kept;
        holding += entity->state == ENTITY_STOPPED && (entity->persisted || entity->events) &&
                   !entity->first;
        for (const resource_t *resource = entity->resources; resource; resource = resource->next) {
            resources++;
        }
    }
    uint64_t listed_idle = count_resting(&entities->residents, REST_IDLE);
    uint64_t listed = listed_idle + count_resting(&entities->residents, REST_KEPT);
    for (const entity_t *entity = entities->outside.first; entity; entity = entity->queue_next) {
        outside++;
    }
    expect("residents", entities->residents.count, residents);
    expect("more residents than there may be", residents > entities->residents.max, false);
    expect("residents that rest", listed, resting);
    expect("those that do not keep themselves alive", listed_idle, idle);
    expect("entities that hold a persisted state", entities->residents.holding, holding);
    expect("their list", count_resting(&entities->residents, REST_HOLDING), holding);
    expect("the number of idle residents", entities->residents.idle, idle);
    expect("resources", entities->instance.resource_count, resources);
    expect("entities that wait for room", entities->outside_count, outside);
}

const char *executor_check(const executor_t *executor)
{
    uint64_t count = 0;
    uint64_t bytes = 0;
    fault[0] = '\0';
    for (const entity_t *entity = executor->entities.by_key; entity; entity = entity->hh.next) {
        check_entity(entity);
        check_events(executor, entity);
        count++;
        bytes += entity_memory_offset(entity->id_size) +
                 entity_type(&executor->entities, entity)->type->state_size;
    }
    for (const ownership_t *ownership = executor->ownerships.by_key; ownership;
         ownership = ownership->hh.next) {
        check_ownership(executor, ownership);
    }
    check_residents(&executor->entities);
    executor_stats_t stats = executor_stats(executor);
    expect("entities", stats.entities, count);
    expect("bytes of entities", stats.bytes, bytes);
    return fault[0] ? fault : NULL;
}
