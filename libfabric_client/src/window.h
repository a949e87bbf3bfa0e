/* How many durable calls may be under way where there is no room for all of them: with a broker that is
 * full, or to a shard with a full mailbox.
 *
 * There is no limit until a call is refused for want of room. Then the limit is what the other side has
 * taken: each answer lets one more call go, so that the room stays full and little is refused. It grows by
 * one with every few answers, and now and then by ever larger steps as long as nothing is refused, since room
 * also comes free by other clients' calls; while calls are refused it shrinks a little, which
 * leaves some to clients that have none. That is TCP's congestion avoidance (Jacobson: Congestion Avoidance
 * and Control, 1988), with refusals for losses.
 *
 * Threading: none of its own.
 */
#ifndef CLIENT_WINDOW_H
#define CLIENT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

typedef struct window {
    bool limited;
    bool probing;      /* it has grown by time, and nobody has said yet that there is no room */
    uint32_t open;     /* calls under way */
    uint32_t limit;    /* of them, while limited */
    uint32_t answers;  /* since it grew by them */
    uint32_t step;     /* by which it grows next when its time comes */
    uint32_t attempts; /* probes in a row that were refused, for the backoff */
    uint64_t probe_at_ms;
    uint64_t shrunk_at_ms;
} window_t;

static inline bool window_has_room(const window_t *window)
{
    return !window->limited || window->open < window->limit;
}

static inline void window_enter(window_t *window)
{
    window->open++;
}

/* A call is no longer under way; `answered`: since it was done, which shows room for one more. */
void window_leave(window_t *window, bool answered);
/* A call that has left was refused for want of room. The window may grow by time after the delay. */
void window_refused(window_t *window, uint64_t now_ms, uint64_t delay_ms);
/* A call that has left cannot be taken before one that was refused. */
void window_follow(window_t *window);
/* Its time has come: it grows, and may do so again after the delay. */
void window_probe(window_t *window, uint64_t now_ms, uint64_t delay_ms);
/* There is room for all that is wanted, or nobody knows better any more. */
void window_lift(window_t *window);

#endif
