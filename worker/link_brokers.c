/* The brokers to which the link connects: see link_brokers_state.h. */
#include "worker/link_brokers_state.h"

#include <string.h>

#include "core/endpoint.h"

fabric_error_t link_brokers_add(link_brokers_t *brokers, const char *name, bool learned)
{
    uint32_t index = 0;
    while (index < brokers->count && !link_endpoint_is_free(&brokers->endpoints[index])) {
        index++;
    }
    if (index == LINK_ENDPOINTS_MAX || strlen(name) > LIMIT_ENDPOINT_BYTES_MAX) {
        return FABRIC_ERROR_LIMIT_EXCEEDED;
    }
    if (index == brokers->count) {
        brokers->count++;
    }
    link_endpoint_open(&brokers->endpoints[index], name, learned);
    return FABRIC_OK;
}

/* Whether a broker of the map is connected, or is being connected. */
static bool is_known(const link_brokers_t *brokers, const map_broker_t *broker)
{
    for (uint32_t i = 0; i < brokers->count; i++) {
        const link_endpoint_t *endpoint = &brokers->endpoints[i];
        if (endpoint->phase == PHASE_CLOSED) {
            continue;
        }
        if (strcmp(endpoint->name, broker->router_endpoint) == 0 ||
            (endpoint->phase == PHASE_WELCOMED &&
             incarnation_equal(endpoint->broker, broker->incarnation))) {
            return true;
        }
    }
    return false;
}

static bool is_in_map(const link_endpoint_t *endpoint, const shard_map_t *map)
{
    for (size_t i = 0; i < shard_map_broker_count(map); i++) {
        if (strcmp(shard_map_broker_at(map, i)->router_endpoint, endpoint->name) == 0) {
            return true;
        }
    }
    return false;
}

void link_brokers_close_absent(link_brokers_t *brokers, const shard_map_t *map)
{
    for (uint32_t i = 0; i < brokers->count; i++) {
        link_endpoint_t *endpoint = &brokers->endpoints[i];
        if (endpoint->learned && endpoint->phase == PHASE_DOWN && !is_in_map(endpoint, map)) {
            link_endpoint_close(endpoint);
        }
    }
}

void link_brokers_open_new(link_brokers_t *brokers, const shard_map_t *map, bool allow_plaintext,
                           link_events_t *events)
{
    for (size_t i = 0; i < shard_map_broker_count(map); i++) {
        const map_broker_t *broker = shard_map_broker_at(map, i);
        if (endpoint_check(broker->router_endpoint, NULL) != FABRIC_OK ||
            is_known(brokers, broker)) {
            continue;
        }
        if (!allow_plaintext && !endpoint_is_local(broker->router_endpoint)) {
            link_event_t event = {.kind = LINK_EVENT_PLAINTEXT,
                                  .error = FABRIC_ERROR_PLAINTEXT_REFUSED};
            strcpy(event.endpoint, broker->router_endpoint);
            link_events_add(events, &event, (fabric_bytes_t){0});
            continue;
        }
        if (link_brokers_add(brokers, broker->router_endpoint, true) != FABRIC_OK) {
            return; /* every slot is taken: the brokers that are known must do */
        }
    }
}

bool link_brokers_any_greeted(const link_brokers_t *brokers)
{
    for (uint32_t i = 0; i < brokers->count; i++) {
        link_phase_t phase = brokers->endpoints[i].phase;
        if (phase == PHASE_WELCOMED || phase == PHASE_HELLO) {
            return true;
        }
    }
    return false;
}
