/* Timers: an ordered set of deadlines, kept as a binary heap.
 *
 * A timer is a struct that its owner embeds in a struct of its own. Setting, resetting and
 * cancelling a timer takes O(log n) steps, and reading the next deadline takes O(1). Only the array
 * of pointers to the timers is ever allocated.
 *
 *     static void end_waits(waits_t *waits, uint64_t now_ms)
 *     {
 *         timer_entry_t *timer;
 *         while ((timer = timers_take_due(&waits->timers, now_ms))) {
 *             wait_t *wait = TIMER_OWNER(timer, wait_t, timer);
 *             wait_end(waits, wait);
 *         }
 *     }
 *
 * Rules:
 *  1. A zeroed timers_t is an empty set, and a zeroed timer_entry_t is a timer that is not set.
 *  2. A timer belongs to at most one set at a time. While it is set, its address does not change
 *     and its memory is not freed.
 *  3. Timers are due in the order of their deadlines. Timers with the same deadline are due in the
 *     order in which they were set.
 *  4. Any timer may be set or cancelled between two calls of timers_take_due. A loop such as the
 *     one above ends only if the timers that it sets have deadlines after `now_ms`.
 *
 * Time: deadlines are milliseconds of the clock that the owner's core is given; a set reads no
 * clock.
 * Threading: a set and its timers belong to one thread.
 */
#ifndef CORE_TIMERS_H
#define CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct timer_entry {
    uint64_t deadline_ms; /* valid while the timer is set */
    uint64_t order;       /* decides between timers with the same deadline */
    size_t position;      /* in the heap, counted from 1; 0: the timer is not set */
} timer_entry_t;

typedef struct timers {
    timer_entry_t **heap; /* heap[i] is due before heap[2 * i + 1] and heap[2 * i + 2] */
    size_t count;
    size_t capacity;
    uint64_t order_next;
} timers_t;

/* The struct of type `type` whose member `member` is the timer `entry`. */
#define TIMER_OWNER(entry, type, member) ((type *)(void *)((char *)(entry)-offsetof(type, member)))

/* Frees the memory of the set. Timers that are still set are forgotten and not touched: their
 * owners may be gone already. */
void timers_destroy(timers_t *timers);

/* Sets the timer to a deadline. If the timer was set, the new deadline replaces the old one. */
void timers_set(timers_t *timers, timer_entry_t *timer, uint64_t deadline_ms);

/* Takes the timer out of the set. Does nothing if the timer is not set. */
void timers_cancel(timers_t *timers, timer_entry_t *timer);

/* Takes out the timer that is due first, if its deadline is at most `now_ms`; else NULL. */
timer_entry_t *timers_take_due(timers_t *timers, uint64_t now_ms);

static inline bool timer_is_set(const timer_entry_t *timer)
{
    return timer->position > 0;
}

/* The earliest deadline of the set, UINT64_MAX if no timer is set. */
static inline uint64_t timers_next_deadline_ms(const timers_t *timers)
{
    return timers->count > 0 ? timers->heap[0]->deadline_ms : UINT64_MAX;
}

#endif
