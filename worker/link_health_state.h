/* Which executors are stuck: one is when its present step has taken longer than a limit, so that
 * nothing has begun or ended meanwhile and what waits for it waits on. A handler that answers later
 * from another thread does not hold its executor. */
#ifndef WORKER_LINK_HEALTH_STATE_H
#define WORKER_LINK_HEALTH_STATE_H

#include "worker/link_event_state.h"

typedef struct link_health {
    uint32_t executors;
    uint64_t stuck_ms; /* the limit */
    bool *stuck;       /* of each executor */
    uint32_t count;    /* of those that are */
    uint64_t since_ms; /* when the step began that has taken longest; with a count only */
} link_health_t;

void link_health_init(link_health_t *health, uint32_t executors, uint64_t stuck_ms);
void link_health_free(link_health_t *health);
/* `since_ms` has, for each executor, when its present step began; 0: it takes none. Each executor
 * that gets stuck, or is not any more, is an event. Whether any of that happened. */
bool link_health_look(link_health_t *health, const uint64_t *since_ms, uint64_t now_ms,
                      link_events_t *events);
/* What a broker is told. */
message_runner_health_t link_health_message(const link_health_t *health, uint64_t now_ms);

#endif
