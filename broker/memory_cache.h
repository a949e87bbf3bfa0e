/* Small blocks that come and go by the thousand, as messages do: a thread that has a cache keeps
 * the blocks that it frees for its next allocations, newest first. malloc would join them to larger
 * blocks and split these again.
 *
 * Ownership: the caller frees a block with memory_cache_free, and with the size that it asked for.
 * Threading: any thread; a block may be freed on another thread than it was allocated on.
 */
#ifndef BROKER_MEMORY_CACHE_H
#define BROKER_MEMORY_CACHE_H

#include <stddef.h>

/* Gives the calling thread a cache, of MEMORY_CACHE_BYTES_MAX at most; it must have none. Builds
 * for the address sanitizer have no caches, since they would hide the use of freed blocks. */
#define MEMORY_CACHE_BYTES_MAX ((size_t)4 << 20)
void memory_cache_open(void);
/* Frees the calling thread's cache, if it has one, with the blocks in it. */
void memory_cache_close(void);
/* What the calling thread's cache holds. */
size_t memory_cache_bytes(void);

/* Uninitialised memory of `size` bytes, never NULL. */
void *memory_cache_allocate(size_t size);
/* `block` may be NULL. */
void memory_cache_free(void *block, size_t size);

#endif
