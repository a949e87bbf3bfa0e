/* Random numbers: from the kernel, for what must be unique or unguessable, and from a seed, for
 * what must be spread or repeatable.
 *
 * Threading: any thread; a generator belongs to one thread.
 */
#ifndef CORE_RANDOM_H
#define CORE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills `bytes` from the kernel's random source. Ends the process if the kernel gives none: no
 * incarnation would be unique. */
void random_bytes(void *bytes, size_t size);

/* The next number of a generator, whose whole state is `state`; any seed will do. Splitmix64
 * (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The next number of a generator, reduced to 0..max. */
static inline uint64_t random_up_to(uint64_t *state, uint64_t max)
{
    uint64_t number = random_next(state);
    return max == UINT64_MAX ? number : number % (max + 1);
}

#endif
