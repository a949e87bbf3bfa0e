/* What is stored of an entity that is tested alone: see testing_home.h. */
#include "worker/testing_home_state.h"

journal_events_t testing_home_events(const testing_home_t *home)
{
    return (journal_events_t){.first = home->event_count > 0 ? 1 : 0,
                              .count = home->event_count,
                              .list = wire_writer_bytes(&home->event_list)};
}

void testing_home_append(testing_home_t *home, fabric_bytes_t tag, uint32_t version,
                         fabric_bytes_t payload)
{
    journal_events_put(&home->event_list, tag, version, payload);
    home->event_count++;
    testing_home_move(home);
}

uint64_t testing_home_event_count(const testing_home_t *home)
{
    return home->event_count;
}

bool testing_home_event(const testing_home_t *home, uint64_t sequence, store_event_t *event)
{
    const journal_events_t all = testing_home_events(home);
    journal_events_reader_t reader = journal_events_open(&all);
    while (journal_events_next(&reader, event)) {
        if (event->sequence == sequence) {
            return true;
        }
    }
    return false;
}

const char *testing_home_fault(const testing_home_t *home)
{
    return home->fault;
}

fabric_bytes_t testing_home_stored(const testing_home_t *home, uint32_t *version)
{
    *version = home->state_version;
    return wire_writer_bytes(&home->state);
}

void testing_home_store(testing_home_t *home, uint32_t version, fabric_bytes_t state)
{
    wire_writer_reset(&home->state);
    wire_append(&home->state, state.data, state.size);
    home->state_version = version;
    testing_home_move(home);
}
