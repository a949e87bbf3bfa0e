/* Random waits: see jitter.h. */
#include "libfabric_client/src/jitter.h"

#include "core/random.h"

enum {
    BACKOFF_FIRST_MS = 10, /* bound of the first wait */
    BACKOFF_MAX_MS = 2000  /* where the bound stops doubling */
};

uint64_t jitter_backoff(uint64_t *random, uint32_t attempt)
{
    uint64_t bound = BACKOFF_MAX_MS;
    if (attempt < 16 && (uint64_t)BACKOFF_FIRST_MS << attempt < BACKOFF_MAX_MS) {
        bound = (uint64_t)BACKOFF_FIRST_MS << attempt;
    }
    return random_up_to(random, bound);
}
