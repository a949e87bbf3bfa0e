/* The events that wait to be pulled from the link: a bounded queue. When nobody pulls, the oldest
 * event is dropped. The queue holds all events that a welcome can make: one of its own, and one of
 * each broker of its map. */
#ifndef WORKER_LINK_EVENT_STATE_H
#define WORKER_LINK_EVENT_STATE_H

#include "worker/link.h"

#define LINK_EVENTS_MAX (2u * LIMIT_BROKERS_MAX)

typedef struct link_events {
    link_event_t entries[LINK_EVENTS_MAX];
    uint32_t first, count;
} link_events_t;

/* `event` without its text, which is added with control characters escaped. */
void link_events_add(link_events_t *events, const link_event_t *event, fabric_bytes_t text);
/* Takes the oldest event; false: there is none. */
bool link_events_next(link_events_t *events, link_event_t *event);

#endif
