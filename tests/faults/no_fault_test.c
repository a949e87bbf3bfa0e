/* No fault is injected: a healthy cluster must keep its promises, and the checker must not report
 * what is no violation. */
#include "tests/checker/workload.h"

enum { RUN_MS = 4000 };

static void healthy_cluster(void **state)
{
    testbed_t *bed = *state;
    testbed_start(bed, 2);
    workload_t *load = workload_start(bed, NULL);
    workload_run(load, RUN_MS);
    workload_counts_t counts = workload_counts(load);
    assert_int_equal(counts.failed, 0);
    assert_int_equal(counts.rejected, 0);
    workload_end_and_check(&load);
}

int main(void)
{
    static const testbed_test_t tests[] = {{"healthy_cluster", healthy_cluster, TESTBED_BOTH}};
    return testbed_run("no_fault", tests, sizeof tests / sizeof tests[0]);
}
