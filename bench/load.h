/* The load: one thread keeps a constant number of calls in flight through the asynchronous client
 * API, checks every answer and records its latency. Nothing is allocated per call.
 *
 * Threading: one thread, the one that uses the client.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <fabric/client.h>

#include "bench/histogram.h"
#include "bench/messages.h"
#include "bench/payload.h"

enum { LOAD_ERRORS_MAX = 64 };

typedef struct load_options {
    bench_kind_t kind;
    const char *prefix; /* of the entities' ids */
    uint32_t entities;
    uint32_t inflight;
    uint32_t size; /* bytes of payload, at most BENCH_SIZE_BYTES_MAX */
    payload_kind_t payload;
    bool keyed;           /* each message has a primary key of its own */
    uint32_t state_bytes; /* of the states, where the kind changes them */
} load_options_t;

/* completed + errors == started. */
typedef struct load_result {
    uint64_t started;
    uint64_t completed; /* calls that succeeded and, for an ask, got the right value */
    uint64_t errors;    /* all others */
    uint64_t wrong;     /* of these, replies that are not what was asked for */
    uint64_t errors_by_number[LOAD_ERRORS_MAX];
    uint64_t elapsed_us; /* from the first start to the last end */
    histogram_t latency; /* of completed calls, in microseconds */
} load_result_t;

typedef struct load load_t;

/* Makes a load that borrows the client. The load must outlive the client, because closing a client
 * ends its open calls through the load's completions. */
load_t *load_new(fabric_client_t *client, const load_options_t *options);
void load_destroy(load_t **load);

/* Starts calls for `duration_us`, or `calls` of them where that is not 0, then waits for the open
 * ones. The result belongs to the load and
 * lasts until its next run. FABRIC_ERROR_TIMEOUT when calls stay open long after their deadline,
 * FABRIC_ERROR_SHUTTING_DOWN when a signal asked to stop: then calls may still be open, and the
 * load must not be run again. */
FABRIC_MUST_USE fabric_error_t load_run(load_t *load, uint64_t duration_us, uint64_t calls,
                                        const load_result_t **result);

#endif
