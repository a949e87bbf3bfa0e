/* Bytes that make a test's message large: see padding.h. */
#include "tests/harness/padding.h"

enum { SMALL_BYTES = 64, MIDDLE_BYTES = 2048 };

/* The constants of Knuth's MMIX (The Art of Computer Programming, vol. 2, 3.3.4); the high bits are
 * the random ones. */
uint64_t padding_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 33;
}

uint32_t padding_size(uint64_t random, uint32_t max)
{
    uint64_t kind = random % 16;
    uint32_t most = kind == 0 ? max : kind <= 4 ? MIDDLE_BYTES : SMALL_BYTES;
    most = most < max ? most : max;
    return (uint32_t)(random / 16 % (most + 1ULL));
}

static uint8_t byte_at(uint64_t number, uint32_t place)
{
    return (uint8_t)((number * 7 + place * 31ULL + place / 256) & 0xff);
}

void padding_fill(padding_t *padding, uint32_t size, uint64_t number)
{
    padding->size = size;
    for (uint32_t i = 0; i < size; i++) {
        padding->data[i] = byte_at(number, i);
    }
}

bool padding_is_whole(const padding_t *padding, uint64_t number)
{
    for (uint32_t i = 0; i < padding->size; i++) {
        if (padding->data[i] != byte_at(number, i)) {
            return false;
        }
    }
    return true;
}
