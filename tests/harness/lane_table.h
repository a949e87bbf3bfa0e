/* Who holds each lane of a test's cluster, as the store says. MariaDB only.
 *
 * A failed expectation fails the running cmocka test.
 */
#ifndef TESTS_HARNESS_LANE_TABLE_H
#define TESTS_HARNESS_LANE_TABLE_H

#include "tests/harness/testbed.h"

typedef struct lane_table {
    char holders[TESTBED_LANES][33]; /* incarnations of brokers */
    uint64_t epochs[TESTBED_LANES];
} lane_table_t;

lane_table_t lane_table_read(testbed_t *bed);
/* How many lanes the broker holds. */
uint32_t lane_table_held(const lane_table_t *table, const char *incarnation);
/* How many lanes have another holder, and how often lanes have changed theirs in between. */
uint32_t lane_table_moved(const lane_table_t *before, const lane_table_t *after);
uint64_t lane_table_changes(const lane_table_t *before, const lane_table_t *after);

#endif
