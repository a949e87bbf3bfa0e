/* A heap of messages by their times: see due_heap.h. */
#include "broker/router/due_heap.h"

#include <stdlib.h>

#include "core/memory.h"

typedef struct due_place due_place_t;

static void put(due_heap_t *heap, size_t at, due_place_t place)
{
    heap->places[at] = place;
    place.message->due_place = at;
}

static void move_up(due_heap_t *heap, size_t at)
{
    due_place_t place = heap->places[at];
    while (at > 0 && due_key_less(place.key, heap->places[(at - 1) / 2].key)) {
        put(heap, at, heap->places[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(heap, at, place);
}

static void move_down(due_heap_t *heap, size_t at)
{
    due_place_t place = heap->places[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < heap->count &&
            due_key_less(heap->places[child + 1].key, heap->places[child].key)) {
            child++;
        }
        if (child >= heap->count || !due_key_less(heap->places[child].key, place.key)) {
            break;
        }
        put(heap, at, heap->places[child]);
        at = child;
    }
    put(heap, at, place);
}

void due_heap_push(due_heap_t *heap, message_t *message)
{
    heap->places =
        memory_reserve(heap->places, heap->count + 1, &heap->capacity, sizeof *heap->places);
    heap->places[heap->count] = (due_place_t){message_due_key(message), message};
    move_up(heap, heap->count++);
}

void due_heap_remove(due_heap_t *heap, const message_t *message)
{
    size_t at = message->due_place;
    due_place_t last = heap->places[--heap->count];
    if (at < heap->count) {
        put(heap, at, last);
        move_down(heap, at);
        move_up(heap, last.message->due_place);
    }
}

static int compare(const void *left, const void *right)
{
    const due_place_t *a = left;
    const due_place_t *b = right;
    return due_key_less(a->key, b->key) ? -1 : due_key_less(b->key, a->key);
}

void due_heap_sort(due_heap_t *heap)
{
    if (heap->count > 0) {
        qsort(heap->places, heap->count, sizeof *heap->places, compare);
    }
    for (size_t i = 0; i < heap->count; i++) {
        heap->places[i].message->due_place = i;
    }
}

void due_heap_repair(due_heap_t *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        heap->places[i].message->due_place = i;
    }
    for (size_t at = heap->count / 2; at-- > 0;) {
        move_down(heap, at);
    }
}
