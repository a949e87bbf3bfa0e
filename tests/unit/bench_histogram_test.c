/* The histogram: buckets without gaps, bounded error, percentiles. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/histogram.h"

static histogram_t histogram;

static int clear(void **state)
{
    (void)state;
    histogram = (histogram_t){0};
    return 0;
}

static void an_empty_one_has_only_zeroes(void **state)
{
    (void)state;
    assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
    assert_int_equal(histogram_percentile(&histogram, 1.0), 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 1; value <= 100; value++) {
        histogram_record(&histogram, value);
    }
    assert_int_equal(histogram_percentile(&histogram, 0.0), 1);
    assert_int_equal(histogram_percentile(&histogram, 0.5), 50);
    assert_int_equal(histogram_percentile(&histogram, 0.9), 90);
    assert_int_equal(histogram_percentile(&histogram, 0.99), 99);
    assert_int_equal(histogram_percentile(&histogram, 0.999), 100);
    assert_int_equal(histogram.max, 100);
    assert_int_equal(histogram.count, 100);
}

static void buckets_follow_each_other_without_gaps(void **state)
{
    (void)state;
    size_t before = histogram_bucket(0);
    assert_int_equal(before, 0);
    for (uint64_t value = 1; value < 1u << 20; value++) {
        size_t bucket = histogram_bucket(value);
        assert_true(bucket == before || bucket == before + 1);
        before = bucket;
    }
    for (unsigned bit = 20; bit < HISTOGRAM_VALUE_BITS; bit++) {
        uint64_t value = (uint64_t)1 << bit;
        assert_int_equal(histogram_bucket(value), histogram_bucket(value - 1) + 1);
    }
    assert_int_equal(histogram_bucket(((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1),
                     HISTOGRAM_BUCKETS - 1);
}

static void large_values_are_within_a_bucket(void **state)
{
    (void)state;
    for (uint64_t value = 256; value < (uint64_t)1 << 39; value = value * 3 / 2 + 1) {
        histogram = (histogram_t){0};
        histogram_record(&histogram, value);
        histogram_record(&histogram, value * 2);
        uint64_t found = histogram_percentile(&histogram, 0.5);
        assert_true(found >= value);
        assert_true(found - value <= value / 128);
    }
}

static void values_without_a_bucket_share_the_last(void **state)
{
    (void)state;
    histogram_record(&histogram, UINT64_MAX);
    assert_int_equal(histogram_percentile(&histogram, 0.5), UINT64_MAX);
    assert_int_equal(histogram.max, UINT64_MAX);
}

static void a_percentile_is_never_above_the_largest(void **state)
{
    (void)state;
    histogram_record(&histogram, 100000);
    assert_int_equal(histogram_percentile(&histogram, 0.999), 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_one_has_only_zeroes, clear),
        cmocka_unit_test_setup(small_values_are_exact, clear),
        cmocka_unit_test_setup(buckets_follow_each_other_without_gaps, clear),
        cmocka_unit_test_setup(large_values_are_within_a_bucket, clear),
        cmocka_unit_test_setup(values_without_a_bucket_share_the_last, clear),
        cmocka_unit_test_setup(a_percentile_is_never_above_the_largest, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
