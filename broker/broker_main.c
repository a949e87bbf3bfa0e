/* fabric-broker: configuration, signals and exit codes around one broker incarnation after another.
 *
 * Standard output gets exactly one line for each incarnation that serves; everything else goes to
 * standard error.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fabric/version.h>

#include "broker/broker_zmq.h"
#include "core/clock.h"
#include "core/crash_point.h"
#include "core/exit_codes.h"
#include "core/sink.h"
#include "core/stop_signals.h"
#include "mysql/mysql_store.h"
#include "sqlite/sqlite_store.h"

#define REOPEN_TRIES   50 /* of a fenced broker, for its address and its database */
#define REOPEN_WAIT_US 100000

/* A broker that is being opened has promised nothing yet, so it may end while it waits for its
 * database. This time allows it to be opened and then leave the cluster in order. */
#define OPENING_STOP_MS 1000u

static int exit_code(fabric_error_t error)
{
    switch (fabric_error_class(error)) {
    case FABRIC_CLASS_OK:
        return EXIT_SUCCESS;
    case FABRIC_CLASS_USAGE:
        return EXIT_CONFIG;
    case FABRIC_CLASS_RETRY:
    case FABRIC_CLASS_UNKNOWN:
        return EXIT_UNAVAILABLE;
    case FABRIC_CLASS_REJECTED:
    case FABRIC_CLASS_FAILURE:
    case FABRIC_CLASS_FENCED:
        return EXIT_INTERNAL;
    case FABRIC_CLASS_FATAL:
        break;
    }
    bool configuration =
        error == FABRIC_ERROR_WRONG_SCHEMA_VERSION || error == FABRIC_ERROR_FOREIGN_DATABASE ||
        error == FABRIC_ERROR_SHARDS_MISMATCH || error == FABRIC_ERROR_STORE_UNSAFE;
    bool taken = error == FABRIC_ERROR_ADDRESS_IN_USE || error == FABRIC_ERROR_STORE_LOCKED;
    return configuration ? EXIT_CONFIG : taken ? EXIT_UNAVAILABLE : EXIT_INTERNAL;
}

/* Writes one line for the program that started this one, which may not read it any more. */
static bool tell(int descriptor, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool tell(int descriptor, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    sink_t sink = sink_open(descriptor);
    bool told = sink_write(&sink, line, strlen(line));
    sink_close(&sink);
    return told;
}

static void complain(const char *text)
{
    (void)tell(STDERR_FILENO, "fabric-broker: %s\n", text);
}

static void announce(void *context)
{
    const broker_t *broker = context;
    broker_identity_t identity = broker_identity(broker);
    char text[33];
    incarnation_text(identity.incarnation, text);
    log_event(LOG_INFO_LEVEL, "broker.ready", log_text("router", identity.router_endpoint),
              log_text("incarnation", text));
    (void)tell(STDOUT_FILENO, "fabric-broker ready router=%s pub=%s incarnation=%s\n",
               identity.router_endpoint, identity.pub_endpoint, text);
}

/* Opens an incarnation. If it follows a fenced one, it waits for a while until the address and the
 * database are free, but not for a store that has forgotten commits. */
static fabric_error_t open_broker(broker_config_t *config, durable_term_t *durable, bool again,
                                  broker_t **opened, reason_t *reason)
{
    static const store_driver_t *const drivers[] = {&sqlite_store_driver, &mysql_store_driver,
                                                    NULL};
    fabric_error_t error = FABRIC_ERROR_FENCED;
    for (int tries = again ? REOPEN_TRIES : 1; error && tries > 0; tries--) {
        broker_t *broker = broker_new(config, drivers, durable);
        *reason = (reason_t){{0}};
        error = broker_open(broker, reason);
        if (!error) {
            *opened = broker;
            return FABRIC_OK;
        }
        broker_destroy(&broker);
        if (error == FABRIC_ERROR_STORE_LOST) {
            return error;
        }
        if (again && stop_signals_requested()) {
            return FABRIC_OK;
        }
        if (tries > 1) {
            usleep(REOPEN_WAIT_US);
        }
    }
    return error;
}

/* The next incarnation keeps the ports of this one. */
static void keep_endpoints(broker_config_t *config, const broker_t *broker)
{
    broker_identity_t identity = broker_identity(broker);
    snprintf(config->listen, sizeof config->listen, "%s", identity.bound_router);
    snprintf(config->publish, sizeof config->publish, "%s", identity.bound_pub);
}

static fabric_error_t serve(broker_config_t *config, int stop_fd, reason_t *reason)
{
    uint32_t opening_stop_ms =
        config->drain_ms < OPENING_STOP_MS ? config->drain_ms : OPENING_STOP_MS;
    durable_term_t durable = {.opened = false};
    fabric_error_t error = FABRIC_ERROR_FENCED;
    for (bool again = false; error == FABRIC_ERROR_FENCED; again = true) {
        broker_t *broker = NULL;
        stop_signals_limit(opening_stop_ms);
        error = open_broker(config, &durable, again, &broker, reason);
        if (!broker) {
            return error;
        }
        stop_signals_limit(UINT32_MAX);
        log_event(LOG_INFO_LEVEL, "broker.started",
                  log_text("router", broker_identity(broker).bound_router),
                  log_text("pub", broker_identity(broker).bound_pub));
        keep_endpoints(config, broker);
        error = broker_run(broker, stop_fd, announce, broker);
        bool drains = broker_drains(broker);
        broker_destroy(&broker);
        if (error == FABRIC_ERROR_FENCED) {
            config->router.fenced_ms = clock_monotonic_ms();
            log_event(LOG_WARN_LEVEL, "fenced",
                      log_text("next", drains ? "end" : "new incarnation"));
        }
        if (error == FABRIC_ERROR_FENCED && (drains || stop_signals_requested())) {
            return FABRIC_OK;
        }
    }
    return error ? reason_set(reason, error, "%s: %s", fabric_error_meaning(error),
                              fabric_error_remedy(error))
                 : FABRIC_OK;
}

/* Each peer takes a descriptor; the usual soft limit of 1,024 is there for programs that use
 * select(). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* if it fails, the old limit has to do */
    }
}

