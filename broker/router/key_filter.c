/* Which primary keys may be there: see key_filter.h. The hash of a key is a SHA-256, so its bytes
 * are as good as those of any hash. */
#include "broker/router/key_filter.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

enum {
    BLOCK_BITS = 512,
    BLOCK_BYTES = BLOCK_BITS / 8,
    BLOCK_WORDS = BLOCK_BITS / 64,
    KEY_BITS = 24,
    KEY_PROBES = 8,
    FIRST_BYTES = 4096,
    GROWTH = 4
};

/* The words of the key's block. The first four bytes choose it, the next 16 its bits. */
static uint64_t *block_of(const key_filter_t *filter, unsigned segment, const uint8_t *hash)
{
    uint32_t choice;
    memcpy(&choice, hash, sizeof choice);
    uint64_t block = choice * filter->blocks[segment] >> 32;
    return filter->segments[segment] + block * BLOCK_WORDS;
}

static unsigned bit_of(const uint8_t *hash, unsigned probe)
{
    uint16_t choice;
    memcpy(&choice, hash + sizeof(uint32_t) + probe * sizeof choice, sizeof choice);
    return choice % BLOCK_BITS;
}

static bool segment_has(const key_filter_t *filter, unsigned segment, const uint8_t *hash)
{
    const uint64_t *block = block_of(filter, segment, hash);
    for (unsigned i = 0; i < KEY_PROBES; i++) {
        unsigned bit = bit_of(hash, i);
        if (!(block[bit / 64] >> bit % 64 & 1)) {
            return false;
        }
    }
    return true;
}

bool key_filter_has(const key_filter_t *filter, const uint8_t hash[STORE_KEY_BYTES])
{
    for (unsigned i = filter->segment_count; i > 0; i--) {
        if (segment_has(filter, i - 1, hash)) {
            return true;
        }
    }
    return false;
}

/* false: there is no room for another segment. */
static bool grow(key_filter_t *filter, uint64_t bytes_max)
{
    unsigned count = filter->segment_count;
    uint64_t wanted =
        count > 0 ? filter->blocks[count - 1] * BLOCK_BYTES * GROWTH : (uint64_t)FIRST_BYTES;
    uint64_t rest = bytes_max > filter->bytes ? bytes_max - filter->bytes : 0;
    uint64_t blocks = (wanted < rest ? wanted : rest) / BLOCK_BYTES;
    if (blocks == 0 || count == KEY_FILTER_SEGMENTS_MAX) {
        return false;
    }
    filter->segments[count] = memory_allocate_zeroed(blocks, BLOCK_BYTES);
    filter->blocks[count] = blocks;
    filter->segment_count++;
    filter->bytes += blocks * BLOCK_BYTES;
    filter->left = blocks * BLOCK_BITS / KEY_BITS;
    return true;
}

bool key_filter_add(key_filter_t *filter, uint64_t bytes_max, const uint8_t hash[STORE_KEY_BYTES])
{
    if (key_filter_has(filter, hash)) {
        return true;
    }
    if (filter->left == 0 && !grow(filter, bytes_max)) {
        return false;
    }
    filter->left--;
    uint64_t *block = block_of(filter, filter->segment_count - 1, hash);
    for (unsigned i = 0; i < KEY_PROBES; i++) {
        unsigned bit = bit_of(hash, i);
        block[bit / 64] |= UINT64_C(1) << bit % 64;
    }
    return true;
}

void key_filter_clear(key_filter_t *filter)
{
    for (unsigned i = 0; i < filter->segment_count; i++) {
        free(filter->segments[i]);
    }
    *filter = (key_filter_t){.segment_count = 0};
}
