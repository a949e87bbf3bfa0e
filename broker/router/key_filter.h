/* Which primary keys may be there: a set that may hold more than was added, never less.
 *
 * A Bloom filter whose bits for one key lie in one cache line (Putze, Sanders, Singler: "Cache-,
 * Hash- and Space-Efficient Bloom Filters", 2007). It has 24 bits and sets 8 for each key, so about
 * one key of 10,000 that was not added seems to be there. It grows by further segments, each four
 * times as large as the one before, so that few keys take little memory.
 */
#ifndef BROKER_ROUTER_KEY_FILTER_H
#define BROKER_ROUTER_KEY_FILTER_H

#include <stdbool.h>

#include "core/store_message.h"

enum { KEY_FILTER_SEGMENTS_MAX = 16 };

typedef struct key_filter {
    uint64_t *segments[KEY_FILTER_SEGMENTS_MAX];
    uint64_t blocks[KEY_FILTER_SEGMENTS_MAX]; /* of each segment */
    unsigned segment_count;
    uint64_t left;  /* keys that the last segment still takes */
    uint64_t bytes; /* of all segments */
} key_filter_t;

/* false: the filter is full, and the key may not be in it. */
bool key_filter_add(key_filter_t *filter, uint64_t bytes_max, const uint8_t hash[STORE_KEY_BYTES]);
bool key_filter_has(const key_filter_t *filter, const uint8_t hash[STORE_KEY_BYTES]);
void key_filter_clear(key_filter_t *filter);

#endif
