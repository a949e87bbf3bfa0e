/* The events of one RESULT: what an entity has appended with one message. schemas/protocol.md
 * describes the bytes.
 *
 *     wire_writer_t list = {0};
 *     journal_events_put(&list, tag, 1, payload);                       writing
 *     events = (journal_events_t){.first = 5, .count = 1, .list = wire_writer_bytes(&list)};
 *
 *     reader = journal_events_open(&events);                            reading
 *     while (journal_events_next(&reader, &event)) { ... event.sequence ... }
 *
 * Threading: none of its own. Views of an event point into the list.
 */
#ifndef CORE_JOURNAL_EVENTS_H
#define CORE_JOURNAL_EVENTS_H

#include "core/journal/outgoing.h"
#include "core/store_message.h"
#include "core/wire.h"

typedef struct journal_events {
    uint64_t first; /* the sequence of the first one; 0: there are none */
    uint32_t count;
    int64_t recorded_ms; /* Unix time; of all of them */
    fabric_bytes_t list; /* `count` events, encoded, one after the other */
} journal_events_t;

/* What a handler has left beside its reply. With events, or a sequence, the type appends events. */
typedef struct journal_effects {
    uint32_t version; /* of the state; 0 without one */
    /* Of the entity. Empty: it has not changed, or the events say how. */
    fabric_bytes_t state;
    uint64_t sequence; /* of the last event that the state contains; 0: there is no state, or the
                          type appends none. With events it is that of the last one. */
    journal_events_t events;
    journal_outgoing_t outgoing; /* its tag is that of the message */
} journal_effects_t;

/* Appends one event to a list. */
void journal_events_put(wire_writer_t *list, fabric_bytes_t tag, uint32_t version,
                        fabric_bytes_t payload);
/* The sequence of the last one; 0: there are none. */
static inline uint64_t journal_events_last(const journal_events_t *events)
{
    return events->count > 0 ? events->first + (events->count - 1) : 0;
}
/* Whether the list has `count` events and nothing else, with sequences that exist. */
bool journal_events_are_sound(const journal_events_t *events);
/* Writes their number and the list, which is an array of the events. */
void journal_events_put_array(wire_writer_t *writer, const journal_events_t *events);
/* Reads such an array, and nothing else, as the wire's messages carry it. `first` is the sequence
 * of the first event; of none, events->first is 0 whatever it is. MALFORMED_MESSAGE where they are
 * not sound. */
FABRIC_MUST_USE fabric_error_t journal_events_read(fabric_bytes_t array, uint64_t first,
                                                   journal_events_t *events);
/* Reads the number of events and the list where they stand, as above, and sets both; `first` is set
 * before. The reader fails where they are not sound. */
void journal_events_get(wire_reader_t *reader, journal_events_t *events);

typedef struct journal_events_reader {
    wire_reader_t list;
    uint32_t left;
    uint64_t sequence; /* of the next one */
} journal_events_reader_t;

/* Of sound ones. */
journal_events_reader_t journal_events_open(const journal_events_t *events);
/* Sets sequence, tag, version and payload of the next one. false: there are no more. */
bool journal_events_next(journal_events_reader_t *reader, store_event_t *event);

#endif
