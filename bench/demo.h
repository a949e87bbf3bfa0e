/* The demonstration: the main job, end to end, on a cluster of its own, with a worker killed in the
 * middle of it.
 *
 * Threading: the main thread only.
 */
#ifndef BENCH_DEMO_H
#define BENCH_DEMO_H

#include "core/store.h"

typedef struct demo_options {
    const char *store; /* see database_start */
    uint32_t messages; /* durable increments to send at least */
    uint32_t entities;
    uint32_t inflight;
} demo_options_t;

/* Runs it, tells on standard output what it does, and ends with the one line that says what came of
 * it. 0 only if nothing was lost. */
int demo_run(const demo_options_t *options, const store_driver_t *const *drivers);

#endif
