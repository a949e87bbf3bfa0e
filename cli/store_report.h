/* How full a database is, how far the checkpoints of its lanes are behind their journals, and what
 * keeps entries from being purged for their age.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_STORE_REPORT_H
#define CLI_STORE_REPORT_H

#include <stdio.h>

#include <jansson.h>

#include "core/limits.h"
#include "core/store.h"

enum { REPORT_TABLES_MAX = 32 };

typedef struct report_table {
    char name[64];
    uint64_t rows, bytes; /* may be the server's estimates */
} report_table_t;

typedef struct report_lane {
    store_lane_t row;
    uint64_t newest;      /* number of the last entry */
    uint64_t lag_entries; /* above the checkpoint */
    uint64_t lag_bytes;
    uint64_t outgoing; /* messages that handlers have told others, in rows */
    /* No outgoing message that is open has a smaller id; 0: none is open. An entry of any lane
     * whose last id is larger is not purged for its age: see store_driver.oldest_outgoing. */
    request_id_t open_id;
} report_lane_t;

typedef struct store_report {
    report_table_t tables[REPORT_TABLES_MAX];
    size_t table_count;
    report_lane_t lanes[LIMIT_LANES_MAX];
    size_t lane_count;
} store_report_t;

FABRIC_MUST_USE fabric_error_t store_report_read(store_t *store, store_report_t *report);

void store_report_print(const store_report_t *report, FILE *file);
/* Adds `tables` and `journals` (one for each lane) to a JSON object. */
void store_report_add(const store_report_t *report, json_t *document);

#endif
