/* What is pulled from the link: sockets, frames, work, events. */
#include "worker/link_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"

wire_writer_t *link_out(link_endpoint_t *endpoint)
{
    work_output_t *last = endpoint->out_last;
    if (endpoint->out_first && last->results.size < LIMIT_FRAME_BYTES_GOAL / 2) {
        return &last->results;
    }
    work_output_t *piece = work_output_new(OUTPUT_RESULTS, (work_source_t){0});
    if (endpoint->out_first) {
        last->next = piece;
    } else {
        endpoint->out_first = piece;
    }
    endpoint->out_last = piece;
    return &piece->results;
}

void link_out_clear(link_endpoint_t *endpoint)
{
    work_output_list_destroy(&endpoint->out_first);
    endpoint->out_last = NULL;
}

bool link_next_socket(link_t *link, uint32_t *endpoint, link_socket_t *action)
{
    for (uint32_t i = 0; i < link->endpoint_count; i++) {
        if (link->endpoints[i].socket_wanted) {
            link->endpoints[i].socket_wanted = false;
            *endpoint = i;
            *action = link->endpoints[i].socket_action;
            return true;
        }
    }
    return false;
}

bool link_next_frame(link_t *link, uint32_t index, wire_writer_t *frame)
{
    assert(index < link->endpoint_count);
    link_endpoint_t *endpoint = &link->endpoints[index];
    if (!endpoint->out_first) {
        return false;
    }
    frame_head_t head = {.version = LIMIT_PROTOCOL_VERSION, .high_id = link->high_id};
    wire_writer_reset(frame);
    frame_begin(frame, &head);
    bool first = true;
    while (endpoint->out_first &&
           (first || frame->size + endpoint->out_first->results.size <= LIMIT_FRAME_BYTES_GOAL)) {
        work_output_t *piece = endpoint->out_first;
        endpoint->out_first = piece->next;
        piece->next = NULL;
        wire_append(frame, piece->results.data, piece->results.size);
        work_output_list_destroy(&piece);
        first = false;
    }
    return true;
}

work_t *link_next_work(link_t *link)
{
    work_t *work = link->works_first;
    if (work) {
        link->works_first = work->next;
        work->next = NULL;
    }
    return work;
}

void link_event(link_t *link, link_event_kind_t kind, const link_endpoint_t *endpoint,
                fabric_error_t error, fabric_bytes_t text)
{
    if (link->event_count ==
        LINK_EVENTS_MAX) { /* nobody pulls: the newest lines for the log count most */
        link->event_first = (link->event_first + 1) % LINK_EVENTS_MAX;
        link->event_count--;
    }
    uint32_t place = (link->event_first + link->event_count++) % LINK_EVENTS_MAX;
    link_event_t *event = &link->events[place];
    memset(event, 0, sizeof *event);
    event->kind = kind;
    event->error = error;
    event->final = kind == LINK_EVENT_REFUSED && !link_may_retry(link, error);
    if (endpoint) {
        strcpy(event->endpoint, endpoint->name);
    }
    bytes_escape(text, event->text, sizeof event->text - 1);
}

bool link_next_event(link_t *link, link_event_t *event)
{
    if (link->event_count == 0) {
        return false;
    }
    *event = link->events[link->event_first];
    link->event_first = (link->event_first + 1) % LINK_EVENTS_MAX;
    link->event_count--;
    return true;
}
