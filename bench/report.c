/* Reports: see report.h. */
#include "bench/report.h"

#include <stdlib.h>
#include <sys/utsname.h>

#include <fabric/version.h>
#include <jansson.h>

static const struct {
    const char *name;
    double fraction;
} percentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

enum { PERCENTILE_COUNT = sizeof percentiles / sizeof percentiles[0] };

static double rate(uint64_t count, uint64_t microseconds)
{
    return microseconds ? (double)count * 1e6 / (double)microseconds : 0.0;
}

/* Calls that succeeded, without accepted tells that became dead letters. */
static uint64_t completed(const report_t *report)
{
    uint64_t count = report->load->completed;
    return count - (report->dead_letters < count ? report->dead_letters : count);
}

static uint64_t errors(const report_t *report)
{
    return report->load->started - completed(report);
}

static uint64_t errors_of(const report_t *report, unsigned number)
{
    uint64_t count = report->load->errors_by_number[number];
    return number == FABRIC_ERROR_DEAD_LETTER ? count + report->load->completed - completed(report)
                                              : count;
}

static double throughput(const report_t *report)
{
    const options_t *options = report->options;
    uint64_t us = options->tell ? report->drained_us : report->load->elapsed_us;
    return rate(completed(report), us + (options->without_worker ? report->load->elapsed_us : 0));
}

/* ---- JSON ---- */

static json_t *latency_json(const load_result_t *load)
{
    json_t *latency = json_object();
    for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
        uint64_t value = histogram_percentile(&load->latency, percentiles[i].fraction);
        json_object_set_new(latency, percentiles[i].name, json_integer((json_int_t)value));
    }
    json_object_set_new(latency, "max", json_integer((json_int_t)load->latency.max));
    return latency;
}

/* Microseconds of each kind of process for one call. */
static double cpu_each(const report_t *report, uint64_t us)
{
    uint64_t count = completed(report);
    return count ? (double)us / (double)count : 0.0;
}

static json_t *cpu_json(const report_t *report)
{
    const cpu_times_t *cpu = &report->cpu;
    if (!cpu->known) {
        return json_null();
    }
    json_t *object =
        json_pack("{s:f, s:f, s:f}", "client", cpu_each(report, cpu->client), "broker",
                  cpu_each(report, cpu->brokers), "workers", cpu_each(report, cpu->workers));
    if (cpu->database_known) {
        json_object_set_new(object, "database", json_real(cpu_each(report, cpu->database)));
    }
    return object;
}

static json_t *errors_json(const report_t *report)
{
    json_t *by_name = json_object();
    for (unsigned i = 0; i < LOAD_ERRORS_MAX; i++) {
        if (errors_of(report, i)) {
            json_object_set_new(by_name, fabric_error_name((fabric_error_t)i),
                                json_integer((json_int_t)errors_of(report, i)));
        }
    }
    return by_name;
}

static json_t *versions_json(const char *store, const char *zmq)
{
    struct utsname name = {0};
    uname(&name);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "fabric", FABRIC_VERSION_STRING, "store",
                     store, "libzmq", zmq, "kernel", name.release, "machine", name.machine,
                     "compiler", __VERSION__);
}

