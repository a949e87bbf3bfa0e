/* The query "cancel" of operators, and its answer. */
#ifndef TESTS_UNIT_CANCEL_QUERY_H
#define TESTS_UNIT_CANCEL_QUERY_H

#include "tests/unit/router_driver.h"

void cancel_query_send(driver_t *driver, const char *peer, uint64_t sequence, uint64_t wait_ms,
                       const uint64_t *ids, size_t count);

/* What the document says. */
typedef struct cancel_outcome {
    char outcome[16]; /* of the request; empty: it is not there */
    char error[32];   /* empty: none */
} cancel_outcome_t;

cancel_outcome_t cancel_query_outcome(fabric_bytes_t document, uint64_t id);
/* Whether the broker says that it is home of the lane. */
bool cancel_query_has_lane(fabric_bytes_t document, uint32_t lane);

#endif
