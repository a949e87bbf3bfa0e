/* Points in time of a session: milliseconds of one monotonic clock. */
#ifndef CLIENT_TIMES_H
#define CLIENT_TIMES_H

#include <stdint.h>

#define NEVER UINT64_MAX

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
