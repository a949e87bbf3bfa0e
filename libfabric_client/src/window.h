/* How many durable calls may be under way to a broker or a mailbox that is full.
 *
 * There is no limit until a call is refused because the other side is full. Then the limit is the
 * number of calls that the other side has taken. Each answer lets one more call leave, so that the
 * other side stays full and refuses little. The limit grows by one with every few answers. It also
 * grows by time, in ever larger steps as long as nothing is refused, since other clients free
 * capacity too. While calls are refused the limit shrinks a little, which leaves some capacity to
 * clients that have none. That is TCP's congestion avoidance (V. Jacobson: Congestion Avoidance and
 * Control, 1988), with refusals for losses.
 *
 * Threading: none of its own.
 */
#ifndef CLIENT_WINDOW_H
#define CLIENT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

typedef struct window {
    bool limited;
    bool probing;      /* it has grown by time, and nothing was refused since */
    uint32_t open;     /* calls under way */
    uint32_t limit;    /* of calls under way, while limited */
    uint32_t answers;  /* since it last grew by answers */
    uint32_t step;     /* by which it grows next by time */
    uint32_t attempts; /* probes in a row that were refused, for the backoff */
    uint64_t probe_at_ms;
    uint64_t shrunk_at_ms;
} window_t;

static inline bool window_has_capacity(const window_t *window)
{
    return !window->limited || window->open < window->limit;
}

static inline void window_enter(window_t *window)
{
    window->open++;
}

/* A call is no longer under way. `answered`: the call was handled, so there is capacity for one
 * more. */
void window_leave(window_t *window, bool answered);
/* A call was refused because the other side is full. The window may grow by time after the
 * delay. */
void window_refused(window_t *window, uint64_t now_ms, uint64_t delay_ms);
/* A call that was sent cannot be taken before an earlier one that was refused. */
void window_follow(window_t *window);
/* The time to grow has come. The window may grow by time again after the delay. */
void window_probe(window_t *window, uint64_t now_ms, uint64_t delay_ms);
/* The limit is lifted: there is capacity for all waiting calls, or the connection that set the
 * limit is gone. */
void window_lift(window_t *window);

#endif
