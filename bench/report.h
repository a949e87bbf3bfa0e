/* The report of a benchmark, as text for people or as one line of JSON.
 *
 * Threading: none of its own.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "bench/cpu.h"
#include "bench/load.h"
#include "bench/options.h"

typedef struct report {
    const options_t *options;
    const load_result_t *load;
    cpu_times_t cpu;
    /* tell: from the first start to the empty backlog; without a worker: from the workers' start */
    uint64_t drained_us;
    uint64_t dead_letters;    /* durable tells that were accepted, but then set aside */
    uint64_t broker_peak_kib; /* memory */
    const char *store;        /* product */
    const char *durability;   /* settings, as read back from the server */
    const char *file_system;  /* of the database's files */
    const char *zmq;          /* version */
} report_t;

/* How a cluster came back. */
typedef struct recovery_report {
    const options_t *options;
    uint64_t first_delivery_us; /* from the broker's start, or from the home's end */
    uint64_t drained_us;        /* from then until all messages had ended, about */
    uint64_t pending;           /* messages before the kill */
    uint64_t journal_bytes;     /* beyond the last checkpoints, before the kill */
    const char *store, *durability, *file_system, *zmq; /* as above */
} recovery_report_t;

void recovery_report_print(const recovery_report_t *report, FILE *file);
void report_json(const report_t *report, FILE *file);
void report_text(const report_t *report, FILE *file);

#endif
