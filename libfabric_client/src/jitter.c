/* Random waits: see jitter.h. */
#include "libfabric_client/src/jitter.h"

enum {
    BACKOFF_FIRST_MS = 10, /* bound of the first wait */
    BACKOFF_MAX_MS = 2000  /* where the bound stops doubling */
};

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
uint64_t jitter_up_to(jitter_t *jitter, uint64_t bound)
{
    jitter->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = jitter->state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return bound == UINT64_MAX ? x : x % (bound + 1);
}

uint64_t jitter_backoff(jitter_t *jitter, uint32_t attempt)
{
    uint64_t bound = BACKOFF_MAX_MS;
    if (attempt < 16 && (uint64_t)BACKOFF_FIRST_MS << attempt < BACKOFF_MAX_MS) {
        bound = (uint64_t)BACKOFF_FIRST_MS << attempt;
    }
    return jitter_up_to(jitter, bound);
}
