/* The events that one message has appended to its entity, or some of them, in a broker's memory:
 * written once, and shared by those who need them, each of whom drops them.
 *
 * Threading: as state_value.h. Only the router reads and writes what is marked as its own; store
 * actors read the rest meanwhile.
 */
#ifndef BROKER_EVENTS_VALUE_H
#define BROKER_EVENTS_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/journal/events.h"

typedef struct events_value {
    uint32_t references;
    size_t size; /* of all of it */
    fabric_bytes_t type, entity;
    shard_id_t shard;
    request_id_t id;         /* of the message */
    uint64_t number;         /* of the entry that has them; 0: they are not durable yet */
    journal_events_t events; /* at least one; the list, and the names, are in bytes[] */
    /* The router's: see broker/router/history_state.h. */
    struct events_value *prev, *next; /* the entity's, in the order of their sequences */
    uint32_t taken;                   /* the first so many of them are in slices */
    uint64_t slice;                   /* the last one with some of them */
    bool settled;                     /* rows have all of them */
    uint8_t bytes[];
} events_value_t;

/* Copies of the names and the list, with one reference. `first` says type, entity, shard, id and
 * number. */
events_value_t *events_value_new(const store_event_t *first, const journal_events_t *events);
events_value_t *events_value_share(events_value_t *value);
/* Sets *value to NULL, which it may be. */
void events_value_drop(events_value_t **value);

/* One value of so many of one entity that follow each other, for who needs the events alone: it
 * says of the first one which message it is of, and which entry has it. */
events_value_t *events_value_join(events_value_t *const *values, size_t count);

/* Makes values of events that come one after the other: one for events that follow each other in
 * their entity, of the same message, up to EVENTS_VALUE_BYTES_GOAL or one. Zeroed: there are none
 * yet. */
typedef struct events_collector {
    events_value_t **values; /* an array of the caller's, as are the values */
    size_t count, capacity;
    wire_writer_t list; /* of those that make no value yet */
    store_event_t first;
    wire_writer_t names; /* type and entity of it */
    uint32_t collected;
} events_collector_t;

#define EVENTS_VALUE_BYTES_GOAL (64u << 10)

void events_collect(events_collector_t *collector, const store_event_t *event);
/* To be called behind the last one; frees all but the values. */
void events_collected(events_collector_t *collector);
void events_values_clear(events_value_t ***values, size_t *count);

#endif
