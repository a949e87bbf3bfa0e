/* One benchmark from the command line to its report. */
#include "bench/run.h"

#include <inttypes.h>
#include <stdlib.h>

#include <fabric/version.h>

#include "bench/bench_state.h"
#include "bench/report.h"
#include "bench/states.h"
#include "core/exit_codes.h"
#include "tests/harness/cluster_status.h"
#include "tests/harness/stop.h"
#include "core/printable.h"

/* sysexits.h */

enum { READY_MS = 60000, TYPE_MS = 10000 };

/* restart: no checkpoint begins while the journals are filled. */
static const char *const restart_arguments[] = {
    "--checkpoint-ms", "600000", "--checkpoint-bytes", "1099511627776", "--checkpoint-bytes-max",
    "1099511627776",   NULL};

static int exit_code(fabric_error_t error)
{
    switch (fabric_error_class(error)) {
    case FABRIC_CLASS_OK:
        return EXIT_SUCCESS;
    case FABRIC_CLASS_USAGE:
        return error == FABRIC_ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_CONFIG;
    case FABRIC_CLASS_RETRY:
    case FABRIC_CLASS_UNKNOWN:
    case FABRIC_CLASS_REJECTED:
        return EXIT_UNAVAILABLE;
    case FABRIC_CLASS_FAILURE:
    case FABRIC_CLASS_FENCED:
        return EXIT_INTERNAL;
    case FABRIC_CLASS_FATAL:
        break;
    }
    bool configuration =
        error == FABRIC_ERROR_WRONG_SCHEMA_VERSION || error == FABRIC_ERROR_FOREIGN_DATABASE ||
        error == FABRIC_ERROR_SHARDS_MISMATCH || error == FABRIC_ERROR_STORE_UNSAFE;
    return configuration ? EXIT_CONFIG : EXIT_INTERNAL;
}

/* ---- set up ---- */

static fabric_error_t find_cluster(bench_t *bench, reason_t *reason)
{
    const options_t *options = &bench->options;
    fabric_error_t error = FABRIC_OK;
    snprintf(bench->facts.product, sizeof bench->facts.product, "unknown");
    snprintf(bench->facts.durability, sizeof bench->facts.durability, "unknown");
    bench->url = options->url;
    bench->file_system = "unknown";
    if (options->spawn) {
        char spawn[PRINTABLE_SIZE(100)];
        printable_url(options->spawn, spawn, sizeof spawn);
        fprintf(stderr, "fabric-bench: starting a cluster on %s\n", spawn);
        bool relays = options->forward == FABRIC_FORWARD_ALWAYS;
        bool pair = options->mode == MODE_TAKEOVER || relays;
        bench->cluster_options =
            (cluster_options_t){.store = options->spawn,
                                .brokers = pair ? 2 : options->brokers,
                                .lanes = pair ? 1 : options->lanes, /* one home */
                                .workers = options->workers,
                                .roomy = true};
        if (options->mode == MODE_RESTART) {
            bench->cluster_options.broker_arguments = restart_arguments;
        }
        error = cluster_start(&bench->cluster, &bench->cluster_options, bench->drivers, reason);
        bench->facts = bench->cluster.facts;
        bench->url = relays ? bench->cluster.standby_url : bench->cluster.urls;
        bench->file_system = bench->cluster.file_system;
    } else if (options->store) {
        error = database_facts(options->store, options->store_password, bench->drivers, reason,
                               &bench->facts);
    }
    return error;
}

static fabric_error_t open_client(const bench_t *bench, const char *url, fabric_client_t **client,
                                  reason_t *reason)
{
    fabric_outcome_t outcome = {0};
    fabric_client_options_t options = {.name = "fabric-bench",
                                       .allow_plaintext = bench->options.allow_plaintext,
                                       .forward = bench->options.forward};
    fabric_error_t error = fabric_client_open(url, &options, client, &outcome);
    return error ? reason_set(reason, error, "%.100s: %s (%s)", url,
                              outcome.text[0] ? outcome.text : fabric_error_meaning(error),
                              fabric_error_name(error))
                 : FABRIC_OK;
}

fabric_error_t bench_ask(bench_t *bench, const char *urls, reason_t *reason)
{
    fabric_client_options_t options = {.name = "fabric-bench",
                                       .allow_plaintext = bench->options.allow_plaintext};
    return status_open(&bench->brokers, urls, &options, reason);
}

fabric_error_t bench_connect(bench_t *bench, uint32_t workers, reason_t *reason)
{
    fabric_error_t error = open_client(bench, bench->url, &bench->client, reason);
    if (error) {
        return error;
    }
    if (!bench->options.spawn) {
        uint32_t state_bytes = bench->options.state_bytes;
        const char *type =
            bench_type_of(state_bytes > 0 ? BENCH_ASK_CHANGE : BENCH_ASK_DURABLE, state_bytes);
        error = status_wait_type(bench->client, type, TYPE_MS, reason);
        return error ? error : bench_ask(bench, bench->url, reason);
    }
    error = bench_ask(bench, bench->cluster.urls, reason);
    return error ? error : status_wait_ready(&bench->brokers, workers, READY_MS, reason);
}

