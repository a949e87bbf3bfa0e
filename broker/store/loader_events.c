/* Events of entities: what an adoption finds in the journal, and reading rows. */
#include <stdlib.h>

#include "broker/store/loader_state.h"
#include "core/memory.h"

void loader_take_events(const reading_t *reading, adoption_t *adoption)
{
    size_t count = 0;
    events_collector_t collector = {0};
    const store_event_t *events = journal_fold_events(reading->fold, &count);
    for (size_t i = 0; i < count; i++) {
        events_collect(&collector, &events[i]);
    }
    events_collected(&collector);
    adoption->events = collector.values;
    adoption->event_count = collector.count;
}

/* ---- rows ---- */

static void keep_event(void *context, size_t history, const store_event_t *row)
{
    (void)history; /* the row has the entity's name */
    events_collect(context, row);
}

void loaded_events_clear(loaded_events_t *events)
{
    events_values_clear(&events->values, &events->count);
    *events = (loaded_events_t){0};
}

fabric_error_t loader_load_events(loader_t *loader, uint32_t lane, const store_history_t *histories,
                                  size_t count, uint64_t bytes_max, loaded_events_t *events)
{
    connection_t *connection = &loader->connection;
    fabric_error_t error;
    *events = (loaded_events_t){0};
    do {
        loaded_events_clear(events);
        error = connection_require(connection);
        if (!error) {
            store_t *store = connection->store;
            events_collector_t collector = {0};
            error = store->driver->load_events(store, lane, histories, count, bytes_max, keep_event,
                                               &collector, &events->done);
            events_collected(&collector);
            events->values = collector.values;
            events->count = collector.count;
        }
    } while (connection_goes_on(connection, error));
    if (error) {
        loaded_events_clear(events);
    }
    return error;
}
