/* A histogram of latencies with a bounded relative error, in constant memory and without
 * allocation.
 *
 * Log-linear buckets: values below 256 are counted exactly; above, each doubling is cut into 128
 * buckets of equal width, so that a bucket is at most 1/128 of its values wide. The idea is Gil
 * Tene's HdrHistogram (http://hdrhistogram.org).
 *
 * Threading: one thread at a time.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_LINEAR_BITS = 8,
    HISTOGRAM_VALUE_BITS = 40, /* 2^40 us are twelve days */
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_LINEAR_BITS + 2)
                        << (HISTOGRAM_LINEAR_BITS - 1),
};

/* Zero-initialised it is empty. */
typedef struct histogram {
    uint64_t count;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram_t;

/* The bucket of a value; values of 2^40 and more share the last one. */
static inline size_t histogram_bucket(uint64_t value)
{
    if (value >> HISTOGRAM_VALUE_BITS) {
        return HISTOGRAM_BUCKETS - 1;
    }
    unsigned shift = 0;
    if (value >> HISTOGRAM_LINEAR_BITS) {
        shift = 64u - HISTOGRAM_LINEAR_BITS - (unsigned)__builtin_clzll(value);
    }
    return ((size_t)shift << (HISTOGRAM_LINEAR_BITS - 1)) + (size_t)(value >> shift);
}

static inline void histogram_record(histogram_t *histogram, uint64_t value)
{
    histogram->buckets[histogram_bucket(value)]++;
    histogram->count++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

/* The smallest value such that at least `fraction` (0 to 1) of all values are not above it, by at
 * most a bucket's width too large, never above the largest value. 0 where there are none. */
uint64_t histogram_percentile(const histogram_t *histogram, double fraction);

#endif
