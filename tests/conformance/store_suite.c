/* The conformance suite of the store port: runs its groups. */
#include "tests/conformance/store_fixture.h"

int store_suite_run(const store_suite_t *suite)
{
    print_message("store: %s\n", suite->name);
    store_fixture_use(suite);
    return store_suite_schema() + store_suite_membership() + store_suite_assignment() +
           store_suite_commit() + store_suite_fence() + store_suite_load() +
           (suite->exclusive ? store_suite_exclusive() : 0);
}
