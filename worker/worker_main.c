/* fabric-worker: a worker that runs the entity types of module files, under a supervisor that
 * starts it again. */
#include <fabric/version.h>
#include <fabric/worker.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/config.h"
#include "core/crash_point.h"
#include "core/exit_codes.h"
#include "core/log.h"
#include "core/stop_signals.h"
#include "mysql/mysql_store.h"
#include "mysql/mysql_url.h"
#include "worker/crash_handler.h"
#include "worker/crash_report_zmq.h"
#include "worker/module.h"
#include "worker/supervisor.h"
#include "worker/worker_config.h"
#include "worker/worker_open.h"

#define STARTING_STOP_MS  1000u /* for a module that does not come to an end of being loaded */
#define REPORT_DROPPED_MS 1000
/* For the error of a refusal: the worker logs the refusal just before it can be asked for. */
#define REFUSAL_WAIT_MS 1000u

/* What the main thread waits for. */
typedef struct program {
    int stop;             /* readable: a stop was asked for */
    int refused;          /* an eventfd: readable when a broker refused the worker for good */
    crash_notes_t *notes; /* for the process that comes after this one; NULL: none will */
} program_t;

static int fail(int exit_code, fabric_error_t error, const char *text)
{
    log_event(LOG_ERROR_LEVEL, "worker.failed", log_text("error", fabric_error_name(error)),
              log_text("reason", text));
    return exit_code;
}

static int exit_code_of(fabric_error_t error)
{
    switch (fabric_error_class(error)) {
    case FABRIC_CLASS_OK:
        return 0;
    case FABRIC_CLASS_USAGE:
        return EXIT_CONFIG;
    case FABRIC_CLASS_FATAL:
        return error == FABRIC_ERROR_SHARDS_MISMATCH ? EXIT_CONFIG : EXIT_INTERNAL;
    case FABRIC_CLASS_REJECTED:
        return error == FABRIC_ERROR_UNSUPPORTED_VERSION ? EXIT_UNAVAILABLE : EXIT_CONFIG;
    case FABRIC_CLASS_RETRY:
    case FABRIC_CLASS_FAILURE:
    case FABRIC_CLASS_UNKNOWN:
    case FABRIC_CLASS_FENCED:
        return EXIT_UNAVAILABLE;
    }
    return EXIT_INTERNAL;
}

static void on_log(void *context, fabric_log_level_t level, const char *code, const char *text)
{
    const program_t *program = (const program_t *)context;
    if (strcmp(code, "worker.refused") == 0) { /* logged once, when the program ends of it */
        uint64_t one = 1;
        ssize_t written = write(program->refused, &one, sizeof one);
        (void)written; /* fails only when it is readable already */
        return;
    }
    log_event((log_level_t)level, code, log_text("detail", text));
}

static fabric_error_t make_worker(const config_t *config, program_t *program, modules_t *modules,
                                  reason_t *reason, fabric_worker_t **worker)
{
    fabric_worker_options_t options = {
        .cluster_name = config_text(config, "cluster_name"),
        .name = config_text(config, "name"),
        .executors = (uint32_t)config_uint(config, "executors"),
        .weight = (uint32_t)config_uint(config, "weight"),
        .app_version = config_uint(config, "app_version"),
        .residents = (uint32_t)config_uint(config, "residents"),
        .window = (uint32_t)config_uint(config, "window"),
        .grace_ms = (uint32_t)config_uint(config, "grace_ms"),
        .stuck_ms = (uint32_t)config_uint(config, "stuck_ms"),
        .allow_plaintext = config_bool(config, "allow_plaintext"),
        .log = on_log,
        .log_context = program,
    };
    for (size_t i = 0; i < config_list_size(config, "module"); i++) {
        fabric_error_t error = modules_load(modules, config_list_at(config, "module", i), reason);
        if (error != FABRIC_OK) {
            return error;
        }
    }
    return worker_make(config_text(config, "url"), modules_types(modules), &options, reason,
                       worker);
}

