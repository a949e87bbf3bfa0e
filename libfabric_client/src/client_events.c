/* The events of an entity: read from its home, part by part, and followed. */
#include "libfabric_client/src/client_state.h"

#include <stdlib.h>

#include "core/memory.h"

enum {
    FOLLOW_WAIT_MS = 1000, /* the home lets a follower wait so long, then it is asked again */
    WAIT_MS_MAX = 60000,
    EVENT_PARTS = 6
};

/* ---- the answer ---- */

/* The least bytes of an event: its array and six values of a byte or two. */
enum { EVENT_BYTES_MIN = 1 + EVENT_PARTS };

static bool read_event(wire_reader_t *reader, uint64_t after, fabric_entity_event_t *event)
{
    uint32_t parts = wire_get_array(reader);
    event->sequence = wire_get_uint(reader);
    event->tag = wire_get_str(reader);
    uint64_t version = wire_get_uint(reader);
    uint64_t recorded_ms = wire_get_uint(reader);
    event->request_id = wire_get_uint(reader);
    event->payload = wire_get_bin(reader);
    event->version = (uint32_t)version;
    event->recorded_ms = (int64_t)recorded_ms;
    return !reader->failed && parts == EVENT_PARTS && event->sequence > after &&
           version <= UINT32_MAX && recorded_ms <= INT64_MAX && event->tag.size > 0;
}

static bool read_list(wire_reader_t *reader, uint64_t after, fabric_entity_events_t *events)
{
    size_t left = wire_left(reader);
    uint32_t count = wire_get_array(reader);
    if (reader->failed || count > left / EVENT_BYTES_MIN || events->events) {
        return false;
    }
    events->events = count ? memory_allocate_zeroed(count, sizeof *events->events) : NULL;
    for (; events->count < count; events->count++) {
        fabric_entity_event_t *event = &events->events[events->count];
        if (!read_event(reader, after, event)) {
            return false;
        }
        after = event->sequence;
    }
    return true;
}

/* Members that are not known here are stepped over. */
bool client_read_events(fabric_bytes_t document, uint64_t after, fabric_entity_events_t *events)
{
    wire_reader_t reader = wire_reader(document);
    uint32_t members = wire_get_map(&reader);
    events->last = after;
    for (uint32_t i = 0; i < members && !reader.failed; i++) {
        fabric_bytes_t key = wire_get_str(&reader);
        if (fabric_bytes_equal(key, fabric_bytes_of("events"))) {
            if (!read_list(&reader, after, events)) {
                return false;
            }
        } else if (fabric_bytes_equal(key, fabric_bytes_of("more"))) {
            events->more = wire_get_bool(&reader);
        } else {
            wire_skip(&reader);
        }
    }
    if (events->count > 0) {
        events->last = events->events[events->count - 1].sequence;
    }
    return wire_finish(&reader) == FABRIC_OK;
}

void fabric_entity_events_free(fabric_entity_events_t *events)
{
    free(events->events);
    free(events->document);
    *events = (fabric_entity_events_t){0};
}

/* ---- one part ---- */

static void put_argument(fabric_entity_t entity, uint64_t after, uint32_t limit, uint32_t wait_ms,
                         wire_writer_t *argument)
{
    wire_put_array(argument, 5);
    wire_put_bin(argument, entity.type);
    wire_put_bin(argument, entity.id);
    wire_put_uint(argument, after);
    wire_put_uint(argument, limit);
    wire_put_uint(argument, wait_ms);
}

static void read_part(fabric_client_t *client, fabric_entity_t entity, uint64_t after,
                      fabric_bytes_t argument, uint64_t deadline_ms, fabric_entity_events_t *events,
                      fabric_outcome_t *outcome)
{
    size_t size = 0;
    client_ask_home(client, entity, "events", argument, deadline_ms, &events->document, &size,
                    outcome);
    if (!outcome->error &&
        !client_read_events(fabric_bytes(events->document, size), after, events)) {
        reason_t reason;
        fabric_error_t error =
            reason_set(&reason, FABRIC_ERROR_MALFORMED_MESSAGE, "the home's answer cannot be read");
        outcome_of_reason(error, &reason, outcome);
    }
    if (outcome->error) {
        fabric_entity_events_free(events);
    }
}

fabric_error_t fabric_client_read_events(fabric_client_t *client, fabric_entity_t entity,
                                         uint64_t after, uint32_t limit, uint32_t wait_ms,
                                         uint32_t timeout_ms, fabric_entity_events_t *events,
                                         fabric_outcome_t *outcome)
{
    fabric_outcome_t result;
    wire_writer_t argument = {0};
    int cancel = thread_hold_cancel();
    *events = (fabric_entity_events_t){0};
    wait_ms = wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX;
    put_argument(entity, after, limit, wait_ms, &argument);
    read_part(client, entity, after, wire_writer_bytes(&argument),
              client_deadline(client, timeout_ms) + wait_ms, events, &result);
    wire_writer_destroy(&argument);
    if (outcome) {
        *outcome = result;
    }
    thread_allow_cancel(cancel);
    return result.error;
}

/* ---- following ---- */

/* Gives the events away; false: no more are wanted. */
static bool give(const fabric_entity_events_t *events, fabric_entity_event_fn *take, void *context)
{
    if (events->count == 0) {
        return take(context, NULL);
    }
    for (size_t i = 0; i < events->count; i++) {
        if (!take(context, &events->events[i])) {
            return false;
        }
    }
    return true;
}

fabric_error_t fabric_client_follow_events(fabric_client_t *client, fabric_entity_t entity,
                                           uint64_t after, uint32_t timeout_ms,
                                           fabric_entity_event_fn *take, void *context,
                                           fabric_outcome_t *outcome)
{
    for (;;) {
        fabric_entity_events_t events;
        fabric_error_t error = fabric_client_read_events(client, entity, after, 0, FOLLOW_WAIT_MS,
                                                         timeout_ms, &events, outcome);
        if (error) {
            return error;
        }
        bool on = give(&events, take, context);
        after = events.last > after ? events.last : after;
        fabric_entity_events_free(&events);
        if (!on) {
            return FABRIC_OK;
        }
    }
}
