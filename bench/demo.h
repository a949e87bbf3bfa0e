/* The demonstration: durable messages from end to end on a private cluster, with a worker killed in
 * the middle, and a broker where there are several.
 *
 * Threading: the main thread only.
 */
#ifndef BENCH_DEMO_H
#define BENCH_DEMO_H

#include "core/store.h"

typedef struct demo_options {
    const char *store; /* see database_start */
    uint32_t brokers;  /* above 1: one of them is killed, too; not on SQLite */
    uint32_t messages; /* durable increments to send at least */
    uint32_t entities;
    uint32_t inflight;
} demo_options_t;

/* Runs the demonstration, prints its steps to standard output, and ends with one line that sums it
 * up. 0 only if nothing was lost. */
int demo_run(const demo_options_t *options, const store_driver_t *const *drivers);

#endif