static fabric_error_t use_database(fabric_worker_t *worker, const config_t *config,
                                   reason_t *reason)
{
    enum { RETRY_MS = 1000 };
    static const store_driver_t *const drivers[] = {&mysql_store_driver, NULL};
    transaction_config_t database = {
        .drivers = drivers,
        .url = config_text(config, "database"),
        .password = config_text(config, "database_password"),
        .connect_timeout_ms = (uint32_t)config_uint(config, "connect_timeout_ms"),
        .io_timeout_ms = (uint32_t)config_uint(config, "io_timeout_ms"),
        .retry_ms = RETRY_MS,
    };
    mysql_url_t url;
    reason_t why = {""};
    if (database.url && mysql_url_parse(database.url, &why, &url) != FABRIC_OK) {
        const char *text = strncmp(why.text, "store: ", 7) == 0 ? why.text + 7 : why.text;
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION, "database: %.400s", text);
    }
    worker_use_database(worker, &database);
    return FABRIC_OK;
}

static bool open_descriptors(program_t *program)
{
    program->stop = stop_signals_start();
    program->refused = eventfd(0, EFD_CLOEXEC);
    return program->stop >= 0 && program->refused >= 0;
}

/* Runs until a signal or a refusal. Returns the exit code. */
static int run(fabric_worker_t *worker, const program_t *program)
{
    struct pollfd items[2] = {{.fd = program->stop, .events = POLLIN},
                              {.fd = program->refused, .events = POLLIN}};
    while (poll(items, 2, REPORT_DROPPED_MS) <= 0) {
        log_report_dropped();
    }
    fabric_outcome_t outcome = {.error = FABRIC_OK};
    if (items[1].revents & POLLIN) {
        (void)!fabric_worker_wait_ready(worker, REFUSAL_WAIT_MS, &outcome);
    }
    if (program->notes) {
        crash_notes_stop(program->notes);
    }
    fabric_worker_stop(worker);
    fabric_worker_stats_t stats;
    fabric_worker_stats(worker, &stats);
    log_event(LOG_INFO_LEVEL, "worker.stopped", log_uint("handled", stats.handled),
              log_uint("defects", stats.defects), log_uint("slow", stats.slow),
              log_uint("evicted", stats.evicted));
    return outcome.error == FABRIC_OK
               ? 0
               : fail(exit_code_of(outcome.error), outcome.error, outcome.text);
}

/* Tells brokers how the process before this one ended, if it crashed. */
static void report_crash(crash_notes_t *notes)
{
    reason_t reason = {""};
    if (crash_report_send(notes, &reason) != FABRIC_OK) {
        log_event(LOG_WARN_LEVEL, "worker.unreported", log_text("reason", reason.text));
    }
    crash_notes_clear(notes);
}

/* Whether a stop was asked for before so long was over. */
static bool stopped_within(const program_t *program, uint32_t wait_ms)
{
    struct pollfd stop = {.fd = program->stop, .events = POLLIN};
    return poll(&stop, 1, (int)wait_ms) > 0;
}

static int start_and_run(const config_t *config, program_t *program)
{
    reason_t reason = {""};
    modules_t *modules = modules_new();
    fabric_worker_t *worker = NULL;
    fabric_error_t error = make_worker(config, program, modules, &reason, &worker);
    modules_destroy(&modules);
    if (error != FABRIC_OK) {
        return fail(EXIT_CONFIG, error, reason.text);
    }
    error = use_database(worker, config, &reason);
    if (error != FABRIC_OK) {
        fabric_worker_close(&worker);
        return fail(EXIT_CONFIG, error, reason.text);
    }
    if (program->notes) {
        worker_note_crashes(worker, program->notes);
        crash_handler_start(); /* after the modules, whose own handlers come behind it */
    }
    error = worker_start(worker, &reason);
    if (error != FABRIC_OK) {
        fabric_worker_close(&worker);
        return fail(exit_code_of(error), error, reason.text);
    }
    log_event(LOG_INFO_LEVEL, "worker.started", log_text("url", config_text(config, "url")),
              log_uint("modules", config_list_size(config, "module")),
              log_uint("process", (uint64_t)getpid()));
    stop_signals_limit(UINT32_MAX);
    int exit_code = run(worker, program);
    fabric_worker_close(&worker);
    return exit_code;
}

