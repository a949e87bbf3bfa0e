/* Random waits, so that many clients do not try again at the same time. Not for secrets.
 *
 * Threading: none of its own.
 */
#ifndef CLIENT_JITTER_H
#define CLIENT_JITTER_H

#include <stdint.h>

typedef struct jitter {
    uint64_t state; /* begins with the seed */
} jitter_t;

/* Uniform in 0..bound inclusive. */
uint64_t jitter_up_to(jitter_t *jitter, uint64_t bound);
/* A random wait for the n-th attempt (0, 1, ...): full jitter under a bound that doubles up to 2
 * s. */
uint64_t jitter_backoff(jitter_t *jitter, uint32_t attempt);

#endif
