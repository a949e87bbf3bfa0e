/* Random waits, so that many clients do not try again at the same time.
 *
 * Threading: none of its own.
 */
#ifndef CLIENT_JITTER_H
#define CLIENT_JITTER_H

#include <stdint.h>

/* A random wait for the n-th attempt (0, 1, ...): full jitter under a bound that doubles up to 2 s.
 * `random` is the state of a generator of core/random.h. */
uint64_t jitter_backoff(uint64_t *random, uint32_t attempt);

#endif
