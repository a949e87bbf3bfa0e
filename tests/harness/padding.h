/* Padding that makes a test's message large, so that a process dies while long frames are under
 * way. The bytes follow from a number, so that a receiver can check them.
 */
#ifndef TESTS_HARNESS_PADDING_H
#define TESTS_HARNESS_PADDING_H

#include <stdbool.h>
#include <stdint.h>

enum { PADDING_BYTES_MAX = 48 << 10 };

/* As FABRIC_BYTES wants it. */
typedef struct padding {
    uint32_t size;
    uint8_t data[PADDING_BYTES_MAX];
} padding_t;

/* A random size up to `max` (at most PADDING_BYTES_MAX): as a rule small, one in four up to 2 KiB,
 * one in sixteen any size. */
uint32_t padding_size(uint64_t random, uint32_t max);
void padding_fill(padding_t *padding, uint32_t size, uint64_t number);
bool padding_is_whole(const padding_t *padding, uint64_t number);

/* The next of a sequence of random numbers. */
uint64_t padding_random(uint64_t *state);

#endif
