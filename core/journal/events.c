/* Events of one RESULT: see events.h. */
#include "core/journal/events.h"

#include "core/limits.h"

enum { EVENT_PARTS = 3 /* tag, version, payload */ };

void journal_events_put(wire_writer_t *list, fabric_bytes_t tag, uint32_t version,
                        fabric_bytes_t payload)
{
    wire_put_array(list, EVENT_PARTS);
    wire_put_str(list, tag);
    wire_put_uint(list, version);
    wire_put_bin(list, payload);
}

static void get_event(wire_reader_t *reader, store_event_t *event)
{
    reader->failed |= wire_get_array(reader) != EVENT_PARTS;
    event->tag = wire_get_str(reader);
    uint64_t version = wire_get_uint(reader);
    event->version = (uint32_t)version;
    event->payload = wire_get_bin(reader);
    reader->failed |=
        event->tag.size == 0 || event->tag.size > LIMIT_NAME_BYTES_MAX || version > UINT32_MAX;
}

/* Without events there is no first one. */
static bool sequences_exist(const journal_events_t *events)
{
    if (events->count == 0) {
        return events->first == 0;
    }
    return events->first > 0 && events->first <= STORE_SEQUENCE_MAX - (events->count - 1);
}

static void skip_events(wire_reader_t *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        store_event_t event;
        get_event(reader, &event);
    }
}

bool journal_events_are_sound(const journal_events_t *events)
{
    wire_reader_t reader = wire_reader(events->list);
    skip_events(&reader, events->count);
    return sequences_exist(events) && wire_finish(&reader) == FABRIC_OK;
}

void journal_events_get(wire_reader_t *reader, journal_events_t *events)
{
    uint32_t count = wire_get_array(reader);
    const uint8_t *begin = reader->next;
    skip_events(reader, count);
    events->count = count;
    events->list = fabric_bytes(begin, (size_t)(reader->next - begin));
    reader->failed |= !sequences_exist(events);
}

void journal_events_put_array(wire_writer_t *writer, const journal_events_t *events)
{
    wire_put_array(writer, events->count);
    wire_append(writer, events->list.data, events->list.size);
}

fabric_error_t journal_events_read(fabric_bytes_t array, uint64_t first, journal_events_t *events)
{
    wire_reader_t reader = wire_reader(array);
    wire_reader_t count = reader;
    journal_events_t read = {.first = wire_get_array(&count) > 0 ? first : 0};
    journal_events_get(&reader, &read);
    if (wire_finish(&reader) != FABRIC_OK) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    *events = read;
    return FABRIC_OK;
}

journal_events_reader_t journal_events_open(const journal_events_t *events)
{
    return (journal_events_reader_t){wire_reader(events->list), events->count, events->first};
}

bool journal_events_next(journal_events_reader_t *reader, store_event_t *event)
{
    if (reader->left == 0) {
        return false;
    }
    get_event(&reader->list, event);
    event->sequence = reader->sequence++;
    reader->left--;
    return !reader->list.failed;
}
