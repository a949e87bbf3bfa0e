/* Timers as a binary heap: see timers.h. */
#include "core/timers.h"

#include <stdlib.h>

#include "core/memory.h"

enum { CAPACITY_FIRST = 16 };

void timers_destroy(timers_t *timers)
{
    free(timers->heap);
    *timers = (timers_t){0};
}

static bool is_before(const timer_entry_t *a, const timer_entry_t *b)
{
    return a->deadline_ms != b->deadline_ms ? a->deadline_ms < b->deadline_ms : a->order < b->order;
}

static void put(timers_t *timers, size_t index, timer_entry_t *timer)
{
    timers->heap[index] = timer;
    timer->position = index + 1;
}

/* Puts the timer at `index`, or further up where a later timer stands above it. Returns its index.
 */
static size_t sift_up(timers_t *timers, size_t index, timer_entry_t *timer)
{
    while (index > 0 && is_before(timer, timers->heap[(index - 1) / 2])) {
        put(timers, index, timers->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(timers, index, timer);
    return index;
}

/* Puts the timer at `index`, or further down where an earlier timer stands below it. */
static void sift_down(timers_t *timers, size_t index, timer_entry_t *timer)
{
    for (size_t child = 2 * index + 1; child < timers->count; child = 2 * index + 1) {
        if (child + 1 < timers->count && is_before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!is_before(timers->heap[child], timer)) {
            break;
        }
        put(timers, index, timers->heap[child]);
        index = child;
    }
    put(timers, index, timer);
}

void timers_set(timers_t *timers, timer_entry_t *timer, uint64_t deadline_ms)
{
    timers_cancel(timers, timer);
    if (timers->count == timers->capacity) {
        timers->capacity = timers->capacity > 0 ? timers->capacity * 2 : CAPACITY_FIRST;
        timers->heap = memory_resize(timers->heap, timers->capacity, sizeof(timer_entry_t *));
    }
    timer->deadline_ms = deadline_ms;
    timer->order = timers->order_next++;
    (void)sift_up(timers, timers->count++, timer);
}

void timers_cancel(timers_t *timers, timer_entry_t *timer)
{
    if (!timer_is_set(timer)) {
        return;
    }
    size_t index = timer->position - 1;
    timer->position = 0;
    timer_entry_t *last = timers->heap[--timers->count];
    if (last != timer && sift_up(timers, index, last) == index) {
        sift_down(timers, index, last);
    }
}

timer_entry_t *timers_take_due(timers_t *timers, uint64_t now_ms)
{
    if (timers_next_deadline_ms(timers) > now_ms || timers->count == 0) {
        return NULL;
    }
    timer_entry_t *timer = timers->heap[0];
    timers_cancel(timers, timer);
    return timer;
}
