/* Holders of lanes: see lane_table.h. */
#include "tests/harness/lane_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take_lane(void *context, const fabric_bytes_t *columns)
{
    lane_table_t *table = context;
    unsigned long lane = strtoul((const char *)columns[0].data, NULL, 10);
    assert_in_range(lane, 0, TESTBED_LANES - 1);
    snprintf(table->holders[lane], sizeof table->holders[lane], "%.*s", (int)columns[1].size,
             (const char *)columns[1].data);
    table->epochs[lane] = strtoull((const char *)columns[2].data, NULL, 10);
}

lane_table_t lane_table_read(testbed_t *bed)
{
    lane_table_t table = {0};
    testbed_query_rows(bed, "SELECT lane, LOWER(HEX(holder)), epoch FROM lane", take_lane, &table);
    return table;
}

uint32_t lane_table_held(const lane_table_t *table, const char *incarnation)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < TESTBED_LANES; i++) {
        held += strcmp(table->holders[i], incarnation) == 0;
    }
    return held;
}

uint32_t lane_table_moved(const lane_table_t *before, const lane_table_t *after)
{
    uint32_t moved = 0;
    for (uint32_t i = 0; i < TESTBED_LANES; i++) {
        moved += strcmp(before->holders[i], after->holders[i]) != 0;
    }
    return moved;
}

uint64_t lane_table_changes(const lane_table_t *before, const lane_table_t *after)
{
    uint64_t changes = 0;
    for (uint32_t i = 0; i < TESTBED_LANES; i++) {
        changes += after->epochs[i] - before->epochs[i];
    }
    return changes;
}
