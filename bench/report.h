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
    uint64_t drained_us;     /* tell: from the first start to the empty backlog */
    uint64_t dead_letters;   /* durable tells that were accepted, but then set aside */
    const char *store;       /* product */
    const char *durability;  /* settings, as read back from the server */
    const char *file_system; /* of the database's files */
    const char *zmq;         /* version */
} report_t;

void report_json(const report_t *report, FILE *file);
void report_text(const report_t *report, FILE *file);

#endif
