/* The brokers to which the link connects: those that are configured, and those of the map. */
#ifndef WORKER_LINK_BROKERS_STATE_H
#define WORKER_LINK_BROKERS_STATE_H

#include "worker/link_endpoint_state.h"
#include "worker/link_event_state.h"

typedef struct link_brokers {
    uint32_t count; /* slots in use, free ones in between included */
    link_endpoint_t endpoints[LINK_ENDPOINTS_MAX];
} link_brokers_t;

/* `learned`: from the map. LIMIT_EXCEEDED. */
FABRIC_MUST_USE fabric_error_t link_brokers_add(link_brokers_t *brokers, const char *name,
                                                bool learned);
/* Closes endpoints without connection whose broker has left the map. */
void link_brokers_close_absent(link_brokers_t *brokers, const shard_map_t *map);
/* Opens endpoints for the brokers of the map that are not connected. Without `allow_plaintext`, a
 * broker beyond this machine is an event instead. */
void link_brokers_open_new(link_brokers_t *brokers, const shard_map_t *map, bool allow_plaintext,
                           link_events_t *events);
/* Whether a connected broker has welcomed this worker, or has not answered its hello yet. */
bool link_brokers_any_greeted(const link_brokers_t *brokers);

#endif
