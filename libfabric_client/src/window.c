/* Limits of calls under way: see window.h. */
#include "libfabric_client/src/window.h"

#include <assert.h>

enum {
    GROW_ANSWERS = 8, /* the limit grows by one with so many answers */
    SHRINK_PART = 16, /* the limit shrinks by one part of so many, */
    SHRINK_MS = 100,  /* at most once in this time */
    STEP_MAX = 1 << 16,
    /* Bounds the delay between probes: capacity may come free without an answer, since tells end
     * when they are accepted. */
    ATTEMPTS_MAX = 6
};

void window_leave(window_t *window, bool answered)
{
    assert(window->open > 0);
    window->open--;
    if (!window->limited || !answered) {
        return;
    }
    if (++window->answers >= GROW_ANSWERS) {
        window->answers = 0;
        window->limit++;
    }
}

void window_follow(window_t *window)
{
    if (window->limit > window->open) {
        window->limit = window->open;
    }
}

void window_refused(window_t *window, uint64_t now_ms, uint64_t delay_ms)
{
    bool first = !window->limited;
    if (first) {
        window->limited = true;
        window->limit = window->open;
        window->answers = 0;
    }
    window_follow(window);
    if (first || window->probing) {
        window->probing = false;
        window->attempts += window->attempts < ATTEMPTS_MAX;
        window->step = 1;
        window->probe_at_ms = now_ms + delay_ms;
    }
    if (now_ms >= window->shrunk_at_ms + SHRINK_MS) {
        window->limit -= window->limit / SHRINK_PART;
        window->shrunk_at_ms = now_ms;
    }
}

void window_probe(window_t *window, uint64_t now_ms, uint64_t delay_ms)
{
    if (window->probing) { /* the last probe was not refused */
        window->attempts = 0;
    }
    window->limit = window->open + window->step;
    window->step *= window->step < STEP_MAX ? 2 : 1;
    window->probing = true;
    window->probe_at_ms = now_ms + delay_ms;
}

void window_lift(window_t *window)
{
    window->limited = false;
    window->attempts = 0;
}
