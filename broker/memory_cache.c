/* Caches of small blocks: see memory_cache.h. */
#include "broker/memory_cache.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/memory.h"

/* Blocks of a class have CLASS_BYTES times the number of the class, from 1. Larger blocks are not
 * kept. */
enum { CLASS_BYTES = 32, CLASSES_MAX = 32 };

typedef struct free_block {
    struct free_block *next;
} free_block_t;

typedef struct cache {
    free_block_t *blocks[CLASSES_MAX + 1]; /* by number */
    size_t bytes;
} cache_t;

static _Thread_local cache_t *cache; /* NULL: the thread has none */

void memory_cache_open(void)
{
    assert(!cache);
#ifndef __SANITIZE_ADDRESS__
    cache = memory_allocate_zeroed(1, sizeof *cache);
#endif
}

void memory_cache_close(void)
{
    if (!cache) {
        return;
    }
    for (size_t number = 0; number <= CLASSES_MAX; number++) {
        while (cache->blocks[number]) {
            free_block_t *block = cache->blocks[number];
            cache->blocks[number] = block->next;
            free(block);
        }
    }
    free(cache);
    cache = NULL;
}

size_t memory_cache_bytes(void)
{
    return cache ? cache->bytes : 0;
}

static size_t class_of(size_t size)
{
    return size > 0 ? (size + CLASS_BYTES - 1) / CLASS_BYTES : 1;
}

void *memory_cache_allocate(size_t size)
{
    size_t number = class_of(size);
    if (number > CLASSES_MAX) {
        return memory_allocate(size);
    }
    if (!cache || !cache->blocks[number]) {
        return memory_allocate(number * CLASS_BYTES);
    }
    free_block_t *block = cache->blocks[number];
    cache->blocks[number] = block->next;
    cache->bytes -= number * CLASS_BYTES;
    return block;
}

void memory_cache_free(void *block, size_t size)
{
    size_t number = class_of(size);
    bool kept = block && cache && number <= CLASSES_MAX &&
                cache->bytes + number * CLASS_BYTES <= MEMORY_CACHE_BYTES_MAX;
    if (!kept) {
        free(block);
        return;
    }
    free_block_t *first = block;
    first->next = cache->blocks[number];
    cache->blocks[number] = first;
    cache->bytes += number * CLASS_BYTES;
}