static void set_integer(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* Prints and releases the object. */
static void print_line(json_t *object, FILE *file)
{
    char *line = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (!line) {
        abort();
    }
    fprintf(file, "%s\n", line);
    free(line);
}

void report_json(const report_t *report, FILE *file)
{
    const options_t *options = report->options;
    const load_result_t *load = report->load;
    json_t *object = json_object();
    json_object_set_new(object, "mode", json_string(options->tell ? "tell" : "ask"));
    json_object_set_new(object, "durable", json_boolean(options->durable));
    set_integer(object, "entities", options->entities);
    set_integer(object, "inflight", options->inflight);
    set_integer(object, "size", options->size);
    json_object_set_new(object, "payload", json_string(payload_kind_names[options->payload]));
    json_object_set_new(object, "duration_s", json_real((double)load->elapsed_us / 1e6));
    if (options->spawn) {
        set_integer(object, "workers", options->workers);
    } else {
        json_object_set_new(object, "workers", json_null());
    }
    json_object_set_new(object, "throughput_per_s", json_real(throughput(report)));
    if (options->tell) {
        json_object_set_new(object, "accepted_per_s",
                            json_real(rate(load->completed, load->elapsed_us)));
        json_object_set_new(object, "drained_per_s",
                            json_real(rate(completed(report), report->drained_us)));
    }
    set_integer(object, "ended_before", options->ended);
    set_integer(object, "held", options->held);
    json_object_set_new(object, "early", json_boolean(options->early));
    json_object_set_new(object, "keyed", json_boolean(options->keyed));
    set_integer(object, "state", options->state_bytes);
    json_object_set_new(object, "without_worker", json_boolean(options->without_worker));
    json_object_set_new(object, "latency_us", latency_json(load));
    json_object_set_new(object, "cpu_us_each", cpu_json(report));
    set_integer(object, "broker_peak_kib", report->broker_peak_kib);
    set_integer(object, "started", load->started);
    set_integer(object, "completed", completed(report));
    set_integer(object, "errors", errors(report));
    json_object_set_new(object, "errors_by_name", errors_json(report));
    json_object_set_new(object, "store", json_string(report->store));
    json_object_set_new(object, "durability", json_string(report->durability));
    json_object_set_new(object, "file_system", json_string(report->file_system));
    json_object_set_new(object, "versions", versions_json(report->store, report->zmq));
    print_line(object, file);
}

static void recovery_report_json(const recovery_report_t *report, FILE *file)
{
    const options_t *options = report->options;
    json_t *object = json_object();
    json_object_set_new(object, "mode", json_string(options_mode_names[options->mode]));
    set_integer(object, "entities", options->entities);
    set_integer(object, "size", options->size);
    json_object_set_new(object, "payload", json_string(payload_kind_names[options->payload]));
    set_integer(object, "workers", options->workers);
    json_object_set_new(object, "first_delivery_ms",
                        json_real((double)report->first_delivery_us / 1e3));
    json_object_set_new(object, "drained_s", json_real((double)report->drained_us / 1e6));
    set_integer(object, "pending", report->pending);
    set_integer(object, "journal_bytes", report->journal_bytes);
    json_object_set_new(object, "store", json_string(report->store));
    json_object_set_new(object, "durability", json_string(report->durability));
    json_object_set_new(object, "file_system", json_string(report->file_system));
    json_object_set_new(object, "versions", versions_json(report->store, report->zmq));
    print_line(object, file);
}

/* ---- text ---- */

void report_text(const report_t *report, FILE *file)
{
    const options_t *options = report->options;
    const load_result_t *load = report->load;
    fprintf(file, "%s %s  entities %u  inflight %u  size %u B (%s)  %.2f s",
            options->durable ? "durable" : "volatile", options->tell ? "tell" : "ask",
            options->entities, options->inflight, options->size,
            payload_kind_names[options->payload], (double)load->elapsed_us / 1e6);
    if (options->early) {
        fprintf(file, "  early");
    }
    if (options->state_bytes > 0) {
        fprintf(file, "  states of %u B", options->state_bytes);
    }
    if (options->spawn) {
        fprintf(file, "  workers %u", options->workers);
    }
    fprintf(file, "\nstore       %s on %s, %s\n", report->store, report->file_system,
            report->durability);
    fprintf(file, "throughput  %.0f/s", throughput(report));
    if (options->tell) {
        fprintf(file, "  (accepted %.0f/s, drained %.0f/s)",
                rate(load->completed, load->elapsed_us),
                rate(completed(report), report->drained_us));
    }
    fprintf(file, "\nlatency us ");
    for (size_t i = 0; i < PERCENTILE_COUNT; i++) {
        fprintf(file, " %s %llu", percentiles[i].name,
                (unsigned long long)histogram_percentile(&load->latency, percentiles[i].fraction));
    }
    fprintf(file, "  max %llu\n", (unsigned long long)load->latency.max);
    if (report->cpu.known) {
        fprintf(file, "CPU us each  client %.1f  broker %.1f  workers %.1f",
                cpu_each(report, report->cpu.client), cpu_each(report, report->cpu.brokers),
                cpu_each(report, report->cpu.workers));
        if (report->cpu.database_known) {
            fprintf(file, "  database %.1f", cpu_each(report, report->cpu.database));
        }
        fprintf(file, "\n");
    }
    if (report->broker_peak_kib > 0) {
        fprintf(file, "broker      %.0f MiB of memory at most\n",
                (double)report->broker_peak_kib / 1024);
    }
    fprintf(file, "completed   %llu of %llu, errors %llu\n", (unsigned long long)completed(report),
            (unsigned long long)load->started, (unsigned long long)errors(report));
    for (unsigned i = 0; i < LOAD_ERRORS_MAX; i++) {
        if (errors_of(report, i)) {
            fprintf(file, "  %-26s %llu\n", fabric_error_name((fabric_error_t)i),
                    (unsigned long long)errors_of(report, i));
        }
    }
}

void recovery_report_print(const recovery_report_t *report, FILE *file)
{
    const options_t *options = report->options;
    if (options->json) {
        recovery_report_json(report, file);
        return;
    }
    fprintf(file, "%s  entities %u  size %u B  workers %u\n", options_mode_names[options->mode],
            options->entities, options->size, options->workers);
    fprintf(file, "store           %s on %s, %s\n", report->store, report->file_system,
            report->durability);
    fprintf(file, "before          %llu messages pending, %llu bytes beyond the checkpoints\n",
            (unsigned long long)report->pending, (unsigned long long)report->journal_bytes);
    fprintf(file, "first delivery  after %.1f ms\n", (double)report->first_delivery_us / 1e3);
    fprintf(file, "worked off      %.2f s later\n", (double)report->drained_us / 1e6);
}
