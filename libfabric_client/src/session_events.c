/* Events for the program's log: kept until the shell takes them, at most EVENTS_PER_S of each kind
 * in a second. */
#include "libfabric_client/src/session_state.h"

#include <stdio.h>

#include "core/printable.h"

static const struct {
    fabric_log_level_t level;
    const char *code;
} kinds[EVENT_KINDS] = {
    [EVENT_WELCOMED] = {FABRIC_LOG_INFO, "client.welcomed"},
    [EVENT_DISCONNECTED] = {FABRIC_LOG_WARN, "client.disconnected"},
    [EVENT_DEFERRED] = {FABRIC_LOG_WARN, "client.deferred"},
    [EVENT_REFUSED] = {FABRIC_LOG_ERROR, "client.refused"},
    [EVENT_UNRESOLVED] = {FABRIC_LOG_WARN, "client.unresolved"},
    [EVENT_MALFORMED] = {FABRIC_LOG_WARN, "client.malformed"},
};

void session_tell(session_t *session, event_kind_t kind, uint32_t peer, const char *what,
                  fabric_bytes_t words)
{
    uint32_t left_out = 0;
    session_events_t *events = &session->events;
    if (!events->wanted || events->count == EVENTS_MAX ||
        !log_limiter_pass(&events->limiters[kind], EVENTS_PER_S, session->now_ms, &left_out)) {
        return;
    }
    char more[40] = "";
    if (left_out > 0) {
        snprintf(more, sizeof more, " (%u more left out before)", left_out);
    }
    char text[SESSION_EVENT_TEXT_SIZE];
    session_event_t *event = &events->list[(events->first + events->count++) % EVENTS_MAX];
    snprintf(text, sizeof text, "%s: %s%s%.*s%s", session->peers.list[peer].endpoint, what,
             words.size > 0 ? ": " : "", (int)(words.size < 200 ? words.size : 200),
             words.size > 0 ? (const char *)words.data : "", more);
    event->level = kinds[kind].level;
    event->code = kinds[kind].code;
    printable_copy(text, event->text, sizeof event->text);
}

bool session_next_event(session_t *session, session_event_t *event)
{
    session_events_t *events = &session->events;
    if (events->count == 0) {
        return false;
    }
    *event = events->list[events->first];
    events->first = (events->first + 1) % EVENTS_MAX;
    events->count--;
    return true;
}

void session_note_malformed(session_t *session, uint32_t peer, fabric_error_t error)
{
    session->stats.malformed++;
    session_tell(session, EVENT_MALFORMED, peer, fabric_error_name(error), (fabric_bytes_t){0});
}