/* Runs the worker in this process. `notes`: NULL, or what the process before this one has noted. */
static int run_process(const void *context, crash_notes_t *notes, uint32_t wait_ms)
{
    program_t program = {.notes = notes};
    if (!open_descriptors(&program)) {
        return fail(EXIT_INTERNAL, FABRIC_ERROR_INTERNAL,
                    "the system gives no descriptor, or no thread for signals");
    }
    stop_signals_limit(STARTING_STOP_MS);
    if (notes) {
        report_crash(notes);
    }
    int exit_code =
        stopped_within(&program, wait_ms) ? 0 : start_and_run((const config_t *)context, &program);
    close(program.refused);
    return exit_code;
}

static void print_usage(void)
{
    printf("usage: fabric-worker --module FILE [--module FILE ...] [--url URL] [options]\n\n"
           "Runs the entity types of modules as part of a cluster, until SIGTERM or SIGINT,\n"
           "in a child process that is started again when it crashes.\n\n");
    config_print_usage(worker_config_keys, stdout);
    printf("\nexit status: 0 stopped, 64 usage, 69 refused by the broker, 70 internal,\n"
           "             78 configuration or module invalid, or not of this cluster\n");
}

static int load(config_t *config, int argc, char **argv, bool *finished)
{
    reason_t reason = {""};
    int rest = argc;
    bool help = false;
    bool version = false;
    log_level_t level;
    fabric_error_t error = config_load(config, argc, argv, &reason, &rest, &help, &version);
    *finished = true;
    if (error != FABRIC_OK) {
        return fail(error == FABRIC_ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_CONFIG, error,
                    reason.text);
    }
    if (help) {
        print_usage();
        return 0;
    }
    if (version) {
        printf("fabric-worker %s\n", FABRIC_VERSION_STRING);
        return 0;
    }
    if (rest < argc) {
        return fail(EXIT_USAGE, FABRIC_ERROR_INVALID_ARGUMENT,
                    "takes options only; modules are given by --module FILE");
    }
    if (config_list_size(config, "module") == 0) {
        return fail(EXIT_USAGE, FABRIC_ERROR_INVALID_ARGUMENT, "give at least one --module FILE");
    }
    if (log_level_parse(config_text(config, "log_level"), &level) != FABRIC_OK) {
        return fail(EXIT_CONFIG, FABRIC_ERROR_INVALID_CONFIGURATION,
                    "log_level is error, warn, info or debug");
    }
    error = crash_point_arm(CRASH_IN_WORKER, &reason);
    if (error != FABRIC_OK) {
        return fail(EXIT_CONFIG, error, reason.text);
    }
    log_set_level(level);
    log_set_sink(STDERR_FILENO);
    const char *ignored = config_ignored(config);
    if (*ignored) {
        log_event(LOG_WARN_LEVEL, "environment.ignored", log_text("variables", ignored));
    }
    *finished = false;
    return 0;
}

int main(int argc, char **argv)
{
    if (crash_point_list(CRASH_IN_WORKER, argc, argv)) {
        return 0;
    }
    config_t *config = config_new(worker_config_keys);
    bool finished;
    int exit_code = load(config, argc, argv, &finished);
    if (!finished) {
        exit_code = config_bool(config, "no_supervisor") ? run_process(config, NULL, 0)
                                                         : supervisor_run(run_process, config);
    }
    config_destroy(&config);
    return exit_code;
}
