/* Hash tables: uthash with XXH3 as its hash function. Every program, library and test includes this
 * header instead of <uthash.h>. */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include <stdlib.h>

#include "core/memory.h"

/* Keys are read by memcpy: by itself <xxhash.h> reads them through pointers of other types, and a
 * compiler may then drop what was stored in a key (gcc 16 does). */
#define XXH_FORCE_MEMORY_ACCESS 0
#define XXH_INLINE_ALL
#include <xxhash.h>

#define HASH_FUNCTION(key, size, hash) ((hash) = (unsigned)XXH3_64bits((key), (size)))
#define uthash_malloc(size)            memory_allocate(size)
#define uthash_fatal(message)          abort()
#include <uthash.h>

#endif
