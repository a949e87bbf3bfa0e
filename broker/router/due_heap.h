/* Messages by their times of delivery: a binary heap that knows each message's place in it.
 *
 * Threading: belongs to one thread.
 */
#ifndef BROKER_ROUTER_DUE_HEAP_H
#define BROKER_ROUTER_DUE_HEAP_H

#include "broker/router/schedule_state.h"

static inline bool due_key_less(store_due_key_t a, store_due_key_t b)
{
    return a.due_ms != b.due_ms ? a.due_ms < b.due_ms : a.id < b.id;
}

void due_heap_push(due_heap_t *heap, message_t *message);
/* Takes the message out, which is in this heap. */
void due_heap_remove(due_heap_t *heap, const message_t *message);
/* The message that is due first; NULL: there is none. */
static inline message_t *due_heap_first(const due_heap_t *heap)
{
    return heap->count > 0 ? heap->places[0].message : NULL;
}
/* Whether the message is in this heap, if it is in any. */
static inline bool due_heap_has(const due_heap_t *heap, const message_t *message)
{
    return message->due_place < heap->count && heap->places[message->due_place].message == message;
}
void due_heap_sort(due_heap_t *heap);
/* Puts the places, which were changed by somebody, in order. */
void due_heap_repair(due_heap_t *heap);

#endif
