/* Events that wait to be pulled. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/mesh/mesh_state.h"
#include "core/memory.h"

struct event_item {
    event_item_t *next;
    mesh_event_t event;
};

mesh_event_t *mesh_add_event(mesh_t *mesh, mesh_event_kind_t kind, const map_broker_t *broker,
                             fabric_error_t error, fabric_bytes_t text)
{
    event_item_t *item = memory_allocate_zeroed(1, sizeof *item);
    size_t size = text.size < sizeof item->event.text ? text.size : sizeof item->event.text - 1;
    item->event.kind = kind;
    item->event.error = error;
    item->event.broker = broker->incarnation;
    snprintf(item->event.endpoint, sizeof item->event.endpoint, "%s", broker->router_endpoint);
    if (size > 0) {
        memcpy(item->event.text, text.data, size);
    }
    if (mesh->events) {
        mesh->events_last->next = item;
    } else {
        mesh->events = item;
    }
    mesh->events_last = item;
    return &item->event;
}

bool mesh_take_event(mesh_t *mesh, mesh_event_t *event)
{
    event_item_t *item = mesh->events;
    if (!item) {
        return false;
    }
    mesh->events = item->next;
    *event = item->event;
    free(item);
    return true;
}

void mesh_events_destroy(mesh_t *mesh)
{
    mesh_event_t event;
    while (mesh_take_event(mesh, &event)) {
    }
}
