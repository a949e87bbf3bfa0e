/* Percentiles of a histogram. */
#include "bench/histogram.h"

#include <math.h>

/* The largest value that falls into a bucket. */
static uint64_t bucket_end(size_t bucket)
{
    size_t half = (size_t)1 << (HISTOGRAM_LINEAR_BITS - 1);
    if (bucket < 2 * half) {
        return bucket;
    }
    unsigned shift = (unsigned)(bucket / half) - 1;
    uint64_t mantissa = bucket - ((size_t)shift * half);
    return ((mantissa + 1) << shift) - 1;
}

uint64_t histogram_percentile(const histogram_t *histogram, double fraction)
{
    double wanted = ceil(fraction * (double)histogram->count);
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t end = i + 1 < HISTOGRAM_BUCKETS ? bucket_end(i) : histogram->max;
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}
