/* The conformance suite of the store port: runs its groups. */
#include "tests/conformance/store_fixture.h"

int store_suite_run(const store_suite_t *suite)
{
    print_message("store: %s\n", suite->name);
    store_fixture_use(suite);
    int failed = store_suite_schema() + store_suite_membership() + store_suite_coordinator() +
                 store_suite_registry() + store_suite_lanes() + store_suite_append() +
                 store_suite_adoption() + store_suite_repair() + store_suite_lookup() +
                 store_suite_purge() + store_suite_checkpoint() + store_suite_load() +
                 store_suite_scheduled() + store_suite_keys() + store_suite_states() +
                 store_suite_events() + store_suite_outbox() + store_suite_clear() +
                 store_suite_kept();
    failed += suite->exclusive ? store_suite_exclusive() : 0;
    failed += suite->signal_before ? store_suite_killed() : 0;
    failed += suite->execute ? store_suite_direct() : 0;
    failed += suite->signal_before && suite->row_locks ? store_suite_frozen() : 0;
    return failed;
}
