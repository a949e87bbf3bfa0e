/* One benchmark, shared by the files that carry it out: run.c sets it up and reports, measure.c
 * measures calls, recovery.c measures how a cluster comes back.
 *
 * Threading: the main thread only.
 */
#ifndef BENCH_BENCH_STATE_H
#define BENCH_BENCH_STATE_H

#include "bench/cpu.h"
#include "bench/load.h"
#include "bench/options.h"
#include "core/store.h"
#include "tests/harness/cluster_status.h"

/* Everything that must be closed at the end. */
typedef struct bench {
    options_t options;
    config_t *config;
    const store_driver_t *const *drivers;
    const char *zmq_version;
    cluster_options_t cluster_options;
    cluster_t cluster;
    store_facts_t facts;
    const char *url;
    const char *file_system;
    fabric_client_t *client;
    status_brokers_t brokers;               /* that are asked what they have done */
    load_t *load;                           /* what is measured */
    load_t *prefill;                        /* what comes before; its calls are not counted */
    char deliveries[FOLDER_PATH_SIZE + 64]; /* "NAME=path" of the workers' file of deliveries */
    const char *worker_environment[2];

    uint64_t drained_us;
    uint64_t dead_letters;
    const load_result_t *result; /* the load's */
    cpu_times_t cpu;
    uint64_t broker_peak_kib;
    uint64_t journal_bytes;     /* recovery: beyond the checkpoints, before the kill */
    uint64_t pending;           /* recovery: before the kill */
    uint64_t first_delivery_us; /* recovery */
} bench_t;

/* Connects the client; a cluster of our own becomes ready first, with so many workers. */
FABRIC_MUST_USE fabric_error_t bench_connect(bench_t *bench, uint32_t workers, reason_t *reason);
/* Connects to brokers, to ask them. */
FABRIC_MUST_USE fabric_error_t bench_ask(bench_t *bench, const char *urls, reason_t *reason);
/* Starts the workers of --workers and waits until they own all shards. */
FABRIC_MUST_USE fabric_error_t bench_start_workers(bench_t *bench, reason_t *reason);
/* From now on the benchmark does not end because a process of the cluster ended, or it does. */
void bench_watch(bench_t *bench, bool watch);
/* How long so many messages, and the usual rest, may take until they have ended. */
uint32_t bench_drain_ms(uint64_t messages);

/* A load of messages of that kind, for entities with that prefix. */
load_t *bench_load_new(bench_t *bench, bench_kind_t kind, const char *prefix, uint32_t entities);
/* Runs exactly `calls` calls of a load, all of which must succeed. */
FABRIC_MUST_USE fabric_error_t bench_fill(load_t *load, uint64_t calls, reason_t *reason);

/* ask, tell */
FABRIC_MUST_USE fabric_error_t bench_measure(bench_t *bench, reason_t *reason);
/* restart, takeover */
FABRIC_MUST_USE fabric_error_t bench_recover(bench_t *bench, reason_t *reason);

#endif
