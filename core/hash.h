/* Hash tables of the broker: uthash with XXH3 as its hash function. Include this instead of <uthash.h>. */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HASH_FUNCTION(key, size, hash) ((hash) = (unsigned)XXH3_64bits((key), (size)))
#define uthash_fatal(message)          abort()
#include <uthash.h>

#endif
