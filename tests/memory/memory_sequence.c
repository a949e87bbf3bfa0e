/* The in-memory store: items in the order of their keys. */
#include <assert.h>
#include <string.h>

#include "tests/memory/memory_database.h"

size_t memory_sequence_from(const memory_sequence_t *sequence, uint64_t key)
{
    size_t low = sequence->first;
    size_t high = sequence->places.count;
    if (high > low && sequence->places.items[high - 1].key < key) {
        return high;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sequence->places.items[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void *memory_sequence_find(const memory_sequence_t *sequence, uint64_t key)
{
    size_t at = memory_sequence_from(sequence, key);
    bool found = at < sequence->places.count && sequence->places.items[at].key == key;
    return found ? sequence->places.items[at].item : NULL;
}

void memory_sequence_insert(memory_sequence_t *sequence, uint64_t key, void *item)
{
    size_t at = memory_sequence_from(sequence, key);
    memory_place_t *place;
    if (at == sequence->first && at > 0) {
        place = &sequence->places.items[--sequence->first];
    } else {
        (void)MEMORY_APPEND(&sequence->places);
        place = &sequence->places.items[at];
        memmove(place + 1, place, (sequence->places.count - 1 - at) * sizeof *place);
    }
    *place = (memory_place_t){key, item};
}

void memory_sequence_remove(memory_sequence_t *sequence, uint64_t key)
{
    size_t at = memory_sequence_from(sequence, key);
    assert(at < sequence->places.count && sequence->places.items[at].key == key);
    if (at == sequence->first) {
        sequence->first++;
    } else {
        memory_place_t *place = &sequence->places.items[at];
        memmove(place, place + 1, (sequence->places.count - 1 - at) * sizeof *place);
        sequence->places.count--;
    }
    if (sequence->first > sequence->places.count / 2) {
        memmove(sequence->places.items, sequence->places.items + sequence->first,
                (sequence->places.count - sequence->first) * sizeof(memory_place_t));
        sequence->places.count -= sequence->first;
        sequence->first = 0;
    }
}

void memory_sequence_free(memory_sequence_t *sequence)
{
    for (size_t i = sequence->first; i < sequence->places.count; i++) {
        free(sequence->places.items[i].item);
    }
    free(sequence->places.items);
    *sequence = (memory_sequence_t){.first = 0};
}
