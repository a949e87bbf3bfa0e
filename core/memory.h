/* Memory that a process cannot go on without. There is no answer to a failed allocation of a few
 * bytes: the functions end the process with one line on stderr, as czmq does. A large or optional
 * allocation whose failure has an answer uses malloc itself.
 *
 * Ownership: the caller frees the memory with free().
 * Threading: any thread.
 */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Uninitialised memory of `size` bytes, never NULL (of one byte for size 0). */
void *memory_allocate(size_t size);

/* Zeroed memory for `count` elements of `size` bytes, never NULL. */
void *memory_allocate_zeroed(size_t count, size_t size);

/* `block` (or NULL) with a new size of `count` elements of `size` bytes; added bytes are
 * uninitialised. Never NULL. */
void *memory_resize(void *block, size_t count, size_t size);

/* `array` (or NULL) with room for `needed` elements of `size` bytes; *capacity is how many it has
 * room for, and at least doubles when it grows. Added bytes are uninitialised. */
void *memory_reserve(void *array, size_t needed, size_t *capacity, size_t size);

/* A copy of a string, never NULL. */
char *memory_copy_string(const char *text);

/* Fetches what is going to be used soon into the processor's caches. `memory` may be NULL. Inlined
 * always: gcc drops calls of a function without other effects. */
__attribute__((always_inline)) static inline void memory_prefetch(const void *memory, size_t size)
{
    enum { LINE_BYTES = 64 };
    for (size_t at = 0; at < size; at += LINE_BYTES) {
        __builtin_prefetch((const void *)((uintptr_t)memory + at));
    }
}

#endif
