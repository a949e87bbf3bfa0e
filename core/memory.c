/* Memory that a process cannot go on without: see memory.h. */
#include "core/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESERVED_FIRST = 64 };

static _Noreturn void out_of_memory(void)
{
    fputs("fabric: out of memory\n", stderr);
    abort();
}

void *memory_allocate(size_t size)
{
    void *block = malloc(size ? size : 1);
    if (!block) {
        out_of_memory();
    }
    return block;
}

void *memory_allocate_zeroed(size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size ? size : 1);
    if (!block) {
        out_of_memory();
    }
    return block;
}

void *memory_resize(void *block, size_t count, size_t size)
{
    if (size > 0 && count > SIZE_MAX / size) {
        out_of_memory();
    }
    size_t bytes = count * size;
    void *resized = realloc(block, bytes ? bytes : 1);
    if (!resized) {
        out_of_memory();
    }
    return resized;
}

void *memory_reserve(void *array, size_t needed, size_t *capacity, size_t size)
{
    if (needed <= *capacity) {
        return array;
    }
    size_t count = *capacity ? *capacity : RESERVED_FIRST;
    while (count < needed) {
        count *= 2;
    }
    *capacity = count;
    return memory_resize(array, count, size);
}

char *memory_copy_string(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(memory_allocate(size), text, size);
}
