/* Measuring how soon a cluster delivers again after kill -9 of its home: see bench_state.h.
 *
 * The messages are accepted while no worker runs. The workers note in a file when they get the
 * first delivery of each new home.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_state.h"
#include "core/clock.h"
#include "tests/harness/cluster_status.h"
#include "tests/harness/stop.h"

enum {
    FILL_CALLS = 20000,
    CHECKPOINT_MS = 600000,
    DELIVERY_MS = 60000,
    WAITING_MS = 30000,
    READY_MS = 60000,
    POLL_MS = 1
};

/* ---- deliveries ---- */

typedef struct delivery {
    uint64_t epoch; /* of the home's lane */
    uint64_t at_us;
} delivery_t;

/* The workers' earliest note of a home above that epoch. */
static bool find_delivery(const bench_t *bench, uint64_t above, delivery_t *delivery)
{
    delivery_t noted = {0};
    bool found = false;
    FILE *file = fopen(strchr(bench->deliveries, '=') + 1, "r");
    while (file && fscanf(file, "%" SCNu64 " %" SCNu64, &noted.epoch, &noted.at_us) == 2) {
        if (noted.epoch > above && (!found || noted.at_us < delivery->at_us)) {
            *delivery = noted;
            found = true;
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

static fabric_error_t wait_for_delivery(const bench_t *bench, uint64_t above, reason_t *reason,
                                        delivery_t *delivery)
{
    uint64_t deadline_ms = clock_monotonic_ms() + DELIVERY_MS;
    while (!find_delivery(bench, above, delivery)) {
        if (stop_requested()) {
            return FABRIC_ERROR_SHUTTING_DOWN;
        }
        if (clock_monotonic_ms() > deadline_ms) {
            return reason_set(reason, FABRIC_ERROR_TIMEOUT,
                              "no handler runs for the new home: if the workers had "
                              "handled all messages before the kill, give a larger --held");
        }
        poll(NULL, 0, POLL_MS);
    }
    return FABRIC_OK;
}

/* ---- before ---- */

/* Workers that are started from now on note deliveries. */
static void note_deliveries(bench_t *bench)
{
    snprintf(bench->deliveries, sizeof bench->deliveries, BENCH_DELIVERIES "=%s/deliveries",
             bench->cluster.folder);
    bench->worker_environment[0] = bench->deliveries;
    bench->cluster_options.worker_environment = bench->worker_environment;
}

static fabric_error_t fill_journals(bench_t *bench, reason_t *reason)
{
    uint64_t bytes = (uint64_t)bench->options.journal_mib << 20;
    status_counters_t counters = {0};
    fabric_error_t error = FABRIC_OK;
    fprintf(stderr, "fabric-bench: filling journals with %u MiB\n", bench->options.journal_mib);
    while (!error && counters.journal_bytes < bytes) {
        error = bench_fill(bench->load, FILL_CALLS, reason);
        error = error ? error : status_counters(&bench->brokers, reason, &counters);
    }
    return error;
}

static fabric_error_t fill_rows(bench_t *bench, reason_t *reason)
{
    fprintf(stderr, "fabric-bench: filling rows with %u messages\n", bench->options.held);
    fabric_error_t error = bench_fill(bench->load, bench->options.held, reason);
    return error ? error : status_wait_checkpointed(&bench->brokers, CHECKPOINT_MS, reason);
}

static fabric_error_t count(bench_t *bench, reason_t *reason)
{
    status_counters_t counters = {0};
    fabric_error_t error = status_counters(&bench->brokers, reason, &counters);
    bench->pending = counters.pending;
    bench->journal_bytes = counters.journal_bytes;
    return error;
}

/* ---- after ---- */

/* Whether everything that was pending ends at the new home. */
static fabric_error_t work_off(bench_t *bench, reason_t *reason)
{
    status_counters_t counters = {0};
    uint64_t begin_us = clock_monotonic_us();
    fabric_error_t error =
        status_wait_drained(&bench->brokers, bench_drain_ms(bench->pending), reason);
    bench->drained_us = clock_monotonic_us() - begin_us;
    error = error ? error : status_counters(&bench->brokers, reason, &counters);
    bench->dead_letters = counters.dead_letters;
    if (!error && counters.dead_letters > 0) {
        error = reason_set(reason, FABRIC_ERROR_DEAD_LETTER,
                           "%" PRIu64 " messages are dead letters", counters.dead_letters);
    }
    /* A home that is killed while it delivers may end more messages before. */
    bool exact = bench->options.mode == MODE_RESTART;
    if (!error && (exact ? counters.ended != bench->pending : counters.ended == 0)) {
        error = reason_set(reason, FABRIC_ERROR_INTERNAL,
                           "%" PRIu64 " messages were pending, and %" PRIu64 " ended",
                           bench->pending, counters.ended);
    }
    return error;
}

/* ---- restart ---- */

/* Waits until a worker looks for a broker: until then it may still be loading its module. */
static fabric_error_t wait_for_waiting_workers(const bench_t *bench, reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAITING_MS;
    for (uint32_t i = 0; i < bench->cluster.worker_count;) {
        char name[32];
        snprintf(name, sizeof name, "worker-%" PRIu32 ".log", i);
        if (folder_file_contains(bench->cluster.folder, name, "worker.waiting")) {
            i++;
        } else if (stop_requested()) {
            return FABRIC_ERROR_SHUTTING_DOWN;
        } else if (clock_monotonic_ms() > deadline_ms) {
            return reason_set(reason, FABRIC_ERROR_TIMEOUT, "a worker does not wait for a broker");
        } else {
            poll(NULL, 0, POLL_MS);
        }
    }
    return FABRIC_OK;
}

static fabric_error_t restart(bench_t *bench, reason_t *reason)
{
    fabric_error_t error = fill_journals(bench, reason);
    error = error ? error : count(bench, reason);
    if (error) {
        return error;
    }
    bench_watch(bench, false);
    fabric_client_close(&bench->client);
    process_kill(&bench->cluster.broker);
    bench->cluster_options.broker_arguments = NULL;
    for (uint32_t i = 0; i < bench->options.workers && !error; i++) {
        error = cluster_add_worker(&bench->cluster, reason);
    }
    error = error ? error : wait_for_waiting_workers(bench, reason);
    uint64_t begin_us = clock_monotonic_us();
    error = error ? error : cluster_restart_broker(&bench->cluster, reason);
    delivery_t delivery = {0};
    error = error ? error : wait_for_delivery(bench, 0, reason, &delivery);
    bench->first_delivery_us = delivery.at_us - begin_us;
    bench_watch(bench, true);
    return error ? error : bench_connect(bench, bench->options.workers, reason);
}

/* ---- takeover ---- */

/* The home delivers when it is killed: the workers run until the cluster is ready. */
static fabric_error_t takeover(bench_t *bench, reason_t *reason)
{
    delivery_t before = {0};
    delivery_t after = {0};
    fabric_error_t error = fill_rows(bench, reason);
    error = error ? error : bench_start_workers(bench, reason);
    error = error ? error : wait_for_delivery(bench, 0, reason, &before);
    error = error ? error : count(bench, reason);
    if (error) {
        return error;
    }
    bench_watch(bench, false);
    uint64_t begin_us = clock_monotonic_us();
    process_kill(&bench->cluster.broker);
    error = wait_for_delivery(bench, before.epoch, reason, &after);
    bench->first_delivery_us = after.at_us - begin_us;
    error = error ? error : bench_ask(bench, bench->cluster.standby_url, reason);
    return error ? error
                 : status_wait_ready(&bench->brokers, bench->options.workers, READY_MS, reason);
}

fabric_error_t bench_recover(bench_t *bench, reason_t *reason)
{
    bench->load = bench_load_new(bench, BENCH_TELL_DURABLE, "bench", bench->options.entities);
    cluster_stop_workers(&bench->cluster);
    note_deliveries(bench);
    fabric_error_t error =
        bench->options.mode == MODE_RESTART ? restart(bench, reason) : takeover(bench, reason);
    return error ? error : work_off(bench, reason);
}
