/* The link's queue of events: see link_event_state.h. */
#include "worker/link_event_state.h"

#include "core/address.h"

void link_events_add(link_events_t *events, const link_event_t *event, fabric_bytes_t text)
{
    if (events->count == LINK_EVENTS_MAX) {
        events->first = (events->first + 1) % LINK_EVENTS_MAX;
        events->count--;
    }
    link_event_t *entry = &events->entries[(events->first + events->count++) % LINK_EVENTS_MAX];
    *entry = *event;
    bytes_escape(text, entry->text, sizeof entry->text - 1);
}

bool link_events_next(link_events_t *events, link_event_t *event)
{
    if (events->count == 0) {
        return false;
    }
    *event = events->entries[events->first];
    events->first = (events->first + 1) % LINK_EVENTS_MAX;
    events->count--;
    return true;
}
