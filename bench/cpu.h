/* The processor time and memory of a benchmark's processes.
 *
 * Threading: none of its own.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include "tests/harness/cluster.h"

/* Microseconds, those of all threads together. */
typedef struct cpu_times {
    bool known; /* false: the cluster belongs to somebody else */
    bool database_known;
    uint64_t client;  /* the benchmark's own process */
    uint64_t brokers; /* of all of them */
    uint64_t workers; /* of all of them */
    uint64_t database;
} cpu_times_t;

/* What the processes have used so far. A SQLite database is part of its broker. */
cpu_times_t cpu_times_read(const cluster_t *cluster);
/* What they have used between two readings. */
cpu_times_t cpu_times_between(const cpu_times_t *before, const cpu_times_t *after);

/* The most memory that a process has had so far, in KiB; 0: not known. */
uint64_t memory_peak_kib(const process_t *process);

#endif