fabric_error_t bench_start_workers(bench_t *bench, reason_t *reason)
{
    fabric_error_t error = FABRIC_OK;
    for (uint32_t i = 0; i < bench->options.workers && !error; i++) {
        error = cluster_add_worker(&bench->cluster, reason);
    }
    return error ? error
                 : status_wait_ready(&bench->brokers, bench->options.workers, READY_MS, reason);
}

/* A figure that was measured while a process died does not count. */
static bool lost_a_process(void *context)
{
    return cluster_casualty(context) != NULL;
}

void bench_watch(bench_t *bench, bool watch)
{
    stop_when(watch ? lost_a_process : NULL, &bench->cluster);
}

/* ---- report ---- */

static fabric_error_t report(const bench_t *bench, reason_t *reason)
{
    const load_result_t *result = bench->result;
    report_t report = {.options = &bench->options,
                       .load = result,
                       .cpu = bench->cpu,
                       .drained_us = bench->drained_us,
                       .dead_letters = bench->dead_letters,
                       .broker_peak_kib = bench->broker_peak_kib,
                       .store = bench->facts.product,
                       .durability = bench->facts.durability,
                       .file_system = bench->file_system,
                       .zmq = bench->zmq_version};
    if (result->completed + result->errors != result->started) {
        return reason_set(reason, FABRIC_ERROR_INTERNAL,
                          "calls were lost: %" PRIu64 " of %" PRIu64 " ended",
                          result->completed + result->errors, result->started);
    }
    if (bench->options.json) {
        report_json(&report, stdout);
    } else {
        report_text(&report, stdout);
    }
    if (fflush(stdout) != 0) {
        return reason_set(reason, FABRIC_ERROR_INTERNAL, "standard output cannot be written");
    }
    if (result->wrong > 0) {
        return reason_set(reason, FABRIC_ERROR_INTERNAL, "%llu replies were wrong",
                          (unsigned long long)result->wrong);
    }
    return result->completed > 0
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_NOT_CONNECTED, "not one call of %llu succeeded",
                            (unsigned long long)result->started);
}

static fabric_error_t report_recovery(const bench_t *bench, reason_t *reason)
{
    recovery_report_t report = {.options = &bench->options,
                                .first_delivery_us = bench->first_delivery_us,
                                .drained_us = bench->drained_us,
                                .pending = bench->pending,
                                .journal_bytes = bench->journal_bytes,
                                .store = bench->facts.product,
                                .durability = bench->facts.durability,
                                .file_system = bench->file_system,
                                .zmq = bench->zmq_version};
    recovery_report_print(&report, stdout);
    return fflush(stdout) == 0
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_INTERNAL, "standard output cannot be written");
}

/* Prints the logs of a cluster that this program started. */
static fabric_error_t explain(bench_t *bench, fabric_error_t error, reason_t *reason)
{
    cluster_print_logs(&bench->cluster, stderr);
    const char *casualty =
        error == FABRIC_ERROR_SHUTTING_DOWN ? cluster_casualty(&bench->cluster) : NULL;
    return casualty ? reason_set(reason, FABRIC_ERROR_NOT_CONNECTED,
                                 "a process of the cluster ended; its log is %s", casualty)
                    : error;
}

static fabric_error_t run(bench_t *bench, reason_t *reason)
{
    stop_install();
    bool recovers = bench->options.mode == MODE_RESTART || bench->options.mode == MODE_TAKEOVER;
    fabric_error_t error = find_cluster(bench, reason);
    if (!error && bench->options.spawn) {
        bench_watch(bench, true);
    }
    error = error ? error : bench_connect(bench, bench->options.workers, reason);
    if (!error) {
        error = recovers ? bench_recover(bench, reason) : bench_measure(bench, reason);
    }
    if (error && bench->options.spawn && !stop_signalled()) {
        error = explain(bench, error, reason);
    }
    bench_watch(bench, false);
    bench->broker_peak_kib = memory_peak_kib(&bench->cluster.broker);
    if (!error) {
        error = recovers ? report_recovery(bench, reason) : report(bench, reason);
    }
    fabric_client_close(&bench->client);
    status_close(&bench->brokers);
    load_destroy(&bench->load);
    load_destroy(&bench->prefill);
    if (bench->options.spawn) {
        cluster_stop(&bench->cluster);
    }
    return error;
}

int bench_run(int argc, char **argv, const store_driver_t *const *drivers, const char *zmq_version)
{
    static bench_t bench; /* large */
    reason_t reason = {{0}};
    bench = (bench_t){
        .config = config_new(options_keys), .drivers = drivers, .zmq_version = zmq_version};
    fabric_error_t error = options_load(&bench.options, bench.config, argc, argv, &reason);
    if (!error && bench.options.help) {
        options_print_usage();
    } else if (!error && bench.options.version) {
        printf("fabric-bench %s\n", FABRIC_VERSION_STRING);
    } else if (!error) {
        const char *ignored = config_ignored(bench.config);
        if (*ignored) {
            fprintf(stderr, "fabric-bench: these environment variables are not Fabric's: %s\n",
                    ignored);
        }
        error = run(&bench, &reason);
        stop_die();
    }
    if (error) {
        fprintf(stderr, "fabric-bench: %s\n",
                reason.text[0] ? reason.text : fabric_error_meaning(error));
    }
    config_destroy(&bench.config);
    return exit_code(error);
}