static void log_ignored(const config_t *values)
{
    const char *ignored = config_ignored(values);
    if (*ignored) {
        log_event(LOG_WARN_LEVEL, "environment.ignored", log_text("variables", ignored));
    }
}

static void print_help(void)
{
    printf("usage: fabric-broker [options]\n\n"
           "Routes messages, keeps mailboxes and talks to the store.\n\n");
    config_print_usage(broker_config_keys, stdout);
}

/* Loads the configuration and serves. Returns the exit code. */
static int run(config_t *values, int argc, char **argv)
{
    reason_t reason = {{0}};
    int rest = 0;
    bool help = false;
    bool version = false;
    fabric_error_t error = config_load(values, argc, argv, &reason, &rest, &help, &version);
    if (!error && help) {
        print_help();
        return EXIT_SUCCESS;
    }
    if (!error && version) {
        printf("fabric-broker %s\n", FABRIC_VERSION_STRING);
        return EXIT_SUCCESS;
    }
    if (!error && rest < argc) {
        error = reason_set(&reason, FABRIC_ERROR_INVALID_ARGUMENT,
                           "'%.100s': no operand is expected; try --help", argv[rest]);
    }
    if (error == FABRIC_ERROR_INVALID_ARGUMENT) {
        complain(reason.text);
        return EXIT_USAGE;
    }
    broker_config_t config;
    if (!error) {
        error = crash_point_arm(CRASH_IN_BROKER, &reason);
    }
    if (!error) {
        error = broker_config_read(values, &config, &reason);
    }
    if (!error) {
        log_set_level(config.log_level);
        log_set_sink(STDERR_FILENO);
        log_ignored(values);
        raise_descriptor_limit();
        int stop_fd = stop_signals_start();
        error = stop_fd >= 0
                    ? serve(&config, stop_fd, &reason)
                    : reason_set(&reason, FABRIC_ERROR_INTERNAL, "signals cannot be handled");
    }
    if (error) {
        complain(reason.text[0] ? reason.text : fabric_error_meaning(error));
    }
    return exit_code(error);
}

int main(int argc, char **argv)
{
    if (crash_point_list(CRASH_IN_BROKER, argc, argv)) {
        return EXIT_SUCCESS;
    }
    config_t *values = config_new(broker_config_keys);
    int code = run(values, argc, argv);
    config_destroy(&values);
    return code;
}
