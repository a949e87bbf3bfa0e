/* Which executors are stuck: see link_health_state.h. */
#include "worker/link_health_state.h"

#include <stdlib.h>

#include "core/memory.h"

void link_health_init(link_health_t *health, uint32_t executors, uint64_t stuck_ms)
{
    health->executors = executors;
    health->stuck_ms = stuck_ms;
    health->stuck = (bool *)memory_allocate_zeroed(executors, sizeof *health->stuck);
}

void link_health_free(link_health_t *health)
{
    free(health->stuck);
}

/* An executor is stuck now, or is not any more. */
static void change(link_health_t *health, uint32_t executor, uint64_t step_ms,
                   link_events_t *events)
{
    link_event_t event = {.kind = LINK_EVENT_RECOVERED, .executor = executor};
    health->stuck[executor] = !health->stuck[executor];
    if (health->stuck[executor]) {
        event.kind = LINK_EVENT_STUCK;
        event.step_ms = step_ms;
    }
    link_events_add(events, &event, (fabric_bytes_t){0});
}

bool link_health_look(link_health_t *health, const uint64_t *since_ms, uint64_t now_ms,
                      link_events_t *events)
{
    bool changed = false;
    health->count = 0;
    for (uint32_t i = 0; i < health->executors; i++) {
        bool stuck = since_ms[i] > 0 && now_ms > since_ms[i] + health->stuck_ms;
        if (stuck != health->stuck[i]) {
            change(health, i, now_ms - since_ms[i], events);
            changed = true;
        }
        if (stuck && (health->count++ == 0 || since_ms[i] < health->since_ms)) {
            health->since_ms = since_ms[i];
        }
    }
    return changed;
}

message_runner_health_t link_health_message(const link_health_t *health, uint64_t now_ms)
{
    return (message_runner_health_t){.executors = health->executors,
                                     .stuck = health->count,
                                     .oldest_ms = health->count ? now_ms - health->since_ms : 0};
}
